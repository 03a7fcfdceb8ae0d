//! Accepting messages, and the cursors of their feeds.

use pretty_assertions::{assert_eq, assert_ne};
use reveille_queue::{
    Accepted, FeedCursor, Lane, LeaseError, Message, NewEffect, Queue, QueueError, SessionUpdate, Settlement, Spend,
    State, ThreadKey, Turn,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Factory, accept, after, claim, done, drain, hostile, hostile_texts, lane, message, run};

fn cursor(feed: &str, at: u64) -> Option<FeedCursor> {
    Some(FeedCursor { feed: feed.into(), at })
}

pub(crate) async fn an_accepted_turn_waits<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let turns = accept(&queue, &echo, &["n1"]).await;
    let conversations = queue.conversations(&echo.channel).await.unwrap();
    assert_eq!(conversations.len(), 1);
    assert_eq!(
        queue.turn(turns[0]).await.unwrap(),
        Some(Turn {
            id: turns[0],
            message: message(&echo, "n1"),
            conversation: conversations[0].id,
            state: State::Waiting,
            held: false,
            leader: None,
            interruptions: 0,
            accepted_at: storage.clock().now(),
            claimed_at: None,
            claimed_by: None,
            claim_ends: None,
            settled_at: None,
            record: None,
            spend: Spend::default(),
        })
    );
}

/// The answer for a message that was accepted before.
fn known(turn: Uuid) -> Accepted {
    Accepted {
        turn,
        fresh: false,
        place: None,
    }
}

pub(crate) async fn a_message_is_accepted_once<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let batch = ["n1", "n2", "n1"].map(|note| message(&echo, note)).to_vec();
    let first = queue.accept(batch.clone(), None).await.unwrap();
    let fresh: Vec<bool> = first.iter().map(|accepted| accepted.fresh).collect();
    assert_eq!(fresh, [true, true, false]);
    assert_eq!(first[0].turn, first[2].turn);
    assert_ne!(first[0].turn, first[1].turn);

    let again: Vec<Accepted> = first.iter().map(|answer| known(answer.turn)).collect();
    assert_eq!(queue.accept(batch, None).await.unwrap(), again);
    assert_eq!(drain(&queue, &echo).await, ["n1", "n2"]);
}

pub(crate) async fn a_message_stays_accepted_after_its_turn_and_after_a_restart<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let turn = accept(&queue, &echo, &["n1"]).await[0];
    run(&queue, &echo, Vec::new()).await;
    let known = vec![known(turn)];
    let again = || vec![message(&echo, "n1")];
    assert_eq!(queue.accept(again(), None).await.unwrap(), known);
    drop(queue);
    let queue = storage.open();
    assert_eq!(queue.accept(again(), None).await.unwrap(), known);
    assert_eq!(queue.claim(&echo).await.unwrap(), None);
}

pub(crate) async fn a_known_message_stays_in_its_first_lane<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (first, second) = (lane("first"), lane("second"));
    let turn = accept(&queue, &first, &["n1"]).await[0];
    let mut moved = message(&second, "n1");
    moved.body = json!("edited since");
    let answer = queue.accept(vec![moved], None).await.unwrap();
    assert_eq!(answer, [known(turn)]);
    assert_eq!(queue.claim(&second).await.unwrap(), None);
    assert_eq!(claim(&queue, &first).await.message, message(&first, "n1"));
    assert_eq!(queue.conversations(&second.channel).await.unwrap(), []);
}

pub(crate) async fn vault_and_note_are_the_key_together<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let keys = [
        ("a", "bc"),
        ("ab", "c"),
        ("a", "BC"),
        ("A", "bc"),
        ("", "abc"),
        ("abc", ""),
        ("a", "bc "),
    ];
    let messages: Vec<Message> = keys
        .iter()
        .map(|(vault, note)| Message {
            vault: (*vault).into(),
            ..message(&echo, note)
        })
        .collect();
    let accepted = queue.accept(messages.clone(), None).await.unwrap();
    assert!(accepted.iter().all(|accepted| accepted.fresh), "{accepted:?}");
    for (message, accepted) in messages.into_iter().zip(accepted) {
        let turn = queue.turn_of(&message.vault, &message.note).await.unwrap().unwrap();
        assert_eq!((turn.id, turn.message), (accepted.turn, message));
    }
}

