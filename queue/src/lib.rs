//! The durable FIFO of turns. Owns a message from the moment it is accepted until its turn is settled and every effect of
//! the turn is delivered: inbox, claims with an epoch, turn journal, conversations with their sessions, outbox, and the
//! cursors of the feeds that fill it. Must never know what a note, a model or a process is: bodies are opaque JSON.
#![forbid(unsafe_code)]

mod model;
mod queue;
mod sqlite;

pub use model::{
    Accepted, Binding, ChainTotals, ChannelName, Claim, Conversation, DayTotals, Effect, EffectState, FeedCursor,
    Forgotten, Front, Held, InvalidName, Joined, Lane, Lease, Listed, ListedPage, Listing, Load, Message, MessageMode,
    NewEffect, Overdue, Overview, Pause, Period, Place, Position, Recovery, Renamed, SessionUpdate, Settlement, Spend,
    Spread, Standing, State, Tally, ThreadKey, Turn,
};
pub use queue::{ControlError, Forget, LeaseError, Queue, QueueError};
pub use sqlite::{Options, SqliteQueue, TABLES};
