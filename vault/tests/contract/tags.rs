//! Tags as such, and which is a kind of which.

use std::sync::Arc;

use pretty_assertions::assert_eq;
use reveille_vault::{NewNote, OrderBy, Patch, Precondition, Query, Tag, TagChange, Tags, Vault, VaultError};
use serde_json::{Value, json};

use super::{at_id, get, ids, metadata, note, refused};

/// `None`: the vault has none, and says so.
fn tags_of(vault: &dyn Vault) -> Option<&dyn Tags> {
    match vault.tags() {
        Ok(tags) => {
            assert!(vault.capabilities().tag_schemas);
            Some(tags)
        }
        Err(error) => {
            assert!(!vault.capabilities().tag_schemas);
            assert!(matches!(error, VaultError::Unsupported { .. }), "{error:?}");
            None
        }
    }
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

fn tagged(id: &str, tags: &[&str]) -> NewNote {
    NewNote {
        tags: texts(tags),
        ..note(id)
    }
}

fn schema(description: &str, fields: Value) -> TagChange {
    TagChange {
        description: Some(description.into()),
        fields: metadata(fields),
        parents: None,
    }
}

fn child_of(parents: &[&str]) -> TagChange {
    TagChange {
        parents: Some(texts(parents)),
        ..TagChange::default()
    }
}

async fn found(vault: &dyn Vault, query: Query) -> String {
    let notes = vault.query(&query).await.unwrap().notes;
    ids(&notes).join(" ")
}

async fn with_tag(vault: &dyn Vault, tags: &[&str]) -> String {
    let query = Query {
        tags: texts(tags),
        ..Query::default()
    };
    found(vault, query).await
}

async fn counted(tags: &dyn Tags) -> Vec<(String, u64)> {
    let all = tags.all_tags().await.unwrap();
    all.into_iter().map(|tag| (tag.name, tag.count)).collect()
}

pub(crate) async fn a_tag_is_known_from_its_first_use(vault: Arc<dyn Vault>) {
    let Some(tags) = tags_of(&*vault) else { return };
    assert_eq!(tags.all_tags().await.unwrap(), []);
    assert_eq!(tags.tag("b").await.unwrap(), None);
    vault
        .create_all(vec![tagged("n1", &["b", "#a/x"]), tagged("n2", &["b"])])
        .await
        .unwrap();
    let counts = |values: &[(&str, u64)]| -> Vec<_> {
        values
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    };
    assert_eq!(counted(tags).await, counts(&[("a/x", 1), ("b", 2)]));
    vault.delete(&at_id("n1")).await.unwrap();
    assert_eq!(counted(tags).await, counts(&[("a/x", 0), ("b", 1)]));
    let expected = Tag {
        name: "b".into(),
        count: 1,
        ..Tag::default()
    };
    assert_eq!(tags.tag("#b").await.unwrap(), Some(expected));
}

pub(crate) async fn a_schema_is_put_and_merged_by_field(vault: Arc<dyn Vault>) {
    let Some(tags) = tags_of(&*vault) else { return };
    let text = json!({ "type": "string", "indexed": true });
    let put = tags
        .put_tag("#t", schema(" what ", json!({ "one": text, "two": {} })))
        .await
        .unwrap();
    let mut expected = Tag {
        name: "t".into(),
        count: 0,
        description: Some("what".into()),
        fields: Some(metadata(json!({ "one": text, "two": {} }))),
        parents: Vec::new(),
    };
    assert_eq!(put, expected);
    assert_eq!(tags.tag("t").await.unwrap(), Some(expected.clone()));

    // What is not named stays; a null takes a field away.
    let change = TagChange {
        fields: metadata(json!({ "two": null, "three": { "type": "boolean" } })),
        ..TagChange::default()
    };
    expected.fields = Some(metadata(json!({ "one": text, "three": { "type": "boolean" } })));
    assert_eq!(tags.put_tag("t", change).await.unwrap(), expected);
    expected.description = None;
    expected.fields = None;
    let change = schema("", json!({ "one": null, "three": null }));
    assert_eq!(tags.put_tag("t", change).await.unwrap(), expected);

    // Nothing of that is a change of a note, and no note gets the fields.
    vault.create(tagged("n", &["t"])).await.unwrap();
    let before = get(&*vault, "n").await;
    tags.put_tag("t", schema("x", json!({ "one": text }))).await.unwrap();
    assert_eq!(get(&*vault, "n").await, before);
    assert_eq!(vault.changes(0, 10).await.unwrap().len(), 1);
}

pub(crate) async fn a_field_that_is_declared_indexed_orders_listings(vault: Arc<dyn Vault>) {
    let Some(tags) = tags_of(&*vault).filter(|_| vault.capabilities().order_by) else {
        return;
    };
    for (id, rank) in [("a", 3), ("b", 1), ("c", 2)] {
        let new = NewNote {
            metadata: metadata(json!({ "rank": rank })),
            ..note(id)
        };
        vault.create(new).await.unwrap();
    }
    let ordered = Query {
        order_by: Some(OrderBy::Field("rank".into())),
        ..Query::default()
    };
    let declare = async |field: Value| {
        let change = schema("x", json!({ "rank": field }));
        tags.put_tag("t", change).await.unwrap();
    };
    declare(json!({ "type": "integer" })).await;
    assert!(refused(vault.query(&ordered).await).starts_with("FieldNotIndexed"));
    declare(json!({ "type": "integer", "indexed": true })).await;
    assert_eq!(found(&*vault, ordered).await, "b c a");
}

pub(crate) async fn what_no_schema_can_be_is_refused(vault: Arc<dyn Vault>) {
    let Some(tags) = tags_of(&*vault) else { return };
    for (name, change) in [
        ("t", schema("x", json!({ "a": "string" }))),
        ("t", schema("x", json!({ "a": { "type": "strnig" } }))),
        ("t", schema("x", json!({ "a": { "indexed": 1 } }))),
        ("t", child_of(&["ok", "a,b"])),
        (" # ", TagChange::default()),
        ("a,b", TagChange::default()),
    ] {
        let outcome = tags.put_tag(name, change.clone()).await;
        assert!(
            matches!(outcome, Err(VaultError::Invalid(_))),
            "{name} {change:?}: {outcome:?}"
        );
    }
    assert_eq!(tags.all_tags().await.unwrap(), []);
}

pub(crate) async fn a_tag_finds_what_is_a_kind_of_it(vault: Arc<dyn Vault>) {
    let Some(tags) = tags_of(&*vault).filter(|_| vault.capabilities().tag_parents) else {
        return;
    };
    let new = [
        ("animal", &["animal"][..]),
        ("dog", &["dog"]),
        ("puppy", &["puppy", "small"]),
        ("cup", &["small"]),
        // A slash says nothing.
        ("slash", &["animal/other"]),
    ];
    let new = new.map(|(id, tags)| tagged(id, tags)).to_vec();
    vault.create_all(new).await.unwrap();
    assert_eq!(with_tag(&*vault, &["animal"]).await, "animal");
    tags.put_tag("dog", child_of(&["#animal"])).await.unwrap();
    assert_eq!(with_tag(&*vault, &["animal"]).await, "animal dog");
    let put = tags
        .put_tag("puppy", child_of(&["dog", "animal", "dog"]))
        .await
        .unwrap();
    assert_eq!(put.parents, ["animal", "dog"]);

    for (query, expected) in [
        (&["animal"][..], "animal dog puppy"),
        (&["#animal"], "animal dog puppy"),
        (&["dog"], "dog puppy"),
        (&["dog", "small"], "dog puppy cup"),
    ] {
        assert_eq!(with_tag(&*vault, query).await, expected, "{query:?}");
    }
    let kinds = async |names: &[&str]| tags.kinds_of(&texts(names)).await.unwrap();
    assert_eq!(kinds(&["#animal", "small"]).await, ["dog", "puppy"]);
    assert_eq!(kinds(&["animal", "dog"]).await, ["dog", "puppy"]);
    assert_eq!(kinds(&["puppy", "nope"]).await, Vec::<String>::new());
    let all = |tags: &[&str]| Query {
        tags: texts(tags),
        all_tags: true,
        ..Query::default()
    };
    assert_eq!(found(&*vault, all(&["animal", "small"])).await, "puppy");
    assert_eq!(found(&*vault, all(&["animal", "dog"])).await, "dog puppy");
    let exact = Query {
        exact_tags: true,
        ..all(&["animal"])
    };
    assert_eq!(found(&*vault, exact).await, "animal");
    let without = Query {
        exclude_tags: texts(&["animal"]),
        ..Query::default()
    };
    assert_eq!(found(&*vault, without).await, "dog puppy cup slash");

    // The parents are replaced, and a cycle ends.
    tags.put_tag("animal", child_of(&["puppy"])).await.unwrap();
    assert_eq!(with_tag(&*vault, &["dog"]).await, "animal dog puppy");
    tags.put_tag("puppy", child_of(&[])).await.unwrap();
    tags.put_tag("animal", child_of(&["animal"])).await.unwrap();
    assert_eq!(with_tag(&*vault, &["animal"]).await, "animal dog");
}

pub(crate) async fn a_tag_with_many_kinds_is_listed_page_by_page(vault: Arc<dyn Vault>) {
    let Some(tags) = tags_of(&*vault).filter(|_| vault.capabilities().tag_parents) else {
        return;
    };
    let name = |number: usize| format!("n{number:03}");
    for number in 0..130 {
        let kind = format!("kind{number:03}");
        tags.put_tag(&kind, child_of(&["root"])).await.unwrap();
        let id = name(number);
        vault
            .create(tagged(&id, &[&kind, "kind000"][..1 + number % 2]))
            .await
            .unwrap();
    }
    let mut query = Query {
        tags: texts(&["root"]),
        limit: Some(50),
        ..Query::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = vault.query(&query).await.unwrap();
        seen.extend(page.notes.into_iter().map(|note| note.id.to_string()));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..130).map(name).collect::<Vec<_>>());
}

