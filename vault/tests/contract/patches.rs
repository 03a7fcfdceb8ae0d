//! Changing one note, alone and against others.

use std::sync::Arc;

use pretty_assertions::assert_eq;
use reveille_vault::{ContentChange, Key, NewNote, Patch, Precondition, Vault, VaultError};
use serde_json::json;

use super::{append, at_id, get, id, metadata, ms, note, refused, set};

const FORCE: Precondition = Precondition::Force;

fn content(change: ContentChange) -> Patch {
    Patch {
        content: change,
        ..Patch::default()
    }
}

fn edit(old: &str, new: &str) -> Patch {
    content(ContentChange::Edit {
        old: old.into(),
        new: new.into(),
    })
}

fn path(path: Option<&str>) -> Patch {
    Patch {
        path: Some(path.map(str::to_owned)),
        ..Patch::default()
    }
}

pub(crate) async fn content_is_replaced_extended_and_edited(vault: Arc<dyn Vault>) {
    let before = vault
        .create(NewNote {
            metadata: metadata(json!({"k": 1})),
            ..note("n")
        })
        .await
        .unwrap();
    let extend = |front: &str, back: &str| {
        content(ContentChange::Extend {
            prepend: front.into(),
            append: back.into(),
        })
    };
    for (patch, expected) in [
        (content(ContentChange::Replace("one two".into())), "one two"),
        (extend("", "!"), "one two!"),
        (extend(">", ""), ">one two!"),
        (edit("two", "three"), ">one three!"),
        (edit("!", ""), ">one three"),
        (
            content(ContentChange::Replace("---\nk: v\n---\nbody".into())),
            "---\nk: v\n---\nbody",
        ),
        (extend("first ", " last"), "---\nk: v\n---\nfirst body last"),
    ] {
        let patched = vault.patch(&at_id("n"), patch, FORCE).await.unwrap();
        let mut after = before.clone();
        after.content = expected.into();
        after.updated_at = patched.updated_at;
        assert_eq!(patched, after);
        assert_eq!(get(&*vault, "n").await, after);
    }
}

pub(crate) async fn an_edit_must_match_once(vault: Arc<dyn Vault>) {
    let before = vault
        .create(NewNote {
            content: "a b a".into(),
            ..note("n")
        })
        .await
        .unwrap();
    for (old, error) in [
        ("x", VaultError::EditNotFound),
        ("a", VaultError::EditAmbiguous { count: 2 }),
        ("", VaultError::Invalid("the text to replace must not be empty".into())),
    ] {
        let outcome = vault.patch(&at_id("n"), edit(old, "y"), FORCE).await;
        assert_eq!(refused(outcome), refused::<()>(Err(error)));
    }
    assert_eq!(get(&*vault, "n").await, before);
}

pub(crate) async fn metadata_is_merged_and_removed(vault: Arc<dyn Vault>) {
    let given = metadata(json!({"a": 1, "b": {"x": 1}, "c": "c", "d": "d"}));
    vault
        .create(NewNote {
            metadata: given,
            ..note("n")
        })
        .await
        .unwrap();
    let patch = Patch {
        metadata: metadata(json!({"a": null, "b": {"y": 2}, "e": [true]})),
        remove_metadata: vec!["c".into(), "never".into()],
        ..Patch::default()
    };
    let patched = vault.patch(&at_id("n"), patch, FORCE).await.unwrap();
    assert_eq!(
        patched.metadata,
        metadata(json!({"a": null, "b": {"y": 2}, "d": "d", "e": [true]}))
    );
    assert_eq!(get(&*vault, "n").await, patched);
}

pub(crate) async fn tags_are_added_and_removed(vault: Arc<dyn Vault>) {
    vault
        .create(NewNote {
            tags: vec!["a".into(), "b".into()],
            ..note("n")
        })
        .await
        .unwrap();
    let patch = Patch {
        add_tags: vec!["#c".into(), "b".into()],
        remove_tags: vec!["#a".into(), "never".into()],
        ..Patch::default()
    };
    let patched = vault.patch(&at_id("n"), patch, FORCE).await.unwrap();
    assert_eq!(patched.tags, ["b", "c"]);
    assert_eq!(get(&*vault, "n").await, patched);
    let wrong = Patch {
        add_tags: vec!["x,y".into()],
        ..Patch::default()
    };
    assert!(matches!(
        vault.patch(&at_id("n"), wrong, FORCE).await,
        Err(VaultError::Invalid(_))
    ));
    assert_eq!(get(&*vault, "n").await, patched);
}

