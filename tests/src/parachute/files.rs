//! Attachments and their bytes.

use std::sync::Arc;

use axum::extract::{FromRequest as _, Multipart, Request};
use serde_json::{Value, json};

use super::answer::{Reply, broken, json_of, not_found};
use super::notes::now;
use super::store::File;
use super::{Shared, lock};

const TYPES: [(&str, &str); 12] = [
    ("wav", "audio/wav"),
    ("mp3", "audio/mpeg"),
    ("m4a", "audio/mp4"),
    ("ogg", "audio/ogg"),
    ("webm", "video/webm"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("pdf", "application/pdf"),
    ("mp4", "video/mp4"),
];

/// `POST /storage/upload`.
pub(super) async fn upload(shared: &Arc<Shared>, request: Request) -> Reply {
    let Ok(mut parts) = Multipart::from_request(request, &()).await else {
        return broken();
    };
    while let Ok(Some(part)) = parts.next_field().await {
        if part.name() != Some("file") {
            continue;
        }
        let name = part.file_name().unwrap_or_default().to_owned();
        let extension = name
            .rsplit_once('.')
            .map(|(_, extension)| extension.to_ascii_lowercase())
            .unwrap_or_default();
        let Some((_, mime_type)) = TYPES.iter().find(|(known, _)| *known == extension) else {
            return Reply::Json(400, json!({ "error": format!("File type .{extension} not allowed") }));
        };
        let Ok(bytes) = part.bytes().await else { return broken() };
        let mut store = lock(&shared.store);
        let at = jiff::Timestamp::now();
        let number = store.files.len();
        let path = format!(
            "{}/{}-{number}.{extension}",
            at.strftime("%Y-%m-%d"),
            at.as_millisecond()
        );
        let size = bytes.len();
        let file = File {
            mime_type: (*mime_type).to_owned(),
            bytes: bytes.to_vec(),
        };
        store.files.insert(path.clone(), file);
        return Reply::Json(201, json!({ "path": path, "size": size, "mimeType": mime_type }));
    }
    Reply::Json(400, json!({ "error": "file is required" }))
}

/// `GET /storage/{date}/{file}`.
pub(super) fn bytes(shared: &Shared, path: &str) -> Reply {
    match lock(&shared.store).files.get(path) {
        Some(file) => Reply::Bytes(file.mime_type.clone(), file.bytes.clone()),
        None => not_found(),
    }
}

/// `GET /notes/{key}/attachments`.
pub(super) fn attachments(shared: &Shared, key: &str) -> Reply {
    match lock(&shared.store).find(key) {
        Some(note) => Reply::Json(200, note.attachments.clone().into()),
        None => not_found(),
    }
}

/// `POST /notes/{key}/attachments`. Nobody looks whether the file is there.
pub(super) async fn attach(shared: &Arc<Shared>, key: &str, request: Request) -> Reply {
    let Some(body) = json_of(request).await else {
        return broken();
    };
    let text = |field: &str| body.get(field).and_then(Value::as_str);
    let (Some(path), Some(mime_type)) = (text("path"), text("mimeType")) else {
        return Reply::Json(400, json!({ "error": "path and mimeType are required" }));
    };
    let mut store = lock(&shared.store);
    let Some(note) = store.find(key).map(|note| note.id.clone()) else {
        return not_found();
    };
    let id = uuid::Uuid::new_v4().to_string();
    let row = json!({ "id": id, "noteId": note, "path": path, "mimeType": mime_type, "createdAt": now() });
    store.tamper(&note, |note| note.attachments.push(row.clone()));
    Reply::Json(201, row)
}

/// `DELETE /notes/{key}/attachments/{id}`. The file goes with its last row.
pub(super) fn detach(shared: &Shared, key: &str, id: &str) -> Reply {
    let mut store = lock(&shared.store);
    let mut gone = None;
    store.tamper(key, |note| {
        let place = note.attachments.iter().position(|row| row["id"] == id);
        gone = place.map(|place| note.attachments.remove(place));
    });
    let Some(path) = gone.as_ref().and_then(|row| row["path"].as_str()) else {
        return not_found();
    };
    let used = store
        .all()
        .flat_map(|note| &note.attachments)
        .any(|row| row["path"] == path);
    if !used {
        store.files.remove(path);
    }
    Reply::Nothing(204)
}
