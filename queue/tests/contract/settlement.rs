//! The end of a turn.

use pretty_assertions::assert_eq;
use reveille_queue::{
    Conversation, Effect, EffectState, LeaseError, Queue, QueueError, SessionUpdate, Settlement, Spend, State, Turn,
};
use serde_json::json;
use uuid::Uuid;

use crate::support::{Factory, accept, claim, done, effect, lane, message, run, subject};

const SESSION: Uuid = Uuid::from_u128(7);

fn spend(unit: u64) -> Spend {
    Spend {
        input_tokens: unit,
        output_tokens: unit * 2,
        cache_read_tokens: unit * 3,
        cache_write_tokens: unit * 4,
        nano_usd: unit * 5,
    }
}

pub(crate) async fn everything_is_written_together<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let accepted_at = storage.clock().now();
    let turn = accept(&queue, &echo, &["n1"]).await[0];
    let claimed_at = storage.clock().shift(1);
    let claim = claim(&queue, &echo).await;
    queue.begin(claim.lease, SESSION).await.unwrap();
    let settled_at = storage.clock().shift(9);
    let settlement = Settlement {
        state: State::Error,
        record: json!({ "error": "no answer" }),
        session: SessionUpdate::Set(SESSION, "/work".into()),
        spend: spend(3),
    };
    let effects = vec![effect("home", json!("a")), effect("hook", json!("b"))];
    queue.settle(claim.lease, settlement, effects).await.unwrap();

    let id = claim.conversation.id;
    let expected = Turn {
        id: turn,
        message: message(&echo, "n1"),
        conversation: id,
        state: State::Error,
        held: false,
        leader: None,
        interruptions: 0,
        accepted_at,
        claimed_at: Some(claimed_at),
        claimed_by: None,
        claim_ends: None,
        settled_at: Some(settled_at),
        record: Some(json!({ "error": "no answer" })),
        spend: spend(3),
    };
    assert_eq!(queue.turn(turn).await.unwrap().as_ref(), Some(&expected));
    assert_eq!(queue.settled(&echo.channel, 9).await.unwrap(), [expected]);
    let conversation = Conversation {
        id,
        lane: echo.clone(),
        session: Some((SESSION, "/work".into())),
        turns: 1,
        started_at: Some(claimed_at),
        spend: spend(3),
    };
    assert_eq!(queue.conversations(&echo.channel).await.unwrap(), [conversation]);
    let outbox = queue.outbox(9).await.unwrap();
    let written = |at: usize, target: &str, body: &str| Effect {
        id: outbox[at].id,
        turn,
        target: target.into(),
        body: json!(body),
        state: EffectState::Pending,
        attempts: 0,
        due_at: settled_at,
        last_error: None,
    };
    assert_eq!(outbox, [written(0, "home", "a"), written(1, "hook", "b")]);
    assert!(outbox[0].id < outbox[1].id);
    assert_eq!(queue.open_turns(&echo.channel, 10_000).await.unwrap(), []);
}

pub(crate) async fn each_terminal_state_ends_a_turn<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    for state in [State::Ok, State::Error, State::Cancelled, State::Interrupted] {
        accept(&queue, &echo, &[state.as_str()]).await;
        let lease = claim(&queue, &echo).await.lease;
        queue
            .settle(lease, Settlement { state, ..done() }, Vec::new())
            .await
            .unwrap();
        assert_eq!(queue.turn(lease.turn).await.unwrap().unwrap().state, state);
        assert_eq!(queue.claim(&echo).await.unwrap(), None);
    }
    assert_eq!(queue.conversations(&echo.channel).await.unwrap()[0].turns, 4);
}

pub(crate) async fn a_session_is_kept_set_and_cleared<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let other = Uuid::from_u128(8);
    let set = |session: Uuid, directory: &str| SessionUpdate::Set(session, directory.into());
    let steps = [
        (SessionUpdate::Keep, None),
        (set(SESSION, "/a"), Some((SESSION, "/a".to_owned()))),
        (SessionUpdate::Keep, Some((SESSION, "/a".to_owned()))),
        (set(other, "/b"), Some((other, "/b".to_owned()))),
        (SessionUpdate::Clear, None),
        (SessionUpdate::Clear, None),
        (SessionUpdate::Keep, None),
    ];
    let mut before = None;
    for (number, (session, expected)) in steps.into_iter().enumerate() {
        accept(&queue, &echo, &[&format!("n{number}")]).await;
        let claim = claim(&queue, &echo).await;
        assert_eq!(claim.conversation.session, before, "seen by turn {number}");
        queue
            .settle(claim.lease, Settlement { session, ..done() }, Vec::new())
            .await
            .unwrap();
        let conversations = queue.conversations(&echo.channel).await.unwrap();
        assert_eq!(conversations[0].session, expected, "after turn {number}");
        before = expected;
    }
}

