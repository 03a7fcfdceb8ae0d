//! `GET /metrics`: figures for Prometheus and those who read the same.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;

use super::Api;
use super::bridge_list::View;
use super::error::ApiError;
use super::health::look;
use crate::metrics::{BridgeSample, Format, Sample, VaultSample};

/// Seconds that have passed since a time; none without one.
fn age(since: Option<Timestamp>) -> f64 {
    since.map_or(0.0, |since| {
        Timestamp::now().duration_since(since).as_secs_f64().max(0.0)
    })
}

async fn sample(api: &Api) -> Result<Sample, ApiError> {
    let load = api.queue.load().await?;
    let depths = api.queue.depths().await?;
    let look = look(api).await;
    let vaults = look.vaults.iter().map(|vault| VaultSample {
        name: vault.name.clone(),
        is_ready: vault.state.is_ready(),
        breaker: vault.deliveries.as_ref().map_or("closed", |one| one.state),
    });
    let bridges = View::all(api).await;
    Ok(Sample {
        is_well: look.status.is_ok(),
        agents: api.registry.count() as u64,
        waiting: depths
            .into_iter()
            .map(|(channel, turns)| (channel.to_string(), turns))
            .collect(),
        oldest_waiting: age(load.oldest_waiting),
        running: api.workers.live().len() as u64,
        taken: api.queue.taken().await?.len() as u64,
        effects: load.effects,
        oldest_effect: age(load.oldest_effect),
        overdue: api.outbox.count_overdue().await?,
        vaults: vaults.collect(),
        bridges: bridges
            .into_iter()
            .map(|one| BridgeSample {
                name: one.name,
                state: one.state,
                // Without an outbox nothing can wait.
                waiting: one.waiting.or(one.outbox.is_none().then_some(0)),
                undelivered: one.undelivered.or(one.outbox.is_none().then_some(0)),
            })
            .collect(),
        watchers_of_all: api.hub.watchers_of_all() as u64,
        watchers_of_one: api.hub.watchers_of_one() as u64,
    })
}

/// Which format is asked for. Who asks for none in particular gets the one that everybody reads.
fn format_of(headers: &HeaderMap) -> Format {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let mut texts = accepted.filter_map(|value| value.to_str().ok()); // silent-ok: no media type of ours
    match texts.any(|text| text.contains("application/openmetrics-text")) {
        true => Format::OpenMetrics,
        false => Format::Prometheus,
    }
}

/// Figures of the daemon, in the text format of Prometheus or as OpenMetrics.
#[utoipa::path(
    get, path = "/metrics", operation_id = "getMetrics", tag = "about",
    responses(
        (status = 200, description = "All figures.", content(
            (String = "text/plain; version=0.0.4; charset=utf-8"),
            (String = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        )),
    ),
)]
pub(super) async fn show(State(api): State<Api>, headers: HeaderMap) -> Result<Response, ApiError> {
    let format = format_of(&headers);
    let text = api.metrics.text(sample(&api).await?, format).map_err(|error| {
        tracing::error!(%error, "the figures could not be written");
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The figures could not be written.",
        )
    })?;
    Ok(([(header::CONTENT_TYPE, format.media_type())], text).into_response())
}
