//! What was said long ago goes, and that it was said stays.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use pretty_assertions::assert_eq;
use reveille_queue::{Forget, Forgotten, Queue, Settlement};
use serde_json::{Value, json};

use crate::support::{Factory, accept, after, claim, done, effect, lane, message};

const HOUR: i64 = 3600;

fn words(body: &mut Value, record: &mut Value) -> bool {
    let is_there = body != "gone";
    *body = "gone".into();
    *record = json!({ "had": record.take() });
    is_there
}

/// Runs a turn to its end.
async fn ended(queue: &impl Queue, note: &str) {
    accept(queue, &lane("echo"), &[note]).await;
    let lease = claim(queue, &lane("echo")).await.lease;
    let settlement = Settlement {
        record: json!(note),
        ..done()
    };
    queue.settle(lease, settlement, Vec::new()).await.unwrap();
}

async fn body(queue: &impl Queue, note: &str) -> Value {
    queue.turn_of("home", note).await.unwrap().unwrap().message.body
}

async fn all(queue: &impl Queue, before: Timestamp, forget: Forget) -> u64 {
    let (mut after, mut turns) = (None, 0);
    loop {
        let some = queue.forget(before, after, 2, forget).await.unwrap();
        turns += some.turns;
        after = some.next;
        if after.is_none() {
            return turns;
        }
    }
}

pub(crate) async fn what_was_said_goes_and_the_rest_stays<F: Factory>(storage: &F) {
    let queue = storage.open();
    ended(&queue, "old").await;
    let before = queue.turn_of("home", "old").await.unwrap().unwrap();
    let border = storage.clock().shift(HOUR);
    ended(&queue, "new").await;
    accept(&queue, &lane("echo"), &["waits"]).await;
    assert_eq!(all(&queue, after(border, -2 * HOUR), words).await, 0);
    assert_eq!(all(&queue, border, words).await, 1);
    assert_eq!(all(&queue, border, words).await, 0, "once");
    drop(queue);

    let queue = storage.open();
    let mut expected = before.clone();
    expected.message.body = "gone".into();
    expected.record = Some(json!({ "had": "old" }));
    assert_eq!(queue.turn_of("home", "old").await.unwrap(), Some(expected));
    assert_ne!(body(&queue, "new").await, "gone");
    assert_ne!(body(&queue, "waits").await, "gone");
    // It is no new message.
    let again = queue.accept(vec![message(&lane("echo"), "old")], None).await.unwrap();
    assert_eq!((again[0].turn, again[0].fresh), (before.id, false));
}

pub(crate) async fn what_is_still_to_be_delivered_is_kept<F: Factory>(storage: &F) {
    let queue = storage.open();
    accept(&queue, &lane("echo"), &["n"]).await;
    let lease = claim(&queue, &lane("echo")).await.lease;
    queue
        .settle(lease, done(), vec![effect("home", "reply".into())])
        .await
        .unwrap();
    let border = storage.clock().shift(HOUR);
    assert_eq!(all(&queue, border, words).await, 0);
    let effects = queue.outbox(9).await.unwrap();
    queue
        .delivered(effects.iter().map(|one| one.id).collect())
        .await
        .unwrap();
    assert_eq!(all(&queue, border, words).await, 1);
}

pub(crate) async fn batches_go_on_and_end<F: Factory>(storage: &F) {
    let queue = storage.open();
    for note in ["1", "2", "3", "4", "5"] {
        ended(&queue, note).await;
    }
    let border = storage.clock().shift(HOUR);
    let first = queue.forget(border, None, 2, words).await.unwrap();
    assert_eq!(first.turns, 2);
    assert!(first.next.is_some());
    let second = queue.forget(border, first.next, 2, words).await.unwrap();
    assert_eq!((second.turns, second.next.is_some()), (2, true));
    let last = Forgotten { turns: 1, next: None };
    assert_eq!(queue.forget(border, second.next, 2, words).await.unwrap(), last);
}

pub(crate) async fn nothing_is_looked_at_twice_but_behind_what_is_open<F: Factory>(storage: &F) {
    static LOOKED: AtomicU64 = AtomicU64::new(0);
    fn count(_: &mut Value, _: &mut Value) -> bool {
        LOOKED.fetch_add(1, Ordering::Relaxed);
        false
    }
    let queue = storage.open();
    for note in ["1", "2"] {
        ended(&queue, note).await;
    }
    accept(&queue, &lane("other"), &["open"]).await;
    for note in ["3", "4", "5"] {
        ended(&queue, note).await;
    }
    let border = storage.clock().shift(HOUR);
    let mut looked = Vec::new();
    for _ in 0..2 {
        all(&queue, border, count).await;
        looked.push(LOOKED.swap(0, Ordering::Relaxed));
    }
    let lease = claim(&queue, &lane("other")).await.lease;
    queue.settle(lease, done(), Vec::new()).await.unwrap();
    let border = storage.clock().shift(HOUR);
    for _ in 0..2 {
        all(&queue, border, count).await;
        looked.push(LOOKED.swap(0, Ordering::Relaxed));
    }
    assert_eq!(looked, [5, 3, 4, 0]);
}
