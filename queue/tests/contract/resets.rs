//! Sessions that are forgotten.

use pretty_assertions::assert_eq;
use reveille_queue::{Lane, Queue, SessionUpdate, Settlement, Spend, State, ThreadKey};
use uuid::Uuid;

use crate::support::{Factory, accept, claim, claimed, done, lane, subject};

const OLD: Uuid = Uuid::from_u128(1);
const NEW: Uuid = Uuid::from_u128(2);

fn set(session: Uuid) -> Settlement {
    Settlement {
        session: SessionUpdate::Set(session, "/work".into()),
        ..done()
    }
}

/// A turn that establishes a session.
async fn establish(queue: &impl Queue, lane: &Lane, note: &str) {
    let lease = claimed(queue, lane, note).await;
    queue.settle(lease, set(OLD), Vec::new()).await.unwrap();
    assert_eq!(session(queue, lane).await, Some(OLD));
}

async fn session(queue: &impl Queue, lane: &Lane) -> Option<Uuid> {
    let found = queue.conversations(&lane.channel).await.unwrap();
    let conversation = found.into_iter().find(|conversation| conversation.lane == *lane);
    conversation.unwrap().session.map(|(session, _)| session)
}

pub(crate) async fn tc_sess_11_a_reset_forgets_the_sessions_of_a_channel<F: Factory>(storage: &F) {
    let queue = storage.open();
    let lanes = [
        lane("echo"),
        subject("echo", "aside"),
        subject("echo", "Aside"),
        lane("other"),
    ];
    for (number, lane) in lanes.iter().enumerate() {
        establish(&queue, lane, &format!("n{number}")).await;
    }
    let before = queue.conversations(&lanes[0].channel).await.unwrap();
    let channel = &lanes[0].channel;
    assert_eq!(queue.reset(channel, Some(&lanes[1].thread)).await.unwrap(), 1);
    let mut sessions = Vec::new();
    for lane in &lanes {
        sessions.push(session(&queue, lane).await);
    }
    assert_eq!(sessions, [Some(OLD), None, Some(OLD), Some(OLD)]);
    assert_eq!(queue.reset(channel, None).await.unwrap(), 3);
    drop(queue);
    let queue = storage.open();
    let after = queue.conversations(channel).await.unwrap();
    let expected = before.into_iter().map(|conversation| reveille_queue::Conversation {
        session: None,
        ..conversation
    });
    assert_eq!(after, expected.collect::<Vec<_>>(), "nothing but the session");
    assert_eq!(session(&queue, &lanes[3]).await, Some(OLD));
    accept(&queue, &lanes[0], &["next"]).await;
    assert_eq!(claim(&queue, &lanes[0]).await.conversation.session, None);
}

pub(crate) async fn nothing_to_reset_is_no_error<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    assert_eq!(queue.reset(&echo.channel, None).await.unwrap(), 0);
    accept(&queue, &echo, &["n1"]).await;
    assert_eq!(
        queue
            .reset(&echo.channel, Some(&ThreadKey::Subject("x".into())))
            .await
            .unwrap(),
        0
    );
    assert_eq!(queue.reset(&echo.channel, Some(&ThreadKey::Main)).await.unwrap(), 1);
    assert_eq!(queue.conversations(&echo.channel).await.unwrap().len(), 1);
}

/// However the turn that runs ends, the session that it had goes with it.
pub(crate) async fn a_turn_that_runs_does_not_bring_its_session_back<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (echo, aside) = (lane("echo"), subject("echo", "aside"));
    establish(&queue, &echo, "n1").await;
    let lease = claimed(&queue, &echo, "n2").await;
    queue.begin(lease, OLD).await.unwrap();
    let other = claimed(&queue, &aside, "n3").await;
    queue.reset(&echo.channel, Some(&echo.thread)).await.unwrap();
    queue.settle(lease, set(OLD), Vec::new()).await.unwrap();
    assert_eq!(queue.turn(lease.turn).await.unwrap().unwrap().state, State::Ok);
    assert_eq!(session(&queue, &echo).await, None);
    // The one beside it was not reset, and the next turn establishes its own.
    queue.settle(other, set(OLD), Vec::new()).await.unwrap();
    assert_eq!(session(&queue, &aside).await, Some(OLD));
    let lease = claimed(&queue, &echo, "n4").await;
    queue.settle(lease, set(NEW), Vec::new()).await.unwrap();
    assert_eq!(session(&queue, &echo).await, Some(NEW));
}

pub(crate) async fn a_cut_session_is_forgotten<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (echo, aside) = (lane("echo"), subject("echo", "aside"));
    for (lane, note) in [(&echo, "n1"), (&aside, "n2")] {
        let lease = claimed(&queue, lane, note).await;
        queue.begin(lease, OLD).await.unwrap();
        queue.release(lease, Spend::default()).await.unwrap();
    }
    queue.reset(&echo.channel, Some(&echo.thread)).await.unwrap();
    let claim_of = async |lane: &Lane| {
        let claim = claim(&queue, lane).await;
        (claim.interruptions, claim.begun_session)
    };
    // That it was cut off is still true.
    assert_eq!(claim_of(&echo).await, (1, None));
    assert_eq!(claim_of(&aside).await, (1, Some(OLD)));
}

/// A turn that runs while its conversation is reset, and is cut off then, does not go on in the old session.
pub(crate) async fn an_attempt_from_before_the_reset_leaves_no_session<F: Factory>(storage: &F) {
    let mut queue = storage.open();
    let echo = lane("echo");
    let turn = accept(&queue, &echo, &["n1"]).await[0];
    for way in 0..4_u32 {
        let lease = claim(&queue, &echo).await.lease;
        queue.begin(lease, OLD).await.unwrap();
        queue.reset(&echo.channel, None).await.unwrap();
        match way {
            0 => queue.release(lease, Spend::default()).await.unwrap(),
            1 => drop(queue.expire(jiff::Timestamp::MAX).await.unwrap()),
            2 => drop(queue.recover().await.unwrap()),
            _ => {
                drop(queue);
                queue = storage.open();
                queue.recover().await.unwrap();
            }
        }
        let next = claim(&queue, &echo).await;
        assert_eq!((next.interruptions, next.begun_session), (way + 1, None), "way {way}");
        queue.release(next.lease, Spend::default()).await.unwrap();
    }
    // The same for what an earlier attempt had left, when the next has not begun.
    let lease = claim(&queue, &echo).await.lease;
    queue.begin(lease, OLD).await.unwrap();
    queue.release(lease, Spend::default()).await.unwrap();
    let lease = claim(&queue, &echo).await.lease;
    queue.reset(&echo.channel, None).await.unwrap();
    queue.release(lease, Spend::default()).await.unwrap();
    let next = claim(&queue, &echo).await;
    assert_eq!(
        (next.lease.turn, next.interruptions, next.begun_session),
        (turn, 5, None)
    );
    queue.settle(next.lease, set(NEW), Vec::new()).await.unwrap();
    assert_eq!(session(&queue, &echo).await, Some(NEW));
}
