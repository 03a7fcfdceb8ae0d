//! Listings, against a plain scan that is easy to believe.

use std::sync::Arc;

use jiff::Timestamp;
use pretty_assertions::assert_eq;
use reveille_vault::{Key, NewNote, Note, Patch, Precondition, Query, Span, TagScope, Vault, VaultError};
use serde_json::json;

use super::{at_id, create_each, id, ids, metadata, ms, note, set};

pub(super) fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

pub(super) fn tagged(tags: &[&str]) -> Query {
    Query {
        tags: texts(tags),
        ..Query::default()
    }
}

pub(super) async fn list(vault: &dyn Vault, query: &Query) -> Vec<Note> {
    vault.query(query).await.unwrap().notes
}

/// 60 notes with every mixture of tags, agents and paths; several share an instant.
pub(super) async fn fill(vault: &dyn Vault) -> Vec<Note> {
    let new = (0..60_i64).map(|number| {
        let mut tags = Vec::new();
        for (every, tag) in [(2, "two"), (3, "three"), (5, "five")] {
            if number % every == 0 {
                tags.push(tag.to_owned());
            }
        }
        let agent = ["eng", "ops", ""][usize::try_from(number % 3).unwrap()];
        let mut fields = metadata(json!({ "number": number, "even": number % 2 == 0 }));
        if !agent.is_empty() {
            fields.insert("agent".into(), agent.into());
        }
        NewNote {
            path: (number % 4 == 0).then(|| format!("Dir{}/note {number}", number % 8)),
            tags,
            metadata: fields,
            // Not in the order of insertion, and with repeats.
            created_at: Some(ms((number * 7) % 13)),
            ..note(&format!("n{number:02}"))
        }
    });
    let mut notes = Vec::new();
    for new in new {
        notes.push(vault.create(new).await.unwrap());
    }
    notes
}

fn within(span: Span, time: Timestamp) -> bool {
    span.from.is_none_or(|from| time >= from) && span.to.is_none_or(|to| time < to)
}

/// What `query` means, by looking at every note. `notes` are in the order of insertion.
pub(super) fn scan<'a>(notes: &'a [Note], query: &Query) -> Vec<&'a Note> {
    let text = |note: &Note, key: &str| match note.metadata.get(key) {
        Some(serde_json::Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
        None => None,
    };
    let path = |note: &Note| note.path.as_deref().map(str::to_ascii_lowercase);
    let has = |note: &Note, tag: &String| note.tags.contains(tag);
    let mut found: Vec<_> = notes
        .iter()
        .filter(|note| match query.tags.as_slice() {
            [] => true,
            tags if query.all_tags => tags.iter().all(|tag| has(note, tag)),
            tags => tags.iter().any(|tag| has(note, tag)),
        })
        .filter(|note| !query.exclude_tags.iter().any(|tag| has(note, tag)))
        .filter(|note| {
            query
                .metadata
                .iter()
                .all(|(key, value)| text(note, key).as_ref() == Some(value))
        })
        .filter(|note| {
            query
                .path
                .as_ref()
                .is_none_or(|asked| path(note) == Some(asked.to_ascii_lowercase()))
        })
        .filter(|note| {
            query
                .path_prefix
                .as_ref()
                .is_none_or(|asked| path(note).is_some_and(|path| path.starts_with(&asked.to_ascii_lowercase())))
        })
        .filter(|note| query.filters.iter().all(|filter| filter.matches(&note.metadata)))
        .filter(|note| {
            let has = query.has_tags.filter(|_| query.tags.is_empty());
            has.is_none_or(|has| has != note.tags.is_empty())
        })
        .filter(|note| within(query.created, note.created_at) && within(query.updated, note.updated_at))
        .collect();
    found.sort_by_key(|note| note.created_at);
    if query.descending {
        found.reverse();
    }
    let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
    found.into_iter().skip(query.offset as usize).take(limit).collect()
}

