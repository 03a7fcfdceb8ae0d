//! Connections: what agents and roles want, and what became of it. For the operator alone; no answer holds a secret.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use reveille_vault::agent::Want;
use reveille_vault::note::normalise_path;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::agent_trust;
use super::error::{ApiError, Body};
use super::step_up::Sure;
use crate::grants::{Approval, Known, LocalError, role};

/// What an agent or a role wants, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HeldConnection)]
pub(super) struct View {
    /// The agent, or the role as `role:PATH`.
    holder: String,
    /// The same, when it is an agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    /// What tells it from the holder's other ones.
    key: String,
    /// `vault`, `service`, `surface` or `mcp`.
    kind: &'static str,
    /// The vault, service, surface or address.
    target: String,
    /// `approved`, or why not: `pending`, `revoked`, `needs_consent`, `error`.
    status: &'static str,
    /// Of a vault or a surface.
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<&'static str>,
    /// Of a vault: only notes with these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    tags: Vec<String>,
    /// Of a service: how its secret is handed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    inject: Option<Vec<&'static str>>,
    /// The variable that holds its secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<String>,
    /// Where the grant is kept, when somebody else keeps it.
    #[serde(rename = "grantId", skip_serializing_if = "Option::is_none")]
    grant_id: Option<String>,
    /// More on the status, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// What is wanted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectionList {
    connections: Vec<View>,
    /// Who decides: `local` or `hub`.
    backend: &'static str,
}

/// What agents and roles want, and what became of it. No answer holds a secret.
#[utoipa::path(
    get, path = "/api/connections", operation_id = "listConnections", tag = "connections",
    responses((status = 200, description = "The connections.", body = ConnectionList)),
)]
pub(super) async fn list(State(api): State<Api>) -> Json<ConnectionList> {
    let mut connections = Vec::new();
    for (holder, is_agent, known) in api.grants.all() {
        connections.extend(known.iter().map(|known| view(&holder, is_agent, known)));
    }
    Json(ConnectionList {
        connections,
        backend: api.grants.backend().kind(),
    })
}

fn view(holder: &str, is_agent: bool, known: &Known) -> View {
    let want = &known.want;
    let (access, tags, inject) = match want {
        Want::Vault { access, tags, .. } => (Some(access.as_str()), tags.clone(), None),
        Want::Surface { access, .. } => (Some(access.as_str()), Vec::new(), None),
        Want::Service { inject, .. } => {
            let words = inject.iter().map(|inject| inject.as_str());
            (None, Vec::new(), Some(words.collect()))
        }
        Want::Mcp { .. } => (None, Vec::new(), None),
    };
    View {
        holder: holder.to_owned(),
        agent: is_agent.then(|| holder.to_owned()),
        key: want.key(),
        kind: want.kind(),
        target: want.target().to_owned(),
        status: known.status.as_str(),
        access,
        tags,
        inject,
        env: want.env_name(),
        grant_id: known.grant_id.clone(),
        reason: known.reason.clone(),
    }
}

/// Who wants what: `holder` as a list shows it, or the path of a role, with its vault where that is not the first one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RevokeRequest)]
pub(super) struct Whose {
    /// As a list shows it.
    holder: Option<String>,
    /// Instead of the holder: the path of a role.
    role: Option<String>,
    /// The vault of the role; the first one when nothing is said.
    vault: Option<String>,
    key: String,
}

impl Whose {
    fn holder(&self, api: &Api) -> Result<String, ApiError> {
        match (&self.holder, self.role.as_deref().and_then(normalise_path)) {
            (Some(holder), None) => Ok(holder.clone()),
            (None, Some(path)) => {
                let first = api.grants.first_vault();
                let vault = self.vault.as_deref().unwrap_or(&first);
                Ok(role::holder(&path, vault, &first))
            }
            _ => {
                let message = "Give the holder of the connection, or the path of a role, and not both.";
                Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_body", message).then("Nothing was changed."))
            }
        }
    }
}

/// What is to be approved. Its token is shown nowhere.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApproveRequest)]
pub(super) struct Approve {
    /// As a list shows it.
    holder: Option<String>,
    /// Instead of the holder: the path of a role.
    role: Option<String>,
    /// The vault of the role; the first one when nothing is said.
    vault: Option<String>,
    key: String,
    /// The secret, where one is needed.
    token: Option<String>,
    /// The address, where one is needed.
    url: Option<String>,
}

