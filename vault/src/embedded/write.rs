//! The writes, each inside a savepoint of the writer's transaction.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::fault::Fault;
use super::read::{self, Stored};
use super::triggers::{self, Tx};
use super::{fields, files, links, rules, search, tags};
use crate::attachment::NewAttachment;
use crate::note::{Note, NoteId};
use crate::store::{ChangeKind, Key, NewNote, Patch, Precondition, VaultError, Write};
use crate::triggers::Event;

/// Writes new notes. The caller's savepoint makes it all or none.
pub(super) fn create_all(conn: &Tx<'_>, new: Vec<NewNote>, now: Timestamp) -> Result<Vec<Note>, Fault> {
    new.into_iter().map(|new| create(conn, new, now)).collect()
}

fn create(conn: &Tx<'_>, mut new: NewNote, now: Timestamp) -> Result<Note, Fault> {
    let attachments = std::mem::take(&mut new.attachments);
    let linked = std::mem::take(&mut new.links);
    let (seq, note) = insert(conn, rules::created(new, now)?, attachments, now)?;
    links::change(conn, seq, linked, &[], now)?;
    Ok(note)
}

/// Changes one note.
pub(super) fn patch(
    conn: &Tx<'_>,
    key: &Key,
    patch: Patch,
    precondition: Precondition,
    now: Timestamp,
) -> Result<Note, Fault> {
    let found = read::existing(conn, key)?;
    update(conn, found, patch, precondition, now)
}

/// Does one after the other. The caller's transaction makes it all or none.
pub(super) fn together(conn: &Tx<'_>, writes: Vec<Write>, now: Timestamp) -> Result<(), Fault> {
    for write in writes {
        match write {
            Write::Patch(id, change) => drop(patch(conn, &Key::Id(id), change, Precondition::Force, now)?),
            Write::Create(new) => drop(create(conn, new, now)?),
        }
    }
    Ok(())
}

/// Changes the note at `path`, or creates it there. The flag says whether it was created.
pub(super) fn upsert(
    conn: &Tx<'_>,
    path: &str,
    patch: Patch,
    create: NewNote,
    now: Timestamp,
) -> Result<(Note, bool), Fault> {
    let path = rules::checked_path(path)?.ok_or_else(|| VaultError::Invalid("the path is blank".into()))?;
    let key = Key::Path(path.clone());
    match read::find(conn, &key)? {
        Some(found) => Ok((update(conn, found, patch, Precondition::Force, now)?, false)),
        None => {
            let new = NewNote {
                path: Some(path),
                ..create
            };
            Ok((self::create(conn, new, now)?, true))
        }
    }
}

/// Removes one note. Answers also the names of the files that go with it.
pub(super) fn delete(conn: &Connection, key: &Key, now: Timestamp) -> Result<(NoteId, Vec<String>), Fault> {
    let Stored { seq, note } = read::doomed(conn, key)?;
    links::before_removal(conn, seq)?;
    let doomed = files::doom_files_of(conn, seq, now, || {
        search::remove(conn, seq)?;
        conn.prepare_cached("DELETE FROM notes WHERE seq = ?1")?
            .execute([seq])?;
        Ok(())
    })?;
    links::after_removal(conn, &note)?;
    log(conn, &note.id, ChangeKind::Deleted)?;
    Ok((note.id, doomed))
}

fn insert(conn: &Tx<'_>, note: Note, attachments: Vec<NewAttachment>, now: Timestamp) -> Result<(i64, Note), Fault> {
    if read::find(conn, &Key::Id(note.id.clone()))?.is_some() {
        return Err(VaultError::IdTaken { id: note.id }.into());
    }
    path_is_free(conn, &note)?;
    let seq = insert_row(conn, &note)?;
    for attachment in attachments {
        files::attach(conn, seq, &note.id, attachment, now)?;
    }
    log(conn, &note.id, ChangeKind::Created)?;
    triggers::fire(conn, seq, &note, Event::Created, now)?;
    Ok((seq, note))
}

fn update(
    conn: &Tx<'_>,
    found: Stored,
    mut patch: Patch,
    precondition: Precondition,
    now: Timestamp,
) -> Result<Note, Fault> {
    let Stored { seq, note: before } = found;
    let (add, remove) = (
        std::mem::take(&mut patch.add_links),
        std::mem::take(&mut patch.remove_links),
    );
    let patched = rules::patched(&before, patch, precondition, now)?;
    // After the precondition. What fails later undoes it.
    let relinked = links::change(conn, seq, add, &remove, now)?;
    let note = match patched {
        Some(note) => note,
        None if relinked => Note {
            updated_at: rules::later(now, before.updated_at),
            ..before.clone()
        },
        None => return Ok(before),
    };
    let renamed = before.path.as_ref().filter(|_| note.path != before.path);
    let named = renamed.map(|_| links::Named::of(conn, seq)).transpose()?;
    if note.path != before.path {
        path_is_free(conn, &note)?;
    }
    update_row(conn, seq, &before, &note)?;
    log(conn, &note.id, ChangeKind::Updated)?;
    triggers::fire(conn, seq, &note, Event::Updated, now)?;
    match renamed.zip(named) {
        Some((old, named)) => links::follow_rename(conn, seq, old, note, &named, now),
        None => Ok(note),
    }
}

