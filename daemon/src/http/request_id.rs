//! A name for every request: in its answer, and in what the log says while it is worked on. Here they are counted too.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue};
use tokio::time::Instant;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::metrics::Metrics;

/// Where it stands, in requests and answers.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest one that is taken over from a client.
const LENGTH_MAX: usize = 64;

/// Takes the id of a well-formed header, or makes one. Neither the query nor a header is logged: secrets may be in both.
pub(super) async fn name(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let id = match request.headers().get(HEADER) {
        Some(given) if is_well_formed(given) => given.clone(),
        _ => fresh(),
    };
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("", MatchedPath::as_str).to_owned();
    let span =
        tracing::error_span!("request", request = id.to_str().unwrap_or_default(), %method, route = route.as_str());
    async {
        let begun = Instant::now();
        let mut response = next.run(request).await;
        metrics.answered(&method, &route, response.status());
        let status = response.status().as_u16();
        tracing::debug!(status, took = ?begun.elapsed(), "answered");
        response.headers_mut().insert(HEADER, id);
        response
    }
    .instrument(span)
    .await
}

fn is_well_formed(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (1..=LENGTH_MAX).contains(&bytes.len())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

fn fresh() -> HeaderValue {
    let id = Uuid::now_v7().simple().to_string();
    // silent-ok: digits are always a header value
    HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}
