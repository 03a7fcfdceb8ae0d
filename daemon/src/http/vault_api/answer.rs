//! Answers: notes as JSON, and every failure with its status.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use reveille_vault::agent::without_middle;
use reveille_vault::note::millis;
use reveille_vault::{Attachment, Key, Note, NoteId, Vault, VaultError};
use serde_json::{Map, Value, json};

use super::expand::Expand;
use super::graph;
use crate::http::error::ApiError;

/// Seconds after which a client may ask an unusable vault again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// Characters of the preview in the lean form.
const PREVIEW_CHARS: usize = 120;

pub(super) fn ok(body: &Value) -> Response {
    Json(body).into_response()
}

/// Which parts of a note are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form {
    /// The body; otherwise its size and a preview.
    pub(super) content: bool,
    pub(super) metadata: Fields,
    /// The list of its files.
    pub(super) attachments: bool,
    /// Its links, in both directions.
    pub(super) links: bool,
    /// What its body links to stands in it.
    pub(super) expand: Option<Expand>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fields {
    All,
    None,
    Only(Vec<String>),
}

impl Form {
    /// Everything, as answers to writes have it.
    pub(super) const FULL: Self = Self {
        content: true,
        metadata: Fields::All,
        attachments: false,
        links: false,
        expand: None,
    };

    /// The note with everything that is asked for.
    pub(super) async fn fill(&self, vault: &dyn Vault, mut note: Note) -> Result<Value, VaultError> {
        if let Some(expand) = self.expand.filter(|_| self.content) {
            note.content = expand.body(vault, &note).await?;
        }
        let id = note.id.clone();
        let key = Key::Id(note.id.clone());
        let mut rendered = self.render(note);
        if self.attachments {
            let listed = match vault.files().attachments(&key).await {
                // It was removed a moment ago; it had none to speak of any more.
                Err(VaultError::NotFound { .. }) => Vec::new(),
                listed => listed?,
            };
            rendered["attachments"] = listed.iter().map(attachment).collect();
        }
        if self.links {
            rendered["links"] = graph::links_of(vault, &id).await?;
        }
        Ok(rendered)
    }

    /// The note without its attachments and links.
    pub(super) fn render(&self, note: Note) -> Value {
        let mut fields = Map::new();
        fields.insert("id".into(), note.id.as_str().into());
        if let Some(path) = note.path {
            fields.insert("path".into(), path.into());
        }
        if self.content {
            fields.insert("content".into(), note.content.into());
        } else {
            fields.insert("byteSize".into(), note.content.len().into());
            fields.insert("preview".into(), preview(&note.content).into());
        }
        fields.insert("tags".into(), note.tags.into());
        let mut metadata = note.metadata;
        match &self.metadata {
            Fields::All => {}
            Fields::None => metadata.clear(),
            Fields::Only(keys) => metadata.retain(|key, _| keys.contains(key)),
        }
        if !metadata.is_empty() {
            fields.insert("metadata".into(), metadata.into());
        }
        fields.insert("createdAt".into(), millis::format(note.created_at).into());
        fields.insert("updatedAt".into(), millis::format(note.updated_at).into());
        fields.into()
    }
}

/// An attachment as JSON.
pub(super) fn attachment(attachment: &Attachment) -> Value {
    json!({
        "id": attachment.id,
        "noteId": attachment.note,
        "path": attachment.path,
        "filename": attachment.filename,
        "mimeType": attachment.mime_type,
        "size": attachment.size,
        "createdAt": millis::format(attachment.created_at),
    })
}

/// The beginning of a text, its white space collapsed.
pub(super) fn preview(content: &str) -> String {
    let mut preview = String::new();
    // Each word brings a character at least, so that a long body is not walked to its end.
    for word in content.split_whitespace().take(PREVIEW_CHARS) {
        if !preview.is_empty() {
            preview.push(' ');
        }
        preview.extend(word.chars().take(PREVIEW_CHARS));
    }
    preview.chars().take(PREVIEW_CHARS).collect()
}

