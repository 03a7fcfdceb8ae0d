//! Random histories against a model that fits on some pages: same answers, same order, same states, same sums.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod compare;
mod names;
mod reference;
mod step;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use reveille_queue::{
    Accepted, Binding, ChannelName, Claim, FeedCursor, Joined, Lane, Lease, Message, Pause, Position, Queue,
    QueueError, SessionUpdate, Settlement, SqliteQueue, State,
};
use serde_json::{Value, json};
use uuid::Uuid;

use compare::key_aside;
use reference::{Model, Pending};
use step::{LANES, NAMES, Note, Step, history};
use support::{Factory, LEASE, Sqlite, after, effect, lane, message, nano, subject};

const OWNERS: [&str; 2] = ["anna", "ben"];
const CODES: [&str; 2] = ["person", "budget"];
const NOBODY: Uuid = Uuid::from_u128(404);

/// The real queue and the model, side by side.
struct Pair {
    storage: Sqlite,
    queue: Option<SqliteQueue>,
    model: Model,
    channels: [ChannelName; NAMES],
    lanes: [Lane; LANES],
}

fn version(note: &str, version: u8) -> Value {
    json!({ "text": note, "version": version })
}

impl Pair {
    fn new() -> Self {
        let storage = Sqlite::new();
        let names = ["a", "b", "c"];
        Self {
            queue: Some(storage.open()),
            storage,
            model: Model::default(),
            channels: names.map(|name| name.parse().unwrap()),
            lanes: std::array::from_fn(|number| match (names[number / 2], number % 2) {
                (name, 0) => lane(name),
                (name, _) => subject(name, "x"),
            }),
        }
    }

    fn queue(&self) -> &SqliteQueue {
        self.queue.as_ref().unwrap()
    }

    async fn take(&mut self, step: Step) {
        let now = self.storage.clock().now();
        match step {
            Step::Accept { notes, cursor } => self.accept(&notes, cursor).await,
            Step::Claim(number) => self.claim(number).await,
            Step::Take {
                channel,
                owner,
                seconds,
            } => self.take_away(channel, OWNERS[owner], seconds).await,
            Step::Lapse => self.lapse().await,
            Step::Recover => {
                let found = self.queue().recover().await.unwrap();
                assert_eq!(found, self.model.requeue(|turn| turn.owner.is_none()));
            }
            Step::Expire => {
                let found = self.queue().expire(now).await.unwrap();
                assert_eq!(found, self.model.requeue(|turn| turn.lease_until < now));
            }
            Step::Reopen => {
                self.queue = None;
                self.queue = Some(self.storage.open());
            }
            Step::Pass(seconds) => drop(self.storage.clock().shift(seconds)),
            Step::Deliver(numbers) => self.deliver(&numbers).await,
            Step::Fail { effect, delay } => self.fail(effect, delay).await,
            Step::Retry(turn) => self.retry(turn).await,
            Step::Heartbeat(lease)
            | Step::Renew { lease, .. }
            | Step::Begin { lease, .. }
            | Step::Unbegin(lease)
            | Step::Release { lease, .. }
            | Step::Settle { lease, .. } => {
                if let Some(lease) = self.model.lease(lease) {
                    self.write(lease, step).await;
                }
            }
            Step::Cancel { .. } | Step::Hold { .. } | Step::Move { .. } | Step::Front | Step::Edit { .. } => {
                self.hand(step).await;
            }
            Step::Pause { .. } | Step::Resume { .. } | Step::Reset { .. } => self.control(step).await,
            Step::Bind(names) => self.bind(&names).await,
            Step::Unbind(number) => {
                let note = format!("d{number}");
                self.queue().unbind("home", &note).await.unwrap();
                self.model.bindings.remove(&note);
            }
        }
    }

