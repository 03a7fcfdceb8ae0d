//! A message from outside on its way in.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// A message from outside, before it is a note.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// The agent that shall get it.
    pub agent: String,
    /// The text. Blank text is refused.
    pub text: String,
    /// Who wrote it, such as `operator` or `telegram:4711`.
    pub sender: String,
    /// Names a conversation within the agent.
    pub subject: Option<String>,
    /// `followup`, `collect` or `interrupt`: what it does to the others of its conversation.
    pub mode: Option<String>,
    /// The agent that gets the outcome.
    pub reply_to: Option<String>,
    /// Echoed to it.
    pub correlation_id: Option<String>,
    /// Files that go with it: their paths in the vault of the agent, where they were uploaded before.
    pub attachments: Vec<String>,
    /// The sender's own identity of the message. The same one again is the same message.
    pub idempotency_key: Option<String>,
    /// Where it stands in a chain of hand-overs; a message without it begins one.
    pub link: Option<Link>,
    /// Where it came from, in the words of its bridge (`chat_id`, `message_id`, `user`, ...). Goes onto the inbound note, and
    /// comes back with every [`Outgoing`](crate::Outgoing) of the turn, so that an answer finds its chat. Names are
    /// `[a-z0-9_]{1,64}`; together at most 32 of them and 16 KB.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub origin: BTreeMap<String, String>,
}

/// A place in a chain of hand-overs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The chain.
    pub chain: String,
    /// Hand-overs up to here.
    pub depth: u32,
    /// The turn that hands over; absent when a person goes on with a chain.
    pub turn: Option<String>,
}

/// The message is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The vault that holds the note. Empty for a message that no agent takes: it was pushed to the sessions that listen to the
    /// bridge, and is kept nowhere.
    pub vault: String,
    /// The inbound note.
    pub note: String,
    /// The turn that will answer it; `None` when the queue takes it a little later.
    pub turn: Option<String>,
}

/// Why a message was not taken. Nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No agent of that name.
    #[error("there is no agent {agent:?}{}", known(.agents))]
    UnknownAgent {
        /// The asked name.
        agent: String,
        /// The names that exist.
        agents: Vec<String>,
    },
    /// The agent's definition does not hold together.
    #[error("the agent {agent:?} cannot work: {problems}")]
    BrokenAgent {
        /// The asked name.
        agent: String,
        /// What is wrong with its definition.
        problems: String,
    },
    /// No text.
    #[error("the message has no text")]
    Blank,
    /// The idempotency key belongs to a message with another text.
    #[error("this idempotency key was used for another message")]
    KeyReused,
    /// Too many messages wait for the agent.
    #[error("{waiting} messages wait for {agent:?} already, which is the most that this daemon takes")]
    Full {
        /// The asked name.
        agent: String,
        /// How many wait.
        waiting: u64,
    },
    /// Something in it breaks a rule.
    #[error("{0}")]
    Invalid(String),
    /// Try again later.
    #[error("the message was not stored: {0}")]
    Unavailable(String),
    /// The vault failed in the middle: the message may be stored or not.
    #[error("it is not known whether the message was stored: {0}")]
    Unknown(String),
}

fn known(agents: &[String]) -> String {
    match agents {
        [] => "; none is defined yet".into(),
        some => format!("; defined are: {}", some.join(", ")),
    }
}

/// The one door for messages from outside.
#[async_trait]
pub trait Intake: Send + Sync + 'static {
    /// Stores a message durably as an inbound note.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing is stored.
    async fn take(&self, message: Incoming) -> Result<Taken, Refusal>;
}
