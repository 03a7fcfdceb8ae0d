//! Conditions on metadata and times, orders, and full-text search, against a plain scan that is easy to believe.

use std::sync::Arc;

use pretty_assertions::assert_eq;
use reveille_vault::{
    ContentChange, Filter, NewNote, Note, OrderBy, Patch, Precondition, Query, Span, Vault, VaultError,
};
use serde_json::{Value, json};

use super::listing::{combinations, fill, list, scan, tagged, texts};
use super::{append, at_id, get, ids, metadata, ms, note, refused, set};

fn filter(field: &str, operator: &str, value: Value) -> Filter {
    Filter::parse(field, operator, value).unwrap()
}

fn filtered(filters: &[(&str, &str, Value)]) -> Query {
    Query {
        filters: filters
            .iter()
            .map(|(field, operator, value)| filter(field, operator, value.clone()))
            .collect(),
        ..Query::default()
    }
}

fn searched(text: &str) -> Query {
    Query {
        search: Some(text.to_owned()),
        ..Query::default()
    }
}

/// What a vault that cannot do it answers.
async fn is_refused(vault: &dyn Vault, query: &Query) {
    let outcome = vault.query(query).await;
    assert!(
        matches!(outcome, Err(VaultError::Unsupported { .. })),
        "{query:?}: {outcome:?}"
    );
}

/// What `query` means, in its order.
fn expected(notes: &[Note], query: &Query) -> Vec<String> {
    let plain = Query {
        descending: false,
        limit: None,
        offset: 0,
        ..query.clone()
    };
    let place = |note: &Note| notes.iter().position(|other| other.id == note.id);
    let mut found = scan(notes, &plain);
    found.sort_by_key(|note| place(note));
    let key = |note: &Note| match &query.order_by {
        None | Some(OrderBy::CreatedAt) => Some(format!("{:020}", note.created_at.as_millisecond())),
        Some(OrderBy::UpdatedAt) => Some(format!("{:020}", note.updated_at.as_millisecond())),
        Some(OrderBy::Path) => note.path.clone(),
        Some(OrderBy::Field(field)) => note.text(field),
    };
    found.sort_by_key(|note| key(note));
    if query.descending {
        found.reverse();
    }
    // Notes without the field are last, in both directions.
    let (there, absent): (Vec<&Note>, _) = found.into_iter().partition(|note| key(note).is_some());
    let notes = there.into_iter().chain(absent);
    notes.map(|note| note.id.to_string()).collect()
}

/// A listing in pages of `limit`.
async fn paged(vault: &dyn Vault, query: &Query, limit: u32) -> Vec<String> {
    let mut query = Query {
        limit: Some(limit),
        ..query.clone()
    };
    let mut found = Vec::new();
    loop {
        let page = vault.query(&query).await.unwrap();
        assert!(
            page.next.is_none() || page.notes.len() == limit as usize,
            "a short page that is not the last: {query:?}"
        );
        found.extend(page.notes.into_iter().map(|note| note.id.to_string()));
        query.after = page.next;
        if query.after.is_none() {
            return found;
        }
    }
}

async fn all_ids(vault: &dyn Vault, query: &Query) -> Vec<String> {
    list(vault, query)
        .await
        .into_iter()
        .map(|note| note.id.to_string())
        .collect()
}

fn conditions() -> Vec<Query> {
    vec![
        filtered(&[("number", "gt", json!(40))]),
        filtered(&[("number", "gte", json!("40")), ("number", "lt", json!(44.5))]),
        filtered(&[("number", "in", json!([1, "2", 3, 400]))]),
        filtered(&[("number", "not_in", json!([1, 2, 3]))]),
        filtered(&[("number", "eq", json!(17))]),
        filtered(&[("agent", "ne", json!("eng"))]),
        filtered(&[("agent", "eq", json!(null))]),
        filtered(&[("agent", "in", json!(["eng", null]))]),
        filtered(&[("agent", "in", json!(["eng", "ops"])), ("even", "eq", json!(true))]),
        filtered(&[("agent", "exists", json!(true)), ("number", "lte", json!(30))]),
        filtered(&[("absent", "exists", json!(false))]),
        filtered(&[("agent", "gt", json!("f"))]),
        filtered(&[("number", "in", json!([]))]),
        filtered(&[("number", "not_in", json!([]))]),
    ]
}

pub(crate) async fn operators_agree_with_a_plain_scan(vault: Arc<dyn Vault>) {
    if !vault.capabilities().operators {
        return is_refused(&*vault, &conditions()[0]).await;
    }
    let notes = fill(&*vault).await;
    let mut matched = 0;
    for conditions in conditions() {
        for base in [Query::default(), tagged(&["two"]), tagged(&["three", "five"])] {
            for descending in [false, true] {
                let query = Query {
                    filters: conditions.filters.clone(),
                    descending,
                    ..base.clone()
                };
                let expected = expected(&notes, &query);
                matched += expected.len();
                assert_eq!(all_ids(&*vault, &query).await, expected, "{query:?}");
                assert_eq!(paged(&*vault, &query, 7).await, expected, "{query:?}");
            }
        }
    }
    assert!(matched > 500, "the queries match nothing: {matched}");
}

