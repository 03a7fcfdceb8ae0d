//! Delegation: what a turn hands on is marked by the daemon, whatever its writer says. A chain begins with a message that
//! names none; from there on each message carries the chain, how many hand-overs led to it, and who handed over.

mod definitions;
mod files;
mod jobs;
mod pass;
mod roles;
mod sources;
mod tags;
mod vault;

use reveille_transports::Link;
use reveille_vault::agent::{DEFINED_BY, Inbound};
use reveille_vault::{Metadata, NewNote, Note, Patch, VaultError};
use uuid::Uuid;

use crate::limits::DEPTH_MAX;
use crate::trust::Guard;
use crate::turn::Run;

pub(crate) use definitions::HOW_TO as HOW_TO_DEFINE;
pub(crate) use jobs::HOW_TO as HOW_TO_SCHEDULE;
pub(crate) use pass::{Pass, Passes};
pub(crate) use vault::MarkingVault;

/// Metadata that only the daemon writes on a message of a turn.
const MARKS: [&str; 4] = ["chain_id", "delegation_depth", "delegated_by", "sender"];
/// Marks the daemon's own word on a turn that has ended.
const CALLBACK: &str = "callback";

/// A running turn, as the one that hands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The turn.
    pub(crate) turn: Uuid,
    /// Its agent.
    pub(crate) agent: String,
    /// The vault of its message; it writes nowhere else.
    pub(crate) vault: String,
    /// The chain of its message.
    pub(crate) chain: String,
    /// The depth of its message.
    pub(crate) depth: u32,
    /// Its agent may make agents.
    pub(crate) defines_agents: bool,
    /// Knows which names it may give them.
    pub(crate) guard: Guard,
}

impl Origin {
    /// Of a turn. Where several messages share it, the one that was handed on most often counts: to join another message
    /// must not make a chain begin anew.
    #[must_use]
    pub(crate) fn of(run: &Run<'_>) -> Self {
        let claim = run.claim();
        let depths = run.messages().map(|(turn, message)| (turn, message.delegation_depth));
        let deeper = |one: (Uuid, u32), next: (Uuid, u32)| if next.1 > one.1 { next } else { one };
        let (deepest, depth) = depths.reduce(deeper).unwrap_or((claim.lease.turn, 0));
        Self {
            turn: claim.lease.turn,
            agent: run.definition().name.clone(),
            vault: claim.message.vault.clone(),
            chain: run.chain_of(deepest),
            depth,
            defines_agents: run.definition().defines_agents,
            guard: run.guard(),
        }
    }

    /// Where the messages of this turn stand.
    #[must_use]
    pub(crate) fn link(&self) -> Link {
        Link {
            chain: self.chain.clone(),
            depth: self.depth.saturating_add(1),
            turn: Some(self.turn.to_string()),
        }
    }

    /// Whether its messages would lie too deep.
    #[must_use]
    pub(crate) fn is_exhausted(&self) -> bool {
        self.link().depth > DEPTH_MAX
    }

    /// Who the messages of this turn are from.
    #[must_use]
    pub(crate) fn sender(&self) -> String {
        format!("agent:{}", self.agent)
    }

    fn mark(&self, metadata: &mut Metadata) {
        let link = self.link();
        let values = [link.chain, link.depth.to_string(), self.turn.to_string(), self.sender()];
        for (key, value) in MARKS.into_iter().zip(values) {
            metadata.insert(key.to_owned(), value.into());
        }
    }

    /// Marks a new note that will wake or define an agent, at once or by the clock; others stay as they are.
    ///
    /// # Errors
    /// [`VaultError::Forbidden`] for a definition or job that is not for this turn; what is wrong with the note.
    fn mark_new(&self, mut note: NewNote) -> Result<NewNote, VaultError> {
        definitions::clean_new(&mut note.metadata);
        let preview = note.preview()?;
        tags::refuse_note(&preview)?;
        sources::refuse(None, &preview)?;
        roles::refuse_note(None, &preview, note.id.is_some())?;
        if let Some(marks) = self.new_job(&preview)? {
            for key in MARKS {
                note.metadata.remove(key);
            }
            note.metadata.extend(marks);
        } else if let Some(by) = self.new_definition(&preview)? {
            note.metadata.insert(DEFINED_BY.into(), by.into());
        } else if Inbound::wakes(&preview) {
            self.mark(&mut note.metadata);
            note.metadata.remove(CALLBACK);
        }
        Ok(note)
    }

