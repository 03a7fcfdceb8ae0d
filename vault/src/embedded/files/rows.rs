//! The rows of files and attachments.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use crate::attachment::{Attachment, NewAttachment, StoredFile, file_name, media_type};
use crate::embedded::fault::Fault;
use crate::embedded::read::{self, Stored};
use crate::note::{NoteId, millis};
use crate::store::VaultError;

/// Most attachments of one note: whoever lists them gets all of them.
const ATTACHMENTS_MAX: u32 = 1000;

/// A name that is about to appear in the directory.
pub(super) fn announce(conn: &Connection, id: Uuid, now: Timestamp) -> Result<(), Fault> {
    doom(conn, &id.to_string(), now)
}

/// A file is whole and can be asked for.
pub(super) fn publish(conn: &Connection, id: Uuid, file: &StoredFile) -> Result<(), Fault> {
    let id = id.to_string();
    let mut announced = conn.prepare_cached("DELETE FROM doomed_files WHERE id = ?1")?;
    if announced.execute([&id])? != 1 {
        let reason =
            "the upload took so long that it was taken for given up; nothing was stored: upload the file again";
        return Err(Fault::Unusable(reason.into()));
    }
    const SQL: &str =
        "INSERT INTO files (id, path, filename, mime_type, size, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    conn.prepare_cached(SQL)?.execute(params![
        id,
        file.path,
        file.filename,
        file.mime_type,
        i64::try_from(file.size).unwrap_or(i64::MAX),
        file.created_at.as_millisecond()
    ])?;
    Ok(())
}

/// A file by its path, with its name in the directory.
pub(super) fn stored(conn: &Connection, path: &str) -> Result<Option<(String, StoredFile)>, Fault> {
    const SQL: &str = "SELECT id, path, filename, mime_type, size, created_at FROM files WHERE path = ?1";
    let mut statement = conn.prepare_cached(SQL)?;
    let mut rows = statement.query([path])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let file = StoredFile {
        path: row.get(1)?,
        filename: row.get(2)?,
        mime_type: row.get(3)?,
        size: size(row, 4)?,
        created_at: read::time(row.get(5)?)?,
    };
    Ok(Some((row.get(0)?, file)))
}

/// The attachments of a note, oldest first.
pub(in crate::embedded) fn of_note(conn: &Connection, found: &Stored) -> Result<Vec<Attachment>, Fault> {
    const SQL: &str = "SELECT a.id, f.path, a.filename, a.mime_type, f.size, a.created_at \
                       FROM attachments a JOIN files f ON f.seq = a.file WHERE a.note = ?1 ORDER BY a.seq";
    let mut statement = conn.prepare_cached(SQL)?;
    let mut rows = statement.query([found.seq])?;
    let mut attachments = Vec::new();
    while let Some(row) = rows.next()? {
        attachments.push(Attachment {
            id: row.get(0)?,
            note: found.note.id.clone(),
            path: row.get(1)?,
            filename: row.get(2)?,
            mime_type: row.get(3)?,
            size: size(row, 4)?,
            created_at: read::time(row.get(5)?)?,
        });
    }
    Ok(attachments)
}

/// The notes that have a file, in the order in which they were written.
pub(super) fn notes_of(conn: &Connection, path: &str) -> Result<Vec<NoteId>, Fault> {
    const SQL: &str = "SELECT DISTINCT n.seq, n.id FROM files f JOIN attachments a ON a.file = f.seq \
                       JOIN notes n ON n.seq = a.note WHERE f.path = ?1 ORDER BY n.seq";
    let mut statement = conn.prepare_cached(SQL)?;
    let ids = statement.query_map([path], |row| row.get::<_, String>(1))?;
    ids.map(|id| NoteId::new(id?).map_err(|error| Fault::damaged("note id", error)))
        .collect()
}

fn size(row: &Row<'_>, column: usize) -> Result<u64, Fault> {
    let size: i64 = row.get(column)?;
    u64::try_from(size).map_err(|error| Fault::damaged("size of a file", error))
}