pub(crate) async fn times_and_untagged_notes_are_told_apart(vault: Arc<dyn Vault>) {
    let query = Query {
        has_tags: Some(true),
        ..Query::default()
    };
    if !vault.capabilities().operators {
        return is_refused(&*vault, &query).await;
    }
    let mut notes = fill(&*vault).await;
    let since = notes[59].updated_at;
    for number in [3, 30, 17] {
        let key = at_id(notes[number].id.as_str());
        notes[number] = vault.patch(&key, append("!"), Precondition::Force).await.unwrap();
    }
    let span = |from: Option<i64>, to: Option<i64>| Span {
        from: from.map(ms),
        to: to.map(ms),
    };
    for base in [
        Query::default(),
        tagged(&["two"]),
        tagged(&["two", "three"]),
        query.clone(),
        Query {
            has_tags: Some(false),
            ..Query::default()
        },
    ] {
        for created in [
            span(None, None),
            span(Some(3), Some(9)),
            span(None, Some(5)),
            span(Some(5), None),
        ] {
            for updated in [
                Span::default(),
                Span {
                    from: Some(notes[3].updated_at),
                    to: None,
                },
                Span {
                    from: Some(since),
                    to: Some(notes[30].updated_at),
                },
            ] {
                let query = Query {
                    created,
                    updated,
                    ..base.clone()
                };
                let expected = expected(&notes, &query);
                assert_eq!(all_ids(&*vault, &query).await, expected, "{query:?}");
                assert_eq!(paged(&*vault, &query, 3).await, expected, "{query:?}");
            }
        }
    }
}

fn orders() -> [OrderBy; 4] {
    [
        OrderBy::CreatedAt,
        OrderBy::UpdatedAt,
        OrderBy::Path,
        OrderBy::Field("agent".into()),
    ]
}

pub(crate) async fn every_order_is_kept_page_by_page(vault: Arc<dyn Vault>) {
    let by = |order: OrderBy| Query {
        order_by: Some(order),
        ..Query::default()
    };
    if !vault.capabilities().order_by {
        return is_refused(&*vault, &by(OrderBy::UpdatedAt)).await;
    }
    let mut notes = fill(&*vault).await;
    for number in [40, 3, 30, 17] {
        let key = at_id(notes[number].id.as_str());
        notes[number] = vault.patch(&key, append("!"), Precondition::Force).await.unwrap();
    }
    let unusual = combinations().into_iter().step_by(7);
    for (number, base) in unusual.enumerate() {
        for order in orders() {
            let query = Query {
                order_by: Some(order),
                descending: number % 2 == 0,
                ..base.clone()
            };
            let expected = expected(&notes, &query);
            assert_eq!(all_ids(&*vault, &query).await, expected, "{query:?}");
            assert_eq!(paged(&*vault, &query, 4).await, expected, "{query:?}");
        }
    }
}

pub(crate) async fn a_cursor_is_for_one_order_only(vault: Arc<dyn Vault>) {
    let capabilities = vault.capabilities();
    if !capabilities.order_by || !capabilities.search {
        return;
    }
    let fields = metadata(json!({ "agent": "eng" }));
    let new = ["a", "b", "c"].map(|name| NewNote {
        content: format!("words of {name}"),
        metadata: fields.clone(),
        path: Some(name.into()),
        ..note(name)
    });
    vault.create_all(new.into()).await.unwrap();
    let mut listings: Vec<Query> = orders()
        .into_iter()
        .map(|order| Query {
            order_by: Some(order),
            ..Query::default()
        })
        .collect();
    listings.push(searched("words"));
    let mut cursors = Vec::new();
    for listing in &listings {
        let page = vault
            .query(&Query {
                limit: Some(1),
                ..listing.clone()
            })
            .await
            .unwrap();
        cursors.push(page.next.unwrap());
    }
    for (number, listing) in listings.iter().enumerate() {
        for (other, cursor) in cursors.iter().enumerate() {
            let page = vault
                .query(&Query {
                    after: Some(cursor.clone()),
                    ..listing.clone()
                })
                .await;
            if number == other {
                assert_eq!(page.unwrap().notes.len(), 2, "{listing:?}");
            } else {
                assert!(
                    matches!(page, Err(VaultError::Invalid(_))),
                    "{listing:?} {cursor}: {page:?}"
                );
            }
        }
    }
}

pub(crate) async fn an_order_by_an_unknown_field_is_refused(vault: Arc<dyn Vault>) {
    if !vault.capabilities().order_by {
        return;
    }
    vault.create(note("a")).await.unwrap();
    let by_field = Query {
        order_by: Some(OrderBy::Field("nowhere".into())),
        ..Query::default()
    };
    let mut dated = Query::default();
    dated.set_dates("nowhere", Some("2026"), None).unwrap();
    for query in [by_field, dated] {
        assert_eq!(
            refused(vault.query(&query).await),
            r#"FieldNotIndexed { field: "nowhere" }"#
        );
    }
}

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
    for batch in 0..5 {
        let notes = (batch * 500..(batch + 1) * 500).map(new);
        vault.create_all(notes.collect()).await.unwrap();
    }
    let mut found = paged(&*vault, &searched("needle"), 300).await;
    let best = found[0].clone();
    assert_eq!(get(&*vault, &best).await.content, "needle");
    assert_eq!(found, all_ids(&*vault, &searched("needle")).await);
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 2_500);

    let third = Query {
        tags: texts(&["third"]),
        ..searched("needle")
    };
    let found = paged(&*vault, &third, 100).await;
    assert_eq!(found.len(), 834);
    let part = Query {
        offset: 800,
        limit: Some(20),
        ..third
    };
    assert_eq!(ids(&list(&*vault, &part).await), &found[800..820]);

    // A new note does not move the pages of a listing that has begun.
    let first = Query {
        limit: Some(10),
        ..searched("needle")
    };
    let page = vault.query(&first).await.unwrap();
    let expected = all_ids(&*vault, &searched("needle")).await;
    vault.create(new(2_500)).await.unwrap();
    let next = Query {
        after: page.next,
        ..first
    };
    assert_eq!(ids(&list(&*vault, &next).await), &expected[10..20]);
}
