//! Creating, reading, removing.

use std::sync::Arc;

use pretty_assertions::assert_eq;
use reveille_vault::{Key, NewNote, Note, NoteId, Vault, VaultError};
use serde_json::json;

use super::{at_id, get, id, metadata, ms, note, refused};

pub(crate) async fn a_created_note_reads_back(vault: Arc<dyn Vault>) {
    let written = vault
        .create(NewNote {
            id: None,
            path: Some(" /Notes//a.md ".into()),
            content: "hello".into(),
            tags: vec!["#b".into(), "a/b".into(), " b ".into()],
            metadata: metadata(json!({
                "text": "x", "int": 1, "float": 1.0, "big": 18_446_744_073_709_551_615_u64, "yes": true, "null": null,
                "list": [1, "2"], "object": {"k": "v"}
            })),
            created_at: Some(ms(1_000)),
            attachments: Vec::new(),
            links: Vec::new(),
        })
        .await
        .unwrap();
    let expected = Note {
        id: written.id.clone(),
        path: Some("Notes/a".into()),
        content: "hello".into(),
        tags: vec!["a/b".into(), "b".into()],
        metadata: metadata(json!({
            "text": "x", "int": 1, "float": 1.0, "big": 18_446_744_073_709_551_615_u64, "yes": true, "null": null,
            "list": [1, "2"], "object": {"k": "v"}
        })),
        created_at: ms(1_000),
        updated_at: written.updated_at,
    };
    assert_eq!(written, expected);
    let keys = [
        Key::Id(written.id.clone()),
        Key::Path("Notes/a".into()),
        Key::IdOrPath(written.id.to_string()),
        Key::IdOrPath("Notes/a".into()),
    ];
    for key in keys {
        assert_eq!(vault.get(&key).await.unwrap().as_ref(), Some(&expected), "{key:?}");
    }

    let plain = vault
        .create(NewNote {
            content: "x".into(),
            ..NewNote::default()
        })
        .await
        .unwrap();
    assert_eq!(plain.created_at, plain.updated_at);
    assert_eq!(
        plain.path.is_none(),
        vault.capabilities().without_path,
        "{:?}",
        plain.path
    );
    assert_ne!(plain.id, written.id);
}

pub(crate) async fn an_absent_note_is_none(vault: Arc<dyn Vault>) {
    for key in [
        at_id("x"),
        Key::Path("x".into()),
        Key::IdOrPath("x".into()),
        Key::IdOrPath(String::new()),
    ] {
        assert_eq!(vault.get(&key).await.unwrap(), None, "{key:?}");
    }
}

pub(crate) async fn an_id_goes_before_a_path(vault: Arc<dyn Vault>) {
    vault
        .create(NewNote {
            path: Some("two".into()),
            ..note("one")
        })
        .await
        .unwrap();
    vault
        .create(NewNote {
            path: Some("one".into()),
            ..note("two")
        })
        .await
        .unwrap();
    assert_eq!(
        vault.get(&Key::IdOrPath("one".into())).await.unwrap().unwrap().id,
        id("one")
    );
    assert_eq!(
        vault.get(&Key::Path("one".into())).await.unwrap().unwrap().id,
        id("two")
    );
    assert_eq!(vault.get(&Key::Id(id("one"))).await.unwrap().unwrap().id, id("one"));
}

pub(crate) async fn paths_are_case_sensitive(vault: Arc<dyn Vault>) {
    vault
        .create(NewNote {
            path: Some("only/path".into()),
            ..note("lower")
        })
        .await
        .unwrap();
    for absent in ["ONLY/PATH", "only/path.md", "/only/path"] {
        assert_eq!(vault.get(&Key::Path(absent.into())).await.unwrap(), None, "{absent}");
    }
    vault
        .create(NewNote {
            path: Some("Only/Path".into()),
            ..note("upper")
        })
        .await
        .unwrap();
}

pub(crate) async fn an_id_or_a_path_is_given_once(vault: Arc<dyn Vault>) {
    let first = vault
        .create(NewNote {
            path: Some("p".into()),
            ..note("a")
        })
        .await
        .unwrap();
    assert_eq!(
        refused(vault.create(note("a")).await),
        refused::<()>(Err(VaultError::IdTaken { id: id("a") }))
    );
    let second = vault
        .create(NewNote {
            path: Some("/p.md".into()),
            ..note("b")
        })
        .await;
    assert_eq!(
        refused(second),
        refused::<()>(Err(VaultError::PathTaken { path: "p".into() }))
    );
    assert_eq!(get(&*vault, "a").await, first);
    assert_eq!(vault.get(&at_id("b")).await.unwrap(), None);
}

