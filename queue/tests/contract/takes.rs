//! Turns that somebody outside takes: they hold for a time, whatever becomes of the process.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use pretty_assertions::assert_eq;
use reveille_queue::{
    ChannelName, ControlError, Front, Held, LeaseError, Message, MessageMode, Pause, Position, Queue, Recovery, Spend,
    State, ThreadKey,
};
use serde_json::json;
use uuid::Uuid;

use crate::renames::{bind, name};
use crate::support::{
    Factory, accept, accept_as, after, cancelled, claim, claimed, done, effect, lane, message, state, subject,
};

const TTL: Duration = Duration::from_mins(15);

fn ttl_seconds() -> i64 {
    i64::try_from(TTL.as_secs()).unwrap()
}

fn echo() -> ChannelName {
    name("echo")
}

async fn take(queue: &impl Queue, owner: &str) -> Held {
    queue.take(&echo(), owner, TTL).await.unwrap().expect("a turn to take")
}

/// The notes of what is given, until nothing is.
async fn taken(queue: &impl Queue, channel: &ChannelName) -> Vec<String> {
    let mut notes = Vec::new();
    while let Some(held) = queue.take(channel, "anna", TTL).await.unwrap() {
        notes.push(held.claim.message.note);
    }
    notes
}

/// Who has a turn, and until when.
async fn holder(queue: &impl Queue, turn: Uuid) -> (State, Option<String>, Option<Timestamp>) {
    let turn = queue.turn(turn).await.unwrap().unwrap();
    (turn.state, turn.claimed_by, turn.claim_ends)
}

pub(crate) async fn a_taken_turn_tells_everything<F: Factory>(storage: &F) {
    let queue = storage.open();
    accept(&queue, &lane("echo"), &["n1"]).await;
    let now = storage.clock().shift(5);
    let held = take(&queue, "anna").await;
    assert_eq!(held.claim.message, message(&lane("echo"), "n1"));
    assert_eq!(held.claim.conversation.started_at, Some(now));
    let until = after(now, ttl_seconds());
    assert_eq!((held.owner.as_str(), held.until), ("anna", until));
    let turn = held.claim.lease.turn;
    assert_eq!(
        holder(&queue, turn).await,
        (State::Working, Some("anna".into()), Some(until))
    );
    assert_eq!(queue.held(turn).await.unwrap(), Some(held));
    let all: Vec<Uuid> = queue.taken().await.unwrap().iter().map(|turn| turn.id).collect();
    assert_eq!(all, [turn]);
    assert_eq!(queue.take(&echo(), "anna", TTL).await.unwrap(), None);
}

pub(crate) async fn a_worker_of_ours_holds_nothing_outside<F: Factory>(storage: &F) {
    let queue = storage.open();
    let turn = claimed(&queue, &lane("echo"), "n1").await.turn;
    assert_eq!(queue.held(turn).await.unwrap(), None);
    assert_eq!(queue.held(Uuid::from_u128(404)).await.unwrap(), None);
    assert_eq!(queue.taken().await.unwrap(), []);
    assert_eq!(holder(&queue, turn).await, (State::Working, None, None));
}

pub(crate) async fn a_line_is_given_away_in_its_order<F: Factory>(storage: &F) {
    let queue = storage.open();
    // One line over all lanes, and each lane in its order.
    accept(&queue, &lane("echo"), &["n1"]).await;
    accept(&queue, &subject("echo", "a"), &["n2"]).await;
    accept(&queue, &lane("other"), &["n3"]).await;
    let turns = accept(&queue, &lane("echo"), &["n4", "n5", "n6"]).await;
    queue.reposition(turns[2], Position::Before(turns[0])).await.unwrap();
    queue.hold(turns[1], true).await.unwrap();
    accept_as(&queue, &subject("echo", "a"), MessageMode::Interrupt, &["n7"]).await;
    assert_eq!(taken(&queue, &echo()).await, ["n1", "n7", "n6", "n4", "n2"]);
    queue.hold(turns[1], false).await.unwrap();
    assert_eq!(taken(&queue, &echo()).await, ["n5"]);
    assert_eq!(taken(&queue, &name("nobody")).await, Vec::<String>::new());
}

