//! Metadata fields that are declared as indexed.

use std::path::Path;
use std::sync::Arc;

use pretty_assertions::assert_eq;
use reveille_vault::{
    EmbeddedVault, Filter, NewNote, Note, OrderBy, Patch, Precondition, Query, TagChange, Vault, VaultError,
};
use serde_json::{Value, json};

use super::contract::{at_id, ids, metadata, note};

/// Values of every kind, several twice; the names say where an ascending order has them. `x`: nowhere.
fn values() -> Vec<(&'static str, Value)> {
    vec![
        ("05", json!("high")),
        ("x1", json!(null)),
        ("02", json!(2)),
        ("03", json!("2")),
        ("00", json!(-1.5)),
        ("04", json!("10")),
        ("x2", json!(["high"])),
        ("06", json!("high")),
        ("01", json!(0)),
        ("07", json!(true)),
        ("x3", Value::Bool(false)),
    ]
}

fn new(name: &str, value: &Value) -> NewNote {
    let fields = match name {
        "x3" => json!({}),
        _ => json!({ "rank": value }),
    };
    NewNote {
        metadata: metadata(fields),
        tags: vec!["t".into()],
        ..note(name)
    }
}

/// Declares indexed fields in the schema of a tag.
async fn declare(vault: &EmbeddedVault, tag: &str, names: &[String]) -> Result<(), VaultError> {
    let fields = names.iter().map(|name| (name.clone(), json!({ "indexed": true })));
    let change = TagChange {
        fields: fields.collect(),
        ..TagChange::default()
    };
    vault.tags()?.put_tag(tag, change).await.map(|_| ())
}

async fn filled(file: &Path, declare_first: bool) -> Arc<EmbeddedVault> {
    let vault = EmbeddedVault::open("test", file).unwrap();
    if declare_first {
        declare(&vault, "t", &["rank".into()]).await.unwrap();
    }
    let notes = values().iter().map(|(name, value)| new(name, value)).collect();
    vault.create_all(notes).await.unwrap();
    if !declare_first {
        declare(&vault, "t", &["rank".into(), "other".into()]).await.unwrap();
    }
    vault
}

async fn listed(vault: &EmbeddedVault, query: &Query) -> Vec<Note> {
    let mut query = Query {
        limit: Some(3),
        ..query.clone()
    };
    let mut notes = Vec::new();
    loop {
        let page = vault.query(&query).await.unwrap();
        notes.extend(page.notes);
        query.after = page.next;
        if query.after.is_none() {
            return notes;
        }
    }
}

fn by_rank(descending: bool) -> Query {
    Query {
        order_by: Some(OrderBy::Field("rank".into())),
        descending,
        ..Query::default()
    }
}

