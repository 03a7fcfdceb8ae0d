use pretty_assertions::assert_eq;
use reveille_vault::{ContentChange, EmbeddedVault, NewAttachment, NewFile, TagChange};
use tempfile::TempDir;

use super::*;

struct Subject {
    inner: Arc<dyn Vault>,
    scoped: Arc<ScopedVault>,
    _dir: TempDir,
}

/// A vault with a note `mine` that is seen and a note `other` that is not.
async fn subject() -> Subject {
    let dir = tempfile::tempdir().unwrap();
    let inner: Arc<dyn Vault> = EmbeddedVault::open("v", &dir.path().join("v.db")).unwrap();
    for (name, tag) in [("mine", "work/a"), ("other", "private")] {
        inner.create(note(name, &[tag])).await.unwrap();
    }
    let scoped = Arc::new(ScopedVault::new(Arc::clone(&inner), true, vec!["work".into()]));
    Subject {
        inner,
        scoped,
        _dir: dir,
    }
}

fn note(path: &str, tags: &[&str]) -> NewNote {
    NewNote {
        path: Some(path.into()),
        content: path.into(),
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        ..NewNote::default()
    }
}

fn at(path: &str) -> Key {
    Key::Path(path.into())
}

fn tags(add: &[&str], remove: &[&str]) -> Patch {
    let owned = |tags: &[&str]| tags.iter().map(|&tag| tag.to_owned()).collect();
    Patch {
        add_tags: owned(add),
        remove_tags: owned(remove),
        ..Patch::default()
    }
}

fn append(text: &str) -> Patch {
    Patch {
        content: ContentChange::Extend {
            prepend: String::new(),
            append: text.into(),
        },
        ..Patch::default()
    }
}

