//! `/api/credentials`: the credential of Claude Code and the secrets of turns, for all agents or for one. They are written and
//! removed; nothing reads them back. A body that will not do is refused without a word of what was in it.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::agent_trust;
use super::error::{ApiError, Body, OptionalBody, Segment};
use super::step_up::Sure;
use crate::credentials::{CredentialsError, Layer};

/// What a body that cannot be read should have been.
const TOKEN: &str = r#"The body must be {"token": "…"}, with a text that is not empty."#;
const SECRET: &str =
    r#"The body must be {"name": "…", "value": "…"} of texts, with a text "channel" for one agent alone."#;
const REMOVAL: &str =
    r#"Say {"name": "…"} with a text "channel" for one agent alone, in the body or in the query, not in both."#;

/// Whether there is a credential, and which agents have their own.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClaudeCredentials {
    /// For agents that have none of their own.
    default_set: bool,
    /// Agents with their own.
    channels: Vec<String>,
}

/// A credential of Claude Code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaudeToken {
    /// A token of `claude setup-token`, or an API key.
    token: String,
}

/// What was changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CredentialChanged {
    ok: bool,
    /// `default`: for all agents; `channel`: for one.
    scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    /// Of a variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Of a removal: whether there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<bool>,
    /// What a person should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl CredentialChanged {
    fn of(channel: Option<String>, name: Option<String>, removed: Option<bool>) -> Self {
        let layer = channel.as_ref().map_or(Layer::Default, |_| Layer::Channel);
        Self {
            ok: true,
            scope: layer.as_str(),
            channel,
            name,
            removed,
            note: None,
        }
    }

    /// One that was set.
    fn set(api: &Api, channel: Option<String>, name: Option<String>) -> Self {
        let unknown = channel.as_ref().filter(|channel| api.registry.get(channel).is_none());
        let note = unknown.map(|channel| format!("There is no agent {channel} yet; it counts when there is."));
        Self {
            note,
            ..Self::of(channel, name, None)
        }
    }
}

/// The variables that are stored, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EnvNames {
    /// For all agents.
    default: Vec<String>,
    /// For one agent, by its name.
    channels: BTreeMap<String, Vec<String>>,
}

/// A variable of turns.
#[derive(Deserialize, ToSchema)]
#[schema(as = EnvSecret)]
#[serde(deny_unknown_fields)]
pub(super) struct Secret {
    /// The agent; all of them without it.
    channel: Option<String>,
    /// Letters, digits and `_`.
    #[schema(pattern = "^[A-Za-z_][A-Za-z0-9_]*$")]
    name: String,
    value: String,
}

/// Which variable.
#[derive(Deserialize, ToSchema, IntoParams)]
#[schema(as = EnvRemoval)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Removal {
    /// The agent; the layer of all without it.
    channel: Option<String>,
    /// The variable.
    name: Option<String>,
}

/// Reads a body. What is wrong with it is not said, as that would show a part of it.
fn read<T: DeserializeOwned>(body: Value, form: &'static str) -> Result<T, ApiError> {
    serde_json::from_value(body).map_err(|_| wrong(form))
}

fn wrong(message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_body", message).then("Nothing was stored or removed.")
}

/// Blank is the layer of all.
fn layer(channel: Option<String>) -> Option<String> {
    channel.filter(|channel| !channel.trim().is_empty())
}

fn failed(error: &CredentialsError) -> ApiError {
    let of = |status, code| ApiError::new(status, code, error.to_string());
    match error {
        CredentialsError::Wrong(_) => wrong(error.to_string()),
        CredentialsError::Damaged { .. } => of(StatusCode::INTERNAL_SERVER_ERROR, "credentials_damaged")
            .then("Nothing was changed, and the file is as it was."),
        CredentialsError::Io { .. } => of(StatusCode::SERVICE_UNAVAILABLE, "credentials_unavailable")
            .then("Nothing was changed. See `reveille doctor`, then try again."),
    }
}

