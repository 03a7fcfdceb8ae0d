//! Everything that can be seen of a queue is as the model says.

use std::collections::{BTreeMap, BTreeSet};

use pretty_assertions::assert_eq;
use reveille_queue::{
    Binding, ChannelName, EffectState, Lane, Overview, Place, Queue, Spend, SqliteQueue, State, ThreadKey,
};
use uuid::Uuid;

use crate::Pair;
use crate::reference::{Model, Turn};
use crate::support::Factory as _;

impl Pair {
    /// The rows themselves.
    pub(crate) async fn compare(&self) {
        let (queue, model) = (self.queue(), &self.model);
        self.compare_lanes().await;
        for channel in &self.channels {
            compare_turns(queue, model, channel).await;
            compare_conversations(queue, model, channel).await;
        }
    }

    /// What follows from them, and what is beside them.
    pub(crate) async fn compare_more(&self) {
        assert_eq!(self.queue().cursor("home").await.unwrap(), self.model.cursor);
        self.compare_counts().await;
        self.compare_overview().await;
        self.compare_control().await;
        self.compare_effects().await;
    }

    async fn compare_lanes(&self) {
        let (queue, model) = (self.queue(), &self.model);
        let waits = |turn: &&Turn| turn.state == State::Waiting;
        let mut waiting: Vec<&Turn> = model.turns.iter().filter(waits).collect();
        waiting.sort_by_key(|turn| turn.rank);
        let mut lanes: Vec<&Lane> = Vec::new();
        for turn in waiting.iter().filter(|turn| !turn.held) {
            if !lanes.contains(&model.lane(turn)) {
                lanes.push(model.lane(turn));
            }
        }
        assert_eq!(queue.lanes().await.unwrap().iter().collect::<Vec<_>>(), lanes);
    }

    async fn compare_counts(&self) {
        let (queue, model) = (self.queue(), &self.model);
        let waiting = model.turns.iter().filter(|turn| turn.state == State::Waiting);
        let mut depths = BTreeMap::<ChannelName, u64>::new();
        for turn in waiting {
            *depths.entry(model.lane(turn).channel.clone()).or_default() += 1;
        }
        let mut found = queue.depths().await.unwrap();
        found.sort();
        assert_eq!(found, depths.clone().into_iter().collect::<Vec<_>>());
        for channel in &self.channels {
            let depth = depths.get(channel).copied().unwrap_or(0);
            assert_eq!(queue.waiting(channel, 1000).await.unwrap(), depth);
            assert_eq!(queue.waiting(channel, 2).await.unwrap(), depth.min(2));
        }
        // Those that have ended have no place; the last of them stands for all.
        let ended = model.turns.iter().rfind(|turn| turn.state.is_terminal());
        let open = model.turns.iter().filter(|turn| !turn.state.is_terminal());
        for turn in open.chain(ended) {
            assert_eq!(queue.place(turn.id).await.unwrap(), place(model, turn));
        }
    }

    async fn compare_overview(&self) {
        let (queue, model) = (self.queue(), &self.model);
        let lanes = model.conversations.iter().map(|(one, _)| &one.lane);
        let channels: BTreeSet<_> = lanes.map(|lane| lane.channel.clone()).collect();
        let mut expected = Vec::new();
        for channel in channels {
            let of = |turn: &&Turn| model.lane(turn).channel == channel;
            let conversations = model
                .conversations
                .iter()
                .filter(|(one, _)| one.lane.channel == channel);
            let last = settled(model, &channel)
                .first()
                .map(|turn| (turn.id, turn.state, turn.settled_at.unwrap()));
            expected.push(Overview {
                waiting: model
                    .turns
                    .iter()
                    .filter(of)
                    .filter(|turn| turn.state == State::Waiting)
                    .count() as u64,
                turns: conversations.clone().map(|(one, _)| one.turns).sum(),
                last,
                spend: conversations.fold(Spend::default(), |sum, (one, _)| sum.plus(one.spend)),
                channel: channel.clone(),
            });
        }
        assert_eq!(queue.overview(None).await.unwrap(), expected);
        for one in expected {
            assert_eq!(queue.overview(Some(&one.channel)).await.unwrap(), [one]);
        }
    }

    async fn compare_control(&self) {
        let (queue, model) = (self.queue(), &self.model);
        let now = self.storage.clock().now();
        let paused = model.pauses.iter().filter(|(channel, _)| model.is_paused(channel, now));
        let paused: Vec<_> = paused
            .map(|(channel, pause)| (channel.clone(), pause.clone()))
            .collect();
        assert_eq!(queue.pauses().await.unwrap(), paused);
        let mut today = Vec::new();
        for channel in &self.channels {
            let totals = model.today(channel, now);
            if totals.turns + totals.nano_usd > 0 {
                today.push((channel.clone(), totals));
            }
        }
        assert_eq!(queue.today(now, None).await.unwrap(), today);
        for one in today {
            assert_eq!(queue.today(now, Some(&one.0)).await.unwrap(), [one]);
        }
        let bindings = model.bindings.iter().map(|(note, channel)| Binding {
            vault: "home".into(),
            note: note.clone(),
            channel: channel.clone(),
        });
        assert_eq!(queue.bindings().await.unwrap(), bindings.collect::<Vec<_>>());
    }

