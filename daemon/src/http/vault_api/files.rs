//! The routes of files: uploads, downloads, and the attachments of notes.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError, MultipartRejection};
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reveille_vault::{Key, NewFile, StoredFile, UNKNOWN_TYPE, Upload, VaultError};
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use super::answer::{self, Failure};
use super::{Part, Target, body, notes};

/// What a form may have beside its file.
pub(super) const FORM_BYTES: usize = 64 * 1024;

/// Bytes of a file that are read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// `GET /api/notes/{idOrPath}/attachments`, and the note itself without that end.
pub(super) async fn list_or_show(target: Target, uri: Uri) -> Result<Response, Failure> {
    let Part::Attachments { note } = target.part else {
        return notes::show(target, uri).await;
    };
    let attachments = target.vault.files().attachments(&Key::IdOrPath(note)).await?;
    let rendered: Vec<Value> = attachments.iter().map(answer::attachment).collect();
    Ok(answer::ok(&rendered.into()))
}

/// `POST /api/notes/{idOrPath}/attachments`.
pub(super) async fn attach(target: Target, body: Result<Bytes, BytesRejection>) -> Result<Response, Failure> {
    let Part::Attachments { note } = target.part else {
        return Ok(only("GET,HEAD,PATCH,DELETE"));
    };
    let new = body::new_attachment(body)?;
    let attachment = target.vault.files().attach(&Key::IdOrPath(note), new).await?;
    Ok((StatusCode::CREATED, Json(answer::attachment(&attachment))).into_response())
}

/// `DELETE /api/notes/{idOrPath}/attachments/{id}`, and the note itself without that end.
pub(super) async fn detach_or_delete(target: Target) -> Result<Response, Failure> {
    let (note, id) = match target.part {
        Part::Note => return notes::delete(target).await,
        Part::Attachments { .. } => return Ok(only("GET,HEAD,POST")),
        Part::Attachment { note, id } => (Key::IdOrPath(note), id),
    };
    match target.vault.files().detach(&note, &id).await {
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

/// `POST /api/storage/upload`: a form whose field `file` is the file. It is written to the disk as it arrives.
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

/// `GET /api/storage/{path}`.
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
