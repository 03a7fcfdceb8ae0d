//! Who is next.

use pretty_assertions::assert_eq;
use reveille_queue::{Lane, Queue, Spend, ThreadKey};

use crate::support::{Factory, accept, claim, done, drain, lane, message, run, subject};

pub(crate) async fn a_lane_is_first_in_first_out<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    accept(&queue, &echo, &["z", "a"]).await;
    accept(&queue, &echo, &["m"]).await;
    assert_eq!(run(&queue, &echo, Vec::new()).await.message.note, "z");
    accept(&queue, &echo, &["b", "a"]).await;
    drop(queue);
    let queue = storage.open();
    accept(&queue, &echo, &["c"]).await;
    assert_eq!(drain(&queue, &echo).await, ["a", "m", "b", "c"]);
}

pub(crate) async fn a_clock_that_goes_back_changes_no_order<F: Factory>(storage: &F) {
    let mut queue = storage.open();
    let (echo, other) = (lane("echo"), lane("other"));
    let notes: Vec<String> = (0..8).map(|number| format!("n{number}")).collect();
    accept(&queue, &other, &["first"]).await;
    for note in &notes {
        storage.clock().shift(-3600);
        accept(&queue, &echo, &[note]).await;
        drop(queue);
        queue = storage.open();
    }
    assert_eq!(queue.lanes().await.unwrap(), [other, echo.clone()]);
    let open = queue.open_turns(&echo.channel, 10_000).await.unwrap();
    let listed: Vec<String> = open.into_iter().map(|turn| turn.message.note).collect();
    assert_eq!(listed, notes);
    assert_eq!(drain(&queue, &echo).await, notes);
}

pub(crate) async fn a_lane_has_one_worker<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    accept(&queue, &echo, &["n1", "n2"]).await;
    let first = claim(&queue, &echo).await;
    assert_eq!(queue.claim(&echo).await.unwrap(), None);
    queue.begin(first.lease, uuid::Uuid::from_u128(1)).await.unwrap();
    assert_eq!(queue.claim(&echo).await.unwrap(), None);
    queue.settle(first.lease, done(), Vec::new()).await.unwrap();
    assert_eq!(claim(&queue, &echo).await.message.note, "n2");
    assert_eq!(queue.claim(&echo).await.unwrap(), None);
}

pub(crate) async fn lanes_do_not_wait_for_each_other<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (a, b) = (lane("a"), lane("b"));
    accept(&queue, &a, &["a1", "a2"]).await;
    accept(&queue, &b, &["b1", "b2"]).await;
    let first = claim(&queue, &a).await;
    assert_eq!(drain(&queue, &b).await, ["b1", "b2"]);
    queue.settle(first.lease, done(), Vec::new()).await.unwrap();
    assert_eq!(drain(&queue, &a).await, ["a2"]);
}

pub(crate) async fn threads_of_a_channel_are_lanes<F: Factory>(storage: &F) {
    let queue = storage.open();
    let single = Lane {
        channel: "echo".parse().unwrap(),
        thread: ThreadKey::Single("x".into()),
    };
    let lanes = [
        lane("echo"),
        subject("echo", "x"),
        subject("echo", "X"),
        subject("echo", ""),
        single,
    ];
    let batch = (0..10).map(|n| message(&lanes[n % 5], &format!("n{n}"))).collect();
    queue.accept(batch, None).await.unwrap();
    let mut claims = Vec::new();
    for (number, lane) in lanes.iter().enumerate() {
        let claim = claim(&queue, lane).await;
        assert_eq!(claim.message.note, format!("n{number}"));
        assert_eq!(&claim.conversation.lane, lane);
        claims.push(claim);
    }
    assert_eq!(queue.conversations(&lanes[0].channel).await.unwrap().len(), 5);
    queue.settle(claims[1].lease, done(), Vec::new()).await.unwrap();
    let mut next = Vec::new();
    for lane in &lanes {
        next.push(queue.claim(lane).await.unwrap().map(|claim| claim.message.note));
    }
    assert_eq!(next, [None, Some("n6".to_owned()), None, None, None]);
}

pub(crate) async fn a_released_turn_keeps_its_place<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    accept(&queue, &echo, &["n1", "n2"]).await;
    let first = claim(&queue, &echo).await;
    accept(&queue, &echo, &["n3"]).await;
    queue.release(first.lease, Spend::default()).await.unwrap();
    assert_eq!(drain(&queue, &echo).await, ["n1", "n2", "n3"]);
}

pub(crate) async fn lanes_are_listed_by_their_oldest<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (a, b, c) = (lane("a"), subject("b", "s"), lane("c"));
    assert_eq!(queue.lanes().await.unwrap(), []);
    let batch = [(&c, "1"), (&a, "2"), (&b, "3"), (&c, "4"), (&a, "5")];
    let batch = batch.map(|(lane, note)| message(lane, note)).to_vec();
    queue.accept(batch, None).await.unwrap();
    assert_eq!(queue.lanes().await.unwrap(), [c.clone(), a.clone(), b.clone()]);

    let working = claim(&queue, &c).await;
    assert_eq!(queue.lanes().await.unwrap(), [a.clone(), b.clone(), c.clone()]);
    queue.release(working.lease, Spend::default()).await.unwrap();
    assert_eq!(queue.lanes().await.unwrap(), [c.clone(), a.clone(), b.clone()]);

    drain(&queue, &c).await;
    run(&queue, &a, Vec::new()).await;
    assert_eq!(queue.lanes().await.unwrap(), [b.clone(), a.clone()]);
    claim(&queue, &b).await;
    assert_eq!(queue.lanes().await.unwrap(), std::slice::from_ref(&a));
    drain(&queue, &a).await;
    assert_eq!(queue.lanes().await.unwrap(), []);
}

pub(crate) async fn an_unknown_lane_has_nothing<F: Factory>(storage: &F) {
    let queue = storage.open();
    let nobody = lane("nobody");
    assert_eq!(queue.claim(&nobody).await.unwrap(), None);
    assert_eq!(queue.open_turns(&nobody.channel, 10_000).await.unwrap(), []);
    assert_eq!(queue.settled(&nobody.channel, 5).await.unwrap(), []);
    assert_eq!(queue.conversations(&nobody.channel).await.unwrap(), []);
    assert_eq!(queue.depths().await.unwrap(), []);
}
