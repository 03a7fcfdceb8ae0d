//! What the index of a folder is asked for beyond notes: which source is of which note.

use rusqlite::{Connection, OptionalExtension as _};

use super::EmbeddedVault;
use super::fault::Fault;
use super::mirror::Source;
use crate::note::NoteId;
use crate::store::VaultError;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT s.name, n.id, s.stamp FROM sources s JOIN notes n ON n.seq = s.note WHERE ",
            $rest
        )
    };
}

impl EmbeddedVault {
    /// Sources whose names begin with `prefix`.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(crate) async fn sources_below(&self, prefix: String) -> Result<Vec<Source>, VaultError> {
        self.readers
            .run(move |conn| some(conn, select!("substr(s.name, 1, length(?1)) = ?1"), &prefix))
            .await
    }
}

/// The source of that name.
pub(super) fn named(conn: &Connection, name: &str) -> Result<Option<Source>, Fault> {
    let mut statement = conn.prepare_cached(select!("s.name = ?1"))?;
    let row = statement.query_row([name], columns).optional()?;
    row.map(source).transpose()
}

/// Sources whose stamps hold `part`.
pub(super) fn stamped(conn: &Connection, part: &str) -> Result<Vec<Source>, Fault> {
    some(conn, select!("instr(s.stamp, ?1) > 0"), part)
}

fn some(conn: &Connection, sql: &str, text: &str) -> Result<Vec<Source>, Fault> {
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([text], columns)?;
    rows.map(|row| source(row?)).collect()
}

/// Keeps the stamp of a note whose source goes, under its identity.
pub(super) fn remember_gone(conn: &Connection, source: &str, note: &NoteId) -> Result<(), Fault> {
    const SQL: &str = "INSERT INTO memos (key, value) SELECT 'gone:' || ?1, stamp FROM sources WHERE name = ?2 \
                       ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    conn.prepare_cached(SQL)?.execute([note.as_str(), source])?;
    Ok(())
}

/// The last stamp of a note whose source went; `None`: none did.
pub(super) fn gone(conn: &Connection, note: &NoteId) -> Result<Option<String>, Fault> {
    let mut statement = conn.prepare_cached("SELECT value FROM memos WHERE key = 'gone:' || ?1")?;
    Ok(statement.query_row([note.as_str()], |row| row.get(0)).optional()?)
}

/// Notes that have no source: whoever had one has lost it to another note.
pub(super) fn without_source(conn: &Connection) -> Result<Vec<NoteId>, Fault> {
    const SQL: &str = "SELECT id FROM notes n WHERE NOT EXISTS (SELECT 1 FROM sources s WHERE s.note = n.seq)";
    let mut statement = conn.prepare_cached(SQL)?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    rows.map(|row| NoteId::new(row?).map_err(|error| Fault::damaged("note id", error)))
        .collect()
}

type Columns = (String, String, String);

fn columns(row: &rusqlite::Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn source((name, id, stamp): Columns) -> Result<Source, Fault> {
    let note = NoteId::new(id).map_err(|error| Fault::damaged("note id", error))?;
    Ok(Source { name, note, stamp })
}
