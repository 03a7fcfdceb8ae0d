//! What a person is shown.

use pretty_assertions::assert_eq;
use reveille_queue::{Message, MessageMode, Queue, Spend, State, Turn};
use uuid::Uuid;

use crate::support::{Factory, accept, claim, done, drain, lane, message, run, subject};

fn notes(turns: &[Turn]) -> Vec<&str> {
    turns.iter().map(|turn| turn.message.note.as_str()).collect()
}

pub(crate) async fn open_turns_come_working_first<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (main, aside) = (lane("echo"), subject("echo", "aside"));
    let batch = [(&main, "1"), (&main, "2"), (&aside, "3"), (&main, "4"), (&aside, "5")];
    let batch = batch.map(|(lane, note)| message(lane, note)).to_vec();
    queue.accept(batch, None).await.unwrap();
    accept(&queue, &lane("other"), &["x"]).await;
    let open = async || queue.open_turns(&main.channel, 10_000).await.unwrap();
    assert_eq!(notes(&open().await), ["1", "2", "3", "4", "5"]);

    let third = claim(&queue, &aside).await.lease;
    assert_eq!(notes(&open().await), ["3", "1", "2", "4", "5"]);
    let first = claim(&queue, &main).await.lease;
    let turns = open().await;
    let states: Vec<State> = turns.iter().map(|turn| turn.state).collect();
    use State::{Waiting, Working};
    assert_eq!(states, [Working, Working, Waiting, Waiting, Waiting]);
    assert_eq!(notes(&turns)[2..], ["2", "4", "5"]);
    for turn in &turns {
        assert_eq!(queue.turn(turn.id).await.unwrap().as_ref(), Some(turn));
    }

    queue.settle(first, done(), Vec::new()).await.unwrap();
    assert_eq!(notes(&open().await), ["3", "2", "4", "5"]);
    queue.release(third, Spend::default()).await.unwrap();
    assert_eq!(notes(&open().await), ["2", "3", "4", "5"]);
}

pub(crate) async fn a_place_counts_what_is_before_it<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (main, aside) = (lane("a"), subject("a", "aside"));
    let turns = accept(&queue, &main, &["1", "2", "3"]).await;
    let other = accept(&queue, &aside, &["4"]).await;
    let ahead = async |turn: Uuid| queue.place(turn).await.unwrap().map(|place| place.ahead);
    assert_eq!(
        [ahead(turns[0]).await, ahead(turns[2]).await, ahead(other[0]).await],
        [Some(0), Some(2), Some(0)]
    );
    let conversation = queue.turn(turns[0]).await.unwrap().unwrap().conversation;
    assert_eq!(
        queue.place(turns[2]).await.unwrap().map(|place| place.conversation),
        Some(conversation)
    );

    let lease = claim(&queue, &main).await.lease;
    assert_eq!([ahead(turns[0]).await, ahead(turns[2]).await], [Some(0), Some(2)]);
    queue.settle(lease, done(), Vec::new()).await.unwrap();
    assert_eq!(
        [ahead(turns[0]).await, ahead(turns[2]).await, ahead(Uuid::nil()).await],
        [None, Some(1), None]
    );
}

pub(crate) async fn waiting_turns_are_counted_so_far<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (main, aside, other) = (lane("a"), subject("a", "aside"), lane("b"));
    let count = async |most: u32| queue.waiting(&main.channel, most).await.unwrap();
    assert_eq!(count(u32::MAX).await, 0);
    let turns = accept(&queue, &main, &["1", "2", "3"]).await;
    accept(&queue, &aside, &["4"]).await;
    accept(&queue, &other, &["5"]).await;
    queue.hold(turns[2], true).await.unwrap();
    assert_eq!(
        [count(0).await, count(3).await, count(4).await, count(u32::MAX).await],
        [0, 3, 4, 4]
    );
    let lease = claim(&queue, &main).await.lease;
    assert_eq!(count(9).await, 3);
    queue.release(lease, Spend::default()).await.unwrap();
    queue.cancel(turns[2], done(), Vec::new()).await.unwrap();
    assert_eq!(count(9).await, 3);
}

pub(crate) async fn depths_count_turns_in_line<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (a, aside, b) = (lane("a"), subject("a", "aside"), lane("b"));
    accept(&queue, &a, &["1", "2"]).await;
    accept(&queue, &aside, &["3"]).await;
    accept(&queue, &b, &["4"]).await;
    let depths = async || {
        let mut depths = queue.depths().await.unwrap();
        depths.sort();
        depths
            .into_iter()
            .map(|(channel, depth)| (channel.to_string(), depth))
            .collect::<Vec<_>>()
    };
    assert_eq!(depths().await, [("a".to_owned(), 3), ("b".to_owned(), 1)]);
    let lease = claim(&queue, &a).await.lease;
    claim(&queue, &b).await;
    assert_eq!(depths().await, [("a".to_owned(), 2)]);
    queue.release(lease, Spend::default()).await.unwrap();
    assert_eq!(depths().await, [("a".to_owned(), 3)]);
    drain(&queue, &a).await;
    drain(&queue, &aside).await;
    assert_eq!(depths().await, []);
}

