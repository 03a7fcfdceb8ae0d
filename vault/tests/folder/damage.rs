//! An index that is damaged: it is made anew from the files, by itself.

use std::io::{Seek as _, SeekFrom, Write as _};

use pretty_assertions::assert_eq;

use super::contract::note;
use super::*;

fn index(dir: &Dir) -> PathBuf {
    dir.options().index
}

/// Overwrites the pages of a database behind the first one, or all of it.
fn damage(file: &Path, from: u64) {
    let len = fs::metadata(file).unwrap().len();
    let mut open = fs::OpenOptions::new().write(true).open(file).unwrap();
    open.seek(SeekFrom::Start(from)).unwrap();
    open.write_all(&vec![0x5a; usize::try_from(len - from).unwrap()])
        .unwrap();
    open.sync_all().unwrap();
}

/// What was put aside, by the names of the files.
fn aside(dir: &Dir) -> Vec<String> {
    let names = fs::read_dir(index(dir).parent().unwrap()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.contains(".damaged-")).collect();
    names.sort_unstable();
    names
}

fn fill(dir: &Dir) {
    dir.put("with id.md", "---\nid: its own\ntags: [agent/definition]\n---\none");
    dir.put("below/without.md", "two");
    dir.put("third.md", "three");
}

async fn ids(vault: &FolderVault) -> Vec<(String, String)> {
    let mut ids: Vec<_> = all(vault)
        .await
        .into_iter()
        .map(|note| (note.path.unwrap(), note.id.to_string()))
        .collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn an_index_that_is_damaged_at_the_start_is_made_anew() {
    for from in [0, 4096] {
        let dir = Dir::new();
        fill(&dir);
        let vault = dir.open();
        let written = vault.create(note("written by us")).await.unwrap();
        let before = ids(&vault).await;
        assert_eq!(before.len(), 4);
        let newest = *vault.watch().borrow();
        vault.close().await;
        damage(&index(&dir), from);
        let damaged = fs::read(index(&dir)).unwrap();

        let vault = dir.open();
        assert_eq!(ids(&vault).await, before, "{from}");
        assert!(before.iter().any(|(_, id)| *id == written.id.to_string()));
        state_where(&vault, |state| *state == VaultState::Ready).await;
        // Whoever followed the log until then is not shown the new one as if it were the old.
        let log = log(&vault).await;
        assert_eq!(log.len(), 4);
        assert!(log.iter().all(|change| change.cursor > newest), "{newest} {log:?}");
        // The old one is kept, as it was.
        let kept = aside(&dir);
        let [file, rest @ ..] = kept.as_slice() else {
            panic!("{kept:?}")
        };
        assert_eq!(fs::read(index(&dir).with_file_name(file)).unwrap(), damaged);
        assert!(rest.contains(&format!("{file}-files")), "{kept:?}");
        // And it works.
        dir.put("later.md", "later");
        note_at(&vault, "later").await;
        vault.create(note("again written by us")).await.unwrap();
        vault.close().await;
        let vault = dir.open();
        assert_eq!(all(&vault).await.len(), 6);
        assert_eq!(aside(&dir).len(), kept.len());
    }
}

#[tokio::test]
async fn an_index_that_is_damaged_in_use_is_made_anew() {
    let dir = Dir::new();
    fill(&dir);
    for number in 0..300 {
        dir.put(&format!("many/{number}.md"), &format!("{number} {}", "x".repeat(3_000)));
    }
    let vault = dir.open();
    let before = ids(&vault).await;
    let newest = *vault.watch().borrow();
    // From the log into the file, so that nothing of it is read elsewhere.
    let conn = rusqlite::Connection::open(index(&dir)).unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(conn);
    damage(&index(&dir), 4096);

    // Whoever comes across it is told so, or waits for the new one.
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while aside(&dir).is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "the damage is not noticed");
        if let Err(error) = vault.query(&Query::default()).await {
            assert!(
                matches!(error, VaultError::Unavailable { .. } | VaultError::Damaged { .. }),
                "{error}"
            );
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    state_where(&vault, |state| *state == VaultState::Ready).await;
    assert_eq!(ids(&vault).await, before);
    let log = vault.changes(newest, 1_000).await.unwrap();
    assert_eq!(log.len(), before.len());
    dir.put("later.md", "later");
    note_at(&vault, "later").await;
}

#[tokio::test]
async fn a_damaged_index_is_kept_as_long_as_there_are_no_files() {
    let dir = Dir::new();
    fill(&dir);
    let vault = dir.open();
    let before = ids(&vault).await;
    vault.close().await;
    damage(&index(&dir), 0);
    // The disk is not mounted.
    let away = dir.dir.path().join("away");
    fs::rename(&dir.folder, &away).unwrap();
    fs::create_dir(&dir.folder).unwrap();
    let vault = dir.open();
    state_where(&vault, |state| matches!(state, VaultState::Unavailable { .. })).await;
    assert!(unavailable(vault.query(&Query::default()).await).contains("no vault"));
    assert_eq!(aside(&dir), Vec::<String>::new());

    fs::remove_dir(&dir.folder).unwrap();
    fs::rename(&away, &dir.folder).unwrap();
    state_where(&vault, |state| *state == VaultState::Ready).await;
    assert_eq!(ids(&vault).await, before);
}

#[tokio::test]
async fn an_index_of_a_newer_version_is_not_thrown_away() {
    let dir = Dir::new();
    fill(&dir);
    dir.open().close().await;
    let conn = rusqlite::Connection::open(index(&dir)).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    drop(conn);
    let vault = dir.open();
    let reason = unavailable(vault.query(&Query::default()).await);
    assert!(reason.contains("newer"), "{reason}");
    assert_eq!(aside(&dir), Vec::<String>::new());
}
