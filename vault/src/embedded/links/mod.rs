//! Links of the embedded vault. What stands in a body is read from it in the transaction that writes it; what a link names
//! is looked for again whenever a note comes, goes or moves that it may mean.

mod backlog;
mod given;
mod rename;
mod resolve;
mod walk;
mod written;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, Row};

pub(super) use self::backlog::read_some;
pub(super) use self::given::change;
pub(super) use self::rename::{Named, follow as follow_rename};
use super::fault::Fault;
use super::{EmbeddedVault, read};
use crate::links::{Link, Links, Near, Neighbour, Trail, Unresolved};
use crate::note::{Note, NoteId};
use crate::store::{Key, VaultError};

/// The last segment of a column with a path, as the indexes have it.
macro_rules! segment {
    ($column:literal) => {
        concat!(
            "substr(",
            $column,
            ", length(rtrim(",
            $column,
            ", replace(",
            $column,
            ", '/', ''))) + 1)"
        )
    };
}
pub(super) use segment;

/// A note has come, or has changed from `before`.
pub(super) fn follow(conn: &Connection, seq: i64, before: Option<&Note>, note: &Note) -> Result<(), Fault> {
    let was = before.and_then(|before| before.path.as_deref());
    let links = |note: &Note| note.content.contains("[[");
    let changed = before.is_none_or(|before| before.content != note.content);
    if changed && (links(note) || before.is_some_and(links)) {
        written::index(conn, seq, &note.content, note.updated_at.as_millisecond())?;
    }
    if before.is_none() {
        given::arrived(conn, seq, note.id.as_str())?;
    }
    if was != note.path.as_deref() {
        for path in [was, note.path.as_deref()].into_iter().flatten() {
            resolve::around(conn, path)?;
        }
        if let Some(path) = &note.path {
            given::arrived(conn, seq, path)?;
        }
    }
    Ok(())
}

/// A note is about to go.
pub(super) fn before_removal(conn: &Connection, seq: i64) -> Result<(), Fault> {
    conn.prepare_cached("DELETE FROM links WHERE target = ?1 AND in_body = 0")?
        .execute([seq])?;
    Ok(())
}

/// A note is gone.
pub(super) fn after_removal(conn: &Connection, note: &Note) -> Result<(), Fault> {
    note.path.as_deref().map_or(Ok(()), |path| resolve::around(conn, path))
}

/// The notes near one, as a JSON array of places in the order of insertion.
pub(super) fn near(conn: &Connection, near: &Near) -> Result<String, Fault> {
    let start = read::existing(conn, &near.note)?.seq;
    let found = walk::around(conn, start, near)?;
    let places: Vec<i64> = found.into_iter().map(|(seq, _)| seq).collect();
    Ok(serde_json::Value::from(places).to_string())
}

#[async_trait]
impl Links for EmbeddedVault {
    async fn links_of(&self, note: &Key) -> Result<Vec<Link>, VaultError> {
        let key = note.clone();
        self.readers
            .run(move |conn| of_note(conn, read::existing(conn, &key)?.seq))
            .await
    }

    async fn unresolved_links(&self) -> Result<Vec<Unresolved>, VaultError> {
        self.readers.run(unresolved).await
    }

    async fn neighbours(&self, near: &Near) -> Result<Vec<Neighbour>, VaultError> {
        let near = near.clone();
        self.readers
            .run(move |conn| {
                let start = read::existing(conn, &near.note)?.seq;
                let found = walk::around(conn, start, &near)?;
                let neighbour = |(seq, depth)| {
                    let (note, path) = name_of(conn, seq)?;
                    Ok(Neighbour { note, path, depth })
                };
                found.into_iter().map(neighbour).collect()
            })
            .await
    }

    async fn find_path(&self, source: &Key, target: &Key, max_depth: u32) -> Result<Option<Trail>, VaultError> {
        let (source, target) = (source.clone(), target.clone());
        self.readers
            .run(move |conn| {
                let source = read::existing(conn, &source)?.seq;
                let target = read::existing(conn, &target)?.seq;
                let Some((notes, relationships)) = walk::path(conn, source, target, max_depth)? else {
                    return Ok(None);
                };
                let notes = notes.into_iter().map(|seq| Ok(name_of(conn, seq)?.0));
                Ok(Some(Trail {
                    notes: notes.collect::<Result<_, Fault>>()?,
                    relationships,
                }))
            })
            .await
    }
}

fn of_note(conn: &Connection, seq: i64) -> Result<Vec<Link>, Fault> {
    const SQL: &str = "SELECT s.id, s.path, t.id, t.path, l.relationship, l.metadata, \
                           iif(l.in_body, l.name, NULL), l.created_at \
                       FROM links l JOIN notes s ON s.seq = l.source JOIN notes t ON t.seq = l.target \
                       WHERE l.seq IN (SELECT seq FROM links WHERE source = ?1 AND target IS NOT NULL \
                                       UNION ALL SELECT seq FROM links WHERE target = ?1) \
                       ORDER BY l.source <> ?1, t.seq, s.seq, l.relationship, l.name";
    let mut statement = conn.prepare_cached(SQL)?;
    let mut rows = statement.query([seq])?;
    let mut links = Vec::new();
    while let Some(row) = rows.next()? {
        links.push(link(row)?);
    }
    Ok(links)
}

fn link(row: &Row<'_>) -> Result<Link, Fault> {
    let metadata: String = row.get(5)?;
    Ok(Link {
        source: note_id(row.get(0)?)?,
        source_path: row.get(1)?,
        target: note_id(row.get(2)?)?,
        target_path: row.get(3)?,
        relationship: row.get(4)?,
        metadata: serde_json::from_str(&metadata).map_err(|error| Fault::damaged("metadata object", error))?,
        name: row.get(6)?,
        created_at: time(row.get(7)?)?,
    })
}

fn unresolved(conn: &Connection) -> Result<Vec<Unresolved>, Fault> {
    const SQL: &str = "SELECT s.id, s.path, l.name FROM links l JOIN notes s ON s.seq = l.source \
                       WHERE l.target IS NULL AND l.in_body = 1 ORDER BY l.source, l.seq";
    let mut statement = conn.prepare_cached(SQL)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Unresolved {
            source: note_id(row.get(0)?)?,
            source_path: row.get(1)?,
            name: row.get(2)?,
        });
    }
    Ok(found)
}

fn name_of(conn: &Connection, seq: i64) -> Result<(NoteId, Option<String>), Fault> {
    let mut statement = conn.prepare_cached("SELECT id, path FROM notes WHERE seq = ?1")?;
    let (id, path): (String, _) = statement.query_row([seq], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((note_id(id)?, path))
}

fn note_id(text: String) -> Result<NoteId, Fault> {
    NoteId::new(text).map_err(|error| Fault::damaged("note id", error))
}

fn time(ms: i64) -> Result<Timestamp, Fault> {
    read::time(ms)
}