    async fn accept(&mut self, notes: &[Note], cursor: u64) {
        let now = self.storage.clock().now();
        let named = |(number, note, mode, text): &Note| {
            let name = format!("n{note}");
            Message {
                mode: *mode,
                chain: format!("c{}", note % 7),
                body: version(&name, *text),
                ..message(&self.lanes[*number], &name)
            }
        };
        let messages: Vec<Message> = notes.iter().map(named).collect();
        let feed = FeedCursor {
            feed: "home".into(),
            at: cursor,
        };
        let answers = self.queue().accept(messages.clone(), Some(feed)).await.unwrap();
        assert_eq!(answers.len(), messages.len());
        let last = answers.last().filter(|last| last.fresh).copied();
        for (message, answer) in messages.into_iter().zip(answers) {
            if let Some(turn) = self.model.known(&message) {
                let known = Accepted {
                    turn,
                    fresh: false,
                    place: None,
                };
                assert_eq!(answer, known);
                continue;
            }
            assert!(answer.fresh, "{message:?}");
            let stored = self.queue().turn(answer.turn).await.unwrap().unwrap();
            self.model.accept(message, answer.turn, stored.conversation, now);
        }
        // Those before it may have been passed by it.
        if let Some(last) = last {
            assert_eq!(last.place, self.queue().place(last.turn).await.unwrap());
        }
        self.model.cursor = self.model.cursor.max(cursor);
    }

    async fn claim(&mut self, number: usize) {
        let aside: Vec<&Lane> = self
            .model
            .conversations
            .iter()
            .map(|(one, _)| &one.lane)
            .filter(|lane| !self.lanes.contains(lane))
            .collect();
        let lane = match number.checked_sub(LANES) {
            None => self.lanes[number].clone(),
            Some(number) => match number.checked_rem(aside.len()) {
                Some(number) => aside[number].clone(),
                None => return,
            },
        };
        let now = self.storage.clock().now();
        let claim = self.queue().claim(&lane).await.unwrap();
        let claimed = self.model.claim(&lane, now, now + LEASE);
        self.given(claim, claimed);
    }

    async fn take_away(&mut self, channel: usize, owner: &str, seconds: u64) {
        let (now, ttl) = (self.storage.clock().now(), Duration::from_secs(seconds));
        let channel = self.channels[channel].clone();
        let front = self.queue().front(&channel, 3).await.unwrap();
        let expected: Vec<Uuid> = self
            .model
            .front(&channel)
            .iter()
            .map(|index| self.model.turns[*index].id)
            .collect();
        let ids: Vec<Uuid> = front.turns.iter().map(|turn| turn.id).collect();
        assert_eq!(
            (front.waiting, &ids[..]),
            (expected.len() as u64, &expected[..expected.len().min(3)])
        );
        let held = self.queue().take(&channel, owner, ttl).await.unwrap();
        let until = now + ttl;
        let taken = self.model.take(&channel, owner, now, until);
        if let Some(held) = &held {
            assert_eq!((held.owner.as_str(), held.until), (owner, until));
            assert_eq!(
                self.queue().held(held.claim.lease.turn).await.unwrap().as_ref(),
                Some(held)
            );
        }
        self.given(held.map(|held| held.claim), taken);
    }

    async fn lapse(&mut self) {
        let now = self.storage.clock().now();
        let over = |turn: &reference::Turn| turn.owner.is_some() && turn.lease_until < now;
        let working = self.model.turns.iter().filter(|turn| turn.state == State::Working);
        let mut expected: Vec<Uuid> = working.filter(|turn| over(turn)).map(|turn| turn.id).collect();
        self.model.requeue(over);
        let mut back: Vec<Uuid> = self
            .queue()
            .lapse(now)
            .await
            .unwrap()
            .iter()
            .map(|turn| turn.id)
            .collect();
        expected.sort_unstable();
        back.sort_unstable();
        assert_eq!(back, expected);
    }

    /// Both gave the same turn, if any.
    fn given(&mut self, claim: Option<Claim>, claimed: Option<usize>) {
        let now = self.storage.clock().now();
        let Some(claim) = claim else {
            assert_eq!(claimed, None);
            return;
        };
        let model = &self.model;
        let turn = &model.turns[claimed.expect("the model has nothing to claim")];
        let joined = model.joined(turn.id).into_iter().map(|index| &model.turns[index]);
        let expected = Claim {
            lease: Lease {
                turn: turn.id,
                epoch: turn.epoch,
            },
            message: model.message(turn),
            conversation: model.conversations[turn.conversation].0.clone(),
            interruptions: turn.cut,
            begun_session: turn.cut_session,
            accepted_at: turn.accepted_at,
            spent: turn.spend,
            joined: joined
                .map(|turn| Joined {
                    turn: turn.id,
                    message: model.message(turn),
                })
                .collect(),
            chain: model.chain(turn),
            today: model.today(&model.lane(turn).channel, now),
        };
        assert_eq!(claim, expected);
        self.model.leases.push(claim.lease);
    }