pub(crate) async fn paths_are_renamed_and_removed(vault: Arc<dyn Vault>) {
    vault
        .create(NewNote {
            path: Some("taken".into()),
            ..note("other")
        })
        .await
        .unwrap();
    vault
        .create(NewNote {
            path: Some("old".into()),
            ..note("n")
        })
        .await
        .unwrap();

    let taken = vault.patch(&at_id("n"), path(Some("/taken.md")), FORCE).await;
    assert_eq!(
        refused(taken),
        refused::<()>(Err(VaultError::PathTaken { path: "taken".into() }))
    );
    assert_eq!(get(&*vault, "n").await.path.as_deref(), Some("old"));

    let renamed = vault
        .patch(&Key::Path("old".into()), path(Some(" new.md ")), FORCE)
        .await
        .unwrap();
    assert_eq!(renamed.path.as_deref(), Some("new"));
    assert_eq!(vault.get(&Key::Path("old".into())).await.unwrap(), None);
    assert_eq!(vault.get(&Key::Path("new".into())).await.unwrap(), Some(renamed));

    for gone in [None, Some(" / ")] {
        vault.patch(&at_id("n"), path(Some("new")), FORCE).await.unwrap();
        let without = vault.patch(&at_id("n"), path(gone), FORCE).await.unwrap();
        assert_eq!(without.path.is_none(), vault.capabilities().without_path, "{without:?}");
        assert_eq!(vault.get(&Key::Path("new".into())).await.unwrap(), None);
        // What has no path, or the one that the vault gives, has none taken away.
        assert_eq!(vault.patch(&at_id("n"), path(gone), FORCE).await.unwrap(), without);
    }
}

pub(crate) async fn a_note_cannot_be_emptied(vault: Arc<dyn Vault>) {
    let text = vault.create(note("text")).await.unwrap();
    let blank = content(ContentChange::Replace(" \n".into()));
    assert_eq!(refused(vault.patch(&at_id("text"), blank, FORCE).await), "Empty");
    assert_eq!(get(&*vault, "text").await, text);

    let only_path = NewNote {
        id: Some(id("path")),
        path: Some("p".into()),
        ..NewNote::default()
    };
    let only_path = vault.create(only_path).await.unwrap();
    assert_eq!(refused(vault.patch(&at_id("path"), path(None), FORCE).await), "Empty");
    assert_eq!(get(&*vault, "path").await, only_path);
}

pub(crate) async fn a_patch_that_changes_nothing_writes_nothing(vault: Arc<dyn Vault>) {
    let new = NewNote {
        path: Some("p".into()),
        tags: vec!["a".into()],
        metadata: metadata(json!({"k": {"x": [1]}, "n": null})),
        created_at: Some(ms(5)),
        ..note("n")
    };
    let before = vault.create(new).await.unwrap();
    let newest = *vault.watch().borrow();
    for patch in [
        Patch::default(),
        content(ContentChange::Replace("n".into())),
        append(""),
        edit("n", "n"),
        path(Some("/p.md")),
        Patch {
            metadata: metadata(json!({"n": null, "k": {"x": [1]}})),
            ..Patch::default()
        },
        Patch {
            add_tags: vec!["#a".into()],
            remove_tags: vec!["b".into()],
            ..Patch::default()
        },
        Patch {
            add_tags: vec!["b".into()],
            remove_tags: vec!["b".into()],
            ..Patch::default()
        },
        Patch {
            metadata: metadata(json!({"x": 1})),
            remove_metadata: vec!["x".into()],
            ..Patch::default()
        },
        Patch {
            created_at: Some(ms(5)),
            ..Patch::default()
        },
    ] {
        for precondition in [FORCE, Precondition::UpdatedAt(before.updated_at)] {
            assert_eq!(
                vault.patch(&at_id("n"), patch.clone(), precondition).await.unwrap(),
                before,
                "{patch:?}"
            );
        }
    }
    assert_eq!(get(&*vault, "n").await, before);
    assert_eq!(
        (vault.changes(newest, 10).await.unwrap(), *vault.watch().borrow()),
        (vec![], newest)
    );
}

pub(crate) async fn every_change_moves_updated_at(vault: Arc<dyn Vault>) {
    let mut last = vault.create(note("n")).await.unwrap().updated_at;
    for round in 0..20 {
        for patch in [
            append("x"),
            set("round", &round.to_string()),
            Patch {
                add_tags: vec!["t".into()],
                ..Patch::default()
            },
            Patch {
                remove_tags: vec!["t".into()],
                ..Patch::default()
            },
        ] {
            let now = vault
                .patch(&at_id("n"), patch, Precondition::UpdatedAt(last))
                .await
                .unwrap()
                .updated_at;
            assert!(now > last, "{now} is not after {last}");
            assert_eq!(now.as_nanosecond() % 1_000_000, 0, "whole milliseconds");
            last = now;
        }
    }
}

