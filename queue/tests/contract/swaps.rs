//! Names that several notes take or leave at once.

use pretty_assertions::assert_eq;
use reveille_queue::{Binding, Pause, Queue, QueueError};

use crate::renames::{bind, binding, consistent, history, name, renamed};
use crate::support::{Factory, accept, claim, lane, line, subject};

/// Two agents that swap their names: each keeps its conversations, its line, its pause and its ledger.
pub(crate) async fn a_swap_crosses_no_wires<F: Factory>(storage: &F) {
    let queue = storage.open();
    bind(&queue, &[("d1", "a"), ("d2", "b"), ("d3", "c")]).await;
    for (number, channel) in (1_u64..).zip(["a", "b", "c"]) {
        history(&queue, &lane(channel), &format!("{channel}1"), number).await;
        history(&queue, &subject(channel, channel), &format!("{channel}2"), number * 10).await;
        accept(
            &queue,
            &lane(channel),
            &[&format!("{channel}3"), &format!("{channel}4")],
        )
        .await;
        claim(&queue, &lane(channel)).await;
    }
    let pause = Pause {
        code: "person".into(),
        reason: String::new(),
        since: storage.clock().now(),
        until: None,
    };
    queue.pause(&name("a"), pause.clone()).await.unwrap();
    let look = async |channel: &str| {
        let channel = name(channel);
        let found = queue.conversations(&channel).await.unwrap();
        let conversations: Vec<_> = found
            .into_iter()
            .map(|one| (one.id, one.lane.thread, one.session, one.turns))
            .collect();
        let today = queue.today(storage.clock().now(), None).await.unwrap();
        let today = today
            .into_iter()
            .find(|(one, _)| *one == channel)
            .map(|(_, totals)| totals);
        (conversations, line(&queue, &channel).await, today)
    };
    let [a, b, c] = [look("a").await, look("b").await, look("c").await];

    let swapped = bind(&queue, &[("d1", "b"), ("d2", "a")]).await;
    assert_eq!(swapped, [renamed("a", "b"), renamed("b", "a")]);
    assert_eq!([look("b").await, look("a").await, look("c").await], [a, b, c]);
    assert_eq!(queue.pauses().await.unwrap(), [(name("b"), pause)]);
    assert_eq!(bind(&queue, &[("d1", "b"), ("d2", "a")]).await, []);
    consistent(&queue, &["a", "b", "c"]).await;

    // In a circle, and one by one into a name that another one leaves.
    let [a, b, c] = [look("a").await, look("b").await, look("c").await];
    bind(&queue, &[("d2", "b"), ("d1", "c"), ("d3", "a")]).await;
    assert_eq!(
        [look("b").await, look("c").await, look("a").await],
        [a.clone(), b.clone(), c.clone()]
    );
    bind(&queue, &[("d3", "b"), ("d2", "new")]).await;
    assert_eq!([look("new").await, look("c").await, look("b").await], [a, b, c]);
    assert_eq!(look("a").await, (vec![], vec![], None));
    let held = [binding("d1", "c"), binding("d2", "new"), binding("d3", "b")];
    assert_eq!(queue.bindings().await.unwrap(), held);
    consistent(&queue, &["a", "b", "c", "new"]).await;
}

/// A name that somebody left is free for another note, in the same call and in any order: it gets nothing of what moved.
pub(crate) async fn a_newcomer_gets_nothing_of_what_moves<F: Factory>(storage: &F) {
    let queue = storage.open();
    for (number, (newcomer, to)) in [("e1", "b"), ("e2", "c"), ("e3", "d")].into_iter().enumerate() {
        let from = ["a", "b", "c"][number];
        if number == 0 {
            bind(&queue, &[("d1", from)]).await;
            accept(&queue, &lane(from), &["n1"]).await;
        }
        let mut bindings = [(newcomer, from), ("d1", to)];
        if number == 1 {
            bindings.reverse();
        }
        assert_eq!(bind(&queue, &bindings).await, [renamed(from, to)]);
        assert_eq!(line(&queue, &name(from)).await, [""; 0]);
        assert_eq!(line(&queue, &name(to)).await, ["n1"]);
    }
    let held = [
        binding("d1", "d"),
        binding("e1", "a"),
        binding("e2", "b"),
        binding("e3", "c"),
    ];
    assert_eq!(queue.bindings().await.unwrap(), held);
}

/// Who lost its name to another note has no right to what that one has there.
pub(crate) async fn who_lost_a_name_takes_nothing_along<F: Factory>(storage: &F) {
    let queue = storage.open();
    bind(&queue, &[("d1", "a"), ("d2", "b")]).await;
    accept(&queue, &lane("a"), &["n1"]).await;
    bind(&queue, &[("d1", "b")]).await;
    assert_eq!(queue.bindings().await.unwrap(), [binding("d1", "b")]);
    assert_eq!(bind(&queue, &[("d2", "a")]).await, []);
    assert_eq!(line(&queue, &name("b")).await, ["n1"]);
    assert_eq!(line(&queue, &name("a")).await, [""; 0]);
    // By its name alone, too.
    assert_eq!(bind(&queue, &[("d3", "b")]).await, []);
    assert_eq!(bind(&queue, &[("d1", "c")]).await, []);
    assert_eq!(line(&queue, &name("b")).await, ["n1"]);
    let held = [binding("d1", "c"), binding("d2", "a"), binding("d3", "b")];
    assert_eq!(queue.bindings().await.unwrap(), held);
}

pub(crate) async fn two_cannot_hold_one_name<F: Factory>(storage: &F) {
    let queue = storage.open();
    bind(&queue, &[("d1", "a"), ("d2", "b")]).await;
    accept(&queue, &lane("a"), &["n1"]).await;
    for contradiction in [
        [("d1", "c"), ("d2", "c")],
        [("d1", "a"), ("d3", "a")],
        [("d1", "c"), ("d1", "d")],
    ] {
        let bindings = contradiction.map(|(note, channel)| binding(note, channel)).to_vec();
        let answer = queue.bind(bindings).await;
        assert!(matches!(answer, Err(QueueError::Refused { .. })), "{answer:?}");
    }
    assert_eq!(
        queue.bindings().await.unwrap(),
        [binding("d1", "a"), binding("d2", "b")]
    );
    assert_eq!(line(&queue, &name("a")).await, ["n1"]);
    // To say it twice is no contradiction; the same note of another vault is another note.
    assert_eq!(bind(&queue, &[("d1", "c"), ("d1", "c")]).await, [renamed("a", "c")]);
    let away = Binding {
        vault: "away".into(),
        ..binding("d1", "d")
    };
    assert_eq!(queue.bind(vec![away.clone(), binding("d1", "c")]).await.unwrap(), []);
    assert_eq!(
        queue.bindings().await.unwrap(),
        [away, binding("d1", "c"), binding("d2", "b")]
    );
}
