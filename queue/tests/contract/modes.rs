//! Messages that go to the front, and messages that share a turn.

use pretty_assertions::assert_eq;
use reveille_queue::{Claim, Conversation, Lane, LeaseError, Message, MessageMode, Position, Queue, Spend, State};
use serde_json::json;
use uuid::Uuid;

use crate::support::{
    Factory, accept, accept_as, bodies, cancelled, claim, done, drain, effect, lane, line, message, nano, run, state,
    subject,
};

use MessageMode::{Collect, Followup, Interrupt};

const SESSION: Uuid = Uuid::from_u128(1);

fn joined(claim: &Claim) -> Vec<&str> {
    claim.joined.iter().map(|joined| joined.message.note.as_str()).collect()
}

/// The notes of each turn of a lane: the one that was claimed, then those that joined. Settles them.
async fn shared(queue: &impl Queue, lane: &Lane) -> Vec<Vec<String>> {
    let mut turns = Vec::new();
    while let Some(claim) = queue.claim(lane).await.unwrap() {
        queue.settle(claim.lease, done(), Vec::new()).await.unwrap();
        let notes = joined(&claim).into_iter().map(str::to_owned);
        turns.push(std::iter::once(claim.message.note.clone()).chain(notes).collect());
    }
    turns
}

async fn accept_all(queue: &impl Queue, lane: &Lane, messages: &[(&str, MessageMode)]) -> Vec<Uuid> {
    let mut turns = Vec::new();
    for (note, mode) in messages {
        turns.extend(accept_as(queue, lane, *mode, &[note]).await);
    }
    turns
}

pub(crate) async fn an_interrupt_goes_to_the_front<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (echo, aside) = (lane("echo"), subject("echo", "aside"));
    accept(&queue, &echo, &["n1", "n2"]).await;
    accept(&queue, &aside, &["n3"]).await;
    let running = claim(&queue, &echo).await;
    let turn = accept_as(&queue, &echo, Interrupt, &["n4"]).await[0];
    assert_eq!(line(&queue, &echo.channel).await, ["n1", "n4", "n3", "n2"]);
    assert_eq!(queue.claim(&echo).await.unwrap(), None, "the lane has its worker still");
    assert_eq!(queue.place(turn).await.unwrap().unwrap().ahead, 1);
    queue.settle(running.lease, done(), Vec::new()).await.unwrap();
    accept(&queue, &echo, &["n5"]).await;
    accept_as(&queue, &echo, Interrupt, &["n6", "n7"]).await;
    assert_eq!(drain(&queue, &echo).await, ["n7", "n6", "n4", "n2", "n5"]);
    assert_eq!(drain(&queue, &aside).await, ["n3"]);
}

pub(crate) async fn an_interrupt_goes_before_held_turns<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let held = accept(&queue, &echo, &["n1", "n2"]).await[0];
    queue.hold(held, true).await.unwrap();
    accept_as(&queue, &echo, Interrupt, &["n3"]).await;
    queue.hold(held, false).await.unwrap();
    assert_eq!(drain(&queue, &echo).await, ["n3", "n1", "n2"]);
}

pub(crate) async fn a_mode_comes_back<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    for mode in [Followup, Collect, Interrupt] {
        let sent = Message {
            mode,
            ..message(&echo, mode.as_str())
        };
        let turn = queue.accept(vec![sent.clone()], None).await.unwrap()[0].turn;
        assert_eq!(queue.turn(turn).await.unwrap().unwrap().message, sent);
        assert_eq!(run(&queue, &echo, Vec::new()).await.message, sent);
        assert_eq!(MessageMode::parse(mode.as_str()), Some(mode));
    }
    assert_eq!(MessageMode::parse("Collect"), None);
}