pub(crate) async fn answers_come_in_the_given_order<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (a, b) = (lane("a"), lane("b"));
    let known = accept(&queue, &b, &["n3"]).await[0];
    let batch = vec![
        message(&b, "n1"),
        message(&a, "n2"),
        message(&a, "n3"),
        message(&b, "n4"),
    ];
    let accepted = queue.accept(batch, None).await.unwrap();
    let mut found = Vec::new();
    for note in ["n1", "n2", "n3", "n4"] {
        found.push(queue.turn_of("home", note).await.unwrap().unwrap().id);
    }
    let answered: Vec<Uuid> = accepted.iter().map(|accepted| accepted.turn).collect();
    assert_eq!(answered, found);
    assert_eq!(accepted[2], self::known(known));
}

pub(crate) async fn a_cursor_moves_with_its_messages<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    assert_eq!(queue.cursor("home").await.unwrap(), 0);
    queue
        .accept(vec![message(&echo, "n1")], cursor("home", 7))
        .await
        .unwrap();
    queue
        .accept(vec![message(&echo, "n2")], cursor("other", 3))
        .await
        .unwrap();
    queue.accept(vec![message(&echo, "n3")], None).await.unwrap();
    assert_eq!(queue.cursor("home").await.unwrap(), 7);
    drop(queue);
    let queue = storage.open();
    assert_eq!(queue.cursor("home").await.unwrap(), 7);
    assert_eq!(queue.cursor("other").await.unwrap(), 3);
    assert_eq!(queue.cursor("unknown").await.unwrap(), 0);
    assert_eq!(drain(&queue, &echo).await, ["n1", "n2", "n3"]);
}

pub(crate) async fn a_cursor_never_moves_back<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    queue.accept(Vec::new(), cursor("home", 9)).await.unwrap();
    queue
        .accept(vec![message(&echo, "n1")], cursor("home", 4))
        .await
        .unwrap();
    assert_eq!(queue.cursor("home").await.unwrap(), 9);
    assert_eq!(drain(&queue, &echo).await, ["n1"]);
}

pub(crate) async fn a_feed_that_was_replaced_begins_anew<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    queue
        .accept(vec![message(&echo, "n1")], cursor("home", 9))
        .await
        .unwrap();
    queue.accept(Vec::new(), cursor("other", 9)).await.unwrap();
    queue.rewind("home").await.unwrap();
    queue.rewind("unknown").await.unwrap();
    assert_eq!(
        (
            queue.cursor("home").await.unwrap(),
            queue.cursor("other").await.unwrap()
        ),
        (0, 9)
    );
    queue
        .accept(vec![message(&echo, "n1"), message(&echo, "n2")], cursor("home", 2))
        .await
        .unwrap();
    assert_eq!(queue.cursor("home").await.unwrap(), 2);
    assert_eq!(drain(&queue, &echo).await, ["n1", "n2"]);
}

pub(crate) async fn nothing_is_a_fine_batch<F: Factory>(storage: &F) {
    let queue = storage.open();
    assert_eq!(queue.accept(Vec::new(), None).await.unwrap(), []);
    assert_eq!(queue.accept(Vec::new(), cursor("home", 1)).await.unwrap(), []);
    assert_eq!(queue.cursor("home").await.unwrap(), 1);
    queue.delivered(Vec::new()).await.unwrap();
}

pub(crate) async fn hostile_bodies_come_back_unchanged<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    for (number, body) in hostile().into_iter().enumerate() {
        let sent = Message {
            body: body.clone(),
            ..message(&echo, &format!("n{number}"))
        };
        queue.accept(vec![sent.clone()], None).await.unwrap();
        let claim = claim(&queue, &echo).await;
        assert!(claim.message == sent, "body {number} as claimed");
        let settlement = Settlement {
            record: body.clone(),
            ..done()
        };
        let effect = NewEffect {
            target: "home".into(),
            body: body.clone(),
        };
        queue.settle(claim.lease, settlement, vec![effect]).await.unwrap();
        let turn = queue.turn(claim.lease.turn).await.unwrap().unwrap();
        assert!(turn.message == sent, "body {number} as read");
        assert!(turn.record.as_ref() == Some(&body), "record {number}");
        let due = queue.due(after(storage.clock().now(), 1), 10, &[]).await.unwrap();
        assert!(due.len() == 1 && due[0].body == body, "effect {number}");
        queue.delivered(vec![due[0].id]).await.unwrap();
    }
}