pub(crate) async fn the_front_is_what_would_be_taken<F: Factory>(storage: &F) {
    let queue = storage.open();
    let notes = |front: Front| {
        let notes = front.turns.into_iter().map(|turn| turn.message.note);
        (front.waiting, notes.collect::<Vec<_>>())
    };
    let turns = accept(&queue, &lane("echo"), &["n1", "n2", "n3", "n4"]).await;
    queue.hold(turns[1], true).await.unwrap();
    let front = queue.front(&echo(), 2).await.unwrap();
    assert_eq!(notes(front), (3, vec!["n1".into(), "n3".into()]));
    take(&queue, "anna").await;
    let front = queue.front(&echo(), 9).await.unwrap();
    assert_eq!(notes(front), (2, vec!["n3".into(), "n4".into()]));
    assert_eq!(queue.front(&name("nobody"), 9).await.unwrap(), Front::default());
    // A lane in which a worker of ours runs is passed over.
    accept(&queue, &subject("echo", "a"), &["n5", "n6"]).await;
    let worker = claim(&queue, &subject("echo", "a")).await.lease;
    let front = queue.front(&echo(), 9).await.unwrap();
    assert_eq!(notes(front), (2, vec!["n3".into(), "n4".into()]));
    queue.settle(worker, done(), Vec::new()).await.unwrap();
    let front = queue.front(&echo(), 9).await.unwrap();
    assert_eq!(notes(front), (3, vec!["n3".into(), "n4".into(), "n6".into()]));
}

pub(crate) async fn nothing_is_given_twice_and_nothing_starves<F: Factory>(storage: &F) {
    let queue = storage.open();
    let notes: Vec<String> = (0..1000).map(|number| format!("n{number:04}")).collect();
    for (number, note) in notes.iter().enumerate() {
        let lane = match number % 3 {
            0 => lane("echo"),
            _ => subject("echo", &format!("s{}", number % 7)),
        };
        accept(&queue, &lane, &[note]).await;
    }
    let session = async |owner: &str| {
        let mut got = Vec::new();
        while let Some(held) = queue.take(&echo(), owner, TTL).await.unwrap() {
            got.push(held.claim.message.note);
            tokio::task::yield_now().await;
            queue.settle(held.claim.lease, done(), Vec::new()).await.unwrap();
        }
        got
    };
    let (first, second) = tokio::join!(session("anna"), session("ben"));
    // Each saw a part of the line, in its order; together it is the whole.
    assert!(first.is_sorted() && second.is_sorted());
    assert!(!first.is_empty() && !second.is_empty());
    assert_eq!(first.len() + second.len(), notes.len());
    let both: BTreeSet<String> = first.into_iter().chain(second).collect();
    assert_eq!(both.into_iter().collect::<Vec<_>>(), notes);
    assert_eq!(
        queue
            .conversations(&echo())
            .await
            .unwrap()
            .iter()
            .map(|one| one.turns)
            .sum::<u64>(),
        1000
    );
}

pub(crate) async fn a_lane_may_be_in_several_hands<F: Factory>(storage: &F) {
    let queue = storage.open();
    accept(&queue, &lane("echo"), &["n1", "n2", "n3"]).await;
    let (first, second) = (take(&queue, "anna").await, take(&queue, "ben").await);
    // A message that comes now is told of both, as whoever asks later is.
    for (note, mode, ahead) in [("n4", MessageMode::Followup, 3), ("n5", MessageMode::Interrupt, 2)] {
        let message = Message {
            mode,
            ..message(&lane("echo"), note)
        };
        let accepted = queue.accept(vec![message], None).await.unwrap();
        assert_eq!(accepted[0].place.map(|place| place.ahead), Some(ahead));
        assert_eq!(queue.place(accepted[0].turn).await.unwrap(), accepted[0].place);
        queue.cancel(accepted[0].turn, cancelled(), Vec::new()).await.unwrap();
    }
    // But not in those of a worker of ours besides.
    assert_eq!(queue.claim(&lane("echo")).await.unwrap(), None);
    queue.settle(second.claim.lease, done(), Vec::new()).await.unwrap();
    assert_eq!(queue.claim(&lane("echo")).await.unwrap(), None);
    queue.settle(first.claim.lease, done(), Vec::new()).await.unwrap();
    let worker = claim(&queue, &lane("echo")).await;
    assert_eq!(worker.message.note, "n3");
    assert_eq!(worker.conversation.turns, 2);
}

