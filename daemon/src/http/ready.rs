//! `GET /ready`: whether the daemon takes up work now. Others than those who may read are told no reasons.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::standing::may_read;
use crate::worker::Stage;

/// Whether turns begin now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Readiness {
    Ready,
    /// What an earlier run has left is dealt with first.
    Starting,
    /// No turn begins any more.
    Stopping,
    /// The queue cannot be read.
    Failing,
}

/// Why not.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NotReady)]
struct Reason {
    /// Stable code.
    code: &'static str,
    message: String,
}

/// Whether the daemon takes up work.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ready {
    status: Readiness,
    /// For those who may read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Reason>,
}

/// Whether the daemon takes up work. For everybody; reasons are for those who may read.
#[utoipa::path(
    get, path = "/ready", operation_id = "getReady", tag = "about", security((), ("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, description = "Turns begin.", body = Ready),
        (status = 503, description = "Not now: it starts, stops, or cannot read its queue.", body = Ready),
    ),
)]
pub(super) async fn ready(State(api): State<Api>, parts: Parts) -> Response {
    let (status, code, message) = match api.workers.stage() {
        Stage::Recovering => (
            Readiness::Starting,
            "recovering",
            "What an earlier run has left is dealt with first; messages are taken, and worked on after that."
                .to_owned(),
        ),
        Stage::Draining => (
            Readiness::Stopping,
            "draining",
            "The daemon stops: running turns may end, no new one begins. Messages are kept for the next start."
                .to_owned(),
        ),
        Stage::Open => match api.queue.pauses().await {
            Ok(_) => {
                let ready = Ready {
                    status: Readiness::Ready,
                    reasons: Vec::new(),
                };
                return Json(ready).into_response();
            }
            Err(error) => (Readiness::Failing, "queue_unavailable", error.to_string()),
        },
    };
    let reasons = match may_read(&api.auth, &parts).await {
        true => vec![Reason { code, message }],
        false => Vec::new(),
    };
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, Json(Ready { status, reasons })).into_response();
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}
