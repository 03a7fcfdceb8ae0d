//! A person's hand on the line: cancel, hold, move, edit.

use pretty_assertions::assert_eq;
use reveille_queue::{
    ControlError, Conversation, Effect, EffectState, Message, MessageMode, Position, Queue, QueueError, SessionUpdate,
    Settlement, Spend, State, Turn,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    Factory, accept, accept_as, bodies, cancelled, claim, done, drain, effect, hostile, lane, line, message, nano, run,
    subject,
};

const NOBODY: Uuid = Uuid::from_u128(404);

/// A body that is too deep to be stored.
fn too_deep() -> Value {
    (0..400).fold(json!(1), |inner, _| json!([inner]))
}

pub(crate) async fn a_cancelled_turn_ends_with_its_effects<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let accepted_at = storage.clock().now();
    let turns = accept(&queue, &echo, &["n1", "n2", "n3"]).await;
    let settled_at = storage.clock().shift(9);
    let effects = vec![effect("home", json!("a")), effect("hook", json!("b"))];
    queue.cancel(turns[1], cancelled(), effects).await.unwrap();

    let conversation = queue.conversations(&echo.channel).await.unwrap().remove(0);
    let expected = Turn {
        id: turns[1],
        message: message(&echo, "n2"),
        conversation: conversation.id,
        state: State::Cancelled,
        held: false,
        leader: None,
        interruptions: 0,
        accepted_at,
        claimed_at: None,
        claimed_by: None,
        claim_ends: None,
        settled_at: Some(settled_at),
        record: Some(json!({ "by": "a person" })),
        spend: Spend::default(),
    };
    assert_eq!(
        queue.settled(&echo.channel, 9).await.unwrap(),
        std::slice::from_ref(&expected)
    );
    assert_eq!(queue.place(turns[1]).await.unwrap(), None);
    assert_eq!(queue.place(turns[2]).await.unwrap().map(|place| place.ahead), Some(1));
    let outbox = queue.outbox(9).await.unwrap();
    let written = |at: usize, target: &str, body: &str| Effect {
        id: outbox[at].id,
        turn: turns[1],
        target: target.into(),
        body: json!(body),
        state: EffectState::Pending,
        attempts: 0,
        due_at: settled_at,
        last_error: None,
    };
    assert_eq!(outbox, [written(0, "home", "a"), written(1, "hook", "b")]);

    drop(queue);
    let queue = storage.open();
    queue.recover().await.unwrap();
    assert_eq!(queue.turn(turns[1]).await.unwrap(), Some(expected));
    assert_eq!(drain(&queue, &echo).await, ["n1", "n3"]);
}

/// What each operation answers for a turn that does not wait, and what it leaves behind: nothing.
async fn refused(queue: &impl Queue, turn: Uuid, expected: &ControlError) {
    let before = queue.turn(turn).await.unwrap();
    let effects = vec![effect("nowhere", json!("nothing"))];
    assert_eq!(queue.cancel(turn, cancelled(), effects).await.as_ref(), Err(expected));
    assert_eq!(queue.hold(turn, true).await.as_ref(), Err(expected));
    assert_eq!(queue.hold(turn, false).await.as_ref(), Err(expected));
    for to in [
        Position::First,
        Position::Last,
        Position::Before(turn),
        Position::Before(NOBODY),
    ] {
        assert_eq!(queue.reposition(turn, to).await.as_ref(), Err(expected), "{to:?}");
    }
    assert_eq!(queue.edit(turn, json!("other")).await.as_ref(), Err(expected));
    assert_eq!(queue.turn(turn).await.unwrap(), before);
    let written = bodies(queue.outbox(u32::MAX).await.unwrap());
    assert!(!written.contains(&json!("nothing")), "{written:?}");
}

