//! `kill -9` while a person has a hand on the line: each thing that is done is done whole, or not at all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use pretty_assertions::assert_eq;
use reveille_queue::{
    Binding, ChannelName, FeedCursor, Lane, Message, MessageMode, Options, Position, Queue, Settlement, SqliteQueue,
    State, Turn,
};
use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

use support::kill::{self, Dice, say};
use support::{cancelled, done, effect, inspect, lane, message, nano, subject};

const ROUNDS: u64 = 20;
const DEADLINE: Duration = Duration::from_secs(120);
const NAMES: [&str; 3] = ["a", "b", "c"];
/// Definitions; each always has one of the names.
const NOTES: [&str; 2] = ["d0", "d1"];

/// Not a test by itself: the process that [`whole_or_not_at_all`] kills.
#[tokio::test]
async fn victim() {
    let Some((path, mut dice)) = kill::victim() else {
        return;
    };
    let queue = Options::new(path).open().unwrap();
    queue.recover().await.unwrap();
    if queue.bindings().await.unwrap().is_empty() {
        bind(&queue, [0, 1]).await;
    }
    say("ready");
    loop {
        match dice.roll(8) {
            0 | 1 => accept(&queue, &mut dice).await,
            2 | 3 => work(&queue, &mut dice).await,
            4 => {
                let first = dice.pick(3);
                let second = (first + 1 + dice.pick(2)) % 3;
                bind(&queue, [first, second]).await;
            }
            _ => hand(&queue, &mut dice).await,
        }
    }
}

async fn bind(queue: &SqliteQueue, names: [usize; 2]) {
    let binding = |(note, name): (&str, usize)| Binding {
        vault: "home".into(),
        note: note.into(),
        channel: NAMES[name].parse().unwrap(),
    };
    let bindings = NOTES.into_iter().zip(names).map(binding).collect();
    queue.bind(bindings).await.unwrap();
    say("bound");
}

async fn channel(queue: &SqliteQueue, number: usize) -> ChannelName {
    queue.bindings().await.unwrap().remove(number).channel
}

/// The lanes of one definition.
async fn lanes(queue: &SqliteQueue, number: usize) -> [Lane; 2] {
    let channel = channel(queue, number).await;
    [lane(channel.as_str()), subject(channel.as_str(), "aside")]
}

/// The next notes of the feed; each says for which definition it was.
async fn accept(queue: &SqliteQueue, dice: &mut Dice) {
    let from = queue.cursor("feed").await.unwrap();
    let to = from + 1 + dice.roll(4);
    let mut batch = Vec::new();
    for note in from + 1..=to {
        let number = dice.pick(2);
        let lanes = lanes(queue, number).await;
        let modes = [
            MessageMode::Followup,
            MessageMode::Collect,
            MessageMode::Collect,
            MessageMode::Interrupt,
        ];
        batch.push(Message {
            mode: modes[dice.pick(4)],
            body: json!(NOTES[number]),
            ..message(&lanes[dice.pick(2)], &note.to_string())
        });
    }
    let feed = FeedCursor {
        feed: "feed".into(),
        at: to,
    };
    queue.accept(batch, Some(feed)).await.unwrap();
    say(&format!("accepted {to}"));
}

async fn work(queue: &SqliteQueue, dice: &mut Dice) {
    let lanes = lanes(queue, dice.pick(2)).await;
    let Some(claim) = queue.claim(&lanes[dice.pick(2)]).await.unwrap() else {
        return;
    };
    if dice.roll(2) == 0 {
        queue.begin(claim.lease, claim.lease.turn).await.unwrap();
    }
    if dice.roll(3) == 0 {
        return queue.release(claim.lease, nano(1)).await.unwrap();
    }
    let settlement = Settlement {
        spend: nano(10),
        ..done()
    };
    let effects = vec![effect("out", json!(claim.message.note))];
    queue.settle(claim.lease, settlement, effects).await.unwrap();
    say(&format!("ended {}", claim.message.note));
    for joined in claim.joined {
        say(&format!("ended {}", joined.message.note));
    }
}

async fn hand(queue: &SqliteQueue, dice: &mut Dice) {
    let channel = channel(queue, dice.pick(2)).await;
    let mut open = queue.open_turns(&channel, 100).await.unwrap();
    open.retain(|turn| turn.state == State::Waiting);
    if open.is_empty() {
        return;
    }
    let (turn, other) = (&open[dice.pick(open.len())], &open[dice.pick(open.len())]);
    match dice.roll(5) {
        0 => {
            let effects = vec![effect("out", json!(turn.message.note))];
            queue.cancel(turn.id, cancelled(), effects).await.unwrap();
            say(&format!("ended {}", turn.message.note));
        }
        1 => queue.hold(turn.id, dice.roll(3) == 0).await.unwrap(),
        2 => queue.reposition(turn.id, Position::First).await.unwrap(),
        3 if other.message.lane == turn.message.lane => {
            queue.reposition(turn.id, Position::Before(other.id)).await.unwrap();
        }
        _ => drop(queue.reset(&channel, None).await.unwrap()),
    }
}