pub(crate) async fn a_lane_with_a_worker_is_passed_over<F: Factory>(storage: &F) {
    let queue = storage.open();
    accept(&queue, &lane("echo"), &["n1", "n2"]).await;
    accept(&queue, &subject("echo", "a"), &["n3"]).await;
    let worker = claim(&queue, &lane("echo")).await.lease;
    assert_eq!(taken(&queue, &echo()).await, ["n3"]);
    queue.settle(worker, done(), Vec::new()).await.unwrap();
    assert_eq!(taken(&queue, &echo()).await, ["n2"]);
}

pub(crate) async fn a_restart_leaves_what_is_taken<F: Factory>(storage: &F) {
    let queue = storage.open();
    accept(&queue, &lane("echo"), &["n1", "n2"]).await;
    claimed(&queue, &lane("other"), "n3").await;
    let (held, second) = (take(&queue, "anna").await, take(&queue, "ben").await);
    queue.renew(second.claim.lease, TTL * 2).await.unwrap();
    drop(queue);
    storage.clock().shift(ttl_seconds());
    let queue = storage.open();
    let ours = Recovery {
        requeued: 1,
        interrupted: 0,
    };
    assert_eq!(queue.recover().await.unwrap(), ours);
    assert_eq!(queue.held(held.claim.lease.turn).await.unwrap(), Some(held.clone()));

    // Also what is over by then: it goes back with the word that it does.
    drop(queue);
    let now = storage.clock().shift(1);
    let queue = storage.open();
    assert_eq!(queue.recover().await.unwrap(), Recovery::default());
    let back: Vec<Uuid> = queue.lapse(now).await.unwrap().iter().map(|turn| turn.id).collect();
    assert_eq!(back, [held.claim.lease.turn]);
    assert_eq!(
        holder(&queue, held.claim.lease.turn).await,
        (State::Waiting, None, None)
    );
    queue.settle(second.claim.lease, done(), Vec::new()).await.unwrap();
}

pub(crate) async fn a_claim_ends_at_its_time<F: Factory>(storage: &F) {
    let queue = storage.open();
    accept(&queue, &lane("echo"), &["n1", "n2", "n3"]).await;
    let worker = claimed(&queue, &lane("other"), "n4").await;
    let (first, second) = (take(&queue, "anna").await, take(&queue, "ben").await);
    let now = storage.clock().shift(ttl_seconds());
    let until = queue.renew(second.claim.lease, TTL).await.unwrap();
    assert_eq!(until, after(now, ttl_seconds()));
    assert_eq!(queue.lapse(now).await.unwrap(), []);
    let back = queue.lapse(after(now, 1)).await.unwrap();
    assert_eq!(back, [queue.turn(first.claim.lease.turn).await.unwrap().unwrap()]);
    assert_eq!((back[0].state, &back[0].claimed_by), (State::Waiting, &None));
    assert_eq!(queue.lapse(after(now, 1)).await.unwrap(), []);
    // The claims of workers are no matter of it.
    queue.heartbeat(worker).await.unwrap();
    queue.settle(second.claim.lease, done(), Vec::new()).await.unwrap();
    // At its place in line again, for the next one.
    let next = take(&queue, "carl").await;
    assert_eq!(next.claim.message.note, "n1");
    assert_eq!(next.claim.interruptions, 0);
}

pub(crate) async fn expiry_takes_back_what_is_taken_too<F: Factory>(storage: &F) {
    let queue = storage.open();
    accept(&queue, &lane("echo"), &["n1"]).await;
    let held = take(&queue, "anna").await;
    let end = after(storage.clock().now(), ttl_seconds());
    assert_eq!(queue.expire(end).await.unwrap(), Recovery::default());
    let back = Recovery {
        requeued: 1,
        interrupted: 0,
    };
    assert_eq!(queue.expire(after(end, 1)).await.unwrap(), back);
    assert_eq!(
        holder(&queue, held.claim.lease.turn).await,
        (State::Waiting, None, None)
    );
}

pub(crate) async fn an_endless_time_is_no_error<F: Factory>(storage: &F) {
    let queue = storage.open();
    accept(&queue, &lane("echo"), &["n1"]).await;
    let held = queue.take(&echo(), "anna", Duration::MAX).await.unwrap().unwrap();
    let turn = held.claim.lease.turn;
    assert_eq!(holder(&queue, turn).await.2, Some(held.until));
    assert_eq!(queue.renew(held.claim.lease, Duration::MAX).await.unwrap(), held.until);
    assert_eq!(
        queue.renew(held.claim.lease, Duration::ZERO).await.unwrap(),
        storage.clock().now()
    );
}