pub(crate) async fn collected_messages_share_a_turn<F: Factory>(storage: &F) {
    let mut queue = storage.open();
    let (echo, aside) = (lane("echo"), subject("echo", "aside"));
    let turns = accept_as(&queue, &echo, Collect, &["n1", "n2", "n3"]).await;
    accept_as(&queue, &aside, Collect, &["n4"]).await;
    let claimed_at = storage.clock().shift(1);
    let claim = claim(&queue, &echo).await;
    assert_eq!((claim.lease.turn, joined(&claim)), (turns[0], vec!["n2", "n3"]));
    let ids: Vec<Uuid> = claim.joined.iter().map(|joined| joined.turn).collect();
    assert_eq!(ids, turns[1..]);
    for message in claim.joined.iter().map(|joined| &joined.message) {
        assert_eq!(
            queue.turn_of("home", &message.note).await.unwrap().unwrap().message,
            *message
        );
    }
    assert_eq!(queue.claim(&echo).await.unwrap(), None);
    assert_eq!(queue.depths().await.unwrap(), [(echo.channel.clone(), 1)]);
    let ahead = async |turn: Uuid| queue.place(turn).await.unwrap().unwrap().ahead;
    assert_eq!([ahead(turns[0]).await, ahead(turns[2]).await], [0, 0]);
    let late = accept_as(&queue, &echo, Collect, &["n5"]).await[0];
    assert_eq!(ahead(late).await, 1, "one turn is before it");

    let settled_at = storage.clock().shift(1);
    queue.begin(claim.lease, SESSION).await.unwrap();
    let settlement = reveille_queue::Settlement {
        state: State::Error,
        spend: nano(9),
        ..done()
    };
    let effects = vec![effect("home", json!(1))];
    queue.settle(claim.lease, settlement, effects).await.unwrap();
    drop(queue);
    queue = storage.open();
    queue.recover().await.unwrap();
    for (number, turn) in turns.iter().enumerate() {
        let found = queue.turn(*turn).await.unwrap().unwrap();
        assert_eq!((found.state, found.settled_at), (State::Error, Some(settled_at)));
        assert_eq!(found.record, Some(json!({ "reply": "done" })));
        let (leader, spend) = if number == 0 {
            (None, nano(9))
        } else {
            (Some(turns[0]), Spend::default())
        };
        assert_eq!((found.leader, found.spend), (leader, spend));
    }
    assert_eq!(queue.settled(&echo.channel, 9).await.unwrap().len(), 3);
    assert_eq!(bodies(queue.outbox(9).await.unwrap()), [json!(1)]);
    let expected = Conversation {
        id: claim.conversation.id,
        lane: echo.clone(),
        session: None,
        turns: 1,
        started_at: Some(claimed_at),
        spend: nano(9),
    };
    assert_eq!(queue.conversations(&echo.channel).await.unwrap()[0], expected);
    assert_eq!(shared(&queue, &echo).await, [["n5"]]);
    assert_eq!(shared(&queue, &aside).await, [["n4"]]);
}

/// Only those directly behind: another kind ends the row, also when there are more of the kind behind it.
pub(crate) async fn another_kind_ends_the_row<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let messages = [
        ("n1", Followup),
        ("n2", Collect),
        ("n3", Collect),
        ("n4", Followup),
        ("n5", Collect),
    ];
    accept_all(&queue, &echo, &messages).await;
    let order = shared(&queue, &echo).await;
    assert_eq!(order, [vec!["n1"], vec!["n2", "n3"], vec!["n4"], vec!["n5"]]);

    let turns = accept_all(&queue, &echo, &[("n6", Collect), ("n7", Followup), ("n8", Collect)]).await;
    queue.reposition(turns[2], Position::First).await.unwrap();
    assert_eq!(shared(&queue, &echo).await, [vec!["n8", "n6"], vec!["n7"]]);
    let turns = accept_all(&queue, &echo, &[("n9", Interrupt), ("n10", Collect), ("n11", Collect)]).await;
    queue.reposition(turns[0], Position::Before(turns[2])).await.unwrap();
    assert_eq!(shared(&queue, &echo).await, [["n10"], ["n9"], ["n11"]]);
}

/// As with a claim: those behind a held turn pass it, whatever its kind.
pub(crate) async fn a_held_turn_does_not_end_the_row<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let messages = [("n1", Collect), ("n2", Followup), ("n3", Collect), ("n4", Collect)];
    let turns = accept_all(&queue, &echo, &messages).await;
    queue.hold(turns[1], true).await.unwrap();
    queue.hold(turns[2], true).await.unwrap();
    assert_eq!(shared(&queue, &echo).await, [["n1", "n4"]]);
    assert_eq!(state(&queue, turns[2]).await, State::Waiting);
    queue.hold(turns[2], false).await.unwrap();
    queue.hold(turns[1], false).await.unwrap();
    assert_eq!(shared(&queue, &echo).await, [["n2"], ["n3"]]);
}

