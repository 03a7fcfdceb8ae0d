//! `POST /hooks/{name}`: a signed call from outside wakes an agent. The signature is all that it has to show.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use reveille_transports::hooks::{HookRefusal, Received, refuse_unknown};
use reveille_transports::{Intake as _, Refusal};
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::error::{ApiError, Segment};

/// What came of a call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HookTaken)]
pub(super) struct Taken {
    ok: bool,
    /// The message that it became; absent when the call is not for the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<String>,
}

/// Characters of the name of a hook that the log shows; whoever calls chooses it.
const NAME_SHOWN: usize = 64;

/// What is told of a refusal. Whoever has not shown that he knows the secret of a hook is told one and the same, so that he learns
/// neither which hooks there are nor how they sign; what was wrong is in the log.
fn refused(name: &str, refusal: &HookRefusal) -> ApiError {
    let hook: String = name.chars().take(NAME_SHOWN).collect();
    tracing::info!(hook, %refusal, "a call of a hook was refused");
    let known = |status, code| ApiError::new(status, code, refusal.to_string()).then("Nothing was stored.");
    match refusal {
        HookRefusal::Header(_) | HookRefusal::Signature | HookRefusal::Unknown => {
            let message = "There is no hook of this name, or the call is not signed with its secret.";
            ApiError::new(StatusCode::UNAUTHORIZED, "wrong_signature", message).then(
                "Nothing was stored. Compare the address, the secret and the kind of signature with `[[hook]]` of the \
                 configuration; the log of the daemon says what did not fit.",
            )
        }
        HookRefusal::TooLong { .. } => known(StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        HookRefusal::Stale { .. } => known(StatusCode::UNAUTHORIZED, "stale_signature"),
        HookRefusal::Json(_) => known(StatusCode::BAD_REQUEST, "invalid_body"),
        HookRefusal::Lacks(_) => known(StatusCode::UNPROCESSABLE_ENTITY, "incomplete_body"),
    }
}

/// Wakes the agent of a hook. The same call again is the same message.
#[utoipa::path(
    post, path = "/hooks/{name}", operation_id = "callHook", tag = "bridges", security(()),
    params(("name" = String, Path, description = "The hook.")),
    request_body(content = serde_json::Value, description = "JSON, signed as the hook says: Standard Webhooks, or X-Hub-Signature-256."),
    responses(
        (status = 200, description = "The message is stored, or the call is not for the agent.", body = Taken),
        (status = 400, description = "The body is not JSON: `invalid_body`."),
        (status = 401, description = "There is no such hook, or the signature does not fit or is missing, which is not told apart: `wrong_signature`. Its time does not fit: `stale_signature`."),
        (status = 413, description = "The body is too long: `too_large`."),
        (status = 422, description = "The body lacks something: `incomplete_body`."),
        (status = 503, description = "The message cannot be stored now: `hook_unavailable`."),
    ),
)]
pub(super) async fn receive(
    State(api): State<Api>,
    Segment(name): Segment,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Taken>, ApiError> {
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::body_too_large(),
        status => ApiError::new(status, "invalid_body", error.body_text()),
    })?;
    let received = match api.hooks.get(&name) {
        Some(hook) => hook.receive(&headers, &body, Timestamp::now()),
        None => Err(refuse_unknown(&headers, &body)),
    };
    let message = match received.map_err(|refusal| refused(&name, &refusal))? {
        Received::Ignored { why } => {
            return Ok(Json(Taken {
                ok: true,
                id: None,
                ignored: Some(why),
            }));
        }
        Received::Message(message) => *message,
    };
    let taken = api.inbox.take(message).await.map_err(|refusal| match refusal {
        // The sender is no friend of the house: it is not told which agents there are, and shall try again.
        Refusal::UnknownAgent { .. } | Refusal::BrokenAgent { .. } => {
            tracing::warn!(hook = name, %refusal, "a hook was called and its agent cannot take the message");
            let message = "The agent of this hook cannot take a message now.";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "hook_unavailable", message)
                .then("Nothing was stored. Send it again later.")
        }
        refusal => refusal.into(),
    })?;
    Ok(Json(Taken {
        ok: true,
        id: Some(taken.note),
        ignored: None,
    }))
}
