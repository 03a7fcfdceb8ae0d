//! What a session behind a bridge does on its channel: reply, react, edit, ask for permission, download.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use reveille_transports::{self as transports, Bridge, OperationError, PermissionRequest};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::error::{ApiError, Body};
use super::mcp::say;
use super::{Api, Caller};

/// Clients send numbers too, as ids.
fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        _ => Err(serde::de::Error::custom("expected a text")),
    }
}

/// Where a call goes. `chat_id` counts where `meta` has none.
fn meta_of(meta: Option<Map<String, Value>>, chat_id: Option<String>) -> BTreeMap<String, String> {
    let text = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Null => None,
        other => Some(other.to_string()),
    };
    let pairs = meta.unwrap_or_default().into_iter();
    let mut meta: BTreeMap<String, String> = pairs.filter_map(|(name, value)| Some((name, text(value)?))).collect();
    if let Some(chat) = chat_id {
        meta.entry("chat_id".to_owned()).or_insert(chat);
    }
    meta
}

/// What a channel is.
enum Line {
    Bridge(Arc<dyn Bridge>),
    /// An agent without a bridge of its name: its messages are notes.
    Notes(String),
}

fn line(api: &Api, channel: Option<String>) -> Result<Line, ApiError> {
    let Some(channel) = channel.filter(|channel| !channel.trim().is_empty()) else {
        let message = "The call names no channel.";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "no_channel", message)
            .then("Nothing was sent. Give the name of one as `channel`."));
    };
    if let Some(bridge) = api.bridges.get(&channel) {
        return Ok(Line::Bridge(bridge));
    }
    if api.registry.get(&channel).is_some() {
        return Ok(Line::Notes(channel));
    }
    let mut names = api.bridges.names();
    names.extend(api.registry.names());
    names.sort_unstable();
    names.dedup();
    let known = match names.is_empty() {
        true => "none is there".to_owned(),
        false => format!("there are: {}", names.join(", ")),
    };
    let message = format!("There is no channel {channel:?}; {known}");
    Err(ApiError::new(StatusCode::BAD_REQUEST, "unknown_channel", message).then("Nothing was sent. Correct the name."))
}

fn bridge(api: &Api, channel: Option<String>, operation: transports::Operation) -> Result<Arc<dyn Bridge>, ApiError> {
    match line(api, channel)? {
        Line::Bridge(bridge) => Ok(bridge),
        Line::Notes(_) => Err(refused(&OperationError::Unsupported {
            kind: "vault",
            operation,
        })),
    }
}

pub(super) fn refused(error: &OperationError) -> ApiError {
    let message = error.to_string();
    match error {
        OperationError::Unsupported { .. } => ApiError::new(StatusCode::BAD_REQUEST, "unsupported", message)
            .then("Nothing was sent. Use what this kind of channel has."),
        OperationError::Config(_) => ApiError::new(StatusCode::BAD_REQUEST, "bridge_config", message)
            .then("Nothing was sent. Complete the call or the configuration of the bridge."),
        OperationError::Failed(_) => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "bridge_failed", message)
            .then("Look at the state of the bridge (`GET /api/bridges`), then try again."),
    }
}

/// What was sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BridgeSent)]
pub(super) struct Sent {
    /// Identities on the other side, in order; none when nobody got it.
    sent: Vec<String>,
}

/// It was done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BridgeDone)]
pub(super) struct Done {
    ok: bool,
}

/// A message for the people of a channel.
#[derive(Deserialize, ToSchema)]
#[schema(as = BridgeReply)]
pub(super) struct Reply {
    /// The channel.
    channel: Option<String>,
    /// What it says.
    text: Option<String>,
    /// Files on this machine that go with it, absolute. The bridge says which it takes.
    #[serde(default)]
    files: Option<Vec<String>>,
    /// The message that it answers.
    #[serde(default, deserialize_with = "word")]
    reply_to: Option<String>,
    /// The chat, where a channel has several.
    #[serde(default, deserialize_with = "word")]
    chat_id: Option<String>,
    /// What else the bridge needs.
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    meta: Option<Map<String, Value>>,
}

