//! The embedded vault: the contract, and what only a file on a disk can show.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of this is test code, the helpers too"
)]

#[path = "embedded/backup.rs"]
mod backup;
mod contract;
#[path = "embedded/files.rs"]
mod files;
#[path = "embedded/queries.rs"]
mod queries;
#[path = "embedded/triggers.rs"]
mod triggers;
#[path = "embedded/trouble.rs"]
mod trouble;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use contract::{
    Subject, append, at_id, batch_contract, files_contract, ids, ms, note, order_contract, removal_contract,
    vault_contract,
};
use pretty_assertions::assert_eq;
use reveille_vault::embedded::Options;
use reveille_vault::{ChangeKind, EmbeddedVault, Key, NewNote, Note, Precondition, Query, Vault, VaultError, Write};
use tokio::task::JoinSet;

async fn embedded() -> Subject {
    let dir = tempfile::tempdir().unwrap();
    let vault = EmbeddedVault::open("test", &dir.path().join("vault.db")).unwrap();
    Subject {
        vault,
        _keep: Box::new(dir),
    }
}

vault_contract!(embedded);
batch_contract!(embedded);
removal_contract!(embedded);
order_contract!(embedded);
files_contract!(embedded);

fn unavailable<T: std::fmt::Debug>(outcome: Result<T, VaultError>) -> String {
    match outcome {
        Err(VaultError::Unavailable { vault, reason }) => {
            assert_eq!(vault, "test");
            reason
        }
        other => panic!("{other:?}"),
    }
}

fn open(file: &Path) -> Arc<EmbeddedVault> {
    EmbeddedVault::open("test", file).unwrap()
}

/// What stands in a directory, sorted.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn times_come_from_the_clock_and_always_move_on() {
    let dir = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(1_000));
    let clock = {
        let now = Arc::clone(&now);
        Arc::new(move || ms(now.load(Ordering::SeqCst)))
    };
    let options = Options {
        clock,
        ..Options::default()
    };
    let vault = EmbeddedVault::open_with("test", &dir.path().join("vault.db"), options).unwrap();
    let expected = |content: &str, updated: i64| Note {
        id: contract::id("n"),
        path: None,
        content: content.into(),
        tags: Vec::new(),
        metadata: contract::metadata(serde_json::json!({})),
        created_at: ms(1_000),
        updated_at: ms(updated),
    };
    assert_eq!(vault.create(note("n")).await.unwrap(), expected("n", 1_000));
    // The clock stands still, goes back, goes on.
    for (time, content, updated) in [(1_000, "n!", 1_001), (500, "n!!", 1_002), (2_000, "n!!!", 2_000)] {
        now.store(time, Ordering::SeqCst);
        let patched = vault
            .patch(&at_id("n"), append("!"), Precondition::Force)
            .await
            .unwrap();
        assert_eq!(patched, expected(content, updated));
    }
}

