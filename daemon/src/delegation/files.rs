//! The files of a vault as a turn has them: it reads them and brings new ones. They come to a note with the note itself,
//! so that no message is changed behind the back of who wrote it.

use async_trait::async_trait;
use jiff::Timestamp;
use reveille_vault::{Attachment, Files, Key, NewAttachment, NewFile, NoteId, OpenFile, Upload, VaultError};

use super::MarkingVault;

fn forbidden<T>() -> Result<T, VaultError> {
    Err(VaultError::Forbidden(
        "a turn may not change the attachments of a note; nothing was changed. Write a new note with its attachments"
            .into(),
    ))
}

#[async_trait]
impl Files for MarkingVault {
    async fn upload(&self, file: NewFile) -> Result<Box<dyn Upload>, VaultError> {
        self.inner.files().upload(file).await
    }

    async fn open(&self, path: &str) -> Result<Option<OpenFile>, VaultError> {
        self.inner.files().open(path).await
    }

    async fn attachments(&self, note: &Key) -> Result<Vec<Attachment>, VaultError> {
        self.inner.files().attachments(note).await
    }

    async fn notes_of(&self, path: &str) -> Result<Vec<NoteId>, VaultError> {
        self.inner.files().notes_of(path).await
    }

    async fn attach(&self, _: &Key, _: NewAttachment) -> Result<Attachment, VaultError> {
        forbidden()
    }

    async fn detach(&self, _: &Key, _: &str) -> Result<(), VaultError> {
        forbidden()
    }

    async fn sweep(&self, _: Timestamp) -> Result<u64, VaultError> {
        forbidden()
    }
}
