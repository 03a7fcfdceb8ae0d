//! The model: lists, and what each call does to them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reveille_queue::{
    ChainTotals, ChannelName, ControlError, Conversation, DayTotals, Lane, Lease, LeaseError, Message, MessageMode,
    NewEffect, Pause, Position, Recovery, SessionUpdate, Settlement, Spend, State, ThreadKey,
};
use serde_json::Value;
use uuid::Uuid;

/// Most messages that join a turn.
const JOINED_MAX: usize = 50;

/// A turn. Its lane is that of its conversation.
pub(crate) struct Turn {
    pub(crate) id: Uuid,
    pub(crate) message: Message,
    pub(crate) conversation: usize,
    pub(crate) state: State,
    /// The place in line.
    pub(crate) rank: usize,
    pub(crate) held: bool,
    pub(crate) leader: Option<Uuid>,
    pub(crate) epoch: u64,
    pub(crate) lease_until: Timestamp,
    /// Who took it from outside.
    pub(crate) owner: Option<String>,
    /// How often the conversation had been reset at the claim.
    pub(crate) resets: u32,
    pub(crate) begun: Option<Uuid>,
    /// The sessions of the attempts that were cut off; what was taken back is gone.
    pub(crate) cut: u32,
    pub(crate) cut_session: Option<Uuid>,
    pub(crate) accepted_at: Timestamp,
    pub(crate) claimed_at: Option<Timestamp>,
    pub(crate) settled_at: Option<Timestamp>,
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
    /// In order of acceptance.
    pub(crate) turns: Vec<Turn>,
    /// In order of creation, each with the number of its resets.
    pub(crate) conversations: Vec<(Conversation, u32)>,
    pub(crate) cursor: u64,
    pub(crate) effects: Vec<Pending>,
    pub(crate) leases: Vec<Lease>,
    pub(crate) pauses: BTreeMap<ChannelName, Pause>,
    pub(crate) days: BTreeMap<(ChannelName, i64), DayTotals>,
    /// Channels of notes.
    pub(crate) bindings: BTreeMap<String, ChannelName>,
    /// Notes that had channels last.
    pub(crate) holders: BTreeMap<ChannelName, String>,
}

fn day(now: Timestamp) -> i64 {
    now.as_millisecond().div_euclid(24 * 60 * 60 * 1000)
}

impl Model {
    pub(crate) fn lane(&self, turn: &Turn) -> &Lane {
        &self.conversations[turn.conversation].0.lane
    }

    pub(crate) fn message(&self, turn: &Turn) -> Message {
        Message {
            lane: self.lane(turn).clone(),
            ..turn.message.clone()
        }
    }

    fn conversation(&self, lane: &Lane) -> Option<usize> {
        self.conversations.iter().position(|(one, _)| one.lane == *lane)
    }

    fn find(&self, id: Uuid) -> Option<usize> {
        self.turns.iter().position(|turn| turn.id == id)
    }

    pub(crate) fn get(&self, id: Uuid) -> Option<&Turn> {
        self.find(id).map(|index| &self.turns[index])
    }

    /// The turn that a turn is part of: mostly itself.
    pub(crate) fn head_of<'a>(&'a self, turn: &'a Turn) -> &'a Turn {
        turn.leader.and_then(|leader| self.get(leader)).unwrap_or(turn)
    }

    /// Turns of a conversation in a state, in their order.
    pub(crate) fn line(&self, conversation: usize, state: State) -> Vec<usize> {
        let of = |index: &usize| {
            let turn = &self.turns[*index];
            turn.conversation == conversation && turn.state == state
        };
        let mut line: Vec<usize> = (0..self.turns.len()).filter(of).collect();
        line.sort_by_key(|index| self.turns[*index].rank);
        line
    }

    pub(crate) fn joined(&self, leader: Uuid) -> Vec<usize> {
        let of = |index: &usize| {
            let turn = &self.turns[*index];
            turn.leader == Some(leader) && turn.state == State::Joined
        };
        let mut joined: Vec<usize> = (0..self.turns.len()).filter(of).collect();
        joined.sort_by_key(|index| self.turns[*index].rank);
        joined
    }

