//! Which note holds which name, and names that move.

use pretty_assertions::assert_eq;
use reveille_queue::{
    Binding, ChannelName, Conversation, DayTotals, Lane, Message, MessageMode, Pause, Position, Queue, Renamed,
    SessionUpdate, Settlement, Spend, State, ThreadKey,
};
use serde_json::json;
use uuid::Uuid;

use crate::support::{
    Factory, accept, accept_as, cancelled, claim, claimed, done, drain, effect, hostile_texts, lane, line, nano, run,
    state, subject,
};

pub(crate) fn binding(note: &str, channel: &str) -> Binding {
    Binding {
        vault: "home".into(),
        note: note.into(),
        channel: channel.parse().unwrap(),
    }
}

pub(crate) fn renamed(from: &str, to: &str) -> Renamed {
    Renamed {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
    }
}

pub(crate) fn name(text: &str) -> ChannelName {
    text.parse().unwrap()
}

pub(crate) async fn bind(queue: &impl Queue, bindings: &[(&str, &str)]) -> Vec<Renamed> {
    let bindings = bindings.iter().map(|(note, channel)| binding(note, channel));
    queue.bind(bindings.collect()).await.unwrap()
}

/// A turn that costs something and establishes a session named by a number.
pub(crate) async fn history(queue: &impl Queue, lane: &Lane, note: &str, number: u64) {
    let lease = claimed(queue, lane, note).await;
    let settlement = Settlement {
        session: SessionUpdate::Set(Uuid::from_u128(number.into()), format!("/{number}")),
        spend: nano(number),
        ..done()
    };
    let effects = vec![effect("home", json!(note))];
    queue.settle(lease, settlement, effects).await.unwrap();
}

fn at(channel: &str, lane: &Lane) -> Lane {
    Lane {
        channel: channel.parse().unwrap(),
        ..lane.clone()
    }
}

/// Every turn, wherever it is shown, is of the channel of its conversation.
pub(crate) async fn consistent(queue: &impl Queue, channels: &[&str]) {
    for channel in channels {
        let channel = name(channel);
        let conversations = queue.conversations(&channel).await.unwrap();
        let mut turns = queue.open_turns(&channel, 10_000).await.unwrap();
        turns.extend(queue.settled(&channel, 10_000).await.unwrap());
        for turn in turns {
            let conversation = conversations.iter().find(|one| one.id == turn.conversation);
            assert_eq!(conversation.map(|one| &one.lane), Some(&turn.message.lane), "{turn:?}");
        }
    }
}

pub(crate) async fn a_first_binding_moves_nothing<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    accept(&queue, &echo, &["n1"]).await;
    assert_eq!(queue.bindings().await.unwrap(), []);
    assert_eq!(bind(&queue, &[("d1", "echo"), ("d2", "other")]).await, []);
    assert_eq!(bind(&queue, &[]).await, []);
    drop(queue);
    let queue = storage.open();
    let held = [binding("d1", "echo"), binding("d2", "other")];
    assert_eq!(queue.bindings().await.unwrap(), held);
    assert_eq!(bind(&queue, &[("d1", "echo"), ("d2", "other")]).await, []);
    assert_eq!(queue.bindings().await.unwrap(), held);
    assert_eq!(drain(&queue, &echo).await, ["n1"]);
}