/// What was decided.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConnectionDecision)]
pub(super) struct Decision {
    connection: View,
}

/// Approves a connection.
#[utoipa::path(
    post, path = "/api/connections/approve", operation_id = "approveConnection", tag = "connections",
    request_body = Approve,
    responses(
        (status = 200, description = "It may be used from now on.", body = Decision),
        (status = 404, description = "Nobody wants that: `unknown_connection`."),
        (status = 409, description = "It is decided elsewhere: `decided_elsewhere`."),
    ),
)]
pub(super) async fn approve(
    State(api): State<Api>,
    _: Sure,
    Body(approve): Body<Approve>,
) -> Result<Json<Decision>, ApiError> {
    let whose = Whose {
        holder: approve.holder,
        role: approve.role,
        vault: approve.vault,
        key: approve.key,
    };
    let (holder, key) = (whose.holder(&api)?, whose.key);
    let given = Approval {
        token: approve.token,
        url: approve.url,
    };
    // At a hub it is decided there, and told so below.
    if api.grants.backend().kind() == "local" {
        agent_trust::may_give(&api, &holder)?;
    }
    let decided = api.grants.approve(&holder, &key, given).await;
    let known = decided
        .ok_or_else(|| kept_elsewhere(&api))?
        .map_err(|error| not_decided(&error))?;
    tracing::info!(holder, key, "a connection was approved");
    let trusted = agent_trust::given(&api, &holder);
    changed(&api, &holder).await;
    trusted?;
    Ok(decision(&api, &holder, &known))
}

/// Takes an approval back.
#[utoipa::path(
    post, path = "/api/connections/revoke", operation_id = "revokeConnection", tag = "connections",
    request_body = Whose,
    responses(
        (status = 200, description = "It may not be used any more.", body = Decision),
        (status = 404, description = "Nobody wants that: `unknown_connection`."),
        (status = 409, description = "It is decided elsewhere: `decided_elsewhere`."),
    ),
)]
pub(super) async fn revoke(State(api): State<Api>, Body(whose): Body<Whose>) -> Result<Json<Decision>, ApiError> {
    let (holder, key) = (whose.holder(&api)?, whose.key);
    let decided = api.grants.revoke(&holder, &key).await;
    let known = decided
        .ok_or_else(|| kept_elsewhere(&api))?
        .map_err(|error| not_decided(&error))?;
    tracing::info!(holder, key, "a connection was revoked");
    changed(&api, &holder).await;
    Ok(decision(&api, &holder, &known))
}

/// No process waits any more that has what was decided before. A role may be that of any agent. To be called last: whoever asked
/// may go away meanwhile.
async fn changed(api: &Api, holder: &str) {
    let agent = api.grants.is_agent(holder).then_some(holder);
    api.workers.context().warm.changed(agent).await;
}

fn decision(api: &Api, holder: &str, known: &Known) -> Json<Decision> {
    let connection = view(holder, api.grants.is_agent(holder), known);
    Json(Decision { connection })
}

fn kept_elsewhere(api: &Api) -> ApiError {
    let backend = api.grants.backend();
    let (kind, place) = (backend.kind(), backend.place().unwrap_or_default());
    let message = format!("Connections are approved and revoked at the {kind} {place}, not here; nothing was changed.");
    ApiError::new(StatusCode::CONFLICT, "decided_elsewhere", message)
        .then("Open the grants of the hub in a browser. To decide here, set [grants] backend = \"local\".")
}

fn not_decided(error: &LocalError) -> ApiError {
    match error {
        LocalError::Unknown { keys, .. } => {
            let message = match keys.is_empty() {
                true => error.to_string(),
                false => format!("{error}; it wants: {}", keys.join(", ")),
            };
            ApiError::new(StatusCode::NOT_FOUND, "unknown_connection", message).then(
                "Nothing was changed. `reveille agent connections` lists what is wanted; a note asks with `wants`.",
            )
        }
        LocalError::Wrong(_) => ApiError::new(StatusCode::BAD_REQUEST, "invalid_approval", error.to_string())
            .then("Nothing was changed. Give what is missing and approve it again."),
        LocalError::Store(_) => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "grants_unavailable", error.to_string())
            .then("See `reveille doctor`, then try again."),
    }
}
