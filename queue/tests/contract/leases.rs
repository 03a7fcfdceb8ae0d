//! Claims, and who may still write.

use pretty_assertions::assert_eq;
use reveille_queue::{
    ChainTotals, Claim, Conversation, DayTotals, Lease, LeaseError, Queue, Recovery, SessionUpdate, Settlement, Spend,
    State,
};
use serde_json::json;
use uuid::Uuid;

use crate::support::{Factory, LEASE, accept, after, claim, claimed, done, effect, lane, message};

fn lease_seconds() -> i64 {
    i64::try_from(LEASE.as_secs()).unwrap()
}

/// Every write under a lease is refused, each with the turn's name.
async fn assert_stale(queue: &impl Queue, lease: Lease) {
    let stale = Err(LeaseError::Stale { turn: lease.turn });
    let settlement = Settlement {
        state: State::Error,
        record: json!("from the past"),
        session: SessionUpdate::Set(Uuid::from_u128(66), "/stale".into()),
        spend: Spend {
            nano_usd: 66,
            ..Spend::default()
        },
    };
    assert_eq!(queue.heartbeat(lease).await, stale, "heartbeat");
    assert_eq!(queue.begin(lease, Uuid::from_u128(66)).await, stale, "begin");
    assert_eq!(queue.unbegin(lease).await, stale, "unbegin");
    assert_eq!(queue.release(lease, Spend::default()).await, stale, "release");
    let settled = queue.settle(lease, settlement, vec![effect("stale", json!(66))]).await;
    assert_eq!(settled, stale, "settle");
}

pub(crate) async fn a_claim_tells_everything<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let accepted_at = storage.clock().now();
    let turn = accept(&queue, &echo, &["n1"]).await[0];
    let claimed_at = storage.clock().shift(5);
    let claim = claim(&queue, &echo).await;
    let id = queue.conversations(&echo.channel).await.unwrap()[0].id;
    let expected = Claim {
        lease: Lease {
            turn,
            epoch: claim.lease.epoch,
        },
        message: message(&echo, "n1"),
        conversation: Conversation {
            id,
            lane: echo,
            session: None,
            turns: 0,
            started_at: Some(claimed_at),
            spend: Spend::default(),
        },
        interruptions: 0,
        begun_session: None,
        accepted_at,
        spent: Spend::default(),
        joined: Vec::new(),
        chain: ChainTotals {
            messages: 1,
            ..ChainTotals::default()
        },
        today: DayTotals::default(),
    };
    assert_eq!(claim, expected);
    let stored = queue.turn(turn).await.unwrap().unwrap();
    assert_eq!((stored.state, stored.claimed_at), (State::Working, Some(claimed_at)));
}

pub(crate) async fn a_second_claim_fences_the_first<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let old = claimed(&queue, &echo, "n1").await;
    let past = after(storage.clock().now(), lease_seconds() + 1);
    queue.expire(past).await.unwrap();
    let new = claim(&queue, &echo).await.lease;
    assert_eq!(new.turn, old.turn);
    assert!(new.epoch > old.epoch, "{new:?} after {old:?}");
    assert_stale(&queue, old).await;
    queue.heartbeat(new).await.unwrap();
    queue.begin(new, Uuid::from_u128(1)).await.unwrap();
    queue.settle(new, done(), Vec::new()).await.unwrap();
}

pub(crate) async fn a_released_lease_is_stale<F: Factory>(storage: &F) {
    let queue = storage.open();
    let lease = claimed(&queue, &lane("echo"), "n1").await;
    queue.release(lease, Spend::default()).await.unwrap();
    assert_stale(&queue, lease).await;
}

pub(crate) async fn a_settled_lease_is_stale<F: Factory>(storage: &F) {
    let queue = storage.open();
    let lease = claimed(&queue, &lane("echo"), "n1").await;
    queue.settle(lease, done(), Vec::new()).await.unwrap();
    assert_stale(&queue, lease).await;
}