#[tokio::test]
async fn writes_that_belong_together_are_made_together_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let vault = open(&dir.path().join("vault.db"));
    vault.create(note("thread")).await.unwrap();
    let before = vault.changes(0, 9).await.unwrap().len();
    let both = |thread: &str, new: &str| {
        vec![
            Write::Patch(contract::id(thread), append("!")),
            Write::Create(note(new)),
        ]
    };
    assert!(vault.write_together(both("thread", "reply")).await.unwrap());
    assert_eq!(contract::get(&*vault, "thread").await.content, "thread!");
    assert_eq!(contract::get(&*vault, "reply").await.content, "reply");
    // What is refused takes back what was done before it, and does not hinder what comes after.
    assert_eq!(
        contract::refused(vault.write_together(both("thread", "reply")).await),
        format!("IdTaken {{ id: {:?} }}", contract::id("reply"))
    );
    let missing = vault.write_together(both("nothing", "other")).await;
    assert!(matches!(missing, Err(VaultError::NotFound { .. })), "{missing:?}");
    assert!(vault.get(&at_id("other")).await.unwrap().is_none());
    assert_eq!(contract::get(&*vault, "thread").await.content, "thread!");
    assert_eq!(vault.changes(0, 9).await.unwrap().len(), before + 2);
    vault.create(note("later")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_concurrent_creates_are_durable_and_logged() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vault.db");
    let vault = open(&file);
    let names: Vec<_> = (0..1_000).map(|number| format!("n{number:04}")).collect();
    let writers: Vec<_> = names
        .iter()
        .map(|name| {
            let (vault, new) = (
                Arc::clone(&vault),
                NewNote {
                    tags: vec!["t".into()],
                    ..note(name)
                },
            );
            tokio::spawn(async move { vault.create(new).await.unwrap() })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    vault.close().await;

    let vault = open(&file);
    let found = vault
        .query(&Query {
            tags: vec!["t".into()],
            ..Query::default()
        })
        .await
        .unwrap()
        .notes;
    let mut found = ids(&found);
    found.sort_unstable();
    assert_eq!(found, names);
    let log = vault.changes(0, 2_000).await.unwrap();
    assert!(
        log.iter()
            .all(|change| change.kind == ChangeKind::Created && change.note.is_some())
    );
    let mut logged: Vec<_> = log.iter().map(|change| change.id.as_str()).collect();
    logged.sort_unstable();
    assert_eq!(logged, names);
    assert_eq!(
        log.iter().map(|change| change.cursor).collect::<Vec<_>>(),
        (1..=1_000).collect::<Vec<_>>()
    );
}

/// Names the file for [`child_that_writes`].
const CHILD_FILE: &str = "REVEILLE_TEST_CHILD_FILE";

/// Not a test by itself: the process that [`what_was_acknowledged_survives_kill_9`] starts and kills. It prints each id
/// once the vault has acknowledged it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_writes() {
    let Some(file) = std::env::var_os(CHILD_FILE) else {
        return;
    };
    let vault = open(Path::new(&file));
    let mut writers: JoinSet<()> = JoinSet::new();
    for _ in 0..8 {
        let vault = Arc::clone(&vault);
        writers.spawn(async move {
            loop {
                let new = NewNote {
                    content: "x".repeat(500),
                    tags: vec!["t".into()],
                    ..NewNote::default()
                };
                println!("acknowledged {}", vault.create(new).await.unwrap().id);
            }
        });
    }
    writers.join_all().await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vault.db");
    let mut acknowledged = Vec::new();
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes", "--nocapture"])
            .env(CHILD_FILE, &file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let id_of = |line: String| {
            line.strip_prefix("acknowledged ")
                .filter(|id| id.len() == 36)
                .map(str::to_owned)
        };
        acknowledged.extend(lines.by_ref().filter_map(id_of).take(300));
        child.kill().unwrap();
        // What it had still printed before it died; the last line may be cut.
        acknowledged.extend(lines.filter_map(id_of));
        child.wait().unwrap();
        assert!(acknowledged.len() >= round * 300);

        let vault = open(&file);
        let log = vault.changes(0, u32::MAX).await.unwrap();
        let logged: std::collections::BTreeSet<_> = log.iter().map(|change| change.id.as_str()).collect();
        for id in &acknowledged {
            let found = vault.get(&Key::IdOrPath(id.clone())).await.unwrap();
            assert_eq!(found.map(|note| note.content.len()), Some(500), "{id}");
            assert!(logged.contains(id.as_str()), "{id} has no row in the log");
        }
        // No note without its row, no row without its note.
        assert_eq!(vault.query(&Query::default()).await.unwrap().notes.len(), log.len());
        assert_eq!(log.last().map(|change| change.cursor), Some(*vault.watch().borrow()));
        vault.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_nothing_and_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        max_pages: Some(128),
        ..Options::default()
    };
    let vault = EmbeddedVault::open_with("test", &dir.path().join("vault.db"), options).unwrap();
    let big = |name: &str| NewNote {
        content: "x".repeat(10_000),
        tags: vec!["t".into()],
        ..note(name)
    };
    let mut written = Vec::new();
    let reason = loop {
        let name = format!("n{}", written.len());
        match vault.create(big(&name)).await {
            Ok(note) => written.push(note),
            refused => break unavailable(refused),
        }
    };
    assert!(
        reason.contains("disk is full") && reason.contains("try again"),
        "{reason}"
    );
    assert!(written.len() > 5, "{}", written.len());

    // Many at once: none is half there, and each is told.
    let writers: Vec<_> = (0..20)
        .map(|number| {
            let (vault, new) = (Arc::clone(&vault), big(&format!("late{number}")));
            tokio::spawn(async move { vault.create(new).await })
        })
        .collect();
    for writer in writers {
        unavailable(writer.await.unwrap());
    }
    let all = Query {
        tags: vec!["t".into()],
        ..Query::default()
    };
    assert_eq!(vault.query(&all).await.unwrap().notes, written);
    assert_eq!(vault.changes(0, 1_000).await.unwrap().len(), written.len());

    vault.set_max_pages(1_000).await.unwrap();
    written.push(vault.create(big("again")).await.unwrap());
    assert_eq!(vault.query(&all).await.unwrap().notes, written);
}

#[tokio::test]
async fn cursors_are_not_used_again_after_everything_was_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vault.db");
    let vault = open(&file);
    vault.create(note("a")).await.unwrap();
    vault.delete(&at_id("a")).await.unwrap();
    vault.close().await;

    let vault = open(&file);
    assert_eq!(*vault.watch().borrow(), 2);
    vault.create(note("a")).await.unwrap();
    assert_eq!(*vault.watch().borrow(), 3);
}