    /// A write under a lease that may be stale: both agree whether it is.
    async fn write(&mut self, lease: Lease, step: Step) {
        let now = self.storage.clock().now();
        let queue = self.queue.as_ref().unwrap();
        match step {
            Step::Heartbeat(_) => {
                let done = queue.heartbeat(lease).await;
                let held = self.model.holder(lease);
                assert_eq!(done, held.map(|turn| turn.lease_until = now + LEASE));
            }
            Step::Renew { seconds, .. } => {
                let until = now + Duration::from_secs(seconds);
                let done = queue.renew(lease, Duration::from_secs(seconds)).await;
                let held = self.model.holder(lease);
                assert_eq!(
                    done,
                    held.map(|turn| {
                        turn.lease_until = until;
                        until
                    })
                );
            }
            Step::Begin { session, .. } => {
                let session = Uuid::from_u128(session.into());
                let done = queue.begin(lease, session).await;
                let held = self.model.holder(lease);
                assert_eq!(done, held.map(|turn| turn.begun = Some(session)));
            }
            Step::Unbegin(_) => {
                let done = queue.unbegin(lease).await;
                let unbegun = self.model.holder(lease).map(|turn| {
                    if turn.begun.take().is_none() {
                        turn.cut = turn.cut.saturating_sub(1);
                        if turn.cut == 0 {
                            turn.cut_session = None;
                        }
                    }
                });
                assert_eq!(done, unbegun);
            }
            Step::Release { unit, .. } => {
                let done = queue.release(lease, nano(unit)).await;
                assert_eq!(done, self.model.release(lease, nano(unit), now));
            }
            Step::Settle {
                state,
                session,
                unit,
                targets,
                ..
            } => {
                let settlement = settlement(state, session, unit);
                let effects = effects(&targets, unit);
                let done = queue.settle(lease, settlement.clone(), effects.clone()).await;
                assert_eq!(done, self.model.settle(lease, &settlement, now));
                if done.is_ok() {
                    self.written(lease.turn, effects).await;
                }
            }
            other => panic!("{other:?} needs no lease"),
        }
    }

    /// The effects of a turn that has ended, with the numbers that they were given.
    async fn written(&mut self, turn: Uuid, effects: Vec<reveille_queue::NewEffect>) {
        let now = self.storage.clock().now();
        let outbox = self.queue().outbox(u32::MAX).await.unwrap();
        let written = outbox.into_iter().filter(|effect| effect.turn == turn);
        let pending = written.zip(effects).map(|(stored, new)| Pending {
            id: stored.id,
            turn,
            new,
            due_at: now,
            attempts: 0,
            parked: false,
        });
        self.model.effects.extend(pending);
    }

    /// Mostly one that waits, sometimes any, at times one that never was.
    fn turn(&self, number: usize) -> Uuid {
        let open = |turn: &&reference::Turn| number >= 52 || turn.state == State::Waiting;
        let among: Vec<_> = self.model.turns.iter().filter(open).collect();
        let chosen = number.checked_rem(among.len()).filter(|_| number < 63);
        chosen.map_or(NOBODY, |number| among[number].id)
    }

    /// What a person does to a turn.
    async fn hand(&mut self, step: Step) {
        let now = self.storage.clock().now();
        let queue = self.queue.as_ref().unwrap();
        match step {
            Step::Cancel {
                turn,
                state,
                unit,
                targets,
            } => {
                let turn = self.turn(turn);
                let (settlement, effects) = (settlement(state, 0, unit), effects(&targets, unit));
                let done = queue.cancel(turn, settlement.clone(), effects.clone()).await;
                assert_eq!(done, self.model.cancel(turn, &settlement, now));
                if done.is_ok() {
                    self.written(turn, effects).await;
                }
            }
            Step::Hold { turn, held } => {
                let turn = self.turn(turn);
                assert_eq!(queue.hold(turn, held).await, self.model.hold(turn, held));
            }
            Step::Move { turn, to, before } => {
                let (turn, before) = (self.turn(turn), self.turn(before));
                let to = match to {
                    Some(true) => Position::First,
                    Some(false) => Position::Last,
                    None => Position::Before(before),
                };
                assert_eq!(queue.reposition(turn, to).await, self.model.reposition(turn, to));
            }
            Step::Front => {
                let turn = self.model.turns.last().map_or(NOBODY, |turn| turn.id);
                let done = queue.reposition(turn, Position::First).await;
                assert_eq!(done, self.model.reposition(turn, Position::First));
            }
            Step::Edit { turn, version: text } => {
                let turn = self.turn(turn);
                let body = version("edited", text);
                let done = queue.edit(turn, body.clone()).await;
                assert_eq!(done, self.model.edit(turn, body));
            }
            other => panic!("{other:?} is no person's"),
        }
    }