/// Sends a message to the people of a channel.
#[utoipa::path(
    post, path = "/api/reply", operation_id = "replyOnChannel", tag = "bridges", request_body = Reply,
    responses(
        (status = 200, description = "It is sent.", body = Sent),
        (status = 400, description = "The channel is missing, unknown, has no replies, or lacks something: `no_channel`, `unknown_channel`, `unsupported`, `bridge_config`."),
        (status = 500, description = "The other side failed: `bridge_failed`."),
    ),
)]
pub(super) async fn reply(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Body(call): Body<Reply>,
) -> Result<Json<Sent>, ApiError> {
    let files = call.files.unwrap_or_default();
    let bridge = match line(&api, call.channel)? {
        Line::Bridge(bridge) => bridge,
        Line::Notes(agent) => {
            if !files.is_empty() {
                let message = "A channel whose messages are notes takes no files here.";
                return Err(ApiError::new(StatusCode::BAD_REQUEST, "unsupported", message)
                    .then("Nothing was sent. Upload them to the vault, and name them in the text."));
            }
            let text = call.text.filter(|text| !text.trim().is_empty());
            let text = text.ok_or_else(|| refused(&OperationError::Config("the reply has no text".into())))?;
            let id = say(&api, &agent, &caller, text, call.reply_to.as_deref()).await?;
            return Ok(Json(Sent { sent: vec![id] }));
        }
    };
    let reply = transports::Reply {
        text: call.text,
        files,
        reply_to: call.reply_to,
        meta: meta_of(call.meta, call.chat_id),
    };
    let sent = bridge.reply(reply).await.map_err(|error| refused(&error))?;
    Ok(Json(Sent { sent }))
}

/// A reaction.
#[derive(Deserialize, ToSchema)]
#[schema(as = BridgeReaction)]
pub(super) struct React {
    /// The channel.
    channel: Option<String>,
    /// The message.
    #[serde(default, deserialize_with = "word")]
    message_id: Option<String>,
    /// The emoji.
    emoji: Option<String>,
    /// The chat, where a channel has several.
    #[serde(default, deserialize_with = "word")]
    chat_id: Option<String>,
    /// What else the bridge needs.
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    meta: Option<Map<String, Value>>,
}

/// Puts a reaction on a message of a channel.
#[utoipa::path(
    post, path = "/api/react", operation_id = "reactOnChannel", tag = "bridges", request_body = React,
    responses(
        (status = 200, description = "It is there.", body = Done),
        (status = 400, description = "The channel is missing, unknown, has no reactions, or lacks something: `no_channel`, `unknown_channel`, `unsupported`, `bridge_config`."),
        (status = 500, description = "The other side failed: `bridge_failed`."),
    ),
)]
pub(super) async fn react(State(api): State<Api>, Body(call): Body<React>) -> Result<Json<Done>, ApiError> {
    let bridge = bridge(&api, call.channel, transports::Operation::React)?;
    let reaction = transports::Reaction {
        message_id: call.message_id.unwrap_or_default(),
        emoji: call.emoji.unwrap_or_default(),
        meta: meta_of(call.meta, call.chat_id),
    };
    bridge.react(reaction).await.map_err(|error| refused(&error))?;
    Ok(Json(Done { ok: true }))
}

/// A change of a message.
#[derive(Deserialize, ToSchema)]
#[schema(as = BridgeEdit)]
pub(super) struct Edit {
    /// The channel.
    channel: Option<String>,
    /// The message.
    #[serde(default, deserialize_with = "word")]
    message_id: Option<String>,
    /// What it shall say.
    text: Option<String>,
    /// The chat, where a channel has several.
    #[serde(default, deserialize_with = "word")]
    chat_id: Option<String>,
    /// What else the bridge needs.
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    meta: Option<Map<String, Value>>,
}