    /// What was accepted: a known message is edited or not, a new one gets a turn.
    pub(crate) fn known(&mut self, message: &Message) -> Option<Uuid> {
        let index = self.turns.iter().position(|turn| turn.message.note == message.note)?;
        let same_lane = *self.lane(&self.turns[index]) == message.lane;
        let turn = &mut self.turns[index];
        if same_lane && turn.state == State::Waiting && turn.cut == 0 {
            turn.message.body = message.body.clone();
        }
        Some(turn.id)
    }

    pub(crate) fn accept(&mut self, message: Message, id: Uuid, conversation: Uuid, now: Timestamp) {
        let index = self.conversation(&message.lane).unwrap_or_else(|| {
            let fresh = Conversation {
                id: conversation,
                lane: message.lane.clone(),
                session: None,
                turns: 0,
                started_at: None,
                spend: Spend::default(),
            };
            self.conversations.push((fresh, 0));
            self.conversations.len() - 1
        });
        assert_eq!(self.conversations[index].0.id, conversation);
        let interrupts = message.mode == MessageMode::Interrupt;
        self.turns.push(Turn {
            id,
            message,
            conversation: index,
            state: State::Waiting,
            rank: self.turns.len(),
            held: false,
            leader: None,
            epoch: 0,
            lease_until: Timestamp::MIN,
            owner: None,
            resets: 0,
            begun: None,
            cut: 0,
            cut_session: None,
            accepted_at: now,
            claimed_at: None,
            settled_at: None,
            spend: Spend::default(),
        });
        if interrupts {
            self.reposition(id, Position::First).unwrap();
        }
    }

    pub(crate) fn is_paused(&self, channel: &ChannelName, now: Timestamp) -> bool {
        let pause = self.pauses.get(channel);
        pause.is_some_and(|pause| pause.until.is_none_or(|until| until > now))
    }

    /// The turn that is claimed, with those that join it.
    pub(crate) fn claim(&mut self, lane: &Lane, now: Timestamp, until: Timestamp) -> Option<usize> {
        let conversation = self.conversation(lane)?;
        if !self.line(conversation, State::Working).is_empty() || self.is_paused(&lane.channel, now) {
            return None;
        }
        let mut line = self.line(conversation, State::Waiting);
        line.retain(|index| !self.turns[*index].held);
        let head = *line.first()?;
        self.give(head, None, now, until);
        Some(head)
    }

    /// The turns of a channel that can be taken, in their order.
    pub(crate) fn front(&self, channel: &ChannelName) -> Vec<usize> {
        let has_worker = |conversation: usize| {
            let working = self.line(conversation, State::Working);
            working.into_iter().any(|index| self.turns[index].owner.is_none())
        };
        let of = |index: &usize| {
            let turn = &self.turns[*index];
            let waits = turn.state == State::Waiting && !turn.held && self.lane(turn).channel == *channel;
            waits && !has_worker(turn.conversation)
        };
        let mut front: Vec<usize> = (0..self.turns.len()).filter(of).collect();
        front.sort_by_key(|index| self.turns[*index].rank);
        front
    }