pub(crate) async fn only_what_waits_is_in_reach<F: Factory>(storage: &F) {
    let queue = storage.open();
    refused(&queue, NOBODY, &ControlError::Unknown { turn: NOBODY }).await;
    let not = |turn: Uuid, state: State| ControlError::NotWaiting { turn, state };

    let (echo, busy) = (lane("echo"), lane("busy"));
    for end in [State::Ok, State::Error, State::Cancelled, State::Interrupted] {
        let turn = accept(&queue, &echo, &[end.as_str()]).await[0];
        let lease = claim(&queue, &echo).await.lease;
        let settlement = Settlement { state: end, ..done() };
        queue.settle(lease, settlement, Vec::new()).await.unwrap();
        refused(&queue, turn, &not(turn, end)).await;
    }
    let turns = accept_as(&queue, &busy, MessageMode::Collect, &["n1", "n2"]).await;
    let lease = claim(&queue, &busy).await.lease;
    refused(&queue, turns[0], &not(turns[0], State::Working)).await;
    refused(&queue, turns[1], &not(turns[1], State::Joined)).await;
    // Also while the one that it is part of is back in line.
    queue.release(lease, Spend::default()).await.unwrap();
    refused(&queue, turns[1], &not(turns[1], State::Joined)).await;
    queue.cancel(turns[0], cancelled(), Vec::new()).await.unwrap();
    refused(&queue, turns[0], &not(turns[0], State::Cancelled)).await;
}

pub(crate) async fn a_cancel_is_all_or_nothing<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let turn = accept_as(&queue, &echo, MessageMode::Collect, &["n1", "n2"]).await[0];
    queue.release(claim(&queue, &echo).await.lease, nano(1)).await.unwrap();
    let before = (queue.turn(turn).await.unwrap(), line(&queue, &echo.channel).await);
    let conversations = queue.conversations(&echo.channel).await.unwrap();
    for goes_on in [State::Waiting, State::Working, State::Joined] {
        let settlement = Settlement {
            state: goes_on,
            ..cancelled()
        };
        let answer = queue.cancel(turn, settlement, vec![effect("t", json!(1))]).await;
        assert!(
            matches!(answer, Err(ControlError::Queue(QueueError::Refused { .. }))),
            "{answer:?}"
        );
    }
    let deep = Settlement {
        record: too_deep(),
        ..cancelled()
    };
    let effects = [vec![effect("t", json!(1)), effect("t", too_deep())], Vec::new()];
    for (settlement, effects) in [cancelled(), deep].into_iter().zip(effects) {
        let answer = queue.cancel(turn, settlement, effects).await;
        assert!(
            matches!(answer, Err(ControlError::Queue(QueueError::Refused { .. }))),
            "{answer:?}"
        );
    }
    assert_eq!(
        (queue.turn(turn).await.unwrap(), line(&queue, &echo.channel).await),
        before
    );
    assert_eq!(queue.conversations(&echo.channel).await.unwrap(), conversations);
    assert_eq!(queue.outbox(9).await.unwrap(), []);
}

pub(crate) async fn a_cancel_leaves_the_running_turn_alone<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let turns = accept(&queue, &echo, &["n1", "n2", "n3"]).await;
    let claim = claim(&queue, &echo).await;
    queue.begin(claim.lease, Uuid::from_u128(1)).await.unwrap();
    queue.hold(turns[1], true).await.unwrap();
    queue.cancel(turns[1], cancelled(), Vec::new()).await.unwrap();
    assert!(!queue.turn(turns[1]).await.unwrap().unwrap().held, "it waits no longer");
    let settlement = Settlement {
        session: SessionUpdate::Set(Uuid::from_u128(1), "/work".into()),
        ..done()
    };
    queue.settle(claim.lease, settlement, Vec::new()).await.unwrap();
    let session = queue.conversations(&echo.channel).await.unwrap().remove(0).session;
    assert_eq!(session, Some((Uuid::from_u128(1), "/work".into())));
    assert_eq!(drain(&queue, &echo).await, ["n3"]);
}

