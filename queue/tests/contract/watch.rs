//! The hint to look again.

use std::time::Duration;

use pretty_assertions::assert_eq;
use reveille_queue::{Binding, FeedCursor, Lease, Pause, Position, Queue, Spend};
use serde_json::json;
use tokio::sync::watch::Receiver;
use tokio::time::timeout;
use uuid::Uuid;

use crate::support::{Factory, LEASE, accept, after, cancelled, claim, done, effect, lane, message};

/// Waits for a change, and not for ever.
async fn woken(watcher: &mut Receiver<u64>, by: &str) {
    let change = timeout(Duration::from_secs(10), watcher.changed()).await;
    change.unwrap_or_else(|_| panic!("{by} woke nobody")).unwrap();
    watcher.mark_unchanged();
}

pub(crate) async fn writes_that_make_work_wake<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let mut watcher = queue.watch();
    watcher.mark_unchanged();

    accept(&queue, &echo, &["n1", "n2"]).await;
    woken(&mut watcher, "accept").await;

    let lease = claim(&queue, &echo).await.lease;
    watcher.mark_unchanged();
    queue.release(lease, Spend::default()).await.unwrap();
    woken(&mut watcher, "release").await;

    let lease = claim(&queue, &echo).await.lease;
    queue.begin(lease, Uuid::from_u128(1)).await.unwrap();
    watcher.mark_unchanged();
    queue.recover().await.unwrap();
    woken(&mut watcher, "recover").await;

    claim(&queue, &echo).await;
    watcher.mark_unchanged();
    let seconds = i64::try_from(LEASE.as_secs()).unwrap();
    queue.expire(after(storage.clock().now(), seconds + 1)).await.unwrap();
    woken(&mut watcher, "expire").await;

    queue.take(&echo.channel, "anna", LEASE).await.unwrap().unwrap();
    watcher.mark_unchanged();
    queue.lapse(after(storage.clock().now(), seconds + 1)).await.unwrap();
    woken(&mut watcher, "lapse").await;

    let lease = claim(&queue, &echo).await.lease;
    watcher.mark_unchanged();
    queue
        .settle(lease, done(), vec![effect("home", json!(1))])
        .await
        .unwrap();
    woken(&mut watcher, "settle").await;

    queue.retry(None).await.unwrap();
    woken(&mut watcher, "retry").await;
}

pub(crate) async fn a_persons_hand_wakes<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let turns = accept(&queue, &echo, &["n1", "n2"]).await;
    let binding = |channel: &str| Binding {
        vault: "home".into(),
        note: "d1".into(),
        channel: channel.parse().unwrap(),
    };
    queue.bind(vec![binding("echo")]).await.unwrap();
    let pause = Pause {
        code: "person".into(),
        reason: String::new(),
        since: storage.clock().now(),
        until: None,
    };
    queue.pause(&echo.channel, pause).await.unwrap();
    queue.hold(turns[0], true).await.unwrap();
    let mut watcher = queue.watch();
    watcher.mark_unchanged();

    queue.hold(turns[0], false).await.unwrap();
    woken(&mut watcher, "a turn that was let go").await;
    queue.reposition(turns[1], Position::First).await.unwrap();
    woken(&mut watcher, "a move").await;
    let effects = vec![effect("home", json!(1))];
    queue.cancel(turns[1], cancelled(), effects).await.unwrap();
    woken(&mut watcher, "a cancel, for its effects").await;
    assert!(queue.resume(&echo.channel, &[]).await.unwrap());
    woken(&mut watcher, "the end of a pause").await;
    assert_eq!(queue.bind(vec![binding("new")]).await.unwrap().len(), 1);
    woken(&mut watcher, "a line under a new name").await;
}

pub(crate) async fn every_watcher_wakes<F: Factory>(storage: &F) {
    let queue = storage.open();
    let mut watchers = [queue.watch(), queue.watch()];
    for watcher in &mut watchers {
        watcher.mark_unchanged();
    }
    accept(&queue, &lane("echo"), &["n1"]).await;
    for watcher in &mut watchers {
        woken(watcher, "accept").await;
    }
    accept(&queue, &lane("echo"), &["n2"]).await;
    for watcher in &mut watchers {
        woken(watcher, "a second accept").await;
    }
}

/// Whoever looks for work on every change, and finds none, is not woken by the look.
pub(crate) async fn looking_for_work_wakes_nobody<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    accept(&queue, &echo, &["n1", "n2"]).await;
    let watcher = queue.watch();
    let before = *watcher.borrow();
    let claim = claim(&queue, &echo).await;
    assert_eq!(queue.claim(&echo).await.unwrap(), None);
    queue.heartbeat(claim.lease).await.unwrap();
    queue.begin(claim.lease, Uuid::from_u128(1)).await.unwrap();
    queue.unbegin(claim.lease).await.unwrap();
    queue.expire(storage.clock().now()).await.unwrap();
    let known = vec![message(&echo, "n1")];
    queue
        .accept(
            known,
            Some(FeedCursor {
                feed: "home".into(),
                at: 3,
            }),
        )
        .await
        .unwrap();
    let binding = Binding {
        vault: "home".into(),
        note: "d1".into(),
        channel: echo.channel.clone(),
    };
    queue.bind(vec![binding]).await.unwrap();
    queue.unbind("home", "d1").await.unwrap();
    assert!(!queue.resume(&echo.channel, &[]).await.unwrap());
    assert_eq!(queue.reset(&lane("nobody").channel, None).await.unwrap(), 0);
    let nobody = Uuid::from_u128(404);
    queue.cancel(nobody, cancelled(), Vec::new()).await.unwrap_err();
    queue.hold(nobody, false).await.unwrap_err();
    queue.reposition(claim.lease.turn, Position::First).await.unwrap_err();
    queue.edit(nobody, json!(1)).await.unwrap_err();
    queue.delivered(vec![404]).await.unwrap();
    queue.undelivered(404, "late", None).await.unwrap();
    queue.retry(None).await.unwrap();
    let stale = Lease {
        epoch: 404,
        ..claim.lease
    };
    queue.settle(stale, done(), Vec::new()).await.unwrap_err();
    queue.release(stale, Spend::default()).await.unwrap_err();
    assert_eq!(*watcher.borrow(), before);
}
