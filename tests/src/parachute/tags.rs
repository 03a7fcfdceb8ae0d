//! Tags: what is declared of them, and whose child they are; and the vault as a whole.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::Request;
use serde_json::{Value, json};

use super::answer::{Reply, broken, json_of};
use super::store::{Store, Stored};
use super::{Shared, Version, lock};

/// `PUT /tags/{name}`. `parent_names` is dropped without a word by the older one.
pub(super) async fn put(shared: &Arc<Shared>, name: &str, request: Request) -> Reply {
    let Some(body) = json_of(request).await else {
        return broken();
    };
    let mut store = lock(&shared.store);
    let mut schema = store.schemas.get(name).cloned().unwrap_or_else(|| json!({}));
    if let Some(description) = body.get("description") {
        schema["description"] = description.clone();
    }
    if let Some(Value::Object(fields)) = body.get("fields") {
        let mut all = schema
            .get("fields")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        all.extend(fields.clone());
        schema["fields"] = all.into();
    }
    if shared.version == Version::July
        && let Some(parents) = body.get("parent_names")
    {
        schema["parent_names"] = parents.clone();
    }
    store.schemas.insert(name.to_owned(), schema.clone());
    let mut answer = json!({ "tag": name, "description": schema.get("description"), "fields": schema.get("fields") });
    if shared.version == Version::July {
        answer["parent_names"] = schema.get("parent_names").cloned().unwrap_or_default();
    }
    Reply::Json(200, answer)
}

/// `GET /tags/{name}`: also for a tag that nobody knows.
pub(super) fn show(shared: &Shared, name: &str) -> Reply {
    let store = lock(&shared.store);
    let count = store
        .all()
        .filter(|note| note.tags.iter().any(|tag| tag == name))
        .count();
    let schema = store.schemas.get(name);
    let field = |key: &str| schema.and_then(|schema| schema.get(key)).cloned().unwrap_or_default();
    let answer =
        json!({ "name": name, "count": count, "description": field("description"), "fields": field("fields") });
    Reply::Json(200, answer)
}

/// A tag and everything below it.
pub(super) fn family(store: &Store, tag: &str) -> BTreeSet<String> {
    let mut family = BTreeSet::from([tag.to_owned()]);
    loop {
        let before = family.len();
        let declared = store.schemas.iter().filter_map(|(child, schema)| {
            let parents = schema.get("parent_names")?.as_array()?;
            parents
                .iter()
                .any(|parent| parent.as_str().is_some_and(|parent| family.contains(parent)))
                .then(|| child.clone())
        });
        let noted = store.all().filter_map(|note| {
            let child = note.path.as_deref()?.strip_prefix("_tags/")?;
            let parents = note.metadata.get("parents")?.as_array()?;
            parents
                .iter()
                .any(|parent| parent.as_str().is_some_and(|parent| family.contains(parent)))
                .then(|| child.to_owned())
        });
        let more: Vec<String> = declared.chain(noted).collect();
        family.extend(more);
        if family.len() == before {
            return family;
        }
    }
}

/// The defaults of the declared fields of tags that a note has just got. No event tells it, and the time stays.
pub(super) fn add_defaults(store: &mut Store, id: &str, gained: &[String]) {
    let fields: Vec<(String, Value)> = gained
        .iter()
        .filter_map(|tag| store.schemas.get(tag)?.get("fields")?.as_object().cloned())
        .flatten()
        .collect();
    store.tamper(id, |note| {
        for (key, field) in fields {
            let first = field.get("enum").and_then(|values| values.get(0)).cloned();
            let default = first.unwrap_or_else(|| match field.get("type").and_then(Value::as_str) {
                Some("boolean") => false.into(),
                Some("number" | "integer") => 0.into(),
                _ => "".into(),
            });
            note.metadata.entry(key).or_insert(default);
        }
    });
}

/// `GET /vault`.
pub(super) fn about(shared: &Shared, query: &str) -> Reply {
    let store = lock(&shared.store);
    let mut about =
        json!({ "name": shared.vault, "description": store.description, "config": { "audio_retention": "keep" } });
    if query.contains("include_stats=true") {
        let named = |note: Option<&Stored>| note.map(|note| json!({ "id": note.id, "createdAt": note.created_at }));
        let tags: BTreeSet<&String> = store.all().flat_map(|note| &note.tags).collect();
        about["stats"] = json!({
            "totalNotes": store.all().count(), "earliestNote": named(store.all().next()),
            "latestNote": named(store.all().next_back()), "notesByMonth": [], "topTags": [],
            "tagCount": tags.len(), "linkCount": 0
        });
    }
    Reply::Json(200, about)
}

/// `PATCH /vault`.
pub(super) async fn describe(shared: &Arc<Shared>, request: Request) -> Reply {
    let Some(body) = json_of(request).await else {
        return broken();
    };
    if let Some(description) = body.get("description") {
        lock(&shared.store).description = description.as_str().map(str::to_owned);
    }
    about(shared, "")
}
