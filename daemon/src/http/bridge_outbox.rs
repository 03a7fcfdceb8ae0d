//! What bridges have not delivered: listed, and sent again.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use http::StatusCode;
use jiff::Timestamp;
use reveille_transports::outbox::{self, Listed, Outbox, OutboxError, Which};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::bridge_list::View as Bridge;
use super::error::{ApiError, Body, Segment};

/// Messages of a page unless asked otherwise, and at most.
const LIMIT: u32 = 100;
const LIMIT_MAX: u32 = 1000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// `waiting` or `undelivered`; the latter unless said.
    state: Option<String>,
    /// How many at most; 100 when nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<u64>,
}

/// A message that the other side has not got, without its text: that is in its note.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UndeliveredMessage)]
pub(super) struct View {
    /// Its identity, which begins with that of its note.
    id: String,
    /// The conversation of the other side.
    lane: String,
    /// Tries so far.
    attempts: u32,
    #[schema(required)]
    last_error: Option<String>,
    /// When the bridge got it.
    since_at: Timestamp,
    /// Null for what was given up.
    #[schema(required)]
    next_try_at: Option<Timestamp>,
}

impl From<Listed> for View {
    fn from(one: Listed) -> Self {
        Self {
            id: one.id,
            lane: one.lane,
            attempts: one.attempts,
            last_error: one.error,
            since_at: one.created_at,
            next_try_at: one.due_at,
        }
    }
}

/// What a bridge has not delivered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UndeliveredMessages)]
pub(super) struct Listing {
    messages: Vec<View>,
    /// For `cursor`; null on the last page.
    #[schema(required)]
    next_cursor: Option<u64>,
}

/// The outbox, and the name under which the bridge stands there; `None`: it keeps nothing. `sends`: it is to send something.
async fn of<'a>(api: &'a Api, bridge: &str, sends: bool) -> Result<Option<(&'a Outbox, String)>, ApiError> {
    let all = Bridge::all(api).await;
    let Some(one) = all.iter().find(|one| one.name == bridge) else {
        let known: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        let message = format!("There is no bridge {bridge:?}; there are: {}", known.join(", "));
        return Err(ApiError::new(StatusCode::NOT_FOUND, "unknown_bridge", message)
            .then("Nothing was done. Correct the name; `GET /api/bridges` lists them."));
    };
    if sends && one.state == "removed" {
        let message = format!("The bridge of {bridge:?} is removed, so nobody sends what it has left");
        return Err(ApiError::new(StatusCode::CONFLICT, "bridge_removed", message).then(
            "Nothing is lost. Add the bridge again, or throw it away: `reveille bridge remove NAME --discard`.",
        ));
    }
    Ok(api.bridges.outbox().zip(one.outbox.clone()))
}

fn failed(error: &OutboxError) -> ApiError {
    let message = format!("What bridges have to send cannot be used now: {error}");
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "outbox_unavailable", message)
        .then("Nothing is lost. Try again, and see `reveille doctor`.")
}

/// What a bridge has given up, or what waits in its outbox.
#[utoipa::path(
    get, path = "/api/bridges/{bridge}/undelivered", operation_id = "listUndeliveredMessages", tag = "bridges",
    params(("bridge" = String, Path, description = "The bridge."), Page),
    responses(
        (status = 200, description = "The oldest first.", body = Listing),
        (status = 400, description = "The parameters make no sense: `invalid_parameter`."),
        (status = 404, description = "There is no such bridge: `unknown_bridge`."),
    ),
)]
pub(super) async fn list(
    State(api): State<Api>,
    Segment(bridge): Segment,
    page: Result<Parameters<Page>, QueryRejection>,
) -> Result<Json<Listing>, ApiError> {
    let invalid = |message: String| ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", message);
    let Parameters(page) = page.map_err(|error| invalid(error.body_text()))?;
    let state = match page.state.as_deref() {
        None | Some("undelivered") => outbox::State::Undelivered,
        Some("waiting") => outbox::State::Waiting,
        Some(other) => {
            return Err(invalid(format!(
                "The state {other:?} is not known; use waiting or undelivered."
            )));
        }
    };
    let limit = page.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let found = match of(&api, &bridge, false).await? {
        Some((outbox, name)) => outbox.list(&name, state, page.cursor.unwrap_or(0), limit).await,
        None => Ok(Vec::new()),
    };
    let found = found.map_err(|error| failed(&error))?;
    let full = found.len() >= limit as usize;
    let last = found.last().map(|one| one.seq);
    Ok(Json(Listing {
        messages: found.into_iter().map(View::from).collect(),
        next_cursor: last.filter(|_| full),
    }))
}

/// What is to be sent again.
#[derive(Deserialize, ToSchema)]
#[schema(as = RedriveRequest)]
pub(super) struct Redrive {
    /// This message; everything that the bridge has given up, when nothing is said.
    id: Option<String>,
}

/// How much is sent again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RedrivenMessages)]
pub(super) struct Redriven {
    retried: u64,
}

/// Sends again what a bridge has given up, and tries at once what waits for its next try.
#[utoipa::path(
    post, path = "/api/bridges/{bridge}/redrive", operation_id = "redriveMessages", tag = "bridges",
    params(("bridge" = String, Path, description = "The bridge.")),
    request_body = Redrive,
    responses(
        (status = 200, description = "It is being sent.", body = Redriven),
        (status = 404, description = "There is no such bridge: `unknown_bridge`."),
        (status = 409, description = "It was removed: `bridge_removed`."),
    ),
)]
pub(super) async fn redrive(
    State(api): State<Api>,
    Segment(bridge): Segment,
    Body(asked): Body<Redrive>,
) -> Result<Json<Redriven>, ApiError> {
    let Some((outbox, name)) = of(&api, &bridge, true).await? else {
        return Ok(Json(Redriven { retried: 0 }));
    };
    let all = asked.id.is_none();
    let which = asked.id.map_or(Which::All, Which::One);
    let mut retried = outbox.redrive(&name, which).await.map_err(|error| failed(&error))?;
    if all {
        retried += outbox.hasten(&name).await.map_err(|error| failed(&error))?;
        let resumed = api.bridges.told().resume_bridge(&name).await;
        resumed.map_err(|error| failed(&OutboxError::Unavailable(error.to_string())))?;
    }
    Ok(Json(Redriven { retried }))
}
