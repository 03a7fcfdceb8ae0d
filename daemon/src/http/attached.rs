//! The messages of attached agents, for programs that do not speak MCP: what waits, take, answer, give back, hold on.

use std::time::Duration;

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;

use super::error::{ApiError, Body, OptionalBody, Segment};
use super::socket::Ears;
use super::{Api, Caller};
use crate::attached::{Pending, Released, Renewed, Replied, Taken};

/// Longest time that a request waits for a message.
const WAIT_MAX: u64 = 60;
/// How often it is looked for one meanwhile: an agent that is no longer paused is not told by the queue.
const LOOK: Duration = Duration::from_secs(1);

/// What waits for an attached agent, and the first 20 messages of it.
#[utoipa::path(
    get, path = "/api/channels/{channel}/pending", operation_id = "listPendingMessages", tag = "attached agents",
    params(("channel" = String, Path, description = "Name of the agent.")),
    responses(
        (status = 200, description = "What waits.", body = Pending),
        (status = 404, description = "There is no such agent: `unknown_agent`."),
        (status = 409, description = "The daemon itself runs its turns: `not_attached`."),
    ),
)]
pub(super) async fn pending(State(api): State<Api>, Segment(channel): Segment) -> Result<Json<Pending>, ApiError> {
    Ok(Json(api.attached.pending(&channel).await?))
}

/// How a message is asked for.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TakeRequest)]
pub(super) struct Next {
    /// Seconds that the request may wait for a message.
    #[serde(default)]
    #[schema(maximum = 60)]
    wait: u64,
}

/// That there is no message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NoMessage)]
pub(super) struct Nothing {
    /// Always null.
    #[schema(required)]
    message: Option<String>,
    /// The same for a person.
    note: String,
    /// Why none is given although some may wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pause: Option<String>,
}

/// A message, if there is one.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = MaybeMessage)]
pub(super) enum Maybe {
    /// It is this one's now.
    Taken(Box<Taken>),
    /// There is none.
    Nothing(Nothing),
}

