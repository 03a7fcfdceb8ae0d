//! How a vault says that it is not well, and how it gets well by itself.

use std::path::Path;
use std::time::Duration;

use pretty_assertions::assert_eq;
use reveille_vault::embedded::Options;
use reveille_vault::{
    EmbeddedVault, Filter, Key, NewNote, Precondition, Query, TagChange, Vault, VaultError, VaultState,
};
use serde_json::json;

use super::contract::{append, at_id, ids, note};
use super::{open, unavailable};

fn told(vault: &dyn Vault) -> String {
    match vault.state() {
        VaultState::Ready => "ready".into(),
        VaultState::Degraded { reason, .. } => format!("degraded: {reason}"),
        VaultState::Unavailable { reason, .. } => format!("unavailable: {reason}"),
    }
}

fn sql(file: &Path, text: &str) {
    rusqlite::Connection::open(file).unwrap().execute_batch(text).unwrap();
}

#[tokio::test]
async fn one_note_that_cannot_be_read_does_not_hide_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vault.db");
    let vault = open(&file);
    for name in ["a", "b", "c"] {
        let tagged = NewNote {
            path: Some(name.into()),
            tags: vec!["t".into()],
            ..note(name)
        };
        vault.create(tagged).await.unwrap();
    }
    sql(&file, "UPDATE notes SET metadata = 'out of order' WHERE id = 'b'");

    let tagged = Query {
        tags: vec!["t".into()],
        ..Query::default()
    };
    for query in [&Query::default(), &tagged] {
        assert_eq!(ids(&vault.query(query).await.unwrap().notes), ["a", "c"]);
    }
    // Also where only the metadata is looked at, and where all notes are.
    let without = Query {
        filters: vec![Filter::parse("color", "ne", json!("red")).unwrap()],
        ..Query::default()
    };
    assert_eq!(ids(&vault.query(&without).await.unwrap().notes), ["a", "c"]);
    let indexed = TagChange {
        fields: [("color".to_owned(), json!({"type": "string", "indexed": true}))]
            .into_iter()
            .collect(),
        ..TagChange::default()
    };
    vault.tags().unwrap().put_tag("t", indexed).await.unwrap();
    assert_eq!(ids(&vault.query(&without).await.unwrap().notes), ["a", "c"]);
    let log = vault.changes(0, 10).await.unwrap();
    let told_of = |change: &reveille_vault::Change| (change.note.is_some(), change.unreadable.is_some());
    assert_eq!(
        log.iter().map(told_of).collect::<Vec<_>>(),
        [(true, false), (false, true), (true, false)]
    );
    for key in [at_id("b"), Key::Path("b".into())] {
        let refused = vault.get(&key).await.unwrap_err();
        assert!(
            matches!(&refused, VaultError::Damaged { note, .. } if note == "b"),
            "{refused}"
        );
    }
    let refused = vault
        .patch(&at_id("b"), append("!"), Precondition::Force)
        .await
        .unwrap_err();
    assert!(matches!(refused, VaultError::Damaged { .. }), "{refused}");
    assert!(
        told(&*vault).starts_with("degraded: notes that cannot be read are left out: b;"),
        "{}",
        told(&*vault)
    );

    // Mended by hand, or removed: then nothing is said any more.
    vault.look(None).await.unwrap();
    assert!(told(&*vault).starts_with("degraded"));
    sql(&file, "UPDATE notes SET metadata = '{}' WHERE id = 'b'");
    vault.look(None).await.unwrap();
    assert_eq!(told(&*vault), "ready");
    // Whoever follows the log has passed it by, and finds it again.
    let news = vault.changes(3, 10).await.unwrap();
    assert_eq!(
        news.iter()
            .map(|change| (change.id.as_str(), change.note.is_some()))
            .collect::<Vec<_>>(),
        [("b", true)]
    );
    sql(&file, "UPDATE notes SET tags = 'never' WHERE id = 'c'");
    assert_eq!(ids(&vault.query(&Query::default()).await.unwrap().notes), ["a", "b"]);
    assert_eq!(vault.delete(&Key::IdOrPath("c".into())).await.unwrap().as_str(), "c");
    vault.look(None).await.unwrap();
    assert_eq!(told(&*vault), "ready");
    assert_eq!(vault.get(&at_id("c")).await.unwrap(), None);
}

#[tokio::test]
async fn a_full_disk_is_told_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        max_pages: Some(64),
        ..Options::default()
    };
    let vault = EmbeddedVault::open_with("test", &dir.path().join("vault.db"), options).unwrap();
    let big = || NewNote {
        content: "x".repeat(10_000),
        ..NewNote::default()
    };
    while vault.create(big()).await.is_ok() {}
    let state = told(&*vault);
    assert!(
        state.starts_with("degraded: notes can be read, but not written: the disk is full"),
        "{state}"
    );
    // It reads, which says nothing about writing; nor does a small write that just fits.
    vault.query(&Query::default()).await.unwrap();
    unavailable(vault.look(None).await);
    assert!(told(&*vault).contains("disk is full"));

    vault.set_max_pages(1_000).await.unwrap();
    vault.look(None).await.unwrap();
    assert_eq!(told(&*vault), "ready");
    vault.create(big()).await.unwrap();
}