/// Writes the row of a new note and what is found by it. Answers its place in the order of insertion.
pub(super) fn insert_row(conn: &Connection, note: &Note) -> Result<i64, Fault> {
    const SQL: &str = "INSERT INTO notes (id, path, created_at, updated_at, agent, tags, metadata, content) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let row = Row::of(note);
    conn.prepare_cached(SQL)?.execute(params![
        note.id.as_str(),
        note.path,
        row.created_at,
        row.updated_at,
        row.agent,
        row.tags,
        row.metadata,
        note.content
    ])?;
    let seq = conn.last_insert_rowid();
    index_tags(conn, seq, note, &row)?;
    fields::add(conn, seq, note)?;
    search::add(conn, seq, &note.content)?;
    follow(conn, seq, None, note)?;
    Ok(seq)
}

/// Makes the row of a note what `note` says, and what is found by it.
pub(super) fn update_row(conn: &Connection, seq: i64, before: &Note, note: &Note) -> Result<(), Fault> {
    // SQLite writes every index of a column that is set, also to what it was: few updates touch what most indexes are of.
    const ALL: &str = "UPDATE notes SET path = ?2, created_at = ?3, updated_at = ?4, agent = ?5, tags = ?6, metadata = ?7, \
                       content = ?8 WHERE seq = ?1";
    const IN_PLACE: &str = "UPDATE notes SET updated_at = ?2, tags = ?3, metadata = ?4, content = ?5 WHERE seq = ?1";
    let row = Row::of(note);
    let placed = (row.created_at, &row.agent) == (before.created_at.as_millisecond(), &agent_of(before));
    if placed && note.path == before.path {
        let values = params![seq, row.updated_at, row.tags, row.metadata, note.content];
        conn.prepare_cached(IN_PLACE)?.execute(values)?;
    } else {
        conn.prepare_cached(ALL)?.execute(params![
            seq,
            note.path,
            row.created_at,
            row.updated_at,
            row.agent,
            row.tags,
            row.metadata,
            note.content
        ])?;
    }
    if !placed || note.tags != before.tags {
        conn.prepare_cached("DELETE FROM note_tags WHERE note = ?1")?
            .execute([seq])?;
        index_tags(conn, seq, note, &row)?;
    }
    if note.metadata != before.metadata {
        fields::change(conn, seq, before, note)?;
    }
    if note.content != before.content {
        search::remove(conn, seq)?;
        search::add(conn, seq, &note.content)?;
    }
    follow(conn, seq, Some(before), note)
}

/// What other tables say of a note, from the note as it is now.
fn follow(conn: &Connection, seq: i64, before: Option<&Note>, note: &Note) -> Result<(), Fault> {
    links::follow(conn, seq, before, note)?;
    tags::hierarchy::follow(conn, seq, before, note)
}

/// The columns whose stored form differs from the note's.
struct Row {
    created_at: i64,
    updated_at: i64,
    agent: Option<String>,
    tags: String,
    metadata: String,
}

impl Row {
    fn of(note: &Note) -> Self {
        Self {
            created_at: note.created_at.as_millisecond(),
            updated_at: note.updated_at.as_millisecond(),
            agent: agent_of(note),
            tags: serde_json::Value::from(note.tags.clone()).to_string(),
            metadata: serde_json::Value::from(note.metadata.clone()).to_string(),
        }
    }
}

fn agent_of(note: &Note) -> Option<String> {
    note.metadata.get("agent").and_then(rules::comparable).map(Into::into)
}

fn index_tags(conn: &Connection, seq: i64, note: &Note, row: &Row) -> Result<(), Fault> {
    const SQL: &str = "INSERT INTO note_tags (tag, created_at, note, agent) VALUES (?1, ?2, ?3, ?4)";
    let mut statement = conn.prepare_cached(SQL)?;
    for tag in &note.tags {
        statement.execute(params![tag, row.created_at, seq, row.agent])?;
        tags::know(conn, tag)?;
    }
    Ok(())
}

fn path_is_free(conn: &Connection, note: &Note) -> Result<(), Fault> {
    let Some(path) = &note.path else { return Ok(()) };
    match read::find(conn, &Key::Path(path.clone()))? {
        Some(_) => Err(VaultError::PathTaken { path: path.clone() }.into()),
        None => Ok(()),
    }
}

pub(super) fn log(conn: &Connection, id: &NoteId, kind: ChangeKind) -> Result<(), Fault> {
    let mut statement = conn.prepare_cached("INSERT INTO changes (note_id, kind) VALUES (?1, ?2)")?;
    statement.execute([id.as_str(), read::kind_text(kind)])?;
    Ok(())
}