pub(crate) async fn a_note_can_say_what_a_tag_is_a_kind_of(vault: Arc<dyn Vault>) {
    let Some(tags) = tags_of(&*vault).filter(|_| vault.capabilities().tag_parents) else {
        return;
    };
    let of = async |tag: &str| {
        let query = Query {
            tags: texts(&[tag]),
            ..Query::default()
        };
        found(&*vault, query).await
    };
    vault
        .create_all(vec![tagged("c", &["sub/child"]), tagged("p", &["parent"])])
        .await
        .unwrap();
    let says = NewNote {
        path: Some("_tags/sub/child".into()),
        metadata: metadata(json!({ "parents": ["#parent", 7, "", "other"] })),
        ..note("says")
    };
    vault.create(says).await.unwrap();
    assert_eq!((of("parent").await, of("other").await), ("c p".into(), "c".into()));
    // One graph: an edge of a schema goes on where that of a note ends.
    tags.put_tag("parent", child_of(&["grand"])).await.unwrap();
    assert_eq!(of("grand").await, "c p");
    assert_eq!(
        tags.tag("sub/child").await.unwrap().unwrap().parents,
        ["other", "parent"]
    );

    let change = async |patch: Patch| vault.patch(&at_id("says"), patch, Precondition::Force).await.unwrap();
    change(Patch {
        metadata: metadata(json!({ "parents": "other" })),
        ..Patch::default()
    })
    .await;
    assert_eq!((of("parent").await, of("other").await), ("p".into(), "c".into()));
    change(Patch {
        path: Some(Some("_tags/elsewhere".into())),
        ..Patch::default()
    })
    .await;
    assert_eq!(of("other").await, "");
    change(Patch {
        path: Some(Some("_tags/sub/child".into())),
        ..Patch::default()
    })
    .await;
    assert_eq!(of("other").await, "c");
    vault.delete(&at_id("says")).await.unwrap();
    assert_eq!(of("other").await, "");
}

