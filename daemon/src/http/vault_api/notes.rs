//! The routes of notes.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use reveille_vault::{ContentChange, Key, NewNote, Note, Patch, Precondition, Vault, VaultError};
use serde_json::{Value, json};

use super::answer::{self, Failure, Form};
use super::body::{Change, Create};
use super::listing::Parameters;
use super::{Target, graph, schema};

/// Cursor of the next page; absent on the last one.
const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");

/// How often a note is looked for again that another request creates or removes at the same time.
const TRIES: u32 = 3;

/// Lists notes, or shows one by its id.
#[utoipa::path(
    get, path = "/vault/{name}/api/notes", operation_id = "listNotes", tag = "notes",
    params(("name" = String, Path, description = "The vault."), schema::NotesParams, schema::FormParams),
    responses(
        (status = 200, description = "The notes.", body = schema::Notes, headers(("X-Next-Cursor" = String, description = "For `cursor`; absent on the last page."))),
        (status = 404, description = "There is no such vault or note: `vault_not_found`, `not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn list(Target { vault, .. }: Target, uri: Uri) -> Result<Response, Failure> {
    let parameters = Parameters::of(&uri)?;
    if let Some(id) = parameters.first("id") {
        let form = parameters.form(true)?;
        let note = vault.get(&Key::IdOrPath(id.to_owned())).await?;
        let note = note.ok_or_else(|| Failure::IdNotFound { id: id.to_owned() })?;
        return Ok(answer::ok(&form.fill(&*vault, note).await?));
    }
    let form = parameters.form(false)?;
    let page = match vault.query(&parameters.query()?).await {
        Err(VaultError::NotFound { key }) => return Err(Failure::AnchorNotFound { id: key }),
        Err(VaultError::Invalid(message)) => return Err(Failure::query("INVALID_QUERY", None, message)),
        page => page?,
    };
    let body = if graph::is_asked(&parameters)? {
        graph::graph(&*vault, &page.notes, form.links).await?
    } else {
        let mut notes: Vec<Value> = Vec::with_capacity(page.notes.len());
        for note in page.notes {
            notes.push(form.fill(&*vault, note).await?);
        }
        notes.into()
    };
    let mut response = answer::ok(&body);
    if let Some(next) = page.next {
        let next = HeaderValue::try_from(next).map_err(|error| VaultError::Unavailable {
            vault: vault.name().to_owned(),
            reason: format!("its cursor fits no header ({error})"),
        })?;
        response.headers_mut().insert(NEXT_CURSOR, next);
    }
    Ok(response)
}

/// Makes a note, or several that are written as a whole or not at all.
#[utoipa::path(
    post, path = "/vault/{name}/api/notes", operation_id = "createNotes", tag = "notes",
    params(("name" = String, Path, description = "The vault.")),
    request_body = schema::NewNotesBody,
    responses(
        (status = 201, description = "What was written.", body = schema::WrittenNotes),
        (status = 404, description = "There is no such vault: `vault_not_found`."),
        (status = 409, description = "The note has changed, or its path or identity is taken, or the text to be replaced is not unique: `conflict`, `path_conflict`, `id_conflict`, `ambiguous`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn create(
    Target { vault, .. }: Target,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let written = match Create::parse(body)? {
        Create::One(note) => Form::FULL.render(vault.create(note).await?),
        Create::Batch(notes) => {
            let notes = vault.create_all(notes).await?;
            notes.into_iter().map(|note| Form::FULL.render(note)).collect()
        }
    };
    Ok((StatusCode::CREATED, Json(written)).into_response())
}

/// `GET /api/notes/{idOrPath}`.
pub(super) async fn show(Target { vault, key, .. }: Target, uri: Uri) -> Result<Response, Failure> {
    let form = Parameters::of(&uri)?.form(true)?;
    let note = vault.get(&Key::IdOrPath(key)).await?.ok_or(Failure::NoteNotFound)?;
    Ok(answer::ok(&form.fill(&*vault, note).await?))
}

/// `DELETE /api/notes/{idOrPath}`.
pub(super) async fn delete(Target { vault, key, .. }: Target) -> Result<Response, Failure> {
    let id = vault.delete(&Key::IdOrPath(key)).await?;
    Ok(answer::ok(&json!({ "deleted": true, "id": id })))
}

/// Changes a note, or makes it where it is missing.
#[utoipa::path(
    patch, path = "/vault/{name}/api/notes/{key}", operation_id = "patchNote", tag = "notes",
    params(("name" = String, Path, description = "The vault."), ("key" = String, Path, description = "Id or path of the note; a path as one encoded segment.")),
    request_body = schema::NotePatch,
    responses(
        (status = 200, description = "The note as it is now.", body = schema::Note),
        (status = 201, description = "The note that was missing.", body = schema::Note),
        (status = 404, description = "There is no such vault or note: `vault_not_found`, `not_found`."),
        (status = 409, description = "The note has changed, or its path or identity is taken, or the text to be replaced is not unique: `conflict`, `path_conflict`, `id_conflict`, `ambiguous`."),
        (status = 422, description = "The text to be replaced is not there: `unprocessable_content`."),
        (status = 428, description = "It says neither `if_updated_at` nor `force`: `precondition_required`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn patch(
    Target { vault, key, .. }: Target,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let (note, status) = apply(&*vault, key, Change::parse(body)?).await?;
    Ok((status, Json(Form::FULL.render(note))).into_response())
}

/// Changes the note under `key`, or creates it there when the change says so.
pub(super) async fn apply(vault: &dyn Vault, key: String, change: Change) -> Result<(Note, StatusCode), Failure> {
    let Change {
        patch,
        precondition,
        create_with_tags,
    } = change;
    match create_with_tags {
        None => {
            let note = self::change(vault, &Key::IdOrPath(key), patch, precondition).await?;
            Ok((note, StatusCode::OK))
        }
        Some(tags) => change_or_create(vault, key, patch, precondition, tags).await,
    }
}

async fn change(
    vault: &dyn Vault,
    key: &Key,
    patch: Patch,
    precondition: Option<Precondition>,
) -> Result<Note, Failure> {
    let Some(precondition) = precondition else {
        // An absent note is told before a missing precondition.
        let note = vault.get(key).await?.ok_or(Failure::NoteNotFound)?;
        return Err(Failure::PreconditionRequired {
            id: note.id,
            path: note.path,
        });
    };
    match vault.patch(key, patch, precondition).await {
        Err(VaultError::NotFound { .. }) => Err(Failure::NoteNotFound),
        Err(VaultError::Empty) => {
            let id = vault
                .get(key)
                .await?
                .map_or_else(|| key.to_string(), |note| note.id.to_string());
            Err(Failure::EmptiedNote { id })
        }
        outcome => Ok(outcome?),
    }
}

/// `if_missing: "create"`. Each step is atomic; when another request creates the note in between, the patch
/// is applied to that note, under its precondition.
async fn change_or_create(
    vault: &dyn Vault,
    key: String,
    patch: Patch,
    precondition: Option<Precondition>,
    tags: Vec<String>,
) -> Result<(Note, StatusCode), Failure> {
    let path = patch
        .path
        .clone()
        .flatten()
        .filter(|path| !path.trim().is_empty())
        .unwrap_or_else(|| key.clone());
    let mut key = Key::IdOrPath(key);
    let mut tries = 1;
    loop {
        match change(vault, &key, patch.clone(), precondition).await {
            Err(Failure::NoteNotFound) => {}
            outcome => return outcome.map(|note| (note, StatusCode::OK)),
        }
        match vault.create(new_note(&path, &patch, &tags)?).await {
            Err(VaultError::PathTaken { path }) if tries < TRIES => key = Key::Path(path),
            outcome => return Ok((outcome?, StatusCode::CREATED)),
        }
        tries += 1;
    }
}

/// The note that a patch makes of a missing one.
fn new_note(path: &str, patch: &Patch, tags: &[String]) -> Result<NewNote, Failure> {
    let content = match &patch.content {
        ContentChange::Keep => String::new(),
        ContentChange::Replace(text) => text.clone(),
        ContentChange::Extend { prepend, append } => format!("{prepend}{append}"),
        ContentChange::Edit { .. } => return Err(VaultError::EditNotFound.into()),
    };
    Ok(NewNote {
        id: None,
        path: Some(path.to_owned()),
        content,
        tags: tags.to_vec(),
        metadata: patch.metadata.clone(),
        created_at: patch.created_at,
        attachments: Vec::new(),
        links: patch.add_links.clone(),
    })
}
