//! `GET /api/doctor`: what `reveille doctor` finds, looked up by the daemon itself.

use axum::Json;
use axum::extract::State;

use super::Api;
use super::health::report;
use crate::doctor::{Health, Report};

/// Whether everything that the daemon needs is there.
///
/// The checks take some seconds; who asks while they run gets what they find. There is no secret in it.
#[utoipa::path(
    get, path = "/api/doctor", operation_id = "getDoctor", tag = "about",
    responses((status = 200, description = "What was found, also when something is wrong.", body = Report)),
)]
pub(super) async fn show(State(api): State<Api>) -> Json<Report> {
    let health = match serde_json::to_value(report(&api).await) {
        Ok(health) => Health::Told(health),
        Err(error) => Health::Silent(error.to_string()),
    };
    let report = api.doctor.look(health).await;
    Json((*report).clone())
}
