//! The notes API of a vault, as Parachute's vault has it: `/vault/{name}` and `/vault/{name}/api/...`.
//!
//! Keys are camelCase and errors carry `error`, `error_type` and `message`, because that is the contract of this API. Bad
//! input answers 4xx and names the field; what is not supported yet is refused instead of being ignored.
//! Authentication and the limit of body sizes are layers around this router; the first leaves the caller in the request.

mod about;
mod answer;
mod body;
mod expand;
mod files;
mod filters;
mod graph;
mod listing;
pub(super) mod mcp;
mod notes;
mod schema;
mod tags;
#[cfg(test)]
mod tests;
mod tokens;
mod triggers;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use reveille_vault::{Vault, VaultError};
use serde_json::json;

use self::answer::Failure;
pub(super) use self::schema::NotesApi;
use super::Caller;
use crate::config::FileLimits;
use crate::delegation::MarkingVault;
use crate::tokens::Tokens;
use crate::vaults::ByName;

/// The vaults by name.
pub(crate) type Vaults = ByName;

/// All routes below `/vault/`. It sets no fallback, so that it can be merged into any router.
pub(crate) fn router(vaults: Vaults, tokens: &Tokens, limits: FileLimits) -> Router {
    // The vault's own limit holds while the file arrives: which vault it is, is not known here.
    let most = DefaultBodyLimit::max(limits.largest().saturating_add(files::FORM_BYTES));
    let uploads = limits.clone();
    let upload = move |target: Target, head, form| {
        let limit = uploads.of(target.vault.name());
        files::upload(target, head, form, limit)
    };
    let about = move |target: Target| {
        let limit = limits.of(target.vault.name());
        about::about(target, limit)
    };
    Router::new()
        .route("/vault/{name}", get(about))
        .route("/vault/{name}/api/health", get(health))
        .route("/vault/{name}/api/notes", get(notes::list).post(notes::create))
        // A path of a note is one encoded segment by contract; raw slashes are understood as well.
        .route(
            "/vault/{name}/api/notes/{*key}",
            get(files::list_or_show)
                .post(files::attach)
                .patch(notes::patch)
                .delete(files::detach_or_delete),
        )
        .route("/vault/{name}/api/storage/upload", post(upload).layer(most))
        // As above: the path of a file has a slash, encoded or not.
        .route("/vault/{name}/api/storage/{*key}", get(files::download))
        .route("/vault/{name}/api/vault", get(about::show).patch(about::change))
        .route("/vault/{name}/api/find-path", get(graph::find_path))
        .route("/vault/{name}/api/unresolved-wikilinks", get(graph::unresolved))
        .merge(trigger_routes())
        .route("/vault/{name}/{*rest}", any(unknown_route))
        .merge(tags::routes(tokens))
        .merge(tokens::routes(tokens))
        .method_not_allowed_fallback(async || Failure::MethodNotAllowed)
        .with_state(vaults)
}

fn trigger_routes() -> Router<Vaults> {
    Router::new()
        .route("/vault/{name}/api/triggers", get(triggers::list).post(triggers::put))
        .route(
            "/vault/{name}/api/triggers/{key}",
            get(triggers::show).patch(triggers::enable).delete(triggers::remove),
        )
        .route("/vault/{name}/api/triggers/{key}/deliveries", get(triggers::deliveries))
        .route("/vault/{name}/api/triggers/{key}/redrive", post(triggers::redrive))
}

/// Says that a vault can be read.
#[utoipa::path(
    get, path = "/vault/{name}/api/health", operation_id = "getVaultHealth", tag = "notes",
    params(("name" = String, Path, description = "The vault.")),
    responses(
        (status = 200, description = "It can.", body = schema::VaultIsWell),
        (status = 404, description = "There is no such vault: `vault_not_found`."),
    ),
)]
pub(super) async fn health(Target { vault, .. }: Target) -> Result<Response, Failure> {
    vault.changes(u64::MAX, 1).await?;
    Ok(answer::ok(&json!({ "status": "ok", "vault": vault.name() })))
}

/// What a body beyond the limit is answered.
pub(super) fn too_large() -> Response {
    Failure::TooLarge.into_response()
}

async fn unknown_route(_: Target) -> Failure {
    Failure::UnknownRoute
}

/// What the path of the request names.
pub(in crate::http) struct Target {
    vault: Arc<dyn Vault>,
    /// Id or path of a note, or the path of a file; decoded.
    key: String,
    part: Part,
}

/// Whether the path of the request goes on behind a note. Only slashes that are raw in the URL divide: an encoded one
/// belongs to a note's path.
enum Part {
    Note,
    /// `{note}/attachments`
    Attachments {
        note: String,
    },
    /// `{note}/attachments/{id}`
    Attachment {
        note: String,
        id: String,
    },
}

impl Part {
    fn of(path: &str, key: &str) -> Self {
        let mut raw = path.rsplit('/');
        let part = match (raw.next(), raw.next()) {
            (Some("attachments"), _) => key
                .strip_suffix("/attachments")
                .map(|note| Self::Attachments { note: note.to_owned() }),
            (_, Some("attachments")) => key.rsplit_once("/attachments/").map(|(note, id)| Self::Attachment {
                note: note.to_owned(),
                id: id.to_owned(),
            }),
            _ => None,
        };
        part.unwrap_or(Self::Note)
    }
}

/// A vault as a caller has it.
///
/// # Errors
/// [`VaultError::Forbidden`] when it is not for that caller.
fn open(vault: Arc<dyn Vault>, caller: &Caller) -> Result<Arc<dyn Vault>, VaultError> {
    Ok(match caller {
        Caller::Operator => vault,
        Caller::Turn(origin) => Arc::new(MarkingVault::new(vault, Arc::clone(origin))),
        Caller::Token(grant) => grant.open(vault)?,
    })
}

impl FromRequestParts<Vaults> for Target {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, vaults: &Vaults) -> Result<Self, Failure> {
        let params = RawPathParams::from_request_parts(parts, vaults).await;
        let params = params.map_err(|error| Failure::invalid("path", format!("the URL is not UTF-8 ({error})")))?;
        let param = |wanted: &str| {
            params
                .iter()
                .find(|(name, _)| *name == wanted)
                .map(|(_, value)| value.to_owned())
        };
        let name = param("name").unwrap_or_default();
        let Some(vault) = vaults.get(&name) else {
            return Err(Failure::UnknownVault { name });
        };
        let vault = match parts.extensions.get::<Caller>() {
            Some(caller) => open(vault, caller)?,
            // To let a request in without knowing whose it is would be a mistake of ours.
            None => return Err(VaultError::Forbidden("it is not known who asks".into()).into()),
        };
        let key = param("key").unwrap_or_default();
        let part = Part::of(parts.uri.path(), &key);
        Ok(Self { vault, key, part })
    }
}
