//! `services.json`, where the modules of a hub say that they are there.
//!
//! The hub and other modules write the same file, and none of them locks it. So it is read, changed and replaced whole, only
//! if it is still as it was read; and looked at once more, because the other one may have done the same.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde_json::{Map, Value, json};

/// How often it is tried while others write too.
const TRIES: u32 = 8;
/// How long others get for what they have begun.
const PAUSE: Duration = Duration::from_millis(50);
/// For everybody who may look into the directory, as the hub writes it.
const MODE: u32 = 0o644;

/// Why the hub was not told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RowError {
    /// It is not what the hub writes. It was left as it is.
    #[error("{path} is no list of services ({reason}); it was left as it is")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Somebody else is there.
    #[error(
        "the module {other:?} has the port {port} already; nothing was written. Choose another port for one of them"
    )]
    PortTaken {
        /// Its name.
        other: String,
        /// The port.
        port: u64,
    },
    /// The file system does not allow it.
    #[error("{path} cannot be used: {source}")]
    Write {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others wrote all the time.
    #[error("{path} is changed by others all the time; nothing of theirs was changed")]
    Busy {
        /// The file.
        path: PathBuf,
    },
}

/// The file.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    path: PathBuf,
}

impl Rows {
    /// Of the hub that keeps its files there.
    #[must_use]
    pub(crate) fn in_home(home: &Path) -> Self {
        Self {
            path: home.join("services.json"),
        }
    }

    /// The row of a module, if it has one.
    ///
    /// # Errors
    /// The file cannot be read, or is no list of services.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Value>, RowError> {
        let file = self.parsed(self.read()?.as_deref())?;
        let rows = file["services"].as_array().into_iter().flatten();
        Ok(rows.into_iter().find(|row| row["name"] == name).cloned())
    }

    /// Writes a row: keys of the same row that others have written stay, and so does a port that somebody chose for it.
    ///
    /// # Errors
    /// What stands in the way; then nothing was changed.
    #[expect(clippy::disallowed_methods, reason = "it is called on a thread for blocking work")]
    pub(crate) fn put(&self, name: &str, row: &Value) -> Result<(), RowError> {
        if let Some(dir) = self.path.parent() {
            fs::create_dir_all(dir).map_err(|source| self.unusable(source))?;
        }
        let _lock = self.lock()?;
        for _ in 0..TRIES {
            let before = self.read()?;
            let mut file = self.parsed(before.as_deref())?;
            merge(&mut file, name, row)?;
            let after = format!("{file:#}\n").into_bytes();
            if before.as_deref() == Some(&after[..]) {
                return Ok(());
            }
            self.replace(before.as_deref(), &after)?;
            // Once more from the beginning: then it is there, or somebody was faster.
            thread::sleep(PAUSE);
        }
        Err(RowError::Busy {
            path: self.path.clone(),
        })
    }

    fn unusable(&self, source: io::Error) -> RowError {
        RowError::Write {
            path: self.path.clone(),
            source,
        }
    }

    /// Keeps other daemons of this kind waiting; it leaves no file behind.
    fn lock(&self) -> Result<File, RowError> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let dir = File::open(dir).map_err(|source| self.unusable(source))?;
        flock(&dir, FlockOperation::LockExclusive).map_err(|errno| self.unusable(errno.into()))?;
        Ok(dir)
    }

    fn read(&self) -> Result<Option<Vec<u8>>, RowError> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unusable(error)),
        }
    }

    fn parsed(&self, bytes: Option<&[u8]>) -> Result<Value, RowError> {
        let Some(bytes) = bytes else {
            return Ok(json!({ "services": [] }));
        };
        let wrong = |reason: String| RowError::Malformed {
            path: self.path.clone(),
            reason,
        };
        let file: Value = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        match file.get("services").is_some_and(Value::is_array) {
            true => Ok(file),
            false => Err(wrong("it has no list `services`".into())),
        }
    }

    /// Replaces the file if it is still as it was.
    fn replace(&self, before: Option<&[u8]>, after: &[u8]) -> Result<(), RowError> {
        // Where a link stands for the file, what it leads to is replaced.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let mode = fs::metadata(&path).map_or(MODE, |found| found.permissions().mode() & 0o777);
        let write = || {
            let dir = path.parent().unwrap_or(Path::new("."));
            let mut new = tempfile::Builder::new()
                .prefix("services.json.tmp-")
                .permissions(Permissions::from_mode(mode))
                .tempfile_in(dir)?;
            new.write_all(after)?;
            new.as_file().sync_all()?;
            Ok(new)
        };
        let new = write().map_err(|source| self.unusable(source))?;
        if self.read()?.as_deref() != before {
            return Ok(());
        }
        new.persist(&path).map(drop).map_err(|error| self.unusable(error.error))
    }
}

