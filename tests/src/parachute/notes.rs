//! Writing notes.

use std::sync::Arc;

use axum::extract::Request;
use serde_json::{Map, Value, json};

use super::answer::{Reply, broken, json_of};
use super::store::Stored;
use super::{Shared, Version, lock, tags, triggers};

/// Now, as the server writes times.
pub(super) fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

/// A time after `last`: a millisecond later when the clock has not moved.
fn later(last: &str) -> String {
    let now = now();
    if now.as_str() > last {
        return now;
    }
    let last: jiff::Timestamp = last.parse().unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{:.3}", last + jiff::SignedDuration::from_millis(1))
}

/// A path as it is stored.
fn normalised(path: &str) -> Option<String> {
    let path = path.trim().replace('\\', "/");
    let path = match path.len().checked_sub(3).and_then(|cut| path.get(cut..)) {
        Some(end) if end.eq_ignore_ascii_case(".md") => path[..path.len() - 3].to_owned(),
        _ => path,
    };
    let path = path.replace("//", "/");
    let path = path.strip_prefix('/').unwrap_or(&path);
    let path = path.strip_suffix('/').unwrap_or(path);
    (!path.is_empty()).then(|| path.to_owned())
}

/// A list of tags, or the letters of a text.
fn tags_of(value: Option<&Value>) -> Vec<String> {
    let mut tags: Vec<String> = match value {
        Some(Value::Array(tags)) => tags.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(text)) => text.chars().map(String::from).collect(),
        _ => Vec::new(),
    };
    tags.sort_unstable();
    tags.dedup();
    tags
}

fn error(status: u16, code: &str, fields: Value) -> Value {
    let mut body = json!({ "error_type": code, "error": code, "message": "made", "status": status });
    if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields) {
        body.extend(fields);
    }
    body
}

/// The status that goes with a refusal.
fn refused(mut body: Value) -> Reply {
    let status = body.as_object_mut().and_then(|body| body.remove("status"));
    let status = status
        .and_then(|status| status.as_u64())
        .and_then(|status| u16::try_from(status).ok());
    match status {
        Some(500) | None => broken(),
        Some(status) => Reply::Json(status, body),
    }
}

/// Makes a note of the fields of a request.
pub(super) fn create(shared: &Shared, fields: &Value) -> Result<Stored, Value> {
    let text = |key: &str| fields.get(key).and_then(Value::as_str);
    let path = text("path").and_then(normalised);
    if fields.get("content").is_some_and(|content| !content.is_string()) {
        return Err(json!({ "status": 500 }));
    }
    let content = text("content").unwrap_or_default().to_owned();
    if content.trim().is_empty() && path.is_none() {
        return Err(error(
            400,
            "empty_note",
            json!({ "error": "EmptyNoteError", "item_index": 0 }),
        ));
    }
    let mut store = lock(&shared.store);
    let id = text("id").map_or_else(
        || jiff::Timestamp::now().strftime("%Y-%m-%d-%H-%M-%S-%6f").to_string(),
        str::to_owned,
    );
    if let Some(path) = path.as_deref().filter(|path| store.has_path(path)) {
        return Err(error(409, "path_conflict", json!({ "path": path })));
    }
    if store.has_id(&id) {
        return Err(json!({ "status": 500 }));
    }
    let now = now();
    let created = text("createdAt").or_else(|| text("created_at"));
    let note = Stored {
        seq: 0,
        id,
        path,
        content,
        tags: tags_of(fields.get("tags")),
        metadata: fields
            .get("metadata")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default(),
        created_at: created.unwrap_or(&now).to_owned(),
        updated_at: created.unwrap_or(&now).to_owned(),
        attachments: Vec::new(),
    };
    let made = store.insert(note);
    // After the answer is built: it does not show them.
    let gained = made.tags.clone();
    store.tamper(&made.id, |note| note.updated_at.clone_from(&made.updated_at));
    tags::add_defaults(&mut store, &made.id, &gained);
    Ok(made)
}

/// `POST /notes`.
pub(super) async fn post(shared: &Arc<Shared>, request: Request) -> Reply {
    let Some(body) = json_of(request).await else {
        return broken();
    };
    let Some(list) = body.get("notes").and_then(Value::as_array) else {
        return match create(shared, &body) {
            Ok(note) => {
                triggers::fire(shared, &note.id, "created");
                Reply::Json(201, note.full())
            }
            Err(refusal) => refused(refusal),
        };
    };
    if list.len() > 500 {
        return refused(error(413, "batch_too_large", json!({ "limit": 500 })));
    }
    let mut made = Vec::new();
    for fields in list {
        // What stands before the one that fails stays.
        match create(shared, fields) {
            Ok(note) => {
                triggers::fire(shared, &note.id, "created");
                made.push(note.full());
            }
            Err(refusal) => return refused(refusal),
        }
    }
    Reply::Json(201, made.into())
}

fn missing(key: &str) -> Reply {
    Reply::Json(404, json!({ "error": format!("Note not found: \"{key}\"") }))
}

/// `DELETE /notes/{key}`: the bytes of its files stay.
pub(super) fn delete(shared: &Shared, key: &str) -> Reply {
    match lock(&shared.store).remove(key) {
        Some(note) => Reply::Json(200, json!({ "deleted": true, "id": note.id })),
        None => missing(key),
    }
}

