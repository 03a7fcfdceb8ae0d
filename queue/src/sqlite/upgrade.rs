//! A file of the first layout, with turns in every state, goes on as it was.

use std::path::Path;

use jiff::Timestamp;
use pretty_assertions::assert_eq;
use rusqlite::{Connection, params};
use serde_json::json;
use uuid::Uuid;

use super::file::connect;
use super::{Options, schema};
use crate::model::{
    ChainTotals, ChannelName, Lane, Lease, Listing, Message, MessageMode, Position, Recovery, SessionUpdate,
    Settlement, Spend, State, ThreadKey, Turn,
};
use crate::queue::Queue;

const SESSION: Uuid = Uuid::from_u128(70);

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

fn lane(thread: ThreadKey) -> Lane {
    Lane {
        channel: "echo".parse().unwrap(),
        thread,
    }
}

fn aside() -> ThreadKey {
    ThreadKey::Subject("a:\nside".into())
}

/// One row of `turns` as the first version wrote it.
struct Row {
    number: i64,
    conversation: u128,
    state: State,
    /// When it was claimed.
    claimed: bool,
    begun: Option<Uuid>,
    cut: Option<Uuid>,
    interruptions: u32,
}

impl Row {
    fn new(number: i64, conversation: u128, state: State) -> Self {
        Self {
            number,
            conversation,
            state,
            claimed: state != State::Waiting,
            begun: None,
            cut: None,
            interruptions: 0,
        }
    }

    fn id(&self) -> Uuid {
        // Identities say nothing about the order.
        Uuid::from_u128(1000 - u128::try_from(self.number).unwrap())
    }

    fn write(&self, connection: &Connection) {
        let settled = self.state.is_terminal();
        connection
            .execute(
                "INSERT INTO turns (id, conversation, channel, vault, note, body, state, epoch, lease_until, interruptions, \
                 begun_session, cut_session, accepted_at, claimed_at, settled_at, record, nano_usd) \
                 VALUES (?, ?, 'echo', 'home', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                params![
                    self.id(),
                    Uuid::from_u128(self.conversation),
                    format!("n{}", self.number),
                    json!(self.number).to_string(),
                    self.state.as_str(),
                    i64::from(self.claimed),
                    (self.state == State::Working).then_some(9_000),
                    self.interruptions,
                    self.begun,
                    self.cut,
                    1_000 - self.number,
                    self.claimed.then_some(2_000),
                    settled.then_some(3_000 + self.number),
                    settled.then(|| json!(self.number).to_string()),
                    self.number,
                ],
            )
            .unwrap();
    }

    fn expected(&self) -> Turn {
        let settled = self.state.is_terminal();
        let thread = if self.conversation == 1 {
            ThreadKey::Main
        } else {
            aside()
        };
        let note = format!("n{}", self.number);
        Turn {
            id: self.id(),
            message: Message {
                lane: lane(thread),
                chain: note.clone(),
                mode: MessageMode::Followup,
                vault: "home".into(),
                note,
                body: json!(self.number),
            },
            conversation: Uuid::from_u128(self.conversation),
            state: self.state,
            held: false,
            leader: None,
            interruptions: self.interruptions,
            accepted_at: time(1_000 - self.number),
            claimed_at: self.claimed.then(|| time(2_000)),
            claimed_by: None,
            claim_ends: None,
            settled_at: settled.then(|| time(3_000 + self.number)),
            record: settled.then(|| json!(self.number)),
            spend: Spend {
                nano_usd: u64::try_from(self.number).unwrap(),
                ..Spend::default()
            },
        }
    }
}

/// Turns in every state, in two conversations: settled, being worked on, and in line.
fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = (1..)
        .zip([State::Ok, State::Error, State::Cancelled, State::Interrupted])
        .map(|(number, state)| Row::new(number, 1, state))
        .collect();
    rows.push(Row {
        begun: Some(SESSION),
        ..Row::new(5, 1, State::Working)
    });
    rows.push(Row::new(6, 2, State::Working));
    rows.push(Row {
        claimed: true,
        cut: Some(SESSION),
        interruptions: 1,
        ..Row::new(7, 1, State::Waiting)
    });
    rows.extend((8..12).map(|number| Row::new(number, 1 + u128::from(number % 2 == 0), State::Waiting)));
    rows
}

/// The file as the first version left it.
fn write_first(path: &Path, rows: &[Row]) {
    let connection = connect(path, false).unwrap();
    connection.execute_batch(schema::MIGRATIONS[0]).unwrap();
    connection.execute_batch("PRAGMA user_version = 1").unwrap();
    let conversation = "INSERT INTO conversations (id, channel, thread, session, session_cwd, turns, started_at, nano_usd) \
                        VALUES (?, 'echo', ?, ?, ?, ?, 2000, 10)";
    let mut write = connection.prepare(conversation).unwrap();
    let main = ThreadKey::Main.encode();
    write
        .execute(params![Uuid::from_u128(1), main, SESSION, "/work", 4])
        .unwrap();
    let none = None::<Uuid>;
    write
        .execute(params![Uuid::from_u128(2), aside().encode(), none, None::<String>, 0])
        .unwrap();
    for row in rows {
        row.write(&connection);
    }
    connection
        .execute_batch(
            "INSERT INTO outbox (turn, target, body, due_at) SELECT id, 'home', '1', 5 FROM turns WHERE state = 'ok'; \
             INSERT INTO cursors (feed, at) VALUES ('home', 77);",
        )
        .unwrap();
}

