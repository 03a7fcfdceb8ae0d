//! What stands in the outbox.

use jiff::Timestamp;
use serde::Serialize;

/// Why the outbox could not do what it was asked for. Then nothing of it was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboxError {
    /// Try again later; the sentence says what a person can do.
    #[error("{0}")]
    Unavailable(String),
    /// The file is not what was written, and was left as it is.
    #[error("{0}")]
    Damaged(String),
    /// The file belongs to a newer version, and was left as it is.
    #[error("{0}")]
    Newer(String),
    /// The payload is longer than is kept.
    #[error("{bytes} bytes are more than the outbox keeps of one message, {most}")]
    TooLong {
        /// Of the payload.
        bytes: usize,
        /// [`super::PAYLOAD_BYTES`].
        most: usize,
    },
}

/// Something to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who sends it, such as `telegram/main`.
    pub bridge: String,
    /// Its identity within the bridge. The same one again is the same message, and is not stored again.
    pub id: String,
    /// What is sent in order: one entry of a lane is out at a time.
    pub lane: String,
    /// What the bridge needs to send it, as JSON; at most [`super::PAYLOAD_BYTES`].
    pub payload: String,
    /// It may be given up for room or age ([`super::Outbox::shed`]), since a later one says the same. Synced to disk with the
    /// next entry that is not: it outlives the process, but perhaps not a loss of power.
    pub fleeting: bool,
}

/// A value of a bridge that lasts, such as the place in a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// Whose.
    pub bridge: String,
    /// Its name within the bridge.
    pub key: String,
    /// The value; `None` takes it away.
    pub value: Option<String>,
}

/// An entry whose turn has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Order of acceptance.
    pub seq: u64,
    /// See [`Entry::id`].
    pub id: String,
    /// See [`Entry::lane`].
    pub lane: String,
    /// See [`Entry::payload`].
    pub payload: String,
    /// See [`Entry::fleeting`].
    pub fleeting: bool,
    /// Its number in the lane, once [`super::Outbox::number`] gave one.
    pub number: Option<u64>,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it began to wait: accepted, or sent again by a person.
    pub since: Timestamp,
}

/// What a bridge can send now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// The heads of their lanes, longest due first.
    pub ready: Vec<Item>,
    /// When the next one of the lanes that are not busy falls due; in the past when there was no room for it in `ready`.
    pub next_at: Option<Timestamp>,
}

/// How far an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is sent as soon as it can be.
    Waiting,
    /// The other side has it.
    Delivered,
    /// It was given up, and is kept until a person sends it again or its time is over.
    Undelivered,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
        }
    }

    pub(super) fn of(word: &str) -> Self {
        match word {
            "delivered" => Self::Delivered,
            "undelivered" => Self::Undelivered,
            _ => Self::Waiting,
        }
    }
}

/// An entry as it is shown. Without its payload, which may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Order of acceptance; the place to go on from.
    pub seq: u64,
    /// See [`Entry::bridge`].
    pub bridge: String,
    /// See [`Entry::id`].
    pub id: String,
    /// See [`Entry::lane`].
    pub lane: String,
    /// How far it is.
    pub state: State,
    /// Bytes of its payload.
    pub bytes: u64,
    /// Its number in the lane, when it has one.
    pub number: Option<u64>,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// Why the last try failed, for a person.
    pub error: Option<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it is tried next; only what waits.
    pub due_at: Option<Timestamp>,
    /// When it was delivered or given up.
    pub settled_at: Option<Timestamp>,
}

/// How many entries a bridge has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The bridge.
    pub bridge: String,
    /// What waits.
    pub waiting: u64,
    /// What was delivered and is not forgotten yet.
    pub delivered: u64,
    /// What was given up.
    pub undelivered: u64,
    /// When the oldest that waits was accepted.
    pub oldest_at: Option<Timestamp>,
}

/// Which entries are sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All of the bridge that were given up.
    All,
    /// This one.
    One(String),
}

/// The number of an entry in its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbered {
    /// From 1, without a gap, in the order in which they were given.
    pub number: u64,
    /// How many fleeting entries of the lane were given up so far.
    pub shed: u64,
}

/// How much that is fleeting may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Most entries of the bridge.
    pub entries: u64,
    /// Most bytes of their payloads together.
    pub bytes: u64,
    /// What was accepted before this is given up whatever room there is.
    pub oldest: Timestamp,
}

/// Until when ended entries are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// What was delivered before this is forgotten, with its id: the same id after that would be sent again.
    pub delivered_before: Timestamp,
    /// What was given up before this is removed.
    pub undelivered_before: Timestamp,
    /// The numbers of lanes that were not used since are forgotten.
    pub lanes_before: Timestamp,
}
