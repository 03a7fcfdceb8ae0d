//! Effects, until they are delivered.

use pretty_assertions::assert_eq;
use reveille_queue::{Effect, EffectState, Queue};
use serde_json::{Value, json};

use crate::support::{Factory, accept, after, bodies, effect, lane, run};

/// Settles one turn with these effects (target, body) and gives them as stored.
async fn write(queue: &impl Queue, note: &str, effects: &[(&str, &str)]) -> Vec<Effect> {
    let echo = lane("echo");
    accept(queue, &echo, &[note]).await;
    let new = effects
        .iter()
        .map(|(target, body)| effect(target, json!(body)))
        .collect();
    let turn = run(queue, &echo, new).await.lease.turn;
    let outbox = queue.outbox(1000).await.unwrap();
    outbox.into_iter().filter(|effect| effect.turn == turn).collect()
}

async fn due(queue: &impl Queue, storage: &impl Factory) -> Vec<Value> {
    bodies(queue.due(storage.clock().now(), 1000).await.unwrap())
}

pub(crate) async fn an_effect_starts_pending_and_due<F: Factory>(storage: &F) {
    let queue = storage.open();
    assert_eq!(queue.next_due().await.unwrap(), None);
    assert_eq!(queue.outbox(9).await.unwrap(), []);
    let now = storage.clock().now();
    let written = write(&queue, "n1", &[("home", "a")]).await;
    assert_eq!(queue.next_due().await.unwrap(), Some(now));
    assert_eq!(queue.due(now, 9).await.unwrap(), written);
    assert_eq!(queue.due(after(now, -1), 9).await.unwrap(), []);
}

pub(crate) async fn effects_keep_the_order_of_writing<F: Factory>(storage: &F) {
    let queue = storage.open();
    write(&queue, "n1", &[("z", "1"), ("a", "2"), ("z", "3")]).await;
    storage.clock().shift(-100);
    write(&queue, "n2", &[("a", "4"), ("z", "5")]).await;
    storage.clock().shift(100);
    let all = ["1", "2", "3", "4", "5"].map(Value::from);
    assert_eq!(due(&queue, storage).await, all);
    assert_eq!(bodies(queue.outbox(9).await.unwrap()), all);
}

pub(crate) async fn the_limit_takes_the_oldest<F: Factory>(storage: &F) {
    let queue = storage.open();
    write(&queue, "n1", &[("a", "1"), ("b", "2"), ("a", "3")]).await;
    let now = storage.clock().now();
    assert_eq!(bodies(queue.due(now, 2).await.unwrap()), ["1", "2"].map(Value::from));
    assert_eq!(bodies(queue.outbox(1).await.unwrap()), [json!("1")]);
    assert_eq!(queue.due(now, 0).await.unwrap(), []);
    assert_eq!(queue.due(now, u32::MAX).await.unwrap().len(), 3);
}

pub(crate) async fn a_failed_effect_holds_its_target_back<F: Factory>(storage: &F) {
    let queue = storage.open();
    let now = storage.clock().now();
    let written = write(&queue, "n1", &[("a", "1"), ("b", "2"), ("a", "3")]).await;
    write(&queue, "n2", &[("a", "4")]).await;
    queue
        .undelivered(written[0].id, "down", Some(after(now, 60)))
        .await
        .unwrap();
    assert_eq!(due(&queue, storage).await, [json!("2")]);
    storage.clock().shift(59);
    write(&queue, "n3", &[("a", "5"), ("b", "6")]).await;
    assert_eq!(due(&queue, storage).await, ["2", "6"].map(Value::from));
    storage.clock().shift(1);
    assert_eq!(
        due(&queue, storage).await,
        ["1", "2", "3", "4", "5", "6"].map(Value::from)
    );

    queue
        .undelivered(written[2].id, "down", Some(after(now, 120)))
        .await
        .unwrap();
    assert_eq!(due(&queue, storage).await, ["1", "2", "6"].map(Value::from));
    queue.delivered(vec![written[2].id]).await.unwrap();
    assert_eq!(due(&queue, storage).await, ["1", "2", "4", "5", "6"].map(Value::from));
}

/// Whoever sleeps until then finds something, or it would spin.
pub(crate) async fn the_next_due_is_one_that_can_be_delivered<F: Factory>(storage: &F) {
    let queue = storage.open();
    let now = storage.clock().now();
    let written = write(&queue, "n1", &[("a", "1"), ("a", "2"), ("b", "3")]).await;
    queue
        .undelivered(written[0].id, "down", Some(after(now, 60)))
        .await
        .unwrap();
    assert_eq!(queue.next_due().await.unwrap(), Some(now));
    queue.delivered(vec![written[2].id]).await.unwrap();
    assert_eq!(queue.next_due().await.unwrap(), Some(after(now, 60)));
    queue
        .undelivered(written[1].id, "down", Some(after(now, 30)))
        .await
        .unwrap();
    assert_eq!(queue.next_due().await.unwrap(), Some(after(now, 60)));
    queue
        .undelivered(written[1].id, "down", Some(after(now, 90)))
        .await
        .unwrap();
    assert_eq!(queue.next_due().await.unwrap(), Some(after(now, 60)));
    queue.delivered(vec![written[0].id]).await.unwrap();
    assert_eq!(queue.next_due().await.unwrap(), Some(after(now, 90)));
    queue.delivered(vec![written[1].id]).await.unwrap();
    assert_eq!(queue.next_due().await.unwrap(), None);
}

