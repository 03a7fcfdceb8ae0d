//! The work of a call does not grow with the history: looked at in SQLite's own plans and counters, not with a clock.

mod calls;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use pretty_assertions::assert_eq;
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use rusqlite::{Connection, StatementStatus};
use serde_json::json;

use super::file::connect;
use super::{Options, SqliteQueue, line, period, schema, taken, writes};
use crate::model::{ListedPage, Listing, Message, MessageMode, Spend};
use crate::queue::Queue;
use calls::{done, main, message, one_of_everything};

/// Tables, and their names in statements, that no call may walk through.
const HISTORY: [&str; 15] = [
    "turns",
    "t",
    "w",
    "j",
    "l",
    "x",
    "s",
    "conversations",
    "c",
    "mine",
    "there",
    "cursors",
    "outbox",
    "days",
    "totals",
];

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

/// The statements that a call ran, with their steps.
type Ran = Vec<(&'static str, BTreeMap<String, u64>)>;

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
                let open_only = ["turns_waiting", "turns_working", "turns_line"]
                    .iter()
                    .any(|index| step.contains(&format!("INDEX {index}")));
                if scanned.is_some_and(|table| HISTORY.contains(&table)) && !open_only {
                    bad.insert(format!("{name}: {step}: {sql}"));
                }
            }
        }
    }
    assert_eq!(bad, BTreeSet::new());
    assert!(explained > 80, "only {explained} statements were seen");
}

/// Of a million turns not one row is read.
#[test]
fn what_has_ended_is_told_by_an_index_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue.db");
    write_history(&path, 100);
    let connection = connect(&path, true).unwrap();
    let plan = format!("EXPLAIN QUERY PLAN {}", period::ENDED);
    let mut plan = connection.prepare(&plan).unwrap();
    let step = |row: &rusqlite::Row<'_>| row.get::<_, String>(3);
    let steps: Vec<String> = plan
        .query_map((0, 1, None::<String>), step)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(steps.len(), 1, "{steps:?}");
    assert!(
        steps[0].starts_with("SEARCH turns USING COVERING INDEX turns_ended (settled_at>? AND settled_at<?)"),
        "{steps:?}"
    );
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

/// What is kept beside the rows says the same as they do, whatever was called.
#[tokio::test]
async fn what_is_counted_beforehand_is_what_there_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue.db");
    write_history(&path, 100);
    let seen = Seen::default();
    one_of_everything(&open(&path, &seen), &seen).await;
    let connection = connect(&path, true).unwrap();
    let amounts = "input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, nano_usd";
    let summed = amounts.replace(", ", "), sum(");
    let sums = format!("SELECT channel, count(*), sum(turns), sum({summed}) FROM conversations GROUP BY channel");
    let kept = format!("SELECT channel, conversations, turns, {amounts} FROM totals");
    let newest =
        "SELECT id, coalesce((SELECT max(seq) FROM turns t WHERE t.conversation = c.id), 0) FROM conversations c";
    for (are, said) in [
        (sums, kept),
        (newest.to_owned(), "SELECT id, latest FROM conversations".to_owned()),
    ] {
        for (one, other) in [(&are, &said), (&said, &are)] {
            let wrong = format!("SELECT count(*) FROM ({one} EXCEPT {other})");
            let wrong: i64 = connection.query_row(&wrong, [], |row| row.get(0)).unwrap();
            assert_eq!(wrong, 0, "{one} EXCEPT {other}");
        }
    }
    let there: i64 = connection
        .query_row("SELECT sum(turns) > 100 AND count(*) > 1 FROM totals", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(there, 1);
}

/// Others stand behind one in which very much has happened since, and on the same page.
#[tokio::test]
async fn a_long_conversation_hides_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue.db");
    write_history(&path, 100);
    let seen = Seen::default();
    let queue = open(&path, &seen);
    let writer = connect(&path, false).unwrap();
    let write = "INSERT INTO conversations (id, channel, thread) VALUES (zeroblob(16), 'echo', 'main');
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 30000)
         INSERT INTO turns (id, conversation, channel, vault, note, body, state, epoch, accepted_at, claimed_at, settled_at, record, rank, chain)
             SELECT cast(printf('m%015d', n) AS BLOB), zeroblob(16), 'echo', 'home', 'main' || n, '0', 'ok', 1, n, n, n, '0', n, '' FROM n";
    writer.execute_batch(write).unwrap();
    let mut listing = Listing::default();
    let first = queue.listing(&listing, 4).await.unwrap();
    let notes = |page: &ListedPage| -> Vec<String> {
        let all = page.threads.iter();
        all.map(|one| one.turn.message.note.clone()).collect()
    };
    assert_eq!(notes(&first), ["main30000", "old100", "old90", "old80"]);
    listing.before = first.next;
    let rest = queue.listing(&listing, 100).await.unwrap();
    assert_eq!((notes(&rest).len(), rest.next), (7, None));
}

