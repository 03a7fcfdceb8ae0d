//! What running turns tell, put together in batches before it goes into the outbox.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::event::Turn;
use super::fold::Fold;

/// From the first event of a batch to its end.
pub const WINDOW: Duration = Duration::from_millis(750);
/// Most events of a batch.
pub const EVENTS: usize = 50;
/// Most bytes of the events of a batch; one that is longer travels alone.
pub const BYTES: usize = 1_000_000;
/// Most bytes that wait in memory while they cannot be written; beyond, events go into the snapshot alone.
const HELD_BYTES: usize = 16 << 20;

/// A batch that is over.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    pub(super) at: Timestamp,
    pub(super) agent: String,
    pub(super) turn: Turn,
    pub(super) events: Vec<Box<RawValue>>,
    pub(super) notifications: Vec<Box<RawValue>>,
    pub(super) fold: Fold,
    bytes: usize,
}

struct Live {
    agent: String,
    turn: Turn,
    events: Vec<Box<RawValue>>,
    notifications: Vec<Box<RawValue>>,
    bytes: usize,
    opened: Option<Instant>,
    fold: Fold,
}

#[derive(Default)]
struct Held {
    live: HashMap<String, Live>,
    sealed: Vec<Sealed>,
    /// Bytes of `sealed`.
    bytes: usize,
    left_out: u64,
}

/// The turns that run.
#[derive(Default)]
pub(super) struct Batches {
    held: Mutex<Held>,
    pub(super) wake: Notify,
}

impl Held {
    fn seal(&mut self, turn: &str, now: Timestamp) {
        let Some(live) = self.live.get_mut(turn) else { return };
        if live.events.is_empty() {
            return;
        }
        live.opened = None;
        let bytes = std::mem::take(&mut live.bytes);
        self.bytes += bytes;
        self.sealed.push(Sealed {
            at: now,
            agent: live.agent.clone(),
            turn: live.turn.clone(),
            events: std::mem::take(&mut live.events),
            notifications: std::mem::take(&mut live.notifications),
            fold: live.fold.clone(),
            bytes,
        });
    }
}

impl Batches {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn begins, or goes on after a restart with what was folded before.
    pub(super) fn begin(&self, agent: &str, turn: &Turn, before: Option<Fold>) {
        let mut held = self.held();
        let live = held
            .live
            .entry(turn.turn.clone())
            .or_insert_with(|| Live::new(agent, turn));
        if let Some(before) = before
            && live.fold == Fold::default()
        {
            live.fold = before;
        }
    }

    pub(super) fn is_known(&self, turn: &str) -> bool {
        self.held().live.contains_key(turn)
    }

    pub(super) fn add(&self, agent: &str, turn: &Turn, now: Timestamp, event: Box<RawValue>) {
        let mut held = self.held();
        let id = &turn.turn;
        let held = &mut *held;
        let room = held.bytes < HELD_BYTES;
        let live = held.live.entry(id.clone()).or_insert_with(|| Live::new(agent, turn));
        if live.bytes + event.get().len() > BYTES {
            held.seal(id, now);
        }
        let Some(live) = held.live.get_mut(id) else { return };
        let notification = live.fold.apply(&event);
        if !room {
            held.left_out += 1;
            return;
        }
        live.bytes += event.get().len();
        live.events.push(event);
        live.notifications.extend(notification);
        let first = live.opened.is_none();
        live.opened.get_or_insert_with(Instant::now);
        if live.events.len() >= EVENTS || live.bytes >= BYTES {
            held.seal(id, now);
        }
        if first || !held.sealed.is_empty() {
            self.wake.notify_one();
        }
    }

    /// Takes what is over. `all` ends every batch, or that of one turn.
    pub(super) fn take(&self, now: Timestamp, ends: &Ends<'_>) -> Vec<Sealed> {
        let mut held = self.held();
        let over: Vec<String> = match ends {
            Ends::Turn(turn) => vec![(*turn).to_owned()],
            Ends::All => held.live.keys().cloned().collect(),
            Ends::Due => {
                let due = |live: &Live| live.opened.is_some_and(|opened| opened.elapsed() >= WINDOW);
                held.live
                    .iter()
                    .filter(|(_, live)| due(live))
                    .map(|(turn, _)| turn.clone())
                    .collect()
            }
        };
        for turn in over {
            held.seal(&turn, now);
        }
        held.bytes = 0;
        std::mem::take(&mut held.sealed)
    }

    /// Gives back what could not be written.
    pub(super) fn give_back(&self, mut sealed: Vec<Sealed>) {
        let mut held = self.held();
        held.bytes += sealed.iter().map(|sealed| sealed.bytes).sum::<usize>();
        sealed.append(&mut held.sealed);
        held.sealed = sealed;
    }

    /// When the next window ends.
    pub(super) fn next(&self) -> Option<Instant> {
        self.held()
            .live
            .values()
            .filter_map(|live| live.opened)
            .min()
            .map(|opened| opened + WINDOW)
    }

    /// What all of a turn's events say together.
    pub(super) fn fold(&self, turn: &str) -> Option<Fold> {
        self.held().live.get(turn).map(|live| live.fold.clone())
    }

    pub(super) fn end(&self, turn: &str) {
        self.held().live.remove(turn);
    }

    /// Seals what a turn told, and knows it no longer: its fold goes into the outbox with that.
    pub(super) fn rest(&self, turn: &str, now: Timestamp) {
        let mut held = self.held();
        held.seal(turn, now);
        held.live.remove(turn);
        if !held.sealed.is_empty() {
            self.wake.notify_one();
        }
    }

    /// The turns that run.
    pub(super) fn running(&self) -> Vec<(String, Turn, Option<String>)> {
        let held = self.held();
        let all = held.live.values();
        all.map(|live| {
            (
                live.agent.clone(),
                live.turn.clone(),
                live.fold.snapshot.session_id.clone(),
            )
        })
        .collect()
    }

    /// Events that went into snapshots alone, and bytes that wait in memory.
    pub(super) fn figures(&self) -> (u64, usize) {
        let held = self.held();
        (
            held.left_out,
            held.bytes + held.live.values().map(|live| live.bytes).sum::<usize>(),
        )
    }
}

/// Which batches are over.
pub(super) enum Ends<'a> {
    /// Whose window is.
    Due,
    /// That of a turn.
    Turn(&'a str),
    /// All.
    All,
}

impl Live {
    fn new(agent: &str, turn: &Turn) -> Self {
        Self {
            agent: agent.to_owned(),
            turn: turn.clone(),
            events: Vec::new(),
            notifications: Vec::new(),
            bytes: 0,
            opened: None,
            fold: Fold::default(),
        }
    }
}
