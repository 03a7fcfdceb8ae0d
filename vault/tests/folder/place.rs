//! The folder itself: not there, another one, not to be written; and what the vault says of it.

use std::os::unix::process::CommandExt;
use std::process::Command;

use pretty_assertions::assert_eq;
use reveille_vault::{NewAttachment, NewNote, Precondition};

use super::contract::attachments::{bytes_of, upload};
use super::contract::{append, note};
use super::*;

const FORCE: Precondition = Precondition::Force;

fn fill(dir: &Dir, count: usize) {
    for number in 0..count {
        dir.put(&format!("n{number}.md"), &format!("text {number}"));
    }
}

fn is_unavailable(state: &VaultState) -> bool {
    matches!(state, VaultState::Unavailable { .. })
}

#[tokio::test]
async fn a_folder_that_is_not_there_keeps_its_notes() {
    let dir = Dir::new();
    fill(&dir, 3);
    let vault = dir.open();
    let before = all(&vault).await;
    let newest = *vault.watch().borrow();
    let away = dir.dir.path().join("away");
    fs::rename(&dir.folder, &away).unwrap();

    assert!(unavailable(vault.create(note("n")).await).contains("not there"));
    assert!(unavailable(vault.patch(&at("n1"), append("!"), FORCE).await).contains("not there"));
    assert!(unavailable(vault.delete(&at("n1")).await).contains("not there"));
    let reason = unavailable(vault.look(None).await);
    assert!(
        reason.contains("kept as they were last seen") && reason.contains("mount or restore"),
        "{reason}"
    );
    let state = state_where(&vault, is_unavailable).await;
    assert!(format!("{state:?}").contains("not there"), "{state:?}");
    assert_eq!(all(&vault).await, before);

    // Nor does a start without it.
    vault.close().await;
    let vault = dir.open();
    assert_eq!(all(&vault).await, before);
    assert!(is_unavailable(&vault.state()));
    // It comes back by itself, and what was changed elsewhere is seen.
    fs::write(away.join("n1.md"), "changed elsewhere").unwrap();
    fs::rename(&away, &dir.folder).unwrap();
    note_where(&vault, "n1", |note| note.content == "changed elsewhere").await;
    state_where(&vault, |state| *state == VaultState::Ready).await;
    vault.patch(&at("n1"), append("!"), FORCE).await.unwrap();
    dir.put("new.md", "new");
    note_at(&vault, "new").await;
    assert_eq!(vault.changes(newest, 100).await.unwrap().len(), 3);
}

#[tokio::test]
async fn an_empty_place_of_a_disk_is_not_ten_thousand_deletions() {
    let dir = Dir::new();
    fill(&dir, 20);
    let vault = dir.open();
    let before = all(&vault).await;
    // The place where a disk was mounted.
    let disk = dir.dir.path().join("disk");
    fs::rename(&dir.folder, &disk).unwrap();
    fs::create_dir(&dir.folder).unwrap();
    let reason = unavailable(vault.look(None).await);
    assert!(
        reason.contains("of the 20 notes") && reason.contains("only 0") && reason.contains("mount it"),
        "{reason}"
    );
    assert!(is_unavailable(&vault.state()));
    assert_eq!(all(&vault).await, before);
    assert!(unavailable(vault.create(note("n")).await).contains("not mounted"));
    vault.close().await;
    let vault = dir.open();
    assert_eq!(all(&vault).await, before);
    assert!(is_unavailable(&vault.state()));

    // Another folder with a few of the notes is not it either.
    for number in 0..3 {
        dir.put(&format!("n{number}.md"), "x");
    }
    assert!(unavailable(vault.look(None).await).contains("only 3"));
    assert_eq!(all(&vault).await, before);
    // One with most of them is: it was moved, or restored from a backup.
    fs::remove_dir_all(&dir.folder).unwrap();
    run(dir.dir.path(), "cp", &["-r", "disk", "notes"]);
    fs::remove_file(dir.path("n7.md")).unwrap();
    vault.look(None).await.unwrap();
    assert_eq!(vault.state(), VaultState::Ready);
    assert_eq!(all(&vault).await.len(), 19);
}

#[tokio::test]
async fn what_a_person_removes_before_our_eyes_is_removed() {
    let dir = Dir::new();
    fill(&dir, 20);
    let vault = dir.open();
    assert_eq!(all(&vault).await.len(), 20);
    for number in 0..20 {
        fs::remove_file(dir.path(&format!("n{number}.md"))).unwrap();
    }
    for number in 0..20 {
        gone(&vault, &format!("n{number}")).await;
    }
    state_where(&vault, |state| *state == VaultState::Ready).await;
    vault.create(note("n")).await.unwrap();
}

/// Names the folder for [`child_without_rights`].
const CHILD: &str = "REVEILLE_TEST_FOLDER_WITHOUT_RIGHTS";