/// Why a request was not done.
#[derive(Debug)]
pub(in crate::http) enum Failure {
    UnknownVault {
        name: String,
    },
    UnknownRoute,
    MethodNotAllowed,
    /// The note in the URL.
    NoteNotFound,
    /// The note of `?id=`.
    IdNotFound {
        id: String,
    },
    /// The note of `near[note_id]`.
    AnchorNotFound {
        id: String,
    },
    /// Something in the request breaks a rule. `field`: where, when one place is to blame.
    Invalid {
        field: Option<String>,
        message: String,
    },
    /// As the routes of tokens say it; `more` stands beside the message.
    BadRequest {
        message: String,
        more: Value,
    },
    /// The parameters of a listing are not understood. The code is the contract's.
    Query {
        code: &'static str,
        /// The parameter, or the metadata field.
        field: Option<String>,
        message: String,
    },
    TooLarge,
    Unsupported {
        parameter: String,
        message: String,
    },
    EmptyNote {
        item: usize,
    },
    /// The patch would leave neither text nor a path.
    EmptiedNote {
        id: String,
    },
    BatchTooLarge {
        count: usize,
        limit: usize,
    },
    /// No trigger has the name in the URL.
    UnknownTrigger,
    /// No attachment of the note has the id in the URL.
    UnknownAttachment,
    /// No file is stored under the path in the URL.
    UnknownFile,
    FileTooLarge {
        limit: usize,
    },
    /// Tokens are limited to the tag.
    TagInUse {
        tag: String,
        /// Their ids.
        tokens: Vec<String>,
    },
    MutuallyExclusive,
    BadEdit,
    PreconditionRequired {
        id: NoteId,
        path: Option<String>,
    },
    Vault(VaultError),
    /// As the daemon itself says it.
    Own(ApiError),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Own(error)
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}

