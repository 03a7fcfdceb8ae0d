//! Files of the embedded vault: rows in the database, bytes in a private directory beside it.
//!
//! A name in that directory has a row in `doomed_files` before its first byte is written. The row that makes the file
//! visible replaces it in one transaction, once the bytes are on the disk; a removal goes the other way. So a crash can
//! leave bytes without a visible row, which the next opening removes, but never a row without its bytes.

mod bytes;
mod rows;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use uuid::Uuid;

pub(super) use self::bytes::FileDir;
use self::bytes::NewBytes;
pub(super) use self::rows::{attach, doom_files_of, of_note};
use super::fault::Fault;
use super::writer::Writer;
use super::{Clock, EmbeddedVault, read};
use crate::attachment::{
    Attachment, Files, NewAttachment, NewFile, OpenFile, StoredFile, UNKNOWN_TYPE, Upload, file_name, media_type,
    storage_path,
};
use crate::note::NoteId;
use crate::store::{Key, VaultError};

/// Rows that one transaction of a sweep touches, so that other writers are not held up.
const SWEEP_BATCH: u32 = 200;

/// Makes the directory, and removes what an earlier run has left in it. Nothing else may use the vault yet.
pub(super) fn open_dir(conn: &Connection, database: &Path) -> Result<(), Fault> {
    let dir = FileDir::open(database)?;
    let left = rows::doomed(conn, i64::MAX, u32::MAX)?;
    // What cannot be removed now is tried again by the next sweep: no reason to refuse the notes.
    rows::forget(conn, &dir.remove_now(&left))
}

impl EmbeddedVault {
    /// Removes the bytes of files whose rows are gone.
    pub(super) async fn discard(&self, ids: Vec<String>) {
        if ids.is_empty() {
            return;
        }
        let gone = self.dir.remove(ids).await;
        if let Err(error) = self.write(move |conn, _now| rows::forget(conn, &gone)).await {
            tracing::warn!(%error, "names of removed files are still kept; the next sweep takes them away");
        }
    }
}

#[async_trait]
impl Files for EmbeddedVault {
    async fn upload(&self, file: NewFile) -> Result<Box<dyn Upload>, VaultError> {
        let id = Uuid::now_v7();
        self.write(move |conn, now| rows::announce(conn, id, now)).await?;
        let bytes = self.dir.create(id).await.map_err(|fault| self.place.error(fault))?;
        Ok(Box::new(EmbeddedUpload {
            writer: Arc::clone(&self.writer),
            clock: Arc::clone(&self.clock),
            place: Arc::clone(&self.place),
            id,
            bytes,
            file,
        }))
    }

    async fn open(&self, path: &str) -> Result<Option<OpenFile>, VaultError> {
        let path = path.to_owned();
        let found = self.readers.run(move |conn| rows::stored(conn, &path)).await?;
        let Some((id, file)) = found else { return Ok(None) };
        let bytes = self.dir.read(&id).await.map_err(|fault| self.place.error(fault))?;
        Ok(Some(OpenFile {
            file,
            bytes: Box::new(bytes),
        }))
    }

    async fn attachments(&self, note: &Key) -> Result<Vec<Attachment>, VaultError> {
        let key = note.clone();
        self.readers
            .glance(move |conn| rows::of_note(conn, &read::existing(conn, &key)?))
            .await
    }

    async fn notes_of(&self, path: &str) -> Result<Vec<NoteId>, VaultError> {
        let path = path.to_owned();
        self.readers.run(move |conn| rows::notes_of(conn, &path)).await
    }

    async fn attach(&self, note: &Key, attachment: NewAttachment) -> Result<Attachment, VaultError> {
        let key = note.clone();
        self.write(move |conn, now| {
            let found = read::existing(conn, &key)?;
            attach(conn, found.seq, &found.note.id, attachment, now)
        })
        .await
    }

    async fn detach(&self, note: &Key, attachment: &str) -> Result<(), VaultError> {
        let (key, attachment) = (note.clone(), attachment.to_owned());
        let doomed = self
            .write(move |conn, now| rows::detach(conn, read::existing(conn, &key)?.seq, &attachment, now))
            .await?;
        self.discard(doomed).await;
        Ok(())
    }

    async fn sweep(&self, before: Timestamp) -> Result<u64, VaultError> {
        let before = before.as_millisecond();
        let mut swept: u64 = 0;
        loop {
            let unused = self
                .write(move |conn, now| rows::doom_unused(conn, before, now, SWEEP_BATCH))
                .await?;
            let count = unused.len();
            swept = swept.saturating_add(count.try_into().unwrap_or(u64::MAX));
            self.discard(unused).await;
            if count < SWEEP_BATCH as usize {
                break;
            }
        }
        // What an upload that was given up, or a removal that failed, has left. An upload that still runs is younger.
        let left = self
            .readers
            .run(move |conn| rows::doomed(conn, before, u32::MAX))
            .await?;
        self.discard(left).await;
        Ok(swept)
    }
}

struct EmbeddedUpload {
    writer: Arc<Writer>,
    clock: Clock,
    place: Arc<super::Place>,
    id: Uuid,
    bytes: NewBytes,
    file: NewFile,
}

#[async_trait]
impl Upload for EmbeddedUpload {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), VaultError> {
        self.bytes.write(bytes).await.map_err(|fault| self.place.error(fault))
    }

    async fn finish(self: Box<Self>) -> Result<StoredFile, VaultError> {
        let Self {
            writer,
            clock,
            place,
            id,
            bytes,
            file,
        } = *self;
        let whole = bytes.sync().await.map_err(|fault| place.error(fault))?;
        let size = whole.size();
        let filename = file_name(&file.filename);
        let mime_type = file.mime_type.as_deref().and_then(media_type);
        let mime_type = mime_type.unwrap_or_else(|| UNKNOWN_TYPE.to_owned());
        writer
            .run(move |conn| {
                let now = crate::note::millis::truncate(clock());
                let file = StoredFile {
                    path: storage_path(id, &filename, now),
                    filename,
                    mime_type,
                    size,
                    created_at: now,
                };
                rows::publish(conn, id, &file)?;
                // Here and not after the commit: the caller may be gone by then. If the commit fails, the name is doomed still.
                whole.keep();
                Ok(file)
            })
            .await
    }
}
