//! Vaults that are added and removed while the daemon runs.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::error::{ApiError, Body, Refused, Segment};
use super::wire::VaultKind;
use crate::vaults::{ChangeError, NewVault, Seen};

/// A vault that agents can live in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentVault)]
pub(super) struct View {
    vault: String,
    /// Of its server.
    url: String,
    /// There is something that lets us in.
    #[serde(rename = "tokenPresent")]
    token_present: bool,
    kind: VaultKind,
    /// Who added it: `api` or `configuration`.
    from: &'static str,
}

fn view(api: &Api, vault: &Seen) -> View {
    View {
        vault: vault.name.clone(),
        url: vault.url.as_deref().unwrap_or(&api.url).to_owned(),
        token_present: vault.has_token,
        kind: vault.kind.into(),
        from: if vault.added { "api" } else { "configuration" },
    }
}

/// The vaults that agents can live in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentVaultList {
    vaults: Vec<View>,
}

/// The vaults that agents can live in, without what lets us in.
#[utoipa::path(
    get, path = "/api/agent-vaults", operation_id = "listAgentVaults", tag = "vaults",
    responses((status = 200, description = "The vaults.", body = AgentVaultList)),
)]
pub(super) async fn list(State(api): State<Api>) -> Json<AgentVaultList> {
    let vaults = api.roster.list().await;
    let vaults = vaults.iter().map(|vault| view(&api, vault)).collect();
    Json(AgentVaultList { vaults })
}

/// A vault that was added.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentVaultAdded {
    ok: bool,
    vault: View,
}

/// Adds a vault while the daemon runs.
#[utoipa::path(
    post, path = "/api/agent-vaults", operation_id = "addAgentVault", tag = "vaults", request_body = NewVault,
    responses(
        (status = 201, description = "The vault is open.", body = AgentVaultAdded),
        (status = 409, description = "It was removed and its last turns run: `vault_leaving`."),
        (status = "default", description = "The hub minted no token; the status is the hub's, else 502: `mint_refused`.", body = Refused),
    ),
)]
pub(super) async fn add(
    State(api): State<Api>,
    Body(new): Body<NewVault>,
) -> Result<(StatusCode, Json<AgentVaultAdded>), ApiError> {
    let vault = api.roster.add(new).await?;
    let vault = view(&api, &vault);
    Ok((StatusCode::CREATED, Json(AgentVaultAdded { ok: true, vault })))
}

/// What became of a vault that was to be removed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentVaultRemoved {
    ok: bool,
    vault: String,
    /// False: there was no such vault.
    removed: bool,
    /// Turns that still run in it.
    running: usize,
}

/// Removes a vault that was added. Turns that run there end by themselves.
#[utoipa::path(
    delete, path = "/api/agent-vaults/{name}", operation_id = "removeAgentVault", tag = "vaults",
    params(("name" = String, Path, description = "The vault.")),
    responses(
        (status = 200, description = "There is no such vault any more.", body = AgentVaultRemoved),
        (status = 409, description = "It stands in the configuration, or its last turns run: `configured_vault`, `vault_leaving`."),
    ),
)]
pub(super) async fn remove(
    State(api): State<Api>,
    Segment(name): Segment,
) -> Result<Json<AgentVaultRemoved>, ApiError> {
    let removal = api.roster.remove(&name).await?;
    Ok(Json(AgentVaultRemoved {
        ok: true,
        vault: name,
        removed: removal.removed,
        running: removal.running,
    }))
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
            ChangeError::Foreign(_) => (
                StatusCode::BAD_REQUEST,
                "token_needed",
                "Nothing was added. Hand a token of that vault in as `token`.",
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