impl From<CredentialsError> for ApiError {
    fn from(error: CredentialsError) -> Self {
        failed(&error)
    }
}

/// Whether there is a credential of Claude Code for all agents, and which of them have their own. None is shown.
#[utoipa::path(
    get, path = "/api/credentials/claude", operation_id = "getClaudeCredentials", tag = "credentials",
    responses((status = 200, description = "Names only.", body = ClaudeCredentials)),
)]
pub(super) async fn claude(State(api): State<Api>) -> Result<Json<ClaudeCredentials>, ApiError> {
    let contents = api.credentials.read()?;
    Ok(Json(ClaudeCredentials {
        default_set: contents.claude_of(None).is_some(),
        channels: contents.claude_channels(),
    }))
}

/// Sets the credential of Claude Code for all agents that have none of their own. It counts from the next turn on.
#[utoipa::path(
    post, path = "/api/credentials/claude", operation_id = "setClaudeCredential", tag = "credentials",
    request_body = ClaudeToken,
    responses(
        (status = 200, description = "It is stored.", body = CredentialChanged),
        (status = 403, description = "It needs the PIN: `step_up_required`."),
    ),
)]
pub(super) async fn set_claude(
    State(api): State<Api>,
    _: Sure,
    Body(body): Body<Value>,
) -> Result<Json<CredentialChanged>, ApiError> {
    store_claude(&api, None, body).await
}

/// Sets the credential of Claude Code for one agent. It counts from its next turn on.
#[utoipa::path(
    post, path = "/api/credentials/claude/{channel}", operation_id = "setClaudeCredentialOfAgent", tag = "credentials",
    params(("channel" = String, Path, description = "The agent.")), request_body = ClaudeToken,
    responses(
        (status = 200, description = "It is stored.", body = CredentialChanged),
        (status = 403, description = "It needs the PIN: `step_up_required`."),
    ),
)]
pub(super) async fn set_claude_of(
    State(api): State<Api>,
    _: Sure,
    Segment(channel): Segment,
    Body(body): Body<Value>,
) -> Result<Json<CredentialChanged>, ApiError> {
    store_claude(&api, Some(channel), body).await
}

/// No process waits any more that has what was stored before. To be called last: that takes a while, and whoever asked may go away
/// meanwhile.
async fn changed(api: &Api, channel: Option<&str>) {
    api.workers.context().warm.changed(channel).await;
}

async fn store_claude(api: &Api, channel: Option<String>, body: Value) -> Result<Json<CredentialChanged>, ApiError> {
    let ClaudeToken { token } = read(body, TOKEN)?;
    channel
        .as_deref()
        .map_or(Ok(()), |name| agent_trust::may_give(api, name))?;
    api.credentials.set_claude(channel.as_deref(), &token).await?;
    tracing::info!(channel, "a credential of Claude Code was stored");
    let trusted = channel.as_deref().map_or(Ok(()), |name| agent_trust::given(api, name));
    changed(api, channel.as_deref()).await;
    trusted?;
    Ok(Json(CredentialChanged::set(api, channel, None)))
}

/// Removes the credential of Claude Code for all agents. Those that have their own keep it.
#[utoipa::path(
    delete, path = "/api/credentials/claude", operation_id = "removeClaudeCredential", tag = "credentials",
    responses(
        (status = 200, description = "There is none any more; `removed` says whether there was one.", body = CredentialChanged),
        (status = 403, description = "It needs the PIN: `step_up_required`."),
    ),
)]
pub(super) async fn remove_claude(State(api): State<Api>, _: Sure) -> Result<Json<CredentialChanged>, ApiError> {
    drop_claude(&api, None).await
}

/// Removes the credential of one agent, which has the one of all then.
#[utoipa::path(
    delete, path = "/api/credentials/claude/{channel}", operation_id = "removeClaudeCredentialOfAgent",
    tag = "credentials", params(("channel" = String, Path, description = "The agent.")),
    responses(
        (status = 200, description = "There is none any more; `removed` says whether there was one.", body = CredentialChanged),
        (status = 403, description = "It needs the PIN: `step_up_required`."),
    ),
)]
pub(super) async fn remove_claude_of(
    State(api): State<Api>,
    _: Sure,
    Segment(channel): Segment,
) -> Result<Json<CredentialChanged>, ApiError> {
    drop_claude(&api, Some(channel)).await
}