/// Everything of the channel is there under its new name, and nothing under the old one.
pub(crate) async fn a_channel_moves_with_all_that_it_has<F: Factory>(storage: &F) {
    let mut queue = storage.open();
    bind(&queue, &[("d1", "old")]).await;
    let (main, aside, away) = (lane("old"), subject("old", "aside"), lane("away"));
    history(&queue, &main, "n1", 1).await;
    history(&queue, &aside, "n2", 2).await;
    history(&queue, &away, "x1", 100).await;
    accept(&queue, &away, &["x2"]).await;
    let group = accept_as(&queue, &main, MessageMode::Collect, &["n3", "n4"]).await;
    let working = claim(&queue, &main).await;
    queue.begin(working.lease, Uuid::from_u128(1)).await.unwrap();
    let waiting = accept(&queue, &main, &["n5", "n6"]).await;
    queue.reposition(waiting[1], Position::First).await.unwrap();
    queue.hold(waiting[0], true).await.unwrap();
    let parked = accept_as(&queue, &aside, MessageMode::Collect, &["n7", "n8"]).await;
    queue
        .release(claim(&queue, &aside).await.lease, nano(50))
        .await
        .unwrap();
    let pause = Pause {
        code: "person".into(),
        reason: "lunch".into(),
        since: storage.clock().now(),
        until: None,
    };
    queue.pause(&main.channel, pause.clone()).await.unwrap();
    let outbox = queue.outbox(9).await.unwrap();
    let before = queue.conversations(&main.channel).await.unwrap();
    let order = line(&queue, &main.channel).await;
    let open = queue.open_turns(&main.channel, 99).await.unwrap();
    let settled = queue.settled(&main.channel, 99).await.unwrap();

    assert_eq!(bind(&queue, &[("d1", "new")]).await, [renamed("old", "new")]);
    assert_eq!(bind(&queue, &[("d1", "new")]).await, [], "once is enough");
    drop(queue);
    queue = storage.open();
    assert_eq!(queue.bindings().await.unwrap(), [binding("d1", "new")]);
    let moved = |conversation: Conversation| Conversation {
        lane: at("new", &conversation.lane),
        ..conversation
    };
    let expected: Vec<_> = before.into_iter().map(moved).collect();
    assert_eq!(queue.conversations(&name("new")).await.unwrap(), expected);
    assert_eq!(line(&queue, &name("new")).await, order);
    for (turns, before) in [
        (queue.open_turns(&name("new"), 99).await.unwrap(), open),
        (queue.settled(&name("new"), 99).await.unwrap(), settled),
    ] {
        let moved = |turn: reveille_queue::Turn| reveille_queue::Turn {
            message: Message {
                lane: at("new", &turn.message.lane),
                ..turn.message
            },
            ..turn
        };
        assert_eq!(turns, before.into_iter().map(moved).collect::<Vec<_>>());
    }
    assert_eq!(queue.pauses().await.unwrap(), [(name("new"), pause)]);
    let totals = |turns, nano_usd| DayTotals { turns, nano_usd };
    let today = queue.today(storage.clock().now(), None).await.unwrap();
    assert_eq!(today, [(name("away"), totals(1, 100)), (name("new"), totals(2, 53))]);
    assert_eq!(queue.outbox(9).await.unwrap(), outbox);
    assert_eq!(queue.conversations(&main.channel).await.unwrap(), []);
    assert_eq!(line(&queue, &main.channel).await, [""; 0]);
    assert_eq!(queue.settled(&main.channel, 99).await.unwrap(), []);
    assert_eq!(queue.waiting(&main.channel, 99).await.unwrap(), 0);
    let overview = queue.overview(None).await.unwrap();
    let channels: Vec<_> = overview.into_iter().map(|one| (one.channel, one.waiting)).collect();
    assert_eq!(channels, [(name("away"), 1), (name("new"), 3)]);
    consistent(&queue, &["old", "new", "away"]).await;

    // The turn that ran goes on, and the line with it.
    queue.resume(&name("new"), &[]).await.unwrap();
    assert_eq!(
        queue.claim(&at("new", &main)).await.unwrap(),
        None,
        "the lane has its worker"
    );
    queue.settle(working.lease, done(), Vec::new()).await.unwrap();
    assert_eq!(
        [state(&queue, group[0]).await, state(&queue, group[1]).await],
        [State::Ok, State::Ok]
    );
    assert_eq!(drain(&queue, &at("new", &main)).await, ["n6"]);
    let next = claim(&queue, &at("new", &aside)).await;
    assert_eq!((next.lease.turn, next.joined.len()), (parked[0], 1));
    assert_eq!(drain(&queue, &away).await, ["x2"]);
}