/// Amounts that a float would round.
pub(crate) async fn sums_are_exact<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let amounts = [1, 9_007_199_254_740_993, 1, 333_333_333, 0, 7];
    let mut sum = Spend::default();
    for (number, unit) in amounts.into_iter().enumerate() {
        accept(&queue, &echo, &[&format!("n{number}")]).await;
        let claim = claim(&queue, &echo).await;
        assert_eq!(claim.conversation.spend, sum);
        let settlement = Settlement {
            spend: spend(unit),
            state: if number % 2 == 0 { State::Ok } else { State::Error },
            ..done()
        };
        queue.settle(claim.lease, settlement, Vec::new()).await.unwrap();
        assert_eq!(queue.turn(claim.lease.turn).await.unwrap().unwrap().spend, spend(unit));
        sum = sum.plus(spend(unit));
    }
    assert_eq!(sum, spend(amounts.into_iter().sum()));
    assert_eq!(queue.conversations(&echo.channel).await.unwrap()[0].spend, sum);
}

pub(crate) async fn conversations_do_not_mix<F: Factory>(storage: &F) {
    let queue = storage.open();
    let lanes = [lane("echo"), subject("echo", "a"), lane("other")];
    for (number, lane) in (1_u64..).zip(&lanes) {
        accept(&queue, lane, &[&format!("n{number}")]).await;
        let lease = claim(&queue, lane).await.lease;
        let settlement = Settlement {
            session: SessionUpdate::Set(Uuid::from_u128(number.into()), format!("/{number}")),
            spend: spend(number),
            ..done()
        };
        queue.settle(lease, settlement, Vec::new()).await.unwrap();
    }
    let mut found = queue.conversations(&lanes[0].channel).await.unwrap();
    found.extend(queue.conversations(&lanes[2].channel).await.unwrap());
    let expected: Vec<Conversation> = (1_u64..)
        .zip(&lanes)
        .zip(&found)
        .map(|((number, lane), found)| Conversation {
            id: found.id,
            lane: lane.clone(),
            session: Some((Uuid::from_u128(number.into()), format!("/{number}"))),
            turns: 1,
            started_at: Some(storage.clock().now()),
            spend: spend(number),
        })
        .collect();
    assert_eq!(found, expected);
}

pub(crate) async fn a_settled_turn_survives_a_restart<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    accept(&queue, &echo, &["n1", "n2"]).await;
    run(&queue, &echo, vec![effect("home", json!(1))]).await;
    let look = async |queue: &F::Queue| {
        (
            queue.open_turns(&echo.channel, 10_000).await.unwrap(),
            queue.settled(&echo.channel, 9).await.unwrap(),
            queue.conversations(&echo.channel).await.unwrap(),
            queue.outbox(9).await.unwrap(),
        )
    };
    let before = look(&queue).await;
    drop(queue);
    let queue = storage.open();
    queue.recover().await.unwrap();
    assert_eq!(look(&queue).await, before);
}

pub(crate) async fn a_turn_cannot_end_in_a_state_that_goes_on<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    accept(&queue, &echo, &["n1"]).await;
    let lease = claim(&queue, &echo).await.lease;
    for state in [State::Waiting, State::Working] {
        let settled = queue
            .settle(lease, Settlement { state, ..done() }, vec![effect("t", json!(1))])
            .await;
        assert!(
            matches!(settled, Err(LeaseError::Queue(QueueError::Refused { .. }))),
            "{settled:?}"
        );
    }
    assert_eq!(queue.outbox(9).await.unwrap(), []);
    assert_eq!(queue.turn(lease.turn).await.unwrap().unwrap().state, State::Working);
    queue.settle(lease, done(), Vec::new()).await.unwrap();
}

/// A peer that reports nonsense must not make a conversation unreadable.
pub(crate) async fn absurd_amounts_do_no_harm<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let most = Spend {
        input_tokens: u64::MAX,
        output_tokens: u64::MAX - 1,
        cache_read_tokens: i64::MAX as u64,
        cache_write_tokens: 1 << 62,
        nano_usd: u64::MAX / 2,
    };
    for number in 0..3 {
        accept(&queue, &echo, &[&format!("n{number}")]).await;
        let lease = claim(&queue, &echo).await.lease;
        queue
            .settle(lease, Settlement { spend: most, ..done() }, Vec::new())
            .await
            .unwrap();
        queue.turn(lease.turn).await.unwrap();
    }
    let conversation = queue.conversations(&echo.channel).await.unwrap().remove(0);
    assert_eq!(conversation.turns, 3);
    assert!(conversation.spend.nano_usd >= most.nano_usd, "{conversation:?}");
    assert!(
        conversation.spend.cache_write_tokens > most.cache_write_tokens,
        "{conversation:?}"
    );
}

pub(crate) async fn what_every_attempt_took_is_counted_once<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let turn = accept(&queue, &echo, &["n1"]).await[0];
    let first = claim(&queue, &echo).await;
    assert_eq!(first.spent, Spend::default());
    queue.release(first.lease, spend(3)).await.unwrap();
    let second = claim(&queue, &echo).await;
    assert_eq!(second.spent, spend(3));
    queue.release(second.lease, spend(4)).await.unwrap();
    let third = claim(&queue, &echo).await;
    let settlement = Settlement {
        spend: spend(5),
        ..done()
    };
    queue.settle(third.lease, settlement, Vec::new()).await.unwrap();
    assert_eq!(queue.turn(turn).await.unwrap().map(|turn| turn.spend), Some(spend(12)));
    let conversations = queue.conversations(&echo.channel).await.unwrap();
    assert_eq!(conversations[0].spend, spend(12));
}