    /// The turn that somebody outside gets.
    pub(crate) fn take(
        &mut self,
        channel: &ChannelName,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Option<usize> {
        if self.is_paused(channel, now) {
            return None;
        }
        let head = *self.front(channel).first()?;
        self.give(head, Some(owner.to_owned()), now, until);
        Some(head)
    }

    fn give(&mut self, head: usize, owner: Option<String>, now: Timestamp, until: Timestamp) {
        let conversation = self.turns[head].conversation;
        let mut behind = self.line(conversation, State::Waiting);
        behind.retain(|index| !self.turns[*index].held && self.turns[*index].rank > self.turns[head].rank);
        let turn = &mut self.turns[head];
        turn.owner = owner;
        turn.state = State::Working;
        turn.epoch += 1;
        turn.claimed_at = Some(now);
        let started_at = &mut self.conversations[turn.conversation].0.started_at;
        *started_at = started_at.or(Some(now));
        turn.lease_until = until;
        turn.resets = self.conversations[conversation].1;
        if turn.message.mode == MessageMode::Collect && turn.cut == 0 {
            let leader = turn.id;
            for index in behind {
                let (id, next) = (self.turns[index].id, &self.turns[index]);
                let size = 1 + self.joined(id).len();
                let fits = next.message.mode == MessageMode::Collect && next.cut == 0;
                if !fits || self.joined(leader).len() + size > JOINED_MAX {
                    break;
                }
                for joins in self.joined(id).into_iter().chain([index]) {
                    self.turns[joins].state = State::Joined;
                    self.turns[joins].leader = Some(leader);
                }
            }
        }
    }

    pub(crate) fn chain(&self, turn: &Turn) -> ChainTotals {
        let chain = |other: &&Turn| other.message.chain == turn.message.chain;
        let of_chain = || self.turns.iter().filter(chain);
        ChainTotals {
            messages: of_chain().count() as u64,
            turns: of_chain()
                .filter(|other| other.state.is_terminal() && other.leader.is_none())
                .count() as u64,
            nano_usd: of_chain().map(|other| other.spend.nano_usd).sum(),
            before: of_chain().take_while(|other| other.id != turn.id).count() as u64,
        }
    }

    pub(crate) fn today(&self, channel: &ChannelName, now: Timestamp) -> DayTotals {
        self.days.get(&(channel.clone(), day(now))).copied().unwrap_or_default()
    }

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

    fn took(&mut self, index: usize, spend: Spend, turns: u64, now: Timestamp) {
        self.turns[index].spend = self.turns[index].spend.plus(spend);
        let key = (self.lane(&self.turns[index]).channel.clone(), day(now));
        if turns + spend.nano_usd > 0 {
            let day = self.days.entry(key).or_default();
            day.turns += turns;
            day.nano_usd += spend.nano_usd;
        }
    }

    fn back_in_line(&mut self, index: usize) {
        let turn = &mut self.turns[index];
        turn.state = State::Waiting;
        turn.owner = None;
        if let Some(session) = turn.begun.take() {
            turn.cut += 1;
            turn.cut_session = Some(session);
        }
        if turn.resets != self.conversations[turn.conversation].1 {
            turn.cut_session = None;
        }
    }

    pub(crate) fn release(&mut self, lease: Lease, spend: Spend, now: Timestamp) -> Result<(), LeaseError> {
        self.holder(lease)?;
        let index = self.find(lease.turn).unwrap();
        self.took(index, spend, 0, now);
        self.back_in_line(index);
        Ok(())
    }

    pub(crate) fn requeue(&mut self, gone: impl Fn(&Turn) -> bool) -> Recovery {
        let mut found = Recovery::default();
        for index in 0..self.turns.len() {
            let turn = &self.turns[index];
            if turn.state == State::Working && gone(turn) {
                match turn.begun {
                    Some(_) => found.interrupted += 1,
                    None => found.requeued += 1,
                }
                self.back_in_line(index);
            }
        }
        found
    }

    pub(crate) fn settle(&mut self, lease: Lease, end: &Settlement, now: Timestamp) -> Result<(), LeaseError> {
        self.holder(lease)?;
        let index = self.find(lease.turn).unwrap();
        self.took(index, end.spend, 1, now);
        for joined in self.joined(lease.turn) {
            self.turns[joined].state = end.state;
            self.turns[joined].settled_at = Some(now);
        }
        self.end(index, end, now);
        let turn = &self.turns[index];
        let (conversation, resets) = &mut self.conversations[turn.conversation];
        if turn.resets == *resets {
            match &end.session {
                SessionUpdate::Keep => {}
                SessionUpdate::Set(session, cwd) => conversation.session = Some((*session, cwd.clone())),
                SessionUpdate::Clear => conversation.session = None,
            }
        }
        Ok(())
    }

    fn end(&mut self, index: usize, end: &Settlement, now: Timestamp) {
        let turn = &mut self.turns[index];
        turn.state = end.state;
        turn.settled_at = Some(now);
        turn.held = false;
        let (conversation, _) = &mut self.conversations[turn.conversation];
        // A message that was withdrawn while it waited was no turn.
        conversation.turns += u64::from(turn.claimed_at.is_some());
        // One that came from another conversation may be the first that this one has.
        conversation.started_at = conversation.started_at.or(turn.claimed_at);
        conversation.spend = conversation.spend.plus(turn.spend);
    }

    fn waits(&mut self, id: Uuid) -> Result<&mut Turn, ControlError> {
        let turn = self.turns.iter_mut().find(|turn| turn.id == id);
        let turn = turn.ok_or(ControlError::Unknown { turn: id })?;
        match turn.state {
            State::Waiting => Ok(turn),
            state => Err(ControlError::NotWaiting { turn: id, state }),
        }
    }

    pub(crate) fn cancel(&mut self, id: Uuid, end: &Settlement, now: Timestamp) -> Result<(), ControlError> {
        self.waits(id)?;
        let index = self.find(id).unwrap();
        self.took(index, end.spend, 0, now);
        for joined in self.joined(id) {
            self.turns[joined].state = State::Waiting;
            self.turns[joined].leader = None;
        }
        self.end(index, end, now);
        Ok(())
    }

    pub(crate) fn hold(&mut self, id: Uuid, held: bool) -> Result<(), ControlError> {
        self.waits(id)?.held = held;
        Ok(())
    }

    pub(crate) fn edit(&mut self, id: Uuid, body: Value) -> Result<(), ControlError> {
        self.waits(id)?.message.body = body;
        Ok(())
    }

    /// Those that wait share out the places that they have.
    pub(crate) fn reposition(&mut self, id: Uuid, to: Position) -> Result<(), ControlError> {
        let conversation = self.waits(id)?.conversation;
        let mut line = self.line(conversation, State::Waiting);
        let places: Vec<usize> = line.iter().map(|index| self.turns[*index].rank).collect();
        let moved = self.find(id).unwrap();
        if to == Position::Before(id) {
            return Ok(());
        }
        line.retain(|index| *index != moved);
        let at = match to {
            Position::First => 0,
            Position::Last => line.len(),
            Position::Before(other) => {
                let stranger = ControlError::OtherLine { turn: id, other };
                let place = line.iter().position(|index| self.turns[*index].id == other);
                place.ok_or(stranger)?
            }
        };
        line.insert(at, moved);
        for (index, place) in line.into_iter().zip(places) {
            self.turns[index].rank = place;
        }
        Ok(())
    }

    pub(crate) fn resume(&mut self, channel: &ChannelName, codes: &[&str], now: Timestamp) -> bool {
        let held = self.is_paused(channel, now);
        let pause = self.pauses.get(channel);
        let meant = pause.is_some_and(|pause| codes.is_empty() || codes.contains(&pause.code.as_str()));
        if meant {
            self.pauses.remove(channel);
        }
        meant && held
    }

    pub(crate) fn reset(&mut self, channel: &ChannelName, thread: Option<&ThreadKey>) -> u64 {
        let mut reset = 0;
        for (number, (conversation, resets)) in self.conversations.iter_mut().enumerate() {
            let lane = &conversation.lane;
            if lane.channel == *channel && thread.is_none_or(|thread| lane.thread == *thread) {
                conversation.session = None;
                *resets += 1;
                reset += 1;
                let waits = |turn: &&mut Turn| turn.conversation == number && turn.state == State::Waiting;
                self.turns
                    .iter_mut()
                    .filter(waits)
                    .for_each(|turn| turn.cut_session = None);
            }
        }
        reset
    }

    pub(crate) fn due(&self, now: Timestamp) -> Vec<u64> {
        let mut held = Vec::new();
        let mut due = Vec::new();
        for effect in self.effects.iter().filter(|effect| !effect.parked) {
            // An hour: the clock was put back.
            if effect.due_at > now && effect.due_at.duration_since(now) <= jiff::SignedDuration::from_hours(1) {
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