pub(crate) async fn what_comes_for_the_old_name_waits_there<F: Factory>(storage: &F) {
    let queue = storage.open();
    bind(&queue, &[("d1", "old")]).await;
    let turn = accept(&queue, &lane("old"), &["n1"]).await[0];
    bind(&queue, &[("d1", "new")]).await;
    accept(&queue, &lane("old"), &["n2"]).await;
    // The message that has moved is known under whatever name it is accepted again.
    let again = Message {
        body: json!("edited"),
        ..crate::support::message(&lane("new"), "n1")
    };
    let answer = queue.accept(vec![again.clone()], None).await.unwrap();
    assert_eq!((answer[0].turn, answer[0].fresh), (turn, false));
    assert_eq!(claim(&queue, &lane("new")).await.message, again);
    assert_eq!(drain(&queue, &lane("old")).await, ["n2"]);
}

/// The conversation that stood under the name keeps what it was and what it runs, but not its key and not its line.
pub(crate) async fn a_conversation_in_the_way_is_set_aside<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (mine, there) = (lane("old"), lane("new"));
    bind(&queue, &[("d1", "old"), ("d2", "new")]).await;
    history(&queue, &mine, "m1", 1).await;
    history(&queue, &there, "t1", 2).await;
    history(&queue, &subject("new", "only there"), "t2", 4).await;
    accept(&queue, &there, &["t3", "t4"]).await;
    accept(&queue, &mine, &["m2"]).await;
    accept(&queue, &there, &["t5", "t6"]).await;
    accept(&queue, &mine, &["m3"]).await;
    let runs = claim(&queue, &there).await;
    queue.begin(runs.lease, Uuid::from_u128(2)).await.unwrap();
    let last = queue.turn_of("home", "t6").await.unwrap().unwrap().id;
    queue.reposition(last, Position::First).await.unwrap();
    let held = queue.turn_of("home", "t5").await.unwrap().unwrap().id;
    queue.hold(held, true).await.unwrap();
    let [former] = &queue.conversations(&mine.channel).await.unwrap()[..] else {
        panic!("one conversation")
    };

    assert_eq!(bind(&queue, &[("d1", "new")]).await, [renamed("old", "new")]);
    assert_eq!(queue.bindings().await.unwrap(), [binding("d1", "new")]);
    let conversations = queue.conversations(&there.channel).await.unwrap();
    let found = |id: Uuid| conversations.iter().find(|one| one.id == id).unwrap();
    assert_eq!(found(former.id).lane, there);
    assert_eq!(found(former.id).session, Some((Uuid::from_u128(1), "/1".into())));
    let aside = found(runs.conversation.id);
    assert!(aside.lane.thread.is_former(), "{aside:?}");
    assert_eq!(
        (&aside.session, aside.turns),
        (&Some((Uuid::from_u128(2), "/2".into())), 1)
    );
    // Nobody goes on with what was of the other note.
    let only = subject("new", "only there");
    assert!(conversations.iter().all(|one| one.lane != only));
    assert_eq!(
        conversations.iter().filter(|one| one.lane.thread.is_former()).count(),
        2
    );
    consistent(&queue, &["old", "new"]).await;

    // Both work, each on its own session; what waited is in one line, by the places that it had.
    let next = claim(&queue, &there).await;
    assert_eq!((next.message.note.as_str(), next.conversation.id), ("t6", former.id));
    assert_eq!(next.conversation.session, found(former.id).session);
    queue.settle(next.lease, done(), Vec::new()).await.unwrap();
    let settlement = Settlement {
        session: SessionUpdate::Set(Uuid::from_u128(3), "/3".into()),
        ..done()
    };
    queue.settle(runs.lease, settlement, Vec::new()).await.unwrap();
    let session = async |id: Uuid| {
        let found = queue.conversations(&name("new")).await.unwrap();
        let conversation = found.into_iter().find(|one| one.id == id).unwrap();
        conversation.session.map(|(session, _)| session.as_u128())
    };
    assert_eq!([session(former.id).await, session(aside.id).await], [Some(1), Some(3)]);
    queue.hold(held, false).await.unwrap();
    assert_eq!(drain(&queue, &there).await, ["m2", "t4", "t5", "m3"]);
    assert_eq!(queue.lanes().await.unwrap(), []);
}

