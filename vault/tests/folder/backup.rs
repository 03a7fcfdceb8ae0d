//! Copies of a folder that is in use.

use std::os::unix::fs::symlink;

use pretty_assertions::assert_eq;
use reveille_vault::{NewAttachment, NewNote};

use super::contract::attachments::{bytes_of, upload};
use super::contract::note;
use super::*;

/// What stands in a directory, sorted.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

fn refused<T: std::fmt::Debug>(outcome: &Result<T, VaultError>, part: &str) {
    assert!(
        matches!(outcome, Err(VaultError::Invalid(text)) if text.contains(part)),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_copy_has_everything_of_the_folder_and_is_the_vault_again() {
    let dir = Dir::new();
    dir.put("a.md", "first");
    dir.put("deep/er/b.md", "second");
    dir.put("picture.png", "not really");
    dir.put(".obsidian/app.json", "{}");
    symlink("a.md", dir.path("link.md")).unwrap();
    let vault = dir.open();
    let stored = upload(&*vault, "board.txt", b"on the board").await;
    let with_file = NewNote {
        attachments: vec![NewAttachment::of(stored.path.clone())],
        ..note("with")
    };
    vault.create(with_file).await.unwrap();
    let before = all(&vault).await;
    let target = dir.dir.path().join("backups");
    let backup = vault.back_up(&target, false).await.unwrap();
    // The picture, the settings of another program, and what a note has.
    assert_eq!((backup.notes, backup.files), (3, 3));
    assert_eq!(names(&target), ["index.db", "index.db-files", "test"]);
    assert_eq!(
        names(&target.join("test")),
        [".obsidian", "Inbox", "a.md", "deep", "link.md", "picture.png"]
    );
    refused(&vault.back_up(&target, false).await, "is there already");
    refused(
        &vault.back_up(&dir.folder.join("in/it"), false).await,
        "is in the folder",
    );

    // What comes later is not in it; and the same without opening the vault.
    fs::remove_file(dir.path("a.md")).unwrap();
    vault.close().await;
    let restored = FolderVault::open("test", Options::new(target.join("test"), target.join("index.db"))).unwrap();
    assert_eq!(all(&restored).await, before);
    assert_eq!(
        bytes_of(&*restored, &stored.path).await.as_deref(),
        Some(&b"on the board"[..])
    );
    restored.close().await;
    for suffix in ["-wal", "-shm"] {
        assert!(!target.join(format!("index.db{suffix}")).exists());
    }
    let offline = FolderVault::back_up_files("test", &dir.options(), &target, true).unwrap();
    assert_eq!(offline.folder.as_deref(), Some(target.join("test").as_path()));
    assert!(!target.join("test/a.md").exists());
    assert_eq!(names(&target), ["index.db", "index.db-files", "test"]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_copied_leaves_nothing() {
    let dir = Dir::new();
    dir.put("a.md", "first");
    let vault = dir.open();
    assert_eq!(all(&vault).await.len(), 1);
    vault.close().await;
    let target = dir.dir.path().join("backups");
    fs::rename(&dir.folder, dir.dir.path().join("away")).unwrap();
    let gone = FolderVault::back_up_files("test", &dir.options(), &target, false).unwrap_err();
    assert!(gone.to_string().contains("is it mounted?"), "{gone}");
    fs::rename(dir.dir.path().join("away"), &dir.folder).unwrap();
    // The index is damaged: half a copy is none.
    fs::write(dir.dir.path().join("state/index.db"), "no database, by far not one").unwrap();
    FolderVault::back_up_files("test", &dir.options(), &target, false).unwrap_err();
    assert_eq!(names(&target), [""; 0]);
}