#[tokio::test]
async fn a_lock_of_another_process_is_told_until_it_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vault.db");
    let vault = open(&file);
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    unavailable(vault.create(note("a")).await);
    let state = told(&*vault);
    assert!(
        state.starts_with("degraded: notes can be read") && state.contains("locked by another process"),
        "{state}"
    );
    other.execute_batch("ROLLBACK").unwrap();
    vault.create(note("a")).await.unwrap();
    assert_eq!(told(&*vault), "ready");

    // It gets well without a write of somebody, also when an earlier trial write was not removed.
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    unavailable(vault.create(note("b")).await);
    other
        .execute_batch("INSERT INTO memos (key, value) VALUES ('trial', 'x'); COMMIT")
        .unwrap();
    vault.look(None).await.unwrap();
    assert_eq!(told(&*vault), "ready");
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_opened_later() {
    let dir = tempfile::tempdir().unwrap();
    let (file, backup) = (dir.path().join("vault.db"), dir.path().join("backup.db"));
    let before = open(&backup);
    before.create(note("a")).await.unwrap();
    before.close().await;
    std::fs::write(&file, "this is not a database ".repeat(1_000)).unwrap();

    let vault = EmbeddedVault::open_late("test", &file);
    let why = "is no vault; it was left as it is";
    for reason in [
        unavailable(vault.get(&at_id("a")).await),
        unavailable(vault.create(note("b")).await),
        unavailable(vault.changes(0, 1).await),
        unavailable(vault.look(None).await),
        told(&*vault),
    ] {
        assert!(reason.contains(why), "{reason}");
    }
    assert_eq!(*vault.watch().borrow(), 0);

    std::fs::rename(&backup, &file).unwrap();
    vault.look(None).await.unwrap();
    assert_eq!((told(&*vault), *vault.watch().borrow()), ("ready".into(), 1));
    assert_eq!(vault.get(&at_id("a")).await.unwrap().unwrap().content, "a");
    vault.create(note("b")).await.unwrap();
    vault.close().await;
    assert!(unavailable(vault.look(None).await).contains("closed"));
}

#[tokio::test]
async fn a_file_that_is_put_in_the_place_of_the_open_one_is_taken_and_nothing_of_the_old_one_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (file, backup) = (dir.path().join("vault.db"), dir.path().join("backup.db"));
    let before = open(&backup);
    before.create(note("kept")).await.unwrap();
    before.close().await;
    let vault = open(&file);
    for number in 0..5 {
        vault.create(note(&format!("late{number}"))).await.unwrap();
    }
    // Its log is known from here on.
    vault.look(None).await.unwrap();
    vault.create(note("last")).await.unwrap();

    std::fs::rename(&backup, &file).unwrap();
    vault.look(None).await.unwrap();
    assert_eq!(told(&*vault), "ready");
    assert_eq!(ids(&vault.query(&Query::default()).await.unwrap().notes), ["kept"]);
    vault.create(note("new")).await.unwrap();
    // Six changes were told of the file that was there before: no position is given twice.
    let log = vault.changes(0, 10).await.unwrap();
    assert_eq!(log.iter().map(|change| change.cursor).collect::<Vec<_>>(), [1, 7]);
    assert_eq!(*vault.watch().borrow(), 7);
    vault.close().await;
    let vault = open(&file);
    assert_eq!(
        ids(&vault.query(&Query::default()).await.unwrap().notes),
        ["kept", "new"]
    );

    // One that is gone is not begun anew.
    let away = dir.path().join("away.db");
    std::fs::rename(&file, &away).unwrap();
    let reason = unavailable(vault.look(None).await);
    assert!(reason.contains("is gone; put it back"), "{reason}");
    unavailable(vault.create(note("lost")).await);
    assert!(!file.exists());
    std::fs::rename(&away, &file).unwrap();
    vault.look(None).await.unwrap();
    assert_eq!(
        ids(&vault.query(&Query::default()).await.unwrap().notes),
        ["kept", "new"]
    );
}

async fn is_disturbed(vault: &dyn Vault, within: Duration) -> bool {
    tokio::time::timeout(within, vault.disturbed()).await.is_ok()
}

/// Elsewhere who waits looks every second.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_waits_for_a_disturbance_sleeps_while_notes_are_written() {
    const SHORT: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(30);
    let dir = tempfile::tempdir().unwrap();
    let (file, away) = (dir.path().join("vault.db"), dir.path().join("away.db"));
    let vault = open(&file);
    vault.create(note("a")).await.unwrap();
    while is_disturbed(&*vault, SHORT).await {}
    vault.create(note("b")).await.unwrap();
    std::fs::write(dir.path().join("other"), "").unwrap();
    assert!(!is_disturbed(&*vault, SHORT).await);

    sql(&file, "UPDATE notes SET metadata = 'out of order' WHERE id = 'b'");
    assert!(!is_disturbed(&*vault, SHORT).await);
    assert_eq!(ids(&vault.query(&Query::default()).await.unwrap().notes), ["a"]);
    assert!(is_disturbed(&*vault, LONG).await);
    vault.delete(&at_id("b")).await.unwrap();
    vault.look(None).await.unwrap();
    assert_eq!(told(&*vault), "ready");
    while is_disturbed(&*vault, SHORT).await {}

    std::fs::rename(&file, &away).unwrap();
    assert!(is_disturbed(&*vault, LONG).await);
    unavailable(vault.look(None).await);
    // It is tried again by and by.
    assert!(is_disturbed(&*vault, LONG).await);
    std::fs::rename(&away, &file).unwrap();
    vault.look(None).await.unwrap();
    while is_disturbed(&*vault, SHORT).await {}
    assert_eq!(told(&*vault), "ready");
}