pub(crate) async fn a_batch_is_all_or_none(vault: Arc<dyn Vault>) {
    let good = vault.create_all(vec![note("1"), note("2")]).await.unwrap();
    assert_eq!(
        good.iter().map(|note| note.id.clone()).collect::<Vec<NoteId>>(),
        [id("1"), id("2")]
    );
    assert_eq!(vault.create_all(Vec::new()).await.unwrap(), []);
    let newest = *vault.watch().borrow();

    let with_path = |name: &str| NewNote {
        path: Some("p".into()),
        ..note(name)
    };
    let taken = vault.create_all(vec![note("3"), with_path("4"), with_path("5")]).await;
    assert_eq!(
        refused(taken),
        refused::<()>(Err(VaultError::PathTaken { path: "p".into() }))
    );
    let taken = vault.create_all(vec![note("3"), note("4"), note("1")]).await;
    assert_eq!(refused(taken), refused::<()>(Err(VaultError::IdTaken { id: id("1") })));
    let empty = vault.create_all(vec![note("3"), NewNote::default()]).await;
    assert_eq!(refused(empty), refused::<()>(Err(VaultError::Empty)));

    assert_eq!(vault.get(&at_id("3")).await.unwrap(), None);
    assert_eq!(vault.get(&Key::Path("p".into())).await.unwrap(), None);
    assert_eq!(
        (vault.changes(newest, 10).await.unwrap(), *vault.watch().borrow()),
        (vec![], newest)
    );
}

pub(crate) async fn a_note_needs_text_or_a_path(vault: Arc<dyn Vault>) {
    for (content, path) in [("", None), (" \n\t", None), ("", Some("/")), ("", Some(" .md "))] {
        let new = NewNote {
            content: content.into(),
            path: path.map(str::to_owned),
            ..NewNote::default()
        };
        assert_eq!(refused(vault.create(new).await), "Empty", "{content:?} {path:?}");
    }
    let new = NewNote {
        path: Some("only/path".into()),
        ..NewNote::default()
    };
    assert_eq!(vault.create(new).await.unwrap().content, "");
}

pub(crate) async fn tags_and_paths_that_cannot_be_asked_for_are_refused(vault: Arc<dyn Vault>) {
    for tag in ["", "  ", "#", "a,b", "a\nb", "a\u{0}"] {
        let outcome = vault
            .create(NewNote {
                tags: vec!["good".into(), tag.into()],
                ..note("n")
            })
            .await;
        assert!(matches!(outcome, Err(VaultError::Invalid(_))), "{tag:?}: {outcome:?}");
    }
    for path in ["a\nb", "a\u{0}b"] {
        let outcome = vault
            .create(NewNote {
                path: Some(path.into()),
                ..note("n")
            })
            .await;
        assert!(matches!(outcome, Err(VaultError::Invalid(_))), "{path:?}: {outcome:?}");
    }
    assert_eq!(vault.get(&at_id("n")).await.unwrap(), None);
}

pub(crate) async fn any_text_survives(vault: Arc<dyn Vault>) {
    let texts = [
        "ünï 🦀 \u{10FFFF}",
        "nul \u{0} inside",
        "\r\n--' \" ; DROP TABLE notes; %_\\",
        &"long ".repeat(200_000),
    ];
    for text in texts {
        let new = NewNote {
            path: Some("ü 🦀/%_'\"".into()),
            content: text.into(),
            tags: vec!["ü 🦀".into(), "it's \"x\"".into()],
            metadata: metadata(json!({ "": text, "a\"'\u{0}b": [text] })),
            ..NewNote::default()
        };
        let written = vault.create(new).await.unwrap();
        assert!(written.content == text);
        assert!(vault.get(&Key::Path("ü 🦀/%_'\"".into())).await.unwrap() == Some(written.clone()));
        vault.delete(&Key::Id(written.id)).await.unwrap();
    }
}

pub(crate) async fn a_deleted_note_is_gone_and_frees_its_path(vault: Arc<dyn Vault>) {
    vault
        .create(NewNote {
            path: Some("p".into()),
            tags: vec!["t".into()],
            ..note("a")
        })
        .await
        .unwrap();
    assert_eq!(vault.delete(&Key::IdOrPath("p".into())).await.unwrap(), id("a"));
    for key in [at_id("a"), Key::Path("p".into()), Key::IdOrPath("a".into())] {
        assert_eq!(vault.get(&key).await.unwrap(), None, "{key:?}");
        let again = refused(vault.delete(&key).await);
        assert_eq!(again, refused::<()>(Err(VaultError::NotFound { key: key.to_string() })));
    }
    vault
        .create(NewNote {
            path: Some("p".into()),
            ..note("a")
        })
        .await
        .unwrap();
    assert_eq!(get(&*vault, "a").await.tags, Vec::<String>::new());
}