    /// What is done to a channel.
    async fn control(&mut self, step: Step) {
        let now = self.storage.clock().now();
        let queue = self.queue.as_ref().unwrap();
        match step {
            Step::Pause { channel, code, seconds } => {
                let channel = &self.channels[channel];
                let pause = Pause {
                    code: CODES[code].into(),
                    reason: format!("since {now}"),
                    since: now,
                    until: seconds.map(|seconds| after(now, seconds)),
                };
                queue.pause(channel, pause.clone()).await.unwrap();
                self.model.pauses.insert(channel.clone(), pause);
            }
            Step::Resume { channel, codes } => {
                let channel = &self.channels[channel];
                let codes: Vec<&str> = codes.into_iter().map(|code| CODES[code]).collect();
                let done = queue.resume(channel, &codes).await.unwrap();
                assert_eq!(done, self.model.resume(channel, &codes, now));
            }
            Step::Reset { lane, all } => {
                let lane = &self.lanes[lane];
                let thread = Some(&lane.thread).filter(|_| !all);
                let done = queue.reset(&lane.channel, thread).await.unwrap();
                assert_eq!(done, self.model.reset(&lane.channel, thread));
            }
            other => panic!("{other:?} is not done to a channel"),
        }
    }

    async fn bind(&mut self, names: &[(usize, usize)]) {
        let name = |(note, channel): &(usize, usize)| (format!("d{note}"), self.channels[*channel].clone());
        let names: Vec<(String, ChannelName)> = names.iter().map(name).collect();
        let binding = |(note, channel): &(String, ChannelName)| Binding {
            vault: "home".into(),
            note: note.clone(),
            channel: channel.clone(),
        };
        let done = self.queue().bind(names.iter().map(binding).collect()).await;
        let Some(bound) = self.model.bind(&names) else {
            assert!(matches!(done, Err(QueueError::Refused { .. })), "{done:?}");
            return;
        };
        assert_eq!(done, Ok(bound.renamed));
        for number in bound.aside {
            let key = key_aside(self.queue(), &self.model, number).await;
            self.model.conversations[number].0.lane.thread = key;
        }
        for number in bound.fresh {
            let lane = self.model.conversations[number].0.lane.clone();
            let found = self.queue().conversations(&lane.channel).await.unwrap();
            let found = found.into_iter().find(|one| one.lane == lane);
            self.model.conversations[number].0.id = found.unwrap().id;
        }
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
}

fn settlement(state: usize, session: u8, unit: u64) -> Settlement {
    Settlement {
        state: [State::Ok, State::Error, State::Cancelled, State::Interrupted][state],
        record: json!({ "unit": unit }),
        session: match session {
            0 | 1 => SessionUpdate::Keep,
            2 => SessionUpdate::Clear,
            _ => SessionUpdate::Set(Uuid::from_u128(session.into()), format!("/{session}")),
        },
        spend: reveille_queue::Spend {
            input_tokens: unit % 7,
            output_tokens: unit % 11,
            cache_read_tokens: unit % 13,
            cache_write_tokens: unit % 17,
            nano_usd: unit,
        },
    }
}

fn effects(targets: &[u8], unit: u64) -> Vec<reveille_queue::NewEffect> {
    targets
        .iter()
        .map(|target| effect(&format!("t{target}/line"), json!(unit)))
        .collect()
}

proptest! {
    // Some seconds of histories; `PROPTEST_CASES` may ask for more.
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { 16 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_queue_does_what_the_model_does(steps in history()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new();
            for (number, step) in steps.into_iter().enumerate() {
                pair.take(step).await;
                pair.compare().await;
                if number % 4 == 0 {
                    pair.compare_more().await;
                }
            }
            pair.compare_more().await;
            support::inspect(&pair.storage.path());
        });
    }
}