fn merge(file: &mut Value, name: &str, row: &Value) -> Result<(), RowError> {
    let Some(rows) = file["services"].as_array_mut() else {
        return Ok(());
    };
    let own = rows.iter().position(|one| one["name"] == name);
    let known = own.map(|at| rows[at].clone());
    let mut merged = known.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    let chosen = merged
        .get("port")
        .and_then(Value::as_u64)
        .filter(|port| (1..=65535).contains(port));
    merged.extend(row.as_object().cloned().unwrap_or_else(Map::new));
    if let Some(port) = chosen {
        merged.insert("port".into(), port.into());
    }
    let port = merged.get("port").and_then(Value::as_u64).unwrap_or_default();
    if let Some(other) = rows.iter().find(|one| one["name"] != name && one["port"] == port) {
        return Err(RowError::PortTaken {
            other: other["name"].as_str().unwrap_or("?").to_owned(),
            port,
        });
    }
    let first = own.unwrap_or(rows.len());
    rows.retain(|one| one["name"] != name);
    rows.insert(first.min(rows.len()), Value::Object(merged));
    Ok(())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn home(text: Option<&str>) -> (tempfile::TempDir, Rows) {
        let home = tempfile::tempdir().unwrap();
        let rows = Rows::in_home(home.path());
        if let Some(text) = text {
            fs::write(&rows.path, text).unwrap();
        }
        (home, rows)
    }

    fn read(rows: &Rows) -> Value {
        serde_json::from_slice(&fs::read(&rows.path).unwrap()).unwrap()
    }

    #[test]
    fn a_row_is_made_once_and_nothing_of_others_is_changed() {
        let (_home, rows) = home(None);
        let row = json!({ "name": "reveille", "port": 1941, "startCmd": ["reveille"] });
        rows.put("reveille", &row).unwrap();
        rows.put("reveille", &row).unwrap();
        assert_eq!(read(&rows), json!({ "services": [row] }));
        let leftovers = fs::read_dir(rows.path.parent().unwrap()).unwrap().count();
        assert_eq!(leftovers, 1);

        let others = json!({
            "services": [
                { "name": "vault", "port": 1940, "more": { "a": [1] } },
                { "name": "reveille", "port": 1945, "stamped": true, "version": "0" },
                { "name": "x", "port": 7 },
            ],
            "more": 1,
        });
        let (_home, rows) = home(Some(&others.to_string()));
        rows.put("reveille", &row).unwrap();
        let mut expected = others;
        expected["services"][1]["startCmd"] = json!(["reveille"]);
        assert_eq!(read(&rows), expected);
    }

    #[test]
    fn what_is_no_list_is_left_alone() {
        for text in ["{", "[]", "{\"services\": {}}", ""] {
            let (_home, rows) = home(Some(text));
            let error = rows.put("reveille", &json!({ "port": 1 })).unwrap_err();
            assert!(matches!(error, RowError::Malformed { .. }), "{error}");
            assert_eq!(fs::read_to_string(&rows.path).unwrap(), text);
        }
    }

    #[test]
    fn a_port_of_another_module_is_not_taken() {
        let text = r#"{"services":[{"name":"vault","port":1941}]}"#;
        let (_home, rows) = home(Some(text));
        let error = rows
            .put("reveille", &json!({ "name": "reveille", "port": 1941 }))
            .unwrap_err();
        assert!(error.to_string().contains("\"vault\""), "{error}");
        assert_eq!(fs::read_to_string(&rows.path).unwrap(), text);
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing_of_each_other() {
        let (home, _rows) = home(None);
        let names: Vec<String> = (0..4).map(|number| format!("m{number}")).collect();
        thread::scope(|scope| {
            for (port, name) in (1u64..).zip(&names) {
                let rows = Rows::in_home(home.path());
                scope.spawn(move || rows.put(name, &json!({ "name": name, "port": port })).unwrap());
            }
        });
        let rows = Rows::in_home(home.path());
        for name in &names {
            assert!(rows.find(name).unwrap().is_some(), "{name}: {}", read(&rows));
        }
    }
}