    async fn compare_effects(&self) {
        let (queue, model) = (self.queue(), &self.model);
        let stored = queue.outbox(u32::MAX).await.unwrap().into_iter().map(|effect| {
            let parked = effect.state == EffectState::Parked;
            (
                effect.id,
                effect.turn,
                effect.target,
                effect.body,
                parked,
                effect.attempts,
            )
        });
        let expected = model.effects.iter().map(|effect| {
            let new = effect.new.clone();
            (
                effect.id,
                effect.turn,
                new.target,
                new.body,
                effect.parked,
                effect.attempts,
            )
        });
        assert_eq!(stored.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        let now = self.storage.clock().now();
        let due = queue.due(now, u32::MAX, &[]).await.unwrap();
        let expected = model.due(now);
        assert_eq!(due.iter().map(|effect| effect.id).collect::<Vec<_>>(), expected);
        let held = ["t0".to_owned()];
        let free = queue.due(now, u32::MAX, &held).await.unwrap();
        assert!(
            free.iter()
                .eq(due.iter().filter(|effect| !effect.target.starts_with("t0/")))
        );
        assert_eq!(queue.next_due(&held).await.unwrap(), model.next_due("t0/"));
        let overdue = queue.overdue(&held, 0, u32::MAX).await.unwrap();
        let shown: Vec<_> = overdue.iter().map(|one| (one.effect.id, one.behind)).collect();
        assert_eq!(shown, model.overdue("t0/"));
        assert_eq!(queue.count_overdue(&held).await.unwrap(), shown.len() as u64);
        let first = queue.due(now, 2, &[]).await.unwrap();
        assert!(first.iter().map(|effect| effect.id).eq(expected.into_iter().take(2)));
        assert_eq!(queue.next_due(&[]).await.unwrap(), model.next_due("none"));
    }
}

fn place(model: &Model, turn: &Turn) -> Option<Place> {
    let head = model.head_of(turn);
    let ahead = match (turn.state, head.state) {
        (state, _) if state.is_terminal() => return None,
        (_, State::Waiting) => {
            let before = model
                .line(head.conversation, State::Waiting)
                .into_iter()
                .filter(|index| {
                    let other = &model.turns[*index];
                    !other.held && other.rank < head.rank
                });
            model.line(head.conversation, State::Working).len() + before.count()
        }
        _ => 0,
    };
    Some(Place {
        conversation: model.conversations[head.conversation].0.id,
        ahead: ahead as u64,
    })
}

fn settled<'a>(model: &'a Model, channel: &ChannelName) -> Vec<&'a Turn> {
    let of = |turn: &&Turn| model.lane(turn).channel == *channel && turn.state.is_terminal();
    let mut settled: Vec<&Turn> = model.turns.iter().rev().filter(of).collect();
    settled.sort_by_key(|turn| std::cmp::Reverse(turn.settled_at));
    settled
}

async fn compare_turns(queue: &SqliteQueue, model: &Model, channel: &ChannelName) {
    let of = |turn: &&Turn| model.lane(turn).channel == *channel && !turn.state.is_terminal();
    let mut expected: Vec<&Turn> = model.turns.iter().filter(of).collect();
    expected.sort_by_key(|turn| {
        let head = model.head_of(turn);
        (head.state != State::Working, head.rank, turn.id != head.id, turn.rank)
    });
    let open = queue.open_turns(channel, 10_000).await.unwrap();
    let first = queue.open_turns(channel, 3).await.unwrap();
    assert_eq!(first, open[..open.len().min(3)]);
    expected.extend(settled(model, channel));
    let found: Vec<_> = open
        .into_iter()
        .chain(queue.settled(channel, u32::MAX).await.unwrap())
        .collect();
    let ids: Vec<Uuid> = found.iter().map(|turn| turn.id).collect();
    assert_eq!(ids, expected.iter().map(|turn| turn.id).collect::<Vec<_>>());
    for (found, turn) in found.into_iter().zip(expected) {
        let expected = reveille_queue::Turn {
            id: turn.id,
            message: model.message(turn),
            conversation: model.conversations[turn.conversation].0.id,
            state: turn.state,
            held: turn.held,
            leader: turn.leader,
            interruptions: turn.cut,
            accepted_at: turn.accepted_at,
            claimed_at: turn.claimed_at,
            claimed_by: turn.owner.clone(),
            claim_ends: turn
                .owner
                .as_ref()
                .filter(|_| turn.state == State::Working)
                .map(|_| turn.lease_until),
            settled_at: turn.settled_at,
            record: found.record.clone(),
            spend: turn.spend,
        };
        assert_eq!(found.record.is_some(), turn.state.is_terminal());
        assert_eq!(found, expected);
    }
}

async fn compare_conversations(queue: &SqliteQueue, model: &Model, channel: &ChannelName) {
    let of = model
        .conversations
        .iter()
        .filter(|(one, _)| one.lane.channel == *channel);
    let expected: Vec<_> = of.map(|(one, _)| one.clone()).collect();
    assert_eq!(queue.conversations(channel).await.unwrap(), expected);
}

/// The key that a conversation was given when it was set aside: new, and of its kind.
pub(crate) async fn key_aside(queue: &SqliteQueue, model: &Model, number: usize) -> ThreadKey {
    let conversation = &model.conversations[number].0;
    let found = queue.conversations(&conversation.lane.channel).await.unwrap();
    let lane = found.into_iter().find(|one| one.id == conversation.id).unwrap().lane;
    let ThreadKey::Single(key) = &lane.thread else {
        panic!("{lane:?}")
    };
    assert!(key.starts_with("set-aside-") || lane.thread.is_former(), "{key}");
    assert!(model.conversations.iter().all(|(one, _)| one.lane != lane));
    lane.thread
}
