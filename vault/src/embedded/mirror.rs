//! The embedded vault as the index of notes that are elsewhere: notes come in as they are there, with their times, and what
//! differs from before stands in the change log.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::EmbeddedVault;
use super::fault::Fault;
use super::triggers::{self, Tx};
use super::{read, sources, write};
use crate::note::{Note, NoteId, millis};
use crate::store::{ChangeKind, Key, VaultError};
use crate::triggers::Event;

/// What was seen on the other side.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// A note as it is there. A source that was of another note before is now of this one.
    Note {
        /// How the other side calls it.
        source: String,
        /// What tells whether it has changed.
        stamp: String,
        /// The note.
        note: Note,
    },
    /// The same, and whatever of it is new or has changed leaves no row in the change log.
    Quiet {
        /// How the other side calls it.
        source: String,
        /// What tells whether it has changed.
        stamp: String,
        /// The note.
        note: Note,
    },
    /// A note that is there no more. Nothing happens when the source is not known.
    Gone {
        /// How the other side called it.
        source: String,
    },
}

/// A known source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// How the other side calls it.
    pub(crate) name: String,
    /// Its note.
    pub(crate) note: NoteId,
    /// The stamp of the last time.
    pub(crate) stamp: String,
}

impl EmbeddedVault {
    /// Takes over what was seen, in this order, all or nothing. A note that is as it was (its `updated_at` and its stamp
    /// aside) leaves no row in the change log. A path that another note had goes over to the one seen last.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(crate) async fn mirror(&self, seen: Vec<Seen>) -> Result<(), VaultError> {
        self.mirror_with(seen, false).await
    }

    /// As [`EmbeddedVault::mirror`], then removes the notes that have no source any more when `sweep` says so.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(crate) async fn mirror_with(&self, seen: Vec<Seen>, sweep: bool) -> Result<(), VaultError> {
        let is_elsewhere = self.elsewhere.is_some();
        let doomed = self
            .write_here(move |conn, now| {
                let mut doomed = Vec::new();
                for seen in seen {
                    match seen {
                        Seen::Note { source, stamp, note } => put(conn, now, (&source, &stamp), note, true)?,
                        Seen::Quiet { source, stamp, note } => put(conn, now, (&source, &stamp), note, false)?,
                        Seen::Gone { source } => {
                            if let Some(id) = note_of(conn, &source)? {
                                if is_elsewhere {
                                    sources::remember_gone(conn, &source, &id)?;
                                }
                                let (_, files) = write::delete(conn, &Key::Id(id), now)?;
                                doomed.extend(files);
                            }
                        }
                    }
                }
                for id in if sweep {
                    sources::without_source(conn)?
                } else {
                    Vec::new()
                } {
                    let (_, files) = write::delete(conn, &Key::Id(id), now)?;
                    doomed.extend(files);
                }
                Ok(doomed)
            })
            .await?;
        self.discard(doomed).await;
        Ok(())
    }

    /// All known sources, by name.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(crate) async fn sources(&self) -> Result<Vec<Source>, VaultError> {
        self.readers.run(sources).await
    }

    /// The source of a note.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(crate) async fn source_of(&self, note: &NoteId) -> Result<Option<Source>, VaultError> {
        let note = note.clone();
        self.readers.run(move |conn| source_of(conn, &note)).await
    }

    /// The known sources of the notes that carry any of these tags, by name. The tags are bare.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(crate) async fn sources_with(&self, tags: &'static [&'static str]) -> Result<Vec<Source>, VaultError> {
        const SQL: &str = "SELECT s.name, n.id, s.stamp FROM note_tags t JOIN notes n ON n.seq = t.note \
                           JOIN sources s ON s.note = n.seq WHERE t.tag = ?1";
        self.readers
            .run(move |conn| {
                let mut sources = BTreeMap::new();
                for tag in tags {
                    let mut statement = conn.prepare_cached(SQL)?;
                    let mut rows = statement.query([tag])?;
                    while let Some(row) = rows.next()? {
                        let (name, id): (String, String) = (row.get(0)?, row.get(1)?);
                        let note = NoteId::new(id).map_err(|error| Fault::damaged("note id", error))?;
                        let stamp = row.get(2)?;
                        sources.insert(name.clone(), Source { name, note, stamp });
                    }
                }
                Ok(sources.into_values().collect())
            })
            .await
    }

    /// The stamps of those of the named sources that are known.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(crate) async fn stamps(&self, names: Vec<String>) -> Result<BTreeMap<String, String>, VaultError> {
        self.readers
            .run(move |conn| {
                let mut statement = conn.prepare_cached("SELECT stamp FROM sources WHERE name = ?1")?;
                let mut stamps = BTreeMap::new();
                for name in names {
                    let stamp: Option<String> = statement.query_row([&name], |row| row.get(0)).optional()?;
                    stamps.extend(stamp.map(|stamp| (name, stamp)));
                }
                Ok(stamps)
            })
            .await
    }

    /// A value that was kept under `key`.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(crate) async fn memo(&self, key: &'static str) -> Result<Option<String>, VaultError> {
        self.readers
            .run(move |conn| {
                let mut statement = conn.prepare_cached("SELECT value FROM memos WHERE key = ?1")?;
                Ok(statement.query_row([key], |row| row.get(0)).optional()?)
            })
            .await
    }

    /// Keeps a value under `key`.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(crate) async fn set_memo(&self, key: &'static str, value: String) -> Result<(), VaultError> {
        const SQL: &str = "INSERT INTO memos (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2";
        self.write(move |conn, _| {
            conn.prepare_cached(SQL)?.execute(params![key, value])?;
            Ok(())
        })
        .await
    }
}