pub(crate) async fn only_the_newest_claim_counts<F: Factory>(storage: &F) {
    let queue = storage.open();
    accept(&queue, &lane("echo"), &["n1"]).await;
    let old = take(&queue, "anna").await.claim.lease;
    queue.lapse(Timestamp::MAX).await.unwrap();
    let stale = Err(LeaseError::Stale { turn: old.turn });
    // Also while nobody has it.
    assert_eq!(queue.settle(old, done(), vec![effect("t", json!(1))]).await, stale);
    let new = take(&queue, "ben").await;
    assert!(new.claim.lease.epoch > old.epoch);
    assert_eq!(queue.settle(old, done(), vec![effect("t", json!(1))]).await, stale);
    assert_eq!(queue.release(old, Spend::default()).await, stale);
    assert_eq!(queue.renew(old, TTL).await, Err(LeaseError::Stale { turn: old.turn }));
    assert_eq!(queue.held(old.turn).await.unwrap(), Some(new.clone()));
    queue
        .settle(new.claim.lease, done(), vec![effect("t", json!(2))])
        .await
        .unwrap();
    assert_eq!(queue.settle(new.claim.lease, done(), Vec::new()).await, stale);
    assert_eq!(queue.held(old.turn).await.unwrap(), None);
    let outbox: Vec<_> = queue.outbox(9).await.unwrap().into_iter().map(|one| one.body).collect();
    assert_eq!(outbox, [json!(2)]);
    // Whose answer it was stays known.
    assert_eq!(holder(&queue, old.turn).await, (State::Ok, Some("ben".into()), None));
}

pub(crate) async fn what_was_given_back_waits_at_its_place<F: Factory>(storage: &F) {
    let queue = storage.open();
    accept(&queue, &lane("echo"), &["n1", "n2", "n3"]).await;
    let (first, _second) = (take(&queue, "anna").await, take(&queue, "anna").await);
    queue.release(first.claim.lease, Spend::default()).await.unwrap();
    assert_eq!(
        holder(&queue, first.claim.lease.turn).await,
        (State::Waiting, None, None)
    );
    assert_eq!(taken(&queue, &echo()).await, ["n1", "n3"]);
}

pub(crate) async fn a_persons_hand_is_kept_off_what_is_taken<F: Factory>(storage: &F) {
    let queue = storage.open();
    let turns = accept(&queue, &lane("echo"), &["n1", "n2"]).await;
    let held = take(&queue, "anna").await;
    let turn = held.claim.lease.turn;
    let refused = Err(ControlError::NotWaiting {
        turn,
        state: State::Working,
    });
    assert_eq!(queue.cancel(turn, cancelled(), Vec::new()).await, refused);
    assert_eq!(queue.hold(turn, true).await, refused);
    assert_eq!(queue.edit(turn, json!("x")).await, refused);
    assert_eq!(queue.reposition(turn, Position::Last).await, refused);
    // What waits is in reach as always, also behind it.
    queue.edit(turns[1], json!("edited")).await.unwrap();
    assert_eq!(take(&queue, "ben").await.claim.message.body, json!("edited"));
    assert_eq!(queue.held(turn).await.unwrap(), Some(held));
    // A turn that ended in line was nobody's.
    let turn = accept(&queue, &lane("echo"), &["n3"]).await[0];
    queue.cancel(turn, cancelled(), Vec::new()).await.unwrap();
    assert_eq!(holder(&queue, turn).await, (State::Cancelled, None, None));
}

pub(crate) async fn a_paused_channel_is_not_given_away<F: Factory>(storage: &F) {
    let queue = storage.open();
    accept(&queue, &lane("echo"), &["n1", "n2"]).await;
    let held = take(&queue, "anna").await;
    let now = storage.clock().now();
    let pause = Pause {
        code: "person".into(),
        reason: String::new(),
        since: now,
        until: Some(after(now, 9)),
    };
    queue.pause(&echo(), pause).await.unwrap();
    assert_eq!(queue.take(&echo(), "ben", TTL).await.unwrap(), None);
    assert_eq!(queue.front(&echo(), 9).await.unwrap().waiting, 1);
    // What is taken goes on.
    queue.renew(held.claim.lease, TTL).await.unwrap();
    queue.settle(held.claim.lease, done(), Vec::new()).await.unwrap();
    storage.clock().shift(9);
    assert_eq!(take(&queue, "ben").await.claim.message.note, "n2");
}