/// A key that looks like the one of a conversation that is set aside stands in nobody's way.
pub(crate) async fn a_guessed_key_does_no_harm<F: Factory>(storage: &F) {
    let queue = storage.open();
    bind(&queue, &[("d1", "old")]).await;
    accept(&queue, &lane("old"), &["m1"]).await;
    accept(&queue, &lane("new"), &["t1"]).await;
    let conversation = queue.conversations(&name("new")).await.unwrap().remove(0).id;
    for (number, channel) in ["old", "new"].into_iter().enumerate() {
        let guessed = Lane {
            channel: name(channel),
            thread: ThreadKey::Single(format!("set-aside-{conversation}")),
        };
        accept(&queue, &guessed, &[&format!("g{number}")]).await;
    }
    assert_eq!(bind(&queue, &[("d1", "new")]).await, [renamed("old", "new")]);
    assert_eq!(drain(&queue, &lane("new")).await, ["m1", "t1"]);
    consistent(&queue, &["old", "new"]).await;
}

/// A turn that runs in a conversation that was set aside, and is cut off, goes on there.
pub(crate) async fn a_turn_that_was_set_aside_is_not_lost<F: Factory>(storage: &F) {
    let queue = storage.open();
    bind(&queue, &[("d1", "old")]).await;
    accept(&queue, &lane("old"), &["m1"]).await;
    accept_as(&queue, &lane("new"), MessageMode::Collect, &["t1", "t2"]).await;
    let runs = claim(&queue, &lane("new")).await;
    queue.begin(runs.lease, Uuid::from_u128(2)).await.unwrap();
    bind(&queue, &[("d1", "new")]).await;
    drop(queue);
    let queue = storage.open();
    queue.recover().await.unwrap();
    let lanes = queue.lanes().await.unwrap();
    assert_eq!(lanes.len(), 2);
    assert_eq!(drain(&queue, &lane("new")).await, ["m1"]);
    let aside = lanes.iter().find(|one| **one != lane("new")).unwrap();
    let again = claim(&queue, aside).await;
    assert_eq!(
        (again.lease.turn, again.conversation.id),
        (runs.lease.turn, runs.conversation.id)
    );
    assert_eq!((again.begun_session, again.joined.len()), (Some(Uuid::from_u128(2)), 1));
    queue.settle(again.lease, done(), Vec::new()).await.unwrap();
    consistent(&queue, &["new"]).await;
}

/// What waits goes to the other line with all that it has, but not with a session that is not that line's.
pub(crate) async fn a_shared_turn_joins_the_other_line_whole<F: Factory>(storage: &F) {
    let queue = storage.open();
    bind(&queue, &[("d1", "old")]).await;
    accept(&queue, &lane("old"), &["m1"]).await;
    let group = accept_as(&queue, &lane("new"), MessageMode::Collect, &["t1", "t2"]).await;
    let lease = claim(&queue, &lane("new")).await.lease;
    queue.begin(lease, Uuid::from_u128(2)).await.unwrap();
    queue.release(lease, nano(1)).await.unwrap();
    bind(&queue, &[("d1", "new")]).await;
    consistent(&queue, &["new"]).await;
    assert_eq!(queue.lanes().await.unwrap(), [lane("new")]);
    let first = run(&queue, &lane("new"), Vec::new()).await;
    assert_eq!(first.message.note, "m1");
    let second = claim(&queue, &lane("new")).await;
    assert_eq!((second.lease.turn, second.joined[0].turn), (group[0], group[1]));
    assert_eq!(second.joined[0].message.lane, lane("new"));
    assert_eq!((second.interruptions, second.begun_session), (1, None));

    // Let go, they stand in that line too.
    queue.release(second.lease, Spend::default()).await.unwrap();
    queue.cancel(group[0], cancelled(), Vec::new()).await.unwrap();
    assert_eq!(queue.lanes().await.unwrap(), [lane("new")]);
    assert_eq!(drain(&queue, &lane("new")).await, ["t2"]);
    consistent(&queue, &["new"]).await;
}