pub(crate) async fn a_lease_that_was_never_given_is_stale<F: Factory>(storage: &F) {
    let queue = storage.open();
    let lease = claimed(&queue, &lane("echo"), "n1").await;
    let waiting = accept(&queue, &lane("echo"), &["n2"]).await[0];
    let unknown = Uuid::from_u128(404);
    for turn in [unknown, waiting] {
        for epoch in [0, 1, lease.epoch, u64::MAX] {
            assert_stale(&queue, Lease { turn, epoch }).await;
        }
    }
    for epoch in [lease.epoch + 1, u64::MAX] {
        assert_stale(&queue, Lease { epoch, ..lease }).await;
    }
    queue.heartbeat(lease).await.unwrap();
}

pub(crate) async fn a_stale_write_changes_nothing<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let old = claimed(&queue, &echo, "n1").await;
    queue.begin(old, Uuid::from_u128(1)).await.unwrap();
    queue.release(old, Spend::default()).await.unwrap();
    let new = claim(&queue, &echo).await;
    let look = async || {
        (
            queue.open_turns(&echo.channel, 10_000).await.unwrap(),
            queue.settled(&echo.channel, 9).await.unwrap(),
            queue.conversations(&echo.channel).await.unwrap(),
            queue.outbox(9).await.unwrap(),
        )
    };
    let before = look().await;
    storage.clock().shift(5);
    assert_stale(&queue, old).await;
    assert_eq!(look().await, before);

    queue.release(new.lease, Spend::default()).await.unwrap();
    let third = claim(&queue, &echo).await;
    assert_eq!(third.begun_session, Some(Uuid::from_u128(1)));
    assert_eq!(third.interruptions, 1);
    queue
        .settle(third.lease, done(), vec![effect("t", json!(1))])
        .await
        .unwrap();
    let before = look().await;
    storage.clock().shift(5);
    for lease in [old, new.lease, third.lease] {
        assert_stale(&queue, lease).await;
    }
    assert_eq!(look().await, before);
}

pub(crate) async fn a_lease_ends_without_heartbeats<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let start = storage.clock().now();
    let lease = claimed(&queue, &echo, "n1").await;
    let early = queue.expire(after(start, lease_seconds() - 1)).await.unwrap();
    assert_eq!(early, Recovery::default());
    queue.heartbeat(lease).await.unwrap();
    let late = queue.expire(after(start, lease_seconds() + 1)).await.unwrap();
    let requeued = Recovery {
        requeued: 1,
        interrupted: 0,
    };
    assert_eq!(late, requeued);
    assert_stale(&queue, lease).await;
    assert_eq!(claim(&queue, &echo).await.lease.turn, lease.turn);
}

pub(crate) async fn a_heartbeat_holds_the_claim<F: Factory>(storage: &F) {
    let queue = storage.open();
    let lease = claimed(&queue, &lane("echo"), "n1").await;
    for _ in 0..5 {
        let now = storage.clock().shift(lease_seconds() - 1);
        assert_eq!(queue.expire(now).await.unwrap(), Recovery::default());
        queue.heartbeat(lease).await.unwrap();
    }
    queue.settle(lease, done(), Vec::new()).await.unwrap();
}

pub(crate) async fn epochs_grow_over_restarts<F: Factory>(storage: &F) {
    let mut queue = storage.open();
    let echo = lane("echo");
    let mut last = claimed(&queue, &echo, "n1").await;
    for _ in 0..3 {
        drop(queue);
        queue = storage.open();
        assert_eq!(
            queue.claim(&echo).await.unwrap(),
            None,
            "the claim survives until it is recovered"
        );
        queue.recover().await.unwrap();
        assert_stale(&queue, last).await;
        let next = claim(&queue, &echo).await.lease;
        assert!(next.epoch > last.epoch, "{next:?} after {last:?}");
        assert_stale(&queue, last).await;
        last = next;
    }
    queue.settle(last, done(), Vec::new()).await.unwrap();
}
