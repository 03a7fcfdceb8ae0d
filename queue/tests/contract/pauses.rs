//! Channels whose turns are not claimed for a while.

use jiff::Timestamp;
use pretty_assertions::assert_eq;
use reveille_queue::{Pause, Queue};

use crate::support::{Factory, accept, after, claim, done, drain, hostile_texts, lane, line, subject};

fn pause(code: &str, since: Timestamp, until: Option<Timestamp>) -> Pause {
    Pause {
        code: code.into(),
        reason: format!("because of {code}"),
        since,
        until,
    }
}

pub(crate) async fn a_paused_channel_gives_nothing<F: Factory>(storage: &F) {
    let mut queue = storage.open();
    let (echo, aside, other) = (lane("echo"), subject("echo", "aside"), lane("other"));
    for (lane, note) in [(&echo, "n1"), (&aside, "n2"), (&other, "n3")] {
        accept(&queue, lane, &[note]).await;
    }
    let stop = pause("authentication", storage.clock().now(), None);
    queue.pause(&echo.channel, stop.clone()).await.unwrap();
    for restart in [false, true] {
        if restart {
            drop(queue);
            storage.clock().shift(1_000_000);
            queue = storage.open();
            queue.recover().await.unwrap();
        }
        assert_eq!(queue.pauses().await.unwrap(), [(echo.channel.clone(), stop.clone())]);
        assert_eq!(queue.claim(&echo).await.unwrap(), None);
        assert_eq!(queue.claim(&aside).await.unwrap(), None);
        // The line goes on: it takes messages, and shows what waits.
        accept(&queue, &echo, &["n4"]).await;
        assert_eq!(line(&queue, &echo.channel).await, ["n1", "n2", "n4"]);
        assert_eq!(
            queue.lanes().await.unwrap(),
            [echo.clone(), aside.clone(), other.clone()]
        );
    }
    assert_eq!(drain(&queue, &other).await, ["n3"]);
    assert!(queue.resume(&echo.channel, &[]).await.unwrap());
    assert_eq!(drain(&queue, &echo).await, ["n1", "n4"]);
    assert_eq!(drain(&queue, &aside).await, ["n2"]);
}

pub(crate) async fn a_peek_sees_what_a_claim_would_give_and_takes_nothing<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    assert_eq!(queue.peek(&echo).await.unwrap(), None);
    let turns = accept(&queue, &echo, &["n1", "n2"]).await;
    let seen = queue.peek(&echo).await.unwrap().unwrap();
    assert_eq!(queue.peek(&echo).await.unwrap().as_ref(), Some(&seen));
    // It is nobody's claim.
    let refused = queue.settle(seen.lease, done(), Vec::new()).await;
    assert!(
        matches!(refused, Err(reveille_queue::LeaseError::Stale { .. })),
        "{refused:?}"
    );
    let given = claim(&queue, &echo).await;
    assert_eq!(
        (&seen.message, seen.conversation.id),
        (&given.message, given.conversation.id)
    );
    assert_eq!(
        (seen.lease.turn, seen.lease.epoch + 1),
        (given.lease.turn, given.lease.epoch)
    );
    // Nothing while a turn of the conversation runs, is held, or its channel waits.
    assert_eq!(queue.peek(&echo).await.unwrap(), None);
    queue.settle(given.lease, done(), Vec::new()).await.unwrap();
    queue.hold(turns[1], true).await.unwrap();
    assert_eq!(queue.peek(&echo).await.unwrap(), None);
    queue.hold(turns[1], false).await.unwrap();
    assert!(queue.peek(&echo).await.unwrap().is_some());
    let stop = pause("person", storage.clock().now(), None);
    queue.pause(&echo.channel, stop).await.unwrap();
    assert_eq!(queue.peek(&echo).await.unwrap(), None);
}

pub(crate) async fn a_pause_leaves_the_running_turn_alone<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    accept(&queue, &echo, &["n1", "n2"]).await;
    let claim = claim(&queue, &echo).await;
    let stop = pause("person", storage.clock().now(), None);
    queue.pause(&echo.channel, stop).await.unwrap();
    queue.heartbeat(claim.lease).await.unwrap();
    queue.begin(claim.lease, uuid::Uuid::from_u128(1)).await.unwrap();
    queue.settle(claim.lease, done(), Vec::new()).await.unwrap();
    assert_eq!(queue.claim(&echo).await.unwrap(), None);
}

pub(crate) async fn a_pause_ends_at_its_time<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    accept(&queue, &echo, &["n1"]).await;
    let now = storage.clock().now();
    for past in [-1, 0] {
        let over = pause("budget", now, Some(after(now, past)));
        queue.pause(&echo.channel, over).await.unwrap();
        assert_eq!(queue.pauses().await.unwrap(), []);
        let claim = claim(&queue, &echo).await;
        queue
            .release(claim.lease, reveille_queue::Spend::default())
            .await
            .unwrap();
    }
    let until = pause("budget", now, Some(after(now, 10)));
    queue.pause(&echo.channel, until.clone()).await.unwrap();
    storage.clock().shift(9);
    assert_eq!(queue.pauses().await.unwrap(), [(echo.channel.clone(), until.clone())]);
    assert_eq!(queue.claim(&echo).await.unwrap(), None);
    storage.clock().shift(1);
    assert_eq!(queue.pauses().await.unwrap(), []);
    assert_eq!(drain(&queue, &echo).await, ["n1"]);
    // It ended by itself: nobody ends it.
    assert!(!queue.resume(&echo.channel, &[]).await.unwrap());
}

pub(crate) async fn a_later_pause_replaces_the_earlier<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let now = storage.clock().now();
    queue
        .pause(&echo.channel, pause("budget", now, Some(after(now, 10))))
        .await
        .unwrap();
    let forever = pause("person", after(now, 1), None);
    queue.pause(&echo.channel, forever.clone()).await.unwrap();
    assert_eq!(queue.pauses().await.unwrap(), [(echo.channel.clone(), forever)]);
    let short = pause("budget", after(now, 2), Some(after(now, 3)));
    queue.pause(&echo.channel, short.clone()).await.unwrap();
    assert_eq!(queue.pauses().await.unwrap(), [(echo.channel.clone(), short)]);
}

pub(crate) async fn a_pause_is_ended_by_its_code<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (echo, other) = (lane("echo"), lane("other"));
    assert!(!queue.resume(&echo.channel, &[]).await.unwrap());
    let now = storage.clock().now();
    for channel in [&echo.channel, &other.channel] {
        queue.pause(channel, pause("person", now, None)).await.unwrap();
    }
    for codes in [&["budget"][..], &["", "PERSON", "person ", "per%"]] {
        assert!(!queue.resume(&echo.channel, codes).await.unwrap(), "{codes:?}");
    }
    assert_eq!(queue.pauses().await.unwrap().len(), 2);
    assert!(queue.resume(&echo.channel, &["budget", "person"]).await.unwrap());
    assert!(!queue.resume(&echo.channel, &["budget", "person"]).await.unwrap());
    assert_eq!(
        queue.pauses().await.unwrap(),
        [(other.channel, pause("person", now, None))]
    );
}

pub(crate) async fn hostile_reasons_come_back_unchanged<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    for text in hostile_texts() {
        let stop = Pause {
            reason: text.clone(),
            ..pause(&text, storage.clock().now(), None)
        };
        queue.pause(&echo.channel, stop.clone()).await.unwrap();
        assert_eq!(queue.pauses().await.unwrap(), [(echo.channel.clone(), stop)]);
        assert!(queue.resume(&echo.channel, &[&text]).await.unwrap(), "{text:?}");
    }
}