async fn drop_claude(api: &Api, channel: Option<String>) -> Result<Json<CredentialChanged>, ApiError> {
    let removed = api.credentials.remove_claude(channel.as_deref()).await?;
    tracing::info!(channel, removed, "a credential of Claude Code was removed");
    agent_trust::taken(api, channel.as_deref());
    changed(api, channel.as_deref()).await;
    Ok(Json(CredentialChanged::of(channel, None, Some(removed))))
}

/// The names of the variables that are stored for turns. No value is shown.
#[utoipa::path(
    get, path = "/api/credentials/env", operation_id = "getEnvSecrets", tag = "credentials",
    responses((status = 200, description = "Names only.", body = EnvNames)),
)]
pub(super) async fn env(State(api): State<Api>) -> Result<Json<EnvNames>, ApiError> {
    let contents = api.credentials.read()?;
    Ok(Json(EnvNames {
        default: contents.env_names(None),
        channels: contents.env_channels(),
    }))
}

/// Stores a variable for the turns of all agents, or of one. It counts from the next turn on.
#[utoipa::path(
    post, path = "/api/credentials/env", operation_id = "setEnvSecret", tag = "credentials", request_body = Secret,
    responses(
        (status = 200, description = "It is stored.", body = CredentialChanged),
        (status = 403, description = "It needs the PIN: `step_up_required`."),
    ),
)]
pub(super) async fn set_env(
    State(api): State<Api>,
    _: Sure,
    Body(body): Body<Value>,
) -> Result<Json<CredentialChanged>, ApiError> {
    let Secret { channel, name, value } = read(body, SECRET)?;
    let channel = layer(channel);
    channel
        .as_deref()
        .map_or(Ok(()), |name| agent_trust::may_give(&api, name))?;
    api.credentials.set_env(channel.as_deref(), &name, &value).await?;
    tracing::info!(channel, name, "a secret of turns was stored");
    let trusted = channel.as_deref().map_or(Ok(()), |name| agent_trust::given(&api, name));
    changed(&api, channel.as_deref()).await;
    trusted?;
    Ok(Json(CredentialChanged::set(&api, channel, Some(name))))
}

/// Removes a variable, named in the body or in the query.
#[utoipa::path(
    delete, path = "/api/credentials/env", operation_id = "removeEnvSecret", tag = "credentials",
    params(Removal), request_body(content = Option<Removal>),
    responses(
        (status = 200, description = "There is none any more; `removed` says whether there was one.", body = CredentialChanged),
        (status = 403, description = "It needs the PIN: `step_up_required`."),
    ),
)]
pub(super) async fn remove_env(
    State(api): State<Api>,
    _: Sure,
    query: Result<Query<Removal>, QueryRejection>,
    OptionalBody(body): OptionalBody<Value>,
) -> Result<Json<CredentialChanged>, ApiError> {
    let Query(asked) = query.map_err(|_| wrong(REMOVAL))?;
    let removal = match (body, asked) {
        (Value::Null, asked) => asked,
        (
            body,
            Removal {
                channel: None,
                name: None,
            },
        ) => read(body, REMOVAL)?,
        _ => return Err(wrong(REMOVAL)),
    };
    let name = removal
        .name
        .filter(|name| !name.is_empty())
        .ok_or_else(|| wrong(REMOVAL))?;
    let channel = layer(removal.channel);
    let removed = api.credentials.remove_env(channel.as_deref(), &name).await?;
    tracing::info!(channel, name, removed, "a secret of turns was removed");
    agent_trust::taken(&api, channel.as_deref());
    changed(&api, channel.as_deref()).await;
    Ok(Json(CredentialChanged::of(channel, Some(name), Some(removed))))
}
