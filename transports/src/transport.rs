//! What a bridge is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::Host;
use crate::supervise::Report;

/// An outbound note on its way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// The outbound note, which is unique. The same one again is the same message.
    pub id: String,
    /// The agent that wrote it.
    pub agent: String,
    /// The turn that it belongs to.
    pub turn: Option<String>,
    /// What it says, as Markdown.
    pub text: String,
    /// Files that go with it: absolute paths on this machine, which the daemon has chosen, or paths in the vault of the agent,
    /// for [`Host::read`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// What the message had in [`Incoming::origin`](crate::Incoming::origin) that it answers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub origin: BTreeMap<String, String>,
    /// What it is.
    pub kind: Kind,
    /// When the note was written.
    pub created_at: Timestamp,
}

/// What an outbound note is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The answer of a turn.
    Reply,
    /// The news that a turn has failed.
    Failure,
    /// The outcome of work that another agent was asked for.
    Callback,
}

/// A configured bridge. It lives as long as its configuration and is cheap to ask; its [`Transport`] is what runs, and may be
/// started many times.
#[async_trait]
pub trait Bridge: Send + Sync + 'static {
    /// Its name: that of the channel.
    fn name(&self) -> &str;

    /// What it bridges to, such as `telegram`.
    fn kind(&self) -> &'static str;

    /// The agent that its messages are for.
    fn agent(&self) -> &str;

    /// The name under which what it has to send stands in the [outbox](crate::outbox::Entry::bridge). `None`: it keeps nothing.
    fn outbox(&self) -> Option<String> {
        None
    }

    /// A fresh transport, for one run.
    fn transport(&self) -> Box<dyn Transport>;

    /// Takes over an outbound note whose turn began with a message of this bridge. When it returns, the note is safe: it is in
    /// an outbox, is delivered, or needs no delivery. Idempotent on [`Outgoing::id`]: it is called again after a crash. Must
    /// not wait for the other side.
    ///
    /// # Errors
    /// What prevented it; it is tried again then, and later notes wait.
    async fn hand_over(&self, note: &Outgoing) -> Result<(), String>;

    /// Sends a message now. Returns the identities of what was sent, in order.
    ///
    /// # Errors
    /// [`OperationError`].
    async fn reply(&self, _reply: Reply) -> Result<Vec<String>, OperationError> {
        Err(self.unsupported(Operation::Reply))
    }

    /// Puts a reaction on a message.
    ///
    /// # Errors
    /// [`OperationError`].
    async fn react(&self, _reaction: Reaction) -> Result<(), OperationError> {
        Err(self.unsupported(Operation::React))
    }

    /// Changes a message that was sent.
    ///
    /// # Errors
    /// [`OperationError`].
    async fn edit(&self, _edit: Edit) -> Result<(), OperationError> {
        Err(self.unsupported(Operation::Edit))
    }

    /// Asks the people of this bridge whether a tool may be used. The answer comes through [`Host::verdict`]. Returns the
    /// identities of the questions.
    ///
    /// # Errors
    /// [`OperationError`].
    async fn permission(&self, _request: PermissionRequest) -> Result<Vec<String>, OperationError> {
        Err(self.unsupported(Operation::Permission))
    }

    /// Fetches a file that somebody sent. Returns where it is on this machine.
    ///
    /// # Errors
    /// [`OperationError`].
    async fn download(&self, _file_id: &str) -> Result<String, OperationError> {
        Err(self.unsupported(Operation::Download))
    }

    /// The answer to what this kind of bridge cannot do.
    fn unsupported(&self, operation: Operation) -> OperationError {
        OperationError::Unsupported {
            kind: self.kind(),
            operation,
        }
    }
}

/// The running part of a bridge.
#[async_trait]
pub trait Transport: Send + 'static {
    /// Carries messages both ways until `drain` is cancelled, and then returns within seconds. Tells by `report` when it is
    /// up, and of trouble that it deals with itself.
    ///
    /// # Errors
    /// [`Failure`]. It ends this run without touching any agent.
    async fn run(self: Box<Self>, host: Arc<dyn Host>, report: Report, drain: CancellationToken)
    -> Result<(), Failure>;
}

/// Why a run of a transport ended, in a sentence for the operator, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It is worth another try.
    #[error("{0}")]
    Broken(String),
    /// It cannot work until somebody changes something, such as a token that is not accepted.
    #[error("{0}")]
    Refused(String),
}

/// What a bridge can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// [`Bridge::reply`]
    Reply,
    /// [`Bridge::react`]
    React,
    /// [`Bridge::edit`]
    Edit,
    /// [`Bridge::permission`]
    Permission,
    /// [`Bridge::download`]
    Download,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reply => "reply",
            Self::React => "react",
            Self::Edit => "edit",
            Self::Permission => "permission",
            Self::Download => "download",
        })
    }
}

/// Why a bridge did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// This kind of bridge never can.
    #[error("a bridge of the kind {kind:?} has no {operation}")]
    Unsupported {
        /// The kind.
        kind: &'static str,
        /// What was asked for.
        operation: Operation,
    },
    /// The call or the configuration lacks something that it takes.
    #[error("{0}")]
    Config(String),
    /// The other side failed.
    #[error("{0}")]
    Failed(String),
}

/// A message to send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// What it says.
    pub text: Option<String>,
    /// Files on this machine that go with it, absolute.
    pub files: Vec<String>,
    /// The message of the other side that it answers.
    pub reply_to: Option<String>,
    /// What the bridge needs to find its chat, such as `chat_id`.
    pub meta: BTreeMap<String, String>,
}

/// A reaction to put on a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reaction {
    /// The message.
    pub message_id: String,
    /// The emoji.
    pub emoji: String,
    /// What the bridge needs to find its chat, such as `chat_id`.
    pub meta: BTreeMap<String, String>,
}

/// A change of a message that was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// The message.
    pub message_id: String,
    /// What it shall say.
    pub text: String,
    /// What the bridge needs to find its chat, such as `chat_id`.
    pub meta: BTreeMap<String, String>,
}

/// A session asks whether it may use a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionRequest {
    /// Names the request.
    pub request_id: String,
    /// The tool.
    pub tool_name: String,
    /// What it is about to do.
    #[serde(default)]
    pub description: String,
    /// The beginning of its input.
    #[serde(default)]
    pub input_preview: String,
}
