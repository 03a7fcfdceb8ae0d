//! Answers that are streams of server-sent events: what all of them have in common.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderName, HeaderValue, header};
use tokio::time::{Instant, Interval, interval_at};

use crate::live::Chunk;

/// How often a quiet stream says something, which keeps proxies and clients from giving up on it.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);

/// The first bytes: the stream is open.
pub(super) const CONNECTED: &[u8] = b": connected\n\n";
/// The last ones, for who is not let in any more.
pub(super) const SIGNED_OUT: &[u8] =
    b"event: unauthorized\ndata: {\"reason\":\"what let you in has ended or was taken away\"}\n\n";

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

/// Events as they come.
pub(super) type Frames = Pin<Box<dyn Stream<Item = Chunk> + Send>>;

/// The events of an answer, until somebody takes them to send them: its body, or who sends them more cheaply than a body can
/// ([`super::leave`]). A part of the answer, so that what stands between can add to them.
#[derive(Clone)]
pub(super) struct Held(Arc<Mutex<Option<Frames>>>);

impl Held {
    /// They are the taker's from now on.
    pub(super) fn take(&self) -> Option<Frames> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Puts others in their place.
    pub(super) fn put(&self, frames: impl Stream<Item = Chunk> + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(frames));
    }

    /// The body that takes them when it is asked for its first part.
    fn body(self) -> Body {
        let mut taken = None;
        let chunks = stream::poll_fn(move |context| {
            if taken.is_none() {
                taken = self.take();
            }
            // Without them, somebody else sends them.
            let Some(frames) = &mut taken else { return Poll::Pending };
            frames.poll_next_unpin(context)
        });
        Body::from_stream(chunks.map(|chunk| Ok::<_, Infallible>(chunk.text())))
    }
}

/// The answer that sends these frames as they come.
pub(super) fn answer(frames: impl Stream<Item = Chunk> + Send + 'static) -> Response {
    let held = Held(Arc::new(Mutex::new(Some(Box::pin(frames)))));
    let mut response = Response::new(held.clone().body());
    response.extensions_mut().insert(held);
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
