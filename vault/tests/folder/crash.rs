//! A process that is killed in the middle of its writes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use pretty_assertions::assert_eq;
use reveille_vault::{ContentChange, NewNote, Patch};

use super::contract::note;
use super::*;

/// Names the directory for [`child_that_writes`].
const CHILD: &str = "REVEILLE_TEST_FOLDER_WRITES";

/// Notes that the child writes again and again.
const NOTES: usize = 6;

/// A text that shows whether it is whole.
fn body(number: usize) -> String {
    format!("{number} {}end {number}\n", "x".repeat(20_000))
}

/// Not a test by itself: the process that [`a_kill_leaves_old_files_or_new_ones`] starts and kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_writes() {
    let Some(base) = std::env::var_os(CHILD).map(PathBuf::from) else {
        return;
    };
    let vault = FolderVault::open("test", Options::new(base.join("notes"), base.join("state/index.db"))).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for name in 0..NOTES {
        let vault = Arc::clone(&vault);
        tasks.spawn(async move {
            for number in 1_usize.. {
                let patch = Patch {
                    content: ContentChange::Replace(body(number)),
                    ..Patch::default()
                };
                let create = NewNote {
                    content: body(number),
                    ..NewNote::default()
                };
                vault.upsert(&format!("dir{name}/n"), patch, create).await.unwrap();
                println!("\nacknowledged {name} {number}");
            }
        });
    }
    tasks.spawn(async move {
        for batch in 0_usize.. {
            let id = std::process::id();
            let new = |number: usize| NewNote {
                path: Some(format!("batch/{id}-{batch}/{number}")),
                ..NewNote::default()
            };
            vault.create_all((0..5).map(new).collect()).await.unwrap();
        }
    });
    tasks.join_all().await;
}

#[tokio::test]
async fn a_kill_leaves_old_files_or_new_ones() {
    let dir = Dir::new();
    let mut newest: BTreeMap<String, usize> = BTreeMap::new();
    for round in 1..=5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child_that_writes", "--nocapture"])
            .env(CHILD, dir.dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut acknowledged = 0;
        let mut round_newest: BTreeMap<String, usize> = BTreeMap::new();
        for line in lines {
            let Some((name, number)) = line.strip_prefix("acknowledged ").and_then(|rest| rest.split_once(' ')) else {
                continue;
            };
            round_newest.insert(name.to_owned(), number.parse().unwrap());
            acknowledged += 1;
            if acknowledged == 30 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        newest.extend(round_newest);

        for (name, number) in &newest {
            let text = dir.text(&format!("dir{name}/n.md"));
            let content = text.split_once("\n---\n").unwrap().1;
            let written: usize = content.split(' ').next().unwrap().parse().unwrap();
            // The acknowledged one, or the one that was on its way.
            assert!(
                written == *number || written == number + 1,
                "{name}: {written}, acknowledged {number}"
            );
            assert_eq!(content, body(written));
        }
        let vault = dir.open();
        let notes = all(&vault).await;
        assert!(
            dir.names()
                .iter()
                .all(|name| name.ends_with(".md") && !name.contains("/.")),
            "{:?}",
            dir.names()
        );
        assert_eq!(notes.len(), dir.names().len());
        // Every batch is whole.
        let mut batches: BTreeMap<String, usize> = BTreeMap::new();
        for name in dir.names() {
            if let Some((batch, _)) = name.strip_prefix("batch/").and_then(|rest| rest.split_once('/')) {
                *batches.entry(batch.to_owned()).or_default() += 1;
            }
        }
        assert!(
            !batches.is_empty() && batches.values().all(|count| *count == 5),
            "{batches:?}"
        );
        // The index says what the files say.
        for note in notes {
            let text = dir.text(&format!("{}.md", note.path.clone().unwrap()));
            assert_eq!(text.split_once("\n---\n").unwrap().1, note.content);
        }
        vault.close().await;
    }
}

#[tokio::test]
async fn what_a_crash_has_left_is_taken_away_and_what_is_another_s_is_not() {
    let dir = Dir::new();
    let left = ".reveille-019a1b2c-0000-7000-8000-000000000000.tmp";
    dir.put(&format!("sub/{left}"), "half");
    dir.put("sub/.reveille-notes.tmp", "mine");
    dir.put("sub/.hidden.md", "mine");
    let vault = dir.open();
    vault.create(note("n")).await.unwrap();
    let names: Vec<_> = dir
        .names()
        .into_iter()
        .filter(|name| name.starts_with("sub/"))
        .collect();
    assert_eq!(names, ["sub/.hidden.md", "sub/.reveille-notes.tmp"]);
}
