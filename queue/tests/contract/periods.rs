//! What ended in a span of time, and what is open.

use std::time::Duration;

use jiff::Timestamp;
use pretty_assertions::assert_eq;
use reveille_queue::{Load, MessageMode, Period, Queue, Settlement, Spend, Spread, State, Tally};
use serde_json::json;

use crate::support::{Factory, accept, accept_as, after, cancelled, claim, claimed, done, effect, lane};

fn ends(state: State, nano_usd: u64) -> Settlement {
    let spend = Spend {
        input_tokens: 3,
        output_tokens: 5,
        cache_read_tokens: 1000,
        cache_write_tokens: 1000,
        nano_usd,
    };
    Settlement { state, spend, ..done() }
}

/// Milliseconds of half, and of nineteen of twenty.
fn spread(p50: u64, p95: u64) -> Option<Spread> {
    Some(Spread {
        p50: Duration::from_secs(p50),
        p95: Duration::from_secs(p95),
    })
}

async fn all(queue: &impl Queue) -> Period {
    queue.period(Timestamp::UNIX_EPOCH, Timestamp::MAX, None).await.unwrap()
}

pub(crate) async fn a_span_tells_how_turns_ended_by_channel<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (echo, other) = (lane("echo"), lane("other"));
    assert_eq!(all(&queue).await, Period::default());
    for (note, lane, state, cost) in [
        ("n1", &echo, State::Ok, 1),
        ("n2", &echo, State::Error, 10),
        ("n3", &other, State::Cancelled, 100),
        ("n4", &echo, State::Interrupted, 1000),
        ("n5", &echo, State::Ok, 10_000),
    ] {
        let lease = claimed(&queue, lane, note).await;
        queue.settle(lease, ends(state, cost), Vec::new()).await.unwrap();
    }
    // What still runs or waits has not ended.
    claimed(&queue, &echo, "n6").await;
    accept(&queue, &echo, &["n7"]).await;
    let of_echo = Tally {
        ok: 2,
        error: 1,
        interrupted: 1,
        input_tokens: 12,
        output_tokens: 20,
        nano_usd: 11_011,
        ..Tally::default()
    };
    let of_other = Tally {
        cancelled: 1,
        input_tokens: 3,
        output_tokens: 5,
        nano_usd: 100,
        ..Tally::default()
    };
    assert_eq!((of_echo.turns(), of_echo.failures()), (4, 2));
    let expected = [(echo.channel.clone(), of_echo), (other.channel.clone(), of_other)];
    assert_eq!(all(&queue).await.channels, expected);
    drop(queue);
    let queue = storage.open();
    assert_eq!(all(&queue).await.channels, expected);
    let one = queue
        .period(Timestamp::UNIX_EPOCH, Timestamp::MAX, Some(&other.channel))
        .await;
    assert_eq!(one.unwrap().channels, expected[1..]);
}

pub(crate) async fn a_span_has_its_beginning_and_not_its_end<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let begin = storage.clock().now();
    for note in ["n1", "n2", "n3"] {
        let lease = claimed(&queue, &echo, note).await;
        queue.settle(lease, ends(State::Ok, 1), Vec::new()).await.unwrap();
        storage.clock().shift(10);
    }
    let turns = async |from: i64, until: i64| {
        let period = queue
            .period(after(begin, from), after(begin, until), None)
            .await
            .unwrap();
        period.channels.first().map_or(0, |(_, tally)| tally.turns())
    };
    for (from, until, expected) in [
        (0, 10, 1),
        (0, 11, 2),
        (1, 20, 1),
        (10, 20, 1),
        (20, 21, 1),
        (21, 99, 0),
        (9, 0, 0),
    ] {
        assert_eq!(turns(from, until).await, expected, "{from} to {until}");
    }
}

pub(crate) async fn times_are_told_by_rank<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    // The first waits 1 s and runs 100 s, the second 2 s and 99 s, …
    for wait in 1..=100_i64 {
        accept(&queue, &echo, &[&format!("n{wait}")]).await;
        storage.clock().shift(wait);
        let lease = claim(&queue, &echo).await.lease;
        storage.clock().shift(101 - wait);
        queue.settle(lease, done(), Vec::new()).await.unwrap();
    }
    let period = all(&queue).await;
    assert_eq!((period.wait, period.duration), (spread(50, 95), spread(50, 95)));
    // A clock that was put back makes no time that is less than nothing.
    let begin = storage.clock().shift(1000);
    let lease = claimed(&queue, &echo, "last").await;
    storage.clock().shift(-5);
    queue.settle(lease, done(), Vec::new()).await.unwrap();
    let last = queue.period(after(begin, -5), Timestamp::MAX, None).await.unwrap();
    assert_eq!((last.wait, last.duration), (spread(0, 0), spread(0, 0)));
}

pub(crate) async fn what_was_no_turn_of_its_own_is_left_out<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let withdrawn = accept(&queue, &echo, &["n1"]).await[0];
    queue.cancel(withdrawn, cancelled(), Vec::new()).await.unwrap();
    assert_eq!(all(&queue).await, Period::default());
    accept_as(&queue, &echo, MessageMode::Collect, &["c1", "c2", "c3"]).await;
    let shared = claim(&queue, &echo).await;
    assert_eq!(shared.joined.len(), 2);
    queue
        .settle(shared.lease, ends(State::Ok, 7), Vec::new())
        .await
        .unwrap();
    // One that was begun and went back in line before a person ended it took money.
    let begun = claimed(&queue, &echo, "n2").await;
    queue.release(begun, ends(State::Ok, 5).spend).await.unwrap();
    queue.cancel(begun.turn, cancelled(), Vec::new()).await.unwrap();
    let (_, tally) = all(&queue).await.channels[0].clone();
    assert_eq!(
        (tally.ok, tally.cancelled, tally.turns(), tally.nano_usd),
        (1, 1, 2, 12)
    );
}

pub(crate) async fn what_is_open_is_told_with_its_age<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (echo, other) = (lane("echo"), lane("other"));
    assert_eq!(queue.load().await.unwrap(), Load::default());
    let first = storage.clock().now();
    accept(&queue, &echo, &["n1", "n2"]).await;
    let second = storage.clock().shift(10);
    accept(&queue, &other, &["n3"]).await;
    let load = async || queue.load().await.unwrap();
    assert_eq!(load().await.oldest_waiting, Some(first));
    let lease = claim(&queue, &echo).await.lease;
    let ended = storage.clock().shift(10);
    let effects = ["a", "b"].map(|target| effect(target, json!(1))).to_vec();
    queue.settle(lease, done(), effects.clone()).await.unwrap();
    let lease = claim(&queue, &echo).await.lease;
    assert_eq!(load().await.oldest_waiting, Some(second));
    storage.clock().shift(10);
    queue.settle(lease, done(), effects).await.unwrap();
    let now = load().await;
    assert_eq!((now.effects, now.oldest_effect), (4, Some(ended)));
    let first = queue.outbox(2).await.unwrap().into_iter().map(|effect| effect.id);
    queue.delivered(first.collect()).await.unwrap();
    let now = load().await;
    assert_eq!((now.effects, now.oldest_effect), (2, Some(after(ended, 10))));
}
