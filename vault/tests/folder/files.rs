//! What the vault writes into files, and what it leaves alone.

use std::os::unix::fs::{PermissionsExt, symlink};

use pretty_assertions::assert_eq;
use reveille_vault::triggers::{DeliveryFilter, DeliveryState, Event, NewTrigger, Outcome, Reply, Secret, When};
use reveille_vault::{ContentChange, NewNote, NoteId, Patch, Precondition};
use serde_json::json;

use super::contract::{append, id, metadata, ms, note, set};
use super::*;

const FORCE: Precondition = Precondition::Force;

#[tokio::test]
async fn a_note_is_a_file_that_people_can_read() {
    let dir = Dir::new();
    let vault = dir.open();
    let new = NewNote {
        path: Some("Threads/uni/uni".into()),
        content: "Summary\n".into(),
        tags: vec!["agent/thread".into()],
        metadata: metadata(json!({"agent": "uni", "turn_count": "2", "cost": 0.5})),
        created_at: Some(ms(1_795_213_331_181)),
        ..note("n1")
    };
    vault.create(new).await.unwrap();
    let expected = "---\nid: n1\ncreated: \"2026-11-20T22:22:11.181Z\"\ntags:\n  - agent/thread\nagent: uni\ncost: 0.5\n\
                    turn_count: \"2\"\n---\nSummary\n";
    assert_eq!(dir.text("Threads/uni/uni.md"), expected);
    assert_eq!(dir.names(), ["Threads/uni/uni.md"]);
}

#[tokio::test]
async fn a_write_is_no_news_to_the_watcher() {
    let dir = Dir::new();
    let vault = dir.open();
    for number in 0..20 {
        let made = vault
            .create(NewNote {
                path: Some(format!("d{number}/n")),
                ..note(&number.to_string())
            })
            .await
            .unwrap();
        vault.patch(&Key::Id(made.id), append("!"), FORCE).await.unwrap();
    }
    let newest = *vault.watch().borrow();
    vault.look(None).await.unwrap();
    // Whatever the watcher has to tell comes before what it tells of this one.
    dir.put("last.md", "x");
    note_at(&vault, "last").await;
    assert_eq!(vault.changes(newest, 100).await.unwrap().len(), 1);
    assert_eq!(log(&vault).await.len(), 41);
}

#[tokio::test]
async fn notes_without_a_path_are_put_where_people_look() {
    let dir = Dir::new();
    let vault = dir.open();
    let at_noon = |name: &str| NewNote {
        created_at: Some(ms(1_795_213_331_181)),
        ..note(name)
    };
    vault
        .create(at_noon("plain/x".replace('/', "-").as_str()))
        .await
        .unwrap();
    let message = NewNote {
        tags: vec!["agent/message".into(), "agent/message/inbound".into()],
        metadata: metadata(json!({"agent": "u/ni"})),
        ..at_noon("m1")
    };
    vault.create(message).await.unwrap();
    assert_eq!(dir.names(), ["Inbox/2026-11-20 plain-x.md", "channel/u-ni/m1.md"]);
    // A name that is taken is not taken away.
    dir.put("Inbox/2026-11-20 n2.md", "mine");
    vault.create(at_noon("n2")).await.unwrap();
    assert_eq!(dir.text("Inbox/2026-11-20 n2.md"), "mine");
    assert!(dir.text("Inbox/2026-11-20 n2 2.md").ends_with("---\nn2"));
}

