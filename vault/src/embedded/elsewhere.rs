//! Writes to an index are carried to where the notes are in truth, inside the transaction that the index makes of them: when
//! they cannot be written there, they are not written at all.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::fault::Fault;
use super::mirror::Source;
use super::read;
use crate::note::{Note, NoteId};
use crate::store::{Cursor, Key, VaultError};

/// Where the notes of an index are in truth.
pub(crate) trait Elsewhere: Send + Sync {
    /// Writes notes as they are from now on. Blocks. What is not answered stays as the index has it.
    ///
    /// # Errors
    /// Why it could not be done. The index is left as it was.
    fn carry(&self, written: Vec<Written>) -> Result<Vec<Carried>, VaultError>;
}

/// A note that was written to the index.
#[derive(Debug)]
pub(crate) struct Written {
    /// As it is now.
    pub(crate) note: Note,
    /// Where it was before; `None`: it is new.
    pub(crate) source: Option<Source>,
}

/// A note that was written elsewhere.
#[derive(Debug)]
pub(crate) struct Carried {
    /// The note.
    pub(crate) note: NoteId,
    /// Where it is.
    pub(crate) source: String,
    /// What tells whether it has changed.
    pub(crate) stamp: String,
}

/// Carries what stands in the change log after `since`. What was removed is not carried: it has no source any more.
pub(super) fn carry(conn: &Connection, since: Cursor, elsewhere: &dyn Elsewhere) -> Result<(), Fault> {
    let mut written = Vec::new();
    for id in changed(conn, since)? {
        let Some(found) = read::find(conn, &Key::Id(id.clone()))? else {
            continue;
        };
        const SOURCE: &str = "SELECT name, stamp FROM sources WHERE note = ?1";
        let source = conn
            .prepare_cached(SOURCE)?
            .query_row([found.seq], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let source = source.map(|(name, stamp)| Source { name, note: id, stamp });
        written.push(Written {
            note: found.note,
            source,
        });
    }
    if written.is_empty() {
        return Ok(());
    }
    for carried in elsewhere.carry(written)? {
        let seq = read::existing(conn, &Key::Id(carried.note))?.seq;
        super::mirror::put_source(conn, seq, &carried.source, &carried.stamp)?;
    }
    Ok(())
}

/// The notes of the change log after `since`, each once.
fn changed(conn: &Connection, since: Cursor) -> Result<Vec<NoteId>, Fault> {
    let since = i64::try_from(since).map_err(|error| Fault::damaged("cursor", error))?;
    let mut statement = conn.prepare_cached("SELECT note_id FROM changes WHERE cursor > ?1 ORDER BY cursor")?;
    let rows = statement.query_map(params![since], |row| row.get::<_, String>(0))?;
    let mut known = HashSet::new();
    let mut ids = Vec::new();
    for row in rows {
        let id = NoteId::new(row?).map_err(|error| Fault::damaged("note id", error))?;
        if known.insert(id.clone()) {
            ids.push(id);
        }
    }
    Ok(ids)
}
