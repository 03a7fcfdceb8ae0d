//! Random histories against a model that fits on a page: same answers, same order, same states, same sums.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod reference;
mod step;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use jiff::Timestamp;
use pretty_assertions::assert_eq;
use proptest::prelude::*;
use reveille_queue::{
    Accepted, EffectState, FeedCursor, Lane, Lease, Message, Queue, SessionUpdate, Settlement, Spend, SqliteQueue,
    State,
};
use serde_json::json;
use uuid::Uuid;

use reference::{Model, Pending, Turn};
use step::{Step, history};
use support::{Factory, LEASE, Sqlite, after, effect, lane, message, subject};

/// The real queue and the model, side by side.
struct Pair {
    storage: Sqlite,
    queue: Option<SqliteQueue>,
    model: Model,
    lanes: [Lane; 4],
}

impl Pair {
    fn new() -> Self {
        let storage = Sqlite::new();
        Self {
            queue: Some(storage.open()),
            storage,
            model: Model::default(),
            lanes: [lane("a"), subject("a", "x"), subject("a", "y"), lane("b")],
        }
    }

    fn queue(&self) -> &SqliteQueue {
        self.queue.as_ref().unwrap()
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Accept { notes, cursor } => self.accept(&notes, cursor).await,
            Step::Claim(number) => self.claim(number).await,
            Step::Recover => {
                let found = self.queue().recover().await.unwrap();
                assert_eq!(found, self.model.requeue(|_| true));
            }
            Step::Expire => {
                let now = self.storage.clock().now();
                let found = self.queue().expire(now).await.unwrap();
                assert_eq!(found, self.model.requeue(|turn| turn.lease_until < now));
            }
            Step::Reopen => {
                self.queue = None;
                self.queue = Some(self.storage.open());
            }
            Step::Pass(seconds) => {
                self.storage.clock().shift(seconds);
            }
            Step::Deliver(numbers) => self.deliver(&numbers).await,
            Step::Fail { effect, delay } => self.fail(effect, delay).await,
            Step::Retry(turn) => self.retry(turn).await,
            Step::Heartbeat(lease)
            | Step::Begin { lease, .. }
            | Step::Unbegin(lease)
            | Step::Release(lease)
            | Step::Settle { lease, .. } => {
                if let Some(lease) = self.model.lease(lease) {
                    self.write(lease, step).await;
                }
            }
        }
    }

    async fn accept(&mut self, notes: &[(usize, u8)], cursor: u64) {
        let named = |(number, note): &(usize, u8)| message(&self.lanes[*number], &format!("n{note}"));
        let messages: Vec<Message> = notes.iter().map(named).collect();
        let feed = FeedCursor {
            feed: "home".into(),
            at: cursor,
        };
        let answers = self.queue().accept(messages.clone(), Some(feed)).await.unwrap();
        assert_eq!(answers.len(), messages.len());
        for (message, answer) in messages.into_iter().zip(answers) {
            let known = self.model.turns.iter().find(|turn| turn.message.note == message.note);
            if let Some(turn) = known {
                let first = Accepted {
                    turn: turn.id,
                    fresh: false,
                };
                assert_eq!(answer, first);
                continue;
            }
            assert!(answer.fresh, "{message:?}");
            self.model.sessions.entry(message.lane.clone()).or_default();
            self.model.turns.push(Turn {
                id: answer.turn,
                message,
                state: State::Waiting,
                epoch: 0,
                lease_until: Timestamp::MIN,
                begun: None,
                cut: 0,
                cut_session: None,
                spend: Spend::default(),
            });
        }
        self.model.cursor = self.model.cursor.max(cursor);
    }

    async fn claim(&mut self, number: usize) {
        let lane = self.lanes[number].clone();
        let now = self.storage.clock().now();
        let claim = self.queue().claim(&lane).await.unwrap();
        let busy = self.model.in_line(&lane, State::Working).next().is_some();
        let session = self.model.sessions.get(&lane).cloned().flatten();
        let waits = |turn: &&mut Turn| turn.message.lane == lane && turn.state == State::Waiting;
        let next = self.model.turns.iter_mut().find(waits).filter(|_| !busy);
        let (Some(turn), Some(claim)) = (next, &claim) else {
            assert!(claim.is_none() && (busy || self.model.in_line(&lane, State::Waiting).next().is_none()));
            return;
        };
        assert_eq!((claim.lease.turn, &claim.message), (turn.id, &turn.message));
        assert_eq!((claim.interruptions, claim.begun_session), (turn.cut, turn.cut_session));
        assert_eq!(claim.conversation.session, session);
        assert!(claim.lease.epoch > turn.epoch);
        turn.epoch = claim.lease.epoch;
        turn.state = State::Working;
        turn.lease_until = now + LEASE;
        self.model.leases.push(claim.lease);
    }

    /// A write under a lease that may be stale: both agree whether it is.
    async fn write(&mut self, lease: Lease, step: Step) {
        let now = self.storage.clock().now();
        let queue = self.queue.as_ref().unwrap();
        let held = self.model.holder(lease);
        match step {
            Step::Heartbeat(_) => {
                let done = queue.heartbeat(lease).await;
                assert_eq!(done, held.map(|turn| turn.lease_until = now + LEASE));
            }
            Step::Begin { session, .. } => {
                let session = Uuid::from_u128(session.into());
                let done = queue.begin(lease, session).await;
                assert_eq!(done, held.map(|turn| turn.begun = Some(session)));
            }
            Step::Unbegin(_) => {
                let done = queue.unbegin(lease).await;
                let unbegun = held.map(|turn| {
                    if turn.begun.take().is_none() {
                        turn.cut = turn.cut.saturating_sub(1);
                        if turn.cut == 0 {
                            turn.cut_session = None;
                        }
                    }
                });
                assert_eq!(done, unbegun);
            }
            Step::Release(_) => assert_eq!(
                queue.release(lease, Spend::default()).await,
                held.map(Turn::back_in_line)
            ),
            Step::Settle {
                state,
                session,
                unit,
                targets,
                ..
            } => {
                self.settle(lease, state, session, unit, &targets).await;
            }
            other => panic!("{other:?} needs no lease"),
        }
    }

    async fn settle(&mut self, lease: Lease, state: usize, session: u8, unit: u64, targets: &[u8]) {
        let now = self.storage.clock().now();
        let set = (Uuid::from_u128(session.into()), format!("/{session}"));
        let settlement = Settlement {
            state: [State::Ok, State::Error, State::Cancelled, State::Interrupted][state],
            record: json!({ "unit": unit }),
            session: match session {
                0 | 1 => SessionUpdate::Keep,
                2 => SessionUpdate::Clear,
                _ => SessionUpdate::Set(set.0, set.1.clone()),
            },
            spend: Spend {
                input_tokens: unit % 7,
                output_tokens: unit % 11,
                cache_read_tokens: unit % 13,
                cache_write_tokens: unit % 17,
                nano_usd: unit,
            },
        };
        let effects: Vec<_> = targets
            .iter()
            .map(|target| effect(&format!("t{target}/line"), json!(unit)))
            .collect();
        let done = self.queue().settle(lease, settlement.clone(), effects.clone()).await;
        let held = self.model.holder(lease).map(|turn| {
            turn.state = settlement.state;
            turn.spend = settlement.spend;
            turn.message.lane.clone()
        });
        assert_eq!(done, held.clone().map(drop));
        let Ok(lane) = held else { return };
        match settlement.session {
            SessionUpdate::Keep => {}
            SessionUpdate::Set(..) => drop(self.model.sessions.insert(lane, Some(set))),
            SessionUpdate::Clear => drop(self.model.sessions.insert(lane, None)),
        }
        let outbox = self.queue().outbox(u32::MAX).await.unwrap();
        let written = outbox.into_iter().filter(|effect| effect.turn == lease.turn);
        let pending = written.zip(effects).map(|(stored, new)| Pending {
            id: stored.id,
            turn: lease.turn,
            new,
            due_at: now,
            attempts: 0,
            parked: false,
        });
        self.model.effects.extend(pending);
    }

    async fn deliver(&mut self, numbers: &[usize]) {
        let Some(count) = Some(self.model.effects.len()).filter(|count| *count > 0) else {
            return;
        };
        let ids: Vec<u64> = numbers
            .iter()
            .map(|number| self.model.effects[number % count].id)
            .collect();
        let ended = self.queue().delivered(ids.clone()).await.unwrap();
        assert_eq!(ended, self.model.deliver(&ids));
    }

    async fn retry(&mut self, number: Option<usize>) {
        let now = self.storage.clock().now();
        let among = self.model.turns.len();
        let turn = number.and_then(|number| Some(self.model.turns[number.checked_rem(among)?].id));
        assert_eq!(self.queue().retry(turn).await.unwrap(), self.model.retry(turn, now));
    }

    async fn fail(&mut self, number: usize, delay: Option<i64>) {
        let now = self.storage.clock().now();
        let due_at = delay.map(|seconds| after(now, seconds));
        let Some(number) = number.checked_rem(self.model.effects.len()) else {
            return;
        };
        let id = self.model.effects[number].id;
        self.queue().undelivered(id, "down", due_at).await.unwrap();
        let effect = &mut self.model.effects[number];
        effect.attempts += 1;
        effect.parked = due_at.is_none();
        effect.due_at = due_at.unwrap_or(effect.due_at);
    }

    /// Everything that can be seen is the same.
    async fn compare(&self) {
        let (queue, model) = (self.queue(), &self.model);
        assert_eq!(queue.cursor("home").await.unwrap(), model.cursor);
        let mut waiting: Vec<&Lane> = Vec::new();
        for turn in model.turns.iter().filter(|turn| turn.state == State::Waiting) {
            if !waiting.contains(&&turn.message.lane) {
                waiting.push(&turn.message.lane);
            }
        }
        assert_eq!(queue.lanes().await.unwrap().iter().collect::<Vec<_>>(), waiting);
        self.compare_turns().await;
        self.compare_conversations().await;

        let stored = queue.outbox(u32::MAX).await.unwrap();
        let stored: Vec<_> = stored
            .into_iter()
            .map(|e| {
                (
                    e.id,
                    e.turn,
                    e.target,
                    e.body,
                    e.state == EffectState::Parked,
                    e.attempts,
                )
            })
            .collect();
        let expected: Vec<_> = model
            .effects
            .iter()
            .map(|e| {
                (
                    e.id,
                    e.turn,
                    e.new.target.clone(),
                    e.new.body.clone(),
                    e.parked,
                    e.attempts,
                )
            })
            .collect();
        assert_eq!(stored, expected);
        let now = self.storage.clock().now();
        let due = queue.due(now, u32::MAX, &[]).await.unwrap();
        let expected = model.due(now);
        assert_eq!(due.iter().map(|effect| effect.id).collect::<Vec<_>>(), expected);
        let held = ["t0".to_owned()];
        let free = queue.due(now, u32::MAX, &held).await.unwrap();
        let expected_free = due.iter().filter(|effect| !effect.target.starts_with("t0/"));
        assert!(free.iter().eq(expected_free));
        assert_eq!(queue.next_due(&held).await.unwrap(), model.next_due("t0/"));
        self.compare_overdue(&held).await;
        let first = queue.due(now, 2, &[]).await.unwrap();
        assert!(first.iter().map(|effect| effect.id).eq(expected.into_iter().take(2)));
        assert_eq!(queue.next_due(&[]).await.unwrap(), model.next_due("none"));
    }

    async fn compare_overdue(&self, held: &[String]) {
        let (queue, model) = (self.queue(), &self.model);
        let overdue = queue.overdue(held, 0, u32::MAX).await.unwrap();
        let shown: Vec<_> = overdue.iter().map(|one| (one.effect.id, one.behind)).collect();
        assert_eq!(shown, model.overdue("t0/"));
        assert_eq!(queue.count_overdue(held).await.unwrap(), shown.len() as u64);
    }

    async fn compare_turns(&self) {
        let (queue, model) = (self.queue(), &self.model);
        let mut depths = queue.depths().await.unwrap();
        depths.sort();
        let mut expected = BTreeMap::<_, u64>::new();
        for turn in model.turns.iter().filter(|turn| turn.state == State::Waiting) {
            *expected.entry(turn.message.lane.channel.clone()).or_default() += 1;
        }
        assert_eq!(depths, expected.into_iter().collect::<Vec<_>>());
        for channel in [&self.lanes[0].channel, &self.lanes[3].channel] {
            let mut turns: Vec<&Turn> = model
                .turns
                .iter()
                .filter(|t| t.message.lane.channel == *channel)
                .collect();
            let open = queue.open_turns(channel, 10_000).await.unwrap();
            let settled = queue.settled(channel, u32::MAX).await.unwrap();
            let ended = turns.iter().filter(|turn| turn.state.is_terminal()).count();
            assert_eq!((settled.len(), open.len()), (ended, turns.len() - ended));
            turns.sort_by_key(|turn| turn.state != State::Working);
            let line: Vec<Uuid> = turns.iter().filter(|t| !t.state.is_terminal()).map(|t| t.id).collect();
            assert_eq!(open.iter().map(|turn| turn.id).collect::<Vec<_>>(), line);
            for stored in open.into_iter().chain(settled) {
                let turn = turns.iter().find(|turn| turn.id == stored.id).unwrap();
                assert_eq!((&stored.message, stored.state), (&turn.message, turn.state));
                assert_eq!((stored.interruptions, stored.spend), (turn.cut, turn.spend));
            }
        }
    }

    async fn compare_conversations(&self) {
        let mut seen = 0;
        for channel in [&self.lanes[0].channel, &self.lanes[3].channel] {
            for conversation in self.queue().conversations(channel).await.unwrap() {
                let of = |turn: &&Turn| turn.message.lane == conversation.lane && turn.state.is_terminal();
                let settled = self.model.turns.iter().filter(of);
                let spend = settled.clone().fold(Spend::default(), |sum, turn| sum.plus(turn.spend));
                assert_eq!(
                    (conversation.turns, conversation.spend),
                    (settled.count() as u64, spend)
                );
                assert_eq!(conversation.session, self.model.sessions[&conversation.lane]);
                seen += 1;
            }
        }
        assert_eq!(seen, self.model.sessions.len());
    }
}

proptest! {
    // Some seconds of histories; `PROPTEST_CASES` may ask for more.
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { 24 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_queue_does_what_the_model_does(steps in history()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new();
            for step in steps {
                pair.take(step).await;
                pair.compare().await;
            }
        });
    }
}
