//! Which file is which note: ids in files, copies, conflicts of programs for synchronisation.

use pretty_assertions::assert_eq;

use super::*;

fn with_id(id: &str, text: &str) -> String {
    format!("---\nid: {id}\ntags: [agent/message/inbound, mine]\nagent: uni\n---\n{text}")
}

#[tokio::test]
async fn an_id_in_the_file_is_the_note_s() {
    let dir = Dir::new();
    dir.put("a.md", &with_id("20261125", "one"));
    let vault = dir.open();
    let note = note_at(&vault, "a").await;
    assert_eq!(note.id.as_str(), "20261125");
    // It is moved by a program that writes a new file, and changed on the way.
    fs::remove_file(dir.path("a.md")).unwrap();
    dir.put("sub/b.md", &with_id("20261125", "two"));
    let moved = note_at(&vault, "sub/b").await;
    assert_eq!((moved.id.clone(), moved.created_at), (note.id, note.created_at));
    gone(&vault, "a").await;
    // The line is taken out: the note stays what it was.
    dir.put("sub/b.md", "three");
    assert_eq!(
        note_where(&vault, "sub/b", |note| note.content == "three").await.id,
        moved.id
    );
}

#[tokio::test]
async fn ids_without_a_file_s_word_outlive_the_index() {
    let dir = Dir::new();
    dir.put("a.md", "one");
    dir.put("sub/b.md", "one");
    let vault = dir.open();
    let before = all(&vault).await;
    let cursor = *vault.watch().borrow();
    vault.close().await;
    fs::remove_dir_all(dir.dir.path().join("state")).unwrap();
    let vault = dir.open();
    let after = all(&vault).await;
    let ids = |notes: &[Note]| -> Vec<_> { notes.iter().map(|note| (note.path.clone(), note.id.clone())).collect() };
    let (mut one, mut two) = (ids(&before), ids(&after));
    one.sort();
    two.sort();
    assert_eq!(two, one);
    // Whoever has stored a cursor of the lost index is told of everything again.
    assert_eq!(vault.changes(cursor, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_copy_is_a_note_of_its_own_and_wakes_nobody() {
    let dir = Dir::new();
    dir.put("hello.md", &with_id("m1", "Hello"));
    let vault = dir.open();
    let note = note_at(&vault, "hello").await;
    run(&dir.folder, "cp", &["hello.md", "a copy.md"]);
    let copy = note_at(&vault, "a copy").await;
    assert_ne!(copy.id, note.id);
    assert_eq!(
        (copy.tags.clone(), copy.content.as_str()),
        (vec!["conflict-copy".into(), "mine".into()], "Hello")
    );
    assert_eq!(get(&vault, "hello").await, Some(note.clone()));
    let text = dir.text("a copy.md");

    // A write of the vault does not make it a message, nor touch its id.
    let patch = contract::set("k", "v");
    let patched = vault
        .patch(&Key::Id(copy.id.clone()), patch, reveille_vault::Precondition::Force)
        .await
        .unwrap();
    assert_eq!((&patched.id, &patched.tags), (&copy.id, &copy.tags));
    assert_eq!(
        dir.text("a copy.md"),
        text.replace("agent: uni\n", "agent: uni\nk: v\n")
    );
    vault.close().await;
    let vault = dir.open();
    assert_eq!(get(&vault, "a copy").await, Some(patched));

    // Without the id it is a message of its own.
    dir.put("a copy.md", &text.replace("id: m1\n", ""));
    let own = note_where(&vault, "a copy", |note| note.has_tag("agent/message/inbound")).await;
    assert_eq!(own.id, copy.id);
}

#[tokio::test]
async fn the_copy_is_the_note_when_the_original_is_gone() {
    let dir = Dir::new();
    dir.put("hello.md", &with_id("m1", "Hello"));
    let vault = dir.open();
    let note = note_at(&vault, "hello").await;
    run(&dir.folder, "cp", &["hello.md", "copy.md"]);
    let copy = note_at(&vault, "copy").await;
    fs::remove_file(dir.path("hello.md")).unwrap();
    let heir = note_where(&vault, "copy", |found| found.id == note.id).await;
    assert_eq!(heir.tags, note.tags);
    assert_eq!(vault.get(&Key::Id(copy.id)).await.unwrap(), None);
    assert_eq!(paths(&vault).await, ["copy"]);
}

#[tokio::test]
async fn of_files_with_one_id_the_oldest_has_it_at_a_first_look() {
    let dir = Dir::new();
    dir.put("zz original.md", &with_id("m1", "Hello"));
    tokio::time::sleep(Duration::from_millis(20)).await;
    dir.put("a.md", &with_id("m1", "Hello"));
    dir.put("a (conflicted copy 2026-11-25).md", &with_id("m2", "two"));
    tokio::time::sleep(Duration::from_millis(20)).await;
    dir.put("b.md", &with_id("m2", "two"));
    let vault = dir.open();
    assert_eq!(note_at(&vault, "zz original").await.id.as_str(), "m1");
    assert_eq!(note_at(&vault, "b").await.id.as_str(), "m2");
    for copy in ["a", "a (conflicted copy 2026-11-25)"] {
        assert_eq!(note_at(&vault, copy).await.tags, ["conflict-copy", "mine"]);
    }
}

#[tokio::test]
async fn conflict_copies_are_kept_and_wake_nobody() {
    let dir = Dir::new();
    // Without an id in it: only the name says what it is.
    let text = "---\ntags: [agent/message/inbound]\nagent: uni\n---\nHello";
    dir.put("m.md", text);
    let vault = dir.open();
    let note = note_at(&vault, "m").await;
    let name = "m.sync-conflict-20261125-101010-ABCDEFG";
    dir.put(&format!("{name}.md"), &text.replace("Hello", "Hello you"));
    let copy = note_at(&vault, name).await;
    assert_eq!(
        (copy.tags.as_slice(), copy.content.as_str()),
        (&["conflict-copy".to_owned()][..], "Hello you")
    );
    assert_eq!(get(&vault, "m").await, Some(note.clone()));
    let patch = contract::append("!");
    vault
        .patch(&at("m"), patch, reveille_vault::Precondition::Force)
        .await
        .unwrap();
    assert_eq!(dir.text(&format!("{name}.md")), text.replace("Hello", "Hello you"));
    // Under a name of its own it is a message.
    fs::rename(dir.path(&format!("{name}.md")), dir.path("again.md")).unwrap();
    let again = note_at(&vault, "again").await;
    assert_eq!(
        (again.id, again.tags.as_slice()),
        (copy.id, &["agent/message/inbound".to_owned()][..])
    );
}

#[tokio::test]
async fn files_that_change_places_keep_their_ids() {
    let dir = Dir::new();
    for name in ["a", "b"] {
        dir.put(&format!("{name}.md"), &with_id(&format!("id-{name}"), name));
    }
    let vault = dir.open();
    note_at(&vault, "a").await;
    fs::rename(dir.path("a.md"), dir.path("c.md")).unwrap();
    fs::rename(dir.path("b.md"), dir.path("a.md")).unwrap();
    fs::rename(dir.path("c.md"), dir.path("b.md")).unwrap();
    assert_eq!(
        note_where(&vault, "a", |note| note.content == "b").await.id.as_str(),
        "id-b"
    );
    assert_eq!(
        note_where(&vault, "b", |note| note.content == "a").await.id.as_str(),
        "id-a"
    );
    let kinds: Vec<_> = log(&vault)
        .await
        .into_iter()
        .skip(2)
        .map(|change| change.kind)
        .collect();
    assert!(
        kinds.iter().all(|kind| *kind == reveille_vault::ChangeKind::Updated),
        "{kinds:?}"
    );

    // One over the other: the one that is overwritten is gone.
    fs::rename(dir.path("a.md"), dir.path("b.md")).unwrap();
    assert_eq!(
        note_where(&vault, "b", |note| note.content == "b").await.id.as_str(),
        "id-b"
    );
    gone(&vault, "a").await;
    assert_eq!(all(&vault).await.len(), 1);
}

#[tokio::test]
async fn a_new_file_under_an_old_name_is_a_new_note() {
    let dir = Dir::new();
    dir.put("a.md", "one");
    let vault = dir.open();
    let note = note_at(&vault, "a").await;
    fs::rename(dir.path("a.md"), dir.path("b.md")).unwrap();
    note_at(&vault, "b").await;
    dir.put("a.md", "another one");
    let other = note_at(&vault, "a").await;
    assert_ne!(other.id, note.id);
    assert_eq!(note_at(&vault, "b").await.id, note.id);
    // A file of the same size in the place of a removed one may get its inode; it is another note.
    fs::remove_file(dir.path("a.md")).unwrap();
    dir.put("c.md", "one another");
    gone(&vault, "a").await;
    assert_ne!(note_at(&vault, "c").await.id, other.id);
}

#[tokio::test]
async fn names_of_either_form_of_unicode_are_one_path() {
    let dir = Dir::new();
    // As a Mac may have written it: letter and accent apart.
    dir.put("U\u{308}bung/e\u{301}.md", "decomposed");
    let vault = dir.open();
    let note = note_at(&vault, "Übung/é").await;
    assert_eq!(note.content, "decomposed");
    assert_eq!(get(&vault, "U\u{308}bung/e\u{301}").await, Some(note));
    let (made, _) = vault
        .upsert("Übung/neu", Default::default(), contract::note("neu"))
        .await
        .unwrap();
    assert_eq!(made.path.as_deref(), Some("Übung/neu"));
    // In the directory that is there, not in a second one that looks the same.
    assert_eq!(dir.names(), ["U\u{308}bung/e\u{301}.md", "U\u{308}bung/neu.md"]);
    vault.look(None).await.unwrap();
    assert_eq!(note_at(&vault, "Übung/neu").await, made);

    // Both forms side by side: none is lost.
    dir.put("U\u{308}bung/é.md", "composed");
    vault.look(None).await.unwrap();
    let mut texts: Vec<_> = all(&vault).await.into_iter().map(|note| note.content).collect();
    texts.sort();
    assert_eq!(texts, ["composed", "decomposed", "neu"]);
}

#[tokio::test]
async fn a_name_that_is_used_again_is_another_note() {
    let dir = Dir::new();
    let vault = dir.open();
    let mut ids = Vec::new();
    for text in ["one", "two", "two", "one", "three"] {
        dir.put("Inbox/Untitled.md", text);
        ids.push(note_at(&vault, "Inbox/Untitled").await.id);
        fs::remove_file(dir.path("Inbox/Untitled.md")).unwrap();
        gone(&vault, "Inbox/Untitled").await;
    }
    // What comes back as it was had only been away.
    assert_eq!((&ids[1], &ids[0]), (&ids[2], &ids[3]));
    assert!(ids[0] != ids[1] && ids[0] != ids[4] && ids[1] != ids[4], "{ids:?}");
}
