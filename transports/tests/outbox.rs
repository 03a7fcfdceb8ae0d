//! The outbox over a real file: order, numbers, what is given up, kills, full disks, files that are not what they were.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use jiff::Timestamp;
use pretty_assertions::assert_eq;
use reveille_transports::outbox::{
    Entry, Keep, Numbered, Options, Outbox, OutboxError, PAYLOAD_BYTES, Retention, Room, State, Which,
};

#[derive(Clone)]
struct Clock(Arc<AtomicI64>);

impl Clock {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_000_000)))
    }

    fn on(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }

    fn at(&self, ms: i64) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst) + ms).unwrap()
    }

    fn open(&self, path: &Path) -> Outbox {
        let clock = self.clone();
        let mut options = Options::new(path);
        options.clock = Arc::new(move || clock.at(0));
        options.open().unwrap()
    }
}

fn entry(bridge: &str, lane: &str, id: &str) -> Entry {
    Entry {
        bridge: bridge.into(),
        id: id.into(),
        lane: lane.into(),
        payload: format!("{{\"is\":\"{id}\"}}"),
        fleeting: false,
    }
}

fn fleeting(lane: &str, id: &str) -> Entry {
    Entry {
        fleeting: true,
        ..entry("b", lane, id)
    }
}

async fn ready(outbox: &Outbox, bridge: &str, busy: &[&str]) -> Vec<String> {
    let busy: Vec<String> = busy.iter().map(|&lane| lane.to_owned()).collect();
    let due = outbox.next(bridge, &busy, 10).await.unwrap();
    due.ready.into_iter().map(|item| item.id).collect()
}

#[tokio::test]
async fn lanes_keep_their_order_and_do_not_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let outbox = clock.open(&dir.path().join("bridges.sqlite"));
    let all = [("x", "1"), ("y", "2"), ("x", "3"), ("y", "4")].map(|(lane, id)| entry("b", lane, id));
    assert_eq!(outbox.put(all.to_vec(), vec![]).await, Ok(4));
    assert_eq!(outbox.put(all.to_vec(), vec![]).await, Ok(0), "ids that are known");
    assert_eq!(
        outbox.put(vec![entry("c", "x", "1")], vec![]).await,
        Ok(1),
        "another bridge"
    );

    assert_eq!(ready(&outbox, "b", &[]).await, ["1", "2"]);
    assert_eq!(ready(&outbox, "b", &["x"]).await, ["2"]);
    assert!(outbox.delivered("b", "2").await.unwrap());
    assert!(!outbox.delivered("b", "2").await.unwrap());
    assert!(outbox.failed("b", "1", "no way", Some(clock.at(500))).await.unwrap());
    let due = outbox.next("b", &[], 10).await.unwrap();
    assert_eq!(
        (due.ready.len(), due.ready[0].id.as_str(), due.next_at),
        (1, "4", Some(clock.at(500))),
        "what stands behind one that is tried again waits for it"
    );
    clock.on(500);
    let again = outbox.next("b", &[], 1).await.unwrap();
    assert_eq!((again.ready[0].id.as_str(), again.ready[0].attempts), ("4", 0));
    assert!(
        again.next_at.unwrap() <= clock.at(0),
        "there is more than was asked for"
    );
    assert_eq!(ready(&outbox, "b", &["y"]).await, ["1"]);

    assert!(outbox.failed("b", "1", "gone", None).await.unwrap());
    assert_eq!(ready(&outbox, "b", &["y"]).await, ["3"]);
    let counts = outbox.counts().await.unwrap();
    let figures: Vec<_> = counts
        .iter()
        .map(|count| (count.bridge.as_str(), count.waiting, count.delivered, count.undelivered))
        .collect();
    assert_eq!(figures, [("b", 2, 1, 1), ("c", 1, 0, 0)]);
    let lost = outbox.list("b", State::Undelivered, 0, 10).await.unwrap();
    assert_eq!(
        (lost.len(), lost[0].error.as_deref(), lost[0].attempts),
        (1, Some("gone"), 2)
    );

    // Sent again it stands where it stood, even before what became the head meanwhile.
    assert_eq!(outbox.redrive("b", Which::One("nothing".into())).await, Ok(0));
    assert_eq!(outbox.redrive("b", Which::All).await, Ok(1));
    assert_eq!(ready(&outbox, "b", &["y"]).await, ["1"]);
    assert_eq!(outbox.redrive("b", Which::All).await, Ok(0));
}

