//! The words of the queue.

mod figures;
mod names;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub use figures::{ChainTotals, DayTotals, Load, Period, Spread, Tally};
pub use names::{ChannelName, InvalidName, Lane, ThreadKey};

/// What a message does to the others of its lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageMode {
    /// It takes its place at the end.
    #[default]
    Followup,
    /// The same, and it shares one turn with those of its kind that wait directly behind each other.
    Collect,
    /// It goes to the front. That the running turn has to end is the worker's matter.
    Interrupt,
}

impl MessageMode {
    /// The word that is stored and written in metadata.
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
        [Self::Followup, Self::Collect, Self::Interrupt]
            .into_iter()
            .find(|mode| mode.as_str() == text)
    }
}

/// A message to be accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Where it goes.
    pub lane: Lane,
    /// The chain of hand-overs that it belongs to: the note of the first message of all that led here.
    pub chain: String,
    /// What it does to the others of its lane.
    pub mode: MessageMode,
    /// The vault that holds its note.
    pub vault: String,
    /// Its note. Together with `vault` the key of idempotence: a second acceptance finds the first.
    pub note: String,
    /// All that the turn needs of the note, as it was when accepted.
    pub body: Value,
}

/// Position in a feed, stored with what it brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedCursor {
    /// Name of the feed.
    pub feed: String,
    /// Everything up to here has been accepted.
    pub at: u64,
}

/// What became of a batch of turns that ended long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgotten {
    /// So many had something that is gone now.
    pub turns: u64,
    /// Behind which place there may be more.
    pub next: Option<u64>,
}

/// Answer to an acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The turn that answers the message.
    pub turn: Uuid,
    /// False when the message had been accepted before.
    pub fresh: bool,
    /// Where a fresh one stands in line.
    pub place: Option<Place>,
}

/// Where a turn stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Accepted, in line.
    Waiting,
    /// Claimed by a worker.
    Working,
    /// Its text is part of another turn, which has been claimed; it ends with that one.
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

impl State {
    /// The word that is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Working => "working",
            Self::Joined => "joined",
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether nothing follows it.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Waiting | Self::Working | Self::Joined)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [
            Self::Waiting,
            Self::Working,
            Self::Joined,
            Self::Ok,
            Self::Error,
            Self::Cancelled,
            Self::Interrupted,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
    }
}

/// Proof of a claim: only the newest epoch of a turn may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The turn.
    pub turn: Uuid,
    /// Grows with every claim of the turn.
    pub epoch: u64,
}

/// Tokens and cost of a turn or a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    /// Input tokens, cache not counted.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Tokens read from the prompt cache.
    pub cache_read_tokens: u64,
    /// Tokens written to the prompt cache.
    pub cache_write_tokens: u64,
    /// Billionths of a US dollar: sums stay exact.
    pub nano_usd: u64,
}

impl Spend {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            cache_read_tokens: self.cache_read_tokens.saturating_add(other.cache_read_tokens),
            cache_write_tokens: self.cache_write_tokens.saturating_add(other.cache_write_tokens),
            nano_usd: self.nano_usd.saturating_add(other.nano_usd),
        }
    }
}

/// A conversation: what outlives a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Names its private directory; never changes.
    pub id: Uuid,
    /// Which one it is.
    pub lane: Lane,
    /// The established session and the directory that it is bound to.
    pub session: Option<(Uuid, String)>,
    /// Settled turns.
    pub turns: u64,
    /// Start of its first turn.
    pub started_at: Option<Timestamp>,
    /// Sum over its turns.
    pub spend: Spend,
}

/// How a conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Nothing is to be done.
    Idle,
    /// A turn of it is being worked on.
    Working,
    /// A turn of it waits.
    Queued,
    /// Its newest turn ended without an answer, and not because a person wanted that.
    Error,
}

impl Standing {
    /// The word that is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Working => "working",
            Self::Queued => "queued",
            Self::Error => "error",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Idle, Self::Working, Self::Queued, Self::Error]
            .into_iter()
            .find(|standing| standing.as_str() == text)
    }
}

/// A conversation as a listing shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// It.
    pub conversation: Conversation,
    /// Its newest turn.
    pub turn: Turn,
    /// The name that a person has given it.
    pub title: Option<String>,
    /// A person has put it away.
    pub archived: bool,
    /// How it stands.
    pub standing: Standing,
    /// Its place in the order of what happened last: larger is later.
    pub place: u64,
}

/// Which conversations are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Of this channel.
    pub channel: Option<ChannelName>,
    /// Those put away, or the others.
    pub archived: Option<bool>,
    /// Those that stand so.
    pub standing: Option<Standing>,
    /// Before this place: [`ListedPage::next`].
    pub before: Option<u64>,
}

/// Some conversations, that of which something happened last first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListedPage {
    /// They.
    pub threads: Vec<Listed>,
    /// Where to go on, also where there are none: a look does not go through everything.
    pub next: Option<u64>,
}

/// A message that shares the turn of another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Joined {
    /// Its own turn.
    pub turn: Uuid,
    /// The message.
    pub message: Message,
}

