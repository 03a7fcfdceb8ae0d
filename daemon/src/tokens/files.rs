//! The files of a vault as the holder of a token has them: those of the notes that it sees, and its own uploads, which
//! belong to no note yet.

use async_trait::async_trait;
use jiff::Timestamp;
use reveille_vault::{Attachment, Files, Key, NewAttachment, NewFile, NoteId, OpenFile, Upload, VaultError};

use super::vault::ScopedVault;

impl ScopedVault {
    /// Which of the notes that have a file are seen, and whether there are others.
    async fn holders(&self, path: &str) -> Result<(Vec<NoteId>, bool), VaultError> {
        let all = self.inner.files().notes_of(path).await?;
        let count = all.len();
        let mut seen = Vec::new();
        for id in all {
            if self.seen(&Key::Id(id.clone())).await?.is_some() {
                seen.push(id);
            }
        }
        let others = seen.len() < count;
        Ok((seen, others))
    }

    /// Whoever attaches a file can read it: it must be one that is seen, or that nobody has yet. Otherwise it is not there.
    pub(super) async fn may_attach(&self, path: &str) -> Result<(), VaultError> {
        if self.scope().await?.is_none() {
            return Ok(());
        }
        match self.holders(path).await? {
            (seen, true) if seen.is_empty() => Err(VaultError::NoFile { path: path.to_owned() }),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Files for ScopedVault {
    async fn upload(&self, file: NewFile) -> Result<Box<dyn Upload>, VaultError> {
        self.may_write()?;
        self.inner.files().upload(file).await
    }

    async fn open(&self, path: &str) -> Result<Option<OpenFile>, VaultError> {
        if self.scope().await?.is_some() && self.holders(path).await?.0.is_empty() {
            return Ok(None);
        }
        self.inner.files().open(path).await
    }

    async fn attachments(&self, note: &Key) -> Result<Vec<Attachment>, VaultError> {
        let note = self.existing(note).await?;
        self.inner.files().attachments(&Key::Id(note.id)).await
    }

    async fn notes_of(&self, path: &str) -> Result<Vec<NoteId>, VaultError> {
        Ok(self.holders(path).await?.0)
    }

    async fn attach(&self, note: &Key, attachment: NewAttachment) -> Result<Attachment, VaultError> {
        self.may_write()?;
        let note = self.existing(note).await?;
        self.may_attach(&attachment.path).await?;
        self.inner.files().attach(&Key::Id(note.id), attachment).await
    }

    async fn detach(&self, note: &Key, attachment: &str) -> Result<(), VaultError> {
        self.may_write()?;
        let note = self.existing(note).await?;
        self.inner.files().detach(&Key::Id(note.id), attachment).await
    }

    async fn sweep(&self, _: Timestamp) -> Result<u64, VaultError> {
        Err(VaultError::Forbidden(
            "a token removes no uploads; nothing was removed".into(),
        ))
    }
}