#[tokio::test]
async fn numbers_have_no_gap_and_stay_with_their_entry() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let path = dir.path().join("bridges.sqlite");
    let outbox = clock.open(&path);
    let entries = ["1", "2", "3", "4"].map(|id| fleeting("x", id));
    outbox.put(entries.to_vec(), vec![]).await.unwrap();
    let given = |number, shed| Ok(Some(Numbered { number, shed }));
    assert_eq!(outbox.number("b", "1").await, given(1, 0));
    assert_eq!(outbox.number("b", "1").await, given(1, 0));
    // Room for one: the first has a number and stays, the next two go.
    let room = Room {
        entries: 2,
        bytes: 1 << 20,
        oldest: clock.at(-1),
    };
    assert_eq!(outbox.shed("b", room).await, Ok(2));
    drop(outbox);
    let outbox = clock.open(&path);
    assert_eq!(outbox.number("b", "1").await, given(1, 2));
    outbox.delivered("b", "1").await.unwrap();
    assert_eq!(ready(&outbox, "b", &[]).await, ["4"]);
    assert_eq!(outbox.number("b", "4").await, given(2, 2));
    assert!(outbox.amend("b", "4", "{}".into(), true).await.unwrap());
    assert_eq!(
        outbox.number("b", "4").await,
        given(3, 2),
        "a second part of the same entry"
    );
    assert!(outbox.discard("b", "4").await.unwrap());
    outbox.put(vec![entry("b", "x", "5")], vec![]).await.unwrap();
    assert!(!outbox.discard("b", "5").await.unwrap(), "only what is fleeting");
    assert_eq!(outbox.number("b", "5").await, given(4, 3));
    assert_eq!(outbox.number("b", "none").await, Ok(None));
    // By age, by bytes.
    outbox.put(vec![fleeting("y", "6")], vec![]).await.unwrap();
    clock.on(10);
    outbox
        .put(vec![fleeting("y", "7"), fleeting("y", "8")], vec![])
        .await
        .unwrap();
    let room = |bytes, ms| Room {
        entries: 10,
        bytes,
        oldest: clock.at(ms),
    };
    assert_eq!(outbox.shed("b", room(1000, -5)).await, Ok(1));
    assert_eq!(outbox.shed("b", room(15, -5)).await, Ok(1));
    assert_eq!(ready(&outbox, "b", &[]).await, ["5", "8"]);
}

#[tokio::test]
async fn what_is_over_is_swept_and_what_was_kept_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let path = dir.path().join("bridges.sqlite");
    let outbox = clock.open(&path);
    let keep = |value: Option<&str>| Keep {
        bridge: "b".into(),
        key: "offset".into(),
        value: value.map(str::to_owned),
    };
    outbox
        .put(vec![entry("b", "x", "1")], vec![keep(Some("7"))])
        .await
        .unwrap();
    outbox
        .put(vec![entry("b", "x", "2"), entry("b", "x", "3")], vec![])
        .await
        .unwrap();
    outbox.number("b", "1").await.unwrap();
    outbox.delivered("b", "1").await.unwrap();
    outbox.failed("b", "2", "no", None).await.unwrap();
    drop(outbox);
    let outbox = clock.open(&path);
    assert_eq!(outbox.kept("b", "offset").await, Ok(Some("7".into())));
    let (listed, payload) = outbox.find("b", "1").await.unwrap().unwrap();
    assert_eq!((listed.state, payload), (State::Delivered, None));
    clock.on(1000);
    let until = |ms| Retention {
        delivered_before: clock.at(ms),
        undelivered_before: clock.at(-2000),
        lanes_before: clock.at(-2000),
    };
    assert_eq!(outbox.sweep(until(-2000)).await, Ok(0));
    assert_eq!(outbox.sweep(until(0)).await, Ok(1));
    assert_eq!(outbox.find("b", "1").await, Ok(None));
    assert!(
        outbox.find("b", "2").await.unwrap().unwrap().1.is_some(),
        "can be sent again"
    );
    assert_eq!(outbox.remove("b").await, Ok(2));
    assert_eq!(outbox.counts().await, Ok(vec![]));
    assert_eq!(outbox.kept("b", "offset").await, Ok(None));
}

