//! The tools of channels whose messages sessions do not pull. Those to an agent that the daemon runs wake it, those to a channel
//! without an agent are pushed to its sessions; what a session can do is to write to the people there.

use std::collections::BTreeMap;

use http::StatusCode;
use reveille_transports::{self as transports, Bridge};
use reveille_vault::agent::{slug, tag};
use reveille_vault::note::millis;
use reveille_vault::{Metadata, NewNote, NoteId};
use serde_json::{Value, json};

use crate::http::bridge_calls::refused;
use crate::http::error::ApiError;
use crate::http::vault_api::mcp::arguments::Arguments;
use crate::http::vault_api::mcp::server::{Refusal, Told};
use crate::http::{Api, Caller};

/// `reply`
pub(super) async fn reply(
    api: &Api,
    channel: &str,
    caller: &Caller,
    mut arguments: Arguments,
) -> Result<Told, Refusal> {
    if let Some(bridge) = api.bridges.get(channel) {
        return through(&*bridge, arguments).await;
    }
    if arguments.take("files").is_some_and(|files| files != json!([])) {
        let message = "This channel takes no files here. Upload them to the vault, and name them in the text.";
        return Err(ApiError::new(StatusCode::NOT_IMPLEMENTED, "unsupported", message)
            .then("Nothing was sent.")
            .into());
    }
    let text = needed(&mut arguments, "text")?;
    // Of the wrong type it does not count.
    let in_reply_to = arguments.take("reply_to").and_then(|id| id.as_str().map(str::to_owned));
    let id = say(api, channel, caller, text, in_reply_to.as_deref()).await?;
    Ok(Told::of(json!({ "sent": 1, "ids": [id] })))
}

/// Writes an agent's word as a note. Answers its identity.
///
/// # Errors
/// There is no such agent, or its vault cannot be written.
pub(in crate::http) async fn say(
    api: &Api,
    channel: &str,
    caller: &Caller,
    text: String,
    in_reply_to: Option<&str>,
) -> Result<String, ApiError> {
    let agent = api.registry.get(channel).ok_or_else(|| api.no_agent(channel))?;
    let now = jiff::Timestamp::now();
    let id = NoteId::generate();
    let mut metadata = Metadata::new();
    let mut put = |key: &str, value: &str| metadata.insert(key.to_owned(), value.into());
    put("agent", channel);
    put("direction", "outbound");
    put("sender", &caller.subject());
    put("ts", &millis::format(now));
    if let Some(message) = in_reply_to {
        put("in_reply_to", message);
    }
    let note = NewNote {
        path: Some(format!("channel/{}/{id}", slug(channel))),
        id: Some(id),
        content: text,
        tags: vec![tag::MESSAGE.into(), tag::OUTBOUND.into()],
        metadata,
        created_at: Some(now),
        attachments: Vec::new(),
        links: Vec::new(),
    };
    let note = agent.vault.create(note).await?;
    Ok(note.id.to_string())
}

/// Where a call goes on a bridge.
fn chat(arguments: &mut Arguments) -> BTreeMap<String, String> {
    let chat = optional(arguments, "chat_id");
    chat.map(|chat| ("chat_id".to_owned(), chat)).into_iter().collect()
}

/// A text that may be there. Clients of channels send numbers too, as ids.
fn optional(arguments: &mut Arguments, name: &str) -> Option<String> {
    match arguments.take(name)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        value => Some(value.to_string()),
    }
}

/// `reply` by a bridge.
async fn through(bridge: &dyn Bridge, mut arguments: Arguments) -> Result<Told, Refusal> {
    let files = match arguments.take("files") {
        Some(Value::Array(files)) => files
            .iter()
            .filter_map(|file| file.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    };
    let reply = transports::Reply {
        text: optional(&mut arguments, "text"),
        files,
        reply_to: optional(&mut arguments, "reply_to"),
        meta: chat(&mut arguments),
    };
    let sent = bridge.reply(reply).await.map_err(|error| refused(&error))?;
    Ok(Told::of(json!({ "sent": sent.len(), "ids": sent })))
}

/// A session asks the people of its channel whether it may use a tool. The answer is pushed to it.
///
/// # Errors
/// Why nobody is asked.
pub(super) async fn ask(api: &Api, channel: &str, params: &Value) -> Result<(), String> {
    let bridge = api.bridges.get(channel);
    let bridge = bridge.ok_or("the channel has no bridge, and nobody on it to ask")?;
    let text = |key: &str| params[key].as_str().unwrap_or_default().to_owned();
    let request = transports::PermissionRequest {
        request_id: text("request_id"),
        tool_name: text("tool_name"),
        description: text("description"),
        input_preview: text("input_preview"),
    };
    let asked = bridge.permission(request).await;
    asked.map(drop).map_err(|error| error.to_string())
}

/// `react`, `edit_message` and `download_attachment`.
pub(super) async fn operate(api: &Api, channel: &str, tool: &str, mut arguments: Arguments) -> Result<Told, Refusal> {
    let Some(bridge) = api.bridges.get(channel) else {
        return Err(has_not(tool));
    };
    let meta = chat(&mut arguments);
    match tool {
        "react" => {
            let reaction = transports::Reaction {
                message_id: needed(&mut arguments, "message_id")?,
                emoji: needed(&mut arguments, "emoji")?,
                meta,
            };
            bridge.react(reaction).await.map_err(|error| refused(&error))?;
            Ok(Told::of(json!({ "ok": true })))
        }
        "edit_message" => {
            let edit = transports::Edit {
                message_id: needed(&mut arguments, "message_id")?,
                text: needed(&mut arguments, "text")?,
                meta,
            };
            bridge.edit(edit).await.map_err(|error| refused(&error))?;
            Ok(Told::of(json!({ "ok": true })))
        }
        _ => {
            let file = needed(&mut arguments, "file_id")?;
            let path = bridge.download(&file).await.map_err(|error| refused(&error))?;
            Ok(Told::of(json!({ "path": path })))
        }
    }
}

/// A text that must be there. Clients of channels send numbers too, as ids.
fn needed(arguments: &mut Arguments, name: &str) -> Result<String, Refusal> {
    let text = match arguments.take(name) {
        Some(Value::String(text)) => text,
        Some(value) => value.to_string(),
        None => String::new(),
    };
    if text.trim().is_empty() {
        let message = format!("{name} is missing; nothing was sent.");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "blank_text", message).into());
    }
    Ok(text)
}

/// What a channel in a vault cannot do.
fn has_not(tool: &str) -> Refusal {
    let message = format!("This channel has no {tool}: its messages are notes in a vault.");
    ApiError::new(StatusCode::NOT_IMPLEMENTED, "unsupported", message)
        .then("Nothing was done. Use reply, or change the note itself by the notes API.")
        .into()
}
