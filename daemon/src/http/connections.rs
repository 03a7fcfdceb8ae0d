//! Connections: what agents and roles want, and what became of it. For the operator alone; no answer holds a secret.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use reveille_vault::agent::Want;
use reveille_vault::note::normalise_path;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::error::{ApiError, Body};
use crate::grants::{Approval, Known, LocalError, role};

/// `GET /api/connections`
pub(super) async fn list(State(api): State<Api>) -> Json<Value> {
    let mut connections = Vec::new();
    for (holder, is_agent, known) in api.grants.all() {
        connections.extend(known.iter().map(|known| view(&holder, is_agent, known)));
    }
    Json(json!({ "connections": connections, "backend": api.grants.backend().kind() }))
}

fn view(holder: &str, is_agent: bool, known: &Known) -> Value {
    let want = &known.want;
    let mut view = json!({
        "holder": holder,
        "key": want.key(),
        "kind": want.kind(),
        "target": want.target(),
        "status": known.status.as_str(),
    });
    if is_agent {
        view["agent"] = holder.into();
    }
    match want {
        Want::Vault { access, tags, .. } => {
            view["access"] = access.as_str().into();
            if !tags.is_empty() {
                view["tags"] = json!(tags);
            }
        }
        Want::Surface { access, .. } => view["access"] = access.as_str().into(),
        Want::Service { inject, .. } => {
            let words = inject.iter().map(|inject| inject.as_str());
            view["inject"] = words.collect::<Vec<_>>().into();
        }
        Want::Mcp { .. } => {}
    }
    if let Some(name) = want.env_name() {
        view["env"] = name.into();
    }
    if let Some(id) = &known.grant_id {
        view["grantId"] = id.as_str().into();
    }
    if let Some(reason) = &known.reason {
        view["reason"] = reason.as_str().into();
    }
    view
}

/// Who wants what: `holder` as a list shows it, or the path of a role, with its vault where that is not the first one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    holder: Option<String>,
    role: Option<String>,
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
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Approve {
    holder: Option<String>,
    role: Option<String>,
    vault: Option<String>,
    key: String,
    token: Option<String>,
    url: Option<String>,
}

/// `POST /api/connections/approve`
pub(super) async fn approve(State(api): State<Api>, Body(approve): Body<Approve>) -> Result<Json<Value>, ApiError> {
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
    let decided = api.grants.approve(&holder, &key, given).await;
    let known = decided
        .ok_or_else(|| kept_elsewhere(&api))?
        .map_err(|error| not_decided(&error))?;
    tracing::info!(holder, key, "a connection was approved");
    Ok(decision(&api, &holder, &known))
}

/// `POST /api/connections/revoke`
pub(super) async fn revoke(State(api): State<Api>, Body(whose): Body<Whose>) -> Result<Json<Value>, ApiError> {
    let (holder, key) = (whose.holder(&api)?, whose.key);
    let decided = api.grants.revoke(&holder, &key).await;
    let known = decided
        .ok_or_else(|| kept_elsewhere(&api))?
        .map_err(|error| not_decided(&error))?;
    tracing::info!(holder, key, "a connection was revoked");
    Ok(decision(&api, &holder, &known))
}

fn decision(api: &Api, holder: &str, known: &Known) -> Json<Value> {
    Json(json!({ "connection": view(holder, api.grants.is_agent(holder), known) }))
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