    /// Marks a change by which a note becomes a message, or another message than it was. Where it stays the same message its
    /// marks stay too.
    ///
    /// # Errors
    /// [`VaultError::Forbidden`] for a definition or job that is not for this turn; what is wrong with the patch.
    fn mark_patch(&self, before: &Note, mut patch: Patch) -> Result<Patch, VaultError> {
        definitions::clean_patch(&mut patch);
        let after = patch.preview(before)?;
        tags::refuse_note(before)?;
        tags::refuse_note(&after)?;
        sources::refuse(Some(before), &after)?;
        roles::refuse_note(Some(before), &after, false)?;
        if let Some(patch) = self.changed_job(before, &patch)? {
            return Ok(patch);
        }
        if self.changes_definition(before, &after)? || !Inbound::wakes(&after) {
            return Ok(patch);
        }
        for key in MARKS.into_iter().chain([CALLBACK]) {
            patch.metadata.remove(key);
            patch.remove_metadata.retain(|removed| removed != key);
        }
        let same = Inbound::wakes(before) && Inbound::parse(before) == Inbound::parse(&patch.preview(before)?);
        if !same {
            self.mark(&mut patch.metadata);
            patch.remove_metadata.push(CALLBACK.into());
        }
        Ok(patch)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use pretty_assertions::assert_eq;
    use reveille_vault::NoteId;
    use reveille_vault::agent::tag;
    use serde_json::{Value, json};

    use super::*;

    fn origin(depth: u32) -> Origin {
        Origin {
            turn: Uuid::from_u128(7),
            agent: "alpha".into(),
            vault: "default".into(),
            chain: "c1".into(),
            depth,
            defines_agents: false,
            guard: Guard::default(),
        }
    }

    fn object(value: Value) -> Metadata {
        match value {
            Value::Object(object) => object,
            other => panic!("{other} is no object"),
        }
    }

    fn marked(depth: &str, rest: Value) -> Metadata {
        let mut expected = object(rest);
        expected.extend(object(json!({
            "chain_id": "c1", "delegation_depth": depth, "delegated_by": Uuid::from_u128(7), "sender": "agent:alpha",
        })));
        expected
    }

    fn note(tags: &[&str], metadata: Value) -> Note {
        let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        Note {
            id: NoteId::new("n1").unwrap(),
            path: None,
            content: "hello".into(),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            metadata: object(metadata),
            created_at: at,
            updated_at: at,
        }
    }

    fn new(tags: &[&str], metadata: Value) -> NewNote {
        NewNote {
            content: "hello".into(),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            metadata: object(metadata),
            ..NewNote::default()
        }
    }

    fn lies() -> Value {
        json!({
            "agent": "beta", "chain_id": "another", "delegation_depth": "0", "delegated_by": "nobody", "sender": "ann",
            "callback": "true",
        })
    }

    #[test]
    fn a_new_message_is_marked_whatever_it_says() {
        for tags in [
            &["agent/message/inbound"][..],
            &["agent/message", " #agent/message/inbound "],
        ] {
            let note = origin(2).mark_new(new(tags, lies())).unwrap();
            assert_eq!(note.metadata, marked("3", json!({"agent": "beta"})), "{tags:?}");
        }
        // It may become one by a later hand, who would not know.
        let unrouted = origin(2)
            .mark_new(new(&[tag::INBOUND], json!({"sender": "ann"})))
            .unwrap();
        assert_eq!(unrouted.metadata, marked("3", json!({})));
        // The note of a message that lies too deep says so.
        let deep = origin(DEPTH_MAX).mark_new(new(&[tag::INBOUND], lies())).unwrap();
        assert_eq!(deep.metadata["delegation_depth"], "9");
    }

    #[test]
    fn other_notes_stay_as_they_are() {
        for tags in [&[][..], &["idea"], &["agent/message/inbound", "agent/message/outbound"]] {
            let note = new(tags, lies());
            assert_eq!(origin(0).mark_new(note.clone()).unwrap(), note, "{tags:?}");
        }
        let patch = Patch {
            metadata: object(lies()),
            add_tags: vec!["idea".into()],
            ..Patch::default()
        };
        let marked = origin(0).mark_patch(&note(&[], json!({})), patch.clone()).unwrap();
        assert_eq!(marked, patch);
    }

    #[test]
    fn definitions_are_not_for_turns_to_write() {
        let refused = |result: Result<(), VaultError>| assert!(matches!(result, Err(VaultError::Forbidden(_))));
        refused(origin(0).mark_new(new(&["#agent/definition"], json!({}))).map(drop));
        let definition = note(&["agent/definition"], json!({}));
        let (add, remove) = (vec![tag::DEFINITION.to_owned()], vec![tag::DEFINITION.to_owned()]);
        for (before, add_tags, remove_tags) in [
            (definition.clone(), vec![], vec![]),
            (definition, vec![], remove),
            (note(&[], json!({})), add, vec![]),
        ] {
            let patch = Patch {
                metadata: object(json!({"model": "opus"})),
                add_tags,
                remove_tags,
                ..Patch::default()
            };
            refused(origin(0).mark_patch(&before, patch).map(drop));
        }
    }

    #[test]
    fn a_note_that_becomes_a_message_is_marked() {
        let patch = |metadata: Value, add: &[&str]| Patch {
            metadata: object(metadata),
            add_tags: add.iter().map(|&tag| tag.to_owned()).collect(),
            ..Patch::default()
        };
        let own = json!({"agent": "beta", "sender": "ann", "delegation_depth": "1"});
        for (before, patch) in [
            (note(&[], own.clone()), patch(json!({}), &[tag::INBOUND])),
            (note(&[], json!({})), patch(lies(), &["#agent/message/inbound"])),
            // It named no agent, so it had woken nobody.
            (note(&[tag::INBOUND], json!({})), patch(json!({"agent": "beta"}), &[])),
            // It was an answer.
            (
                note(&[tag::INBOUND], json!({"agent": "beta", "direction": "outbound"})),
                patch(json!({"direction": "inbound"}), &[]),
            ),
            // It goes to somebody else now.
            (
                note(&[tag::INBOUND], own.clone()),
                patch(json!({"agent": "gamma"}), &[]),
            ),
        ] {
            let marked_patch = origin(2).mark_patch(&before, patch.clone()).unwrap();
            let after = marked_patch.preview(&before).unwrap();
            let message = Inbound::parse(&after).unwrap();
            let seen = (
                message.chain.as_deref(),
                message.delegation_depth,
                message.sender.as_str(),
            );
            assert_eq!(seen, (Some("c1"), 3, "agent:alpha"), "{patch:?}");
            assert_eq!(
                (after.text("delegated_by"), message.callback),
                (Some(Uuid::from_u128(7).to_string()), None)
            );
        }
    }

    #[test]
    fn a_message_that_stays_the_same_keeps_its_marks() {
        let before = note(
            &[tag::INBOUND],
            json!({"agent": "beta", "sender": "ann", "chain_id": "c0", "delegation_depth": "5"}),
        );
        let mut metadata = lies();
        metadata["seen"] = json!("yes");
        let patch = Patch {
            metadata: object(metadata),
            remove_metadata: vec!["chain_id".into()],
            ..Patch::default()
        };
        let after = origin(0).mark_patch(&before, patch).unwrap().preview(&before).unwrap();
        let mut expected = before.metadata;
        expected.insert("seen".into(), "yes".into());
        assert_eq!(after.metadata, expected);
    }

    #[test]
    fn the_last_hand_over_is_the_eighth() {
        assert!(!origin(DEPTH_MAX - 1).is_exhausted());
        assert!(origin(DEPTH_MAX).is_exhausted());
        assert!(origin(u32::MAX).is_exhausted());
    }
}
