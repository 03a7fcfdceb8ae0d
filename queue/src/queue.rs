//! The contract of a queue.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use crate::model::{
    Accepted, Binding, ChannelName, Claim, Conversation, DayTotals, Effect, FeedCursor, Forgotten, Front, Held, Lane,
    Lease, Listed, ListedPage, Listing, Load, Message, NewEffect, Overdue, Overview, Pause, Period, Place, Position,
    Recovery, Renamed, Settlement, Spend, State, ThreadKey, Turn,
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

/// Takes out of the body of a message and the record of its turn (null: it has none) what is not kept. Answers whether there was
/// something.
pub type Forget = fn(body: &mut Value, record: &mut Value) -> bool;

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

/// Why a person's hand on the line was refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No such turn.
    #[error("there is no turn {turn}")]
    Unknown {
        /// The turn.
        turn: Uuid,
    },
    /// The turn no longer waits in line.
    #[error("the turn {turn} does not wait in line; it is {}", state.as_str())]
    NotWaiting {
        /// The turn.
        turn: Uuid,
        /// Where it stands.
        state: State,
    },
    /// The other turn of a move does not wait in the same line.
    #[error("the turn {other} does not wait in the line of turn {turn}")]
    OtherLine {
        /// The turn that was to be moved.
        turn: Uuid,
        /// The one that it should stand before.
        other: Uuid,
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
    /// (vault, note) was accepted before is not accepted again: the answer names the first turn. While that one waits in
    /// the same lane and was never begun, it takes over the body: the message was edited.
    ///
    /// # Errors
    /// [`QueueError`]; then neither a message nor the cursor was stored.
    async fn accept(&self, messages: Vec<Message>, cursor: Option<FeedCursor>) -> Result<Vec<Accepted>, QueueError>;

    /// The stored cursor of a feed, 0 at first.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn cursor(&self, feed: &str) -> Result<u64, QueueError>;

    /// Puts a feed's cursor back to 0: its log was replaced by another one. Accepted messages stay accepted.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn rewind(&self, feed: &str) -> Result<(), QueueError>;

    /// Takes the first waiting turn of a lane that is not held, if no turn of the lane is being worked on and the channel
    /// is not paused. A [`crate::MessageMode::Collect`] turn takes those of its kind with it that stand directly behind it
    /// (held ones are passed over), up to 50, unless they or the turn itself had begun before. They stay with it until it
    /// ends, also when it goes back in line.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn claim(&self, lane: &Lane) -> Result<Option<Claim>, QueueError>;

    /// What [`Queue::claim`] would give now, without taking it: nothing is written. Its lease is nobody's, and no write under
    /// it is taken. Those that would join are not in it.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn peek(&self, lane: &Lane) -> Result<Option<Claim>, QueueError>;

    /// Takes the first waiting turn of a channel that is not held back, for somebody outside, unless the channel is paused.
    /// Lanes do not count here, save that one in which a worker of ours runs is passed over: a lane may have several turns
    /// that were taken so. Collecting turns take along what [`Queue::claim`] says. The claim ends at its time, unless it is
    /// renewed; a restart alone does not end it.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn take(
        &self,
        channel: &ChannelName,
        owner: &str,
        ttl: std::time::Duration,
    ) -> Result<Option<Held>, QueueError>;

    /// Gives a claim another end, this long from now, and says when that is.
    ///
    /// # Errors
    /// [`LeaseError`].
    async fn renew(&self, lease: Lease, ttl: std::time::Duration) -> Result<Timestamp, LeaseError>;

    /// The claim that somebody outside holds on a turn.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn held(&self, turn: Uuid) -> Result<Option<Held>, QueueError>;

    /// All turns that somebody outside has taken, by channel and in the order in which they were taken.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn taken(&self) -> Result<Vec<Turn>, QueueError>;

    /// Puts turns back in line that somebody outside has kept beyond their time, and answers them as they are then.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn lapse(&self, now: Timestamp) -> Result<Vec<Turn>, QueueError>;

    /// The first turns of a channel that [`Queue::take`] would give, whether or not the channel is paused.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn front(&self, channel: &ChannelName, limit: u32) -> Result<Front, QueueError>;

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
    /// attempt is the one of this claim, when it has begun; otherwise the last one that was cut off. The session stays known
    /// as long as an attempt before it counts.
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

    /// Ends a turn and those that joined it: state and record, conversation and effects, in one transaction. The session
    /// is left alone when the conversation was reset since the claim.
    ///
    /// # Errors
    /// [`LeaseError`].
    async fn settle(&self, lease: Lease, settlement: Settlement, effects: Vec<NewEffect>) -> Result<(), LeaseError>;

    /// Puts every turn that a gone worker had claimed back in line. What somebody outside has taken stays with them, also
    /// beyond its time: [`Queue::lapse`] puts it back and says so. To be called once, before the first claim, by the one
    /// owner of the queue.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn recover(&self) -> Result<Recovery, QueueError>;

    /// Puts turns back in line whose lease ran out before `now`, whoever has them. Counts as [`Queue::recover`] does.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn expire(&self, now: Timestamp) -> Result<Recovery, QueueError>;

    /// Ends a waiting turn without running it, in one transaction with its effects. Those that had joined it go back to
    /// their places in line. One that was never claimed does not count among the conversation's turns.
    ///
    /// # Errors
    /// [`ControlError`].
    async fn cancel(&self, turn: Uuid, settlement: Settlement, effects: Vec<NewEffect>) -> Result<(), ControlError>;

    /// Holds a waiting turn back, or lets it go.
    ///
    /// # Errors
    /// [`ControlError`].
    async fn hold(&self, turn: Uuid, held: bool) -> Result<(), ControlError>;

    /// Moves a waiting turn within its lane. It keeps its new place as it did the old one: what comes later stays behind.
    ///
    /// # Errors
    /// [`ControlError`].
    async fn reposition(&self, turn: Uuid, to: Position) -> Result<(), ControlError>;

    /// Replaces the body of a waiting turn.
    ///
    /// # Errors
    /// [`ControlError`].
    async fn edit(&self, turn: Uuid, body: serde_json::Value) -> Result<(), ControlError>;

    /// Stops claims of a channel; replaces an earlier pause.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn pause(&self, channel: &ChannelName, pause: Pause) -> Result<(), QueueError>;

    /// Ends a pause; says whether there was one that held. With codes, only a pause of one of these.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn resume(&self, channel: &ChannelName, codes: &[&str]) -> Result<bool, QueueError>;

    /// All pauses that hold now.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn pauses(&self) -> Result<Vec<(ChannelName, Pause)>, QueueError>;

    /// Forgets the sessions of a channel's conversations, or of one: the next turn begins anew, and a turn that runs now
    /// does not bring its session back. Says how many conversations that were.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn reset(&self, channel: &ChannelName, thread: Option<&ThreadKey>) -> Result<u64, QueueError>;

    /// The next turn of a conversation begins a new session. `false`: something runs or waits there, and nothing was changed.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn forget_session(&self, conversation: Uuid) -> Result<bool, QueueError>;

    /// Writes down which note defines which channel; a note that had this channel before has none any more. Where a note
    /// had another channel before, that one's line, conversations, pause and ledger move to the new name, in the same
    /// transaction and all at once: notes that swap their names swap nothing else. A conversation that stood there under
    /// the same key is set aside with what runs in it; what waited in it joins the line of the one that came. The pause of
    /// the new name stays where none comes.
    ///
    /// Where another note had the channel last, its conversations are nobody's from then on ([`ThreadKey::former`]); what
    /// waited in them waits in new ones.
    ///
    /// # Errors
    /// [`QueueError`]; refused when two notes are to have one channel, or one note two.
    async fn bind(&self, bindings: Vec<Binding>) -> Result<Vec<Renamed>, QueueError>;

    /// All bindings.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn bindings(&self) -> Result<Vec<Binding>, QueueError>;

    /// The note that had a channel last, also when it was forgotten since. `None`: nobody had it, or who had it has another
    /// one now.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn holder(&self, channel: &ChannelName) -> Result<Option<Binding>, QueueError>;

    /// Forgets what a note defined. Its channel keeps line and conversations.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn unbind(&self, vault: &str, note: &str) -> Result<(), QueueError>;

    /// What each channel, or that one, took on the day (UTC) of `now`; channels that took nothing are left out.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn today(
        &self,
        now: Timestamp,
        channel: Option<&ChannelName>,
    ) -> Result<Vec<(ChannelName, DayTotals)>, QueueError>;

    /// The turns that ended from `from` on and before `until`, of all channels or of one; without messages that were withdrawn
    /// in line. A message that joined a turn is no turn of its own.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn period(
        &self,
        from: Timestamp,
        until: Timestamp,
        channel: Option<&ChannelName>,
    ) -> Result<Period, QueueError>;

    /// What is open now. Its work grows with that.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn load(&self) -> Result<Load, QueueError>;

    /// Number of waiting turns of a channel, counted up to `most`.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn waiting(&self, channel: &ChannelName, most: u32) -> Result<u64, QueueError>;

    /// Lanes that hold a waiting turn which is not held, each once, in the order of their first. Those of paused channels
    /// too: a claim decides.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn lanes(&self) -> Result<Vec<Lane>, QueueError>;

    /// The first turns of a channel that are not settled: first those being worked on, then the others in line. Turns that
    /// joined come directly behind the one that they are part of.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn open_turns(&self, channel: &ChannelName, limit: u32) -> Result<Vec<Turn>, QueueError>;

    /// Number of turns in line for each channel that has any.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn depths(&self) -> Result<Vec<(ChannelName, u64)>, QueueError>;

    /// Where a turn stands in line, one that joined with the one that it is part of; `None` when it is settled or unknown.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn place(&self, turn: Uuid) -> Result<Option<Place>, QueueError>;

    /// Every channel that ever had a message, by name; or that one, if it had.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn overview(&self, channel: Option<&ChannelName>) -> Result<Vec<Overview>, QueueError>;

    /// One turn.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn turn(&self, id: Uuid) -> Result<Option<Turn>, QueueError>;

    /// A turn, and then those that have joined it, in the order of their acceptance.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn company(&self, id: Uuid) -> Result<Vec<Turn>, QueueError>;

    /// The turn that answers a message.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn turn_of(&self, vault: &str, note: &str) -> Result<Option<Turn>, QueueError>;

    /// Turns whose identity, as 32 hexadecimal digits, begins or ends with `part`: `most` of them at most, looked for among
    /// the newest 100 000. Nothing for a part that is no hexadecimal text.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn turns_called(&self, part: &str, most: u32) -> Result<Vec<Uuid>, QueueError>;

    /// The newest settled turns of a channel, newest first.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn settled(&self, channel: &ChannelName, limit: u32) -> Result<Vec<Turn>, QueueError>;

    /// The settled turns of a channel that come behind one of them in that order. Nothing when that one is not settled.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn settled_before(&self, channel: &ChannelName, turn: Uuid, limit: u32) -> Result<Vec<Turn>, QueueError>;

    /// The conversations of a channel, oldest first.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn conversations(&self, channel: &ChannelName) -> Result<Vec<Conversation>, QueueError>;

    /// At most `limit` of them, behind one. `None`: `after` is none of them.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn some_conversations(
        &self,
        channel: &ChannelName,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Option<Vec<Conversation>>, QueueError>;

    /// Whether a channel ever had a message.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn is_known(&self, channel: &ChannelName) -> Result<bool, QueueError> {
        let some = self.some_conversations(channel, None, 1).await?;
        Ok(some.is_some_and(|some| !some.is_empty()))
    }

    /// The turns of a chain, in the order of their acceptance, behind one of them.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn chain(&self, chain: &str, after: Option<Uuid>, limit: u32) -> Result<Vec<Turn>, QueueError>;

    /// Turns of these chains other than those of the messages that began them, in the order of their acceptance.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn descendants(&self, chains: Vec<String>, limit: u32) -> Result<Vec<Turn>, QueueError>;

    /// The turns of a conversation, the newest first, from before one of them.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn turns_in(&self, conversation: Uuid, before: Option<Uuid>, limit: u32) -> Result<Vec<Turn>, QueueError>;

    /// Conversations of all channels, the one of which something happened last first: `limit` at most.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn listing(&self, listing: &Listing, limit: u32) -> Result<ListedPage, QueueError>;

    /// The conversations of these identities, in the same order. What has no turn is left out.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn listed(&self, conversations: Vec<Uuid>) -> Result<Vec<Listed>, QueueError>;

    /// Gives a conversation a title (`Some(None)` takes it away), and puts it away or back. What is `None` stays. Says
    /// whether there is such a conversation.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn label(
        &self,
        conversation: Uuid,
        title: Option<Option<String>>,
        archived: Option<bool>,
    ) -> Result<bool, QueueError>;

    /// Undelivered effects that are due, oldest first. An effect is left out while an older one of its target is not due,
    /// and while its group is among those `held` back. One that is due in more than an hour counts as due: nothing is put off
    /// so long, so the clock was put back.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn due(&self, now: Timestamp, limit: u32, held: &[String]) -> Result<Vec<Effect>, QueueError>;

    /// When the next effect becomes due, if any is pending outside the groups that are `held` back.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn next_due(&self, held: &[String]) -> Result<Option<Timestamp>, QueueError>;

    /// Takes delivered effects off. Answers their turns that have nothing left to deliver, each once.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn delivered(&self, effects: Vec<u64>) -> Result<Vec<Uuid>, QueueError>;

    /// Takes out of the next `limit` turns in the order of acceptance what `forget` takes, from those that ended before `before`
    /// and have nothing left to deliver. `after`: what the last call has answered; without, it begins where something is still
    /// to be done. Identities, times and costs stay, and so does what tells a message from a new one.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn forget(
        &self,
        before: Timestamp,
        after: Option<u64>,
        limit: u32,
        forget: Forget,
    ) -> Result<Forgotten, QueueError>;

    /// Notes a failed try; the next one is due at `due_at`, or never (parked) with `None`.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn undelivered(&self, effect: u64, error: &str, due_at: Option<Timestamp>) -> Result<(), QueueError>;

    /// Makes the effects of a turn, or all of them, due now, parked ones included. Answers how many.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn retry(&self, turn: Option<Uuid>) -> Result<u64, QueueError>;

    /// Effects of a turn that are not delivered.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn left(&self, turn: Uuid) -> Result<u64, QueueError>;

    /// Effects after number `after` that should have been delivered by now, oldest first: tried in vain, parked, behind
    /// such a one, or of a group that is `held` back.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn overdue(&self, held: &[String], after: u64, limit: u32) -> Result<Vec<Overdue>, QueueError>;

    /// How many those are.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn count_overdue(&self, held: &[String]) -> Result<u64, QueueError>;

    /// All effects that are not delivered, oldest first.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn outbox(&self, limit: u32) -> Result<Vec<Effect>, QueueError>;

    /// Changes with every write that makes work: a hint to look again, the rows are the truth. Writes that a worker makes on
    /// its way to work (a claim, a heartbeat, a begin) do not change it, or looking would wake the one who looks.
    fn watch(&self) -> watch::Receiver<u64>;

    /// The same for the outbox alone: changes with every write that makes effects, or makes them due.
    fn watch_outbox(&self) -> watch::Receiver<u64>;
}
