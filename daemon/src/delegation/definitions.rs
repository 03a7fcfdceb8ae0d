//! Definitions in the hands of a turn. They say what agents may do and spend, so they are the operator's, who can allow an
//! agent to make agents (`defines_agents: true`). Those it makes have no more than any agent has by default, and carry a mark
//! of the daemon; a turn changes none without it.

use reveille_vault::agent::{DEFINED_BY, DEFINES_AGENTS, tag};
use reveille_vault::{Metadata, NewNote, Note, Patch, VaultError};

use super::{MarkingVault, Origin};
use crate::sandboxing;

/// The settings that a turn may choose. Every other one is the operator's, also those that are yet to come: each says how far
/// an agent reaches, what it spends, or whether it runs.
const CHOICES: [&str; 5] = ["name", "model", "mode", "message_mode", "on_interrupt"];

/// For a model whose turn may make agents.
pub(crate) const HOW_TO: &str = "You may create agents: create-note with path Agents/NAME, tags [\"agent/definition\"], \
     metadata {\"name\": NAME} and the role of the new agent as content; then send-message reaches it. In the metadata you \
     choose name, model, mode, message_mode and on_interrupt, all else is the operator's. You may change only definitions \
     that have defined_by, and remove none. Read a definition back: its status says whether the agent can be woken.";

fn forbidden(what: &str) -> VaultError {
    VaultError::Forbidden(format!("{what}; nothing was written. Ask the operator to do it"))
}

/// Takes away what only the daemon writes.
pub(super) fn clean_new(metadata: &mut Metadata) {
    metadata.remove(DEFINED_BY);
}

/// The same in a change.
pub(super) fn clean_patch(patch: &mut Patch) {
    patch.metadata.remove(DEFINED_BY);
    patch.remove_metadata.retain(|key| key != DEFINED_BY);
}

impl Origin {
    /// Whether a note is a definition that this turn may make, and what it is marked with then.
    ///
    /// # Errors
    /// [`VaultError::Forbidden`], or [`VaultError::Invalid`] for a definition that would define nothing.
    pub(super) fn new_definition(&self, note: &Note) -> Result<Option<String>, VaultError> {
        if !note.has_tag(tag::DEFINITION) {
            return Ok(None);
        }
        self.has_grant()?;
        check_choices(note.metadata.keys())?;
        self.check_result(note)?;
        Ok(Some(self.sender()))
    }

    /// Whether a change is one of a definition, and such as this turn may make.
    ///
    /// # Errors
    /// As for a new one.
    pub(super) fn changes_definition(&self, before: &Note, after: &Note) -> Result<bool, VaultError> {
        let (was, is) = (before.has_tag(tag::DEFINITION), after.has_tag(tag::DEFINITION));
        if !was && !is {
            return Ok(false);
        }
        self.has_grant()?;
        if !was {
            return Err(VaultError::Forbidden(
                "a turn may not make a definition of a note that is there; nothing was written. Create a new note"
                    .into(),
            ));
        }
        if before.text("name").as_deref() == Some(self.agent.as_str()) {
            return Err(forbidden("a turn may not change the definition of its own agent"));
        }
        if before.text(DEFINED_BY).is_none() {
            return Err(forbidden(
                "a turn may change only definitions that agents wrote (those with defined_by), and a person wrote this one",
            ));
        }
        if before.text(DEFINES_AGENTS).is_some_and(|value| value != "false") {
            return Err(forbidden(
                "a turn may not change the definition of an agent that may define agents itself",
            ));
        }
        if !is {
            return Err(forbidden("a turn may not remove agents"));
        }
        let keys = before.metadata.keys().chain(after.metadata.keys());
        check_choices(keys.filter(|key| before.metadata.get(*key) != after.metadata.get(*key)))?;
        self.check_result(after)?;
        Ok(true)
    }

    fn has_grant(&self) -> Result<(), VaultError> {
        if self.defines_agents {
            return Ok(());
        }
        Err(VaultError::Forbidden(format!(
            "a turn of {0} may not write definitions of agents; nothing was written. To allow it, the operator sets \
             {DEFINES_AGENTS}: true in the definition of {0}",
            self.agent
        )))
    }

