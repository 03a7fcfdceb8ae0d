use pretty_assertions::assert_eq;
use reveille_vault::{ContentChange, EmbeddedVault, NewAttachment, NewFile};
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
    ];
    assert_eq!(outcomes, ["Forbidden"; 8]);
    assert_eq!(*inner.watch().borrow(), newest);
}