pub(crate) async fn joined_messages_come_with_the_next_claim<F: Factory>(storage: &F) {
    let mut queue = storage.open();
    let echo = lane("echo");
    let turns = accept_as(&queue, &echo, Collect, &["n1", "n2"]).await;
    for way in 0..3 {
        let claim = claim(&queue, &echo).await;
        assert_eq!((claim.lease.turn, joined(&claim)), (turns[0], vec!["n2"]));
        match way {
            0 => queue.release(claim.lease, Spend::default()).await.unwrap(),
            1 => drop(queue.expire(jiff::Timestamp::MAX).await.unwrap()),
            _ => {
                drop(queue);
                queue = storage.open();
                queue.recover().await.unwrap();
            }
        }
        assert_eq!(
            [state(&queue, turns[0]).await, state(&queue, turns[1]).await],
            [State::Waiting, State::Joined]
        );
        assert_eq!(line(&queue, &echo.channel).await, ["n1", "n2"], "both are in line");
    }
    // The prompt was not given: what has come meanwhile joins as well, but not over another kind.
    accept_all(&queue, &echo, &[("n3", Collect), ("n4", Followup), ("n5", Collect)]).await;
    let order = shared(&queue, &echo).await;
    assert_eq!(order, [vec!["n1", "n2", "n3"], vec!["n4"], vec!["n5"]]);
}

pub(crate) async fn nobody_joins_a_turn_that_has_begun<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    accept_as(&queue, &echo, Collect, &["n1", "n2"]).await;
    let lease = claim(&queue, &echo).await.lease;
    queue.begin(lease, SESSION).await.unwrap();
    queue.release(lease, nano(1)).await.unwrap();
    accept_as(&queue, &echo, Collect, &["n3"]).await;
    let second = claim(&queue, &echo).await;
    assert_eq!((second.interruptions, joined(&second)), (1, vec!["n2"]));
    // It turns out that the prompt never arrived.
    queue.unbegin(second.lease).await.unwrap();
    queue.release(second.lease, Spend::default()).await.unwrap();
    assert_eq!(shared(&queue, &echo).await, [["n1", "n2", "n3"]]);
}

/// A turn that was cut off has a session to go on with; it is no mere text to be put into another prompt.
pub(crate) async fn a_turn_that_has_begun_joins_nobody<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let turns = accept_as(&queue, &echo, Collect, &["n1", "n2"]).await;
    let lease = claim(&queue, &echo).await.lease;
    queue.begin(lease, SESSION).await.unwrap();
    queue.release(lease, Spend::default()).await.unwrap();
    let front = accept_as(&queue, &echo, Collect, &["n3"]).await[0];
    queue.reposition(front, Position::First).await.unwrap();
    let first = claim(&queue, &echo).await;
    assert_eq!((first.lease.turn, joined(&first)), (front, vec![]));
    queue.settle(first.lease, done(), Vec::new()).await.unwrap();
    let second = claim(&queue, &echo).await;
    assert_eq!((second.lease.turn, second.begun_session), (turns[0], Some(SESSION)));
    assert_eq!(joined(&second), ["n2"]);
}

/// A turn that others had joined joins another one itself: all of them end with that one.
pub(crate) async fn a_turn_brings_those_that_had_joined_it<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let group = accept_as(&queue, &echo, Collect, &["n1", "n2", "n3"]).await;
    let stale = claim(&queue, &echo).await.lease;
    queue.release(stale, Spend::default()).await.unwrap();
    let late = accept_as(&queue, &echo, Collect, &["n4", "n5"]).await;
    queue.reposition(late[1], Position::First).await.unwrap();

    let first = claim(&queue, &echo).await;
    let mut notes = joined(&first);
    notes.sort_unstable();
    assert_eq!(
        (first.message.note.as_str(), notes),
        ("n5", vec!["n1", "n2", "n3", "n4"])
    );
    for turn in group.iter().chain(&late[..1]) {
        let turn = queue.turn(*turn).await.unwrap().unwrap();
        assert_eq!((turn.state, turn.leader), (State::Joined, Some(late[1])));
    }
    let gone = LeaseError::Stale { turn: group[0] };
    assert_eq!(queue.settle(stale, done(), Vec::new()).await, Err(gone));
    queue.settle(first.lease, done(), Vec::new()).await.unwrap();
    for turn in group.into_iter().chain(late) {
        assert_eq!(state(&queue, turn).await, State::Ok);
    }
    assert_eq!(queue.open_turns(&echo.channel, 9).await.unwrap(), []);
    assert_eq!(queue.lanes().await.unwrap(), []);
}

