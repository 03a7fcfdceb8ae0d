//! `agent/message/inbound` notes: what goes to an agent.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{slug, tag};
use crate::note::{Metadata, Note, NoteId, millis};
use crate::store::NewNote;

/// Why a message cannot be routed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No key says where it goes.
    #[error("metadata.agent is missing; name the agent that should get this message")]
    NoAgent,
    /// The agent's name breaks the rule of names.
    #[error("metadata.agent {0:?} can be no agent's name; use 1 to 64 letters, digits, `_` and `-`")]
    BadAgent(String),
}

/// What a message does to the others of its conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageMode {
    /// It waits its turn.
    #[default]
    Followup,
    /// The same, and it shares one turn with those of its kind that wait directly behind each other.
    Collect,
    /// It stops the running turn and goes first.
    Interrupt,
}

impl MessageMode {
    /// The words in metadata.
    pub const WORDS: [(&str, Self); 3] = [
        ("followup", Self::Followup),
        ("collect", Self::Collect),
        ("interrupt", Self::Interrupt),
    ];

    /// The word in metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Followup => "followup",
            Self::Collect => "collect",
            Self::Interrupt => "interrupt",
        }
    }

    /// The inverse of [`MessageMode::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::WORDS
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, mode)| *mode)
    }
}

/// A message to an agent, with everything that its turn needs: a snapshot of the note.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inbound {
    /// The agent.
    pub agent: String,
    /// The text, as written.
    pub text: String,
    /// Who wrote it; `""` when unknown.
    #[serde(default)]
    pub sender: String,
    /// Names a conversation within the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What it does to the others of its conversation; the agent's own setting when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<MessageMode>,
    /// The agent that gets the outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Echoed to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// How many hand-overs led here.
    #[serde(default)]
    pub delegation_depth: u32,
    /// The chain of hand-overs that it belongs to, as its note names it. A message that names none begins one:
    /// see [`Inbound::chain_of`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// The turn that wrote it; absent when a person or a program did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegated_by: Option<String>,
    /// The trace of its sender that it is a part of, as W3C Trace Context writes it. What is written there otherwise counts for
    /// nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// What a callback reports; absent on ordinary messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
    /// Where it came from, in the words of the bridge that brought it. In metadata each name has [`Inbound::ORIGIN`] before
    /// it. Anybody who can write a note can write that: who answers to it looks first whether it is genuine.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub origin: BTreeMap<String, String>,
}

/// The part of a callback note that the woken agent must see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// `ok`, `error`, `cancelled` or `interrupted`.
    pub status: String,
    /// The agent that finished.
    pub source_channel: String,
    /// Its thread note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_thread: Option<String>,
    /// Its reply note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_message: Option<String>,
}

impl Inbound {
    /// A message without text and sender.
    #[must_use]
    pub fn blank(agent: String) -> Self {
        Self {
            agent,
            text: String::new(),
            sender: String::new(),
            subject: None,
            mode: None,
            reply_to: None,
            correlation_id: None,
            delegation_depth: 0,
            chain: None,
            delegated_by: None,
            traceparent: None,
            callback: None,
            origin: BTreeMap::new(),
        }
    }

    /// Begins the names of metadata that say where a message came from.
    pub const ORIGIN: &str = "origin_";

    /// The chain of hand-overs that the message in this note belongs to. The first one names the chain.
    #[must_use]
    pub fn chain_of(&self, note: &str) -> String {
        self.chain.clone().unwrap_or_else(|| note.to_owned())
    }

    /// Metadata of a message that came with an import: when that was. It wakes nobody as long as that stands there.
    pub const IMPORTED: &str = "imported";

