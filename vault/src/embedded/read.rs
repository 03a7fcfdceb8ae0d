//! Reading single notes and the change log.

use jiff::Timestamp;
use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::damage;
use super::fault::Fault;
use crate::note::{Metadata, Note, NoteId};
use crate::store::{Change, ChangeKind, Cursor, Key, VaultError};

/// A note with its place in the order of insertion.
pub(super) struct Stored {
    pub(super) seq: i64,
    pub(super) note: Note,
}

/// The columns that [`stored`] reads, in its order.
macro_rules! columns {
    () => {
        "n.seq, n.id, n.path, n.created_at, n.updated_at, n.tags, n.metadata, n.content"
    };
}

/// One note by its key.
pub(super) fn find(conn: &Connection, key: &Key) -> Result<Option<Stored>, Fault> {
    match key {
        Key::Id(id) => by_id(conn, id.as_str()),
        Key::Path(path) => by_path(conn, path),
        Key::IdOrPath(text) => match by_id(conn, text)? {
            Some(found) => Ok(Some(found)),
            None => by_path(conn, text),
        },
    }
}

/// One note that must be there.
pub(super) fn existing(conn: &Connection, key: &Key) -> Result<Stored, Fault> {
    find(conn, key)?.ok_or_else(|| VaultError::NotFound { key: key.to_string() }.into())
}

/// One note by its place in the order of insertion. One that cannot be read is left out.
pub(super) fn by_seq(conn: &Connection, seq: i64) -> Result<Option<Stored>, Fault> {
    let found = one(
        conn,
        concat!("SELECT ", columns!(), " FROM notes n WHERE n.seq = ?1"),
        [seq],
    );
    match found {
        Err(Fault::Damaged { note, .. }) => {
            damage::found(&note);
            Ok(None)
        }
        found => found,
    }
}

/// One note that is to be removed. Of one that cannot be read only the place and the identity are true.
pub(super) fn doomed(conn: &Connection, key: &Key) -> Result<Stored, Fault> {
    let found = existing(conn, key);
    let Err(Fault::Damaged { .. }) = found else {
        return found;
    };
    let text = key.to_string();
    let mut statement =
        conn.prepare_cached("SELECT seq, id FROM notes WHERE id = ?1 OR path = ?1 ORDER BY id = ?1 DESC")?;
    let (seq, id): (i64, String) = statement.query_row([text], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let note = Note {
        id: NoteId::new(id).map_err(|error| Fault::damaged("note id", error))?,
        path: None,
        content: String::new(),
        tags: Vec::new(),
        metadata: Metadata::new(),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    };
    Ok(Stored { seq, note })
}

fn by_id(conn: &Connection, id: &str) -> Result<Option<Stored>, Fault> {
    one(
        conn,
        concat!("SELECT ", columns!(), " FROM notes n WHERE n.id = ?1"),
        [id],
    )
}

fn by_path(conn: &Connection, path: &str) -> Result<Option<Stored>, Fault> {
    one(
        conn,
        concat!("SELECT ", columns!(), " FROM notes n WHERE n.path = ?1"),
        [path],
    )
}

fn one(conn: &Connection, sql: &str, params: impl Params) -> Result<Option<Stored>, Fault> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(|row| stored(row, 0)).transpose()
}

/// A note of a row. What is wrong with the row itself is wrong with this note alone.
fn stored(row: &Row<'_>, first: usize) -> Result<Stored, Fault> {
    parsed(row, first).map_err(|fault| {
        let reason = match fault {
            Fault::Unusable(reason) | Fault::Corrupt(reason) => reason,
            Fault::Storage(error) if error.sqlite_error_code().is_none() => error.to_string(),
            other => return other,
        };
        let id: Result<String, _> = row.get(first + 1);
        let seq: Result<i64, _> = row.get(first);
        // A note whose identity cannot be read is called by its number.
        let note = id.unwrap_or_else(|_| format!("#{}", seq.unwrap_or_default()));
        Fault::Damaged { note, reason }
    })
}