#[tokio::test]
async fn a_full_disk_stores_nothing_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(true));
    let mut options = Options::new(dir.path().join("bridges.sqlite"));
    let refuse = Arc::clone(&full);
    options.refuse = Some(Arc::new(move || refuse.load(Ordering::SeqCst)));
    let outbox = options.open().unwrap();
    let refused = outbox.put(vec![entry("b", "x", "1")], vec![]).await.unwrap_err();
    assert!(refused.to_string().contains("full"), "{refused}");
    assert_eq!(ready(&outbox, "b", &[]).await, [""; 0]);
    full.store(false, Ordering::SeqCst);
    let long = Entry {
        payload: "x".repeat(PAYLOAD_BYTES + 1),
        ..entry("b", "x", "2")
    };
    let told = outbox.put(vec![entry("b", "x", "1"), long], vec![]).await.unwrap_err();
    assert!(matches!(told, OutboxError::TooLong { .. }));
    outbox.put(vec![entry("b", "x", "1")], vec![]).await.unwrap();
    full.store(true, Ordering::SeqCst);
    assert!(outbox.delivered("b", "1").await.is_err());
    full.store(false, Ordering::SeqCst);
    assert_eq!(ready(&outbox, "b", &[]).await, ["1"]);
}

#[tokio::test]
async fn a_file_that_is_not_ours_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bridges.sqlite");
    let many = (0..500).map(|number| entry("b", &number.to_string(), &number.to_string()));
    let outbox = Options::new(&path).open().unwrap();
    outbox.put(many.collect(), vec![]).await.unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    drop(outbox);
    // The thread ends a little later, and closes the write-ahead log with it.
    let until = std::time::SystemTime::now() + std::time::Duration::from_secs(10);
    while dir.path().join("bridges.sqlite-wal").exists() {
        assert!(std::time::SystemTime::now() < until, "the file is still open");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let whole = std::fs::read(&path).unwrap();

    let torn = &whole[..whole.len() / 2];
    std::fs::write(&path, torn).unwrap();
    let told = Options::new(&path).open().err().unwrap();
    assert!(
        matches!(&told, OutboxError::Damaged(text) if text.contains("bridges.sqlite is damaged") && text.contains("backup"))
    );
    assert_eq!(std::fs::read(&path).unwrap(), torn);

    std::fs::write(
        &path,
        b"something else that is no database, long enough to be read as one. ".repeat(80),
    )
    .unwrap();
    assert!(matches!(
        Options::new(&path).open().err().unwrap(),
        OutboxError::Damaged(_)
    ));

    let mut newer = whole.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    std::fs::write(&path, &newer).unwrap();
    let told = Options::new(&path).open().err().unwrap();
    assert!(
        matches!(&told, OutboxError::Newer(text) if text.contains("layout 99")),
        "{told}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), newer);

    std::fs::write(&path, &whole).unwrap();
    assert_eq!(ready(&Options::new(&path).open().unwrap(), "b", &[]).await.len(), 10);
}

const CHILD: &str = "REVEILLE_OUTBOX_CHILD";

/// The test starts itself as the process that is killed: it says each id once its `put` has returned.
#[tokio::test]
async fn what_put_has_answered_outlives_kill_9() {
    if let Some(path) = std::env::var_os(CHILD) {
        return write_until_killed(Path::new(&path)).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bridges.sqlite");
    let mut said = Vec::new();
    for round in 0..5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "what_put_has_answered_outlives_kill_9", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let wanted = said.len() + 20 + 7 * round;
        while said.len() < wanted {
            let line = lines.next().expect("the child writes until it is killed").unwrap();
            said.extend(line.strip_prefix("stored ").map(str::to_owned));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        said.extend(lines.filter_map(|line| line.ok()?.strip_prefix("stored ").map(str::to_owned)));
    }
    let outbox = Options::new(&path).open().unwrap();
    let found = outbox.list("b", State::Waiting, 0, 10_000).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|entry| entry.id).collect();
    let kept: Vec<_> = found.iter().filter(|id| said.contains(id)).cloned().collect();
    assert_eq!(kept, said, "in order, each once");
    assert!(
        found.len() <= said.len() + 5,
        "at most one a kill was stored and not said"
    );
    // One lane: the order in which they are sent is that in which they were stored.
    for id in &found[..10] {
        assert_eq!(ready(&outbox, "b", &[]).await, [id.as_str()]);
        outbox.delivered("b", id).await.unwrap();
    }
}

async fn write_until_killed(path: &Path) {
    let outbox = Options::new(path).open().unwrap();
    let start = outbox.list("b", State::Waiting, 0, 100_000).await.unwrap().len();
    for number in start.. {
        outbox
            .put(vec![entry("b", "x", &number.to_string())], vec![])
            .await
            .unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nstored {number}").unwrap();
        out.flush().unwrap();
    }
}
