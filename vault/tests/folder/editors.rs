//! How editors, programs and people change files, and what becomes of the notes.

use std::io::Write;

use pretty_assertions::assert_eq;
use reveille_vault::ChangeKind;
use serde_json::json;

use super::*;

const MESSAGE: &str = "---\ntags: [\"#agent/message/inbound\"]\nagent: uni\n---\nHello\n";

fn kinds(log: &[Change], note: &Note) -> Vec<ChangeKind> {
    let of_note = log.iter().filter(|change| change.id == note.id);
    of_note.map(|change| change.kind).collect()
}

#[tokio::test]
async fn a_dropped_file_is_a_note() {
    let dir = Dir::new();
    let vault = dir.open();
    vault.look(None).await.unwrap();
    dir.put("Inbox/hello.md", MESSAGE);
    let note = note_at(&vault, "Inbox/hello").await;
    assert_eq!(note.tags, ["agent/message/inbound"]);
    assert_eq!(
        (note.text("agent").as_deref(), note.content.as_str()),
        (Some("uni"), "Hello\n")
    );
    // It is not touched.
    assert_eq!(dir.text("Inbox/hello.md"), MESSAGE);
    assert_eq!(kinds(&log(&vault).await, &note), [ChangeKind::Created]);
}

#[tokio::test]
async fn every_way_of_saving_is_one_change_of_the_same_note() {
    let dir = Dir::new();
    dir.put("a.md", "one");
    let vault = dir.open();
    let note = note_at(&vault, "a").await;
    let file = dir.path("a.md");

    // In place, as Obsidian does.
    fs::write(&file, "two").unwrap();
    let two = note_where(&vault, "a", |note| note.content == "two").await;
    // A new file that takes the place of the old one.
    fs::write(dir.path(".a.md.swp"), "three").unwrap();
    fs::rename(dir.path(".a.md.swp"), &file).unwrap();
    let three = note_where(&vault, "a", |note| note.content == "three").await;
    // The old file aside, a new one, the old one gone: as vim does.
    fs::rename(&file, dir.path("a.md~")).unwrap();
    fs::write(&file, "four").unwrap();
    fs::remove_file(dir.path("a.md~")).unwrap();
    let four = note_where(&vault, "a", |note| note.content == "four").await;
    run(&dir.folder, "sed", &["-i", "s/four/five/", "a.md"]);
    let five = note_where(&vault, "a", |note| note.content == "five").await;

    for later in [&two, &three, &four, &five] {
        assert_eq!((&later.id, later.created_at), (&note.id, note.created_at));
    }
    assert!([&note, &two, &three, &four, &five].is_sorted_by(|one, next| one.updated_at < next.updated_at));
    use ChangeKind::{Created, Updated};
    assert_eq!(
        kinds(&log(&vault).await, &note),
        [Created, Updated, Updated, Updated, Updated]
    );
    assert_eq!(dir.names(), ["a.md"]);
}

