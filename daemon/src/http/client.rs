//! Requests and their clients: bodies that come late or that nobody wants, and clients that go away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{Method, header};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::error::ApiError;

/// Most bytes that are read and thrown away.
const BYTES_MAX: usize = 64 << 20;
/// Longest time for it.
const TIME_MAX: Duration = Duration::from_secs(5);
/// So many bytes buy it another millisecond, so that a large file may come over a slow line: 64 KB a second.
const BYTES_PER_MS: usize = 64;

/// Bounds the time of a body, without which a client that sends nothing would keep its connection for ever. Reads the rest
/// of one that was refused before its end: closing the connection while a client still sends makes its system drop our
/// answer, and it would see a broken connection instead of the reason.
pub(super) async fn drain(State(arrival): State<Duration>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    // Who expects a word before it sends gets it with the first look at the body, and has not sent before.
    let expects = request.headers().contains_key(header::EXPECT);
    let (parts, body) = request.into_parts();
    let course = Arc::new(Course::default());
    let body = Arc::new(Mutex::new(body.into_data_stream()));
    let chunks = |body: Arc<Mutex<axum::body::BodyDataStream>>| {
        stream::poll_fn(move |context| {
            body.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .poll_next_unpin(context)
        })
    };
    let arriving = Box::pin(chunks(Arc::clone(&body)));
    let shared = Body::from_stream(in_time(arriving, Instant::now() + arrival, Arc::clone(&course)));
    let response = next.run(Request::from_parts(parts, shared)).await;
    if course.late.load(Ordering::Relaxed) || expects && !course.begun.load(Ordering::Relaxed) {
        return response;
    }
    let mut rest = chunks(body);
    let read = async {
        let mut left = BYTES_MAX;
        while let Some(Ok(chunk)) = rest.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                return;
            }
        }
    };
    // silent-ok: who sends that much or that slowly may lose the answer.
    let _ = tokio::time::timeout(TIME_MAX, read).await;
    response
}

/// How far the reading of a body came.
#[derive(Default)]
struct Course {
    begun: AtomicBool,
    /// Its time ran out.
    late: AtomicBool,
}

/// The same chunks, with an error instead of those after `deadline`. Each chunk moves it on by its size.
fn in_time(
    chunks: impl Stream<Item = Result<Bytes, axum::Error>> + Unpin,
    deadline: Instant,
    course: Arc<Course>,
) -> impl Stream<Item = Result<Bytes, axum::Error>> {
    stream::unfold(Some((chunks, course, deadline)), move |state| async move {
        let (mut chunks, course, deadline) = state?;
        course.begun.store(true, Ordering::Relaxed);
        match tokio::time::timeout_at(deadline, chunks.next()).await {
            Ok(chunk) => {
                let chunk = chunk?;
                let bytes = chunk.as_ref().map_or(0, Bytes::len);
                let earned = Duration::from_millis(u64::try_from(bytes / BYTES_PER_MS).unwrap_or(u64::MAX));
                Some((chunk, Some((chunks, course, deadline + earned))))
            }
            Err(late) => {
                course.late.store(true, Ordering::Relaxed);
                Some((Err(axum::Error::new(late)), None))
            }
        }
    })
}

/// Lets a request that changes something run to its end, also when its client goes away in the middle: what it has
/// committed must have its consequences.
pub(super) async fn finish(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let ran = tokio::spawn(next.run(request).in_current_span()).await;
    ran.unwrap_or_else(|error| {
        tracing::error!(%error, "a request handler failed");
        ApiError::internal().into_response()
    })
}
