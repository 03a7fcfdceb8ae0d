//! `agent/message/outbound` notes: what comes back from an agent.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{slug, tag};
use crate::note::{Metadata, Note, NoteId, bare_tag, millis};
use crate::store::NewNote;

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
    /// What a person can do about the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
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
        if let Some(next_step) = &self.next_step {
            put("next_step", next_step);
        }
        NewNote {
            id: Some(self.id.clone()),
            path: Some(format!("channel/{}/{}", slug(&self.agent), self.id)),
            content: self.text.clone(),
            tags: vec![tag::MESSAGE.into(), tag::OUTBOUND.into()],
            metadata,
            created_at: Some(self.at),
            attachments: Vec::new(),
            links: Vec::new(),
        }
    }

    /// Whether a note is an answer of an agent.
    #[must_use]
    pub fn is(note: &Note) -> bool {
        note.tags.iter().any(|t| bare_tag(t) == tag::OUTBOUND) || note.text("direction").as_deref() == Some("outbound")
    }
}
