//! What settled turns have left to do and the vault has not taken: listed, and tried again.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use http::StatusCode;
use jiff::Timestamp;
use reveille_queue::{EffectState, Overdue};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Api;
use super::error::{ApiError, Body};
use super::turns::find;
use crate::effects::Effect;

/// Effects of a page unless asked otherwise, and at most.
const LIMIT: u32 = 100;
const LIMIT_MAX: u32 = 1000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// How many at most; 100 when nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<u64>,
}

/// Something that a turn has left to do, without its text: that stays with its turn.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UndeliveredEffect)]
pub(super) struct View {
    turn: Uuid,
    channel: String,
    /// What is to be written, such as `outbound`; `unknown` when this version does not know it.
    kind: &'static str,
    /// Where; null where it goes to a bridge.
    #[schema(required)]
    vault: Option<String>,
    /// The bridge that it goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    bridge: Option<String>,
    state: Wait,
    /// Tries so far.
    attempts: u32,
    #[schema(required)]
    last_error: Option<String>,
    /// When its turn ended.
    since_at: Timestamp,
    /// Null when something has to happen before.
    #[schema(required)]
    next_try_at: Option<Timestamp>,
}

/// Whether it goes out by itself.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = UndeliveredState)]
pub(super) enum Wait {
    /// It goes out once the vault takes it.
    Waiting,
    /// The vault refused it for good: a person has to look.
    Parked,
}

/// What turns have left to do and the vaults have not taken.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UndeliveredList)]
pub(super) struct Listing {
    undelivered: Vec<View>,
    /// Of all pages.
    total: u64,
    /// For `cursor`; null on the last page.
    #[schema(required)]
    next_cursor: Option<u64>,
}

fn view(api: &Api, overdue: &Overdue) -> View {
    let row = &overdue.effect;
    let effect: Option<Effect> = serde_json::from_value(row.body.clone()).ok(); // silent-ok: shown as unknown
    let vault = effect.as_ref().and_then(Effect::vault);
    let bridge = match &effect {
        Some(Effect::Bridge { bridge, .. }) => Some(bridge.clone()),
        _ => None,
    };
    View {
        turn: row.turn,
        channel: overdue.channel.to_string(),
        kind: effect.as_ref().map_or("unknown", Effect::kind),
        vault: vault.map(str::to_owned),
        bridge,
        state: match row.state {
            EffectState::Pending => Wait::Waiting,
            EffectState::Parked => Wait::Parked,
        },
        attempts: row.attempts,
        last_error: row.last_error.clone(),
        since_at: overdue.since,
        next_try_at: api.outbox.next_try(overdue, vault),
    }
}

/// What turns have left to do and the vaults have not taken.
#[utoipa::path(
    get, path = "/api/undelivered", operation_id = "listUndelivered", tag = "turns", params(Page),
    responses((status = 200, description = "The oldest first.", body = Listing)),
)]
pub(super) async fn list(
    State(api): State<Api>,
    page: Result<Parameters<Page>, QueryRejection>,
) -> Result<Json<Listing>, ApiError> {
    let Parameters(page) =
        page.map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", error.body_text()))?;
    let limit = page.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let found = api.outbox.overdue(page.cursor.unwrap_or(0), limit).await?;
    let full = found.len() >= limit as usize;
    let last = found.last().map(|overdue| overdue.effect.id);
    Ok(Json(Listing {
        undelivered: found.iter().map(|overdue| view(&api, overdue)).collect(),
        total: api.outbox.count_overdue().await?,
        next_cursor: last.filter(|_| full),
    }))
}

/// What is to be tried again.
#[derive(Deserialize, ToSchema)]
#[schema(as = RetryRequest)]
pub(super) struct Retry {
    /// What this turn has left to do; everything, when nothing is said.
    turn: Option<String>,
}

/// How much is tried again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Retried {
    retried: u64,
}

/// Tries at once what the vaults have not taken.
#[utoipa::path(
    post, path = "/api/undelivered/retry", operation_id = "retryUndelivered", tag = "turns", request_body = Retry,
    responses(
        (status = 200, description = "It is being tried.", body = Retried),
        (status = 404, description = "There is no such turn: `unknown_turn`."),
        (status = 409, description = "Several turns are called so: `ambiguous_turn`."),
    ),
)]
pub(super) async fn retry(State(api): State<Api>, Body(retry): Body<Retry>) -> Result<Json<Retried>, ApiError> {
    let turn = match &retry.turn {
        Some(turn) => Some(find(&api, turn).await?),
        None => None,
    };
    // The effects of a turn that joined another one are that one's.
    let turn = turn.map(|turn| turn.leader.unwrap_or(turn.id));
    let retried = api.outbox.retry(turn).await?;
    Ok(Json(Retried { retried }))
}