pub(crate) async fn settled_turns_come_newest_first<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (main, aside) = (lane("echo"), subject("echo", "aside"));
    accept(&queue, &main, &["1", "2", "3"]).await;
    accept(&queue, &aside, &["4"]).await;
    accept(&queue, &lane("other"), &["x"]).await;
    for lane in [&main, &aside, &main] {
        storage.clock().shift(1);
        run(&queue, lane, Vec::new()).await;
    }
    storage.clock().shift(1);
    run(&queue, &lane("other"), Vec::new()).await;
    let settled = queue.settled(&main.channel, 9).await.unwrap();
    assert_eq!(notes(&settled), ["2", "4", "1"]);
    for turn in &settled {
        assert_eq!(queue.turn(turn.id).await.unwrap().as_ref(), Some(turn));
    }
    assert_eq!(notes(&queue.settled(&main.channel, 2).await.unwrap()), ["2", "4"]);
    assert_eq!(queue.settled(&main.channel, 0).await.unwrap(), []);
    // Page by page it is the same.
    let mut paged = queue.settled(&main.channel, 1).await.unwrap();
    while let Some(last) = paged.last().map(|turn| turn.id) {
        let page = queue.settled_before(&main.channel, last, 1).await.unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, settled);
    let behind = queue.settled_before(&main.channel, settled[0].id, 9).await.unwrap();
    assert_eq!(behind, settled[1..]);
    assert_eq!(
        queue.settled_before(&main.channel, uuid::Uuid::nil(), 9).await.unwrap(),
        []
    );
    assert_eq!(queue.settled(&main.channel, u32::MAX).await.unwrap(), settled);
}

pub(crate) async fn a_turn_is_found_by_its_message<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let turn = accept(&queue, &echo, &["n1"]).await[0];
    assert_eq!(
        queue.turn_of("home", "n1").await.unwrap(),
        queue.turn(turn).await.unwrap()
    );
    assert_eq!(queue.turn_of("home", "n2").await.unwrap(), None);
    assert_eq!(queue.turn_of("away", "n1").await.unwrap(), None);
    assert_eq!(queue.turn(Uuid::from_u128(404)).await.unwrap(), None);
    run(&queue, &echo, Vec::new()).await;
    let found = queue.turn_of("home", "n1").await.unwrap().unwrap();
    assert_eq!((found.id, found.state), (turn, State::Ok));
}

pub(crate) async fn a_turn_is_listed_with_those_that_joined_it<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let collected = ["1", "2", "3"].map(|note| Message {
        mode: MessageMode::Collect,
        ..message(&echo, note)
    });
    queue.accept(collected.to_vec(), None).await.unwrap();
    accept(&queue, &echo, &["4"]).await;
    let first = run(&queue, &echo, Vec::new()).await.lease.turn;
    let company = queue.company(first).await.unwrap();
    assert_eq!(notes(&company), ["1", "2", "3"]);
    assert_eq!(notes(&queue.company(company[1].id).await.unwrap()), ["2"]);
    assert_eq!(queue.company(Uuid::from_u128(404)).await.unwrap(), []);
}

pub(crate) async fn a_turn_is_found_by_a_part_of_its_identity<F: Factory>(storage: &F) {
    let queue = storage.open();
    let turns = accept(&queue, &lane("echo"), &["1", "2", "3"]).await;
    let called = async |part: &str, most: u32| queue.turns_called(part, most).await.unwrap();
    for turn in &turns {
        let digits = turn.simple().to_string();
        assert_eq!(called(&digits, 9).await, [*turn]);
        assert_eq!(called(&digits[20..].to_uppercase(), 9).await, [*turn]);
    }
    // All three were made within the same minutes.
    let mut beginning = called(&turns[0].simple().to_string()[..6], 9).await;
    beginning.sort();
    let mut all = turns.clone();
    all.sort();
    assert_eq!(beginning, all);
    assert_eq!(called(&turns[0].simple().to_string()[..6], 2).await.len(), 2);
    let nothing: [Uuid; 0] = [];
    for part in ["", "%", "_", "ffffffffffff", "no digits"] {
        assert_eq!(called(part, 9).await, nothing, "{part}");
    }
}

pub(crate) async fn conversations_come_oldest_first<F: Factory>(storage: &F) {
    let queue = storage.open();
    let lanes = [subject("echo", "z"), lane("echo"), subject("echo", "a")];
    for (number, lane) in lanes.iter().enumerate() {
        storage.clock().shift(-10);
        accept(&queue, lane, &[&format!("n{number}")]).await;
    }
    accept(&queue, &lane("other"), &["x"]).await;
    run(&queue, &lanes[2], Vec::new()).await;
    accept(&queue, &lanes[0], &["n9"]).await;
    let found = queue.conversations(&lanes[0].channel).await.unwrap();
    let listed: Vec<_> = found.iter().map(|conversation| conversation.lane.clone()).collect();
    assert_eq!(listed, lanes);
    let turns = queue.open_turns(&lanes[0].channel, 10_000).await.unwrap();
    for turn in turns {
        let conversation = found.iter().find(|c| c.id == turn.conversation).unwrap();
        assert_eq!(conversation.lane, turn.message.lane);
    }
}