/// Changes a message that was sent to a channel.
#[utoipa::path(
    post, path = "/api/edit", operation_id = "editOnChannel", tag = "bridges", request_body = Edit,
    responses(
        (status = 200, description = "It is changed.", body = Done),
        (status = 400, description = "The channel is missing, unknown, has no edits, or lacks something: `no_channel`, `unknown_channel`, `unsupported`, `bridge_config`."),
        (status = 500, description = "The other side failed: `bridge_failed`."),
    ),
)]
pub(super) async fn edit(State(api): State<Api>, Body(call): Body<Edit>) -> Result<Json<Done>, ApiError> {
    let bridge = bridge(&api, call.channel, transports::Operation::Edit)?;
    let edit = transports::Edit {
        message_id: call.message_id.unwrap_or_default(),
        text: call.text.unwrap_or_default(),
        meta: meta_of(call.meta, call.chat_id),
    };
    bridge.edit(edit).await.map_err(|error| refused(&error))?;
    Ok(Json(Done { ok: true }))
}

/// A session asks whether it may use a tool.
#[derive(Deserialize, ToSchema)]
#[schema(as = BridgePermission)]
pub(super) struct Permission {
    /// The channel.
    channel: Option<String>,
    /// Names the request.
    #[serde(default, deserialize_with = "word")]
    request_id: Option<String>,
    /// The tool.
    tool_name: Option<String>,
    /// What it is about to do.
    description: Option<String>,
    /// The beginning of its input.
    input_preview: Option<String>,
}

/// Asks the people of a channel whether a tool may be used.
///
/// The answer comes by `permission_verdict` at `/events`.
#[utoipa::path(
    post, path = "/api/permission", operation_id = "askOnChannel", tag = "bridges", request_body = Permission,
    responses(
        (status = 200, description = "They are asked.", body = Sent),
        (status = 400, description = "The channel is missing, unknown, asks nobody, or nobody can be asked: `no_channel`, `unknown_channel`, `unsupported`, `bridge_config`."),
        (status = 500, description = "The other side failed: `bridge_failed`."),
    ),
)]
pub(super) async fn permission(State(api): State<Api>, Body(call): Body<Permission>) -> Result<Json<Sent>, ApiError> {
    let bridge = bridge(&api, call.channel, transports::Operation::Permission)?;
    let request = PermissionRequest {
        request_id: call.request_id.unwrap_or_default(),
        tool_name: call.tool_name.unwrap_or_default(),
        description: call.description.unwrap_or_default(),
        input_preview: call.input_preview.unwrap_or_default(),
    };
    let sent = bridge.permission(request).await.map_err(|error| refused(&error))?;
    Ok(Json(Sent { sent }))
}

/// A file that somebody sent.
#[derive(Deserialize, ToSchema)]
#[schema(as = BridgeDownload)]
pub(super) struct Download {
    /// The channel.
    channel: Option<String>,
    /// How the other side calls the file.
    #[serde(default, deserialize_with = "word")]
    file_id: Option<String>,
}

/// Where a file is now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BridgeFile)]
pub(super) struct File {
    /// Its path on the machine of the daemon.
    path: String,
}

/// Fetches a file that somebody sent to a channel.
#[utoipa::path(
    post, path = "/api/download", operation_id = "downloadFromChannel", tag = "bridges", request_body = Download,
    responses(
        (status = 200, description = "It is there.", body = File),
        (status = 400, description = "The channel is missing, unknown, has no files, or lacks something: `no_channel`, `unknown_channel`, `unsupported`, `bridge_config`."),
        (status = 500, description = "The other side failed: `bridge_failed`."),
    ),
)]
pub(super) async fn download(State(api): State<Api>, Body(call): Body<Download>) -> Result<Json<File>, ApiError> {
    let bridge = bridge(&api, call.channel, transports::Operation::Download)?;
    let file = call.file_id.unwrap_or_default();
    let path = bridge.download(&file).await.map_err(|error| refused(&error))?;
    Ok(Json(File { path }))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_chat_of_the_call_counts_where_its_meta_has_none() {
        let meta = |value: Value| match value {
            Value::Object(map) => Some(map),
            _ => None,
        };
        for (given, chat, expected) in [
            (json!(null), Some("7"), json!({ "chat_id": "7" })),
            (
                json!({ "chat_id": 8, "x": true }),
                Some("7"),
                json!({ "chat_id": "8", "x": "true" }),
            ),
            (json!({ "chat_id": null }), Some("7"), json!({ "chat_id": "7" })),
            (json!({}), None, json!({})),
        ] {
            assert_eq!(json!(meta_of(meta(given), chat.map(str::to_owned))), expected);
        }
    }
}