/// The name of an error.
fn refused<T: std::fmt::Debug>(outcome: Result<T, VaultError>) -> String {
    let shown = format!("{:?}", outcome.unwrap_err());
    shown.split([' ', '(']).next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn what_is_not_seen_is_not_there() {
    let Subject { inner, scoped, _dir } = subject().await;
    assert!(scoped.get(&at("mine")).await.unwrap().is_some());
    assert_eq!(scoped.get(&at("other")).await.unwrap(), None);
    let hidden = inner.get(&at("other")).await.unwrap().unwrap();
    for key in [Key::Id(hidden.id.clone()), Key::IdOrPath("other".into())] {
        assert_eq!(scoped.get(&key).await.unwrap(), None, "{key}");
    }
    let all = scoped.query(&Query::default()).await.unwrap().notes;
    assert_eq!(
        all.iter().map(|note| note.path.clone().unwrap()).collect::<Vec<_>>(),
        ["mine"]
    );
    // Asked for by its own tag it is not there either.
    let query = Query {
        tags: vec!["private".into()],
        ..Query::default()
    };
    assert_eq!(scoped.query(&query).await.unwrap().notes, []);
    let force = Precondition::Force;
    assert_eq!(
        refused(scoped.patch(&at("other"), append("x"), force).await),
        "NotFound"
    );
    assert_eq!(refused(scoped.delete(&at("other")).await), "NotFound");
    assert_eq!(refused(scoped.files().attachments(&at("other")).await), "NotFound");
    assert_eq!(inner.get(&at("other")).await.unwrap(), Some(hidden));
}

#[tokio::test]
async fn nothing_is_written_that_would_not_be_seen() {
    let Subject { inner, scoped, _dir } = subject().await;
    let count = async || inner.query(&Query::default()).await.unwrap().notes.len();
    for outside in [note("n", &[]), note("n", &["private"]), note("n", &["works"])] {
        assert_eq!(refused(scoped.create(outside).await), "OutsideScope");
    }
    // One of a batch is enough.
    let batch = vec![note("n1", &["work"]), note("n2", &["private"])];
    assert_eq!(refused(scoped.create_all(batch).await), "OutsideScope");
    assert_eq!(count().await, 2);
    assert_eq!(scoped.create(note("n", &["#work"])).await.unwrap().tags, ["work"]);

    let force = Precondition::Force;
    for last in [tags(&[], &["work/a"]), tags(&["private"], &["#work/a"])] {
        assert_eq!(refused(scoped.patch(&at("mine"), last, force).await), "OutsideScope");
    }
    let swapped = scoped
        .patch(&at("mine"), tags(&["work/b"], &["work/a"]), force)
        .await
        .unwrap();
    assert_eq!(swapped.tags, ["work/b"]);
    assert_eq!(scoped.delete(&at("mine")).await.unwrap(), swapped.id);
    // At the path of a note that is not seen nothing is made.
    let made = scoped.upsert("other", append("x"), note("", &["work"])).await;
    assert_eq!(refused(made), "PathTaken");
    assert_eq!(inner.get(&at("other")).await.unwrap().unwrap().content, "other");
}

#[tokio::test]
async fn a_token_for_tags_does_not_say_what_the_tags_are() {
    let Subject { inner, scoped, _dir } = subject().await;
    for path in ["_tags/private", "/_tags/private.md", "_TAGS/private"] {
        assert_eq!(
            refused(scoped.create(note(path, &["work"])).await),
            "Forbidden",
            "{path}"
        );
        let moved = Patch {
            path: Some(Some(path.into())),
            ..Patch::default()
        };
        assert_eq!(
            refused(scoped.patch(&at("mine"), moved, Precondition::Force).await),
            "Forbidden",
            "{path}"
        );
    }
    inner.create(note("_tags/x", &["work"])).await.unwrap();
    let changed = scoped.patch(&at("_tags/x"), append("x"), Precondition::Force).await;
    assert_eq!(refused(changed), "Forbidden");
    assert_eq!(refused(scoped.delete(&at("_tags/x")).await), "Forbidden");
}

#[tokio::test]
async fn a_change_holds_only_for_the_note_that_was_judged() {
    let Subject { inner, scoped, _dir } = subject().await;
    let before = scoped.existing(&at("mine")).await.unwrap();
    inner
        .patch(&at("mine"), tags(&["private"], &["work/a"]), Precondition::Force)
        .await
        .unwrap();
    let late = scoped.patch_as_read(&before, append("late"), Precondition::Force).await;
    assert_eq!(refused(late), "Conflict");
    assert_eq!(
        refused(scoped.patch(&at("mine"), append("late"), Precondition::Force).await),
        "NotFound"
    );
    inner
        .patch(&at("mine"), tags(&["work"], &[]), Precondition::Force)
        .await
        .unwrap();
    let stale = Precondition::UpdatedAt(before.updated_at);
    assert_eq!(refused(scoped.patch(&at("mine"), append("x"), stale).await), "Conflict");
    assert_eq!(scoped.existing(&at("mine")).await.unwrap().content, "mine");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_of_one_note_lose_nothing() {
    let Subject { scoped, _dir, .. } = subject().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let scoped = Arc::clone(&scoped);
        tasks.spawn(async move {
            scoped
                .patch(&at("mine"), append("x"), Precondition::Force)
                .await
                .is_ok()
        });
    }
    let done = tasks.join_all().await.into_iter().filter(|ok| *ok).count();
    let content = scoped.existing(&at("mine")).await.unwrap().content;
    assert_eq!(content, format!("mine{}", "x".repeat(done)));
    assert!(done > 0);
}

#[tokio::test]
async fn the_log_has_the_changes_that_are_seen() {
    let Subject { inner, scoped, _dir } = subject().await;
    for number in 0..5 {
        inner.create(note(&format!("p{number}"), &["private"])).await.unwrap();
    }
    inner.create(note("late", &["work"])).await.unwrap();
    inner.delete(&at("p0")).await.unwrap();
    let mut paths = Vec::new();
    let mut since = 0;
    loop {
        // Less than lie between the two that are seen.
        let changes = scoped.changes(since, 2).await.unwrap();
        let Some(last) = changes.last() else { break };
        since = last.cursor;
        paths.extend(changes.into_iter().map(|change| change.note.unwrap().path.unwrap()));
    }
    assert_eq!(paths, ["mine", "late"]);
}

async fn upload(vault: &dyn Vault) -> String {
    let upload = vault.files().upload(NewFile::default()).await.unwrap();
    upload.finish().await.unwrap().path
}

#[tokio::test]
async fn files_are_seen_with_their_notes() {
    let Subject { inner, scoped, _dir } = subject().await;
    let hidden = upload(&*inner).await;
    inner
        .files()
        .attach(&at("other"), NewAttachment::of(&hidden))
        .await
        .unwrap();
    assert!(scoped.files().open(&hidden).await.unwrap().is_none());
    // Nor can it be brought in.
    let attached = scoped.files().attach(&at("mine"), NewAttachment::of(&hidden)).await;
    assert_eq!(refused(attached), "NoFile");
    let with_it = NewNote {
        attachments: vec![NewAttachment::of(&hidden)],
        ..note("thief", &["work"])
    };
    assert_eq!(refused(scoped.create(with_it).await), "NoFile");
    assert_eq!(
        refused(scoped.files().attach(&at("other"), NewAttachment::of(&hidden)).await),
        "NotFound"
    );

    let own = upload(&*scoped).await;
    assert!(
        scoped.files().open(&own).await.unwrap().is_none(),
        "it belongs to no note yet"
    );
    let attachment = scoped
        .files()
        .attach(&at("mine"), NewAttachment::of(&own))
        .await
        .unwrap();
    assert!(scoped.files().open(&own).await.unwrap().is_some());
    // On both notes it is seen, as what it is on the own one.
    inner
        .files()
        .attach(&at("other"), NewAttachment::of(&own))
        .await
        .unwrap();
    assert_eq!(scoped.files().notes_of(&own).await.unwrap().len(), 1);
    scoped.files().detach(&at("mine"), &attachment.id).await.unwrap();
    assert!(scoped.files().open(&own).await.unwrap().is_none());
    assert!(inner.files().open(&own).await.unwrap().is_some());
}

#[tokio::test]
async fn who_may_only_read_writes_nothing() {
    let Subject { inner, _dir, .. } = subject().await;
    let scoped = ScopedVault::new(Arc::clone(&inner), false, Vec::new());
    assert_eq!(scoped.query(&Query::default()).await.unwrap().notes.len(), 2);
    let force = Precondition::Force;
    let newest = *inner.watch().borrow();
    let outcomes = [
        refused(scoped.create(note("n", &[])).await),
        refused(scoped.patch(&at("mine"), append("x"), force).await),
        refused(scoped.upsert("n", append("x"), note("n", &[])).await),
        refused(scoped.delete(&at("mine")).await),
        refused(scoped.files().upload(NewFile::default()).await.map(drop)),
        refused(scoped.files().attach(&at("mine"), NewAttachment::of("x")).await),
        refused(scoped.files().detach(&at("mine"), "x").await),
        refused(scoped.files().sweep(jiff::Timestamp::MAX).await),
        refused(scoped.tags().unwrap().put_tag("t", TagChange::default()).await),
        refused(scoped.tags().unwrap().delete_tag("private").await),
        refused(scoped.profile().describe("x").await),
    ];
    assert_eq!(outcomes, ["Forbidden"; 11]);
    assert_eq!(scoped.profile().stats().await.unwrap().notes, 2);
    assert_eq!(*inner.watch().borrow(), newest);
}

fn parent(name: &str) -> TagChange {
    TagChange {
        parents: Some(vec![name.into()]),
        ..TagChange::default()
    }
}

#[tokio::test]
async fn what_is_declared_below_a_tag_is_seen_while_it_is() {
    let Subject { inner, scoped, _dir } = subject().await;
    let tags = inner.tags().unwrap();
    assert_eq!(scoped.get(&at("other")).await.unwrap(), None);
    // Two steps below, and nothing with a `/` behind it.
    tags.put_tag("projects", parent("work")).await.unwrap();
    tags.put_tag("private", parent("projects")).await.unwrap();
    inner.create(note("deeper", &["private/x"])).await.unwrap();
    assert!(scoped.get(&at("other")).await.unwrap().is_some());
    assert_eq!(scoped.get(&at("deeper")).await.unwrap(), None);
    let all = scoped.query(&Query::default()).await.unwrap().notes;
    assert_eq!(all.len(), 2);
    scoped.create(note("new", &["private"])).await.unwrap();
    assert_eq!(scoped.changes(0, 10).await.unwrap().len(), 3);

    tags.put_tag("private", parent("elsewhere")).await.unwrap();
    assert_eq!(scoped.get(&at("other")).await.unwrap(), None);
    assert_eq!(refused(scoped.create(note("late", &["private"])).await), "OutsideScope");
    // A note says it as well.
    let declares = NewNote {
        metadata: [("parents".to_owned(), vec!["work"].into())].into_iter().collect(),
        ..note("_tags/private", &[])
    };
    inner.create(declares).await.unwrap();
    assert!(scoped.get(&at("other")).await.unwrap().is_some());
}

#[tokio::test]
async fn tags_are_seen_as_far_as_the_notes_and_are_not_changed() {
    let Subject { inner, scoped, _dir } = subject().await;
    inner.tags().unwrap().put_tag("work", parent("private")).await.unwrap();
    let tags = scoped.tags().unwrap();
    let seen: Vec<_> = tags
        .all_tags()
        .await
        .unwrap()
        .into_iter()
        .map(|tag| (tag.name, tag.count, tag.parents))
        .collect();
    assert_eq!(seen, [("work".to_owned(), 0, vec![]), ("work/a".to_owned(), 1, vec![])]);
    assert!(tags.tag("private").await.unwrap().is_none());
    assert_eq!(tags.tag("#work").await.unwrap().unwrap().parents, Vec::<String>::new());
    assert_eq!(tags.kinds_of(&["private".into()]).await.unwrap(), ["work"]);
    let outcomes = [
        refused(tags.put_tag("private", parent("work")).await),
        refused(tags.rename_tag("private", "work/b").await),
        refused(tags.merge_tags(&["private".into()], "work").await),
        refused(tags.delete_tag("work").await),
        refused(scoped.profile().describe("x").await),
        refused(scoped.profile().stats().await),
    ];
    assert_eq!(outcomes, ["Forbidden"; 6]);
    assert_eq!(scoped.get(&at("other")).await.unwrap(), None);
}

#[tokio::test]
async fn links_are_seen_between_notes_that_are_seen() {
    let Subject { inner, scoped, _dir } = subject().await;
    let body = |path: &str, text: &str, tag: &str| NewNote {
        content: text.into(),
        ..note(path, &[tag])
    };
    inner
        .create(body("more", "[[mine]] [[other]] [[nowhere]]", "work"))
        .await
        .unwrap();
    inner.create(body("spy", "[[mine]]", "private")).await.unwrap();
    let links = scoped.links().unwrap();
    let sources = |links: Vec<reveille_vault::Link>| {
        let ends = links
            .into_iter()
            .map(|link| (link.source_path.unwrap(), link.target_path.unwrap()));
        ends.collect::<Vec<_>>()
    };
    let own = [("more".to_owned(), "mine".to_owned())];
    assert_eq!(sources(links.links_of(&at("mine")).await.unwrap()), own);
    assert_eq!(sources(links.links_of(&at("more")).await.unwrap()), own);
    assert_eq!(refused(links.links_of(&at("spy")).await), "NotFound");
    let outcomes = [
        refused(links.unresolved_links().await),
        refused(links.find_path(&at("mine"), &at("more"), 3).await),
    ];
    assert_eq!(outcomes, ["Forbidden"; 2]);
    // A new path would be written into a note that is not seen.
    let moved = Patch {
        path: Some(Some("moved".into())),
        ..Patch::default()
    };
    let force = Precondition::Force;
    assert_eq!(
        refused(scoped.patch(&at("mine"), moved.clone(), force).await),
        "Forbidden"
    );
    assert_eq!(inner.get(&at("spy")).await.unwrap().unwrap().content, "[[mine]]");
    inner.delete(&at("spy")).await.unwrap();
    scoped.patch(&at("mine"), moved, force).await.unwrap();
    let rewritten = inner.get(&at("more")).await.unwrap().unwrap().content;
    assert_eq!(rewritten, "[[moved]] [[other]] [[nowhere]]");
}
