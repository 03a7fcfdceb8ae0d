//! Effects, until they are delivered.

use pretty_assertions::assert_eq;
use reveille_queue::{Effect, EffectState, Overdue, Queue};
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
    bodies(queue.due(storage.clock().now(), 1000, &[]).await.unwrap())
}

pub(crate) async fn an_effect_starts_pending_and_due<F: Factory>(storage: &F) {
    let queue = storage.open();
    assert_eq!(queue.next_due(&[]).await.unwrap(), None);
    assert_eq!(queue.outbox(9).await.unwrap(), []);
    let now = storage.clock().now();
    let written = write(&queue, "n1", &[("home", "a")]).await;
    assert_eq!(queue.next_due(&[]).await.unwrap(), Some(now));
    assert_eq!(queue.due(now, 9, &[]).await.unwrap(), written);
    assert_eq!(queue.due(after(now, -1), 9, &[]).await.unwrap(), []);
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
    assert_eq!(
        bodies(queue.due(now, 2, &[]).await.unwrap()),
        ["1", "2"].map(Value::from)
    );
    assert_eq!(bodies(queue.outbox(1).await.unwrap()), [json!("1")]);
    assert_eq!(queue.due(now, 0, &[]).await.unwrap(), []);
    assert_eq!(queue.due(now, u32::MAX, &[]).await.unwrap().len(), 3);
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
    assert_eq!(queue.next_due(&[]).await.unwrap(), Some(now));
    queue.delivered(vec![written[2].id]).await.unwrap();
    assert_eq!(queue.next_due(&[]).await.unwrap(), Some(after(now, 60)));
    queue
        .undelivered(written[1].id, "down", Some(after(now, 30)))
        .await
        .unwrap();
    assert_eq!(queue.next_due(&[]).await.unwrap(), Some(after(now, 60)));
    queue
        .undelivered(written[1].id, "down", Some(after(now, 90)))
        .await
        .unwrap();
    assert_eq!(queue.next_due(&[]).await.unwrap(), Some(after(now, 60)));
    queue.delivered(vec![written[0].id]).await.unwrap();
    assert_eq!(queue.next_due(&[]).await.unwrap(), Some(after(now, 90)));
    queue.delivered(vec![written[1].id]).await.unwrap();
    assert_eq!(queue.next_due(&[]).await.unwrap(), None);
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
    assert_eq!(queue.due(far, 9, &[]).await.unwrap(), []);
    assert_eq!(queue.next_due(&[]).await.unwrap(), None);
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
    assert_eq!(queue.next_due(&[]).await.unwrap(), None);
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

pub(crate) async fn a_turn_with_nothing_left_is_named_once<F: Factory>(storage: &F) {
    let queue = storage.open();
    let one = write(&queue, "n1", &[("a", "1"), ("a", "2")]).await;
    let two = write(&queue, "n2", &[("a", "3")]).await;
    let (first, second) = (one[0].turn, two[0].turn);
    assert_eq!(queue.left(first).await.unwrap(), 2);
    queue.undelivered(one[1].id, "refused", None).await.unwrap();
    assert_eq!(queue.delivered(vec![one[0].id, two[0].id]).await.unwrap(), [second]);
    assert_eq!(queue.left(first).await.unwrap(), 1);
    assert_eq!(queue.delivered(vec![one[1].id, two[0].id]).await.unwrap(), [first]);
    let again = queue.delivered(vec![one[1].id, two[0].id]).await.unwrap();
    assert_eq!(again, [] as [uuid::Uuid; 0]);
    assert_eq!(queue.left(first).await.unwrap(), 0);
}

pub(crate) async fn a_group_is_held_back_as_a_whole<F: Factory>(storage: &F) {
    let queue = storage.open();
    let now = storage.clock().now();
    let written = write(
        &queue,
        "n1",
        &[
            ("up/x", "1"),
            ("down/x", "2"),
            ("down/y/z", "3"),
            ("down", "4"),
            ("downtown/x", "5"),
        ],
    )
    .await;
    let held = ["down".to_owned(), "it's \"away\"".to_owned()];
    let free = ["1", "4", "5"].map(Value::from);
    assert_eq!(bodies(queue.due(now, 9, &held).await.unwrap()), free);
    assert_eq!(bodies(queue.due(now, 1, &held[..]).await.unwrap()), free[..1]);
    for one in [0, 3, 4] {
        queue.delivered(vec![written[one].id]).await.unwrap();
    }
    assert_eq!(queue.due(now, 9, &held).await.unwrap(), []);
    assert_eq!(queue.next_due(&held).await.unwrap(), None);
    assert_eq!(
        bodies(queue.due(now, 9, &[]).await.unwrap()),
        ["2", "3"].map(Value::from)
    );
    assert_eq!(queue.next_due(&[]).await.unwrap(), Some(now));
}

pub(crate) async fn what_is_overdue_is_listed_page_by_page<F: Factory>(storage: &F) {
    let queue = storage.open();
    let now = storage.clock().now();
    let one = write(&queue, "n1", &[("up/x", "1"), ("up/x", "2"), ("up/y", "3")]).await;
    storage.clock().shift(5);
    let two = write(&queue, "n2", &[("up/x", "4"), ("up/z", "5"), ("down/x", "6")]).await;
    let held = ["down".to_owned()];
    assert_eq!(queue.overdue(&[], 0, 9).await.unwrap(), []);
    queue
        .undelivered(one[1].id, "busy", Some(after(now, 60)))
        .await
        .unwrap();
    queue.undelivered(one[2].id, "refused", None).await.unwrap();
    let expected = [(&one[1], false), (&one[2], false), (&two[0], true), (&two[2], false)];
    let overdue = queue.overdue(&held, 0, 9).await.unwrap();
    let shown: Vec<_> = overdue.iter().map(|late| (late.effect.id, late.behind)).collect();
    assert_eq!(shown, expected.map(|(effect, behind)| (effect.id, behind)));
    assert_eq!(queue.count_overdue(&held).await.unwrap(), 4);
    let page = queue.overdue(&held, one[1].id, 2).await.unwrap();
    assert_eq!(page, overdue[1..3]);
    let expected = Overdue {
        effect: Effect {
            attempts: 1,
            due_at: after(now, 60),
            last_error: Some("busy".into()),
            ..one[1].clone()
        },
        channel: lane("echo").channel,
        since: now,
        behind: false,
    };
    assert_eq!(overdue[0], expected);
    assert_eq!(queue.overdue(&held, u64::MAX, 9).await.unwrap(), []);
}

pub(crate) async fn a_retry_makes_due_what_waits_or_is_parked<F: Factory>(storage: &F) {
    let queue = storage.open();
    let now = storage.clock().now();
    let one = write(&queue, "n1", &[("a", "1"), ("b", "2")]).await;
    let two = write(&queue, "n2", &[("c", "3"), ("d", "4")]).await;
    for (effect, due_at) in [
        (&one[0], None),
        (&one[1], Some(after(now, 60))),
        (&two[0], None),
        (&two[1], Some(after(now, 60))),
    ] {
        queue.undelivered(effect.id, "down", due_at).await.unwrap();
    }
    assert_eq!(due(&queue, storage).await, [] as [Value; 0]);
    assert_eq!(queue.retry(Some(one[0].turn)).await.unwrap(), 2);
    assert_eq!(due(&queue, storage).await, ["1", "2"].map(Value::from));
    assert_eq!(queue.retry(None).await.unwrap(), 4);
    assert_eq!(due(&queue, storage).await, ["1", "2", "3", "4"].map(Value::from));
    // What was tried before is still known.
    assert!(queue.outbox(9).await.unwrap().iter().all(|effect| effect.attempts == 1));
    assert_eq!(queue.retry(Some(uuid::Uuid::from_u128(404))).await.unwrap(), 0);
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