/// A turn that a worker may run.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// To be shown with every later write.
    pub lease: Lease,
    /// The message.
    pub message: Message,
    /// Its conversation as it stands before this turn.
    pub conversation: Conversation,
    /// How often the turn was begun and then cut off.
    pub interruptions: u32,
    /// The session of the attempt that was cut off.
    pub begun_session: Option<Uuid>,
    /// When the message was accepted.
    pub accepted_at: Timestamp,
    /// What earlier attempts took.
    pub spent: Spend,
    /// Messages that are part of this turn, in their order; they end with it.
    pub joined: Vec<Joined>,
    /// Its chain.
    pub chain: ChainTotals,
    /// The channel's day.
    pub today: DayTotals,
}

/// A claim that somebody outside holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The turn, and its conversation as it stands now.
    pub claim: Claim,
    /// Who holds it.
    pub owner: String,
    /// When it ends unless it is renewed.
    pub until: Timestamp,
}

/// The beginning of a channel's line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Front {
    /// How many wait and are not held back.
    pub waiting: u64,
    /// The first of them, in the order in which they are taken.
    pub turns: Vec<Turn>,
}

/// What a turn does to the session of its conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionUpdate {
    /// Nothing.
    Keep,
    /// This one is established, bound to this directory.
    Set(Uuid, String),
    /// The next turn begins a new one.
    Clear,
}

/// The end of a turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    /// A terminal state.
    pub state: State,
    /// What is kept of the turn: reply, error, model.
    pub record: Value,
    /// The session.
    pub session: SessionUpdate,
    /// What this attempt took. The turn adds it to what earlier ones took.
    pub spend: Spend,
}

/// Something that must happen because a turn has ended: a row of the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEffect {
    /// Where it goes: `group/line`, or a line of no group. Effects of one target are delivered in the order in which they
    /// were written; a group can be held back as a whole.
    pub target: String,
    /// What to do there; repeating it must do no harm.
    pub body: Value,
}

/// How far an effect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectState {
    /// To be delivered.
    Pending,
    /// Refused for good by its target; kept for a person.
    Parked,
}

/// A row of the outbox that is not delivered yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// Its number; order of writing.
    pub id: u64,
    /// The turn that it belongs to.
    pub turn: Uuid,
    /// Where it goes.
    pub target: String,
    /// What to do there.
    pub body: Value,
    /// How far it is.
    pub state: EffectState,
    /// Tries so far.
    pub attempts: u32,
    /// Not before this time.
    pub due_at: Timestamp,
    /// What the last try said.
    pub last_error: Option<String>,
}

/// An effect that should have been delivered by now, as a listing shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Overdue {
    /// The effect.
    pub effect: Effect,
    /// The channel of its turn.
    pub channel: ChannelName,
    /// When its turn ended.
    pub since: Timestamp,
    /// It waits for an older one of its target.
    pub behind: bool,
}

/// One turn as a listing shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Its identity.
    pub id: Uuid,
    /// The message that it answers.
    pub message: Message,
    /// Its conversation.
    pub conversation: Uuid,
    /// Where it stands.
    pub state: State,
    /// A person holds it back: it waits, and the ones behind it pass.
    pub held: bool,
    /// The turn that it is part of, while [`State::Joined`] and afterwards.
    pub leader: Option<Uuid>,
    /// How often it was begun and then cut off.
    pub interruptions: u32,
    /// When the message was accepted.
    pub accepted_at: Timestamp,
    /// When it was last claimed.
    pub claimed_at: Option<Timestamp>,
    /// Who took it from outside, while [`State::Working`] and after it has ended so; absent when a worker did.
    pub claimed_by: Option<String>,
    /// When that claim ends unless it is renewed.
    pub claim_ends: Option<Timestamp>,
    /// When it ended.
    pub settled_at: Option<Timestamp>,
    /// What was kept of it.
    pub record: Option<Value>,
    /// What it took.
    pub spend: Spend,
}

/// What a start found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Claimed, but the prompt had not been given: back in line as if nothing had been.
    pub requeued: u64,
    /// Begun and cut off: back in line with one more interruption.
    pub interrupted: u64,
}

/// Where an open turn stands in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its conversation.
    pub conversation: Uuid,
    /// Turns of its lane before it, the one being worked on included; counted up to 1 000.
    pub ahead: u64,
}

/// A channel at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// The channel.
    pub channel: ChannelName,
    /// Turns in line.
    pub waiting: u64,
    /// Settled turns of all its conversations.
    pub turns: u64,
    /// The turn that was settled last: how, and when.
    pub last: Option<(Uuid, State, Timestamp)>,
    /// Sum over its conversations.
    pub spend: Spend,
}

/// Where in its lane a waiting turn goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Before all others.
    First,
    /// Directly before this turn of the same lane.
    Before(Uuid),
    /// Behind all that wait now.
    Last,
}

/// Why a channel's turns are not claimed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Stable code, such as `authentication`.
    pub code: String,
    /// What happened and what to do, for a person.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// Ends by itself at this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Which note defines the agent of a channel: what makes a rename one, also over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Binding {
    /// The vault of the definition.
    pub vault: String,
    /// The definition.
    pub note: String,
    /// The channel.
    pub channel: ChannelName,
}

/// A channel whose line and conversations have moved to another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// Its former name.
    pub from: ChannelName,
    /// Its name now.
    pub to: ChannelName,
}
