//! `kill -9` at any moment loses nothing that was answered and repeats nothing; many tasks never share a lane.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use pretty_assertions::assert_eq;
use reveille_queue::{FeedCursor, Lane, Options, Queue, Settlement, Spend, SqliteQueue, State, Turn};
use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

use support::kill::{self, Dice, say};
use support::{done, effect, lane, message, subject};

const ROUNDS: u64 = 20;
const DEADLINE: Duration = Duration::from_secs(120);

fn lanes() -> [Lane; 3] {
    [lane("a"), subject("a", "aside"), lane("b")]
}

impl Dice {
    fn lane(&mut self) -> Lane {
        let [a, aside, b] = lanes();
        match self.roll(3) {
            0 => a,
            1 => aside,
            _ => b,
        }
    }
}

/// The spend of a turn follows from its note, so that sums can be checked.
fn spend(note: &str) -> Spend {
    Spend {
        nano_usd: note.parse::<u64>().unwrap() * 1_000_003 + 1,
        ..Spend::default()
    }
}

/// Not a test by itself: the process that [`what_was_answered_survives_kill_9`] kills.
#[tokio::test]
async fn victim() {
    let Some((path, mut dice)) = kill::victim() else {
        return;
    };
    let queue = Options::new(path).open().unwrap();
    queue.recover().await.unwrap();
    say("ready");
    loop {
        match dice.roll(5) {
            0 | 1 => accept_some(&queue, &mut dice).await,
            2 | 3 => work(&queue, &mut dice).await,
            _ => deliver(&queue).await,
        }
    }
}

/// Accepts the next notes of the feed, numbered one after the other, and some old one again.
async fn accept_some(queue: &SqliteQueue, dice: &mut Dice) {
    let from = queue.cursor("feed").await.unwrap();
    let to = from + 1 + dice.roll(3);
    let mut batch: Vec<_> = (from + 1..=to)
        .map(|note| message(&dice.lane(), &note.to_string()))
        .collect();
    if from > 0 {
        let old = 1 + dice.roll(from);
        batch.push(message(&dice.lane(), &old.to_string()));
    }
    let feed = FeedCursor {
        feed: "feed".into(),
        at: to,
    };
    let answers = queue.accept(batch, Some(feed)).await.unwrap();
    for (note, answer) in (from + 1..=to).zip(answers) {
        say(&format!("accepted {note} {}", answer.turn));
    }
}

async fn work(queue: &SqliteQueue, dice: &mut Dice) {
    let Some(claim) = queue.claim(&dice.lane()).await.unwrap() else {
        return;
    };
    let note = claim.message.note;
    if dice.roll(4) > 0 {
        queue.begin(claim.lease, claim.lease.turn).await.unwrap();
        say(&format!("begun {note} {}", claim.interruptions));
    }
    if dice.roll(5) == 0 {
        return queue.release(claim.lease, Spend::default()).await.unwrap();
    }
    let settlement = Settlement {
        spend: spend(&note),
        ..done()
    };
    let effects = vec![effect("out", json!(note)), effect("hook", json!(note))];
    queue.settle(claim.lease, settlement, effects).await.unwrap();
    say(&format!("settled {note}"));
}

async fn deliver(queue: &SqliteQueue) {
    for effect in queue.due(jiff::Timestamp::now(), 2, &[]).await.unwrap() {
        say(&format!("delivering {}", effect.id));
        queue.delivered(vec![effect.id]).await.unwrap();
        say(&format!("delivered {}", effect.id));
    }
}

/// All that was answered before the kills.
#[derive(Default)]
struct Answered {
    turns: BTreeMap<u64, Uuid>,
    settled: BTreeSet<u64>,
    begun: BTreeSet<u64>,
    delivering: BTreeSet<u64>,
    delivered: BTreeSet<u64>,
}

