//! A disk that is full: a clear error, nothing written by halves, and all well again once there is room. Each case runs in
//! a process of its own, under a limit or on a small file system that ends with it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use pretty_assertions::assert_eq;
use reveille_queue::{
    ControlError, FeedCursor, Lane, LeaseError, Message, Options, Queue, QueueError, Recovery, SessionUpdate,
    Settlement, Spend, SqliteQueue, State,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;
use uuid::Uuid;

use support::{claim, done, effect, lane, message};

/// Where the child finds its storage; without it the child's test is empty.
const STORAGE: &str = "REVEILLE_TEST_FULL_STORAGE";
const KIND: &str = "REVEILLE_TEST_FULL_KIND";
const DEADLINE: Duration = Duration::from_secs(120);
const SMALL: usize = 512;
const LARGE: usize = 64 * 1024;

/// What makes the disk full.
enum Limit {
    /// No file may grow over this size: a quota.
    FileSize(Rlimit),
    /// A file that takes all room.
    Ballast(PathBuf),
}

impl Limit {
    fn of(kind: &str, directory: &Path) -> Self {
        match kind {
            "quota" => Self::FileSize(getrlimit(Resource::Fsize)),
            "tmpfs" => Self::Ballast(directory.join("ballast")),
            other => panic!("unknown kind {other:?}"),
        }
    }

    /// Leaves no room, or next to none.
    fn fill(&self) {
        match self {
            Self::FileSize(old) => {
                let current = Some(256 * 1024);
                setrlimit(Resource::Fsize, Rlimit { current, ..*old }).unwrap();
            }
            Self::Ballast(path) => {
                let mut ballast = File::create(path).unwrap();
                let full = loop {
                    if let Err(error) = ballast.write_all(&[0; 4096]) {
                        break error;
                    }
                };
                assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
            }
        }
    }

    fn free(&self) {
        match self {
            Self::FileSize(old) => setrlimit(Resource::Fsize, *old).unwrap(),
            Self::Ballast(path) => std::fs::remove_file(path).unwrap(),
        }
    }
}

fn large(number: usize) -> Message {
    Message {
        body: json!("x".repeat(LARGE)),
        ..message(&lane("echo"), &format!("large{number}"))
    }
}

fn cursor(at: usize) -> Option<FeedCursor> {
    Some(FeedCursor {
        feed: "home".into(),
        at: at as u64,
    })
}

/// The error names the disk and says that it is for a person to act.
fn assert_clear(error: &QueueError) {
    let QueueError::Unavailable { reason } = error else {
        panic!("{error:?}");
    };
    assert!(reason.contains("disk") && reason.contains("space"), "{reason}");
}

/// Large messages until one does not fit, then small ones, so that not a page is left. Says how many of each were taken.
async fn fill_up(queue: &SqliteQueue, echo: &Lane) -> (usize, usize) {
    let mut accepted = 0;
    let refused = loop {
        match queue
            .accept(vec![large(accepted), large(accepted)], cursor(accepted + 1))
            .await
        {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 1000, "the disk never got full");
    };
    assert_clear(&refused);
    let mut small = 0;
    let fits = async |number: usize| {
        let body = json!("x".repeat(SMALL));
        let message = Message {
            body,
            ..message(echo, &format!("small{number}"))
        };
        queue.accept(vec![message], None).await
    };
    while fits(small).await.is_ok() {
        small += 1;
        assert!(small < 10_000, "the disk never got full");
    }
    (accepted, small)
}

/// A group of writes that fails as a whole tells each of them why.
async fn fail_together(queue: &SqliteQueue) {
    let group = (0..40).map(|number| queue.accept(vec![large(5000 + number)], None));
    for (number, answer) in futures_util::future::join_all(group).await.into_iter().enumerate() {
        assert_clear(&answer.unwrap_err());
        let note = format!("large{}", 5000 + number);
        assert_eq!(queue.turn_of("home", &note).await.unwrap(), None);
    }
}

/// What a person does to a turn in line is refused as clearly, and the turn stays as it is.
async fn refuse_by_hand(queue: &SqliteQueue, note: &str) {
    let before = queue.turn_of("home", note).await.unwrap().unwrap();
    let much = || Value::from("y".repeat(LARGE));
    let settlement = Settlement {
        state: State::Cancelled,
        record: much(),
        ..done()
    };
    let cancelled = queue.cancel(before.id, settlement, vec![effect("home", much())]).await;
    let edited = queue.edit(before.id, Value::from("y".repeat(3 * LARGE))).await;
    for refused in [cancelled, edited] {
        let Err(ControlError::Queue(error)) = refused else {
            panic!("{refused:?}");
        };
        assert_clear(&error);
    }
    assert_eq!(queue.turn(before.id).await.unwrap(), Some(before));
}

/// Not a test by itself: the process that the tests below start.
#[tokio::test]
async fn child() {
    let Some(directory) = std::env::var_os(STORAGE).map(PathBuf::from) else {
        return;
    };
    let limit = Limit::of(&std::env::var(KIND).unwrap(), &directory);
    let path = directory.join("queue.db");
    let queue = Options::new(&path).open().unwrap();
    let echo = lane("echo");
    let batch = ["first", "second"].map(|note| message(&echo, note));
    queue.accept(batch.to_vec(), None).await.unwrap();
    let held = claim(&queue, &echo).await;
    queue.begin(held.lease, Uuid::from_u128(1)).await.unwrap();

    limit.fill();
    let (accepted, small) = fill_up(&queue, &echo).await;

    let settlement = Settlement {
        record: Value::from("y".repeat(LARGE)),
        session: SessionUpdate::Set(Uuid::from_u128(2), "/new".into()),
        spend: Spend {
            nano_usd: 5,
            ..Spend::default()
        },
        ..done()
    };
    let effects = || vec![effect("home", json!("z".repeat(LARGE)))];
    let refused = queue.settle(held.lease, settlement.clone(), effects()).await;
    let Err(LeaseError::Queue(error)) = refused else {
        panic!("{refused:?}");
    };
    assert_clear(&error);
    let state = queue.turn(held.lease.turn).await.unwrap().unwrap();
    assert_eq!((state.state, state.record), (State::Working, None));
    assert_eq!(queue.outbox(9).await.unwrap(), []);
    assert_eq!(
        queue.conversations(&echo.channel).await.unwrap(),
        std::slice::from_ref(&held.conversation)
    );
    assert_eq!(queue.cursor("home").await.unwrap(), accepted as u64);
    let lost = queue.turn_of("home", &format!("large{accepted}")).await.unwrap();
    assert_eq!(lost, None);
    assert_eq!(
        queue.open_turns(&echo.channel, 10_000).await.unwrap().len(),
        2 + accepted + small
    );
    fail_together(&queue).await;
    refuse_by_hand(&queue, "second").await;
    assert_eq!(queue.outbox(9).await.unwrap(), []);

    limit.free();
    queue.heartbeat(held.lease).await.unwrap();
    queue.settle(held.lease, settlement, effects()).await.unwrap();
    let answers = queue.accept(vec![large(accepted)], cursor(accepted + 1)).await.unwrap();
    assert!(answers[0].fresh);
    drop(queue);

    let queue = Options::new(&path).open().unwrap();
    assert_eq!(queue.recover().await.unwrap(), Recovery::default());
    let mut expected = vec!["second".to_owned()];
    expected.extend((0..accepted).map(|number| format!("large{number}")));
    expected.extend((0..small).map(|number| format!("small{number}")));
    expected.push(format!("large{accepted}"));
    assert_eq!(support::drain(&queue, &echo).await, expected);
    assert_eq!(queue.outbox(9).await.unwrap().len(), 1);
    assert_eq!(
        queue.conversations(&echo.channel).await.unwrap()[0].turns,
        expected.len() as u64 + 1
    );
    // The small file system ends with this process: the parent sees only what is said.
    std::io::stdout().write_all(b"\npassed\n").unwrap();
}

/// Runs the child through a shell's setup; the setup ends in `exec "$@"`.
async fn run_child(program: &str, arguments: &[&str], setup: &str, kind: &str, directory: &Path) {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .args(["sh", "-c", setup, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(STORAGE, directory)
        .env(KIND, kind)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(DEADLINE, command.output())
        .await
        .expect("the child ends")
        .unwrap();
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success() && said.contains("\npassed\n"),
        "{said}\n{complained}"
    );
}

#[tokio::test]
async fn a_quota_is_survived() {
    let directory = tempfile::tempdir().unwrap();
    // Without the trap the kernel ends a process that writes too much.
    run_child("env", &[], "trap '' XFSZ; exec \"$@\"", "quota", directory.path()).await;
}

/// In a mount namespace, so that nothing has to be unmounted. Where the system allows none, only the quota is tested.
#[tokio::test]
async fn a_full_disk_is_survived() {
    let isolated = ["--user", "--map-root-user", "--mount"];
    let mount = "mount -t tmpfs -o size=2m tmpfs \"$0\"";
    let directory = tempfile::tempdir().unwrap();
    let mut probe = Command::new("unshare");
    probe
        .args(isolated)
        .args(["sh", "-c", mount])
        .arg(directory.path())
        .kill_on_drop(true);
    let allowed = probe.output().await.is_ok_and(|output| output.status.success());
    if !allowed {
        std::io::stderr()
            .write_all(b"no mount namespaces here: not tested on a full tmpfs\n")
            .unwrap();
        return;
    }
    let setup = "mount -t tmpfs -o size=2m tmpfs \"$REVEILLE_TEST_FULL_STORAGE\" && exec \"$@\"";
    run_child("unshare", &isolated, setup, "tmpfs", directory.path()).await;
}