/// What earlier attempts took stays with the conversation, whoever ends the turn.
pub(crate) async fn a_cancelled_turn_keeps_what_it_took<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let turn = accept(&queue, &echo, &["n1"]).await[0];
    let claimed_at = storage.clock().now();
    let lease = claim(&queue, &echo).await.lease;
    queue.begin(lease, Uuid::from_u128(1)).await.unwrap();
    queue.release(lease, nano(5)).await.unwrap();
    storage.clock().shift(9);
    let settlement = Settlement {
        spend: nano(2),
        ..cancelled()
    };
    queue.cancel(turn, settlement, Vec::new()).await.unwrap();
    let found = queue.turn(turn).await.unwrap().unwrap();
    assert_eq!((found.spend, found.interruptions), (nano(7), 1));
    let conversation = queue.conversations(&echo.channel).await.unwrap().remove(0);
    let expected = Conversation {
        id: found.conversation,
        lane: echo,
        session: None,
        turns: 1,
        started_at: Some(claimed_at),
        spend: nano(7),
    };
    assert_eq!(conversation, expected);
}

pub(crate) async fn a_held_turn_is_passed_over<F: Factory>(storage: &F) {
    let mut queue = storage.open();
    let (echo, aside) = (lane("echo"), subject("echo", "aside"));
    let turns = accept(&queue, &echo, &["n1", "n2", "n3"]).await;
    let alone = accept(&queue, &aside, &["n4"]).await[0];
    queue.hold(turns[0], true).await.unwrap();
    queue.hold(turns[0], true).await.unwrap();
    queue.hold(alone, true).await.unwrap();
    for restart in [false, true] {
        if restart {
            drop(queue);
            queue = storage.open();
            queue.recover().await.unwrap();
        }
        assert_eq!(queue.lanes().await.unwrap(), std::slice::from_ref(&echo));
        assert_eq!(queue.claim(&aside).await.unwrap(), None);
        let ahead = async |turn: Uuid| queue.place(turn).await.unwrap().map(|place| place.ahead);
        assert_eq!([ahead(turns[1]).await, ahead(turns[2]).await], [Some(0), Some(1)]);
        // It is in line all the same, and shown at its place.
        assert_eq!(queue.waiting(&echo.channel, 9).await.unwrap(), 4);
        assert_eq!(queue.depths().await.unwrap(), [(echo.channel.clone(), 4)]);
        assert_eq!(line(&queue, &echo.channel).await, ["n1", "n2", "n3", "n4"]);
        let held = queue.open_turns(&echo.channel, 9).await.unwrap();
        let held: Vec<bool> = held.iter().map(|turn| turn.held).collect();
        assert_eq!(held, [true, false, false, true]);
    }
    assert_eq!(run(&queue, &echo, Vec::new()).await.message.note, "n2");
    queue.hold(alone, false).await.unwrap();
    assert_eq!(queue.lanes().await.unwrap(), [echo.clone(), aside.clone()]);
    queue.hold(turns[0], false).await.unwrap();
    queue.hold(turns[0], false).await.unwrap();
    assert_eq!(drain(&queue, &echo).await, ["n1", "n3"]);
    assert_eq!(drain(&queue, &aside).await, ["n4"]);
}

pub(crate) async fn a_lane_of_held_turns_has_nothing<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    for turn in accept(&queue, &echo, &["n1", "n2"]).await {
        queue.hold(turn, true).await.unwrap();
    }
    assert_eq!(queue.claim(&echo).await.unwrap(), None);
    assert_eq!(queue.lanes().await.unwrap(), []);
    accept(&queue, &echo, &["n3"]).await;
    assert_eq!(drain(&queue, &echo).await, ["n3"]);
}