/// Not a test by itself: the process that [`a_folder_that_cannot_be_written_can_be_read`] starts without the rights of root.
#[tokio::test]
async fn child_without_rights() {
    let Some(base) = std::env::var_os(CHILD).map(PathBuf::from) else {
        return;
    };
    let folder = base.join("notes");
    let allow = |mode: u32| fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    let vault = FolderVault::open("test", Options::new(&folder, base.join("state/index.db"))).unwrap();
    assert_eq!(note_at(&vault, "a").await.content, "one");
    assert_eq!(vault.state(), VaultState::Ready);

    allow(0o555);
    let reason = unavailable(vault.create(note("n")).await);
    assert!(
        reason.contains("cannot be written") && reason.contains("make it writable"),
        "{reason}"
    );
    let reason = unavailable(vault.patch(&at("a"), append("!"), FORCE).await);
    assert!(reason.contains("cannot be written"), "{reason}");
    assert!(
        matches!(vault.state(), VaultState::Degraded { .. }),
        "{:?}",
        vault.state()
    );
    assert_eq!(note_at(&vault, "a").await.content, "one");
    assert_eq!(vault.get(&Key::Id(contract::id("n"))).await.unwrap(), None);
    // It is seen again without a write, and by a write at once.
    allow(0o755);
    vault.patch(&at("a"), append("!"), FORCE).await.unwrap();
    assert_eq!(vault.state(), VaultState::Ready);
    allow(0o555);
    vault.look(None).await.unwrap();
    assert!(
        matches!(vault.state(), VaultState::Degraded { .. }),
        "{:?}",
        vault.state()
    );
    allow(0o755);
    state_where(&vault, |state| *state == VaultState::Ready).await;

    // A directory that may not be read takes no note away.
    let locked = folder.join("locked");
    fs::create_dir(&locked).unwrap();
    fs::write(locked.join("b.md"), "two").unwrap();
    note_at(&vault, "locked/b").await;
    fs::set_permissions(&locked, std::os::unix::fs::PermissionsExt::from_mode(0o0)).unwrap();
    vault.look(None).await.unwrap();
    assert_eq!(note_at(&vault, "locked/b").await.content, "two");
    assert!(
        format!("{:?}", vault.state()).contains("cannot be read"),
        "{:?}",
        vault.state()
    );
    fs::set_permissions(&locked, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    vault.look(None).await.unwrap();
    assert_eq!(vault.state(), VaultState::Ready);
    vault.close().await;
    println!("all of it was tried");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_can_be_read() {
    let base = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .tempdir()
        .unwrap();
    fs::create_dir(base.path().join("notes")).unwrap();
    fs::write(base.path().join("notes/a.md"), "one").unwrap();
    // Root may write everywhere, so the child is somebody else; the program is copied to where that one may read it.
    let program = base.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut child = Command::new(&program);
    child
        .args(["--exact", "place::child_without_rights", "--nocapture"])
        .env(CHILD, base.path())
        .current_dir(base.path());
    if rustix::process::geteuid().is_root() {
        for path in ["", "notes", "notes/a.md"] {
            std::os::unix::fs::chown(base.path().join(path), Some(65_534), Some(65_534)).unwrap();
        }
        child.uid(65_534).gid(65_534);
    }
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("all of it was tried"),
        "{text}"
    );
}

#[tokio::test]
async fn attachments_outlive_a_move_of_their_note() {
    let dir = Dir::new();
    let vault = dir.open();
    let stored = upload(&*vault, "a.txt", b"bytes").await;
    let new = NewNote {
        path: Some("a".into()),
        attachments: vec![NewAttachment::of(&stored.path)],
        ..note("n")
    };
    vault.create(new).await.unwrap();
    fs::rename(dir.path("a.md"), dir.path("b.md")).unwrap();
    note_at(&vault, "b").await;
    let attached = vault.files().attachments(&at("b")).await.unwrap();
    assert_eq!(attached.len(), 1);
    assert_eq!(bytes_of(&*vault, &stored.path).await.as_deref(), Some(&b"bytes"[..]));
    fs::remove_file(dir.path("b.md")).unwrap();
    gone(&vault, "b").await;
    let freed = async {
        while bytes_of(&*vault, &stored.path).await.is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, freed).await.unwrap();
}

#[tokio::test]
async fn a_closed_vault_says_so_and_a_dropped_one_ends_its_work() {
    let dir = Dir::new();
    let vault = dir.open();
    vault.create(note("n")).await.unwrap();
    vault.close().await;
    vault.close().await;
    assert!(unavailable(vault.get(&at("n")).await).contains("closed"));
    assert!(unavailable(vault.create(note("m")).await).contains("closed"));

    let vault = dir.open();
    all(&vault).await;
    let is_open = || {
        let links = fs::read_dir("/proc/self/fd").unwrap();
        links
            .filter_map(|link| fs::read_link(link.ok()?.path()).ok())
            .any(|target| target.starts_with(dir.dir.path()))
    };
    assert!(is_open());
    drop(vault);
    let freed = async {
        while is_open() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, freed).await.unwrap();
}
