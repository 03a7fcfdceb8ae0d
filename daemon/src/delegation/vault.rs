//! A vault as a turn has it: what it writes is marked in the same write.

use std::sync::Arc;

use async_trait::async_trait;
use reveille_vault::note::millis;
use reveille_vault::{Change, Cursor, Key, NewNote, Note, NoteId, Page, Patch, Precondition, Query, Vault, VaultError};
use tokio::sync::watch;

use super::Origin;

/// How often a change is judged anew because the note has changed meanwhile.
const TRIES: u32 = 16;

/// A vault in the hands of a turn.
pub(crate) struct MarkingVault {
    inner: Arc<dyn Vault>,
    origin: Arc<Origin>,
}

impl MarkingVault {
    /// Of a vault, for a turn.
    #[must_use]
    pub(crate) fn new(inner: Arc<dyn Vault>, origin: Arc<Origin>) -> Self {
        Self { inner, origin }
    }

    /// Changes the note as it was judged: what a change means depends on the note, so it holds for that state only.
    async fn patch_as_read(&self, before: &Note, patch: Patch, precondition: Precondition) -> Result<Note, VaultError> {
        if let Precondition::UpdatedAt(expected) = precondition
            && millis::truncate(expected) != before.updated_at
        {
            return Err(VaultError::Conflict {
                id: before.id.clone(),
                path: before.path.clone(),
                current: before.updated_at,
                expected,
            });
        }
        let patch = self.origin.mark_patch(before, patch)?;
        let as_read = Precondition::UpdatedAt(before.updated_at);
        self.inner.patch(&Key::Id(before.id.clone()), patch, as_read).await
    }
}

#[async_trait]
impl Vault for MarkingVault {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn get(&self, key: &Key) -> Result<Option<Note>, VaultError> {
        self.inner.get(key).await
    }

    async fn query(&self, query: &Query) -> Result<Page, VaultError> {
        self.inner.query(query).await
    }

    async fn create_all(&self, notes: Vec<NewNote>) -> Result<Vec<Note>, VaultError> {
        let marked: Result<Vec<NewNote>, VaultError> =
            notes.into_iter().map(|note| self.origin.mark_new(note)).collect();
        self.inner.create_all(marked?).await
    }

    async fn patch(&self, key: &Key, patch: Patch, precondition: Precondition) -> Result<Note, VaultError> {
        let mut tries = 1;
        loop {
            let before = self
                .inner
                .get(key)
                .await?
                .ok_or_else(|| VaultError::NotFound { key: key.to_string() })?;
            match self.patch_as_read(&before, patch.clone(), precondition).await {
                Err(VaultError::Conflict { .. }) if precondition == Precondition::Force && tries < TRIES => tries += 1,
                outcome => return outcome,
            }
        }
    }

    async fn upsert(&self, path: &str, patch: Patch, create: NewNote) -> Result<(Note, bool), VaultError> {
        let key = Key::Path(path.to_owned());
        let mut tries = 1;
        loop {
            match self.patch(&key, patch.clone(), Precondition::Force).await {
                Err(VaultError::NotFound { .. }) => {}
                outcome => return outcome.map(|note| (note, false)),
            }
            let new = NewNote {
                path: Some(path.to_owned()),
                ..create.clone()
            };
            match self.create(new).await {
                Err(VaultError::PathTaken { .. }) if tries < TRIES => tries += 1,
                outcome => return outcome.map(|note| (note, true)),
            }
        }
    }

    async fn delete(&self, _: &Key) -> Result<NoteId, VaultError> {
        Err(VaultError::Forbidden(
            "a turn may not remove notes; nothing was removed. Ask the operator to do it".into(),
        ))
    }

    async fn changes(&self, since: Cursor, limit: u32) -> Result<Vec<Change>, VaultError> {
        self.inner.changes(since, limit).await
    }

    fn watch(&self) -> watch::Receiver<Cursor> {
        self.inner.watch()
    }
}