    /// Whether a note wakes an agent: it carries the inbound tag, is neither an answer of an agent nor a definition, and was
    /// not brought from another vault.
    #[must_use]
    pub fn wakes(note: &Note) -> bool {
        note.has_tag(tag::INBOUND)
            && !note.has_tag(tag::OUTBOUND)
            && !note.has_tag(tag::DEFINITION)
            && note.text("direction").is_none_or(|direction| direction != "outbound")
            && note.text(Self::IMPORTED).is_none()
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`RouteError`] when it names no agent.
    pub fn parse(note: &Note) -> Result<Self, RouteError> {
        let text_of = |key: &str| match note.metadata.get(key) {
            Some(Value::String(text)) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            _ => None,
        };
        let agent = text_of("agent")
            .or_else(|| text_of("channel"))
            .ok_or(RouteError::NoAgent)?;
        if agent.len() > 64
            || !agent
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
        {
            return Err(RouteError::BadAgent(agent.chars().take(80).collect()));
        }
        let callback = note.text("callback").filter(|flag| flag == "true").and_then(|_| {
            Some(Callback {
                status: note.text("status")?,
                source_channel: note.text("source_channel")?,
                source_thread: note.text("source_thread"),
                source_message: note.text("source_message"),
            })
        });
        Ok(Self {
            agent,
            text: note.content.clone(),
            sender: note.text("sender").unwrap_or_default(),
            subject: text_of("subject").or_else(|| text_of("thread")),
            // Another word is somebody else's: the message still goes its usual way.
            mode: text_of("mode").and_then(|word| MessageMode::parse(&word)),
            // A callback ends there: two agents that answer each other's reports would never stop.
            reply_to: text_of("reply_to").filter(|_| callback.is_none()),
            correlation_id: text_of("correlation_id"),
            delegation_depth: note.text("delegation_depth").map_or(0, |text| depth(&text)),
            chain: text_of("chain_id"),
            delegated_by: text_of("delegated_by"),
            traceparent: text_of("traceparent"),
            callback,
            origin: origin(&note.metadata),
        })
    }

    /// The note of a message that is written now.
    #[must_use]
    pub fn render(&self, id: NoteId, at: Timestamp) -> NewNote {
        let mut metadata = Metadata::new();
        let mut put = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                metadata.insert(key.to_owned(), Value::String(value));
            }
        };
        put("agent", Some(self.agent.clone()));
        put("direction", Some("inbound".into()));
        put("sender", Some(self.sender.clone()));
        put("ts", Some(millis::format(at)));
        put("subject", self.subject.clone());
        put("mode", self.mode.map(|mode| mode.as_str().to_owned()));
        put("reply_to", self.reply_to.clone().filter(|_| self.callback.is_none()));
        put("correlation_id", self.correlation_id.clone());
        put(
            "delegation_depth",
            (self.delegation_depth > 0).then(|| self.delegation_depth.to_string()),
        );
        put("chain_id", self.chain.clone());
        put("delegated_by", self.delegated_by.clone());
        put("traceparent", self.traceparent.clone());
        if let Some(callback) = &self.callback {
            put("callback", Some("true".into()));
            put("status", Some(callback.status.clone()));
            put("source_channel", Some(callback.source_channel.clone()));
            put("source_thread", callback.source_thread.clone());
            put("source_message", callback.source_message.clone());
        }
        for (name, value) in &self.origin {
            put(&format!("{}{name}", Self::ORIGIN), Some(value.clone()));
        }
        NewNote {
            path: Some(format!("channel/{}/{id}", slug(&self.agent))),
            id: Some(id),
            content: self.text.clone(),
            tags: vec![tag::MESSAGE.into(), tag::INBOUND.into()],
            metadata,
            created_at: Some(at),
            attachments: Vec::new(),
            links: Vec::new(),
        }
    }
}

/// Where a message came from, as its metadata says it.
fn origin(metadata: &Metadata) -> BTreeMap<String, String> {
    let named = metadata.iter().filter_map(|(name, value)| {
        Some((
            name.strip_prefix(Inbound::ORIGIN)?.to_owned(),
            value.as_str()?.to_owned(),
        ))
    });
    named.filter(|(name, _)| !name.is_empty()).collect()
}

