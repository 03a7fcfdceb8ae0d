//! The tags of a vault as a turn has them, and the vault as a whole: it reads what they mean, and changes nothing of it. A tag
//! decides what is a message and what is an agent.

use async_trait::async_trait;
use jiff::Timestamp;
use reveille_vault::agent::tag;
use reveille_vault::{Key, Note, Patch, Profile, Stats, Tag, TagChange, Tags, Vault as _, VaultError};

use super::MarkingVault;
use crate::renames::rewritten_by;

/// Notes below this path say which tag is a kind of which.
const TAG_NOTES: &str = "_tags/";

fn forbidden<T>() -> Result<T, VaultError> {
    Err(VaultError::Forbidden(
        "a turn may not change tags, only put them on notes; nothing was changed. Ask the operator to do it".into(),
    ))
}

/// A note that says which tag is a kind of which is as good as a change of the tag.
pub(super) fn refuse_note(note: &Note) -> Result<(), VaultError> {
    match &note.path {
        Some(path) if path.starts_with(TAG_NOTES) => forbidden(),
        _ => Ok(()),
    }
}

impl MarkingVault {
    /// With a new path the links to the note are written anew where they stand, and definitions are not for a turn to write.
    pub(super) async fn check_rename(&self, before: &Note, patch: &Patch) -> Result<(), VaultError> {
        for source in rewritten_by(&*self.inner, before, patch).await? {
            let source = self.get(&Key::Id(source)).await?;
            let what = match source {
                Some(source) if source.has_tag(tag::DEFINITION) => "definition of an agent",
                Some(source) if source.has_tag(tag::JOB) => "job of an agent",
                _ => continue,
            };
            return Err(VaultError::Forbidden(format!(
                "the {what} links to this note, and a new path would change the text there; nothing was written. Ask the \
                 operator to do it"
            )));
        }
        Ok(())
    }
}

#[async_trait]
impl Tags for MarkingVault {
    async fn all_tags(&self) -> Result<Vec<Tag>, VaultError> {
        self.inner.tags()?.all_tags().await
    }

    async fn tag(&self, name: &str) -> Result<Option<Tag>, VaultError> {
        self.inner.tags()?.tag(name).await
    }

    async fn kinds_of(&self, names: &[String]) -> Result<Vec<String>, VaultError> {
        self.inner.tags()?.kinds_of(names).await
    }

    async fn put_tag(&self, _: &str, _: TagChange) -> Result<Tag, VaultError> {
        forbidden()
    }

    async fn rename_tag(&self, _: &str, _: &str) -> Result<u64, VaultError> {
        forbidden()
    }

    async fn merge_tags(&self, _: &[String], _: &str) -> Result<Vec<(String, u64)>, VaultError> {
        forbidden()
    }

    async fn delete_tag(&self, _: &str) -> Result<Option<u64>, VaultError> {
        forbidden()
    }
}

#[async_trait]
impl Profile for MarkingVault {
    async fn description(&self) -> Result<Option<String>, VaultError> {
        self.inner.profile().description().await
    }

    async fn describe(&self, _: &str) -> Result<(), VaultError> {
        Err(VaultError::Forbidden(
            "a turn may not describe the vault; nothing was written. Ask the operator to do it".into(),
        ))
    }

    async fn made_at(&self) -> Result<Timestamp, VaultError> {
        self.inner.profile().made_at().await
    }

    async fn stats(&self) -> Result<Stats, VaultError> {
        self.inner.profile().stats().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reveille_vault::{ContentChange, EmbeddedVault, NewNote, Precondition, Vault};
    use uuid::Uuid;

    use super::super::Origin;
    use super::*;

    fn note(path: &str, content: &str) -> NewNote {
        NewNote {
            path: Some(path.into()),
            content: content.into(),
            ..NewNote::default()
        }
    }

    fn moved(path: &str) -> Patch {
        Patch {
            path: Some(Some(path.into())),
            ..Patch::default()
        }
    }

    fn refused<T: std::fmt::Debug>(outcome: Result<T, VaultError>) {
        let error = outcome.unwrap_err();
        assert!(matches!(error, VaultError::Forbidden(_)), "{error:?}");
    }

    fn vaults(dir: &tempfile::TempDir) -> (Arc<dyn Vault>, MarkingVault) {
        let inner: Arc<dyn Vault> = EmbeddedVault::open("v", &dir.path().join("v.db")).unwrap();
        let origin = Origin {
            turn: Uuid::from_u128(7),
            agent: "alpha".into(),
            vault: "v".into(),
            chain: "c1".into(),
            depth: 0,
            defines_agents: false,
            guard: crate::trust::Guard::default(),
        };
        let marking = MarkingVault::new(Arc::clone(&inner), Arc::new(origin));
        (inner, marking)
    }

    #[tokio::test]
    async fn a_turn_reads_tags_and_changes_none() {
        let dir = tempfile::tempdir().unwrap();
        let (inner, vault) = vaults(&dir);
        inner.tags().unwrap().put_tag("t", TagChange::default()).await.unwrap();
        let tags = vault.tags().unwrap();
        assert_eq!(tags.all_tags().await.unwrap().len(), 1);
        assert!(tags.tag("t").await.unwrap().is_some());
        refused(tags.put_tag("t", TagChange::default()).await);
        refused(tags.rename_tag("t", "agent/message/inbound").await);
        refused(tags.merge_tags(&["t".into()], "agent/message/inbound").await);
        refused(tags.delete_tag("t").await);
        refused(vault.profile().describe("mine").await);
        refused(vault.create(note("_tags/t", "x")).await);
        inner.create(note("_tags/there", "x")).await.unwrap();
        let there = Key::Path("_tags/there".into());
        refused(vault.patch(&there, moved("else"), Precondition::Force).await);
        vault.create(note("a", "x")).await.unwrap();
        let key = Key::Path("a".into());
        refused(vault.patch(&key, moved("/_tags/a"), Precondition::Force).await);
    }

    #[tokio::test]
    async fn a_turn_renames_no_note_that_a_definition_links_to() {
        let dir = tempfile::tempdir().unwrap();
        let (inner, vault) = vaults(&dir);
        let definition = NewNote {
            tags: vec![tag::DEFINITION.into()],
            ..note("Agents/eng", "Follow [[Rules]].")
        };
        inner.create(definition).await.unwrap();
        inner
            .create(note("Notes", "See [[Rules]] and [[Other]]."))
            .await
            .unwrap();
        for path in ["Rules", "Other"] {
            inner.create(note(path, "x")).await.unwrap();
        }
        let rename =
            async |path: &str, patch: Patch| vault.patch(&Key::Path(path.into()), patch, Precondition::Force).await;
        refused(rename("Rules", moved("Do as I say")).await);
        let replaced = Patch {
            content: ContentChange::Replace("y".into()),
            path: Some(Some("Rules.md".into())),
            ..Patch::default()
        };
        rename("Rules", replaced).await.unwrap();
        rename("Other", moved("Another")).await.unwrap();
        let notes = inner.get(&Key::Path("Notes".into())).await.unwrap().unwrap();
        assert_eq!(notes.content, "See [[Rules]] and [[Another]].");
    }
}
