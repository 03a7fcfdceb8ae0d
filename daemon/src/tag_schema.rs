//! The tags of the agents' notes, declared where tags can be described: so that a person, and every other program on the
//! vault, finds out what they mean. Nothing here depends on it.

use std::sync::Arc;

use reveille_vault::agent::tag;
use reveille_vault::{Tag, TagChange, Tags, Vault, VaultError};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

/// What is said of one tag.
struct Entry {
    name: &'static str,
    description: &'static str,
    parent: Option<&'static str>,
    /// Metadata keys that listings filter by; all of them text.
    fields: &'static [&'static str],
}

const ROOT: &str = "agent";

/// Parents before their children.
const ENTRIES: [Entry; 8] = [
    Entry {
        name: ROOT,
        description: "Everything of the agents. No note carries it; it finds all that is below.",
        parent: None,
        fields: &[],
    },
    Entry {
        name: tag::DEFINITION,
        description: "An agent: the body is its role, the metadata its settings.",
        parent: Some(ROOT),
        fields: &[],
    },
    Entry {
        name: "agent/role",
        description: "A text that agents and conversations can take up as a role.",
        parent: Some(ROOT),
        fields: &[],
    },
    Entry {
        name: tag::MESSAGE,
        description: "A message to or from an agent.",
        parent: Some(ROOT),
        fields: &["agent"],
    },
    Entry {
        name: tag::INBOUND,
        description: "A message to the agent that metadata.agent names: it wakes the agent.",
        parent: Some(tag::MESSAGE),
        fields: &[],
    },
    Entry {
        name: tag::OUTBOUND,
        description: "An agent's answer.",
        parent: Some(tag::MESSAGE),
        fields: &[],
    },
    Entry {
        name: "agent/job",
        description: "A message that an agent gets on a schedule.",
        parent: Some(ROOT),
        fields: &["agent", "enabled", "lastStatus"],
    },
    Entry {
        name: tag::THREAD,
        description: "The record of a conversation with an agent; the body is its standing context.",
        parent: Some(ROOT),
        fields: &["agent", "status", "definition", "mode"],
    },
];

/// Declares the tags in a vault that can take it. What fails is tried again at the next start, and so is what `drain` cuts
/// off.
pub(crate) async fn declare(vault: Arc<dyn Vault>, drain: CancellationToken) {
    let _cut_off = drain.run_until_cancelled(declare_in(&*vault)).await;
}

async fn declare_in(vault: &dyn Vault) {
    // A vault without schemas has nothing to be told.
    let Ok(tags) = vault.tags() else { return };
    for entry in &ENTRIES {
        if let Err(error) = entry.declare(tags, vault.capabilities().tag_parents).await {
            tracing::warn!(
                vault = vault.name(),
                tag = entry.name,
                %error,
                "a tag could not be described in the vault; agents work without that, and the next start tries again"
            );
        }
    }
}

impl Entry {
    async fn declare(&self, tags: &dyn Tags, with_parents: bool) -> Result<(), VaultError> {
        let known = tags.tag(self.name).await?.unwrap_or_default();
        if let Some(change) = self.missing(&known, with_parents) {
            tags.put_tag(self.name, change).await?;
        }
        Ok(())
    }

    /// What is still to be said; `None`: nothing. What a person has said of a tag stays.
    fn missing(&self, known: &Tag, with_parents: bool) -> Option<TagChange> {
        let there = |field: &str| known.fields.as_ref().is_some_and(|fields| fields.contains_key(field));
        let fields = self.fields.iter().filter(|field| !there(field));
        let fields: Map<String, Value> = fields
            .map(|field| ((*field).to_owned(), json!({ "type": "string", "indexed": true })))
            .collect();
        let parent = self
            .parent
            .filter(|parent| !known.parents.iter().any(|known| known == parent));
        let parents = parent
            .filter(|_| with_parents || known.description.is_none())
            .map(|parent| {
                let others = known.parents.iter().cloned();
                others.chain([parent.to_owned()]).collect()
            });
        let change = TagChange {
            description: known.description.is_none().then(|| self.description.to_owned()),
            fields,
            parents,
        };
        (change != TagChange::default()).then_some(change)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use reveille_vault::{EmbeddedVault, NewNote, Query};

    use super::*;

    #[tokio::test]
    async fn the_tags_are_declared_once_and_what_a_person_says_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("v.db");
        let vault: Arc<dyn Vault> = EmbeddedVault::open("v", &file).unwrap();
        declare(Arc::clone(&vault), CancellationToken::new()).await;
        let tags = vault.tags().unwrap();
        let declared = tags.all_tags().await.unwrap();
        let told: Vec<_> = declared
            .iter()
            .map(|tag| (tag.name.as_str(), tag.parents.join(" ")))
            .collect();
        let agent = || ROOT.to_owned();
        let expected = [
            ("agent", String::new()),
            ("agent/definition", agent()),
            ("agent/job", agent()),
            ("agent/message", agent()),
            ("agent/message/inbound", "agent/message".to_owned()),
            ("agent/message/outbound", "agent/message".to_owned()),
            ("agent/role", agent()),
            ("agent/thread", agent()),
        ];
        assert_eq!(told, expected);
        let job = tags.tag("agent/job").await.unwrap().unwrap();
        let keys: Vec<_> = job.fields.unwrap().keys().cloned().collect();
        assert_eq!(keys, ["agent", "enabled", "lastStatus"]);

        let own = TagChange {
            description: Some("my words".into()),
            fields: [("agent".to_owned(), json!({ "type": "array" }))].into_iter().collect(),
            parents: Some(vec!["mine".into(), "agent".into()]),
        };
        let own = tags.put_tag("agent/job", own).await.unwrap();
        declare(Arc::clone(&vault), CancellationToken::new()).await;
        assert_eq!(tags.tag("agent/job").await.unwrap(), Some(own));
        assert!(ENTRIES.iter().all(|entry| {
            let known = declared.iter().find(|tag| tag.name == entry.name).unwrap();
            entry.missing(known, true).is_none()
        }));

        // The root finds what is below it.
        let note = NewNote {
            content: "x".into(),
            tags: vec![tag::OUTBOUND.into()],
            ..NewNote::default()
        };
        vault.create(note).await.unwrap();
        let query = Query {
            tags: vec![ROOT.into()],
            ..Query::default()
        };
        assert_eq!(vault.query(&query).await.unwrap().notes.len(), 1);
    }

    #[tokio::test]
    async fn a_vault_that_cannot_be_written_fails_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let vault: Arc<dyn Vault> = EmbeddedVault::open("v", &dir.path().join("v.db")).unwrap();
        vault.close().await;
        declare(vault, CancellationToken::new()).await;
    }

    #[test]
    fn where_parents_are_not_kept_they_are_said_once() {
        let entry = &ENTRIES[1];
        let change = entry.missing(&Tag::default(), false).unwrap();
        assert_eq!(change.parents, Some(vec![ROOT.to_owned()]));
        let known = Tag {
            description: Some("x".into()),
            ..Tag::default()
        };
        assert_eq!(entry.missing(&known, false), None);
        assert!(entry.missing(&known, true).is_some());
        assert_eq!(ENTRIES[0].missing(&Tag::default(), true).unwrap().parents, None);
    }
}