/// Takes the first message that waits for an attached agent. Who has taken it answers it, gives it back, or asks for more
/// time, before the claim ends.
#[utoipa::path(
    post, path = "/api/channels/{channel}/next", operation_id = "takeMessage", tag = "attached agents",
    params(("channel" = String, Path, description = "Name of the agent.")), request_body = Option<Next>,
    responses(
        (status = 200, description = "The message, or that there is none.", body = Maybe),
        (status = 404, description = "There is no such agent: `unknown_agent`."),
        (status = 409, description = "The daemon itself runs its turns: `not_attached`."),
    ),
)]
pub(super) async fn next(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Segment(channel): Segment,
    ears: Option<Extension<Ears>>,
    OptionalBody(Next { wait }): OptionalBody<Next>,
) -> Result<Json<Maybe>, ApiError> {
    // Who has stopped to send may be gone: it is answered, and takes nothing.
    let silence = async {
        match &ears {
            Some(Extension(ears)) => ears.silence().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = silence => Ok(Json(Maybe::Nothing(Nothing::for_nobody()))),
        taken = take(&api, &caller, &channel, wait) => taken,
    }
}

/// Takes a message, now or within so many seconds.
async fn take(api: &Api, caller: &Caller, channel: &str, wait: u64) -> Result<Json<Maybe>, ApiError> {
    if wait > WAIT_MAX {
        let message = format!("`wait` is {wait} seconds; the longest wait is {WAIT_MAX}.");
        return Err(
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", message).then("Ask again when it is over.")
        );
    }
    let end = Instant::now() + Duration::from_secs(wait);
    let mut news = api.queue.watch();
    loop {
        news.mark_unchanged();
        if let Some(taken) = api.attached.next(channel, caller).await? {
            return Ok(Json(Maybe::Taken(Box::new(taken))));
        }
        // Looking costs less than taking: it writes nothing. What waits now could not be had a moment ago.
        let mut waited = false;
        loop {
            let pending = api.attached.pending(channel).await?;
            if Instant::now() >= end || api.drain.is_cancelled() {
                return Ok(Json(Maybe::Nothing(Nothing::of(pending))));
            }
            if waited && pending.count > 0 && pending.pause.is_none() {
                break;
            }
            tokio::select! {
                // It ends with the daemon.
                Ok(()) = news.changed() => {}
                () = tokio::time::sleep_until(end.min(Instant::now() + LOOK)) => {}
                () = api.drain.cancelled() => {}
            }
            waited = true;
        }
    }
}

impl Nothing {
    fn for_nobody() -> Self {
        let note =
            "no message is given: the connection was closed for sending before the answer, as when its client is gone";
        Self {
            message: None,
            note: note.to_owned(),
            pause: None,
        }
    }

    fn of(pending: Pending) -> Self {
        let note = match &pending.pause {
            Some(pause) => format!("no message is given: the agent is paused ({pause})"),
            None => "no pending messages".to_owned(),
        };
        let (message, pause) = (None, pending.pause);
        Self { message, note, pause }
    }
}

/// An answer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AttachedReply)]
pub(super) struct Reply {
    text: String,
    /// The message that it answers, by the `id` that came with it; without it the answer is a word of the agent's own.
    in_reply_to: Option<String>,
    /// The claim that came with it: then only that one counts.
    claim: Option<String>,
}

/// Answers a message that this caller has taken. The same answer again is answered the same.
#[utoipa::path(
    post, path = "/api/channels/{channel}/reply", operation_id = "replyToMessage", tag = "attached agents",
    params(("channel" = String, Path, description = "Name of the agent.")), request_body = Reply,
    responses(
        (status = 200, description = "It is safe.", body = Replied),
        (status = 404, description = "There is no such agent, or no such message: `unknown_agent`, `unknown_message`."),
        (status = 409, description = "Nothing was published: `not_claimed`, `not_yours`, `claim_over`, `already_answered`, \
                                      `stopped`, `settled`, `not_attached`."),
    ),
)]
pub(super) async fn reply(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Segment(channel): Segment,
    Body(reply): Body<Reply>,
) -> Result<Json<Replied>, ApiError> {
    let (to, claim) = (reply.in_reply_to.as_deref(), reply.claim.as_deref());
    Ok(Json(
        api.attached.reply(&channel, &caller, &reply.text, to, claim).await?,
    ))
}

/// Which message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ClaimedMessage)]
pub(super) struct Which {
    /// As it came with the message.
    id: String,
    /// The claim that came with it: then only that one counts.
    claim: Option<String>,
}

/// Gives a message back: it waits again, at its place.
#[utoipa::path(
    post, path = "/api/channels/{channel}/release", operation_id = "releaseMessage", tag = "attached agents",
    params(("channel" = String, Path, description = "Name of the agent.")), request_body = Which,
    responses(
        (status = 200, description = "It waits.", body = Released),
        (status = 404, description = "There is no such agent, or no such message: `unknown_agent`, `unknown_message`."),
        (status = 409, description = "It is not this caller's, or has ended: `not_claimed`, `not_yours`, `claim_over`, \
                                      `stopped`, `settled`."),
    ),
)]
pub(super) async fn release(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Segment(channel): Segment,
    Body(which): Body<Which>,
) -> Result<Json<Released>, ApiError> {
    let claim = which.claim.as_deref();
    Ok(Json(api.attached.release(&channel, &caller, &which.id, claim).await?))
}

/// Holds a claim for another while, for a long piece of work.
#[utoipa::path(
    post, path = "/api/channels/{channel}/renew", operation_id = "renewClaim", tag = "attached agents",
    params(("channel" = String, Path, description = "Name of the agent.")), request_body = Which,
    responses(
        (status = 200, description = "When it ends now.", body = Renewed),
        (status = 404, description = "There is no such agent, or no such message: `unknown_agent`, `unknown_message`."),
        (status = 409, description = "It is not this caller's, or has ended: `not_claimed`, `not_yours`, `claim_over`, \
                                      `stopped`, `settled`."),
    ),
)]
pub(super) async fn renew(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Segment(channel): Segment,
    Body(which): Body<Which>,
) -> Result<Json<Renewed>, ApiError> {
    let claim = which.claim.as_deref();
    Ok(Json(api.attached.renew(&channel, &caller, &which.id, claim).await?))
}