pub(crate) async fn a_failed_try_is_noted<F: Factory>(storage: &F) {
    let queue = storage.open();
    let now = storage.clock().now();
    let written = write(&queue, "n1", &[("a", "1")]).await;
    for attempt in 1..=3 {
        let due_at = after(now, i64::from(attempt) * 10);
        queue
            .undelivered(written[0].id, &format!("no {attempt}"), Some(due_at))
            .await
            .unwrap();
        let expected = Effect {
            attempts: attempt,
            due_at,
            last_error: Some(format!("no {attempt}")),
            ..written[0].clone()
        };
        assert_eq!(queue.outbox(9).await.unwrap(), [expected]);
    }
}

pub(crate) async fn a_parked_effect_is_never_due_and_kept<F: Factory>(storage: &F) {
    let queue = storage.open();
    let written = write(&queue, "n1", &[("a", "1")]).await;
    queue.undelivered(written[0].id, "refused", None).await.unwrap();
    let far = after(storage.clock().now(), 1_000_000_000);
    assert_eq!(queue.due(far, 9).await.unwrap(), []);
    assert_eq!(queue.next_due().await.unwrap(), None);
    let outbox = queue.outbox(9).await.unwrap();
    let expected = Effect {
        state: EffectState::Parked,
        attempts: 1,
        due_at: outbox[0].due_at,
        last_error: Some("refused".into()),
        ..written[0].clone()
    };
    assert_eq!(outbox, [expected]);
    queue.delivered(vec![written[0].id]).await.unwrap();
    assert_eq!(queue.outbox(9).await.unwrap(), []);
}

pub(crate) async fn delivery_is_idempotent<F: Factory>(storage: &F) {
    let queue = storage.open();
    let written = write(&queue, "n1", &[("a", "1"), ("a", "2"), ("b", "3")]).await;
    let taken = vec![written[0].id, written[2].id, written[0].id];
    for _ in 0..2 {
        queue.delivered(taken.clone()).await.unwrap();
        assert_eq!(due(&queue, storage).await, [json!("2")]);
    }
    queue.delivered(vec![written[1].id + 1_000_000]).await.unwrap();
    assert_eq!(bodies(queue.outbox(9).await.unwrap()), [json!("2")]);
    let next = write(&queue, "n2", &[("a", "4")]).await;
    assert!(next[0].id > written[2].id, "numbers are never given twice");
    queue.delivered(taken).await.unwrap();
    assert_eq!(due(&queue, storage).await, ["2", "4"].map(Value::from));
}

pub(crate) async fn a_delivered_effect_cannot_fail<F: Factory>(storage: &F) {
    let queue = storage.open();
    let written = write(&queue, "n1", &[("a", "1")]).await;
    queue.delivered(vec![written[0].id]).await.unwrap();
    let now = storage.clock().now();
    queue.undelivered(written[0].id, "late", Some(now)).await.unwrap();
    queue.undelivered(written[0].id, "late", None).await.unwrap();
    assert_eq!(queue.outbox(9).await.unwrap(), []);
    assert_eq!(queue.next_due().await.unwrap(), None);
}

/// Also when all of it was delivered before: a number that came back would take off somebody else's effect.
pub(crate) async fn the_outbox_survives_a_restart<F: Factory>(storage: &F) {
    let queue = storage.open();
    let written = write(&queue, "n1", &[("a", "1"), ("a", "2"), ("b", "3")]).await;
    queue
        .undelivered(written[0].id, "down", Some(after(storage.clock().now(), 5)))
        .await
        .unwrap();
    queue.undelivered(written[1].id, "refused", None).await.unwrap();
    let before = queue.outbox(9).await.unwrap();
    drop(queue);
    let queue = storage.open();
    assert_eq!(queue.outbox(9).await.unwrap(), before);

    let all: Vec<u64> = before.iter().map(|effect| effect.id).collect();
    queue.delivered(all.clone()).await.unwrap();
    drop(queue);
    let queue = storage.open();
    let next = write(&queue, "n2", &[("a", "4")]).await;
    assert!(all.iter().all(|id| *id < next[0].id), "{next:?} after {all:?}");
}

pub(crate) async fn an_unknown_number_is_no_effect<F: Factory>(storage: &F) {
    let queue = storage.open();
    let written = write(&queue, "n1", &[("a", "1")]).await;
    for unknown in [0, written[0].id + 1, u64::MAX] {
        queue.delivered(vec![unknown]).await.unwrap();
        queue.undelivered(unknown, "late", None).await.unwrap();
    }
    assert_eq!(queue.outbox(9).await.unwrap(), written);
}
