//! Types of other crates as they are sent. Each is made from its original without a catch-all, so that what is added there
//! is not forgotten here.

use reveille_queue::{MessageMode, State, ThreadKey};
use reveille_vault::{Capabilities, Kind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a turn stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum TurnState {
    /// Accepted, in line.
    Waiting,
    /// It runs.
    Working,
    /// Its text is part of another turn, and it ends with that one.
    Joined,
    /// Ended with an answer.
    Ok,
    /// Ended without one.
    Error,
    /// Ended by a person.
    Cancelled,
    /// Ended because it was cut off twice.
    Interrupted,
}

impl From<State> for TurnState {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Working => Self::Working,
            State::Joined => Self::Joined,
            State::Ok => Self::Ok,
            State::Error => Self::Error,
            State::Cancelled => Self::Cancelled,
            State::Interrupted => Self::Interrupted,
        }
    }
}

/// Which conversation of its agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "kind", content = "key", rename_all = "snake_case")]
#[schema(as = ThreadKey)]
pub(super) enum Thread {
    /// The one main conversation.
    Main,
    /// The one of this subject.
    Subject(String),
    /// One of a single message, named by it.
    Single(String),
}

impl From<ThreadKey> for Thread {
    fn from(key: ThreadKey) -> Self {
        match key {
            ThreadKey::Main => Self::Main,
            ThreadKey::Subject(subject) => Self::Subject(subject),
            ThreadKey::Single(message) => Self::Single(message),
        }
    }
}

/// What a message does to the others of its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MessageMode)]
pub(super) enum Mode {
    /// It takes its place at the end.
    Followup,
    /// The same, and it shares one turn with those of its kind that wait directly behind each other.
    Collect,
    /// It goes to the front, and ends the turn that runs.
    Interrupt,
}

impl From<MessageMode> for Mode {
    fn from(mode: MessageMode) -> Self {
        match mode {
            MessageMode::Followup => Self::Followup,
            MessageMode::Collect => Self::Collect,
            MessageMode::Interrupt => Self::Interrupt,
        }
    }
}

/// Where the notes of a vault are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum VaultKind {
    /// In a file of the daemon.
    Embedded,
    /// Behind the HTTP API of another server.
    Parachute,
    /// In a folder of Markdown files.
    Folder,
}

impl From<Kind> for VaultKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Embedded => Self::Embedded,
            Kind::Parachute => Self::Parachute,
            Kind::Folder => Self::Folder,
        }
    }
}

/// What a vault can do beyond what every kind can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct VaultCapabilities {
    /// Several new notes are written all or none.
    atomic_batches: bool,
    /// A metadata key can be taken away.
    remove_metadata: bool,
    /// The text of notes can be searched.
    search: bool,
    /// Listings have other orders than the time of creation.
    order_by: bool,
    /// Listings are narrowed by conditions on metadata fields, by dates, and by whether there are tags.
    operators: bool,
    /// Tags have descriptions and fields.
    tag_schemas: bool,
    /// A tag can be a kind of another one.
    tag_parents: bool,
    /// Notes have links.
    links: bool,
    /// It tells others of writes.
    triggers: bool,
    /// A note can be without a path.
    without_path: bool,
}

impl From<Capabilities> for VaultCapabilities {
    fn from(can: Capabilities) -> Self {
        let Capabilities {
            atomic_batches,
            remove_metadata,
            search,
            order_by,
            operators,
            tag_schemas,
            tag_parents,
            links,
            triggers,
            without_path,
        } = can;
        Self {
            atomic_batches,
            remove_metadata,
            search,
            order_by,
            operators,
            tag_schemas,
            tag_parents,
            links,
            triggers,
            without_path,
        }
    }
}
