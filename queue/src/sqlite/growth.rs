//! The work of a call does not grow with the history: looked at in SQLite's own plans and counters, not with a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use pretty_assertions::assert_eq;
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use rusqlite::{Connection, StatementStatus};
use serde_json::json;
use uuid::Uuid;

use super::{Options, SqliteQueue, connect, schema};
use crate::model::{
    FeedCursor, Lane, Message, MessageMode, NewEffect, SessionUpdate, Settlement, Spend, State, ThreadKey,
};
use crate::queue::Queue;

/// Tables, and their names in statements, that no call may walk through.
const HISTORY: [&str; 6] = ["turns", "t", "conversations", "c", "cursors", "outbox"];

/// Every statement that ran, with the steps that the virtual machine took for it in all its runs.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeMap<String, u64>>>);

impl Seen {
    fn watch(&self, connection: &mut Connection) {
        let seen = self.clone();
        // The counter of a statement goes on while the statement stays in the cache.
        let mut last = BTreeMap::<String, u64>::new();
        let note = move |event: TraceEvent<'_>| {
            let TraceEvent::Profile(statement, _) = event else {
                return;
            };
            let steps = u64::try_from(statement.get_status(StatementStatus::VmStep)).unwrap();
            let sql = statement.sql().into_owned();
            let before = last.insert(sql.clone(), steps).unwrap_or(0);
            let delta = steps.checked_sub(before).unwrap_or(steps);
            *seen.0.lock().unwrap().entry(sql).or_default() += delta;
        };
        connection
            .trace_v2(TraceEventCodes::SQLITE_TRACE_PROFILE, Some(note))
            .unwrap();
    }

    fn take(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn open(path: &Path, seen: &Seen) -> SqliteQueue {
    let mut connection = connect(path, false).unwrap();
    schema::migrate(&connection).unwrap();
    let mut reader = connect(path, true).unwrap();
    seen.watch(&mut connection);
    seen.watch(&mut reader);
    Options::new(path).over(connection, reader).unwrap()
}

/// Writes settled turns, ten to a conversation.
fn write_history(path: &Path, turns: u32) {
    let connection = connect(path, false).unwrap();
    schema::migrate(&connection).unwrap();
    let write = format!(
        "BEGIN;
         CREATE TEMP TABLE n AS WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {turns}) SELECT n FROM n;
         INSERT INTO conversations (id, channel, thread, turns)
             SELECT cast(printf('c%015d', n) AS BLOB), 'echo', 'single:old' || n, 10 FROM n WHERE n % 10 = 0;
         INSERT INTO turns (id, conversation, channel, vault, note, body, state, epoch, accepted_at, claimed_at, settled_at, record, rank, chain)
             SELECT cast(printf('t%015d', n) AS BLOB), cast(printf('c%015d', (n + 9) / 10 * 10) AS BLOB), 'echo', 'home',
                    'old' || n, '0', 'ok', 1, n, n, n, '0', n, 'old' || n FROM n;
         COMMIT;"
    );
    connection.execute_batch(&write).unwrap();
}

fn message(lane: &Lane, note: &str) -> Message {
    Message {
        lane: lane.clone(),
        chain: note.into(),
        mode: MessageMode::Followup,
        vault: "home".into(),
        note: note.into(),
        body: json!(note),
    }
}