#[tokio::test]
async fn a_closed_vault_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vault.db");
    let vault = open(&file);
    vault.create(note("a")).await.unwrap();
    vault.get(&at_id("a")).await.unwrap();
    vault.close().await;
    vault.close().await;
    assert!(unavailable(vault.get(&at_id("a")).await).contains("closed"));
    assert!(unavailable(vault.create(note("b")).await).contains("closed"));
    // The log file was folded into the database.
    assert_eq!(names(dir.path()), ["vault.db", "vault.db-files"]);
    assert_eq!(open(&file).get(&at_id("a")).await.unwrap().unwrap().content, "a");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_dropped_vault_ends_its_thread_and_frees_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vault.db");
    let vault = open(&file);
    vault.create(note("a")).await.unwrap();
    vault.get(&at_id("a")).await.unwrap();
    let is_open = || {
        let links = std::fs::read_dir("/proc/self/fd").unwrap();
        links
            .filter_map(|link| std::fs::read_link(link.ok()?.path()).ok())
            .any(|target| target.starts_with(dir.path()))
    };
    assert!(is_open());
    drop(vault);
    let freed = async {
        while is_open() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(contract::DEADLINE, freed).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_vault_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vault.db");
    let garbage = "this is not a database ".repeat(1_000);
    std::fs::write(&file, &garbage).unwrap();
    let reason = unavailable(EmbeddedVault::open("test", &file).map(|_| ()));
    assert!(reason.contains("is no vault"), "{reason}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), garbage);

    let reason = unavailable(EmbeddedVault::open("test", dir.path()).map(|_| ()));
    assert!(reason.contains("cannot be made or opened"), "{reason}");
}

#[tokio::test]
async fn a_vault_of_a_newer_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vault.db");
    open(&file).close().await;
    rusqlite::Connection::open(&file)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let reason = unavailable(EmbeddedVault::open("test", &file).map(|_| ()));
    assert!(reason.contains("schema version 99"), "{reason}");
}

#[tokio::test]
async fn a_locked_file_is_named_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vault.db");
    let vault = open(&file);
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let reason = unavailable(vault.create(note("a")).await);
    assert!(reason.contains("locked by another process"), "{reason}");
    other.execute_batch("ROLLBACK").unwrap();
    vault.create(note("a")).await.unwrap();
}