    /// Nobody would tell the turn later what is wrong.
    fn check_result(&self, note: &Note) -> Result<(), VaultError> {
        let definition = sandboxing::parse(note).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            VaultError::Invalid(format!("the definition is wrong: {}", problems.join("; ")))
        })?;
        if definition.name == self.agent {
            return Err(forbidden("a turn may not define its own agent once more"));
        }
        Ok(())
    }
}

impl MarkingVault {
    /// Whether a new note, when it defines an agent, may give it its name.
    ///
    /// # Errors
    /// [`VaultError::Forbidden`]
    pub(super) async fn check_new_name(&self, new: &NewNote) -> Result<(), VaultError> {
        let note = new.preview()?;
        match note.text("name").filter(|_| note.has_tag(tag::DEFINITION)) {
            Some(name) => self.origin.guard.check(&name, self.inner.name(), new.id.as_ref()).await,
            None => Ok(()),
        }
    }

    /// Whether a change may give an agent another name.
    ///
    /// # Errors
    /// [`VaultError::Forbidden`]
    pub(super) async fn check_name(&self, before: &Note, patch: &Patch) -> Result<(), VaultError> {
        let after = patch.preview(before)?;
        let name = after.text("name").filter(|_| after.has_tag(tag::DEFINITION));
        match name.filter(|name| before.text("name").as_ref() != Some(name)) {
            Some(name) => {
                let guard = &self.origin.guard;
                guard.check(&name, self.inner.name(), Some(&before.id)).await
            }
            None => Ok(()),
        }
    }
}