/// All known sources, by name.
pub(super) fn sources(conn: &Connection) -> Result<Vec<Source>, Fault> {
    const SQL: &str = "SELECT s.name, n.id, s.stamp FROM sources s JOIN notes n ON n.seq = s.note ORDER BY s.name";
    let mut statement = conn.prepare_cached(SQL)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?)))?;
    rows.map(|row| {
        let (name, id, stamp) = row?;
        let note = NoteId::new(id).map_err(|error| Fault::damaged("note id", error))?;
        Ok(Source { name, note, stamp })
    })
    .collect()
}

/// The source of a note.
pub(super) fn source_of(conn: &Connection, note: &NoteId) -> Result<Option<Source>, Fault> {
    const SQL: &str = "SELECT s.name, s.stamp FROM sources s JOIN notes n ON n.seq = s.note WHERE n.id = ?1";
    let found = conn
        .prepare_cached(SQL)?
        .query_row([note.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.map(|(name, stamp)| Source {
        name,
        note: note.clone(),
        stamp,
    }))
}

fn note_of(conn: &Connection, source: &str) -> Result<Option<NoteId>, Fault> {
    let mut statement =
        conn.prepare_cached("SELECT n.id FROM sources s JOIN notes n ON n.seq = s.note WHERE s.name = ?1")?;
    let id: Option<String> = statement.query_row([source], |row| row.get(0)).optional()?;
    id.map(NoteId::new)
        .transpose()
        .map_err(|error| Fault::damaged("note id", error))
}

fn put(conn: &Tx<'_>, now: Timestamp, (source, stamp): (&str, &str), mut note: Note, told: bool) -> Result<(), Fault> {
    note.tags.sort_unstable();
    note.tags.dedup();
    note.created_at = millis::truncate(note.created_at);
    note.updated_at = millis::truncate(note.updated_at);
    give_way(conn, &note)?;
    let seq = match read::find(conn, &Key::Id(note.id.clone()))? {
        None => {
            let seq = write::insert_row(conn, &note)?;
            if told {
                write::log(conn, &note.id, ChangeKind::Created)?;
                triggers::fire(conn, seq, &note, Event::Created, now)?;
            }
            seq
        }
        Some(before) => {
            if before.note != note {
                write::update_row(conn, before.seq, &before.note, &note)?;
                let as_before = Note {
                    updated_at: before.note.updated_at,
                    ..note.clone()
                };
                if told && as_before != before.note {
                    write::log(conn, &note.id, ChangeKind::Updated)?;
                    triggers::fire(conn, before.seq, &note, Event::Updated, now)?;
                }
            }
            before.seq
        }
    };
    put_source(conn, seq, source, stamp)
}

/// Says where a note is.
pub(super) fn put_source(conn: &Connection, seq: i64, source: &str, stamp: &str) -> Result<(), Fault> {
    // A note has one source: the file may have moved.
    conn.prepare_cached("DELETE FROM sources WHERE note = ?1 AND name <> ?2")?
        .execute(params![seq, source])?;
    const SQL: &str = "INSERT INTO sources (name, note, stamp) VALUES (?1, ?2, ?3) \
                       ON CONFLICT (name) DO UPDATE SET note = ?2, stamp = ?3";
    conn.prepare_cached(SQL)?.execute(params![source, seq, stamp])?;
    Ok(())
}

/// Takes the path off another note that had it: what was seen last is true, and the other one is seen again or is gone.
fn give_way(conn: &Connection, note: &Note) -> Result<(), Fault> {
    let Some(path) = &note.path else { return Ok(()) };
    let Some(other) = read::find(conn, &Key::Path(path.clone()))?.filter(|other| other.note.id != note.id) else {
        return Ok(());
    };
    let without = Note {
        path: None,
        ..other.note.clone()
    };
    write::update_row(conn, other.seq, &other.note, &without)
}