pub(crate) async fn a_forgotten_note_leaves_its_channel<F: Factory>(storage: &F) {
    let queue = storage.open();
    bind(&queue, &[("d1", "a"), ("d2", "b")]).await;
    accept(&queue, &lane("a"), &["n1"]).await;
    queue.unbind("away", "d1").await.unwrap();
    queue.unbind("home", "d404").await.unwrap();
    queue.unbind("home", "d1").await.unwrap();
    queue.unbind("home", "d1").await.unwrap();
    assert_eq!(queue.bindings().await.unwrap(), [binding("d2", "b")]);
    // It is a new note now: under another name it begins anew, and its old line waits for whoever has the name.
    assert_eq!(bind(&queue, &[("d1", "c")]).await, []);
    assert_eq!(line(&queue, &name("a")).await, ["n1"]);
    assert_eq!(bind(&queue, &[("d3", "a")]).await, []);
    assert_eq!(drain(&queue, &lane("a")).await, ["n1"]);
}

/// Who gets a name that another note had gets the messages that wait for it, and nothing else of that one.
pub(crate) async fn another_note_begins_anew<F: Factory>(storage: &F) {
    let queue = storage.open();
    bind(&queue, &[("d1", "a")]).await;
    history(&queue, &lane("a"), "n1", 1).await;
    history(&queue, &subject("a", "aside"), "n2", 2).await;
    accept_as(&queue, &lane("a"), MessageMode::Collect, &["n3", "n4"]).await;
    queue
        .begin(claim(&queue, &lane("a")).await.lease, Uuid::from_u128(1))
        .await
        .unwrap();
    queue.recover().await.unwrap();
    accept(&queue, &subject("a", "other"), &["n5"]).await;
    queue.unbind("home", "d1").await.unwrap();
    // The same note again is the same agent.
    assert_eq!(bind(&queue, &[("d1", "a")]).await, []);
    let conversations = queue.conversations(&name("a")).await.unwrap();
    assert!(conversations.iter().all(|one| !one.lane.thread.is_former()));
    queue.unbind("home", "d1").await.unwrap();
    assert_eq!(queue.holder(&name("a")).await.unwrap(), Some(binding("d1", "a")));

    assert_eq!(bind(&queue, &[("d2", "a")]).await, []);
    assert_eq!(queue.holder(&name("a")).await.unwrap(), Some(binding("d2", "a")));
    let former = queue.conversations(&name("a")).await.unwrap();
    let former = former.iter().filter(|one| one.lane.thread.is_former());
    let sessions: Vec<_> = former
        .map(|one| one.session.as_ref().map(|(_, cwd)| cwd.as_str()))
        .collect();
    assert_eq!(sessions, [Some("/1"), Some("/2"), None]);
    let again = claim(&queue, &lane("a")).await;
    assert_eq!((again.message.note.as_str(), again.joined.len()), ("n3", 1));
    assert_eq!(
        (
            again.conversation.session,
            again.conversation.turns,
            again.begun_session
        ),
        (None, 0, None)
    );
    queue.settle(again.lease, done(), Vec::new()).await.unwrap();
    assert_eq!(drain(&queue, &subject("a", "other")).await, ["n5"]);
    assert_eq!(claim_new(&queue, &subject("a", "aside"), "n6").await, None);
    consistent(&queue, &["a"]).await;
}

/// The session with which the next message of a lane begins.
async fn claim_new(queue: &impl Queue, lane: &Lane, note: &str) -> Option<(Uuid, String)> {
    accept(queue, lane, &[note]).await;
    run(queue, lane, Vec::new()).await.conversation.session
}