/// All that was answered before the kills.
#[derive(Default)]
struct Answered {
    accepted: u64,
    ended: BTreeSet<String>,
    bound: u64,
}

impl Answered {
    fn hear(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("accepted", to)) => self.accepted = to.parse().unwrap(),
            Some(("ended", note)) => assert!(self.ended.insert(note.into()), "{note} ended twice"),
            None if line == "bound" => self.bound += 1,
            None if line == "ready" => {}
            other => panic!("the victim said {other:?}"),
        }
    }
}

/// Compares the storage, as a restart finds it, with what was answered.
async fn look(path: &Path, answered: &Answered) {
    inspect(path);
    let queue = Options::new(path).open().unwrap();
    queue.recover().await.unwrap();
    inspect(path);
    let cursor = queue.cursor("feed").await.unwrap();
    assert!(cursor >= answered.accepted);
    let mut turns = Vec::new();
    for note in 1..=cursor {
        let turn = queue.turn_of("home", &note.to_string()).await.unwrap();
        turns.push(turn.unwrap_or_else(|| panic!("note {note} of {cursor} was lost")));
    }
    for turn in &turns {
        let said = answered.ended.contains(&turn.message.note);
        assert!(!said || turn.state.is_terminal(), "{turn:?} had ended");
    }
    // Whoever has which name: each message is where its definition is.
    let bindings = queue.bindings().await.unwrap();
    let bound: Vec<&str> = bindings.iter().map(|binding| binding.note.as_str()).collect();
    assert!(bound.is_empty() || bound == NOTES, "{bindings:?}");
    assert!(turns.is_empty() || !bound.is_empty());
    for turn in &turns {
        let binding = bindings.iter().find(|binding| json!(binding.note) == turn.message.body);
        assert_eq!(
            binding.map(|binding| &binding.channel),
            Some(&turn.message.lane.channel)
        );
    }
    sums(&queue, &turns).await;
}

/// A turn, its effect, and what is summed over it are one write.
async fn sums(queue: &SqliteQueue, turns: &[Turn]) {
    let ended = turns
        .iter()
        .filter(|turn| turn.state.is_terminal() && turn.leader.is_none());
    let outbox = queue.outbox(u32::MAX).await.unwrap();
    let written: BTreeMap<Uuid, _> = outbox.iter().map(|effect| (effect.turn, &effect.body)).collect();
    assert_eq!(written.len(), outbox.len());
    let notes: Vec<_> = ended.clone().map(|turn| (turn.id, json!(turn.message.note))).collect();
    assert_eq!(written, notes.iter().map(|(turn, note)| (*turn, note)).collect());
    let (mut count, mut conversations) = (0, 0);
    for name in NAMES {
        for conversation in queue.conversations(&name.parse().unwrap()).await.unwrap() {
            count += conversation.turns;
            conversations += conversation.spend.nano_usd;
        }
    }
    // What was taken out of the line before anybody claimed it was no turn.
    let worked = ended.clone().filter(|turn| turn.claimed_at.is_some());
    assert_eq!(count, worked.count() as u64);
    assert_eq!(conversations, ended.map(|turn| turn.spend.nano_usd).sum::<u64>());
    let days: u64 = {
        let now = jiff::Timestamp::now();
        let mut sum = 0;
        // The rounds may run over midnight.
        for at in [support::after(now, -24 * 3600), now] {
            let today = queue.today(at, None).await.unwrap();
            sum += today.iter().map(|(_, totals)| totals.nano_usd).sum::<u64>();
        }
        sum
    };
    assert_eq!(days, turns.iter().map(|turn| turn.spend.nano_usd).sum::<u64>());
}

#[tokio::test]
async fn whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue.db");
    let mut answered = Answered::default();
    for seed in 0..ROUNDS {
        let round = kill::round("victim", &path, seed, |line| answered.hear(line));
        timeout(DEADLINE, round).await.expect("a round ends");
        look(&path, &answered).await;
    }
    assert!(
        answered.ended.len() > 20 && answered.bound > 20,
        "the rounds did too little"
    );
}
