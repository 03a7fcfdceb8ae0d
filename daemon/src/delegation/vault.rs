//! A vault as a turn has it: what it writes is marked in the same write.

use std::sync::Arc;

use async_trait::async_trait;
use reveille_vault::agent::tag;
use reveille_vault::note::millis;
use reveille_vault::{
    Capabilities, Change, Cursor, Files, Key, Kind, Links, NewNote, Note, NoteId, Page, Patch, Precondition, Profile,
    Query, Tags, Triggers, Vault, VaultError, VaultState,
};
use tokio::sync::watch;

use super::{Origin, jobs};
use crate::vaults::upsert_in_steps;

/// How often a change is judged anew because the note has changed meanwhile.
const TRIES: u32 = 16;

/// A vault in the hands of a turn.
pub(crate) struct MarkingVault {
    pub(super) inner: Arc<dyn Vault>,
    pub(super) origin: Arc<Origin>,
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
        self.check_name(before, &patch).await?;
        self.check_rename(before, &patch).await?;
        let as_read = Precondition::UpdatedAt(before.updated_at);
        let _counted;
        if before.has_tag(tag::JOB) && jobs::is_one_more(before, &patch.preview(before)?) {
            _counted = jobs::COUNTED.lock().await;
            self.check_room(1).await?;
        }
        self.inner.patch(&Key::Id(before.id.clone()), patch, as_read).await
    }
}

#[async_trait]
impl Vault for MarkingVault {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn kind(&self) -> Kind {
        self.inner.kind()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn state(&self) -> VaultState {
        self.inner.state()
    }

    async fn get(&self, key: &Key) -> Result<Option<Note>, VaultError> {
        self.inner.get(key).await
    }

    async fn query(&self, query: &Query) -> Result<Page, VaultError> {
        self.inner.query(query).await
    }

    async fn create_all(&self, notes: Vec<NewNote>) -> Result<Vec<Note>, VaultError> {
        let marked = notes.into_iter().map(|note| self.origin.mark_new(note));
        let marked = marked.collect::<Result<Vec<NewNote>, VaultError>>()?;
        for note in &marked {
            self.check_new_name(note).await?;
        }
        let _counted;
        let jobs = jobs::among(&marked)?;
        if jobs > 0 {
            _counted = jobs::COUNTED.lock().await;
            self.check_room(jobs).await?;
        }
        self.inner.create_all(marked).await
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
        upsert_in_steps(self, path, patch, create).await
    }

    async fn delete(&self, _: &Key) -> Result<NoteId, VaultError> {
        Err(VaultError::Forbidden(
            "a turn may not remove notes; nothing was removed. Ask the operator to do it".into(),
        ))
    }

    async fn changes(&self, since: Cursor, limit: u32) -> Result<Vec<Change>, VaultError> {
        self.inner.changes(since, limit).await
    }

    async fn log(&self) -> Result<String, VaultError> {
        self.inner.log().await
    }

    fn files(&self) -> &dyn Files {
        self
    }

    fn tags(&self) -> Result<&dyn Tags, VaultError> {
        self.inner.tags()?;
        Ok(self)
    }

    fn links(&self) -> Result<&dyn Links, VaultError> {
        self.inner.links()
    }

    fn profile(&self) -> &dyn Profile {
        self
    }

    fn triggers(&self) -> Result<&dyn Triggers, VaultError> {
        Err(VaultError::Forbidden(
            "a turn may not touch triggers; nothing was changed. Ask the operator to do it".into(),
        ))
    }

    fn watch(&self) -> watch::Receiver<Cursor> {
        self.inner.watch()
    }

    async fn look(&self, note: Option<&NoteId>) -> Result<(), VaultError> {
        self.inner.look(note).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[cfg(test)]
mod tests {
    use reveille_vault::EmbeddedVault;
    use uuid::Uuid;

    use super::*;

    fn add_tag() -> Patch {
        Patch {
            add_tags: vec![tag::INBOUND.into()],
            ..Patch::default()
        }
    }

    fn address() -> Patch {
        Patch {
            metadata: [("agent".to_owned(), "beta".into())].into_iter().collect(),
            ..Patch::default()
        }
    }

    fn marking(inner: &Arc<dyn Vault>) -> MarkingVault {
        let origin = Origin {
            turn: Uuid::from_u128(7),
            agent: "alpha".into(),
            vault: "v".into(),
            chain: "c1".into(),
            depth: 0,
            defines_agents: false,
            guard: crate::trust::Guard::default(),
        };
        MarkingVault::new(Arc::clone(inner), Arc::new(origin))
    }

    #[tokio::test]
    async fn a_change_holds_only_for_the_note_that_was_judged() {
        let dir = tempfile::tempdir().unwrap();
        let inner: Arc<dyn Vault> = EmbeddedVault::open("v", &dir.path().join("v.db")).unwrap();
        let vault = marking(&inner);
        let new = NewNote {
            content: "hi".into(),
            ..NewNote::default()
        };
        let before = vault.create(new).await.unwrap();
        let key = Key::Id(before.id.clone());
        // Seen alone neither change makes a message of it.
        inner.patch(&key, add_tag(), Precondition::Force).await.unwrap();
        let late = vault.patch_as_read(&before, address(), Precondition::Force).await;
        assert!(matches!(late, Err(VaultError::Conflict { .. })), "{late:?}");
        let note = vault.patch(&key, address(), Precondition::Force).await.unwrap();
        assert_eq!(note.text("chain_id").as_deref(), Some("c1"));
        // Who names the state that they saw is told of another one.
        let stale = vault
            .patch(&key, address(), Precondition::UpdatedAt(before.updated_at))
            .await;
        assert!(matches!(stale, Err(VaultError::Conflict { .. })), "{stale:?}");
    }

    #[tokio::test]
    async fn a_note_at_a_path_is_marked_whether_or_not_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let inner: Arc<dyn Vault> = EmbeddedVault::open("v", &dir.path().join("v.db")).unwrap();
        let vault = marking(&inner);
        let new = NewNote {
            content: "hi".into(),
            tags: vec![tag::INBOUND.into()],
            ..NewNote::default()
        };
        for (path, there) in [("new", false), ("old", true)] {
            if there {
                let old = NewNote {
                    path: Some(path.into()),
                    ..NewNote::default()
                };
                inner.create(old).await.unwrap();
            }
            let (note, created) = vault.upsert(path, add_tag(), new.clone()).await.unwrap();
            let seen = (created, note.text("chain_id"));
            assert_eq!(seen, (!there, Some("c1".into())), "{path}");
        }
        let gone = vault.delete(&Key::Path("new".into())).await;
        assert!(matches!(gone, Err(VaultError::Forbidden(_))), "{gone:?}");
        assert!(matches!(vault.triggers().err(), Some(VaultError::Forbidden(_))));
    }
}