#[tokio::test]
async fn a_patch_of_a_person_s_file_adds_only_what_is_documented() {
    let dir = Dir::new();
    let text = "---\n# mine\nname:   uni\naliases: [a,  b]\n---\n\nYou are Uni.\n\n";
    dir.put("Agents/uni.md", text);
    fs::set_permissions(dir.path("Agents/uni.md"), PermissionsExt::from_mode(0o640)).unwrap();
    let vault = dir.open();
    let before = note_at(&vault, "Agents/uni").await;
    let after = vault
        .patch(&at("Agents/uni"), set("status", "enabled"), FORCE)
        .await
        .unwrap();
    assert_eq!((&after.id, &after.content), (&before.id, &before.content));
    let expected = text.replace(
        "---\n\nYou",
        &format!("status: enabled\nid: {}\n---\n\nYou", quoted(&before.id)),
    );
    assert_eq!(dir.text("Agents/uni.md"), expected);
    let mode = fs::metadata(dir.path("Agents/uni.md")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    // The same again writes nothing.
    let seen = fs::metadata(dir.path("Agents/uni.md")).unwrap().modified().unwrap();
    assert_eq!(
        vault
            .patch(&at("Agents/uni"), set("status", "enabled"), FORCE)
            .await
            .unwrap(),
        after
    );
    assert_eq!(
        fs::metadata(dir.path("Agents/uni.md")).unwrap().modified().unwrap(),
        seen
    );
}

/// As an id stands in front matter: one that begins with a digit is quoted.
fn quoted(id: &NoteId) -> String {
    let text = id.as_str();
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        format!("\"{text}\"")
    } else {
        text.to_owned()
    }
}

