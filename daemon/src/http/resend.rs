//! A message whose turn has ended, sent once more.

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use reveille_queue::Turn;
use reveille_vault::agent::Inbound;
use reveille_vault::{Key, NewAttachment, NoteId, Vault, VaultError};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Api;
use super::channels::{IdempotencyKey, Sent, idempotency_key};
use super::error::{ApiError, OptionalBody, Segment};
use super::line::vault_of;
use super::steps::record_of;
use super::turns::find;

/// What is to be said instead.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ResendRequest)]
pub(super) struct Resend {
    /// The same as before when nothing is said.
    text: Option<String>,
}

/// Sends the message of a turn that has ended once more: a new message that says the same, or something better, to the same
/// agent in the same conversation; its requester is told of the new one as well.
#[utoipa::path(
    post, path = "/api/turns/{turn}/resend", operation_id = "resendTurn", tag = "turns",
    params(
        ("turn" = String, Path, description = "The turn: its identity, or six digits and more of its beginning or end."),
        IdempotencyKey,
    ),
    request_body = Option<Resend>,
    responses(
        (status = 200, description = "The new message is stored.", body = Sent),
        (status = 404, description = "There is no such turn or agent: `unknown_turn`, `unknown_agent`."),
        (status = 409, description = "It has not ended, the key was used for another message, the agent's definition is broken, or several are called so: `not_settled`, `idempotency_key_reused`, `broken_agent`, `ambiguous_turn`; or what it said is no longer kept: `forgotten`."),
        (status = 429, description = "The line is full: `queue_full`."),
    ),
)]
pub(super) async fn resend(
    State(api): State<Api>,
    Segment(turn): Segment,
    headers: HeaderMap,
    OptionalBody(resend): OptionalBody<Resend>,
) -> Result<Json<Sent>, ApiError> {
    let key = idempotency_key(&headers)?;
    let found = find(&api, &turn).await?;
    if !found.state.is_terminal() {
        let message = format!("The turn has not ended; it is {}.", found.state.as_str());
        return Err(ApiError::new(StatusCode::CONFLICT, "not_settled", message).then(
            "Nothing was sent. Wait for its end, or edit the message with `reveille queue edit` while it waits.",
        ));
    }
    let mut message: Inbound = serde_json::from_value(found.message.body.clone()).map_err(|error| {
        let message = format!("The stored message cannot be read: {error}");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable_turn", message)
            .then("Nothing was sent. Send its text as a new message.")
    })?;
    // A person wants it anew: it begins a chain of its own.
    (message.chain, message.delegated_by, message.delegation_depth) = (None, None, 0);
    message.traceparent = None;
    // The agent may have been renamed since.
    message.agent = found.message.lane.channel.to_string();
    let vault = vault_of(&api, &found)?;
    match resend.text {
        Some(text) => message.text = text,
        None if record_of(&found).forgotten => message.text = text_of(&*vault, &found).await?,
        None => {}
    }
    let files = files_of(&*vault, &found).await?;
    let taken = api.inbox.put(&message, files, key, Some(&found.message.note)).await?;
    Ok(Json(Sent::of(&taken)))
}

/// The text of the message, as it is on its note.
async fn text_of(vault: &dyn Vault, turn: &Turn) -> Result<String, ApiError> {
    let note = match NoteId::new(turn.message.note.as_str()) {
        Ok(id) => vault.get(&Key::Id(id)).await?,
        Err(_) => None, // silent-ok: then it is no note, and that is said
    };
    note.map(|note| note.content).ok_or_else(|| {
        let message =
            "What the message said is no longer in the journal (`[retention] journal`), and its note is gone.";
        ApiError::new(StatusCode::CONFLICT, "forgotten", message.to_owned())
            .then("Nothing was sent. Say what is to be sent with `text` (`reveille turn resend TURN --text …`).")
    })
}

/// The files of the message, as they are on its note; none when the note is gone.
async fn files_of(vault: &dyn Vault, turn: &Turn) -> Result<Vec<NewAttachment>, ApiError> {
    let Ok(id) = NoteId::new(turn.message.note.as_str()) else {
        return Ok(Vec::new());
    };
    let files = match vault.files().attachments(&Key::Id(id)).await {
        Err(VaultError::NotFound { .. }) => Vec::new(),
        files => files?,
    };
    let again = files.into_iter().map(|file| NewAttachment {
        path: file.path,
        filename: Some(file.filename),
        mime_type: Some(file.mime_type),
    });
    Ok(again.collect())
}
