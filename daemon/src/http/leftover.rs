//! What is left of a request's body once it has been answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use http::header;

/// Most bytes that are read and thrown away.
const BYTES_MAX: usize = 64 << 20;
/// Longest time for it.
const TIME_MAX: Duration = Duration::from_secs(5);

/// Reads the rest of a body that was refused before its end. Closing the connection while a client still sends makes its
/// system drop our answer: it would see a broken connection instead of the reason.
pub(super) async fn drain(request: Request, next: Next) -> Response {
    // Who expects a word before it sends has not sent yet.
    if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let body = Arc::new(Mutex::new(body.into_data_stream()));
    let chunks = |body: Arc<Mutex<axum::body::BodyDataStream>>| {
        stream::poll_fn(move |context| {
            body.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .poll_next_unpin(context)
        })
    };
    let shared = Body::from_stream(chunks(Arc::clone(&body)));
    let response = next.run(Request::from_parts(parts, shared)).await;
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