pub(crate) async fn a_stale_precondition_is_a_conflict(vault: Arc<dyn Vault>) {
    let old = vault
        .create(NewNote {
            path: Some("p".into()),
            ..note("n")
        })
        .await
        .unwrap();
    let seen = Precondition::UpdatedAt(old.updated_at);
    let new = vault.patch(&at_id("n"), append("1"), seen).await.unwrap();
    let conflict = VaultError::Conflict {
        id: id("n"),
        path: Some("p".into()),
        current: new.updated_at,
        expected: old.updated_at,
    };
    assert_eq!(
        refused(vault.patch(&at_id("n"), append("2"), seen).await),
        refused::<()>(Err(conflict))
    );
    assert_eq!(get(&*vault, "n").await, new);
}

pub(crate) async fn an_absent_note_cannot_be_patched(vault: Arc<dyn Vault>) {
    for key in [at_id("x"), Key::Path("a/b".into()), Key::IdOrPath("a/b".into())] {
        let outcome = vault.patch(&key, append("1"), FORCE).await;
        assert_eq!(
            refused(outcome),
            refused::<()>(Err(VaultError::NotFound { key: key.to_string() }))
        );
    }
}

pub(crate) async fn of_many_writers_with_one_precondition_one_wins(vault: Arc<dyn Vault>) {
    let seen = vault.create(note("n")).await.unwrap().updated_at;
    let writers: Vec<_> = (0..40)
        .map(|writer| {
            let vault = Arc::clone(&vault);
            let patch = set("winner", &writer.to_string());
            tokio::spawn(async move { vault.patch(&at_id("n"), patch, Precondition::UpdatedAt(seen)).await })
        })
        .collect();
    let (mut won, mut lost) = (Vec::new(), 0);
    for writer in writers {
        match writer.await.unwrap() {
            Ok(note) => won.push(note),
            Err(VaultError::Conflict { expected, .. }) if expected == seen => lost += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((won.len(), lost), (1, 39));
    assert_eq!(get(&*vault, "n").await, won[0]);
}

pub(crate) async fn concurrent_patches_lose_nothing(vault: Arc<dyn Vault>) {
    vault.create(note("n")).await.unwrap();
    let writers: Vec<_> = (0..40)
        .map(|writer| {
            let vault = Arc::clone(&vault);
            tokio::spawn(async move {
                let patch = Patch {
                    add_tags: vec![format!("t{writer:02}")],
                    ..set(&format!("k{writer:02}"), "v")
                };
                vault.patch(&at_id("n"), patch, FORCE).await.unwrap();
                vault.patch(&at_id("n"), append("+"), FORCE).await.unwrap()
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let note = get(&*vault, "n").await;
    let numbered = |prefix: &str| (0..40).map(|writer| format!("{prefix}{writer:02}")).collect::<Vec<_>>();
    assert_eq!(note.metadata.keys().cloned().collect::<Vec<_>>(), numbered("k"));
    assert_eq!(note.tags, numbered("t"));
    assert_eq!(note.content, format!("n{}", "+".repeat(40)));
}

pub(crate) async fn an_upsert_creates_then_changes(vault: Arc<dyn Vault>) {
    let create = NewNote {
        path: Some("ignored".into()),
        tags: vec!["new".into()],
        ..note("n")
    };
    let (made, created) = vault
        .upsert(" /t/a.md ", append("never"), create.clone())
        .await
        .unwrap();
    assert_eq!(
        (made.path.as_deref(), made.content.as_str(), created),
        (Some("t/a"), "n", true)
    );

    let (changed, created) = vault.upsert("t/a", append("!"), create.clone()).await.unwrap();
    assert_eq!(
        (changed.id.clone(), changed.content.as_str(), created),
        (made.id.clone(), "n!", false)
    );
    assert_eq!(vault.get(&Key::Path("t/a".into())).await.unwrap(), Some(changed));
    assert_eq!(vault.get(&Key::Path("ignored".into())).await.unwrap(), None);

    let blank = vault.upsert(" / ", append("!"), create).await;
    assert!(matches!(blank, Err(VaultError::Invalid(_))), "{blank:?}");
}

pub(crate) async fn concurrent_upserts_create_once(vault: Arc<dyn Vault>) {
    let writers: Vec<_> = (0..20)
        .map(|_| {
            let vault = Arc::clone(&vault);
            let create = NewNote {
                content: "+".into(),
                ..NewNote::default()
            };
            tokio::spawn(async move { vault.upsert("t/a", append("+"), create).await.unwrap().1 })
        })
        .collect();
    let mut created = 0;
    for writer in writers {
        created += u32::from(writer.await.unwrap());
    }
    let note = vault.get(&Key::Path("t/a".into())).await.unwrap().unwrap();
    assert_eq!((created, note.content), (1, "+".repeat(20)));
}
