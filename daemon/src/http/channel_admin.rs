//! `POST /api/channels` and `DELETE /api/channels/{channel}`: bridges that come and go while the daemon runs.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::error::{ApiError, Body, Segment};
use super::step_up::Sure;
use crate::bridges::{ChangeError, NewChannel};

/// A bridge to add.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewBridge, example = json!({ "name": "pages", "transport": "http-ui", "agent": "scribe" }))]
pub(super) struct New {
    /// Letters, digits, `_` and `-`; at most 64.
    #[schema(value_type = String)]
    name: Option<Value>,
    /// `telegram` or `http-ui`.
    #[schema(value_type = String)]
    transport: Option<Value>,
    /// The agent that its messages are for; the one of its name when nothing is said.
    agent: Option<String>,
    /// What its kind needs, as in `channels.json`. For `telegram` a `token`, and perhaps `stateDir`, `apiBase`,
    /// `requireAccessFile`, `subjectPerChat`.
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    config: Option<Value>,
}

/// It is written down, and runs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BridgeAdded)]
pub(super) struct Added {
    ok: bool,
    name: String,
    transport: String,
    /// The agent that its messages are for.
    agent: String,
    /// It runs; `GET /api/bridges` says how it does.
    live: bool,
    /// It took the place of one of its name, which was ended first.
    replaced: bool,
}

/// It is gone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BridgeRemoved)]
pub(super) struct Removed {
    ok: bool,
    name: String,
    /// Whether it ran.
    removed: bool,
    /// What it had to send and is kept until a bridge of this name and kind is there again. Null when it cannot be counted.
    #[schema(required)]
    waiting: Option<u64>,
    /// What it had given up, kept likewise.
    #[schema(required)]
    undelivered: Option<u64>,
    /// How much of that was thrown away, with what is remembered of what was delivered.
    discarded: u64,
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        let message = capital(&error.to_string());
        let unchanged = "Nothing was changed.";
        match error {
            ChangeError::Invalid(_) => Self::new(StatusCode::BAD_REQUEST, "invalid_channel", message)
                .then("Nothing was changed. Correct the name or the `config`, and send it again."),
            ChangeError::Vault => Self::new(StatusCode::BAD_REQUEST, "vault_channel", message).then(
                "Nothing was changed. Make the agent (`reveille agent new`), or add its vault (`reveille vault add`).",
            ),
            ChangeError::Configured(_) => Self::new(StatusCode::CONFLICT, "configured_bridge", message)
                .then("Nothing was changed. Change it in the configuration file, and start the daemon again."),
            ChangeError::BotInUse { .. } => Self::new(StatusCode::CONFLICT, "bot_in_use", message)
                .then("Nothing was changed. Make another bot with @BotFather, or remove the other bridge first."),
            ChangeError::File(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "channels_not_written", message)
                .then("Nothing was changed. Mend the file in the state directory, or make room, and try again."),
            ChangeError::Outbox(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "outbox_unavailable", message)
                .then("The bridge is removed; what it had to send is there still. Try again with `discard=true`."),
            ChangeError::NotNow => Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_now", message).then(unchanged),
            ChangeError::Crashed(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
                .then("See `GET /api/bridges` and the log for what has become of it."),
        }
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// A text that says something.
fn said(name: &str, value: Option<Value>) -> Result<String, ApiError> {
    match value {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(text),
        _ => Err(ChangeError::Invalid(format!("`{name}` must be there, and be a text")).into()),
    }
}

/// Adds a bridge, or puts it in the place of the one of its name.
///
/// It is written to `channels.json` and runs at once. No answer shows its `config`.
#[utoipa::path(
    post, path = "/api/channels", operation_id = "addBridge", tag = "bridges", request_body = New,
    responses(
        (status = 200, description = "It is there.", body = Added),
        (status = 400, description = "It cannot be made so, or is no bridge: `invalid_channel`, `vault_channel`."),
        (status = 403, description = "It needs the PIN: `step_up_required`."),
        (status = 409, description = "The configuration has it, or another bridge has its bot: `configured_bridge`, `bot_in_use`."),
        (status = 500, description = "`channels.json` cannot be used: `channels_not_written`."),
    ),
)]
pub(super) async fn add(State(api): State<Api>, _: Sure, Body(new): Body<New>) -> Result<Json<Added>, ApiError> {
    let (name, transport) = (said("name", new.name)?, said("transport", new.transport)?);
    let channel = NewChannel {
        name: name.clone(),
        transport: transport.clone(),
        agent: new.agent.filter(|agent| !agent.trim().is_empty()),
        // What is no object does not count, as clients expect it.
        config: match new.config {
            Some(Value::Object(config)) => Some(config),
            _ => None,
        },
    };
    let added = api.bridges.add(channel).await?;
    Ok(Json(Added {
        ok: true,
        name,
        transport,
        agent: added.agent,
        live: true,
        replaced: added.replaced,
    }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// `true`: what it has not sent is thrown away, also what an earlier bridge of its name has left.
    discard: Option<bool>,
}

/// Removes a bridge that was added.
///
/// It is taken out of `channels.json` and ends at once. What it has not sent is kept, unless it is to be thrown away.
#[utoipa::path(
    delete, path = "/api/channels/{channel}", operation_id = "removeBridge", tag = "bridges",
    params(("channel" = String, Path, description = "The bridge."), How),
    responses(
        (status = 200, description = "It is not there any more, or never was.", body = Removed),
        (status = 400, description = "The parameters make no sense: `invalid_parameter`."),
        (status = 403, description = "It needs the PIN: `step_up_required`."),
        (status = 409, description = "The configuration has it: `configured_bridge`."),
        (status = 500, description = "`channels.json` cannot be used: `channels_not_written`."),
    ),
)]
pub(super) async fn remove(
    State(api): State<Api>,
    _: Sure,
    Segment(channel): Segment,
    how: Result<Parameters<How>, QueryRejection>,
) -> Result<Json<Removed>, ApiError> {
    let Parameters(how) =
        how.map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", error.body_text()))?;
    let removed = api.bridges.remove(&channel, how.discard.unwrap_or_default()).await?;
    Ok(Json(Removed {
        ok: true,
        name: channel,
        removed: removed.removed,
        waiting: removed.kept.as_ref().map(|count| count.waiting),
        undelivered: removed.kept.as_ref().map(|count| count.undelivered),
        discarded: removed.discarded,
    }))
}
