//! Turns whose worker went away: what counts as an interruption.

use pretty_assertions::assert_eq;
use reveille_queue::{Lane, Queue, Recovery, Spend, State};
use uuid::Uuid;

use crate::support::{Factory, LEASE, accept, after, claim, claimed, done, lane, run};

const FIRST: Uuid = Uuid::from_u128(1);
const SECOND: Uuid = Uuid::from_u128(2);

/// Claims, puts back, and says what the claim showed.
async fn glance(queue: &impl Queue, lane: &Lane) -> (u32, Option<Uuid>) {
    let claim = claim(queue, lane).await;
    queue.release(claim.lease, Spend::default()).await.unwrap();
    (claim.interruptions, claim.begun_session)
}

pub(crate) async fn a_turn_that_had_not_begun_is_not_interrupted<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let lease = claimed(&queue, &echo, "n1").await;
    queue.release(lease, Spend::default()).await.unwrap();
    let turn = queue.turn(lease.turn).await.unwrap().unwrap();
    assert_eq!((turn.state, turn.interruptions), (State::Waiting, 0));
    assert_eq!(glance(&queue, &echo).await, (0, None));
}

pub(crate) async fn a_turn_that_had_begun_is_interrupted<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let lease = claimed(&queue, &echo, "n1").await;
    queue.begin(lease, FIRST).await.unwrap();
    queue.release(lease, Spend::default()).await.unwrap();
    let turn = queue.turn(lease.turn).await.unwrap().unwrap();
    assert_eq!((turn.state, turn.interruptions), (State::Waiting, 1));
    assert_eq!(glance(&queue, &echo).await, (1, Some(FIRST)));
}

pub(crate) async fn a_second_cut_before_the_prompt_is_no_interruption<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let lease = claimed(&queue, &echo, "n1").await;
    queue.begin(lease, FIRST).await.unwrap();
    queue.release(lease, Spend::default()).await.unwrap();

    queue
        .release(claim(&queue, &echo).await.lease, Spend::default())
        .await
        .unwrap();
    assert_eq!(glance(&queue, &echo).await, (1, Some(FIRST)));

    claim(&queue, &echo).await;
    let found = queue.recover().await.unwrap();
    let requeued = Recovery {
        requeued: 1,
        interrupted: 0,
    };
    assert_eq!(found, requeued);
    assert_eq!(glance(&queue, &echo).await, (1, Some(FIRST)));
}

pub(crate) async fn interruptions_add_up<F: Factory>(storage: &F) {
    let mut queue = storage.open();
    let echo = lane("echo");
    accept(&queue, &echo, &["n1", "n2"]).await;
    for number in 1..=4 {
        let lease = claim(&queue, &echo).await.lease;
        queue.begin(lease, Uuid::from_u128(u128::from(number))).await.unwrap();
        if number % 2 == 0 {
            queue.release(lease, Spend::default()).await.unwrap();
        } else {
            drop(queue);
            queue = storage.open();
            queue.recover().await.unwrap();
        }
        let session = Some(Uuid::from_u128(u128::from(number)));
        assert_eq!(glance(&queue, &echo).await, (number, session));
    }
    let last = run(&queue, &echo, Vec::new()).await;
    assert_eq!(queue.turn(last.lease.turn).await.unwrap().unwrap().interruptions, 4);
    assert_eq!(glance(&queue, &echo).await, (0, None), "the next turn starts afresh");
}

pub(crate) async fn the_last_session_of_an_attempt_is_kept<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let lease = claimed(&queue, &echo, "n1").await;
    queue.begin(lease, FIRST).await.unwrap();
    queue.begin(lease, SECOND).await.unwrap();
    queue.release(lease, Spend::default()).await.unwrap();
    assert_eq!(glance(&queue, &echo).await, (1, Some(SECOND)));
}

pub(crate) async fn a_begin_can_be_taken_back<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let lease = claimed(&queue, &echo, "n1").await;
    queue.begin(lease, FIRST).await.unwrap();
    queue.unbegin(lease).await.unwrap();
    queue.release(lease, Spend::default()).await.unwrap();
    assert_eq!(glance(&queue, &echo).await, (0, None));

    let lease = claim(&queue, &echo).await.lease;
    queue.begin(lease, FIRST).await.unwrap();
    queue.unbegin(lease).await.unwrap();
    let found = queue.recover().await.unwrap();
    let requeued = Recovery {
        requeued: 1,
        interrupted: 0,
    };
    assert_eq!(found, requeued);
    assert_eq!(glance(&queue, &echo).await, (0, None));
}

