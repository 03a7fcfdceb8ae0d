//! What the tests of a queue share: a storage that can be opened again, a clock that stands still, short words for values.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

pub(crate) mod kill;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reveille_queue::{
    ChannelName, Claim, Effect, Lane, Lease, Message, MessageMode, NewEffect, Options, Queue, SessionUpdate,
    Settlement, Spend, SqliteQueue, State, ThreadKey,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

/// A lease in the tests, unless a test says otherwise.
pub(crate) const LEASE: Duration = Duration::from_mins(1);

/// One empty storage of one kind of queue. Dropping a queue and opening the next one is a restart.
pub(crate) trait Factory: Send + Sync + 'static {
    /// The kind.
    type Queue: Queue;

    /// A new, empty storage.
    fn new() -> Self;

    /// Opens the storage with a lease of [`LEASE`] and the clock of [`Factory::clock`].
    fn open(&self) -> Self::Queue;

    /// The clock that every queue of this storage reads.
    fn clock(&self) -> &Clock;
}

/// A clock that moves only when told.
#[derive(Clone)]
pub(crate) struct Clock(Arc<Mutex<Timestamp>>);

impl Clock {
    /// At a round moment.
    pub(crate) fn start() -> Self {
        Self(Arc::new(Mutex::new("2026-03-01T12:00:00Z".parse().unwrap())))
    }

    pub(crate) fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    /// Moves by this many seconds, also back, and says where it stands then.
    pub(crate) fn shift(&self, seconds: i64) -> Timestamp {
        let mut now = self.0.lock().unwrap();
        *now = after(*now, seconds);
        *now
    }
}

/// Some seconds later, or earlier.
pub(crate) fn after(time: Timestamp, seconds: i64) -> Timestamp {
    time + SignedDuration::from_secs(seconds)
}

/// The SQLite kind, in a directory of its own.
pub(crate) struct Sqlite {
    directory: TempDir,
    clock: Clock,
}

impl Sqlite {
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("queue.db")
    }
}

impl Factory for Sqlite {
    type Queue = SqliteQueue;

    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            clock: Clock::start(),
        }
    }

    fn open(&self) -> SqliteQueue {
        let mut options = Options::new(self.path());
        options.lease = LEASE;
        let clock = self.clock.clone();
        options.clock = Arc::new(move || clock.now());
        // As after a restart with a clock that was set back: an identity says nothing about the order.
        let clock = self.clock.clone();
        options.ids = Arc::new(move || {
            let now = clock.now();
            let seconds = u64::try_from(now.as_second()).unwrap();
            Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0))
        });
        options.open().unwrap()
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// The main conversation of a channel.
pub(crate) fn lane(channel: &str) -> Lane {
    Lane {
        channel: channel.parse().unwrap(),
        thread: ThreadKey::Main,
    }
}

/// A conversation about a subject.
pub(crate) fn subject(channel: &str, subject: &str) -> Lane {
    Lane {
        channel: channel.parse().unwrap(),
        thread: ThreadKey::Subject(subject.into()),
    }
}

/// A message whose body names its note.
pub(crate) fn message(lane: &Lane, note: &str) -> Message {
    Message {
        lane: lane.clone(),
        chain: note.into(),
        mode: MessageMode::Followup,
        vault: "home".into(),
        note: note.into(),
        body: json!({ "text": note }),
    }
}

/// Accepts one message for each note, in one batch, and gives the turns.
pub(crate) async fn accept(queue: &impl Queue, lane: &Lane, notes: &[&str]) -> Vec<Uuid> {
    accept_as(queue, lane, MessageMode::Followup, notes).await
}

/// The same, of a mode.
pub(crate) async fn accept_as(queue: &impl Queue, lane: &Lane, mode: MessageMode, notes: &[&str]) -> Vec<Uuid> {
    let message = |note: &&str| Message {
        mode,
        ..message(lane, note)
    };
    let accepted = queue.accept(notes.iter().map(message).collect(), None).await.unwrap();
    accepted.into_iter().map(|accepted| accepted.turn).collect()
}

/// Claims, and expects to get something.
pub(crate) async fn claim(queue: &impl Queue, lane: &Lane) -> Claim {
    queue.claim(lane).await.unwrap().expect("a turn to claim")
}

/// Accepts one message and claims it.
pub(crate) async fn claimed(queue: &impl Queue, lane: &Lane, note: &str) -> Lease {
    accept(queue, lane, &[note]).await;
    claim(queue, lane).await.lease
}

/// An answer without cost that leaves the session alone.
pub(crate) fn done() -> Settlement {
    Settlement {
        state: State::Ok,
        record: json!({ "reply": "done" }),
        session: SessionUpdate::Keep,
        spend: Spend::default(),
    }
}