pub(crate) async fn collected_messages_are_taken_together<F: Factory>(storage: &F) {
    let queue = storage.open();
    let turns = accept_as(&queue, &lane("echo"), MessageMode::Collect, &["n1", "n2", "n3"]).await;
    accept(&queue, &lane("echo"), &["n4"]).await;
    let held = take(&queue, "anna").await;
    let joined: Vec<&str> = held.claim.joined.iter().map(|one| one.message.note.as_str()).collect();
    assert_eq!(joined, ["n2", "n3"]);
    assert_eq!(queue.held(turns[0]).await.unwrap(), Some(held.clone()));
    assert_eq!(queue.held(turns[1]).await.unwrap(), None);
    assert_eq!(holder(&queue, turns[1]).await, (State::Joined, None, None));
    // Those who come later wait for the next one.
    accept_as(&queue, &lane("echo"), MessageMode::Collect, &["n5"]).await;
    queue.lapse(Timestamp::MAX).await.unwrap();
    let again = take(&queue, "ben").await;
    assert_eq!(again.claim.joined, held.claim.joined);
    queue.settle(again.claim.lease, done(), Vec::new()).await.unwrap();
    for turn in &turns {
        assert_eq!(state(&queue, *turn).await, State::Ok);
    }
    assert_eq!(taken(&queue, &echo()).await, ["n4", "n5"]);
}

pub(crate) async fn what_is_taken_moves_with_its_channel<F: Factory>(storage: &F) {
    let queue = storage.open();
    bind(&queue, &[("d1", "echo")]).await;
    accept(&queue, &lane("echo"), &["n1", "n2"]).await;
    let held = take(&queue, "anna").await;
    // A conversation stands in the way, and a session has something of it.
    accept(&queue, &lane("new"), &["m1"]).await;
    let other = queue.take(&name("new"), "ben", TTL).await.unwrap().unwrap();
    bind(&queue, &[("d1", "new")]).await;
    assert_eq!(queue.take(&echo(), "anna", TTL).await.unwrap(), None);
    let now = queue.held(held.claim.lease.turn).await.unwrap().unwrap();
    assert_eq!(
        (now.claim.message.lane, &now.owner, now.until),
        (lane("new"), &held.owner, held.until)
    );
    let aside = queue.held(other.claim.lease.turn).await.unwrap().unwrap();
    assert!(matches!(aside.claim.message.lane.thread, ThreadKey::Single(_)));
    assert_eq!(taken(&queue, &name("new")).await, ["n2"]);
    for held in [&held, &other] {
        queue.settle(held.claim.lease, done(), Vec::new()).await.unwrap();
    }
}

pub(crate) async fn a_reset_leaves_what_is_taken<F: Factory>(storage: &F) {
    let queue = storage.open();
    accept(&queue, &lane("echo"), &["n1"]).await;
    let held = take(&queue, "anna").await;
    assert_eq!(queue.reset(&echo(), None).await.unwrap(), 1);
    queue.settle(held.claim.lease, done(), Vec::new()).await.unwrap();
    assert_eq!(state(&queue, held.claim.lease.turn).await, State::Ok);
}

pub(crate) async fn a_line_changes_hands<F: Factory>(storage: &F) {
    let queue = storage.open();
    accept(&queue, &lane("echo"), &["n1"]).await;
    // A worker of ours was cut off; a session takes it over, and gives it back; the worker goes on.
    let session = Uuid::from_u128(7);
    let lease = claim(&queue, &lane("echo")).await.lease;
    queue.begin(lease, session).await.unwrap();
    queue.recover().await.unwrap();
    let held = take(&queue, "anna").await;
    assert_eq!((held.claim.interruptions, held.claim.begun_session), (1, Some(session)));
    queue.release(held.claim.lease, Spend::default()).await.unwrap();
    let worker = claim(&queue, &lane("echo")).await;
    assert_eq!((worker.interruptions, worker.begun_session), (1, Some(session)));
    assert_eq!(holder(&queue, worker.lease.turn).await, (State::Working, None, None));
}

pub(crate) async fn hostile_owners_come_back_unchanged<F: Factory>(storage: &F) {
    let queue = storage.open();
    for owner in crate::support::hostile_texts() {
        accept(&queue, &lane("echo"), &[&format!("n-{owner}")]).await;
        let held = take(&queue, &owner).await;
        assert_eq!(held.owner, owner);
        assert_eq!(
            holder(&queue, held.claim.lease.turn).await.1.as_deref(),
            Some(owner.as_str())
        );
    }
}