#[tokio::test]
async fn a_first_file_goes_on_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue.db");
    let rows = rows();
    write_first(&path, &rows);
    let queue = Options::new(&path).open().unwrap();
    let channel: ChannelName = "echo".parse().unwrap();

    for row in &rows {
        let found = queue.turn(row.id()).await.unwrap();
        assert_eq!(found, Some(row.expected()));
    }
    let notes = |turns: Vec<Turn>| turns.into_iter().map(|turn| turn.message.note).collect::<Vec<_>>();
    let open = notes(queue.open_turns(&channel, 99).await.unwrap());
    assert_eq!(open, ["n5", "n6", "n7", "n8", "n9", "n10", "n11"]);
    let settled = notes(queue.settled(&channel, 99).await.unwrap());
    assert_eq!(settled, ["n4", "n3", "n2", "n1"]);
    let conversations = queue.conversations(&channel).await.unwrap();
    let sessions: Vec<_> = conversations
        .iter()
        .map(|one| (one.turns, one.session.clone()))
        .collect();
    assert_eq!(sessions, [(4, Some((SESSION, "/work".to_owned()))), (0, None)]);
    let listed = queue
        .listed(vec![Uuid::from_u128(1), Uuid::from_u128(2)])
        .await
        .unwrap();
    let labels: Vec<_> = listed
        .iter()
        .map(|one| (one.turn.message.note.as_str(), one.title.clone(), one.archived))
        .collect();
    assert_eq!(labels, [("n11", None, false), ("n10", None, false)]);
    assert_eq!(queue.listing(&Listing::default(), 99).await.unwrap().threads, listed);
    let overview = queue.overview(None).await.unwrap();
    let spend = conversations
        .iter()
        .fold(Spend::default(), |sum, one| sum.plus(one.spend));
    assert_eq!((overview[0].turns, overview[0].spend), (4, spend));
    assert_eq!(queue.cursor("home").await.unwrap(), 77);
    assert_eq!(queue.outbox(9).await.unwrap().len(), 1);
    assert_eq!(queue.today(Timestamp::now(), None).await.unwrap(), []);
    assert_eq!(
        (queue.pauses().await.unwrap(), queue.bindings().await.unwrap()),
        (vec![], vec![])
    );

    // The file is of the present layout now: it opens again, and a claim from before still counts.
    drop(queue);
    let queue = Options::new(&path).open().unwrap();
    let lease = Lease {
        turn: rows[4].id(),
        epoch: 1,
    };
    let settlement = Settlement {
        state: State::Ok,
        record: json!(1),
        session: SessionUpdate::Set(Uuid::from_u128(71), "/work".into()),
        spend: Spend::default(),
    };
    queue.settle(lease, settlement, Vec::new()).await.unwrap();
    let expected = Recovery {
        requeued: 1,
        interrupted: 0,
    };
    assert_eq!(queue.recover().await.unwrap(), expected);
    line_goes_on(&queue).await;
}

/// In the old order, with what came and moved since.
async fn line_goes_on(queue: &impl Queue) {
    let main = lane(ThreadKey::Main);
    let new = Message {
        lane: main.clone(),
        chain: "n12".into(),
        mode: MessageMode::Collect,
        vault: "home".into(),
        note: "n12".into(),
        body: json!(12),
    };
    queue.accept(vec![new], None).await.unwrap();
    let last = queue.turn_of("home", "n11").await.unwrap().unwrap().id;
    queue.reposition(last, Position::First).await.unwrap();
    let first = queue.turn_of("home", "n7").await.unwrap().unwrap().id;
    queue.reposition(first, Position::First).await.unwrap();
    for (lane, notes) in [
        (main, vec!["n7", "n11", "n9", "n12"]),
        (lane(aside()), vec!["n6", "n8", "n10"]),
    ] {
        for note in notes {
            let claim = queue.claim(&lane).await.unwrap().unwrap();
            assert_eq!(claim.message.note, note);
            let chain = ChainTotals {
                messages: 1,
                nano_usd: claim.spent.nano_usd,
                ..ChainTotals::default()
            };
            assert_eq!(claim.chain, chain, "each message of the old version is a chain");
            let cut = if note == "n7" { (1, Some(SESSION)) } else { (0, None) };
            assert_eq!((claim.interruptions, claim.begun_session), cut);
            let established = lane.thread == ThreadKey::Main;
            let session = established.then(|| (Uuid::from_u128(71), "/work".to_owned()));
            assert_eq!(claim.conversation.session, session);
            let settlement = Settlement {
                state: State::Ok,
                record: json!(1),
                session: SessionUpdate::Keep,
                spend: Spend::default(),
            };
            queue.settle(claim.lease, settlement, Vec::new()).await.unwrap();
        }
        assert_eq!(queue.claim(&lane).await.unwrap(), None);
    }
}

/// A step that fails leaves the file as it was, and the next start tries again.
#[tokio::test]
async fn a_step_that_fails_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue.db");
    write_first(&path, &rows());
    let layout = || {
        let connection = connect(&path, true).unwrap();
        let sql = "SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema ORDER BY name)";
        let schema: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
        let version: i64 = connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap();
        (schema, version)
    };
    let before = layout();
    let blocked = "CREATE TABLE bindings (channel)";
    connect(&path, false).unwrap().execute_batch(blocked).unwrap();
    assert!(Options::new(&path).open().is_err());
    connect(&path, false)
        .unwrap()
        .execute_batch("DROP TABLE bindings")
        .unwrap();
    assert_eq!(layout(), before);
    let queue = Options::new(&path).open().unwrap();
    assert_eq!(queue.waiting(&"echo".parse().unwrap(), 99).await.unwrap(), 5);
}
