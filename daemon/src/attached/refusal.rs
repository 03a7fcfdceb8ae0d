//! Why something is refused.

use http::StatusCode;
use reveille_queue::{State, Turn};

use crate::http::ApiError;

const TAKE_IT: &str = "Nothing was published. Take it with `next`, then answer it under the claim that this gives.";
const NOTHING: &str = "Nothing was changed.";

fn conflict(code: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, code, message)
}

/// The daemon runs the turns of that agent.
pub(super) fn not_attached(channel: &str) -> ApiError {
    let message = format!("The agent {channel:?} is not attached: the daemon itself runs its turns.");
    conflict("not_attached", message)
        .then("Nothing was changed. Set `backend: attached` on its definition if a session is to serve it.")
}

/// The text says nothing.
pub(super) fn blank_reply() -> ApiError {
    let message = "A reply needs text.";
    ApiError::new(StatusCode::BAD_REQUEST, "blank_reply", message)
        .then("Nothing was published. Write the answer, or give the message back with `release`.")
}

/// No such message.
pub(super) fn unknown_message(channel: &str, id: &str) -> ApiError {
    let message = format!("There is no message {id:?} to {channel:?}.");
    ApiError::new(StatusCode::NOT_FOUND, "unknown_message", message)
        .then("Nothing was changed. Use the `id` that `next` gave.")
}

/// That is none.
pub(super) fn not_a_claim(claim: &str) -> ApiError {
    let message = format!("There is no claim {claim:?}.");
    ApiError::new(StatusCode::NOT_FOUND, "unknown_claim", message)
        .then("Nothing was changed. Use the `claim` that `next` gave.")
}

/// The claim is another one's.
pub(super) fn not_yours(turn: &Turn) -> ApiError {
    let by = turn.claimed_by.as_deref().unwrap_or("somebody else");
    conflict("not_yours", format!("The message is taken by {by}.")).then(NOTHING)
}

/// The claim that was shown is not the one that holds.
pub(super) fn claim_over() -> ApiError {
    conflict(
        "claim_over",
        "That claim is over: the message went back in line, and was taken again.",
    )
    .then(TAKE_IT)
}

/// Whatever else keeps a turn from being answered.
pub(super) fn not_held(turn: &Turn) -> ApiError {
    match turn.state {
        State::Working if turn.claimed_by.is_none() => {
            conflict("not_claimed", "The daemon itself works on the message.").then(NOTHING)
        }
        State::Waiting | State::Working | State::Joined => conflict(
            "not_claimed",
            "Nobody has taken the message: its claim has run out or was given back, or there was none.",
        )
        .then(TAKE_IT),
        State::Cancelled => conflict(
            "stopped",
            "The message was stopped by a person, and its claim has ended.",
        )
        .then("Nothing was published. Go on with the next message."),
        state => conflict(
            "settled",
            format!("The turn of the message has ended already ({}).", state.as_str()),
        )
        .then("Nothing was published. Go on with the next message."),
    }
}

/// Another answer than the one that counts.
pub(super) fn already_answered() -> ApiError {
    conflict(
        "already_answered",
        "The message was answered already, with another text.",
    )
    .then("Nothing was published: the first answer stands. To add something, reply without `in_reply_to`.")
}

/// It failed inside.
pub(super) fn broken_off() -> ApiError {
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "The daemon failed on this request.",
    )
    .then("Try again; a claim that was made meanwhile ends by itself. The daemon's log has more.")
}