/// A depth as notes have it: a number above zero, cut to a whole one. Anything else counts as none.
fn depth(text: &str) -> u32 {
    let number = text
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number > 0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "above zero; what is too large becomes the largest"
    )]
    number.map_or(0, |number| number as u32)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn note(tags: &[&str], metadata: Value) -> Note {
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        let Value::Object(metadata) = metadata else {
            panic!("metadata is an object")
        };
        Note {
            id: NoteId::new("n1").unwrap(),
            path: None,
            content: "hello".into(),
            tags: tags.iter().map(|&t| t.to_owned()).collect(),
            metadata,
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn the_routing_key_is_agent_then_channel() {
        for (metadata, expected) in [
            (json!({"agent": "eng", "channel": "ops"}), Ok("eng")),
            (json!({"agent": "", "channel": "ops"}), Ok("ops")),
            (json!({"agent": 123, "channel": "ops"}), Ok("ops")),
            (json!({}), Err(RouteError::NoAgent)),
            (json!({"agent": "a/b"}), Err(RouteError::BadAgent("a/b".into()))),
        ] {
            let routed = Inbound::parse(&note(&[tag::INBOUND], metadata.clone()));
            assert_eq!(
                routed.as_ref().map(|m| m.agent.as_str()),
                expected.as_ref().copied(),
                "{metadata}"
            );
        }
    }

    #[test]
    fn tc_in_5_answers_never_wake() {
        for (tags, metadata, expected) in [
            (vec!["agent/message/inbound"], json!({}), true),
            (vec!["#agent/message/inbound"], json!({}), true),
            (
                vec!["agent/message/inbound", "#agent/message/outbound"],
                json!({}),
                false,
            ),
            (vec!["agent/message/inbound"], json!({"direction": "outbound"}), false),
            (vec!["agent/message"], json!({"direction": "inbound"}), false),
            (
                vec!["agent/message/inbound"],
                json!({"imported": "2026-07-02T10:00:00.000Z"}),
                false,
            ),
            (vec!["agent/message/inbound"], json!({"imported": ""}), true),
            (
                vec!["agent/message/inbound", "agent/definition"],
                json!({"agent": "eng"}),
                false,
            ),
        ] {
            assert_eq!(Inbound::wakes(&note(&tags, metadata)), expected, "{tags:?}");
        }
    }

    #[test]
    fn tc_in_6_marks_of_a_hand_over_are_written_as_text_and_read_back() {
        let message = Inbound {
            text: "hello".into(),
            reply_to: Some("boss".into()),
            correlation_id: Some("c".into()),
            delegation_depth: 2,
            ..Inbound::blank("eng".into())
        };
        let new = rendered(&message);
        let marks = ["reply_to", "correlation_id", "delegation_depth"].map(|key| new.metadata[key].clone());
        assert_eq!(marks, [json!("boss"), json!("c"), json!("2")]);
        assert_eq!(Inbound::parse(&note(&[tag::INBOUND], json!(new.metadata))), Ok(message));
    }

    #[test]
    fn tc_in_7_a_blank_subject_is_none() {
        for (metadata, expected) in [
            (json!({}), None),
            (json!({"subject": ""}), None),
            (json!({"subject": " \n "}), None),
            (json!({"subject": 7}), None),
            (json!({"subject": "launch-blockers"}), Some("launch-blockers")),
            (json!({"subject": "  launch blockers "}), Some("launch blockers")),
            // The older word; the newer one goes first.
            (json!({"thread": "old"}), Some("old")),
            (json!({"subject": " ", "thread": "old"}), Some("old")),
            (json!({"subject": "new", "thread": "old"}), Some("new")),
        ] {
            let mut all = metadata.clone();
            all["agent"] = json!("eng");
            let message = Inbound::parse(&note(&[tag::INBOUND], all)).unwrap();
            assert_eq!(message.subject.as_deref(), expected, "{metadata}");
            let written = message.render(NoteId::new("n1").unwrap(), "2026-01-01T00:00:00Z".parse().unwrap());
            assert_eq!(
                written.metadata.get("subject"),
                expected.map(Value::from).as_ref(),
                "{metadata}"
            );
        }
    }

    fn callback() -> Callback {
        Callback {
            status: "ok".into(),
            source_channel: "ops".into(),
            source_thread: Some("t".into()),
            source_message: Some("m".into()),
        }
    }

    fn rendered(message: &Inbound) -> NewNote {
        message.render(NoteId::new("n1").unwrap(), "2026-01-01T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_rendered_message_reads_back() {
        let message = Inbound {
            agent: "eng".into(),
            text: "hello".into(),
            sender: "callback:ops".into(),
            subject: Some("s".into()),
            mode: Some(MessageMode::Collect),
            reply_to: None,
            correlation_id: Some("c".into()),
            delegation_depth: 2,
            chain: Some("n0".into()),
            delegated_by: Some("t0".into()),
            callback: Some(callback()),
            origin: [("chat_id".to_owned(), " 7 ".to_owned())].into(),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        };
        let new = rendered(&message);
        assert_eq!(new.metadata["origin_chat_id"], json!(" 7 "));
        let tags: Vec<&str> = new.tags.iter().map(String::as_str).collect();
        let read = note(&tags, Value::Object(new.metadata.clone()));
        assert_eq!(Inbound::parse(&read), Ok(message));
    }

    #[test]
    fn tc_cb_13_what_a_delegation_says_is_read_from_the_note() {
        let read = |metadata: Value| Inbound::parse(&note(&[tag::INBOUND], metadata)).unwrap();
        let told = read(json!({
            "agent": "a", "reply_to": "boss", "correlation_id": "c", "delegation_depth": "3", "colour": "red"
        }));
        let expected = Inbound {
            text: "hello".into(),
            reply_to: Some("boss".into()),
            correlation_id: Some("c".into()),
            delegation_depth: 3,
            ..Inbound::blank("a".into())
        };
        assert_eq!(told, expected);
        let silent = Inbound {
            text: "hello".into(),
            ..Inbound::blank("a".into())
        };
        for nothing in [
            json!({"agent": "a"}),
            json!({"agent": "a", "reply_to": " ", "correlation_id": 7}),
        ] {
            assert_eq!(read(nothing), silent);
        }
        for (depth, expected) in [
            (json!("2"), 2),
            (json!(3), 3),
            (json!("2.9"), 2),
            (json!("1e99"), u32::MAX),
            (json!("-5"), 0),
            (json!("abc"), 0),
            (json!("inf"), 0),
            (json!("NaN"), 0),
            (json!(""), 0),
            (json!(null), 0),
        ] {
            let message = read(json!({"agent": "a", "delegation_depth": depth}));
            assert_eq!(message.delegation_depth, expected, "{depth}");
        }
    }

    #[test]
    fn a_message_without_a_chain_begins_one() {
        let first = Inbound::blank("a".into());
        assert_eq!(first.chain_of("n1"), "n1");
        let next = Inbound {
            chain: Some("n1".into()),
            ..first
        };
        assert_eq!(next.chain_of("n2"), "n1");
    }

    #[test]
    fn tc_cb_18_a_callback_note_has_these_tags_and_this_metadata() {
        let message = Inbound {
            text: "[callback] ops finished (ok).".into(),
            sender: "callback:ops".into(),
            correlation_id: Some("c".into()),
            delegation_depth: 3,
            chain: Some("n0".into()),
            callback: Some(callback()),
            ..Inbound::blank("boss".into())
        };
        let note = rendered(&message);
        assert_eq!(note.tags, ["agent/message", "agent/message/inbound"]);
        let expected = json!({
            "agent": "boss", "direction": "inbound", "sender": "callback:ops", "ts": "2026-01-01T00:00:00.000Z",
            "callback": "true", "status": "ok", "source_channel": "ops", "source_thread": "t", "source_message": "m",
            "correlation_id": "c", "delegation_depth": "3", "chain_id": "n0",
        });
        assert_eq!(Value::Object(note.metadata), expected);
    }

    #[test]
    fn tc_cb_19_what_a_callback_does_not_know_it_does_not_say() {
        let message = Inbound {
            callback: Some(Callback {
                source_message: None,
                ..callback()
            }),
            ..Inbound::blank("boss".into())
        };
        let metadata = rendered(&message).metadata;
        for absent in ["source_message", "correlation_id", "channel"] {
            assert_eq!(metadata.get(absent), None, "{absent}");
        }
    }

    #[test]
    fn tc_cb_20_a_callback_asks_for_no_callback() {
        let message = Inbound {
            reply_to: Some("ops".into()),
            callback: Some(callback()),
            ..Inbound::blank("boss".into())
        };
        assert_eq!(rendered(&message).metadata.get("reply_to"), None);
        // Nor when it was written by hand.
        let by_hand = json!({
            "agent": "boss", "callback": "true", "status": "ok", "source_channel": "ops", "reply_to": "ops",
        });
        let read = Inbound::parse(&note(&[tag::INBOUND], by_hand)).unwrap();
        assert_eq!((read.callback.is_some(), read.reply_to), (true, None));
    }
}