/// Whether a turn may write these settings.
fn check_choices<'a>(mut keys: impl Iterator<Item = &'a String>) -> Result<(), VaultError> {
    match keys.find(|key| !CHOICES.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) if key == DEFINES_AGENTS => Err(forbidden(
            "only the operator says which agents may define agents (defines_agents)",
        )),
        Some(key) => Err(forbidden(&format!(
            "in a definition a turn may write only {}; {key:?} is the operator's",
            CHOICES.join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use reveille_vault::NewNote;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn maker() -> Origin {
        Origin {
            turn: Uuid::from_u128(7),
            agent: "alpha".into(),
            vault: "default".into(),
            chain: "c1".into(),
            depth: 0,
            defines_agents: true,
            guard: crate::trust::Guard::default(),
        }
    }

    fn object(value: Value) -> Metadata {
        serde_json::from_value(value).unwrap()
    }

    fn new(metadata: Value) -> NewNote {
        NewNote {
            content: "You criticise.".into(),
            tags: vec!["#agent/definition".into()],
            metadata: object(metadata),
            ..NewNote::default()
        }
    }

    /// As it is in the vault.
    fn stored(metadata: Value) -> Note {
        new(metadata).preview().unwrap()
    }

    fn theirs() -> Value {
        json!({"name": "gamma", "defined_by": "agent:beta", "budget_turn_usd": "0.5", "status": "enabled"})
    }

    fn set(metadata: Value) -> Patch {
        Patch {
            metadata: object(metadata),
            ..Patch::default()
        }
    }

    fn told<T: std::fmt::Debug>(outcome: Result<T, VaultError>) -> String {
        match outcome.unwrap_err() {
            VaultError::Forbidden(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_may_make_agents_marks_what_it_makes() {
        let all = json!({"name": "gamma", "model": "sonnet", "mode": "multi-threaded", "message_mode": "collect",
            "on_interrupt": "stop", "defined_by": "a person"});
        let made = maker().mark_new(new(all.clone())).unwrap();
        let mut expected = object(all.clone());
        expected.insert("defined_by".into(), "agent:alpha".into());
        assert_eq!(made.metadata, expected);
        let other = Origin {
            defines_agents: false,
            ..maker()
        };
        for outcome in [
            other.mark_new(new(all)).map(drop),
            other.mark_patch(&stored(theirs()), set(json!({}))).map(drop),
        ] {
            let why = told(outcome);
            assert!(why.contains("defines_agents: true in the definition of alpha"), "{why}");
        }
    }

    #[test]
    fn settings_that_reach_further_are_the_operators() {
        for key in [
            "defines_agents",
            "workspace",
            "filesystem",
            "network",
            "egress",
            "mounts",
            "wants",
            "uses",
            "keep_warm",
            "systemPromptMode",
            "budget_turn_usd",
            "budget_day_usd",
            "max_turns",
            "timeout_idle",
            "timeout_wall",
            "paused",
            "vault_tools",
            "backend",
            "status",
            "something_new",
        ] {
            let why = told(maker().mark_new(new(json!({"name": "delta", key: "true"}))));
            assert!(why.contains(key) && why.contains("operator"), "{why}");
            let why = told(maker().mark_patch(&stored(theirs()), set(json!({key: "true"}))));
            assert!(why.contains(key), "{why}");
        }
        let lifted = Patch {
            remove_metadata: vec!["budget_turn_usd".into()],
            ..Patch::default()
        };
        assert!(told(maker().mark_patch(&stored(theirs()), lifted)).contains("budget_turn_usd"));
    }

    #[test]
    fn a_definition_of_an_agent_is_changed_and_keeps_its_mark() {
        // What it had already may come along.
        let mut patch = set(json!({"model": "opus", "status": "enabled", "defined_by": "agent:alpha"}));
        patch.remove_metadata = vec!["defined_by".into()];
        let before = stored(theirs());
        let after = maker().mark_patch(&before, patch).unwrap().preview(&before).unwrap();
        let mut expected = before.metadata;
        expected.insert("model".into(), "opus".into());
        assert_eq!(after.metadata, expected);
    }

    #[test]
    fn other_definitions_are_not_changed() {
        let by = |name: &str, more: Value| {
            let mut metadata = object(json!({"name": name, "defined_by": "agent:beta"}));
            metadata.extend(object(more));
            stored(metadata.into())
        };
        for (before, why) in [
            (stored(json!({"name": "gamma"})), "a person wrote this one"),
            (by("gamma", json!({"defined_by": ""})), "a person wrote this one"),
            (by("alpha", json!({})), "its own agent"),
            (by("gamma", json!({"defines_agents": true})), "may define agents itself"),
        ] {
            let said = told(maker().mark_patch(&before, set(json!({"model": "opus"}))));
            assert!(said.contains(why), "{said}");
        }
        assert!(told(maker().mark_new(new(json!({"name": "alpha"})))).contains("its own agent"));
        assert!(
            told(maker().mark_patch(&by("gamma", json!({})), set(json!({"name": "alpha"})))).contains("its own agent")
        );
    }

    #[test]
    fn an_agent_is_made_by_a_new_note_and_not_removed() {
        let tags = |add: &[&str], remove: &[&str]| Patch {
            add_tags: add.iter().map(|&tag| tag.to_owned()).collect(),
            remove_tags: remove.iter().map(|&tag| tag.to_owned()).collect(),
            ..Patch::default()
        };
        let plain = Note {
            tags: Vec::new(),
            ..stored(theirs())
        };
        assert!(told(maker().mark_patch(&plain, tags(&[tag::DEFINITION], &[]))).contains("new note"));
        assert!(told(maker().mark_patch(&stored(theirs()), tags(&[], &[tag::DEFINITION]))).contains("remove agents"));
    }

    #[test]
    fn the_mark_comes_onto_no_other_note() {
        let note = NewNote {
            tags: Vec::new(),
            ..new(json!({"defined_by": "agent:beta", "seen": "yes"}))
        };
        let made = maker().mark_new(note.clone()).unwrap();
        assert_eq!(made.metadata, object(json!({"seen": "yes"})));
        let before = made.preview().unwrap();
        assert_eq!(
            maker()
                .mark_patch(&before, set(theirs()))
                .unwrap()
                .metadata
                .get(DEFINED_BY),
            None
        );
    }

    #[test]
    fn a_definition_that_would_define_nothing_is_refused_at_once() {
        for metadata in [
            json!({}),
            json!({"name": "two words"}),
            json!({"name": "x", "mode": "y"}),
        ] {
            let outcome = maker().mark_new(new(metadata));
            assert!(matches!(outcome, Err(VaultError::Invalid(_))), "{outcome:?}");
        }
        let outcome = maker().mark_patch(&stored(theirs()), set(json!({"name": "two words"})));
        assert!(matches!(outcome, Err(VaultError::Invalid(_))), "{outcome:?}");
        let message = Patch {
            add_tags: vec![tag::INBOUND.into()],
            ..Patch::default()
        };
        let outcome = maker().mark_patch(&stored(theirs()), message);
        assert!(matches!(outcome, Err(VaultError::Invalid(_))), "{outcome:?}");
    }
}