/// `PATCH /notes/{key}`.
pub(super) async fn patch(shared: &Arc<Shared>, key: &str, request: Request) -> Reply {
    // It looks at the note before it has read the body: that is how `force` loses what others write.
    let before = lock(&shared.store).find(key).cloned();
    let Some(body) = json_of(request).await else {
        return broken();
    };
    let pause = lock(&shared.faults).slow_patches;
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    let Some(before) = before else {
        let upsert =
            shared.version == Version::July && body.get("if_missing").and_then(Value::as_str) == Some("create");
        return if upsert {
            create_at(shared, key, &body)
        } else {
            missing(key)
        };
    };
    match change(shared, &before, &body) {
        Ok((note, told)) => {
            if told {
                triggers::fire(shared, &note.id, "updated");
            }
            Reply::Json(200, note.full())
        }
        Err(refusal) => refused(refusal),
    }
}

fn create_at(shared: &Arc<Shared>, path: &str, body: &Value) -> Reply {
    let fields = json!({
        "path": path, "content": body.get("content").cloned().unwrap_or_else(|| "".into()),
        "tags": body.get("tags").cloned().unwrap_or_default(), "metadata": body.get("metadata").cloned().unwrap_or_default()
    });
    match create(shared, &fields) {
        Ok(note) => {
            triggers::fire(shared, &note.id, "created");
            Reply::Json(201, note.full())
        }
        Err(refusal) => refused(refusal),
    }
}

/// What a change of the text makes of it; the refusal else.
fn changed_content(content: &str, body: &Value) -> Result<String, Value> {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let ways = [
        body.get("content").is_some(),
        text("append").is_some() || text("prepend").is_some(),
        body.get("content_edit").is_some(),
    ];
    if ways.iter().filter(|way| **way).count() > 1 {
        return Err(error(400, "mutually_exclusive", json!({})));
    }
    if let Some(edit) = body.get("content_edit") {
        let part = |key: &str| edit.get(key).and_then(Value::as_str);
        let (Some(old), Some(new)) = (part("old_text"), part("new_text")) else {
            return Err(error(400, "bad_request", json!({})));
        };
        return match content.matches(old).count() {
            0 => Err(error(422, "unprocessable_content", json!({}))),
            1 => Ok(content.replacen(old, new, 1)),
            _ => Err(error(409, "ambiguous", json!({}))),
        };
    }
    if let Some(content) = text("content") {
        return Ok(content.to_owned());
    }
    let (front, back) = (text("prepend").unwrap_or_default(), text("append").unwrap_or_default());
    Ok(format!("{front}{content}{back}"))
}

/// The note after a change, and whether triggers are told.
fn change(shared: &Shared, before: &Stored, body: &Value) -> Result<(Stored, bool), Value> {
    let fields = body.as_object().cloned().unwrap_or_default();
    let has = |key: &str| fields.contains_key(key);
    let force = body.get("force").and_then(Value::as_bool) == Some(true);
    let expected = body.get("if_updated_at").and_then(Value::as_str);
    let only_extends = fields.keys().all(|key| key == "append" || key == "prepend");
    let named = json!({ "note_id": before.id, "path": before.path });
    if expected.is_none() && !force && !only_extends {
        return Err(error(428, "precondition_required", named));
    }
    let mut store = lock(&shared.store);
    let Some(current) = store.find(&before.id).cloned() else {
        return Err(error(404, "not_found", json!({})));
    };
    if let Some(expected) = expected.filter(|expected| *expected != current.updated_at) {
        let mut body = error(409, "conflict", named);
        body["current_updated_at"] = current.updated_at.into();
        body["your_updated_at"] = expected.into();
        return Err(body);
    }
    let mut after = current.clone();
    after.content = changed_content(&current.content, body)?;
    if let Some(path) = fields.get("path") {
        after.path = path.as_str().and_then(normalised);
        if let Some(path) = after
            .path
            .as_deref()
            .filter(|path| current.path.as_deref() != Some(path))
            && store.has_path(path)
        {
            return Err(error(409, "path_conflict", json!({ "path": path })));
        }
    }
    if let Some(Value::Object(metadata)) = fields.get("metadata") {
        // The weakness: with `force` the merge is over what was read before.
        let base: &Map<String, Value> = if expected.is_some() {
            &current.metadata
        } else {
            &before.metadata
        };
        after.metadata.clone_from(base);
        after.metadata.extend(metadata.clone());
    }
    let gained = change_tags(&mut after, fields.get("tags"));
    if let Some(created) = body
        .get("createdAt")
        .or_else(|| body.get("created_at"))
        .and_then(Value::as_str)
    {
        after.created_at = created.to_owned();
    }
    if after.content.trim().is_empty() && after.path.is_none() {
        return Err(error(400, "empty_note", json!({ "note_id": before.id })));
    }
    let told = [
        "content",
        "append",
        "prepend",
        "content_edit",
        "path",
        "metadata",
        "createdAt",
        "created_at",
    ]
    .iter()
    .any(|key| has(key));
    if told || expected.is_some() {
        after.updated_at = if expected.is_some() {
            later(&current.updated_at)
        } else {
            now()
        };
    }
    store.tamper(&before.id, |note| note.clone_from(&after));
    tags::add_defaults(&mut store, &before.id, &gained);
    Ok((after, told))
}

/// A plain list is ignored without a word. Answers the tags that came.
fn change_tags(note: &mut Stored, change: Option<&Value>) -> Vec<String> {
    let Some(Value::Object(change)) = change else {
        return Vec::new();
    };
    let mut gained = tags_of(change.get("add"));
    gained.retain(|tag| !note.tags.contains(tag));
    note.tags.extend(gained.iter().cloned());
    let removed = tags_of(change.get("remove"));
    note.tags.retain(|tag| !removed.contains(tag));
    note.tags.sort_unstable();
    gained
}
