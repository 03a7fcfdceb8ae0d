//! Bridges between the vault's messages and the outside. Owns the words in which an outside message enters and a
//! [`Transport`] talks to the daemon. Must never keep a message itself: what a bridge takes becomes an inbound note, so
//! durability, order and display are those of every other message.
//!
//! The HTTP route `send` and the command line enter here too; bridges to other systems implement [`Transport`].
#![forbid(unsafe_code)]

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

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
    /// The vault that holds the note.
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

/// A bridge to another system. It runs until `drain` is cancelled; an error ends it without touching any agent.
#[async_trait]
pub trait Transport: Send + 'static {
    /// Carries messages both ways.
    ///
    /// # Errors
    /// What made it stop, in a sentence for the operator, without secrets.
    async fn run(self: Box<Self>, intake: Arc<dyn Intake>, drain: CancellationToken) -> Result<(), String>;
}