pub(crate) async fn a_turn_moves_within_its_lane<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (echo, aside, other) = (lane("echo"), subject("echo", "aside"), lane("other"));
    let mut turns = Vec::new();
    for (number, lane) in [&echo, &aside, &echo, &other, &echo, &echo].into_iter().enumerate() {
        turns.extend(accept(&queue, lane, &[&format!("n{number}")]).await);
    }
    let order = async || {
        let open = queue.open_turns(&echo.channel, 9).await.unwrap();
        let main = open.into_iter().filter(|turn| turn.message.lane == echo);
        main.map(|turn| turn.message.note).collect::<Vec<_>>()
    };
    let steps = [
        (5, Position::First, ["n5", "n0", "n2", "n4"]),
        (5, Position::First, ["n5", "n0", "n2", "n4"]),
        (5, Position::Last, ["n0", "n2", "n4", "n5"]),
        (5, Position::Last, ["n0", "n2", "n4", "n5"]),
        (4, Position::Before(turns[0]), ["n4", "n0", "n2", "n5"]),
        (4, Position::Before(turns[5]), ["n0", "n2", "n4", "n5"]),
        (0, Position::Before(turns[2]), ["n0", "n2", "n4", "n5"]),
        (2, Position::Before(turns[2]), ["n0", "n2", "n4", "n5"]),
        (0, Position::Before(turns[4]), ["n2", "n0", "n4", "n5"]),
        (2, Position::Before(turns[5]), ["n0", "n4", "n2", "n5"]),
    ];
    for (number, (turn, to, expected)) in steps.into_iter().enumerate() {
        queue.reposition(turns[turn], to).await.unwrap();
        assert_eq!(order().await, expected, "step {number}");
        let mut ahead = Vec::new();
        for note in expected {
            let turn = queue.turn_of("home", note).await.unwrap().unwrap().id;
            ahead.push(queue.place(turn).await.unwrap().unwrap().ahead);
        }
        assert_eq!(ahead, [0, 1, 2, 3], "step {number}");
    }
    assert_eq!(drain(&queue, &echo).await, ["n0", "n4", "n2", "n5"]);
    assert_eq!(drain(&queue, &aside).await, ["n1"]);
    assert_eq!(drain(&queue, &other).await, ["n3"]);
}

pub(crate) async fn later_arrivals_stay_behind_a_moved_turn<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let turns = accept(&queue, &echo, &["n1", "n2", "n3"]).await;
    for turn in [turns[0], turns[1], turns[0]] {
        queue.reposition(turn, Position::Last).await.unwrap();
    }
    accept(&queue, &echo, &["n4"]).await;
    queue.reposition(turns[2], Position::Before(turns[0])).await.unwrap();
    accept(&queue, &echo, &["n5"]).await;
    assert_eq!(drain(&queue, &echo).await, ["n2", "n3", "n1", "n4", "n5"]);
}

pub(crate) async fn a_moved_turn_keeps_its_new_place<F: Factory>(storage: &F) {
    let mut queue = storage.open();
    let echo = lane("echo");
    let turns = accept(&queue, &echo, &["n1", "n2", "n3", "n4"]).await;
    queue.reposition(turns[2], Position::First).await.unwrap();
    for way in 0..3 {
        let claim = claim(&queue, &echo).await;
        assert_eq!(claim.message.note, "n3");
        // The others change places while it is away.
        let other = turns[[3, 1, 0][way]];
        queue.reposition(other, Position::First).await.unwrap();
        match way {
            0 => queue.release(claim.lease, Spend::default()).await.unwrap(),
            1 => drop(queue.recover().await.unwrap()),
            _ => {
                drop(queue);
                queue = storage.open();
                queue.recover().await.unwrap();
            }
        }
    }
    assert_eq!(drain(&queue, &echo).await, ["n3", "n1", "n2", "n4"]);
}

pub(crate) async fn a_move_before_a_stranger_is_refused<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (echo, aside, other) = (lane("echo"), subject("echo", "aside"), lane("other"));
    let settled = accept(&queue, &echo, &["n1"]).await[0];
    run(&queue, &echo, Vec::new()).await;
    let away = [
        accept(&queue, &aside, &["n2"]).await[0],
        accept(&queue, &other, &["n3"]).await[0],
    ];
    let group = accept_as(&queue, &echo, MessageMode::Collect, &["n4", "n5"]).await;
    claim(&queue, &echo).await;
    let turns = accept(&queue, &echo, &["n6", "n7"]).await;
    for stranger in [NOBODY, settled, away[0], away[1], group[0], group[1]] {
        let answer = queue.reposition(turns[1], Position::Before(stranger)).await;
        let expected = ControlError::OtherLine {
            turn: turns[1],
            other: stranger,
        };
        assert_eq!(answer, Err(expected));
    }
    assert_eq!(line(&queue, &echo.channel).await, ["n4", "n5", "n2", "n6", "n7"]);
}