/// The next worker finds that the prompt of the attempt that was cut off never arrived.
pub(crate) async fn a_begin_of_a_former_attempt_can_be_taken_back<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let lease = claimed(&queue, &echo, "n1").await;
    queue.begin(lease, FIRST).await.unwrap();
    queue.recover().await.unwrap();
    let lease = claim(&queue, &echo).await.lease;
    queue.unbegin(lease).await.unwrap();
    queue.release(lease, Spend::default()).await.unwrap();
    assert_eq!(glance(&queue, &echo).await, (0, None));
}

pub(crate) async fn taking_back_the_second_begin_leaves_the_first_interruption<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let lease = claimed(&queue, &echo, "n1").await;
    queue.begin(lease, FIRST).await.unwrap();
    queue.release(lease, Spend::default()).await.unwrap();
    let lease = claim(&queue, &echo).await.lease;
    queue.begin(lease, SECOND).await.unwrap();
    queue.unbegin(lease).await.unwrap();
    queue.release(lease, Spend::default()).await.unwrap();
    assert_eq!(glance(&queue, &echo).await, (1, Some(FIRST)));
}

pub(crate) async fn taking_back_the_second_of_two_leaves_the_session_of_the_first<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let lease = claimed(&queue, &echo, "n1").await;
    queue.begin(lease, FIRST).await.unwrap();
    queue.recover().await.unwrap();
    let lease = claim(&queue, &echo).await.lease;
    queue.begin(lease, FIRST).await.unwrap();
    queue.recover().await.unwrap();
    let lease = claim(&queue, &echo).await.lease;
    queue.unbegin(lease).await.unwrap();
    queue.recover().await.unwrap();
    assert_eq!(glance(&queue, &echo).await, (1, Some(FIRST)));
}

pub(crate) async fn two_begins_can_be_taken_back_one_after_the_other<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let lease = claimed(&queue, &echo, "n1").await;
    queue.begin(lease, FIRST).await.unwrap();
    queue.recover().await.unwrap();
    let lease = claim(&queue, &echo).await.lease;
    queue.begin(lease, SECOND).await.unwrap();
    for _ in 0..3 {
        queue.unbegin(lease).await.unwrap();
    }
    queue.release(lease, Spend::default()).await.unwrap();
    assert_eq!(glance(&queue, &echo).await, (0, None));
}

pub(crate) async fn recovery_counts_what_it_finds<F: Factory>(storage: &F) {
    let queue = storage.open();
    assert_eq!(queue.recover().await.unwrap(), Recovery::default());
    for number in 0..5 {
        let lane = lane(&format!("c{number}"));
        let lease = claimed(&queue, &lane, &format!("n{number}")).await;
        if number < 2 {
            queue.begin(lease, FIRST).await.unwrap();
        }
    }
    drop(queue);
    let queue = storage.open();
    let expected = Recovery {
        requeued: 3,
        interrupted: 2,
    };
    assert_eq!(queue.recover().await.unwrap(), expected);
    assert_eq!(queue.recover().await.unwrap(), Recovery::default());
    assert_eq!(glance(&queue, &lane("c0")).await, (1, Some(FIRST)));
    assert_eq!(glance(&queue, &lane("c4")).await, (0, None));
}

pub(crate) async fn recovery_leaves_settled_and_waiting_turns_alone<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    accept(&queue, &echo, &["n1", "n2", "n3"]).await;
    let lease = claim(&queue, &echo).await.lease;
    queue.begin(lease, FIRST).await.unwrap();
    queue.settle(lease, done(), Vec::new()).await.unwrap();
    let settled = queue.turn(lease.turn).await.unwrap();
    let waiting = queue.open_turns(&echo.channel, 10_000).await.unwrap();
    assert_eq!(queue.recover().await.unwrap(), Recovery::default());
    assert_eq!(queue.turn(lease.turn).await.unwrap(), settled);
    assert_eq!(queue.open_turns(&echo.channel, 10_000).await.unwrap(), waiting);
}

pub(crate) async fn expiry_counts_like_recovery<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (begun, idle, young) = (lane("begun"), lane("idle"), lane("young"));
    let lease = claimed(&queue, &begun, "n1").await;
    queue.begin(lease, FIRST).await.unwrap();
    claimed(&queue, &idle, "n2").await;
    let seconds = i64::try_from(LEASE.as_secs()).unwrap();
    let now = storage.clock().shift(seconds / 2);
    let held = claimed(&queue, &young, "n3").await;
    let expected = Recovery {
        requeued: 1,
        interrupted: 1,
    };
    assert_eq!(queue.expire(after(now, seconds / 2 + 1)).await.unwrap(), expected);
    assert_eq!(glance(&queue, &begun).await, (1, Some(FIRST)));
    assert_eq!(glance(&queue, &idle).await, (0, None));
    queue.settle(held, done(), Vec::new()).await.unwrap();
}
