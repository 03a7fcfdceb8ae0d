//! The tools of channels whose agents the daemon runs itself. Messages to them wake the agent and are not pushed to sessions;
//! what a session can do is to write to the people there.

use http::StatusCode;
use reveille_vault::agent::{slug, tag};
use reveille_vault::note::millis;
use reveille_vault::{Metadata, NewNote, NoteId};
use serde_json::{Value, json};

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
    let Some(agent) = api.registry.get(channel) else {
        return Err(api.no_agent(channel).into());
    };
    if arguments.take("files").is_some_and(|files| files != json!([])) {
        let message = "This channel takes no files here. Upload them to the vault, and name them in the text.";
        return Err(ApiError::new(StatusCode::NOT_IMPLEMENTED, "unsupported", message)
            .then("Nothing was sent.")
            .into());
    }
    let text = needed(&mut arguments, "text")?;
    // Of the wrong type it does not count.
    let in_reply_to = arguments.take("reply_to").and_then(|id| id.as_str().map(str::to_owned));
    let now = jiff::Timestamp::now();
    let id = NoteId::generate();
    let mut metadata = Metadata::new();
    let mut put = |key: &str, value: &str| metadata.insert(key.to_owned(), value.into());
    put("agent", channel);
    put("direction", "outbound");
    put("sender", &caller.subject());
    put("ts", &millis::format(now));
    if let Some(message) = &in_reply_to {
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
    Ok(Told::of(json!({ "sent": 1, "ids": [note.id] })))
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
pub(super) fn has_not(tool: &str) -> Refusal {
    let message = format!("This channel has no {tool}: its messages are notes in a vault.");
    ApiError::new(StatusCode::NOT_IMPLEMENTED, "unsupported", message)
        .then("Nothing was done. Use reply, or change the note itself by the notes API.")
        .into()
}
