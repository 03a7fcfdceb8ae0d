//! Vaults that are added and removed while the daemon runs.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde_json::{Value, json};

use super::Api;
use super::error::{ApiError, Body, Segment};
use crate::vaults::{ChangeError, NewVault, Seen};

fn view(api: &Api, vault: &Seen) -> Value {
    json!({
        "vault": vault.name,
        "url": vault.url.as_deref().unwrap_or(&api.url),
        "tokenPresent": vault.has_token,
        "kind": vault.kind,
        "from": if vault.added { "api" } else { "configuration" },
    })
}

/// `GET /api/agent-vaults`: without what lets us in.
pub(super) async fn list(State(api): State<Api>) -> Json<Value> {
    let vaults = api.roster.list().await;
    let vaults: Vec<Value> = vaults.iter().map(|vault| view(&api, vault)).collect();
    Json(json!({ "vaults": vaults }))
}

/// `POST /api/agent-vaults`
pub(super) async fn add(
    State(api): State<Api>,
    Body(new): Body<NewVault>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let vault = api.roster.add(new).await?;
    Ok((
        StatusCode::CREATED,
        Json(json!({ "ok": true, "vault": view(&api, &vault) })),
    ))
}

/// `DELETE /api/agent-vaults/{name}`: turns that run there end by themselves.
pub(super) async fn remove(State(api): State<Api>, Segment(name): Segment) -> Result<Json<Value>, ApiError> {
    let removal = api.roster.remove(&name).await?;
    let (removed, running) = (removal.removed, removal.running);
    Ok(Json(
        json!({ "ok": true, "vault": name, "removed": removed, "running": running }),
    ))
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        const NOTHING: &str = "Nothing was changed.";
        let message = format!("{error}.");
        let (status, code, next) = match error {
            ChangeError::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid_vault", "Correct it, then try again."),
            ChangeError::There(_) => (
                StatusCode::BAD_REQUEST,
                "vault_exists",
                "To change an added vault, remove it and add it again: what is in line waits.",
            ),
            ChangeError::Leaving(_) => (
                StatusCode::CONFLICT,
                "vault_leaving",
                "Try again when its turns have ended, or stop them.",
            ),
            ChangeError::NoHub(_) => (
                StatusCode::BAD_REQUEST,
                "no_hub",
                "Hand a token of that vault in, or set `[hub] token_file` in the configuration.",
            ),
            ChangeError::Mint(_, refusal) => (
                mint_status(refusal.status),
                "mint_refused",
                "See what the hub says, or hand a token of that vault in.",
            ),
            ChangeError::Vault(error) => return Self::from(error).then(NOTHING),
            ChangeError::NotKept { .. } => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "not_kept",
                "Everything is as before. Mend the state directory; `reveille doctor` looks at it.",
            ),
            ChangeError::Configured { .. } => (
                StatusCode::CONFLICT,
                "configured_vault",
                "Take it out there, then start the daemon again.",
            ),
            ChangeError::Last(_) => (
                StatusCode::BAD_REQUEST,
                "last_vault",
                "A daemon has at least one: add another one first.",
            ),
            ChangeError::Broken(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "See the log; the next start does what was written down.",
            ),
        };
        Self::new(status, code, message).then(next)
    }
}

/// The hub's own, where it says that something is wrong.
fn mint_status(status: u16) -> StatusCode {
    match StatusCode::from_u16(status) {
        Ok(status) if status.is_client_error() || status.is_server_error() => status,
        _ => StatusCode::BAD_GATEWAY,
    }
}