pub(super) fn combinations() -> Vec<Query> {
    let tags: [&[&str]; 5] = [
        &[],
        &["two"],
        &["two", "three"],
        &["two", "three", "five"],
        &["absent", "five"],
    ];
    let excluded: [&[&str]; 3] = [&[], &["five"], &["two", "absent"]];
    let fields: [&[(&str, &str)]; 5] = [
        &[],
        &[("agent", "eng")],
        &[("even", "true")],
        &[("agent", "ops"), ("number", "10")],
        &[("agent", "none")],
    ];
    let paths = [
        (None, None),
        (None, Some("dir4/")),
        (Some("DIR0/note 8"), None),
        (None, Some("none")),
    ];
    let mut all = Vec::new();
    for tags in tags {
        for exclude in excluded {
            for fields in fields {
                for (path, prefix) in paths {
                    for bits in 0..4_u8 {
                        all.push(Query {
                            tags: texts(tags),
                            all_tags: bits & 1 != 0,
                            exclude_tags: texts(exclude),
                            path: path.map(str::to_owned),
                            path_prefix: prefix.map(str::to_owned),
                            metadata: fields
                                .iter()
                                .map(|&(key, value)| (key.to_owned(), value.to_owned()))
                                .collect(),
                            descending: bits & 2 != 0,
                            ..Query::default()
                        });
                    }
                }
            }
        }
    }
    all
}

pub(crate) async fn every_filter_agrees_with_a_plain_scan(vault: Arc<dyn Vault>) {
    let notes = fill(&*vault).await;
    let mut matched = 0;
    for query in combinations() {
        let expected = scan(&notes, &query);
        matched += expected.len();
        let found = list(&*vault, &query).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query:?}");
    }
    assert!(matched > 1_000, "the queries match nothing: {matched}");
    for (limit, offset) in [(Some(0), 0), (Some(3), 0), (Some(3), 10), (None, 25), (Some(100), 100)] {
        let query = Query {
            limit,
            offset,
            ..tagged(&["#two", "three", " two "])
        };
        let plain = Query {
            tags: texts(&["two", "three"]),
            ..query.clone()
        };
        assert_eq!(
            list(&*vault, &query).await.iter().collect::<Vec<_>>(),
            scan(&notes, &plain),
            "{query:?}"
        );
    }
}

