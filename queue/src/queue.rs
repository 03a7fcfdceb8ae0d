//! The contract of a queue.

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

use crate::model::{
    Accepted, ChannelName, Claim, Conversation, Effect, FeedCursor, Lane, Lease, Message, NewEffect, Overview, Place,
    Recovery, Settlement, Spend, Turn,
};

/// The queue's storage could not do it. Nothing of the request was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// Disk full, file gone, locked by another process.
    #[error("the queue is not usable now: {reason}")]
    Unavailable {
        /// What the storage said.
        reason: String,
    },
    /// The request itself cannot be stored: trying it again does not help.
    #[error("the queue cannot take this: {reason}")]
    Refused {
        /// What is wrong with it.
        reason: String,
    },
    /// A stored row cannot be read: made by a newer version, or damaged.
    #[error("the queue holds something unreadable: {reason}")]
    Corrupt {
        /// Which.
        reason: String,
    },
}

/// Why a write under a lease was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// The turn has been claimed again or settled since.
    #[error("the claim on turn {turn} is no longer held")]
    Stale {
        /// The turn.
        turn: Uuid,
    },
    /// See [`QueueError`].
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// A durable FIFO per [`Lane`]. Everything is on disk when a call returns. Every write of a worker shows its [`Lease`], so
/// a worker that was given up cannot settle a turn that somebody else has taken over.
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// Accepts messages and moves a feed's cursor, in one transaction, answering in the given order. A message whose
    /// (vault, note) was accepted before is not accepted again: the answer names the first turn.
    ///
    /// # Errors
    /// [`QueueError`]; then neither a message nor the cursor was stored.
    async fn accept(&self, messages: Vec<Message>, cursor: Option<FeedCursor>) -> Result<Vec<Accepted>, QueueError>;

    /// The stored cursor of a feed, 0 at first.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn cursor(&self, feed: &str) -> Result<u64, QueueError>;

    /// Takes the oldest waiting turn of a lane, if no turn of the lane is being worked on.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn claim(&self, lane: &Lane) -> Result<Option<Claim>, QueueError>;

    /// Holds the claim for another lease time.
    ///
    /// # Errors
    /// [`LeaseError`].
    async fn heartbeat(&self, lease: Lease) -> Result<(), LeaseError>;

    /// Notes that the prompt is about to be given under this session: from here on the turn may have side effects.
    ///
    /// # Errors
    /// [`LeaseError`].
    async fn begin(&self, lease: Lease, session: Uuid) -> Result<(), LeaseError>;

    /// Takes back [`Queue::begin`] of an attempt that turned out not to have taken the prompt, and its interruption. The
    /// attempt is the one of this claim, when it has begun; otherwise the last one that was cut off.
    ///
    /// # Errors
    /// [`LeaseError`].
    async fn unbegin(&self, lease: Lease) -> Result<(), LeaseError>;

    /// Puts a claimed turn back to its place in line. A turn that had begun counts one more interruption. What the attempt
    /// took is kept with the turn.
    ///
    /// # Errors
    /// [`LeaseError`].
    async fn release(&self, lease: Lease, spend: Spend) -> Result<(), LeaseError>;

    /// Ends a turn: its state and record, its conversation and its effects, in one transaction.
    ///
    /// # Errors
    /// [`LeaseError`].
    async fn settle(&self, lease: Lease, settlement: Settlement, effects: Vec<NewEffect>) -> Result<(), LeaseError>;

    /// Puts every turn that a gone worker had claimed back in line. To be called once, before the first claim, by the one
    /// owner of the queue.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn recover(&self) -> Result<Recovery, QueueError>;

    /// Puts turns back in line whose lease ran out before `now`. Counts as [`Queue::recover`] does.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn expire(&self, now: Timestamp) -> Result<Recovery, QueueError>;

    /// Lanes that hold a waiting turn, each once, in the order of their oldest.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn lanes(&self) -> Result<Vec<Lane>, QueueError>;

    /// The first turns of a channel that are not settled: first those being worked on, then the others in line.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn open_turns(&self, channel: &ChannelName, limit: u32) -> Result<Vec<Turn>, QueueError>;

    /// Number of turns in line for each channel that has any.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn depths(&self) -> Result<Vec<(ChannelName, u64)>, QueueError>;

    /// Where a turn stands in line; `None` when it is settled or unknown.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn place(&self, turn: Uuid) -> Result<Option<Place>, QueueError>;

    /// Every channel that ever had a message, by name.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn overview(&self) -> Result<Vec<Overview>, QueueError>;

    /// One turn.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn turn(&self, id: Uuid) -> Result<Option<Turn>, QueueError>;

    /// The turn that answers a message.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn turn_of(&self, vault: &str, note: &str) -> Result<Option<Turn>, QueueError>;

    /// The newest settled turns of a channel, newest first.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn settled(&self, channel: &ChannelName, limit: u32) -> Result<Vec<Turn>, QueueError>;

    /// The conversations of a channel, oldest first.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn conversations(&self, channel: &ChannelName) -> Result<Vec<Conversation>, QueueError>;

    /// Undelivered effects that are due, oldest first. An effect is left out while an older one of its target is not due.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<Effect>, QueueError>;

    /// When the next effect becomes due, if any is pending.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn next_due(&self) -> Result<Option<Timestamp>, QueueError>;

    /// Takes delivered effects off.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn delivered(&self, effects: Vec<u64>) -> Result<(), QueueError>;

    /// Notes a failed try; the next one is due at `due_at`, or never (parked) with `None`.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn undelivered(&self, effect: u64, error: &str, due_at: Option<Timestamp>) -> Result<(), QueueError>;

    /// All effects that are not delivered, oldest first.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn outbox(&self, limit: u32) -> Result<Vec<Effect>, QueueError>;

    /// Changes with every write that makes work: a hint to look again, the rows are the truth. Writes that a worker makes on
    /// its way to work (a claim, a heartbeat, a begin) do not change it, or looking would wake the one who looks.
    fn watch(&self) -> watch::Receiver<u64>;
}