pub(crate) async fn a_tag_is_renamed_on_all_notes(vault: Arc<dyn Vault>) {
    let Some(tags) = tags_of(&*vault) else { return };
    vault
        .create_all(vec![
            tagged("n1", &["old", "z"]),
            tagged("n2", &["old"]),
            tagged("n3", &["z"]),
        ])
        .await
        .unwrap();
    tags.put_tag("old", schema("what", json!({ "f": {} }))).await.unwrap();
    tags.put_tag("old", child_of(&["above"])).await.unwrap();
    tags.put_tag("below", child_of(&["old"])).await.unwrap();
    let before = get(&*vault, "n1").await;
    let newest = *vault.watch().borrow();

    assert!(refused(tags.rename_tag("nope", "new").await).starts_with("NoTag { tag: \"nope\" }"));
    assert!(refused(tags.rename_tag("old", "z").await).starts_with("TagTaken { tag: \"z\" }"));
    assert!(refused(tags.rename_tag("old", "a,b").await).starts_with("Invalid"));
    assert_eq!(*vault.watch().borrow(), newest);

    assert_eq!(tags.rename_tag("#old", "#new").await.unwrap(), 2);
    assert_eq!(get(&*vault, "n1").await.tags, ["new", "z"]);
    assert!(get(&*vault, "n1").await.updated_at > before.updated_at);
    assert_eq!(
        (with_tag(&*vault, &["old"]).await, tags.tag("old").await.unwrap()),
        (String::new(), None)
    );
    let renamed = tags.tag("new").await.unwrap().unwrap();
    assert_eq!((renamed.count, renamed.description.as_deref()), (2, Some("what")));
    assert_eq!(renamed.parents, ["above"]);
    assert_eq!(tags.tag("below").await.unwrap().unwrap().parents, ["new"]);
    let told = vault.changes(newest, 10).await.unwrap();
    let mut told: Vec<_> = told.iter().map(|change| change.id.as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, ["n1", "n2"]);
}

