//! What settled turns have left to do and the vault has not taken: listed, and tried again.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use http::StatusCode;
use reveille_queue::{EffectState, Overdue};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::error::{ApiError, Body};
use super::turns::find;
use crate::effects::Effect;

/// Effects of a page unless asked otherwise, and at most.
const LIMIT: u32 = 100;
const LIMIT_MAX: u32 = 1000;

#[derive(Deserialize)]
pub(super) struct Page {
    limit: Option<u32>,
    cursor: Option<u64>,
}

/// An effect without its text: that stays with its turn.
fn view(api: &Api, overdue: &Overdue) -> Value {
    let row = &overdue.effect;
    let effect: Option<Effect> = serde_json::from_value(row.body.clone()).ok(); // silent-ok: shown as unknown
    let vault = effect.as_ref().map(Effect::vault);
    json!({
        "turn": row.turn,
        "channel": overdue.channel,
        "kind": effect.as_ref().map_or("unknown", Effect::kind),
        "vault": vault,
        "state": match row.state {
            EffectState::Pending => "waiting",
            EffectState::Parked => "parked",
        },
        "attempts": row.attempts,
        "last_error": row.last_error,
        "since_at": overdue.since,
        "next_try_at": api.outbox.next_try(overdue, vault),
    })
}

/// `GET /api/undelivered`
pub(super) async fn list(
    State(api): State<Api>,
    page: Result<Parameters<Page>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Parameters(page) =
        page.map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", error.body_text()))?;
    let limit = page.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let found = api.outbox.overdue(page.cursor.unwrap_or(0), limit).await?;
    let full = found.len() >= limit as usize;
    let last = found.last().map(|overdue| overdue.effect.id);
    let effects: Vec<Value> = found.iter().map(|overdue| view(&api, overdue)).collect();
    Ok(Json(json!({
        "undelivered": effects,
        "total": api.outbox.count_overdue().await?,
        // A number for `cursor`; null on the last page.
        "next_cursor": last.filter(|_| full),
    })))
}

#[derive(Deserialize)]
pub(super) struct Retry {
    /// Absent: everything.
    turn: Option<String>,
}

/// `POST /api/undelivered/retry`
pub(super) async fn retry(State(api): State<Api>, Body(retry): Body<Retry>) -> Result<Json<Value>, ApiError> {
    let turn = match &retry.turn {
        Some(turn) => Some(find(&api, turn).await?),
        None => None,
    };
    // The effects of a turn that joined another one are that one's.
    let turn = turn.map(|turn| turn.leader.unwrap_or(turn.id));
    Ok(Json(json!({ "retried": api.outbox.retry(turn).await? })))
}