#[tokio::test]
async fn an_edit_that_nobody_has_told_of_is_not_overwritten() {
    let dir = Dir::new();
    // Nobody tells of anything.
    let options = Options {
        watch: false,
        scan_every: Duration::from_secs(3_600),
        ..dir.options()
    };
    let vault = FolderVault::open("test", options).unwrap();
    let made = vault
        .create(NewNote {
            path: Some("a".into()),
            ..note("n")
        })
        .await
        .unwrap();
    let text = dir.text("a.md");
    dir.put("a.md", &text.replace("---\nn", "---\nn and a line of a person\n"));
    let after = vault.patch(&at("a"), append("and one of ours"), FORCE).await.unwrap();
    assert_eq!(after.content, "n and a line of a person\nand one of ours");
    assert!(
        dir.text("a.md")
            .ends_with("---\nn and a line of a person\nand one of ours")
    );

    dir.put("a.md", &dir.text("a.md").replace("ours", "theirs"));
    let stale = Precondition::UpdatedAt(made.updated_at);
    assert!(matches!(
        vault.patch(&at("a"), append("!"), stale).await,
        Err(VaultError::Conflict { .. })
    ));
    let stale = Precondition::UpdatedAt(after.updated_at);
    assert!(matches!(
        vault.patch(&at("a"), append("!"), stale).await,
        Err(VaultError::Conflict { .. })
    ));
    assert!(dir.text("a.md").ends_with("theirs"));

    // Nor a file where a note shall be made.
    dir.put("b.md", "mine");
    let taken = vault
        .create(NewNote {
            path: Some("b".into()),
            ..note("b")
        })
        .await;
    assert!(matches!(taken, Err(VaultError::PathTaken { .. })), "{taken:?}");
    let (found, created) = vault.upsert("b", append("!"), note("b")).await.unwrap();
    assert_eq!((found.content.as_str(), created), ("mine!", false));
    // Nor one that was removed.
    fs::remove_file(dir.path("a.md")).unwrap();
    assert!(matches!(
        vault.patch(&at("a"), append("!"), FORCE).await,
        Err(VaultError::NotFound { .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_and_the_daemon_write_one_file_and_neither_loses_a_line() {
    let dir = Dir::new();
    let vault = dir.open();
    vault
        .create(NewNote {
            path: Some("a".into()),
            content: "start\n".into(),
            ..note("n")
        })
        .await
        .unwrap();
    let file = dir.path("a.md");
    let person = std::thread::spawn(move || {
        for number in 0..150 {
            // An editor that looks whether the file is still the one that it has read.
            loop {
                let before = fs::metadata(&file).unwrap();
                let text = fs::read_to_string(&file).unwrap();
                let new = file.with_file_name(".person.tmp");
                fs::write(&new, format!("{text}person {number}\n")).unwrap();
                use std::os::unix::fs::MetadataExt;
                let swap = |one: &Path, other: &Path| {
                    rustix::fs::renameat_with(
                        rustix::fs::CWD,
                        one,
                        rustix::fs::CWD,
                        other,
                        rustix::fs::RenameFlags::EXCHANGE,
                    )
                    .unwrap();
                };
                swap(&new, &file);
                let old = fs::metadata(&new).unwrap();
                if (old.ino(), old.len()) == (before.ino(), before.len()) {
                    break;
                }
                // Somebody was faster: back with it.
                swap(&new, &file);
            }
        }
    });
    for number in 0..150 {
        vault
            .patch(&at("a"), append(&format!("daemon {number}\n")), FORCE)
            .await
            .unwrap();
    }
    person.join().unwrap();
    vault.look(None).await.unwrap();
    let content = get(&vault, "a").await.unwrap().content;
    for who in ["person", "daemon"] {
        let lines: Vec<_> = content
            .lines()
            .filter(|line| line.starts_with(who))
            .map(str::to_owned)
            .collect();
        let expected: Vec<_> = (0..150).map(|number| format!("{who} {number}")).collect();
        assert_eq!(lines, expected);
    }
    assert_eq!(dir.names().iter().filter(|name| name.contains("conflict")).count(), 0);
}

#[tokio::test]
async fn paths_out_of_the_folder_and_hidden_ones_are_refused() {
    let dir = Dir::new();
    let vault = dir.open();
    for (path, expected) in [
        ("../out", "begins with a dot"),
        ("a/../../out", "begins with a dot"),
        (".obsidian/x", "begins with a dot"),
        ("a/.b", "begins with a dot"),
        (&*format!("a/{}", "x".repeat(253)), "longer"),
        ("a///b", "is empty"),
    ] {
        let refusal = invalid(
            vault
                .create(NewNote {
                    path: Some(path.into()),
                    ..note("m")
                })
                .await,
        );
        assert!(refusal.contains(expected), "{path}: {refusal}");
        let refusal = invalid(vault.upsert(path, Patch::default(), note("n")).await);
        assert!(refusal.contains(expected), "{path}: {refusal}");
    }
    dir.put("file.md", "x");
    fs::write(dir.path("plain"), "x").unwrap();
    let refusal = invalid(
        vault
            .create(NewNote {
                path: Some("plain/x".into()),
                ..note("m")
            })
            .await,
    );
    assert!(refusal.contains("is a file"), "{refusal}");
    assert_eq!(dir.names(), ["file.md", "plain"]);
    assert!(fs::read_dir(dir.dir.path()).unwrap().count() == 2);
}

#[tokio::test]
async fn links_are_neither_read_nor_written_through() {
    let dir = Dir::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret.md"), "secret").unwrap();
    symlink(outside.path().join("secret.md"), dir.path("link.md")).unwrap();
    symlink(outside.path(), dir.path("dir")).unwrap();
    let vault = dir.open();
    dir.put("a.md", "a");
    note_at(&vault, "a").await;
    assert_eq!(paths(&vault).await, ["a"]);
    let taken = vault.upsert("link", append("!"), note("n")).await;
    assert!(matches!(taken, Err(VaultError::PathTaken { .. })), "{taken:?}");
    let refusal = invalid(
        vault
            .create(NewNote {
                path: Some("dir/new".into()),
                ..note("n")
            })
            .await,
    );
    assert!(refusal.contains("is a link"), "{refusal}");
    // A file that becomes a link is a note no more.
    fs::remove_file(dir.path("a.md")).unwrap();
    symlink(outside.path().join("secret.md"), dir.path("a.md")).unwrap();
    gone(&vault, "a").await;
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(outside.path().join("secret.md")).unwrap(), "secret");
}

#[tokio::test]
async fn what_is_no_note_is_left_alone_and_what_cannot_be_read_is_told() {
    use std::os::unix::ffi::OsStrExt;
    let dir = Dir::new();
    dir.put("good.md", "good");
    dir.put(".obsidian/x.md", "x");
    dir.put(".git/x.md", "x");
    dir.put(".trash/x.md", "x");
    dir.put("image.png", "x");
    dir.put("large.md", &"x".repeat(2_000));
    fs::write(dir.path("latin.md"), b"\xe9").unwrap();
    fs::write(dir.folder.join(std::ffi::OsStr::from_bytes(b"\xe9.md")), "x").unwrap();
    dir.put("line\nbreak.md", "x");
    let vault = FolderVault::open(
        "test",
        Options {
            max_bytes: 1_000,
            ..dir.options()
        },
    )
    .unwrap();
    note_at(&vault, "good").await;
    assert_eq!(paths(&vault).await, ["good"]);
    let VaultState::Degraded { reason, .. } = vault.state() else {
        panic!("{:?}", vault.state())
    };
    for told in ["larger than 1000 bytes", "not UTF-8", "and 1 more files"] {
        assert!(reason.contains(told), "{reason}");
    }
    let refusal = invalid(vault.patch(&at("good"), append(&"x".repeat(2_000)), FORCE).await);
    assert!(refusal.contains("1000 is the most"), "{refusal}");
    assert_eq!(dir.text("good.md"), "good");

    fs::remove_file(dir.path("large.md")).unwrap();
    fs::remove_file(dir.path("latin.md")).unwrap();
    fs::remove_file(dir.path("line\nbreak.md")).unwrap();
    fs::remove_file(dir.folder.join(std::ffi::OsStr::from_bytes(b"\xe9.md"))).unwrap();
    vault.look(None).await.unwrap();
    assert_eq!(vault.state(), VaultState::Ready);
}

#[tokio::test]
async fn a_known_file_that_cannot_be_read_any_more_keeps_its_note() {
    let dir = Dir::new();
    dir.put("a.md", "one");
    let vault = dir.open();
    let note = note_at(&vault, "a").await;
    fs::write(dir.path("a.md"), b"\xff\xfe").unwrap();
    state_where(&vault, |state| matches!(state, VaultState::Degraded { .. })).await;
    assert_eq!(get(&vault, "a").await, Some(note));
    fs::write(dir.path("a.md"), "two").unwrap();
    note_where(&vault, "a", |note| note.content == "two").await;
    assert_eq!(vault.state(), VaultState::Ready);
}

#[tokio::test]
async fn a_rename_by_the_vault_is_a_rename_of_the_file() {
    let dir = Dir::new();
    let vault = dir.open();
    vault
        .create(NewNote {
            path: Some("a/b".into()),
            ..note("n")
        })
        .await
        .unwrap();
    let text = dir.text("a/b.md");
    let to = |path: &str| Patch {
        path: Some(Some(path.into())),
        ..Patch::default()
    };
    vault.patch(&at("a/b"), to("c/d/e"), FORCE).await.unwrap();
    assert_eq!(
        (dir.names(), dir.text("c/d/e.md")),
        (vec!["c/d/e.md".to_owned()], text.clone())
    );
    let both = Patch {
        content: ContentChange::Replace("new".into()),
        ..to("f")
    };
    let renamed = vault.patch(&at("c/d/e"), both, FORCE).await.unwrap();
    assert_eq!((renamed.id, renamed.content.as_str()), (id("n"), "new"));
    assert_eq!(
        (dir.names(), dir.text("f.md")),
        (vec!["f.md".to_owned()], text.replace("---\nn", "---\nnew"))
    );
    // A name that a person has taken in between.
    dir.put("taken.md", "mine");
    let taken = vault.patch(&at("f"), to("taken"), FORCE).await;
    assert!(matches!(taken, Err(VaultError::PathTaken { .. })), "{taken:?}");
    assert_eq!(dir.text("taken.md"), "mine");
    let newest = *vault.watch().borrow();
    vault.look(None).await.unwrap();
    // The person's file, and nothing of ours.
    assert!(vault.changes(newest, 10).await.unwrap().len() <= 1);
    assert_eq!(paths(&vault).await, ["f", "taken"]);
}

#[tokio::test]
async fn what_the_index_changes_by_itself_stands_in_the_files() {
    let dir = Dir::new();
    dir.put("Target.md", "target");
    dir.put("a.md", "see [[Target]]\n");
    dir.put(
        "b.md",
        "---\n# mine\ntags: [project, x]\n---\nsee ![[target#h|shown]]\n",
    );
    let vault = dir.open();
    vault.look(None).await.unwrap();
    let to = Patch {
        path: Some(Some("dir/Goal".into())),
        ..Patch::default()
    };
    vault.patch(&at("Target"), to, FORCE).await.unwrap();
    let without_id = |text: String| -> String {
        text.split_inclusive('\n')
            .filter(|line| !line.starts_with("id: "))
            .collect()
    };
    assert_eq!(without_id(dir.text("a.md")), "---\n---\nsee [[dir/Goal]]\n");
    assert_eq!(
        without_id(dir.text("b.md")),
        "---\n# mine\ntags: [project, x]\n---\nsee ![[dir/Goal#h|shown]]\n"
    );
    assert_eq!(vault.tags().unwrap().rename_tag("project", "work").await.unwrap(), 1);
    assert_eq!(
        without_id(dir.text("b.md")),
        "---\n# mine\ntags:\n  - x\n  - work\n---\nsee ![[dir/Goal#h|shown]]\n"
    );
    // An edit in between is not overwritten by a change that is about many notes.
    dir.put("b.md", &dir.text("b.md").replace("see", "look at"));
    assert_eq!(vault.tags().unwrap().delete_tag("work").await.unwrap(), Some(1));
    assert!(dir.text("b.md").contains("look at") && !dir.text("b.md").contains("work"));
    let newest = *vault.watch().borrow();
    vault.look(None).await.unwrap();
    assert_eq!(vault.changes(newest, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_change_that_its_file_does_not_take_is_not_in_the_index_either() {
    let dir = Dir::new();
    dir.put("odd.md", "---\n{a: 1}\n---\nodd");
    dir.put("blocked", "x");
    let vault = dir.open();
    let before = note_at(&vault, "odd").await;
    let newest = *vault.watch().borrow();
    let refusal = invalid(vault.patch(&at("odd"), set("a", "2"), FORCE).await);
    assert!(
        refusal.contains("one key a line") && refusal.contains("nothing was written"),
        "{refusal}"
    );
    assert_eq!(get(&vault, "odd").await, Some(before));
    let batch = vec![
        NewNote {
            path: Some("one".into()),
            ..note("1")
        },
        NewNote {
            path: Some("blocked/two".into()),
            ..note("2")
        },
    ];
    invalid(vault.create_all(batch).await);
    assert_eq!(
        (dir.names(), paths(&vault).await),
        (vec!["blocked".into(), "odd.md".into()], vec!["odd".into()])
    );
    assert_eq!(vault.changes(newest, 10).await.unwrap(), []);
    assert_eq!(dir.text("odd.md"), "---\n{a: 1}\n---\nodd");
}

#[tokio::test]
async fn a_receiver_s_answer_that_its_file_does_not_take_is_told_once() {
    let dir = Dir::new();
    let vault = dir.open();
    let triggers = vault.triggers().unwrap();
    let trigger = NewTrigger {
        name: "hook".into(),
        events: vec![Event::Created],
        when: When::default(),
        webhook: "http://127.0.0.1:1/".into(),
        timeout: Duration::from_secs(1),
        bearer: None,
        secret: Secret::new("s"),
        rotate: false,
        enabled: None,
    };
    triggers.put(trigger).await.unwrap();
    // Front matter in braces can be read, but not changed key by key.
    let text = "---\n{tags: [x]}\n---\nhello\n";
    dir.put("braces.md", text);
    note_at(&vault, "braces").await;
    let due = triggers.due(10, Vec::new()).await.unwrap().ready;
    let outcome = Outcome::Delivered {
        status: 200,
        reply: Reply {
            metadata: metadata(json!({"seen": true})),
            ..Reply::default()
        },
        remark: None,
    };
    triggers.settle(&due[0].id, outcome).await.unwrap();
    assert_eq!(dir.text("braces.md"), text);
    let delivery = triggers
        .deliveries(
            "hook",
            DeliveryFilter {
                limit: 10,
                ..DeliveryFilter::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(delivery[0].state, DeliveryState::Delivered);
    assert!(
        delivery[0].remark.as_ref().unwrap().contains("braces.md"),
        "{delivery:?}"
    );
    assert!(triggers.due(10, Vec::new()).await.unwrap().ready.is_empty());
}
