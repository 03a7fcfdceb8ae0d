//! Definitions as they were when they last held together: `definitions.db` in the state directory. With it an agent whose
//! definition an edit has broken is after a restart what it was before.

use std::fs::{File, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use reveille_vault::{Note, NoteId};
use rusqlite::{Connection, OpenFlags, params};

/// The version of the table. What another version wrote is thrown away: it is gathered anew from the notes.
const VERSION: u32 = 1;
const TABLE: &str = "
DROP TABLE IF EXISTS definitions;
CREATE TABLE definitions (
    vault TEXT NOT NULL,
    note  TEXT NOT NULL, -- its id
    whole TEXT NOT NULL, -- the note as JSON
    PRIMARY KEY (vault, note)
) STRICT;
";

/// The definitions that hold together, or did so last. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Kept {
    db: Arc<Mutex<Connection>>,
}

impl Kept {
    /// Opens or makes the file, readable for its owner only. Without it everything else goes on, so it is in memory then.
    ///
    /// # Errors
    /// There is no room even for that.
    pub(crate) fn open(file: &Path) -> anyhow::Result<Self> {
        let db = match open(file) {
            Ok(db) => db,
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    file = %file.display(),
                    "earlier versions of definitions are not kept over a restart; move the file away to mend that"
                );
                let db = Connection::open_in_memory()?;
                db.execute_batch(TABLE)?;
                db
            }
        };
        Ok(Self {
            db: Arc::new(Mutex::new(db)),
        })
    }

    /// The definitions of a vault.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) async fn of(&self, vault: &str) -> anyhow::Result<Vec<Note>> {
        let vault = vault.to_owned();
        let read = move |db: &mut Connection| {
            let mut statement = db.prepare("SELECT whole FROM definitions WHERE vault = ?1")?;
            let rows = statement.query_map([vault], |row| row.get::<_, String>(0))?;
            rows.collect::<rusqlite::Result<Vec<String>>>()
        };
        let rows = self.run(read).await.context("the earlier versions of definitions")?;
        let notes = rows.iter().map(|row| serde_json::from_str(row));
        notes
            .collect::<Result<_, _>>()
            .context("an earlier version of a definition cannot be read")
    }

    /// Keeps the definitions that are given, and forgets those that are none any more.
    ///
    /// # Errors
    /// The file cannot be written; then nothing has changed.
    pub(crate) async fn store(&self, vault: &str, changes: Vec<(NoteId, Option<Note>)>) -> anyhow::Result<()> {
        let rows = changes.into_iter().map(|(id, note)| {
            Ok((
                id.to_string(),
                note.map(|note| serde_json::to_string(&note)).transpose()?,
            ))
        });
        let rows: Vec<(String, Option<String>)> = rows.collect::<Result<_, serde_json::Error>>()?;
        let vault = vault.to_owned();
        let write = move |db: &mut Connection| {
            let transaction = db.transaction()?;
            for (note, whole) in &rows {
                let changed = match whole {
                    Some(whole) => transaction
                        .prepare_cached("INSERT OR REPLACE INTO definitions (vault, note, whole) VALUES (?1, ?2, ?3)")?
                        .execute(params![vault, note, whole]),
                    None => transaction
                        .prepare_cached("DELETE FROM definitions WHERE vault = ?1 AND note = ?2")?
                        .execute(params![vault, note]),
                };
                changed?;
            }
            transaction.commit()
        };
        self.run(write).await.context("the earlier versions of definitions")
    }

    /// Works on a thread that may wait for the disk.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let db = Arc::clone(&self.db);
        let ran = tokio::task::spawn_blocking(move || work(&mut db.lock().unwrap_or_else(PoisonError::into_inner)));
        Ok(ran.await??)
    }
}

fn open(file: &Path) -> anyhow::Result<Connection> {
    // Before SQLite has it: it gives its journal the permissions of the file.
    let made = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(file)?;
    made.set_permissions(Permissions::from_mode(0o600))?;
    let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    let version: u32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != VERSION {
        db.execute_batch(TABLE)?;
        db.pragma_update(None, "user_version", VERSION)?;
    }
    Ok(db)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn note(id: &str, model: &str) -> Note {
        let at = Timestamp::from_second(7).unwrap();
        Note {
            id: NoteId::new(id).unwrap(),
            path: Some(format!("Agents/{id}")),
            content: "You work.".into(),
            tags: vec!["agent/definition".into()],
            metadata: serde_json::from_value(json!({"name": id, "model": model, "wants": ["env:x"]})).unwrap(),
            created_at: at,
            updated_at: at,
        }
    }

    #[tokio::test]
    async fn what_was_kept_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("definitions.db");
        let put = |note: Note| (note.id.clone(), Some(note));
        let kept = Kept::open(&file).unwrap();
        let first = vec![put(note("a", "opus")), put(note("b", "opus"))];
        kept.store("v", first).await.unwrap();
        kept.store("w", vec![put(note("a", "haiku"))]).await.unwrap();
        let second = vec![
            put(note("a", "sonnet")),
            (note("b", "").id, None),
            (note("c", "").id, None),
        ];
        kept.store("v", second).await.unwrap();
        drop(kept);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let kept = Kept::open(&file).unwrap();
        assert_eq!(kept.of("v").await.unwrap(), [note("a", "sonnet")]);
        assert_eq!(kept.of("w").await.unwrap(), [note("a", "haiku")]);
    }

    #[tokio::test]
    async fn a_file_that_is_none_keeps_nobody_from_starting() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("definitions.db");
        std::fs::write(
            &file,
            "this is no database, and it is long enough to be looked at as one".repeat(20),
        )
        .unwrap();
        let kept = Kept::open(&file).unwrap();
        kept.store("v", vec![(note("a", "").id, Some(note("a", "opus")))])
            .await
            .unwrap();
        assert_eq!(kept.of("v").await.unwrap(), [note("a", "opus")]);
    }
}