fn parsed(row: &Row<'_>, first: usize) -> Result<Stored, Fault> {
    let text = |offset: usize| row.get_ref(first + offset)?.as_str().map_err(rusqlite::Error::from);
    let note = Note {
        id: NoteId::new(column::<String>(row, first + 1)?).map_err(|error| Fault::damaged("note id", error))?,
        path: column(row, first + 2)?,
        created_at: time(column(row, first + 3)?)?,
        updated_at: time(column(row, first + 4)?)?,
        tags: serde_json::from_str(text(5)?).map_err(|error| Fault::damaged("list of tags", error))?,
        metadata: serde_json::from_str(text(6)?).map_err(|error| Fault::damaged("metadata object", error))?,
        content: column(row, first + 7)?,
    };
    Ok(Stored {
        seq: column(row, first)?,
        note,
    })
}

fn column<T: FromSql>(row: &Row<'_>, index: usize) -> Result<T, Fault> {
    Ok(row.get(index)?)
}

pub(super) fn time(ms: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_millisecond(ms).map_err(|error| Fault::damaged("time", error))
}

/// Content that one answer of the change log may carry; the row that passes it is the last one.
const CHANGES_BYTES: usize = 4 << 20;

/// Up to `limit` rows of the change log after `since`, each with the note as it is now.
pub(super) fn changes(conn: &Connection, since: Cursor, limit: u32) -> Result<Vec<Change>, Fault> {
    const SQL: &str = concat!(
        "SELECT c.cursor, c.note_id, c.kind, ",
        columns!(),
        " FROM changes c LEFT JOIN notes n ON n.id = c.note_id WHERE c.cursor > ?1 ORDER BY c.cursor LIMIT ?2"
    );
    let since = i64::try_from(since).unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(SQL)?;
    let mut rows = statement.query(params![since, limit])?;
    let mut found = Vec::new();
    let mut bytes = 0;
    while bytes < CHANGES_BYTES {
        let Some(row) = rows.next()? else { break };
        let seq: Option<i64> = column(row, 3)?;
        let (note, unreadable) = match seq.map(|_| stored(row, 3)).transpose() {
            Ok(stored) => (stored.map(|stored| stored.note), None),
            Err(Fault::Damaged { note, reason }) => {
                damage::found(&note);
                (None, Some(reason))
            }
            Err(fault) => return Err(fault),
        };
        bytes += note.as_ref().map_or(0, |note| note.content.len());
        found.push(Change {
            cursor: cursor(column(row, 0)?)?,
            id: NoteId::new(column::<String>(row, 1)?).map_err(|error| Fault::damaged("note id", error))?,
            kind: kind(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?,
            note,
            unreadable,
        });
    }
    Ok(found)
}

/// The newest cursor that was ever given; 0 before the first change.
pub(super) fn newest_cursor(conn: &Connection) -> Result<Cursor, Fault> {
    let mut statement = conn.prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'changes'")?;
    let newest: Option<i64> = statement.query_row([], |row| row.get(0)).optional()?;
    cursor(newest.unwrap_or(0))
}

/// Lets the next cursor be greater than this one.
pub(super) fn go_on_after(conn: &Connection, newest: Cursor) -> Result<(), Fault> {
    if newest_cursor(conn)? >= newest {
        return Ok(());
    }
    let newest = i64::try_from(newest).unwrap_or(i64::MAX);
    let known = conn.execute("UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'changes'", [newest])?;
    if known == 0 {
        conn.execute(
            "INSERT INTO sqlite_sequence (name, seq) VALUES ('changes', ?1)",
            [newest],
        )?;
    }
    Ok(())
}

fn cursor(value: i64) -> Result<Cursor, Fault> {
    Cursor::try_from(value).map_err(|error| Fault::damaged("cursor", error))
}

/// The stored form of a [`ChangeKind`].
pub(super) fn kind_text(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Created => "created",
        ChangeKind::Updated => "updated",
        ChangeKind::Deleted => "deleted",
    }
}

fn kind(text: &str) -> Result<ChangeKind, Fault> {
    match text {
        "created" => Ok(ChangeKind::Created),
        "updated" => Ok(ChangeKind::Updated),
        "deleted" => Ok(ChangeKind::Deleted),
        other => Err(Fault::damaged("kind of change", other)),
    }
}