/// Attaches a stored file to the note with that place in the order of insertion.
pub(in crate::embedded) fn attach(
    conn: &Connection,
    note: i64,
    id: &NoteId,
    new: NewAttachment,
    now: Timestamp,
) -> Result<Attachment, Fault> {
    let mut count = conn.prepare_cached("SELECT count(*) FROM attachments WHERE note = ?1")?;
    if count.query_row([note], |row| row.get::<_, u32>(0))? >= ATTACHMENTS_MAX {
        let message = format!("a note can have {ATTACHMENTS_MAX} attachments; nothing was attached");
        return Err(VaultError::Invalid(message).into());
    }
    let mut find = conn.prepare_cached("SELECT seq, filename, mime_type, size FROM files WHERE path = ?1")?;
    let mut files = find.query([&new.path])?;
    let Some(file) = files.next()? else {
        return Err(VaultError::NoFile { path: new.path }.into());
    };
    let attachment = Attachment {
        id: Uuid::now_v7().to_string(),
        note: id.clone(),
        filename: match &new.filename {
            Some(name) => file_name(name),
            None => file.get(1)?,
        },
        mime_type: match new.mime_type.as_deref() {
            Some(text) => media_type(text)
                .ok_or_else(|| VaultError::Invalid(format!("{text:?} is no media type; write it like image/png")))?,
            None => file.get(2)?,
        },
        path: new.path,
        size: size(file, 3)?,
        created_at: millis::truncate(now),
    };
    const SQL: &str =
        "INSERT INTO attachments (id, note, file, filename, mime_type, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    conn.prepare_cached(SQL)?.execute(params![
        attachment.id,
        note,
        file.get::<_, i64>(0)?,
        attachment.filename,
        attachment.mime_type,
        attachment.created_at.as_millisecond()
    ])?;
    Ok(attachment)
}

/// Takes an attachment off a note. Answers the names of files that nobody has any more.
pub(super) fn detach(conn: &Connection, note: i64, attachment: &str, now: Timestamp) -> Result<Vec<String>, Fault> {
    let mut statement = conn.prepare_cached("DELETE FROM attachments WHERE id = ?1 AND note = ?2 RETURNING file")?;
    let file: Option<i64> = statement
        .query_row(params![attachment, note], |row| row.get(0))
        .optional()?;
    match file {
        Some(file) => doom_unattached(conn, &[file], now),
        None => Err(VaultError::NotFound {
            key: attachment.to_owned(),
        }
        .into()),
    }
}

/// To be called around the removal of a note: `remove` takes its row away, and its attachments with it. Answers the names
/// of files that nobody has any more.
pub(in crate::embedded) fn doom_files_of(
    conn: &Connection,
    note: i64,
    now: Timestamp,
    remove: impl FnOnce() -> Result<(), Fault>,
) -> Result<Vec<String>, Fault> {
    let mut statement = conn.prepare_cached("SELECT DISTINCT file FROM attachments WHERE note = ?1")?;
    let files = statement.query_map([note], |row| row.get(0))?;
    let files: Vec<i64> = files.collect::<Result<_, _>>()?;
    remove()?;
    doom_unattached(conn, &files, now)
}

/// Takes away the rows of those files that no note has any more.
fn doom_unattached(conn: &Connection, files: &[i64], now: Timestamp) -> Result<Vec<String>, Fault> {
    const SQL: &str =
        "DELETE FROM files WHERE seq = ?1 AND NOT EXISTS (SELECT 1 FROM attachments WHERE file = ?1) RETURNING id";
    let mut statement = conn.prepare_cached(SQL)?;
    let mut doomed = Vec::new();
    for file in files {
        let id: Option<String> = statement.query_row([file], |row| row.get(0)).optional()?;
        doomed.extend(id);
    }
    for id in &doomed {
        doom(conn, id, now)?;
    }
    Ok(doomed)
}

/// Takes away the rows of up to `limit` files that were uploaded before `before` (in milliseconds) and belong to no note.
pub(super) fn doom_unused(conn: &Connection, before: i64, now: Timestamp, limit: u32) -> Result<Vec<String>, Fault> {
    const SQL: &str = "SELECT seq FROM files f WHERE created_at < ?1 \
                       AND NOT EXISTS (SELECT 1 FROM attachments WHERE file = f.seq) LIMIT ?2";
    let mut statement = conn.prepare_cached(SQL)?;
    let files = statement.query_map(params![before, limit], |row| row.get(0))?;
    let files: Vec<i64> = files.collect::<Result<_, _>>()?;
    doom_unattached(conn, &files, now)
}

fn doom(conn: &Connection, id: &str, now: Timestamp) -> Result<(), Fault> {
    conn.prepare_cached("INSERT INTO doomed_files (id, since) VALUES (?1, ?2)")?
        .execute(params![id, now.as_millisecond()])?;
    Ok(())
}

/// Names that may still be in the directory although no file has them, since before `before` (in milliseconds).
pub(super) fn doomed(conn: &Connection, before: i64, limit: u32) -> Result<Vec<String>, Fault> {
    let mut statement = conn.prepare_cached("SELECT id FROM doomed_files WHERE since < ?1 LIMIT ?2")?;
    let ids = statement.query_map(params![before, limit], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// These names are no longer in the directory, or stand for a file.
pub(super) fn forget(conn: &Connection, ids: &[String]) -> Result<(), Fault> {
    let mut statement = conn.prepare_cached("DELETE FROM doomed_files WHERE id = ?1")?;
    for id in ids {
        statement.execute([id])?;
    }
    Ok(())
}