impl Answered {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = || words[1].parse::<u64>().unwrap();
        match words[0] {
            "ready" => {}
            "accepted" => {
                let turn = words[2].parse().unwrap();
                assert!(self.turns.insert(number(), turn).is_none(), "{line}: accepted twice");
            }
            "begun" => drop(self.begun.insert(number())),
            "settled" => assert!(self.settled.insert(number()), "{line}: settled twice"),
            "delivering" => {
                assert!(!self.delivered.contains(&number()), "{line}: delivered before");
                self.delivering.insert(number());
            }
            "delivered" => drop(self.delivered.insert(number())),
            other => panic!("the victim said {other:?}"),
        }
    }
}

/// Compares the storage, as a restart finds it, with what was answered.
async fn inspect(path: &Path, answered: &Answered) {
    let queue = Options::new(path).open().unwrap();
    let found = queue.recover().await.unwrap();
    assert!(
        found.requeued + found.interrupted <= 1,
        "a victim works on one turn: {found:?}"
    );

    // Messages and their cursor are one write: exactly the notes up to the cursor are there.
    let cursor = queue.cursor("feed").await.unwrap();
    assert!(answered.turns.keys().all(|note| *note <= cursor));
    let mut turns = Vec::new();
    for note in 1..=cursor {
        let turn = queue.turn_of("home", &note.to_string()).await.unwrap();
        let turn = turn.unwrap_or_else(|| panic!("note {note} of {cursor} was lost"));
        if let Some(id) = answered.turns.get(&note) {
            assert_eq!(turn.id, *id, "note {note} has another turn");
        }
        if answered.settled.contains(&note) {
            assert_eq!(turn.state, State::Ok, "note {note} was settled");
        }
        turns.push((note, turn));
    }
    assert_eq!(queue.turn_of("home", &(cursor + 1).to_string()).await.unwrap(), None);
    for (note, turn) in &turns {
        let cut = answered.begun.contains(note) && turn.state == State::Waiting;
        assert!(
            !cut || turn.interruptions > 0,
            "the attempt at note {note} was forgotten"
        );
    }
    inspect_outbox(&queue, &turns, answered).await;
    inspect_lanes(&queue, &turns).await;
}

async fn inspect_outbox(queue: &SqliteQueue, turns: &[(u64, Turn)], answered: &Answered) {
    // A turn and its effects are one write: two for each settled turn, less what was delivered.
    let outbox = queue.outbox(u32::MAX).await.unwrap();
    let ended = turns.iter().filter(|(_, turn)| turn.state == State::Ok).count() as u64;
    let kept: BTreeSet<u64> = outbox.iter().map(|effect| effect.id).collect();
    assert!(kept.is_disjoint(&answered.delivered), "delivered effects came back");
    let gone = ended * 2 - outbox.len() as u64;
    let (least, most) = (answered.delivered.len() as u64, answered.delivering.len() as u64);
    assert!(
        (least..=most).contains(&gone),
        "{gone} effects are gone, {least} to {most} were delivered"
    );
    for effect in &outbox {
        let (_, turn) = turns.iter().find(|(_, turn)| turn.id == effect.turn).unwrap();
        assert_eq!((turn.state, &effect.body), (State::Ok, &json!(turn.message.note)));
    }
}

async fn inspect_lanes(queue: &SqliteQueue, turns: &[(u64, Turn)]) {
    for lane in lanes() {
        let of_lane = || turns.iter().filter(|(_, turn)| turn.message.lane == lane);
        // In order: no turn waits before one that has ended.
        let states: Vec<State> = of_lane().map(|(_, turn)| turn.state).collect();
        assert!(
            states.is_sorted_by_key(|state| *state == State::Waiting),
            "{lane:?}: {states:?}"
        );
        let conversations = queue.conversations(&lane.channel).await.unwrap();
        let Some(conversation) = conversations.into_iter().find(|c| c.lane == lane) else {
            assert_eq!(of_lane().count(), 0);
            continue;
        };
        let settled = of_lane().filter(|(_, turn)| turn.state == State::Ok);
        let sum = settled
            .clone()
            .fold(Spend::default(), |sum, (note, _)| sum.plus(spend(&note.to_string())));
        assert_eq!((conversation.turns, conversation.spend), (settled.count() as u64, sum));
    }
}

