//! Definitions as they were when they last held together: `definitions.db` in the state directory. With it an agent whose
//! definition an edit has broken is after a restart what it was before.

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use reveille_vault::{Note, NoteId};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

/// The version of the table. What a version wrote that is not known is thrown away: it is gathered anew from the notes.
const VERSION: u32 = 2;
const TABLE: &str = "
DROP TABLE IF EXISTS definitions;
CREATE TABLE definitions (
    vault TEXT NOT NULL,
    note  TEXT NOT NULL, -- its id
    whole TEXT NOT NULL, -- the note as JSON
    mark  BLOB,          -- of what it says; a note with the same one says the same. None: to be compared as a whole
    PRIMARY KEY (vault, note)
) STRICT;
";
/// From the first version to this one.
const MARKS: &str = "ALTER TABLE definitions ADD COLUMN mark BLOB";

/// What tells whether two notes say the same, when the notes themselves are not at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark([u8; 32]);

impl Mark {
    /// Of what stands in a text.
    #[must_use]
    pub(crate) fn of(text: &[u8]) -> Self {
        Self(Sha256::digest(text).into())
    }
}

/// A definition that is to be kept.
#[derive(Debug, Clone)]
pub(crate) struct Keep {
    /// It.
    pub(crate) note: Note,
    /// What it says, where that can be told.
    pub(crate) mark: Option<Mark>,
}

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

    /// Which definitions of a vault are kept, and what they say.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) async fn marks(&self, vault: &str) -> anyhow::Result<BTreeMap<NoteId, Option<Mark>>> {
        let vault = vault.to_owned();
        let read = move |db: &mut Connection| -> rusqlite::Result<_> {
            let mut statement = db.prepare("SELECT note, mark FROM definitions WHERE vault = ?1")?;
            let mut rows = statement.query([vault])?;
            let mut marks = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let note = NoteId::new(row.get_ref(0)?.as_str()?);
                let mark = row.get_ref(1)?.as_blob_or_null()?;
                // silent-ok: only ids are kept
                if let Ok(note) = note {
                    marks.insert(note, mark.and_then(|mark| mark.try_into().ok()).map(Mark));
                }
            }
            Ok(marks)
        };
        self.run(read).await.context("the earlier versions of definitions")
    }

    /// These definitions of a vault, as far as they are kept.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) async fn of(&self, vault: &str, notes: Vec<NoteId>) -> anyhow::Result<Vec<Note>> {
        if notes.is_empty() {
            return Ok(Vec::new());
        }
        let vault = vault.to_owned();
        let read = move |db: &mut Connection| -> rusqlite::Result<_> {
            let mut statement = db.prepare_cached("SELECT whole FROM definitions WHERE vault = ?1 AND note = ?2")?;
            let mut rows: Vec<String> = Vec::new();
            for note in &notes {
                let row = statement.query_row([vault.as_str(), note.as_str()], |row| row.get(0));
                rows.extend(row.optional()?);
            }
            Ok(rows)
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
    pub(crate) async fn store(&self, vault: &str, changes: &BTreeMap<NoteId, Option<Keep>>) -> anyhow::Result<()> {
        let whole = |keep: &Keep| -> serde_json::Result<_> {
            Ok((serde_json::to_string(&keep.note)?, keep.mark.map(|mark| mark.0)))
        };
        let rows = changes
            .iter()
            .map(|(id, keep)| Ok((id.to_string(), keep.as_ref().map(whole).transpose()?)));
        let rows: Vec<(String, Option<_>)> = rows.collect::<Result<_, serde_json::Error>>()?;
        let vault = vault.to_owned();
        let write = move |db: &mut Connection| {
            let transaction = db.transaction()?;
            for (note, whole) in &rows {
                let changed = match whole {
                    Some((whole, mark)) => {
                        let sql =
                            "INSERT OR REPLACE INTO definitions (vault, note, whole, mark) VALUES (?1, ?2, ?3, ?4)";
                        transaction
                            .prepare_cached(sql)?
                            .execute(params![vault, note, whole, mark])
                    }
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
        let change = if version == 1 { MARKS } else { TABLE };
        db.execute_batch(&format!("BEGIN; {change}; PRAGMA user_version = {VERSION}; COMMIT;"))?;
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

    fn put(note: Note, mark: Option<Mark>) -> (NoteId, Option<Keep>) {
        (note.id.clone(), Some(Keep { note, mark }))
    }

    async fn all(kept: &Kept, vault: &str) -> Vec<Note> {
        let notes = kept.marks(vault).await.unwrap().into_keys().collect();
        kept.of(vault, notes).await.unwrap()
    }

    #[tokio::test]
    async fn what_was_kept_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("definitions.db");
        let kept = Kept::open(&file).unwrap();
        let first = [put(note("a", "opus"), None), put(note("b", "opus"), None)];
        kept.store("v", &first.into()).await.unwrap();
        let other = [put(note("a", "haiku"), Some(Mark::of(b"haiku")))];
        kept.store("w", &other.into()).await.unwrap();
        let second = [
            put(note("a", "sonnet"), Some(Mark::of(b"sonnet"))),
            (note("b", "").id, None),
            (note("c", "").id, None),
        ];
        kept.store("v", &second.into()).await.unwrap();
        drop(kept);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let kept = Kept::open(&file).unwrap();
        assert_eq!(all(&kept, "v").await, [note("a", "sonnet")]);
        assert_eq!(all(&kept, "w").await, [note("a", "haiku")]);
        let marks = BTreeMap::from([(note("a", "").id, Some(Mark::of(b"sonnet")))]);
        assert_eq!(kept.marks("v").await.unwrap(), marks);
        let none = kept.of("v", vec![note("b", "").id]).await.unwrap();
        assert!(none.is_empty(), "{none:?}");
    }

    #[tokio::test]
    async fn what_the_first_version_kept_is_kept_on() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("definitions.db");
        let first = Connection::open(&file).unwrap();
        let table = TABLE.lines().filter(|line| !line.contains("mark")).collect::<String>();
        let table = table.replace("-- its id", "").replace("-- the note as JSON", "");
        first.execute_batch(&table).unwrap();
        first.pragma_update(None, "user_version", 1).unwrap();
        let whole = serde_json::to_string(&note("a", "opus")).unwrap();
        first
            .execute(
                "INSERT INTO definitions (vault, note, whole) VALUES ('v', 'a', ?1)",
                [whole],
            )
            .unwrap();
        drop(first);
        for _ in 0..2 {
            let kept = Kept::open(&file).unwrap();
            let marks = BTreeMap::from([(note("a", "").id, None)]);
            assert_eq!(kept.marks("v").await.unwrap(), marks);
            assert_eq!(all(&kept, "v").await, [note("a", "opus")]);
        }
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
        let changes = [put(note("a", "opus"), None)];
        kept.store("v", &changes.into()).await.unwrap();
        assert_eq!(all(&kept, "v").await, [note("a", "opus")]);
    }
}
