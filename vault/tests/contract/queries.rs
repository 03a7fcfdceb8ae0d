//! Conditions on metadata and times, and orders, against a plain scan that is easy to believe.

use std::sync::Arc;

use pretty_assertions::assert_eq;
use reveille_vault::{Filter, NewNote, Note, OrderBy, Precondition, Query, Span, Vault, VaultError};
use serde_json::{Value, json};

use super::listing::{combinations, fill, list, scan, tagged};
use super::{append, at_id, metadata, ms, note, refused};

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

pub(super) fn searched(text: &str) -> Query {
    Query {
        search: Some(text.to_owned()),
        ..Query::default()
    }
}

/// What a vault that cannot do it answers.
pub(super) async fn is_refused(vault: &dyn Vault, query: &Query) {
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
pub(super) async fn paged(vault: &dyn Vault, query: &Query, limit: u32) -> Vec<String> {
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

pub(super) async fn all_ids(vault: &dyn Vault, query: &Query) -> Vec<String> {
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
    let unusual = combinations().into_iter().step_by(13);
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
