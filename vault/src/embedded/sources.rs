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
    /// Sources by their names, in that order; `None` for one that is not known.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(crate) async fn sources_named(&self, names: Vec<String>) -> Result<Vec<Option<Source>>, VaultError> {
        self.readers
            .run(move |conn| {
                let mut statement = conn.prepare_cached(select!("s.name = ?1"))?;
                let found = names.iter().map(|name| {
                    let row = statement.query_row([name], columns).optional()?;
                    row.map(source).transpose()
                });
                found.collect()
            })
            .await
    }

    /// Sources whose names begin with `prefix`.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(crate) async fn sources_below(&self, prefix: String) -> Result<Vec<Source>, VaultError> {
        self.some_sources(select!("substr(s.name, 1, length(?1)) = ?1"), prefix)
            .await
    }

    /// Sources whose stamps end with `end`.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(crate) async fn sources_stamped(&self, end: String) -> Result<Vec<Source>, VaultError> {
        self.some_sources(select!("substr(s.stamp, -length(?1)) = ?1"), end)
            .await
    }

    async fn some_sources(&self, sql: &'static str, text: String) -> Result<Vec<Source>, VaultError> {
        self.readers
            .run(move |conn| {
                let mut statement = conn.prepare_cached(sql)?;
                let rows = statement.query_map([text], columns)?;
                rows.map(|row| source(row?)).collect()
            })
            .await
    }
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