/// The end that a person gives to a turn in line.
pub(crate) fn cancelled() -> Settlement {
    Settlement {
        state: State::Cancelled,
        record: json!({ "by": "a person" }),
        ..done()
    }
}

/// This much money.
pub(crate) fn nano(nano_usd: u64) -> Spend {
    Spend {
        nano_usd,
        ..Spend::default()
    }
}

/// The notes of the open turns of a channel, as they are listed.
pub(crate) async fn line(queue: &impl Queue, channel: &ChannelName) -> Vec<String> {
    let open = queue.open_turns(channel, 10_000).await.unwrap();
    open.into_iter().map(|turn| turn.message.note).collect()
}

/// Where a turn stands.
pub(crate) async fn state(queue: &impl Queue, turn: Uuid) -> State {
    queue.turn(turn).await.unwrap().unwrap().state
}

/// An effect.
pub(crate) fn effect(target: &str, body: Value) -> NewEffect {
    NewEffect {
        target: target.into(),
        body,
    }
}

/// Runs the next turn of a lane to its end.
pub(crate) async fn run(queue: &impl Queue, lane: &Lane, effects: Vec<NewEffect>) -> Claim {
    let claim = claim(queue, lane).await;
    queue.settle(claim.lease, done(), effects).await.unwrap();
    claim
}

/// The notes of all waiting turns of a lane, in the order in which they are claimed. Settles them.
pub(crate) async fn drain(queue: &impl Queue, lane: &Lane) -> Vec<String> {
    let mut notes = Vec::new();
    while let Some(claim) = queue.claim(lane).await.unwrap() {
        queue.settle(claim.lease, done(), Vec::new()).await.unwrap();
        notes.push(claim.message.note);
    }
    notes
}

/// The bodies of effects.
pub(crate) fn bodies(effects: Vec<Effect>) -> Vec<Value> {
    effects.into_iter().map(|effect| effect.body).collect()
}

/// Bodies that storages like to spoil.
pub(crate) fn hostile() -> Vec<Value> {
    let texts = [
        "",
        " \t\r\n ",
        "a\0b\0",
        "\u{1F469}\u{200D}\u{1F680} \u{202E}rtl\u{202C} e\u{301} \u{FFFF} \u{10FFFF}",
        "'; drop table turn; -- \" ` \\ %s ?1 :x $y",
        "{\"not\":\"an object\"}",
        "\u{2028}\u{2029}\u{FEFF}",
    ];
    let mut bodies: Vec<Value> = texts.into_iter().map(Value::from).collect();
    bodies.extend([
        Value::Null,
        json!(true),
        json!([]),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(0.1),
        json!({ "": { "a\0": [1, null, "x'"] }, "$.path": "[0]" }),
        json!("x".repeat(5 * 1024 * 1024)),
    ]);
    bodies
}

/// Texts for every field that a stranger may fill.
pub(crate) fn hostile_texts() -> Vec<String> {
    hostile()
        .into_iter()
        .filter_map(|body| body.as_str().map(str::to_owned))
        .filter(|text| text.len() < 1000)
        .collect()
}

/// What no call shows, read past the queue: each turn is where its conversation is and has a place of its own; whoever joined
/// ends with its leader.
pub(crate) fn inspect(path: &Path) {
    let file = rusqlite::Connection::open(path).unwrap();
    for (what, sql) in [
        (
            "in another channel than its conversation",
            "SELECT count(*) FROM turns t JOIN conversations c ON c.id = t.conversation WHERE c.channel <> t.channel",
        ),
        (
            "at a place of another one",
            "SELECT count(*) - count(DISTINCT rank) FROM turns",
        ),
        (
            "without the turn that it is part of",
            "SELECT count(*) FROM turns t WHERE state = 'joined' AND NOT EXISTS (SELECT 1 FROM turns l WHERE \
             l.id = t.leader AND l.state IN ('waiting', 'working') AND l.conversation = t.conversation)",
        ),
        (
            "part of a part",
            "SELECT count(*) FROM turns t JOIN turns l ON l.id = t.leader WHERE t.state = 'joined' AND l.leader IS NOT NULL",
        ),
        (
            "open with an end, or ended without one",
            "SELECT count(*) FROM turns WHERE (settled_at IS NULL) <> (state IN ('waiting', 'working', 'joined'))",
        ),
        (
            "held and not in line",
            "SELECT count(*) FROM turns WHERE held AND state <> 'waiting'",
        ),
    ] {
        let count: i64 = file.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 0, "turns {what}");
    }
}
