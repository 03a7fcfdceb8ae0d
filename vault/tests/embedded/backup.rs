//! Copies of a vault that is in use.

use pretty_assertions::assert_eq;
use reveille_vault::{EmbeddedVault, Key, NewAttachment, NewFile, NewNote, Query, Vault, VaultError};
use tokio::io::AsyncReadExt as _;

use super::contract::{ids, note};
use super::{names, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_one_state_of_the_vault_with_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let vault = open(&dir.path().join("vault.db"));
    let mut upload = vault
        .files()
        .upload(NewFile {
            filename: "board.txt".into(),
            mime_type: None,
        })
        .await
        .unwrap();
    upload.write(b"on the board").await.unwrap();
    let stored = upload.finish().await.unwrap();
    let with_file = NewNote {
        attachments: vec![NewAttachment::of(stored.path.clone())],
        ..note("kept")
    };
    vault.create(with_file).await.unwrap();
    let before = vault.get(&Key::IdOrPath("kept".into())).await.unwrap();

    // It goes on being written while the copy is made.
    let writer = tokio::spawn({
        let vault = vault.clone();
        async move {
            for number in 0..200 {
                vault.create(note(&format!("late{number}"))).await.unwrap();
            }
        }
    });
    let target = dir.path().join("backups/today");
    let backup = vault.back_up(&target, false).await.unwrap();
    writer.await.unwrap();
    vault.delete(&Key::IdOrPath("kept".into())).await.unwrap();
    assert_eq!(backup.file, target.join("vault.db"));
    assert_eq!(names(&target), ["vault.db", "vault.db-files"]);
    assert_eq!(backup.files, 1);

    let copy = open(&backup.file);
    assert_eq!(copy.get(&Key::IdOrPath("kept".into())).await.unwrap(), before);
    let mut bytes = String::new();
    let mut open = copy.files().open(&stored.path).await.unwrap().unwrap();
    open.bytes.read_to_string(&mut bytes).await.unwrap();
    assert_eq!(bytes, "on the board");
    // One state: as many notes as the log says, and the later ones without a gap.
    let found = copy.query(&Query::default()).await.unwrap().notes;
    assert_eq!(found.len() as u64, backup.notes);
    assert_eq!(*copy.watch().borrow(), backup.notes);
    let expected: Vec<_> = (0..found.len() - 1).map(|number| format!("late{number}")).collect();
    assert_eq!(ids(&found)[1..], expected);
    copy.create(note("new")).await.unwrap();

    let invalid = |refused: Result<_, VaultError>, part: &str| {
        assert!(
            matches!(&refused, Err(VaultError::Invalid(text)) if text.contains(part)),
            "{refused:?}"
        );
    };
    invalid(vault.back_up(&target, false).await, "is there already");
    // Somebody works in it: its log is not that of another file.
    invalid(vault.back_up(&target, true).await, "has that vault open");
    copy.close().await;
    drop(copy);
    let newer = vault.back_up(&target, true).await.unwrap();
    assert_eq!((newer.notes, newer.files), (200, 0));
    assert_eq!(names(&target), ["vault.db", "vault.db-files"]);
    assert_eq!(names(&target.join("vault.db-files")), [""; 0]);
    invalid(vault.back_up(dir.path(), true).await, "is the vault itself");
    assert_eq!(vault.query(&Query::default()).await.unwrap().notes.len(), 200);
}

#[tokio::test]
async fn a_copy_that_cannot_be_made_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let vault = open(&dir.path().join("vault.db"));
    vault.create(note("a")).await.unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    let refused = vault.back_up(&file, false).await.unwrap_err();
    assert!(
        matches!(&refused, VaultError::Invalid(text) if text.contains("cannot be written")),
        "{refused}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");

    // The bytes of a file are gone: a copy without them would be none.
    let mut upload = vault.files().upload(NewFile::default()).await.unwrap();
    upload.write(b"x").await.unwrap();
    upload.finish().await.unwrap();
    for entry in std::fs::read_dir(dir.path().join("vault.db-files")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let target = dir.path().join("backup");
    vault.back_up(&target, false).await.unwrap_err();
    assert_eq!(names(&target), [""; 0]);
}

#[tokio::test]
async fn one_that_nobody_has_open_is_copied_with_what_its_log_holds_and_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vault.db");
    let vault = open(&file);
    vault.create(note("a")).await.unwrap();
    // As a kill leaves it: what was written last is in the log alone.
    let left = dir.path().join("left");
    std::fs::create_dir(&left).unwrap();
    for name in ["vault.db", "vault.db-wal"] {
        std::fs::copy(dir.path().join(name), left.join(name)).unwrap();
    }
    vault.create(note("b")).await.unwrap();
    let target = dir.path().join("backup");
    let backup = EmbeddedVault::back_up_file("v", &left.join("vault.db"), &target, false).unwrap();
    assert_eq!(
        (backup.notes, names(&target)),
        (1, vec!["vault.db".to_owned(), "vault.db-files".to_owned()])
    );

    let refused = EmbeddedVault::restore_file("v", &backup.file, &left, false).unwrap_err();
    assert!(refused.to_string().contains("is there already"), "{refused}");
    for damage in [false, true] {
        if damage {
            std::fs::write(left.join("vault.db"), "no vault").unwrap();
            std::fs::write(left.join("vault.db-wal"), "nor a log").unwrap();
        } else {
            let there = open(&left.join("vault.db"));
            there.create(note("late")).await.unwrap();
            there.close().await;
        }
        let put = EmbeddedVault::restore_file("v", &backup.file, &left, true).unwrap();
        assert_eq!(put.notes, 1);
        let restored = open(&left.join("vault.db"));
        let found = restored.query(&Query::default()).await.unwrap().notes;
        assert_eq!(ids(&found), ["a"]);
        restored.close().await;
    }
    let missing = EmbeddedVault::back_up_file("v", &dir.path().join("none.db"), &target, false).unwrap_err();
    assert!(missing.to_string().contains("is not there"), "{missing}");
    assert!(!dir.path().join("none.db").exists());
}
