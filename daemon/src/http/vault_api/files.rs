//! The routes of files: uploads, downloads, and the attachments of notes.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError, MultipartRejection};
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reveille_vault::{Key, NewFile, StoredFile, UNKNOWN_TYPE, Upload, Vault, VaultError};
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use super::answer::{self, Failure};
use super::{Part, Target, body, notes, schema};

/// What a form may have beside its file.
pub(super) const FORM_BYTES: usize = 64 * 1024;

/// Bytes of a file that are read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// A note.
#[utoipa::path(
    get, path = "/vault/{name}/api/notes/{key}", operation_id = "getNote", tag = "notes",
    params(("name" = String, Path, description = "The vault."), ("key" = String, Path, description = "Id or path of the note; a path as one encoded segment."), schema::FormParams),
    responses(
        (status = 200, description = "The note.", body = schema::Note),
        (status = 404, description = "There is no such vault or note: `vault_not_found`, `not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn list_or_show(target: Target, uri: Uri) -> Result<Response, Failure> {
    let Part::Attachments { note } = target.part else {
        return notes::show(target, uri).await;
    };
    attachments(&*target.vault, note).await
}

/// The files of a note.
#[utoipa::path(
    get, path = "/vault/{name}/api/notes/{key}/attachments", operation_id = "listAttachments", tag = "notes",
    params(
        ("name" = String, Path, description = "The vault."),
        ("key" = String, Path, description = "Id or path of the note; a path as one encoded segment."),
    ),
    responses(
        (status = 200, description = "The files.", body = Vec<schema::NoteAttachment>),
        (status = 404, description = "There is no such vault or note: `vault_not_found`, `not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn attachments(vault: &dyn Vault, note: String) -> Result<Response, Failure> {
    let attachments = vault.files().attachments(&Key::IdOrPath(note)).await?;
    let rendered: Vec<Value> = attachments.iter().map(answer::attachment).collect();
    Ok(answer::ok(&rendered.into()))
}

/// Adds a file to a note.
#[utoipa::path(
    post, path = "/vault/{name}/api/notes/{key}/attachments", operation_id = "attachFile", tag = "notes",
    params(("name" = String, Path, description = "The vault."), ("key" = String, Path, description = "Id or path of the note; a path as one encoded segment.")),
    request_body = schema::NewAttachmentBody,
    responses(
        (status = 201, description = "The file of the note.", body = schema::NoteAttachment),
        (status = 404, description = "There is no such vault or note: `vault_not_found`, `not_found`."),
        (status = 405, description = "The address has something behind `/attachments`: `method_not_allowed`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn attach(target: Target, body: Result<Bytes, BytesRejection>) -> Result<Response, Failure> {
    let Part::Attachments { note } = target.part else {
        return Ok(only("GET,HEAD,PATCH,DELETE"));
    };
    let new = body::new_attachment(body)?;
    let attachment = target.vault.files().attach(&Key::IdOrPath(note), new).await?;
    Ok((StatusCode::CREATED, Json(answer::attachment(&attachment))).into_response())
}

/// Removes a note.
#[utoipa::path(
    delete, path = "/vault/{name}/api/notes/{key}", operation_id = "deleteNote", tag = "notes",
    params(("name" = String, Path, description = "The vault."), ("key" = String, Path, description = "Id or path of the note; a path as one encoded segment.")),
    responses(
        (status = 200, description = "It is gone.", body = schema::NoteDeleted),
        (status = 404, description = "There is no such vault or note: `vault_not_found`, `not_found`."),
        (status = 405, description = "The address ends with `/attachments`: `method_not_allowed`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn detach_or_delete(target: Target) -> Result<Response, Failure> {
    let (note, id) = match target.part {
        Part::Note => return notes::delete(target).await,
        Part::Attachments { .. } => return Ok(only("GET,HEAD,POST")),
        Part::Attachment { note, id } => (Key::IdOrPath(note), id),
    };
    detach(&*target.vault, note, id).await
}

/// Takes a file from a note.
#[utoipa::path(
    delete, path = "/vault/{name}/api/notes/{key}/attachments/{id}", operation_id = "detachFile", tag = "notes",
    params(
        ("name" = String, Path, description = "The vault."),
        ("key" = String, Path, description = "Id or path of the note; a path as one encoded segment."),
        ("id" = String, Path, description = "Id of the file, as the list has it."),
    ),
    responses(
        (status = 204, description = "The file is taken from the note."),
        (status = 404, description = "There is no such vault, note or file: `vault_not_found`, `not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn detach(vault: &dyn Vault, note: Key, id: String) -> Result<Response, Failure> {
    match vault.files().detach(&note, &id).await {
        Err(VaultError::NotFound { key }) if key == id => Err(Failure::UnknownAttachment),
        outcome => {
            outcome?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
    }
}

fn only(methods: &'static str) -> Response {
    let mut response = Failure::MethodNotAllowed.into_response();
    let methods = HeaderValue::from_static(methods);
    response.headers_mut().insert(header::ALLOW, methods);
    response
}

/// Stores a file. It is written to the disk as it arrives.
#[utoipa::path(
    post, path = "/vault/{name}/api/storage/upload", operation_id = "uploadFile", tag = "notes",
    params(("name" = String, Path, description = "The vault.")),
    request_body(content = schema::UploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "The file is stored.", body = schema::StoredFileBody),
        (status = 404, description = "There is no such vault: `vault_not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn upload(
    Target { vault, .. }: Target,
    head: HeaderMap,
    form: Result<Multipart, MultipartRejection>,
    limit: usize,
) -> Result<Response, Failure> {
    let length = head.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = length.and_then(|text| text.parse::<usize>().ok()); // silent-ok: what arrives is counted in any case
    if length.is_some_and(|length| length > limit.saturating_add(FORM_BYTES)) {
        return Err(Failure::FileTooLarge { limit });
    }
    let mut form = form.map_err(|rejection| Failure::Invalid {
        field: None,
        message: format!(
            "send multipart/form-data with the field file ({})",
            rejection.body_text()
        ),
    })?;
    while let Some(field) = form.next_field().await.map_err(|error| broken(&error, limit))? {
        if field.name() != Some("file") {
            continue;
        }
        let filename = field.file_name().unwrap_or_default().to_owned();
        let mime_type = Some(kind(field.content_type(), &filename));
        let upload = vault.files().upload(NewFile { filename, mime_type }).await?;
        let stored = receive(field, upload, limit).await?;
        let body = json!({
            "path": stored.path, "size": stored.size, "mimeType": stored.mime_type, "filename": stored.filename
        });
        return Ok((StatusCode::CREATED, Json(body)).into_response());
    }
    Err(Failure::invalid(
        "file",
        "the form has no field file; nothing was stored",
    ))
}

async fn receive(mut field: Field<'_>, mut upload: Box<dyn Upload>, limit: usize) -> Result<StoredFile, Failure> {
    let mut left = limit;
    while let Some(piece) = field.chunk().await.map_err(|error| broken(&error, limit))? {
        left = left.checked_sub(piece.len()).ok_or(Failure::FileTooLarge { limit })?;
        upload.write(&piece).await?;
    }
    Ok(upload.finish().await?)
}

fn broken(error: &MultipartError, limit: usize) -> Failure {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Failure::FileTooLarge { limit };
    }
    Failure::Invalid {
        field: None,
        message: format!(
            "the form did not arrive whole ({}); nothing was stored: send it again",
            error.body_text()
        ),
    }
}

/// What the sender says a file is, unless that says nothing: then what its name says.
fn kind(said: Option<&str>, filename: &str) -> String {
    match said {
        Some(said) if said != UNKNOWN_TYPE => said.to_owned(),
        _ => mime_guess::from_path(filename)
            .first_raw()
            .unwrap_or(UNKNOWN_TYPE)
            .to_owned(),
    }
}

/// The bytes of a file.
#[utoipa::path(
    get, path = "/vault/{name}/api/storage/{key}", operation_id = "downloadFile", tag = "notes",
    params(("name" = String, Path, description = "The vault."), ("key" = String, Path, description = "Path of the file, as one encoded segment.")),
    responses(
        (status = 200, description = "The file.", body = Vec<u8>, content_type = "*/*"),
        (status = 404, description = "There is no such vault or file: `vault_not_found`, `not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn download(Target { vault, key, .. }: Target) -> Result<Response, Failure> {
    let open = vault.files().open(&key).await?.ok_or(Failure::UnknownFile)?;
    let name = utf8_percent_encode(&open.file.filename, NON_ALPHANUMERIC);
    let headers = [
        (header::CONTENT_TYPE, open.file.mime_type),
        (header::CONTENT_LENGTH, open.file.size.to_string()),
        // Whoever wrote the file must not get a page of our origin out of it.
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename*=UTF-8''{name}"),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; sandbox".to_owned(),
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    let bytes = Body::from_stream(ReaderStream::with_capacity(open.bytes, PIECE_BYTES));
    Ok((headers, bytes).into_response())
}