#[tokio::test]
async fn what_was_answered_survives_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue.db");
    let mut answered = Answered::default();
    for seed in 0..ROUNDS {
        timeout(DEADLINE, kill::round("victim", &path, seed, |line| answered.hear(line)))
            .await
            .expect("a round ends");
        inspect(&path, &answered).await;
    }
    assert!(
        answered.settled.len() > 20 && answered.delivered.len() > 20,
        "the rounds did too little"
    );
}

const LANES: usize = 10;
const TASKS: usize = 50;
const EACH: usize = 6;

/// What the tasks share to catch each other.
struct Floor {
    queue: SqliteQueue,
    busy: [AtomicBool; LANES],
    settled: AtomicUsize,
    order: [std::sync::Mutex<Vec<String>>; LANES],
}

/// Accepts some messages in all lanes, then works wherever there is work, until everybody's is done.
async fn hammer(floor: Arc<Floor>, task: usize) {
    let lane_of = |number: usize| lane(&format!("lane{number}"));
    for number in 0..EACH {
        let lane = lane_of((task + number / 2) % LANES);
        let note = format!("{task}-{number}");
        let batch = vec![message(&lane, &note), message(&lane, &note)];
        let answers = floor.queue.accept(batch, None).await.unwrap();
        assert_eq!(
            answers.iter().map(|answer| answer.fresh).collect::<Vec<_>>(),
            [true, false]
        );
    }
    while floor.settled.load(Ordering::SeqCst) < TASKS * EACH {
        for number in 0..LANES {
            let number = (task + number) % LANES;
            let Some(claim) = floor.queue.claim(&lane_of(number)).await.unwrap() else {
                continue;
            };
            assert!(
                !floor.busy[number].swap(true, Ordering::SeqCst),
                "two workers in lane {number}"
            );
            floor.order[number].lock().unwrap().push(claim.message.note.clone());
            floor.queue.begin(claim.lease, claim.lease.turn).await.unwrap();
            floor.queue.heartbeat(claim.lease).await.unwrap();
            floor.busy[number].store(false, Ordering::SeqCst);
            let effects = vec![effect("out", json!(claim.message.note))];
            floor.queue.settle(claim.lease, done(), effects).await.unwrap();
            floor.settled.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_two_tasks_work_in_one_lane() {
    let directory = tempfile::tempdir().unwrap();
    let floor = Arc::new(Floor {
        queue: Options::new(directory.path().join("queue.db")).open().unwrap(),
        busy: Default::default(),
        settled: AtomicUsize::new(0),
        order: Default::default(),
    });
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        tasks.spawn(hammer(Arc::clone(&floor), task));
    }
    timeout(DEADLINE, tasks.join_all())
        .await
        .expect("all work is done in time");

    assert_eq!(floor.queue.depths().await.unwrap(), []);
    assert_eq!(floor.queue.outbox(u32::MAX).await.unwrap().len(), TASKS * EACH);
    let mut worked = Vec::new();
    for (number, order) in floor.order.iter().enumerate() {
        let order = order.lock().unwrap().clone();
        let settled = floor
            .queue
            .settled(&lane(&format!("lane{number}")).channel, u32::MAX)
            .await
            .unwrap();
        assert_eq!(settled.len(), order.len());
        // Of each task, whose messages were accepted one after the other, the first comes first.
        let key = |note: &String| {
            note.split_once('-')
                .map(|(task, number)| (task.to_owned(), number.to_owned()))
        };
        let mut by_task = BTreeMap::<String, Vec<String>>::new();
        for (task, number) in order.iter().filter_map(key) {
            by_task.entry(task).or_default().push(number);
        }
        assert!(
            by_task.values().all(|numbers| numbers.is_sorted()),
            "lane {number}: {by_task:?}"
        );
        worked.extend(order);
    }
    worked.sort();
    worked.dedup();
    assert_eq!(worked.len(), TASKS * EACH, "each turn once");
}