/// The statements that a call ran, with their steps.
type Ran = Vec<(&'static str, BTreeMap<String, u64>)>;

fn aside() -> Lane {
    Lane {
        thread: ThreadKey::Subject("aside".into()),
        ..main()
    }
}

fn main() -> Lane {
    Lane {
        channel: "echo".parse().unwrap(),
        thread: ThreadKey::Main,
    }
}

/// One of everything.
async fn one_of_everything(queue: &SqliteQueue, seen: &Seen) -> Ran {
    let mut ran = Ran::new();
    line_up(queue, seen, &mut ran).await;
    end(queue, seen, &mut ran).await;
    ran
}

/// Up to a turn that is back in line.
async fn line_up(queue: &SqliteQueue, seen: &Seen, ran: &mut Ran) {
    let mut note = |name| ran.push((name, seen.take()));
    let (main, aside) = (main(), aside());
    seen.take();
    let cursor = Some(FeedCursor {
        feed: "home".into(),
        at: 1,
    });
    let batch = vec![
        message(&main, "1"),
        message(&aside, "2"),
        message(&main, "3"),
        message(&main, "1"),
    ];
    queue.accept(batch, cursor).await.unwrap();
    note("accept");
    queue.cursor("home").await.unwrap();
    note("cursor");
    queue.rewind("elsewhere").await.unwrap();
    note("rewind");
    let lease = queue.claim(&main).await.unwrap().unwrap().lease;
    note("claim");
    assert_eq!(queue.claim(&main).await.unwrap(), None);
    note("claim of a busy lane");
    queue.heartbeat(lease).await.unwrap();
    queue.begin(lease, Uuid::nil()).await.unwrap();
    queue.unbegin(lease).await.unwrap();
    note("heartbeat, begin, unbegin");
    assert_eq!(queue.open_turns(&main.channel, 10).await.unwrap().len(), 3);
    note("open_turns");
    assert_eq!(queue.lanes().await.unwrap(), [aside, main.clone()]);
    note("lanes");
    assert_eq!(queue.depths().await.unwrap(), [(main.channel.clone(), 2)]);
    note("depths");
    queue.release(lease, Spend::default()).await.unwrap();
    note("release");
    queue.claim(&main).await.unwrap().unwrap();
    seen.take();
    queue.expire(Timestamp::UNIX_EPOCH).await.unwrap();
    note("expire");
    queue.recover().await.unwrap();
    note("recover");
}

/// The end of that turn, and its effects.
async fn end(queue: &SqliteQueue, seen: &Seen, ran: &mut Ran) {
    let mut note = |name| ran.push((name, seen.take()));
    let main = main();
    let lease = queue.claim(&main).await.unwrap().unwrap().lease;
    let settlement = Settlement {
        state: State::Ok,
        record: json!(1),
        session: SessionUpdate::Set(Uuid::nil(), "/".into()),
        spend: Spend::default(),
    };
    let effects = ["a", "b", "a"].map(|target| NewEffect {
        target: target.into(),
        body: json!(1),
    });
    seen.take();
    queue.settle(lease, settlement, effects.to_vec()).await.unwrap();
    note("settle");
    assert_eq!(queue.settled(&main.channel, 20).await.unwrap().len(), 20);
    note("settled");
    queue.turn(lease.turn).await.unwrap().unwrap();
    queue.turn_of("home", "1").await.unwrap().unwrap();
    queue.company(lease.turn).await.unwrap();
    note("turn, turn_of, company");
    let due = queue.due(Timestamp::MAX, 9, &[]).await.unwrap();
    note("due");
    queue.next_due(&[]).await.unwrap().unwrap();
    note("next_due");
    assert_eq!(queue.left(lease.turn).await.unwrap(), 3);
    assert_eq!(queue.retry(Some(lease.turn)).await.unwrap(), 3);
    note("left, retry");
    queue
        .undelivered(due[0].id, "down", Some(Timestamp::UNIX_EPOCH))
        .await
        .unwrap();
    queue
        .delivered(due.into_iter().map(|effect| effect.id).collect())
        .await
        .unwrap();
    note("undelivered, delivered");
}

#[tokio::test]
async fn no_call_reads_a_whole_table() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue.db");
    write_history(&path, 100);
    let seen = Seen::default();
    let queue = open(&path, &seen);
    let plans = connect(&path, true).unwrap();
    let mut bad = BTreeSet::new();
    let mut explained = 0;
    for (name, statements) in one_of_everything(&queue, &seen).await {
        assert!(!statements.is_empty(), "{name} ran nothing that was seen");
        let data = |sql: &&String| {
            ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"]
                .iter()
                .any(|verb| sql.starts_with(verb))
        };
        for sql in statements.keys().filter(data) {
            let mut plan = plans.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = plan
                .raw_query()
                .mapped(|row| row.get::<_, String>(3))
                .collect::<Result<Vec<_>, _>>();
            explained += 1;
            for step in steps.unwrap() {
                let scanned = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
                let open_only = step.contains("INDEX turns_waiting") || step.contains("INDEX turns_working");
                if scanned.is_some_and(|table| HISTORY.contains(&table)) && !open_only {
                    bad.insert(format!("{name}: {step}: {sql}"));
                }
            }
        }
    }
    assert_eq!(bad, BTreeSet::new());
    assert!(explained > 20, "only {explained} statements were seen");
}

/// A dead target piles up effects; finding what is due elsewhere does not walk over them.
#[tokio::test]
async fn a_dead_target_costs_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue.db");
    let seen = Seen::default();
    let queue = open(&path, &seen);
    let pile = |from: u32, to: u32| {
        let connection = connect(&path, false).unwrap();
        let write = format!(
            "WITH RECURSIVE n (n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM n WHERE n < {to}) \
             INSERT INTO outbox (turn, target, body, due_at) SELECT zeroblob(16), 'dead', '0', 1000 * (n = 1) FROM n"
        );
        connection.execute_batch(&write).unwrap();
    };
    let look = async || {
        seen.take();
        assert_eq!(queue.due(Timestamp::UNIX_EPOCH, 9, &[]).await.unwrap(), []);
        assert_eq!(
            queue.next_due(&[]).await.unwrap(),
            Some(Timestamp::from_second(1).unwrap())
        );
        seen.take().into_values().sum::<u64>()
    };
    pile(1, 10);
    let few = look().await;
    pile(11, 20_000);
    assert_eq!(look().await, few);
}

#[tokio::test]
async fn work_does_not_grow_with_the_history() {
    let mut steps = Vec::new();
    for turns in [100, 100_000] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queue.db");
        write_history(&path, turns);
        let seen = Seen::default();
        let ran = one_of_everything(&open(&path, &seen), &seen).await;
        let total = |(name, statements): (_, BTreeMap<String, u64>)| (name, statements.into_values().sum::<u64>());
        steps.push(ran.into_iter().map(total).collect::<Vec<_>>());
    }
    for ((name, few), (_, many)) in steps[0].iter().zip(&steps[1]) {
        assert!(
            *many <= few + few / 10 + 10,
            "{name}: {few} steps with a short history, {many} with a long one"
        );
    }
}