/// A prompt has an end: 50 join, also over several claims and with those that bring others.
pub(crate) async fn a_shared_turn_has_an_end<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let notes = |from: usize, to: usize| (from..to).map(|number| format!("n{number}")).collect::<Vec<_>>();
    let accept = async |from: usize, to: usize| {
        let notes = notes(from, to);
        accept_as(
            &queue,
            &echo,
            Collect,
            &notes.iter().map(String::as_str).collect::<Vec<_>>(),
        )
        .await
    };
    accept(0, 30).await;
    let first = claim(&queue, &echo).await;
    assert_eq!(first.joined.len(), 29);
    queue.release(first.lease, Spend::default()).await.unwrap();
    accept(30, 100).await;
    let second = claim(&queue, &echo).await;
    assert_eq!(
        (second.message.note.as_str(), joined(&second)),
        ("n0", notes(1, 51).iter().map(String::as_str).collect())
    );
    queue.release(second.lease, Spend::default()).await.unwrap();
    // The group of 51 does not fit into another turn: the row ends before it.
    let front = accept(100, 101).await[0];
    queue.reposition(front, Position::First).await.unwrap();
    let mut sizes = Vec::new();
    for turn in shared(&queue, &echo).await {
        sizes.push((turn[0].clone(), turn.len()));
    }
    let expected = [("n100", 1), ("n0", 51), ("n51", 49)].map(|(note, count)| (note.to_owned(), count));
    assert_eq!(sizes, expected);
}

pub(crate) async fn a_cancelled_turn_lets_the_joined_go<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let turns = accept_as(&queue, &echo, Collect, &["n1", "n2", "n3"]).await;
    let lease = claim(&queue, &echo).await.lease;
    accept(&queue, &echo, &["n4"]).await;
    queue.begin(lease, SESSION).await.unwrap();
    queue.release(lease, nano(3)).await.unwrap();
    queue.cancel(turns[0], cancelled(), Vec::new()).await.unwrap();
    for turn in &turns[1..] {
        let turn = queue.turn(*turn).await.unwrap().unwrap();
        assert_eq!((turn.state, turn.leader, turn.settled_at), (State::Waiting, None, None));
        assert_eq!((turn.record, turn.spend), (None, Spend::default()));
    }
    assert_eq!(line(&queue, &echo.channel).await, ["n2", "n3", "n4"]);
    let next = claim(&queue, &echo).await;
    assert_eq!((next.interruptions, next.begun_session), (0, None));
    queue.release(next.lease, Spend::default()).await.unwrap();
    assert_eq!(shared(&queue, &echo).await, [vec!["n2", "n3"], vec!["n4"]]);
}

/// Joined messages are shown behind the turn that they are part of, wherever that one stands.
pub(crate) async fn joined_turns_are_listed_with_theirs<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (echo, aside) = (lane("echo"), subject("echo", "aside"));
    let first = accept_as(&queue, &echo, Collect, &["n1", "n2"]).await[0];
    accept_as(&queue, &aside, Collect, &["n3", "n4"]).await;
    accept(&queue, &echo, &["n5", "n6"]).await;
    let main = claim(&queue, &echo).await.lease;
    let other = claim(&queue, &aside).await.lease;
    assert_eq!(line(&queue, &echo.channel).await, ["n1", "n2", "n3", "n4", "n5", "n6"]);
    queue.release(main, Spend::default()).await.unwrap();
    assert_eq!(line(&queue, &echo.channel).await, ["n3", "n4", "n1", "n2", "n5", "n6"]);
    queue.reposition(first, Position::Last).await.unwrap();
    assert_eq!(line(&queue, &echo.channel).await, ["n3", "n4", "n5", "n6", "n1", "n2"]);
    let place = async |note: &str| {
        let turn = queue.turn_of("home", note).await.unwrap().unwrap().id;
        queue.place(turn).await.unwrap().unwrap().ahead
    };
    assert_eq!(
        [
            place("n5").await,
            place("n6").await,
            place("n1").await,
            place("n2").await
        ],
        [0, 1, 2, 2]
    );
    let few = queue.open_turns(&echo.channel, 5).await.unwrap();
    let few: Vec<_> = few.into_iter().map(|turn| turn.message.note).collect();
    assert_eq!(few, ["n3", "n4", "n5", "n6", "n1"]);
    queue.hold(first, true).await.unwrap();
    queue.settle(other, done(), Vec::new()).await.unwrap();
    assert_eq!(drain(&queue, &echo).await, ["n5", "n6"]);
    queue.hold(first, false).await.unwrap();
    assert_eq!(shared(&queue, &echo).await, [["n1", "n2"]]);
}