pub(crate) async fn held_turns_move_and_are_moved_around<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let turns = accept(&queue, &echo, &["n1", "n2", "n3", "n4"]).await;
    queue.hold(turns[1], true).await.unwrap();
    queue.reposition(turns[3], Position::Before(turns[1])).await.unwrap();
    assert_eq!(line(&queue, &echo.channel).await, ["n1", "n4", "n2", "n3"]);
    queue.reposition(turns[1], Position::First).await.unwrap();
    assert_eq!(run(&queue, &echo, Vec::new()).await.message.note, "n1");
    queue.hold(turns[1], false).await.unwrap();
    assert_eq!(drain(&queue, &echo).await, ["n2", "n4", "n3"]);
}

pub(crate) async fn an_edit_replaces_the_body_alone<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let turns = accept(&queue, &echo, &["n1", "n2"]).await;
    let before = queue.turn(turns[0]).await.unwrap().unwrap();
    for (number, body) in hostile().into_iter().enumerate() {
        queue.edit(turns[0], body.clone()).await.unwrap();
        let edited = Turn {
            message: Message {
                body,
                ..before.message.clone()
            },
            ..before.clone()
        };
        assert!(queue.turn(turns[0]).await.unwrap() == Some(edited), "body {number}");
    }
    queue.edit(turns[0], json!("kept")).await.unwrap();
    let answer = queue.edit(turns[0], too_deep()).await;
    assert!(
        matches!(answer, Err(ControlError::Queue(QueueError::Refused { .. }))),
        "{answer:?}"
    );
    drop(queue);
    let queue = storage.open();
    assert_eq!(claim(&queue, &echo).await.message.body, json!("kept"));
    let other = queue.turn(turns[1]).await.unwrap().unwrap();
    assert_eq!(other.message, message(&echo, "n2"));
}

/// A message that was edited where it came from: accepted again, it differs in everything.
fn edited(lane: &reveille_queue::Lane, note: &str, body: &str) -> Message {
    Message {
        body: json!(body),
        chain: "another".into(),
        mode: MessageMode::Interrupt,
        ..message(lane, note)
    }
}

pub(crate) async fn a_message_that_was_edited_is_taken_over_while_it_waits<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (echo, other) = (lane("echo"), lane("other"));
    let turns = accept(&queue, &echo, &["n1", "n2"]).await;
    let again = async |lane: &reveille_queue::Lane, note: &str, body: &str| {
        let answer = queue.accept(vec![edited(lane, note, body)], None).await.unwrap();
        assert!(!answer[0].fresh);
        let turn = queue.turn(answer[0].turn).await.unwrap().unwrap();
        let kept = Message {
            body: turn.message.body.clone(),
            ..message(&echo, note)
        };
        assert_eq!(turn.message, kept, "only the body may change");
        turn.message.body
    };
    assert_eq!(again(&echo, "n2", "second").await, json!("second"));
    assert_eq!(line(&queue, &echo.channel).await, ["n1", "n2"]);
    queue.hold(turns[1], true).await.unwrap();
    assert_eq!(again(&echo, "n2", "held").await, json!("held"));
    assert_eq!(again(&other, "n2", "other lane").await, json!("held"));
    let batch = vec![edited(&echo, "n2", "early"), edited(&echo, "n2", "late")];
    queue.accept(batch, None).await.unwrap();
    let found = queue.turn(turns[1]).await.unwrap().unwrap();
    assert_eq!((found.message.body, found.held), (json!("late"), true));

    let lease = claim(&queue, &echo).await.lease;
    assert_eq!(again(&echo, "n1", "working").await, json!({ "text": "n1" }));
    queue.release(lease, Spend::default()).await.unwrap();
    assert_eq!(again(&echo, "n1", "not begun").await, json!("not begun"));
    let lease = claim(&queue, &echo).await.lease;
    queue.begin(lease, Uuid::from_u128(1)).await.unwrap();
    queue.release(lease, Spend::default()).await.unwrap();
    assert_eq!(again(&echo, "n1", "begun").await, json!("not begun"));
    run(&queue, &echo, Vec::new()).await;
    assert_eq!(again(&echo, "n1", "settled").await, json!("not begun"));
    assert_eq!(queue.conversations(&other.channel).await.unwrap(), []);
}
