//! Turns: how they stand, and stopping them.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use reveille_queue::{Spend, Turn};
use reveille_vault::agent::Inbound;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Api;
use super::error::{ApiError, Segment};
use crate::record::TurnRecord;

/// US dollars of a sum kept in billionths.
#[expect(
    clippy::cast_precision_loss,
    reason = "for display; the exact number is kept in billionths"
)]
pub(super) fn usd(spend: Spend) -> f64 {
    spend.nano_usd as f64 / 1e9
}

fn usage(spend: Spend) -> Value {
    json!({
        "input_tokens": spend.input_tokens,
        "output_tokens": spend.output_tokens,
        "cache_read_tokens": spend.cache_read_tokens,
        "cache_write_tokens": spend.cache_write_tokens,
    })
}

/// A turn as JSON.
pub(super) fn view(turn: &Turn) -> Result<Value, ApiError> {
    let unreadable = |error: serde_json::Error| {
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "unreadable_turn",
            format!("The stored turn is unreadable: {error}."),
        )
    };
    let message: Inbound = serde_json::from_value(turn.message.body.clone()).map_err(unreadable)?;
    let record: TurnRecord = match &turn.record {
        Some(record) => serde_json::from_value(record.clone()).map_err(unreadable)?,
        None => TurnRecord::default(),
    };
    let mut view = json!({
        "turn": turn.id,
        "channel": turn.message.lane.channel,
        "thread": turn.conversation,
        "vault": turn.message.vault,
        "message": turn.message.note,
        "text": message.text,
        "sender": message.sender,
        "chain": turn.message.chain,
        "delegation_depth": message.delegation_depth,
        "state": turn.state,
        "interruptions": turn.interruptions,
        "accepted_at": turn.accepted_at,
        "claimed_at": turn.claimed_at,
        "settled_at": turn.settled_at,
        "usage": usage(turn.spend),
        "cost_usd": usd(turn.spend),
        "session": record.session,
        "models": record.models,
        "notices": record.notices,
        "note": record.note,
    });
    if let Some(reply) = record.reply {
        view["reply"] = reply.into();
    }
    if let Some(failure) = record.failure {
        view["error"] = json!(failure);
    }
    Ok(view)
}

pub(super) fn unknown(turn: &str) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "unknown_turn",
        format!("There is no turn {turn:?}."),
    )
}

pub(super) async fn find(api: &Api, turn: &str) -> Result<Turn, ApiError> {
    let id: Uuid = turn.parse().map_err(|_| unknown(turn))?;
    api.queue.turn(id).await?.ok_or_else(|| unknown(turn))
}

/// `GET /api/turns/{turn}`
pub(super) async fn show(State(api): State<Api>, Segment(turn): Segment) -> Result<Json<Value>, ApiError> {
    let found = find(&api, &turn).await?;
    let mut view = view(&found)?;
    // What it has left to do and the vault has not taken yet; one that joined another turn has its reply from that.
    let left = api.queue.left(found.leader.unwrap_or(found.id)).await?;
    view["undelivered"] = (left > 0).into();
    Ok(Json(view))
}

/// `POST /api/turns/{turn}/stop`
pub(super) async fn stop(State(api): State<Api>, Segment(turn): Segment) -> Result<Json<Value>, ApiError> {
    let found = find(&api, &turn).await?;
    // A settled turn is still at work for a moment, until the vault has its reply: too late to stop it.
    if !found.state.is_terminal() && api.workers.stop(found.id) {
        return Ok(Json(json!({ "stopping": true })));
    }
    let state = found.state.as_str();
    Err(ApiError::new(
        StatusCode::CONFLICT,
        "not_running",
        format!("The turn does not run; it is {state}."),
    ))
}