pub(crate) async fn tags_are_merged_and_removed(vault: Arc<dyn Vault>) {
    let Some(tags) = tags_of(&*vault) else { return };
    vault
        .create_all(vec![
            tagged("n1", &["x", "y"]),
            tagged("n2", &["x"]),
            tagged("n3", &["y", "z"]),
        ])
        .await
        .unwrap();
    tags.put_tag("x", schema("of x", json!({ "a": { "type": "string" }, "b": {} })))
        .await
        .unwrap();
    tags.put_tag("y", schema("", json!({ "a": { "type": "number" } })))
        .await
        .unwrap();
    tags.put_tag("below", child_of(&["x"])).await.unwrap();
    let sources = texts(&["x", "nope", "y"]);
    let merged = tags.merge_tags(&sources, "y").await.unwrap();
    assert_eq!(merged, [("x".into(), 2), ("nope".into(), 0), ("y".into(), 0)]);
    assert_eq!(with_tag(&*vault, &["y"]).await, "n1 n2 n3");
    assert_eq!(get(&*vault, "n1").await.tags, ["y"]);
    assert_eq!(tags.tag("x").await.unwrap(), None);
    let target = tags.tag("y").await.unwrap().unwrap();
    assert_eq!(target.description.as_deref(), Some("of x"));
    assert_eq!(
        target.fields,
        Some(metadata(json!({ "a": { "type": "number" }, "b": {} })))
    );
    assert_eq!(tags.tag("below").await.unwrap().unwrap().parents, ["y"]);

    assert_eq!(tags.delete_tag("#y").await.unwrap(), Some(3));
    assert_eq!(tags.delete_tag("y").await.unwrap(), None);
    assert_eq!(with_tag(&*vault, &["y"]).await, "");
    assert_eq!(get(&*vault, "n3").await.tags, ["z"]);
    assert_eq!(tags.tag("below").await.unwrap().unwrap().parents, Vec::<String>::new());
}
