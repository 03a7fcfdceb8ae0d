//! Answers that are streams of server-sent events: what all of them have in common.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http::{HeaderName, HeaderValue, header};
use tokio::time::{Instant, Interval, interval_at};

/// How often a quiet stream says something, which keeps proxies and clients from giving up on it.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The first bytes: the stream is open.
pub(super) const CONNECTED: Bytes = Bytes::from_static(b": connected\n\n");
/// The last ones, for who is not let in any more.
pub(super) const SIGNED_OUT: Bytes =
    Bytes::from_static(b"event: unauthorized\ndata: {\"reason\":\"what let you in has ended or was taken away\"}\n\n");

const HEADERS: [(HeaderName, &str); 3] = [
    (header::CONTENT_TYPE, "text/event-stream"),
    // What is told is for who listens now, and for nobody else.
    (header::CACHE_CONTROL, "no-cache, no-store"),
    // nginx would keep events back until its buffer is full.
    (HeaderName::from_static("x-accel-buffering"), "no"),
];

/// Ticks when a stream should say something.
pub(super) fn heartbeat() -> Interval {
    interval_at(Instant::now() + HEARTBEAT, HEARTBEAT)
}

/// The answer that sends these frames as they come.
pub(super) fn answer(frames: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let mut response = Response::new(Body::from_stream(frames.map(Ok::<_, Infallible>)));
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