#[tokio::test]
async fn a_declared_field_orders_its_notes() {
    for declare_first in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let vault = filled(&dir.path().join("v.db"), declare_first).await;
        let ascending = ["00", "01", "02", "03", "04", "05", "06", "07", "x1", "x2", "x3"];
        let descending = ["07", "06", "05", "04", "03", "02", "01", "00", "x3", "x2", "x1"];
        for tags in [vec![], vec!["t".to_owned()]] {
            for (query, expected) in [(by_rank(false), ascending), (by_rank(true), descending)] {
                let query = Query {
                    tags: tags.clone(),
                    ..query
                };
                assert_eq!(ids(&listed(&vault, &query).await), expected, "{query:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_index_of_a_field_follows_its_notes() {
    let dir = tempfile::tempdir().unwrap();
    let vault = filled(&dir.path().join("v.db"), true).await;
    let change = async |name: &str, patch: Patch| {
        vault.patch(&at_id(name), patch, Precondition::Force).await.unwrap();
    };
    let rank = |value: Value| Patch {
        metadata: metadata(json!({ "rank": value })),
        ..Patch::default()
    };
    change("00", rank(json!("zzz"))).await;
    change("01", rank(json!(null))).await;
    change(
        "02",
        Patch {
            remove_metadata: vec!["rank".into()],
            ..Patch::default()
        },
    )
    .await;
    change("x3", rank(json!(3))).await;
    vault.delete(&at_id("05")).await.unwrap();
    let expected = ["03", "x3", "04", "06", "07", "00", "x1", "02", "x2", "01"];
    assert_eq!(ids(&listed(&vault, &by_rank(false)).await), expected);
    vault.close().await;

    let again = EmbeddedVault::open("test", &dir.path().join("v.db")).unwrap();
    assert_eq!(ids(&listed(&again, &by_rank(false)).await), expected);
}

#[tokio::test]
async fn an_index_changes_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let vault = filled(&dir.path().join("v.db"), true).await;
    let notes = vault.query(&Query::default()).await.unwrap().notes;
    let operands = [
        json!(2),
        json!("2"),
        json!("high"),
        json!(1.5),
        json!("10"),
        json!(""),
        json!("é"),
    ];
    let mut filters = Vec::new();
    for operand in &operands {
        for operator in ["eq", "ne", "gt", "gte", "lt", "lte"] {
            filters.push(Filter::parse("rank", operator, operand.clone()).unwrap());
        }
    }
    for operand in [json!([]), json!([2, "high"]), json!([null, "10"]), json!([true])] {
        for operator in ["in", "not_in"] {
            filters.push(Filter::parse("rank", operator, operand.clone()).unwrap());
        }
    }
    for (operator, operand) in [
        ("eq", json!(null)),
        ("ne", json!(null)),
        ("eq", json!(true)),
        ("exists", json!(true)),
        ("exists", json!(false)),
    ] {
        filters.push(Filter::parse("rank", operator, operand).unwrap());
    }
    let mut matched = 0;
    for filter in filters {
        let expected: Vec<_> = notes.iter().filter(|note| filter.matches(&note.metadata)).collect();
        matched += expected.len();
        for tags in [vec![], vec!["t".to_owned()]] {
            let query = Query {
                filters: vec![filter.clone()],
                tags,
                ..Query::default()
            };
            let found = listed(&vault, &query).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
        }
    }
    assert!(matched > 100, "the filters match nothing: {matched}");
}

#[tokio::test]
async fn dates_of_a_field_are_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let vault = EmbeddedVault::open("test", &dir.path().join("v.db")).unwrap();
    declare(&vault, "t", &["due".into()]).await.unwrap();
    for (name, due) in [
        ("a", json!("2025-12-31")),
        ("b", json!("2026-01-01")),
        ("c", json!("2026-07-02T10:00:00Z")),
        ("d", json!("2027-01-01")),
        ("e", json!(null)),
    ] {
        let fields = metadata(json!({ "due": due }));
        let new = NewNote {
            metadata: fields,
            ..note(name)
        };
        vault.create(new).await.unwrap();
    }
    for (from, to, expected) in [
        (Some("2026"), None, "bcd"),
        (Some("2026"), Some("2027"), "bc"),
        (None, Some("2026-01-01"), "a"),
        (Some("2026-07-02"), Some("2026-07-03"), "c"),
        (None, None, "abcde"),
    ] {
        let mut query = Query::default();
        query.set_dates("due", from, to).unwrap();
        assert_eq!(ids(&listed(&vault, &query).await).concat(), expected, "{from:?} {to:?}");
    }
}

#[tokio::test]
async fn too_many_fields_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let vault = EmbeddedVault::open("test", &dir.path().join("v.db")).unwrap();
    let names = |count: usize| (0..count).map(|number| format!("f{number}")).collect::<Vec<_>>();
    declare(&vault, "t", &names(64)).await.unwrap();
    declare(&vault, "t", &names(64)).await.unwrap();
    let outcome = declare(&vault, "other", &["one".into(), "f1".into()]).await;
    assert!(matches!(outcome, Err(VaultError::Invalid(_))), "{outcome:?}");
    let query = Query {
        order_by: Some(OrderBy::Field("one".into())),
        ..Query::default()
    };
    let outcome = vault.query(&query).await;
    assert!(
        matches!(outcome, Err(VaultError::FieldNotIndexed { .. })),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn only_the_beginning_of_a_huge_body_is_searched() {
    let dir = tempfile::tempdir().unwrap();
    let vault = EmbeddedVault::open("test", &dir.path().join("v.db")).unwrap();
    let content = format!("first {} last", "é ".repeat(400_000));
    vault.create(NewNote { content, ..note("n") }).await.unwrap();
    let found = async |text: &str| {
        let query = Query {
            search: Some(text.to_owned()),
            ..Query::default()
        };
        vault.query(&query).await.unwrap().notes.len()
    };
    assert_eq!((found("first").await, found("last").await), (1, 0));
}

#[tokio::test]
async fn an_index_goes_with_the_last_schema_that_declares_it() {
    let dir = tempfile::tempdir().unwrap();
    let vault = filled(&dir.path().join("v.db"), true).await;
    let is_indexed = async || vault.query(&by_rank(false)).await.is_ok();
    let change = |field: Value| TagChange {
        fields: metadata(json!({ "rank": field })),
        ..TagChange::default()
    };
    let tags = vault.tags().unwrap();
    declare(&vault, "second", &["rank".into()]).await.unwrap();
    tags.put_tag("t", change(json!({ "indexed": false }))).await.unwrap();
    assert!(is_indexed().await);
    tags.rename_tag("second", "renamed").await.unwrap();
    assert!(is_indexed().await);
    tags.merge_tags(&["renamed".into()], "merged").await.unwrap();
    assert!(is_indexed().await);
    tags.delete_tag("merged").await.unwrap();
    assert!(!is_indexed().await);
    tags.put_tag("t", change(json!({ "indexed": true }))).await.unwrap();
    assert_eq!(ids(&listed(&vault, &by_rank(false)).await)[..3], ["00", "01", "02"]);
    tags.put_tag("t", change(Value::Null)).await.unwrap();
    assert!(!is_indexed().await);
}
