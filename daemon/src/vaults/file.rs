//! `<state>/agent-vaults.json`: the vaults that were added while the daemon ran. Keys that we do not know stay.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config;
use crate::state_dir::write_private;

const NAME: &str = "agent-vaults.json";
/// Where a Parachute vault is, unless something else is said.
const URL: &str = "http://127.0.0.1:1940";

/// Why the file cannot be used. Holds nothing of what is in it.
#[derive(Debug, thiserror::Error)]
#[error("the file {path} of added vaults cannot be used: {why}; mend it, or move it away and add the vaults again")]
pub(crate) struct FileError {
    path: PathBuf,
    why: String,
}

/// One vault.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Added {
    /// Its name, here and there.
    pub(crate) vault: String,
    /// Address of its server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) vault_url: Option<String>,
    /// What lets us in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// A person has handed the token in: no other takes its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) given: bool,
    /// Until when the token is good, when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<Timestamp>,
    /// What its server shows with a hint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) webhook_secret: Option<String>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl fmt::Debug for Added {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Added")
            .field("vault", &self.vault)
            .field("vault_url", &self.vault_url)
            .field("given", &self.given)
            .finish_non_exhaustive()
    }
}

impl Added {
    /// One that is not in a file yet.
    #[must_use]
    pub(crate) fn new(vault: String, url: Option<String>) -> Self {
        Self {
            vault,
            vault_url: url,
            token: None,
            given: false,
            expires_at: None,
            webhook_secret: None,
            other: Map::new(),
        }
    }

    /// Address of its server.
    #[must_use]
    pub(crate) fn url(&self) -> &str {
        self.vault_url.as_deref().unwrap_or(URL)
    }

    fn check(&self) -> Result<(), String> {
        let what = |why: String| format!("the vault {:?}: {why}", self.vault);
        config::vault_name(&self.vault)?;
        if let Some(url) = &self.vault_url {
            config::address("vaultUrl", url).map_err(what)?;
        }
        Ok(())
    }
}

/// All that is in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contents {
    pub(super) vaults: Vec<Added>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// The file.
#[derive(Debug, Clone)]
pub(crate) struct AddedFile {
    path: PathBuf,
}

impl AddedFile {
    /// In that state directory.
    #[must_use]
    pub(crate) fn in_dir(state: &Path) -> Self {
        Self { path: state.join(NAME) }
    }

    /// Where it is.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it; nothing when it is not there.
    ///
    /// # Errors
    /// [`FileError`].
    pub(crate) fn load(&self) -> Result<Contents, FileError> {
        let error = |why: String| FileError {
            path: self.path.clone(),
            why,
        };
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Contents::default()),
            Err(source) => return Err(error(source.to_string())),
        };
        // The library's own words may show what is there.
        let contents: Contents = serde_json::from_slice(&text).map_err(|wrong| {
            error(format!(
                "line {}, column {} is not as `{{\"vaults\": [{{\"vault\": …, \"vaultUrl\": …, \"token\": …}}]}}`",
                wrong.line(),
                wrong.column()
            ))
        })?;
        let mut names = BTreeSet::new();
        for added in &contents.vaults {
            added.check().map_err(error)?;
            if !names.insert(added.vault.to_ascii_lowercase()) {
                return Err(error(format!("the vault {:?} is in it twice", added.vault)));
            }
        }
        Ok(contents)
    }

    /// Puts something else into it, whole or not at all. Nobody else may read it.
    ///
    /// # Errors
    /// Those of the file system; then the file is as before.
    pub(crate) fn save(&self, contents: &Contents) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(contents).map_err(io::Error::other)?;
        text.push(b'\n');
        write_private(&self.path, &text)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use pretty_assertions::assert_eq;

    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, AddedFile) {
        let dir = tempfile::tempdir().unwrap();
        let file = AddedFile::in_dir(dir.path());
        std::fs::write(file.path(), text).unwrap();
        (dir, file)
    }

    #[test]
    fn what_is_written_is_read_and_is_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let file = AddedFile::in_dir(dir.path());
        assert_eq!(file.load().unwrap(), Contents::default());
        let mut contents = Contents::default();
        contents.vaults.push(Added {
            token: Some("sk-secret".into()),
            given: true,
            ..Added::new("notes".into(), Some("http://h:1".into()))
        });
        file.save(&contents).unwrap();
        assert_eq!(file.load().unwrap(), contents);
        let mode = std::fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{contents:?}").contains("sk-secret"));
    }

    #[test]
    fn the_file_of_another_program_is_understood_and_what_is_strange_stays() {
        let text =
            r#"{"vaults":[{"vault":"default","token":"t","boundAt":1},{"vault":"b","vaultUrl":"http://h/"}],"v":2}"#;
        let (_dir, file) = file(text);
        let contents = file.load().unwrap();
        let urls: Vec<&str> = contents.vaults.iter().map(Added::url).collect();
        assert_eq!(urls, ["http://127.0.0.1:1940", "http://h/"]);
        file.save(&contents).unwrap();
        let written: Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
        assert_eq!(written, serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn what_cannot_be_understood_is_told_with_the_file_and_without_its_secrets() {
        for (text, expected) in [
            ("", "line 1, column 0"),
            ("[]", "line 1, column"),
            (r#"{"vaults":"sk-secret"}"#, "line 1, column"),
            (r#"{"vaults":[{"token":"sk-secret"}]}"#, "line 1, column"),
            (
                r#"{"vaults":[{"vault":"","token":"sk-secret"}]}"#,
                "the name \"\" may have",
            ),
            (r#"{"vaults":[{"vault":"a b"}]}"#, "the name \"a b\" may have"),
            (
                r#"{"vaults":[{"vault":"a","vaultUrl":"h"}]}"#,
                "the vault \"a\": `vaultUrl` is no address",
            ),
            (
                r#"{"vaults":[{"vault":"a"},{"vault":"A"}]}"#,
                "the vault \"A\" is in it twice",
            ),
        ] {
            let (_dir, file) = file(text);
            let error = file.load().unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(NAME), "{error}");
            assert!(!error.contains("sk-secret"), "{error}");
        }
    }
}