#[tokio::test]
async fn a_file_in_the_making_is_not_read_by_halves() {
    let dir = Dir::new();
    let vault = dir.open();
    vault.look(None).await.unwrap();
    let mut file = fs::File::create(dir.path("a.md")).unwrap();
    for piece in MESSAGE.as_bytes().chunks(8) {
        file.write_all(piece).unwrap();
        file.flush().unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(file);
    let note = note_at(&vault, "a").await;
    assert_eq!((note.content.as_str(), note.tags.len()), ("Hello\n", 1));
    assert_eq!(kinds(&log(&vault).await, &note), [ChangeKind::Created]);
}

#[tokio::test]
async fn a_touched_file_is_no_change() {
    let dir = Dir::new();
    dir.put("a.md", "one");
    dir.put("b.md", "one");
    let vault = dir.open();
    let note = note_at(&vault, "a").await;
    run(&dir.folder, "touch", &["a.md"]);
    run(&dir.folder, "chmod", &["600", "a.md"]);
    fs::write(dir.path("a.md"), "one").unwrap();
    fs::write(dir.path("b.md"), "two").unwrap();
    note_where(&vault, "b", |note| note.content == "two").await;
    vault.look(Some(&note.id)).await.unwrap();
    assert_eq!(get(&vault, "a").await, Some(note.clone()));
    assert_eq!(kinds(&log(&vault).await, &note), [ChangeKind::Created]);
}

#[tokio::test]
async fn a_removed_file_is_a_removed_note() {
    let dir = Dir::new();
    dir.put("a.md", "one");
    let vault = dir.open();
    let note = note_at(&vault, "a").await;
    fs::remove_file(dir.path("a.md")).unwrap();
    gone(&vault, "a").await;
    assert_eq!(
        kinds(&log(&vault).await, &note),
        [ChangeKind::Created, ChangeKind::Deleted]
    );
    // And back again, as from a bin: a file without an id gets the same one under the same name.
    dir.put("a.md", "one");
    assert_eq!(note_at(&vault, "a").await.id, note.id);
}

#[tokio::test]
async fn a_renamed_file_is_the_same_note() {
    let dir = Dir::new();
    dir.put("a.md", "one");
    let vault = dir.open();
    let note = note_at(&vault, "a").await;
    fs::create_dir(dir.path("sub")).unwrap();
    for (from, to) in [("a", "b"), ("b", "sub/c"), ("sub/c", "a")] {
        fs::rename(dir.path(&format!("{from}.md")), dir.path(&format!("{to}.md"))).unwrap();
        let moved = note_at(&vault, to).await;
        assert_eq!((&moved.id, moved.created_at), (&note.id, note.created_at));
        assert_eq!(get(&vault, from).await, None);
    }
    // Moved and changed in one go.
    fs::rename(dir.path("a.md"), dir.path("d.md")).unwrap();
    fs::write(dir.path("d.md"), "two").unwrap();
    assert_eq!(note_where(&vault, "d", |note| note.content == "two").await.id, note.id);
    // Copied and removed, as between two disks.
    fs::copy(dir.path("d.md"), dir.path("e.md")).unwrap();
    fs::remove_file(dir.path("d.md")).unwrap();
    assert_eq!(note_at(&vault, "e").await.id, note.id);
    assert!(
        kinds(&log(&vault).await, &note)[1..]
            .iter()
            .all(|kind| *kind == ChangeKind::Updated)
    );
}

#[tokio::test]
async fn a_moved_directory_takes_its_notes_along() {
    let dir = Dir::new();
    for name in ["x/a.md", "x/y/b.md", "x/y/z/c.md", "other.md"] {
        dir.put(name, name);
    }
    let vault = dir.open();
    let before = all(&vault).await;
    fs::rename(dir.path("x"), dir.path("moved")).unwrap();
    for path in ["moved/a", "moved/y/b", "moved/y/z/c"] {
        let moved = note_at(&vault, path).await;
        let old = before.iter().find(|note| note.content == moved.content).unwrap();
        assert_eq!(moved.id, old.id);
    }
    // Its directories are still followed, under their new names, and a new one with the old name too.
    fs::write(dir.path("moved/y/z/c.md"), "new").unwrap();
    note_where(&vault, "moved/y/z/c", |note| note.content == "new").await;
    dir.put("x/y/d.md", "d");
    note_at(&vault, "x/y/d").await;
    fs::write(dir.path("x/y/d.md"), "dd").unwrap();
    note_where(&vault, "x/y/d", |note| note.content == "dd").await;
    assert_eq!(
        paths(&vault).await,
        ["moved/a", "moved/y/b", "moved/y/z/c", "other", "x/y/d"]
    );

    fs::remove_dir_all(dir.path("moved")).unwrap();
    gone(&vault, "moved/y/z/c").await;
    gone(&vault, "moved/a").await;
    let kept = before.iter().find(|note| note.content == "x/a.md").unwrap();
    assert_eq!(kinds(&log(&vault).await, kept).last(), Some(&ChangeKind::Deleted));
}

#[tokio::test]
async fn a_checkout_of_many_files_is_followed() {
    let dir = Dir::new();
    let git = |args: &[&str]| {
        let name = [
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@t",
            "-c",
            "commit.gpgsign=false",
        ];
        run(&dir.folder, "git", &[&name, args].concat());
    };
    git(&["init", "-q", "-b", "one"]);
    for number in 0..300 {
        dir.put(&format!("d{}/n{number}.md", number % 7), &format!("one {number}"));
    }
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "one"]);
    git(&["checkout", "-q", "-b", "two"]);
    for number in 0..300 {
        match number % 3 {
            0 => fs::remove_file(dir.path(&format!("d{}/n{number}.md", number % 7))).unwrap(),
            1 => dir.put(&format!("d{}/n{number}.md", number % 7), &format!("two {number}")),
            _ => dir.put(&format!("new/{number}.md"), &format!("new {number}")),
        }
    }
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "two"]);
    git(&["checkout", "-q", "one"]);

    let vault = dir.open();
    let one = all(&vault).await;
    assert_eq!(one.len(), 300);
    for (branch, present, absent, count) in [("two", "new/299", "d0/n0", 300), ("one", "d0/n0", "new/299", 300)] {
        git(&["checkout", "-q", branch]);
        note_at(&vault, present).await;
        gone(&vault, absent).await;
        let whole = async {
            let changed = |note: &Note| note.path.as_deref() == Some("d1/n1") && note.content == format!("{branch} 1");
            loop {
                let notes = all(&vault).await;
                if notes.len() == count && notes.iter().any(changed) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, whole).await.unwrap();
    }
    let key = |note: &Note| (note.id.clone(), note.path.clone(), note.content.clone());
    let mut before: Vec<_> = one.iter().map(key).collect();
    let mut after: Vec<_> = all(&vault).await.iter().map(key).collect();
    before.sort();
    after.sort();
    assert_eq!(after, before);
}