pub(crate) async fn hostile_texts_come_back_unchanged<F: Factory>(storage: &F) {
    let mut queue = storage.open();
    for (number, text) in hostile_texts().into_iter().enumerate() {
        let single = Lane {
            channel: format!("c{number}").parse().unwrap(),
            thread: ThreadKey::Single(text.clone()),
        };
        let sent = Message {
            lane: single.clone(),
            chain: text.clone(),
            vault: format!("{number}{text}"),
            note: text.clone(),
            ..message(&single, "")
        };
        queue
            .accept(vec![sent.clone()], cursor(&format!("{number}{text}"), 1))
            .await
            .unwrap();
        let claim = claim(&queue, &single).await;
        assert_eq!(claim.message, sent);
        let session = (Uuid::from_u128(5), text.clone());
        let settlement = Settlement {
            session: SessionUpdate::Set(session.0, session.1.clone()),
            ..done()
        };
        let effect = NewEffect {
            target: text.clone(),
            body: json!(1),
        };
        queue.settle(claim.lease, settlement, vec![effect]).await.unwrap();
        let due = queue.due(storage.clock().now(), 1, &[]).await.unwrap();
        queue
            .undelivered(due[0].id, &text, Some(storage.clock().now()))
            .await
            .unwrap();

        drop(queue);
        queue = storage.open();
        assert_eq!(queue.cursor(&format!("{number}{text}")).await.unwrap(), 1);
        let turn = queue.turn_of(&sent.vault, &text).await.unwrap().unwrap();
        assert_eq!(turn.message, sent);
        let conversations = queue.conversations(&single.channel).await.unwrap();
        assert_eq!(conversations[0].lane, single);
        assert_eq!(conversations[0].session, Some(session));
        let due = queue.due(storage.clock().now(), 1, &[]).await.unwrap();
        assert_eq!((&due[0].target, due[0].last_error.as_ref()), (&text, Some(&text)));
        queue.delivered(vec![due[0].id]).await.unwrap();
    }
}

pub(crate) async fn numbers_keep_every_digit<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    // Values that a fast and inexact parser is known to miss by one unit, and the ends of the range.
    let numbers = json!([
        67.300_000_000_000_01,
        8.123_456_789_012_345e-7,
        1.234_567_890_123_456_7e-300,
        51.248_171_614_334_07,
        5e-324,
        f64::MAX,
        f64::MIN_POSITIVE,
        -0.0,
        u64::MAX,
        i64::MIN
    ]);
    let floats: Vec<f64> = (1..3000_u32).map(|number| 1.0 / f64::from(number) * 1e-5).collect();
    let sent = Message {
        body: json!([numbers, floats]),
        ..message(&echo, "n1")
    };
    queue.accept(vec![sent.clone()], None).await.unwrap();
    assert!(claim(&queue, &echo).await.message == sent);
}

/// Nested arrays.
fn nested(levels: usize) -> Value {
    (0..levels).fold(json!("core"), |inner, _| json!([inner]))
}

/// What came in as JSON is at most 128 levels deep, and its reader puts it into something.
pub(crate) async fn deep_bodies_come_back_or_are_refused<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let deep = |note: &str, levels: usize| Message {
        body: nested(levels),
        ..message(&echo, note)
    };
    let sent = deep("n1", 200);
    queue.accept(vec![sent.clone()], None).await.unwrap();
    let claim = claim(&queue, &echo).await;
    assert!(claim.message == sent);

    let batch = vec![message(&echo, "n2"), deep("n3", 1000)];
    let refused = queue.accept(batch, cursor("home", 5)).await.unwrap_err();
    assert!(matches!(refused, QueueError::Refused { .. }), "{refused:?}");
    assert_eq!(queue.cursor("home").await.unwrap(), 0);
    assert_eq!(queue.turn_of("home", "n2").await.unwrap(), None);
    let settlement = Settlement {
        record: nested(1000),
        ..done()
    };
    let refused = queue.settle(claim.lease, settlement, Vec::new()).await.unwrap_err();
    assert!(
        matches!(refused, LeaseError::Queue(QueueError::Refused { .. })),
        "{refused:?}"
    );
    queue.settle(claim.lease, done(), Vec::new()).await.unwrap();
}

pub(crate) async fn a_cursor_that_cannot_be_stored_is_refused<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let refused = queue
        .accept(vec![message(&echo, "n1")], cursor("home", u64::MAX))
        .await
        .unwrap_err();
    let told = refused.to_string();
    assert!(told.contains("home") && told.contains(&u64::MAX.to_string()), "{told}");
    assert_eq!(queue.turn_of("home", "n1").await.unwrap(), None);
    assert_eq!(queue.cursor("home").await.unwrap(), 0);
}