pub(crate) async fn a_name_can_be_taken_back<F: Factory>(storage: &F) {
    let queue = storage.open();
    bind(&queue, &[("d1", "a")]).await;
    history(&queue, &lane("a"), "n1", 1).await;
    bind(&queue, &[("d1", "b")]).await;
    history(&queue, &lane("a"), "x1", 7).await;
    accept(&queue, &lane("a"), &["x2"]).await;
    accept(&queue, &lane("b"), &["n2"]).await;
    bind(&queue, &[("d1", "a")]).await;
    let claim = run(&queue, &lane("a"), Vec::new()).await;
    assert_eq!((claim.message.note.as_str(), claim.conversation.turns), ("x2", 1));
    assert_eq!(claim.conversation.session, Some((Uuid::from_u128(1), "/1".into())));
    assert_eq!(drain(&queue, &lane("a")).await, ["n2"]);
    // Twice under one name: each conversation that was in the way is there still.
    bind(&queue, &[("d1", "b")]).await;
    history(&queue, &lane("a"), "x3", 8).await;
    bind(&queue, &[("d1", "a")]).await;
    let found = queue.conversations(&name("a")).await.unwrap();
    let sessions: Vec<_> = found
        .iter()
        .map(|one| one.session.as_ref().unwrap().1.as_str())
        .collect();
    assert_eq!(sessions, ["/1", "/7", "/8"]);
    consistent(&queue, &["a", "b"]).await;
}

/// A pause is of the one that moves; where that one has none, the name's stays: what was stopped does not start by itself.
pub(crate) async fn a_pause_moves_and_stays<F: Factory>(storage: &F) {
    let queue = storage.open();
    let pause = |code: &str| Pause {
        code: code.into(),
        reason: String::new(),
        since: storage.clock().now(),
        until: None,
    };
    bind(&queue, &[("d1", "a")]).await;
    queue.pause(&name("a"), pause("mine")).await.unwrap();
    queue.pause(&name("b"), pause("there")).await.unwrap();
    bind(&queue, &[("d1", "b")]).await;
    assert_eq!(queue.pauses().await.unwrap(), [(name("b"), pause("mine"))]);
    queue.resume(&name("b"), &[]).await.unwrap();
    queue.pause(&name("c"), pause("there")).await.unwrap();
    bind(&queue, &[("d1", "c")]).await;
    assert_eq!(queue.pauses().await.unwrap(), [(name("c"), pause("there"))]);
}

/// Days of both are summed, also absurd ones.
pub(crate) async fn days_are_summed<F: Factory>(storage: &F) {
    let queue = storage.open();
    bind(&queue, &[("d1", "a")]).await;
    history(&queue, &lane("a"), "n1", 3).await;
    history(&queue, &lane("b"), "n2", 4).await;
    let yesterday = storage.clock().now();
    storage.clock().shift(24 * 3600);
    for (channel, note) in [("a", "n3"), ("b", "n4")] {
        let lease = claimed(&queue, &lane(channel), note).await;
        let settlement = Settlement {
            spend: nano(u64::MAX),
            ..done()
        };
        queue.settle(lease, settlement, Vec::new()).await.unwrap();
    }
    bind(&queue, &[("d1", "b")]).await;
    let totals = |turns, nano_usd| (name("b"), DayTotals { turns, nano_usd });
    assert_eq!(queue.today(yesterday, None).await.unwrap(), [totals(2, 7)]);
    let today = queue.today(storage.clock().now(), None).await.unwrap();
    assert_eq!(today, [totals(2, i64::MAX as u64)]);
}

pub(crate) async fn hostile_bindings_come_back_unchanged<F: Factory>(storage: &F) {
    let queue = storage.open();
    let texts = hostile_texts();
    let of = |number: usize, text: &str, round: usize| Binding {
        vault: text.into(),
        note: text.into(),
        channel: format!("c{round}-{number}").parse().unwrap(),
    };
    for round in 0..2 {
        let bindings: Vec<_> = texts
            .iter()
            .enumerate()
            .map(|(number, text)| of(number, text, round))
            .collect();
        assert_eq!(queue.bind(bindings.clone()).await.unwrap().len(), round * texts.len());
        let mut held = queue.bindings().await.unwrap();
        held.sort();
        let mut expected = bindings;
        expected.sort();
        assert_eq!(held, expected);
    }
    for text in texts {
        queue.unbind(&text, &text).await.unwrap();
    }
    assert_eq!(queue.bindings().await.unwrap(), []);
}
