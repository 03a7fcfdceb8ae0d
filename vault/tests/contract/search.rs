//! Full-text search.

use std::sync::Arc;

use pretty_assertions::assert_eq;
use reveille_vault::{ContentChange, NewNote, OrderBy, Patch, Precondition, Query, Vault};
use serde_json::json;

use super::listing::{list, texts};
use super::queries::{all_ids, is_refused, paged, searched};
use super::{append, at_id, get, ids, metadata, note, refused, set};

pub(crate) async fn words_are_found_in_bodies(vault: Arc<dyn Vault>) {
    if !vault.capabilities().search {
        return is_refused(&*vault, &searched("apple")).await;
    }
    for (name, content) in [
        ("a", "Red apples and a pear"),
        ("b", "The red pear, the red plum"),
        ("c", "banana-2 for the Müller family"),
        ("d", "nothing"),
    ] {
        vault
            .create(NewNote {
                content: content.into(),
                path: Some(format!("apple/{name}")),
                metadata: metadata(json!({ "fruit": "apple" })),
                tags: texts(&["fruit", name]),
                ..note(name)
            })
            .await
            .unwrap();
    }
    for (text, expected) in [
        ("RED", "ab"),
        ("apple", ""),
        ("app*", "a"),
        ("red plum", "b"),
        ("\"red pear\"", "b"),
        ("apples OR plum", "ab"),
        ("red NOT plum", "a"),
        ("muller", "c"),
        // What is no expression is words.
        ("banana-2", "c"),
        ("banana-3", ""),
        ("(pear", "ab"),
        ("it's red: pear", ""),
        ("red: pear?", "ab"),
        ("apples AND", "a"),
        ("\"", ""),
        ("", ""),
        (" ", ""),
        ("*", ""),
    ] {
        let mut found = all_ids(&*vault, &searched(text)).await;
        found.sort_unstable();
        assert_eq!(found.concat(), expected, "{text:?}");
    }
    // Twice in a short text is more than once in a longer one.
    assert_eq!(all_ids(&*vault, &searched("red")).await, ["b", "a"]);
    for (query, expected) in [
        (
            Query {
                tags: texts(&["a", "c"]),
                ..searched("red OR family")
            },
            "ac",
        ),
        (
            Query {
                tags: texts(&["a", "fruit"]),
                all_tags: true,
                ..searched("red")
            },
            "a",
        ),
        (
            Query {
                exclude_tags: texts(&["b"]),
                ..searched("red")
            },
            "a",
        ),
        (
            Query {
                path_prefix: Some("APPLE/b".into()),
                ..searched("red")
            },
            "b",
        ),
        (
            Query {
                metadata: vec![("fruit".into(), "pear".into())],
                ..searched("red")
            },
            "",
        ),
        (
            Query {
                order_by: Some(OrderBy::Path),
                ..searched("red")
            },
            "ab",
        ),
        (
            Query {
                order_by: Some(OrderBy::CreatedAt),
                descending: true,
                ..searched("red")
            },
            "ba",
        ),
        (
            Query {
                offset: 1,
                ..searched("red")
            },
            "a",
        ),
        (
            Query {
                limit: Some(0),
                ..searched("red")
            },
            "",
        ),
    ] {
        let mut found = all_ids(&*vault, &query).await;
        if query.order_by.is_none() {
            found.sort_unstable();
        }
        assert_eq!(found.concat(), expected, "{query:?}");
    }
}

pub(crate) async fn a_search_follows_changes_of_the_body(vault: Arc<dyn Vault>) {
    if !vault.capabilities().search {
        return;
    }
    let new = |name: &str, content: &str| NewNote {
        content: content.into(),
        ..note(name)
    };
    let batch = vec![new("a", "first words"), new("b", "second words")];
    vault.create_all(batch).await.unwrap();
    let found = async |text: &str| all_ids(&*vault, &searched(text)).await.concat();
    let change = async |patch: Patch| vault.patch(&at_id("a"), patch, Precondition::Force).await.unwrap();
    assert_eq!(found("words NOT second").await, "a");

    change(append(" appended")).await;
    assert_eq!(found("appended").await, "a");
    change(Patch {
        content: ContentChange::Replace("other text".into()),
        ..Patch::default()
    })
    .await;
    assert_eq!(
        (found("first").await, found("other").await),
        (String::new(), "a".into())
    );
    change(set("key", "value")).await;
    assert_eq!(
        (found("other").await, found("value").await),
        ("a".into(), String::new())
    );
    assert_eq!(get(&*vault, "a").await.content, "other text");

    vault.delete(&at_id("a")).await.unwrap();
    assert_eq!(
        (found("other").await, found("words").await),
        (String::new(), "b".into())
    );
    // A refused batch leaves nothing to be found.
    refused(vault.create_all(vec![new("c", "third"), new("b", "taken")]).await);
    assert_eq!(found("third").await, "");
    vault.create(new("a", "again")).await.unwrap();
    assert_eq!(
        (found("again").await, found("other").await),
        ("a".into(), String::new())
    );
}

pub(crate) async fn a_search_has_pages(vault: Arc<dyn Vault>) {
    if !vault.capabilities().search {
        return;
    }
    let new = |number: usize| NewNote {
        // Longer ones match less.
        content: format!("needle{}", " hay".repeat((number * 7) % 50)),
        tags: texts(if number.is_multiple_of(3) {
            &["third"]
        } else {
            &["other"]
        }),
        ..note(&format!("n{number:04}"))
    };
    for batch in 0..3 {
        let notes = (batch * 500..(batch + 1) * 500).map(new);
        vault.create_all(notes.collect()).await.unwrap();
    }
    let mut found = paged(&*vault, &searched("needle"), 300).await;
    let best = found[0].clone();
    assert_eq!(get(&*vault, &best).await.content, "needle");
    assert_eq!(found, all_ids(&*vault, &searched("needle")).await);
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 1_500);

    let third = Query {
        tags: texts(&["third"]),
        ..searched("needle")
    };
    let found = paged(&*vault, &third, 100).await;
    assert_eq!(found.len(), 500);
    let part = Query {
        offset: 450,
        limit: Some(20),
        ..third
    };
    assert_eq!(ids(&list(&*vault, &part).await), &found[450..470]);

    // A new note does not move the pages of a listing that has begun.
    let first = Query {
        limit: Some(10),
        ..searched("needle")
    };
    let page = vault.query(&first).await.unwrap();
    let expected = all_ids(&*vault, &searched("needle")).await;
    vault.create(new(1_500)).await.unwrap();
    let next = Query {
        after: page.next,
        ..first
    };
    assert_eq!(ids(&list(&*vault, &next).await), &expected[10..20]);
}
