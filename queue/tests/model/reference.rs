//! The model.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reveille_queue::{Lane, Lease, LeaseError, Message, NewEffect, Recovery, Spend, State};
use uuid::Uuid;

/// A turn.
pub(crate) struct Turn {
    pub(crate) id: Uuid,
    pub(crate) message: Message,
    pub(crate) state: State,
    pub(crate) epoch: u64,
    pub(crate) lease_until: Timestamp,
    pub(crate) begun: Option<Uuid>,
    /// The sessions of the attempts that were cut off; what was taken back is gone.
    pub(crate) cut: u32,
    pub(crate) cut_session: Option<Uuid>,
    pub(crate) spend: Spend,
}

/// An effect that is not delivered.
pub(crate) struct Pending {
    pub(crate) id: u64,
    pub(crate) turn: Uuid,
    pub(crate) new: NewEffect,
    pub(crate) due_at: Timestamp,
    pub(crate) attempts: u32,
    pub(crate) parked: bool,
}

/// All that a queue has to remember.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) turns: Vec<Turn>,
    pub(crate) sessions: BTreeMap<Lane, Option<(Uuid, String)>>,
    pub(crate) cursor: u64,
    pub(crate) effects: Vec<Pending>,
    pub(crate) leases: Vec<Lease>,
}

impl Model {
    pub(crate) fn holder(&mut self, lease: Lease) -> Result<&mut Turn, LeaseError> {
        let held = |turn: &&mut Turn| (turn.id, turn.epoch, turn.state) == (lease.turn, lease.epoch, State::Working);
        let stale = LeaseError::Stale { turn: lease.turn };
        self.turns.iter_mut().find(held).ok_or(stale)
    }

    /// The chosen lease: mostly one of the newest, sometimes any that was ever given.
    pub(crate) fn lease(&self, number: usize) -> Option<Lease> {
        let among = if number < 56 {
            self.leases.len().min(3)
        } else {
            self.leases.len()
        };
        self.leases.iter().rev().nth(number.checked_rem(among)?).copied()
    }

    pub(crate) fn requeue(&mut self, gone: impl Fn(&Turn) -> bool) -> Recovery {
        let mut found = Recovery::default();
        for turn in &mut self.turns {
            if turn.state == State::Working && gone(turn) {
                match turn.begun {
                    Some(_) => found.interrupted += 1,
                    None => found.requeued += 1,
                }
                turn.back_in_line();
            }
        }
        found
    }

    pub(crate) fn in_line(&self, lane: &Lane, state: State) -> impl Iterator<Item = &Turn> {
        self.turns
            .iter()
            .filter(move |turn| turn.message.lane == *lane && turn.state == state)
    }

    pub(crate) fn due(&self, now: Timestamp) -> Vec<u64> {
        let mut held = Vec::new();
        let mut due = Vec::new();
        for effect in self.effects.iter().filter(|effect| !effect.parked) {
            if effect.due_at > now {
                held.push(&effect.new.target);
            } else if !held.contains(&&effect.new.target) {
                due.push(effect.id);
            }
        }
        due
    }

    /// Leaves out the targets that begin with `held`.
    pub(crate) fn next_due(&self, held: &str) -> Option<Timestamp> {
        let mut heads = BTreeMap::new();
        let pending = self.effects.iter().filter(|effect| !effect.parked);
        for effect in pending.filter(|effect| !effect.new.target.starts_with(held)) {
            heads.entry(&effect.new.target).or_insert(effect.due_at);
        }
        heads.into_values().min()
    }

    /// Takes effects off; gives the turns that have none left.
    pub(crate) fn deliver(&mut self, ids: &[u64]) -> Vec<Uuid> {
        let gone = |effect: &Pending| ids.contains(&effect.id);
        let mut turns: Vec<Uuid> = self
            .effects
            .iter()
            .filter(|effect| gone(effect))
            .map(|effect| effect.turn)
            .collect();
        self.effects.retain(|effect| !gone(effect));
        turns.sort_unstable();
        turns.dedup();
        turns.retain(|turn| self.effects.iter().all(|effect| effect.turn != *turn));
        turns
    }

    pub(crate) fn retry(&mut self, turn: Option<Uuid>, now: Timestamp) -> u64 {
        let asked = |effect: &&mut Pending| turn.is_none_or(|turn| effect.turn == turn);
        let mut count = 0;
        for effect in self.effects.iter_mut().filter(asked) {
            effect.parked = false;
            effect.due_at = effect.due_at.min(now);
            count += 1;
        }
        count
    }

    /// The effects that should have been delivered, and whether another one is in their way.
    pub(crate) fn overdue(&self, held: &str) -> Vec<(u64, bool)> {
        let mut failed = Vec::new();
        let mut overdue = Vec::new();
        for effect in &self.effects {
            let target = &effect.new.target;
            let behind = !effect.parked && failed.contains(&target);
            if behind || effect.parked || effect.attempts > 0 || target.starts_with(held) {
                overdue.push((effect.id, behind));
            }
            if !effect.parked && effect.attempts > 0 {
                failed.push(target);
            }
        }
        overdue
    }
}

impl Turn {
    pub(crate) fn back_in_line(&mut self) {
        self.state = State::Waiting;
        if let Some(session) = self.begun.take() {
            self.cut += 1;
            self.cut_session = Some(session);
        }
    }
}