pub(crate) async fn pages_follow_each_other_without_gap_or_repeat(vault: Arc<dyn Vault>) {
    let notes = fill(&*vault).await;
    for query in combinations().into_iter().filter(|query| query.path.is_none()) {
        let mut paged = Vec::new();
        let mut after = None;
        loop {
            let page = vault
                .query(&Query {
                    limit: Some(7),
                    after,
                    ..query.clone()
                })
                .await
                .unwrap();
            assert!(
                page.next.is_none() || page.notes.len() == 7,
                "a short page that is not the last: {query:?}"
            );
            paged.extend(page.notes);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(
            ids(&paged),
            scan(&notes, &query)
                .iter()
                .map(|note| note.id.as_str())
                .collect::<Vec<_>>(),
            "{query:?}"
        );
    }
}

pub(crate) async fn pages_are_stable_while_notes_come_and_go(vault: Arc<dyn Vault>) {
    let new = |name: &str, time: i64| NewNote {
        tags: texts(&["t"]),
        created_at: Some(ms(time)),
        ..note(name)
    };
    vault
        .create_all((0..6).map(|number| new(&format!("n{number}"), number)).collect())
        .await
        .unwrap();
    let query = Query {
        limit: Some(3),
        descending: true,
        ..tagged(&["t"])
    };
    let first = vault.query(&query).await.unwrap();
    assert_eq!(ids(&first.notes), ["n5", "n4", "n3"]);

    vault
        .create_all(vec![new("newer", 9), new("same-instant", 3), new("older", 2)])
        .await
        .unwrap();
    vault.delete(&at_id("n3")).await.unwrap();
    vault.delete(&at_id("n1")).await.unwrap();
    let rest = vault
        .query(&Query {
            limit: None,
            after: first.next,
            ..query
        })
        .await
        .unwrap();
    assert_eq!((ids(&rest.notes), rest.next), (vec!["older", "n2", "n0"], None));

    // The last note goes after its page was read, and another of the same instant comes.
    let query = Query {
        limit: Some(1),
        ..tagged(&["last"])
    };
    let last = |name: &str, time: i64| NewNote {
        tags: texts(&["last"]),
        ..new(name, time)
    };
    vault.create_all(vec![last("z", 20), last("y", 10)]).await.unwrap();
    let first = vault.query(&query).await.unwrap();
    assert_eq!(ids(&first.notes), ["y"]);
    vault.delete(&at_id("y")).await.unwrap();
    vault.create(last("x", 10)).await.unwrap();
    let rest = vault
        .query(&Query {
            limit: None,
            after: first.next,
            ..query
        })
        .await
        .unwrap();
    assert_eq!(ids(&rest.notes), ["x", "z"]);
}

pub(crate) async fn paths_are_compared_literally_without_case(vault: Arc<dyn Vault>) {
    for (name, path) in [
        ("a", "x_y/1"),
        ("b", "xzy/1"),
        ("c", "X_Y/2"),
        ("d", "50%/x"),
        ("e", "50/x"),
        ("f", "Ünï/x"),
        ("g", "_z"),
    ] {
        vault
            .create(NewNote {
                path: Some(path.into()),
                ..note(name)
            })
            .await
            .unwrap();
    }
    vault.create(note("without")).await.unwrap();
    for (prefix, expected) in [
        ("x_y", vec!["a", "c"]),
        ("X_Y/", vec!["a", "c"]),
        ("50%", vec!["d"]),
        ("Ü", vec!["f"]),
        ("ü", vec![]),
        ("@", vec![]),
    ] {
        let query = Query {
            path_prefix: Some(prefix.into()),
            ..Query::default()
        };
        assert_eq!(ids(&list(&*vault, &query).await), expected, "{prefix:?}");
    }
    let all = Query {
        path_prefix: Some(String::new()),
        ..Query::default()
    };
    let mut with_path = vec!["a", "b", "c", "d", "e", "f", "g"];
    with_path.extend((!vault.capabilities().without_path).then_some("without"));
    assert_eq!(ids(&list(&*vault, &all).await), with_path);
    for (path, expected) in [
        ("X_y/1", vec!["a"]),
        ("x_y", vec![]),
        ("ÜNÏ/X", vec![]),
        ("Ünï/X", vec!["f"]),
    ] {
        let query = Query {
            path: Some(path.into()),
            ..Query::default()
        };
        assert_eq!(ids(&list(&*vault, &query).await), expected, "{path:?}");
    }
}

pub(crate) async fn metadata_is_compared_as_text(vault: Arc<dyn Vault>) {
    let values = [
        json!("1"),
        json!(1),
        json!(1.0),
        json!(true),
        json!("true"),
        json!(null),
        json!(["1"]),
        json!(" 1"),
    ];
    for key in ["agent", "other"] {
        for (number, value) in values.iter().enumerate() {
            let fields = metadata(json!({ key: value }));
            vault
                .create(NewNote {
                    tags: texts(&["t"]),
                    metadata: fields,
                    ..note(&format!("{key}{number}"))
                })
                .await
                .unwrap();
        }
        for tags in [&[][..], &["t"]] {
            for (text, expected) in [
                ("1", vec![0, 1]),
                ("1.0", vec![2]),
                ("true", vec![3, 4]),
                ("null", vec![]),
                ("", vec![]),
            ] {
                let query = Query {
                    metadata: vec![(key.into(), text.into())],
                    ..tagged(tags)
                };
                let expected: Vec<_> = expected.iter().map(|number| format!("{key}{number}")).collect();
                assert_eq!(ids(&list(&*vault, &query).await), expected, "{key} {text:?} {tags:?}");
            }
        }
    }
}

pub(crate) async fn notes_of_one_instant_keep_their_order(vault: Arc<dyn Vault>) {
    let names: Vec<_> = (0..20).map(|number| format!("n{:02}", (number * 7) % 20)).collect();
    let new = |name: &String| NewNote {
        tags: texts(&["t"]),
        created_at: Some(ms(1)),
        ..note(name)
    };
    vault.create_all(names.iter().map(new).collect()).await.unwrap();
    let reversed: Vec<_> = names.iter().rev().cloned().collect();
    for tags in [&[][..], &["t"]] {
        assert_eq!(ids(&list(&*vault, &tagged(tags)).await), names);
        assert_eq!(
            ids(&list(
                &*vault,
                &Query {
                    descending: true,
                    ..tagged(tags)
                }
            )
            .await),
            reversed
        );
    }
}

pub(crate) async fn a_listing_follows_changes_of_its_keys(vault: Arc<dyn Vault>) {
    let new = |name: &str, time| NewNote {
        tags: texts(&["t"]),
        created_at: Some(ms(time)),
        ..note(name)
    };
    create_each(&*vault, [new("a", 1), new("b", 2)]).await;
    let change = async |patch: Patch| vault.patch(&at_id("a"), patch, Precondition::Force).await.unwrap();
    let of = |agent: &str| Query {
        metadata: vec![("agent".into(), agent.into())],
        ..tagged(&["t"])
    };

    change(Patch {
        created_at: Some(ms(3)),
        ..Patch::default()
    })
    .await;
    assert_eq!(ids(&list(&*vault, &tagged(&["t"])).await), ["b", "a"]);
    change(set("agent", "eng")).await;
    change(set("agent", "ops")).await;
    assert_eq!(ids(&list(&*vault, &of("eng")).await), Vec::<&str>::new());
    assert_eq!(ids(&list(&*vault, &of("ops")).await), ["a"]);
    change(Patch {
        remove_metadata: vec!["agent".into()],
        ..Patch::default()
    })
    .await;
    assert_eq!(ids(&list(&*vault, &of("ops")).await), Vec::<&str>::new());
    change(Patch {
        add_tags: texts(&["u"]),
        remove_tags: texts(&["t"]),
        ..Patch::default()
    })
    .await;
    assert_eq!(ids(&list(&*vault, &tagged(&["t"])).await), ["b"]);
    assert_eq!(ids(&list(&*vault, &tagged(&["u"])).await), ["a"]);
    vault.delete(&Key::Id(id("a"))).await.unwrap();
    assert_eq!(ids(&list(&*vault, &tagged(&["u"])).await), Vec::<&str>::new());
}

pub(crate) async fn a_bad_query_is_refused(vault: Arc<dyn Vault>) {
    create_each(&*vault, [note("a"), note("b")]).await;
    let ascending = vault
        .query(&Query {
            limit: Some(1),
            ..Query::default()
        })
        .await
        .unwrap()
        .next;
    assert!(ascending.is_some());
    for query in [
        Query {
            after: Some("nonsense".into()),
            ..Query::default()
        },
        Query {
            after: Some(String::new()),
            ..Query::default()
        },
        Query {
            after: ascending,
            descending: true,
            ..Query::default()
        },
        tagged(&["good", " # "]),
    ] {
        let outcome = vault.query(&query).await;
        assert!(matches!(outcome, Err(VaultError::Invalid(_))), "{query:?}: {outcome:?}");
    }
}

pub(crate) async fn a_scope_bounds_every_listing_before_its_limit(vault: Arc<dyn Vault>) {
    let mut notes = fill(&*vault).await;
    for (number, tag) in ["three/deep", "threes", "five/deep", "up/three"]
        .into_iter()
        .enumerate()
    {
        let new = NewNote {
            tags: texts(&[tag]),
            created_at: Some(ms(5)),
            ..note(&format!("x{number}"))
        };
        notes.push(vault.create(new).await.unwrap());
    }
    let scope = |roots: &[&str], below: &[&str]| TagScope {
        roots: texts(roots),
        below: texts(below),
    };
    let wide = scope(&["three"], &["five"]);
    for scope in [
        wide.clone(),
        scope(&["five"], &[]),
        scope(&["absent"], &[]),
        scope(&[], &[]),
    ] {
        let seen: Vec<Note> = notes.iter().filter(|note| scope.sees(note)).cloned().collect();
        // Every fifth: each kind of filter meets each other one all the same.
        for query in combinations().into_iter().step_by(5) {
            let query = Query {
                scope: Some(scope.clone()),
                ..query
            };
            let expected: Vec<Note> = scan(&seen, &query).into_iter().cloned().collect();
            assert_eq!(ids(&list(&*vault, &query).await), ids(&expected), "{query:?}");
        }
    }
    let all: Vec<Note> = notes.iter().filter(|note| wide.sees(note)).cloned().collect();
    let mut paged = Vec::new();
    let mut query = Query {
        scope: Some(wide),
        limit: Some(4),
        ..Query::default()
    };
    loop {
        let page = vault.query(&query).await.unwrap();
        paged.extend(page.notes.iter().map(|note| note.id.to_string()));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
        assert_eq!(page.notes.len(), 4, "a page that is not the last one is full");
    }
    let expected = scan(&all, &Query::default());
    assert_eq!(
        paged,
        expected.iter().map(|note| note.id.to_string()).collect::<Vec<_>>()
    );
}