impl Failure {
    pub(super) fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid {
            field: Some(field.into()),
            message: message.into(),
        }
    }

    pub(super) fn query(code: &'static str, field: Option<&str>, message: String) -> Self {
        let field = field.map(str::to_owned);
        Self::Query { code, field, message }
    }

    /// Its status and body. What the request brought at length is not repeated at length.
    pub(super) fn parts(self) -> (StatusCode, Value) {
        let (status, mut body) = self.told();
        let fields = body.as_object_mut().into_iter().flatten();
        for (_, value) in fields {
            if let Value::String(text) = value {
                *text = without_middle(std::mem::take(text));
            }
        }
        (status, body)
    }

    fn told(self) -> (StatusCode, Value) {
        match self {
            Self::UnknownVault { name } => (
                StatusCode::NOT_FOUND,
                json!({ "error": "Vault not found", "error_type": "vault_not_found", "vault": name,
                    "message": format!("there is no vault {name:?}; check the name in the URL") }),
            ),
            Self::Own(error) => {
                let mut body = json!(error.more);
                body["error"] = "Forbidden".into();
                body["error_type"] = error.code.into();
                body["message"] = error.message.into();
                body["next_step"] = error.next_step.into();
                (error.status, body)
            }
            Self::UnknownRoute => (
                StatusCode::NOT_FOUND,
                json!({ "error": "Not found", "error_type": "not_found",
                    "message": "there is no such route; notes are at /vault/{name}/api/notes" }),
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                json!({ "error": "Method not allowed", "error_type": "method_not_allowed",
                    "message": "this route does not know that method; the Allow header names those it knows" }),
            ),
            Self::NoteNotFound => (
                StatusCode::NOT_FOUND,
                json!({ "error": "Not found", "error_type": "not_found",
                    "message": "no note has this id or path; paths are case-sensitive" }),
            ),
            Self::IdNotFound { id } => (
                StatusCode::NOT_FOUND,
                json!({ "error": "Note not found", "error_type": "not_found", "id": id,
                    "message": "no note has this id or path; paths are case-sensitive" }),
            ),
            Self::AnchorNotFound { id } => (
                StatusCode::NOT_FOUND,
                json!({ "error": "Anchor note not found", "error_type": "not_found", "note_id": id,
                    "message": "no note has the id or path of near[note_id]; paths are case-sensitive" }),
            ),
            Self::Invalid { field, message } => {
                let mut body =
                    json!({ "error": "invalid_request", "error_type": "invalid_request", "message": message });
                if let Some(field) = field {
                    body["field"] = field.into();
                }
                (StatusCode::BAD_REQUEST, body)
            }
            Self::BadRequest { message, more } => {
                let mut body = more;
                body["error"] = "Bad Request".into();
                body["error_type"] = "bad_request".into();
                body["message"] = message.into();
                (StatusCode::BAD_REQUEST, body)
            }
            Self::Query { code, field, message } => {
                // Here `error` is the sentence: clients of this contract key on `code`.
                let mut body =
                    json!({ "error": message, "code": code, "error_type": "invalid_query", "message": message });
                if let Some(field) = field {
                    body["field"] = field.into();
                }
                (StatusCode::BAD_REQUEST, body)
            }
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                json!({ "error": "too_large", "error_type": "too_large",
                    "message": "the request body is too large; split it into several requests" }),
            ),
            Self::Unsupported { parameter, message } => (
                StatusCode::BAD_REQUEST,
                json!({ "error": "unsupported_parameter", "error_type": "unsupported_parameter",
                    "parameter": parameter, "message": message }),
            ),
            Self::EmptyNote { item } => empty_note("item_index", item.into()),
            Self::EmptiedNote { id } => empty_note("note_id", id.into()),
            Self::BatchTooLarge { count, limit } => (
                StatusCode::PAYLOAD_TOO_LARGE,
                json!({ "error": "BatchTooLarge", "error_type": "batch_too_large", "limit": limit,
                    "message": format!("{count} notes in one batch; send at most {limit}. Nothing was written") }),
            ),
            Self::UnknownTrigger => (
                StatusCode::NOT_FOUND,
                json!({ "error": "Not found", "error_type": "not_found",
                    "message": "this vault has no trigger with that name; the list of its triggers names them" }),
            ),
            Self::UnknownAttachment => (
                StatusCode::NOT_FOUND,
                json!({ "error": "Not found", "error_type": "not_found",
                    "message": "this note has no attachment with that id; the list of its attachments names them" }),
            ),
            Self::UnknownFile => (
                StatusCode::NOT_FOUND,
                json!({ "error": "Not found", "error_type": "not_found",
                    "message": "no file is stored under this path; the answer to its upload names it" }),
            ),
            Self::FileTooLarge { limit } => (
                StatusCode::PAYLOAD_TOO_LARGE,
                json!({ "error": "too_large", "error_type": "too_large", "limit": limit,
                    "message": format!("a file of this vault may have {limit} bytes ([vault] max_attachment); nothing was stored") }),
            ),
            Self::TagInUse { tag, tokens } => (
                StatusCode::CONFLICT,
                json!({ "error": "tag_in_use_by_tokens", "error_type": "tag_in_use_by_tokens", "tag": tag,
                    "tokens": tokens, "message": "tokens are limited to this tag; revoke them first. Nothing was done" }),
            ),
            Self::MutuallyExclusive => (
                StatusCode::BAD_REQUEST,
                json!({ "error": "mutually_exclusive", "error_type": "mutually_exclusive",
                    "message": "send only one of content, content_edit, and append/prepend" }),
            ),
            Self::BadEdit => (
                StatusCode::BAD_REQUEST,
                json!({ "error": "bad_request", "error_type": "bad_request", "field": "content_edit",
                    "message": "content_edit must be an object with the texts old_text (not empty) and new_text" }),
            ),
            Self::PreconditionRequired { id, path } => (
                StatusCode::PRECONDITION_REQUIRED,
                json!({ "error": "precondition_required", "error_type": "precondition_required",
                    "note_id": id, "path": path,
                    "message": "send the note's updatedAt as if_updated_at, or force: true to overwrite" }),
            ),
            Self::Vault(error) => vault(error),
        }
    }
}

