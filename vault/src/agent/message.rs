//! `agent/message/*` notes: what goes to an agent and what comes back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{slug, tag};
use crate::note::{Metadata, Note, NoteId, bare_tag, millis};
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
    /// What a callback reports; absent on ordinary messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
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
            callback: None,
        }
    }

    /// Whether a note wakes an agent: it carries the inbound tag, and is neither an answer of an agent nor a definition.
    #[must_use]
    pub fn wakes(note: &Note) -> bool {
        note.has_tag(tag::INBOUND)
            && !note.has_tag(tag::OUTBOUND)
            && !note.has_tag(tag::DEFINITION)
            && note.text("direction").is_none_or(|direction| direction != "outbound")
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
        let depth = note
            .text("delegation_depth")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
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
            reply_to: text_of("reply_to"),
            correlation_id: text_of("correlation_id"),
            delegation_depth: depth,
            callback,
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
        put("reply_to", self.reply_to.clone());
        put("correlation_id", self.correlation_id.clone());
        put(
            "delegation_depth",
            (self.delegation_depth > 0).then(|| self.delegation_depth.to_string()),
        );
        if let Some(callback) = &self.callback {
            put("callback", Some("true".into()));
            put("status", Some(callback.status.clone()));
            put("source_channel", Some(callback.source_channel.clone()));
            put("source_thread", callback.source_thread.clone());
            put("source_message", callback.source_message.clone());
        }
        NewNote {
            path: Some(format!("channel/{}/{id}", slug(&self.agent))),
            id: Some(id),
            content: self.text.clone(),
            tags: vec![tag::MESSAGE.into(), tag::INBOUND.into()],
            metadata,
            created_at: Some(at),
        }
    }
}

/// What an outbound note is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutboundKind {
    /// The agent's answer.
    Reply,
    /// The daemon's word that there is none.
    Failure,
}

/// An answer of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outbound {
    /// Derived from the turn, so that a repeated write is the same note.
    pub id: NoteId,
    /// The agent.
    pub agent: String,
    /// The text.
    pub text: String,
    /// Answer or failure.
    pub kind: OutboundKind,
    /// Stable code of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The message that it answers.
    pub in_reply_to: String,
    /// The turn.
    pub turn: String,
    /// The thread note.
    pub thread: String,
    /// When the turn ended.
    pub at: Timestamp,
}

impl Outbound {
    /// The note.
    #[must_use]
    pub fn render(&self) -> NewNote {
        let mut metadata = Metadata::new();
        let mut put = |key: &str, value: &str| metadata.insert(key.to_owned(), Value::String(value.to_owned()));
        put("agent", &self.agent);
        put("direction", "outbound");
        put("sender", "session");
        put("ts", &millis::format(self.at));
        put("in_reply_to", &self.in_reply_to);
        put("thread", &self.thread);
        put("turn", &self.turn);
        if self.kind == OutboundKind::Failure {
            put("kind", "failure");
        }
        if let Some(code) = &self.code {
            put("code", code);
        }
        NewNote {
            id: Some(self.id.clone()),
            path: Some(format!("channel/{}/{}", slug(&self.agent), self.id)),
            content: self.text.clone(),
            tags: vec![tag::MESSAGE.into(), tag::OUTBOUND.into()],
            metadata,
            created_at: Some(self.at),
        }
    }

    /// Whether a note is an answer of an agent.
    #[must_use]
    pub fn is(note: &Note) -> bool {
        note.tags.iter().any(|t| bare_tag(t) == tag::OUTBOUND) || note.text("direction").as_deref() == Some("outbound")
    }
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
    fn answers_never_wake() {
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
                vec!["agent/message/inbound", "agent/definition"],
                json!({"agent": "eng"}),
                false,
            ),
        ] {
            assert_eq!(Inbound::wakes(&note(&tags, metadata)), expected, "{tags:?}");
        }
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
            callback: Some(Callback {
                status: "ok".into(),
                source_channel: "ops".into(),
                source_thread: Some("t".into()),
                source_message: None,
            }),
        };
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        let new = message.render(NoteId::new("n1").unwrap(), at);
        let tags: Vec<&str> = new.tags.iter().map(String::as_str).collect();
        let read = note(&tags, Value::Object(new.metadata.clone()));
        assert_eq!(Inbound::parse(&read), Ok(message));
    }

    #[test]
    fn a_depth_that_is_no_number_counts_as_none() {
        for (depth, expected) in [
            (json!("2"), 2),
            (json!(3), 3),
            (json!("-5"), 0),
            (json!("abc"), 0),
            (json!(""), 0),
        ] {
            let message =
                Inbound::parse(&note(&[tag::INBOUND], json!({"agent": "a", "delegation_depth": depth}))).unwrap();
            assert_eq!(message.delegation_depth, expected);
        }
    }
}