/// Whoever is first is found by the index, however many wait behind; and nothing has to be sorted.
#[tokio::test]
async fn a_claim_does_not_grow_with_the_line() {
    let mut ran: Vec<Ran> = Vec::new();
    for waiting in [60, 6_000] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queue.db");
        let seen = Seen::default();
        let queue = open(&path, &seen);
        let main = main();
        let of = |number: u32| Message {
            mode: MessageMode::Collect,
            ..message(&main, &number.to_string())
        };
        let turns = queue.accept((0..waiting).map(of).collect(), None).await.unwrap();
        let mut steps = Ran::new();
        let mut note = |name| steps.push((name, seen.take()));
        seen.take();
        let all = u64::from(waiting) + 1;
        assert_eq!(queue.waiting(&main.channel, 10_000).await.unwrap(), all - 1);
        let last = queue.accept(vec![message(&main, "last")], None).await.unwrap();
        assert_eq!(last[0].place.unwrap().ahead, (all - 1).min(999));
        assert_eq!(queue.waiting(&main.channel, 10_000).await.unwrap(), all);
        note("accept with its place, and what waits");
        let lease = queue.claim(&main).await.unwrap().unwrap().lease;
        note("claim");
        assert_eq!(queue.claim(&main).await.unwrap(), None);
        note("claim of a busy lane");
        queue.release(lease, Spend::default()).await.unwrap();
        note("release");
        queue.hold(turns[55].turn, true).await.unwrap();
        queue.edit(turns[55].turn, json!("edited")).await.unwrap();
        queue.cancel(turns[55].turn, done(), Vec::new()).await.unwrap();
        note("hold, edit, cancel");
        let held = queue
            .take(&main.channel, "anna", Duration::from_hours(1))
            .await
            .unwrap();
        note("take");
        queue
            .release(held.unwrap().claim.lease, Spend::default())
            .await
            .unwrap();
        seen.take();
        let lease = queue.claim(&main).await.unwrap().unwrap().lease;
        queue.settle(lease, done(), Vec::new()).await.unwrap();
        note("claim and settle");
        assert_eq!(queue.place(turns[58].turn).await.unwrap().unwrap().ahead, 6);
        note("place");
        assert_eq!(queue.waiting(&main.channel, 5).await.unwrap(), 5);
        note("waiting");
        ran.push(steps);
    }
    let total = |statements: &BTreeMap<String, u64>| statements.values().sum::<u64>();
    for ((name, short), (_, long)) in ran[0].iter().zip(&ran[1]) {
        let (short, long) = (total(short), total(long));
        assert!(
            long <= short + short / 10 + 10,
            "{name}: {short} steps with a short line, {long} with a long one"
        );
    }
}

/// The index of the waiting turns gives their order: of a claim, and of the lanes.
#[test]
fn the_waiting_index_serves_the_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue.db");
    let connection = connect(&path, false).unwrap();
    schema::migrate(&connection).unwrap();
    let plan = |sql: &str| {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = plan
            .raw_query()
            .mapped(|row| row.get::<_, String>(3))
            .collect::<Result<Vec<_>, _>>();
        steps.unwrap()
    };
    assert_eq!(
        plan(writes::HEAD),
        ["SEARCH turns USING INDEX turns_waiting (channel=? AND conversation=? AND held=?)"]
    );
    let first = plan(&taken::first());
    assert_eq!(first[0], "SEARCH t USING INDEX turns_line (channel=?)");
    assert!(!first.iter().any(|step| step.contains("TEMP B-TREE")), "{first:?}");
    let behind = plan(line::BEHIND);
    assert!(
        behind
            .iter()
            .any(|step| step.contains("turns_waiting (channel=? AND conversation=? AND held=? AND rank>?)")),
        "{behind:?}"
    );
    assert!(!behind.iter().any(|step| step.contains("TEMP B-TREE")), "{behind:?}");
    let lanes = plan(line::LANES);
    assert!(
        lanes
            .iter()
            .any(|step| step == "SCAN turns USING COVERING INDEX turns_waiting"),
        "{lanes:?}"
    );
    // One sort, of the lanes themselves; none to group the turns.
    let sorts: Vec<_> = lanes.iter().filter(|step| step.contains("TEMP B-TREE")).collect();
    assert_eq!(sorts, ["USE TEMP B-TREE FOR ORDER BY"]);
}