fn empty_note(place: &str, value: Value) -> (StatusCode, Value) {
    let mut body = json!({ "error": "EmptyNoteError", "error_type": "empty_note",
        "message": "a note needs text or a path; nothing was written" });
    body[place] = value;
    (StatusCode::BAD_REQUEST, body)
}

/// `kind` stands in `error` and `error_type`; `extra` beside them.
fn vault_failure(status: StatusCode, kind: &str, message: String, extra: Value) -> (StatusCode, Value) {
    let mut body = extra;
    body["error"] = kind.into();
    body["error_type"] = kind.into();
    body["message"] = message.into();
    (status, body)
}

fn vault(error: VaultError) -> (StatusCode, Value) {
    let message = error.to_string();
    let time = |at: Timestamp| millis::format(at);
    match error {
        VaultError::NotFound { .. } => Failure::NoteNotFound.parts(),
        VaultError::Conflict {
            id,
            path,
            current,
            expected,
        } => vault_failure(
            StatusCode::CONFLICT,
            "conflict",
            format!("{message}; read it again and repeat the change"),
            json!({ "note_id": id, "path": path, "current_updated_at": time(current),
                "your_updated_at": time(expected), "expected_updated_at": time(expected) }),
        ),
        VaultError::PathTaken { path } => {
            vault_failure(StatusCode::CONFLICT, "path_conflict", message, json!({ "path": path }))
        }
        VaultError::IdTaken { id } => vault_failure(StatusCode::CONFLICT, "id_conflict", message, json!({ "id": id })),
        VaultError::NoFile { path } => vault_failure(
            StatusCode::BAD_REQUEST,
            "unknown_file",
            message,
            json!({ "path": path }),
        ),
        VaultError::Empty => empty_note("item_index", 0.into()),
        VaultError::EditNotFound => vault_failure(
            StatusCode::UNPROCESSABLE_ENTITY,
            "unprocessable_content",
            message,
            json!({}),
        ),
        VaultError::EditAmbiguous { count } => {
            vault_failure(StatusCode::CONFLICT, "ambiguous", message, json!({ "count": count }))
        }
        VaultError::NoTag { tag } => vault_failure(StatusCode::NOT_FOUND, "not_found", message, json!({ "tag": tag })),
        VaultError::TagTaken { tag } => {
            vault_failure(StatusCode::CONFLICT, "target_exists", message, json!({ "target": tag }))
        }
        VaultError::Invalid(_) => Failure::Invalid { field: None, message }.parts(),
        VaultError::FieldNotIndexed { field } => Failure::query("FIELD_NOT_INDEXED", Some(&field), message).parts(),
        VaultError::Forbidden(_) => vault_failure(StatusCode::FORBIDDEN, "forbidden", message, json!({})),
        VaultError::OutsideScope { tags } => {
            let mut body = json!({ "scoped_tags": tags });
            body["error"] = "Forbidden".into();
            body["error_type"] = "tag_scope_violation".into();
            body["message"] = message.into();
            (StatusCode::FORBIDDEN, body)
        }
        VaultError::Unsupported { .. } => vault_failure(
            StatusCode::NOT_IMPLEMENTED,
            "unsupported",
            format!("{message}; nothing was done"),
            json!({}),
        ),
        VaultError::Damaged { note, .. } => vault_failure(
            StatusCode::INTERNAL_SERVER_ERROR,
            "damaged_note",
            message,
            json!({ "note_id": note }),
        ),
        VaultError::Unavailable { .. } => {
            tracing::warn!(error = message, "a request to a vault failed");
            vault_failure(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message, json!({}))
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, body) = self.parts();
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}