#[tokio::test]
async fn what_changed_while_nobody_looked_is_found_at_the_next_start() {
    let dir = Dir::new();
    for name in ["same", "edited", "removed", "moved"] {
        dir.put(&format!("{name}.md"), name);
    }
    let vault = dir.open();
    let before = all(&vault).await;
    let cursor = *vault.watch().borrow();
    vault.close().await;
    let id = |name: &str| before.iter().find(|note| note.content == name).unwrap().id.clone();

    fs::write(dir.path("edited.md"), "edited!").unwrap();
    fs::remove_file(dir.path("removed.md")).unwrap();
    fs::create_dir(dir.path("sub")).unwrap();
    fs::rename(dir.path("moved.md"), dir.path("sub/moved.md")).unwrap();
    dir.put("new.md", "new");
    let vault = dir.open();
    assert_eq!(paths(&vault).await, ["edited", "new", "same", "sub/moved"]);
    let mut log: Vec<_> = vault
        .changes(cursor, 100)
        .await
        .unwrap()
        .into_iter()
        .map(|change| (change.id, change.kind))
        .collect();
    log.sort_by_key(|(_, kind)| format!("{kind:?}"));
    let new = note_at(&vault, "new").await.id;
    assert_eq!(log[0], (new, ChangeKind::Created));
    assert_eq!(log[1], (id("removed"), ChangeKind::Deleted));
    let mut updated = [log[2].clone(), log[3].clone()];
    updated.sort_by_key(|(changed, _)| *changed != id("edited"));
    assert_eq!(
        updated,
        [(id("edited"), ChangeKind::Updated), (id("moved"), ChangeKind::Updated)]
    );
    assert_eq!(log.len(), 4);
}

#[tokio::test]
async fn without_a_watcher_changes_are_found_by_looking() {
    let dir = Dir::new();
    let options = Options {
        watch: false,
        scan_every: Duration::from_millis(20),
        ..dir.options()
    };
    let vault = FolderVault::open("test", options).unwrap();
    vault.look(None).await.unwrap();
    dir.put("a/b.md", "one");
    note_at(&vault, "a/b").await;
    fs::write(dir.path("a/b.md"), "two").unwrap();
    note_where(&vault, "a/b", |note| note.content == "two").await;
    fs::remove_file(dir.path("a/b.md")).unwrap();
    gone(&vault, "a/b").await;
}

#[tokio::test]
async fn half_saved_front_matter_does_not_undo_a_note() {
    let dir = Dir::new();
    let text = "---\ntags: [agent/definition]\nname: uni\n---\nYou are Uni.\n";
    dir.put("Agents/uni.md", text);
    let vault = dir.open();
    let note = note_at(&vault, "Agents/uni").await;
    let broken = text.replace("name: uni", "name: [uni");
    dir.put("Agents/uni.md", &broken);
    let state = state_where(&vault, |state| *state != VaultState::Ready).await;
    let VaultState::Degraded { reason, .. } = state else {
        panic!("{state:?}")
    };
    assert!(
        reason.contains("Agents/uni.md") && reason.contains("the note stays as it was"),
        "{reason}"
    );
    assert_eq!(get(&vault, "Agents/uni").await, Some(note.clone()));
    // Nor is it rewritten, by whoever it be.
    let patch = reveille_vault::Patch {
        metadata: contract::metadata(json!({"status": "enabled"})),
        ..Default::default()
    };
    let refusal = invalid(
        vault
            .patch(&at("Agents/uni"), patch.clone(), reveille_vault::Precondition::Force)
            .await,
    );
    assert!(
        refusal.contains("cannot be read") && refusal.contains("mend it"),
        "{refusal}"
    );
    assert_eq!(dir.text("Agents/uni.md"), broken);

    // A start in between knows it too.
    vault.close().await;
    let vault = dir.open();
    assert_eq!(get(&vault, "Agents/uni").await, Some(note));
    assert!(matches!(vault.state(), VaultState::Degraded { .. }));
    dir.put("Agents/uni.md", &text.replace("name: uni", "name: ops"));
    let mended = note_where(&vault, "Agents/uni", |note| note.text("name").as_deref() == Some("ops")).await;
    assert_eq!(mended.tags, ["agent/definition"]);
    state_where(&vault, |state| *state == VaultState::Ready).await;
    vault
        .patch(&at("Agents/uni"), patch, reveille_vault::Precondition::Force)
        .await
        .unwrap();
}
