//! Requests and their clients: bodies that come late or that nobody wants, and clients that go away.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use http::{HeaderValue, Method, StatusCode, header};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::error::ApiError;
use super::refusal::Refusal;
use super::socket::Rest;
use super::{mcp, vault_api};

/// Most bytes of the rest of a body that are looked at, so that a connection may go on.
const REST_BYTES: usize = 256 * 1024;
/// How often it is looked whether more has arrived: not so long that anybody waits for it.
const LOOKS: u32 = 3;
/// So many bytes buy it another millisecond, so that a large file may come over a slow line: 64 KB a second.
const BYTES_PER_MS: usize = 64;

/// Bounds the time of a body, without which a client that sends nothing would keep its connection for ever. When the answer
/// is there before the body, nobody waits for the rest: the connection ends behind the answer, and until then what still comes
/// is thrown away ([`Rest`]).
pub(super) async fn arrive(State(arrival): State<Duration>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    // Who expects a word before it sends gets it with the first look at the body, and has not sent before.
    let expects = request.headers().contains_key(header::EXPECT);
    let behind = request.extensions().get::<Rest>().cloned();
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
    let mut response = next.run(Request::from_parts(parts, shared)).await;
    let late = course.late.load(Ordering::Relaxed);
    let unasked = expects && !course.begun.load(Ordering::Relaxed);
    if late || unasked || !is_there(chunks(body)).await {
        if let Some(rest) = behind {
            rest.comes();
        }
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether the rest of a body has arrived already.
async fn is_there(mut rest: impl Stream<Item = Result<Bytes, axum::Error>> + Unpin) -> bool {
    let (mut bytes, mut looks) = (0, 0);
    while bytes < REST_BYTES && looks < LOOKS {
        match rest.next().now_or_never() {
            Some(None) => return true,
            Some(Some(Ok(chunk))) => (bytes, looks) = (bytes + chunk.len(), 0),
            Some(Some(Err(_))) => return false,
            None => {
                looks += 1;
                tokio::task::yield_now().await;
            }
        }
    }
    false
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

/// Answers what a handler that fails cannot: the connection would end without a word. The log has the reason.
pub(super) async fn catch(request: Request, next: Next) -> Response {
    let ran = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    ran.unwrap_or_else(|_| {
        tracing::error!("a request handler failed");
        ApiError::internal().into_response()
    })
}

/// Refuses an address whose names cannot be read. Behind the gate: strangers are not told even that.
pub(super) async fn check_address(request: Request, next: Next) -> Response {
    if is_readable(request.uri().path()) {
        return next.run(request).await;
    }
    let message = "The address cannot be read: its percent escapes are broken.";
    let refusal = ApiError::new(StatusCode::BAD_REQUEST, "invalid_address", message);
    Refusal::from(refusal.then("Encode each name as UTF-8 with escapes such as %20.")).answer(request.uri().path())
}

/// Whether each `%` begins an escape, and all of them together are text.
fn is_readable(path: &str) -> bool {
    let is_escape = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    path.split('%').skip(1).all(is_escape) && percent_encoding::percent_decode_str(path).decode_utf8().is_ok()
}

/// Refuses a body that says of itself that it is larger than `most`, before it is waited for.
pub(super) async fn check_length(State(most): State<usize>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok()); // silent-ok: it is counted as it comes
    let larger = length.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > most));
    // What takes more has a limit of its own, and looks at the length itself.
    if !larger || path.ends_with("/api/storage/upload") {
        return next.run(request).await;
    }
    match path {
        path if mcp::is_door(path) => mcp::body_too_large(),
        path if path.starts_with("/vault/") => vault_api::too_large(),
        _ => ApiError::body_too_large().into_response(),
    }
}

/// What ends with its client, although it changes something: it waits to take something for it, and gives back by itself what
/// nobody is there to have.
const ENDS_WITH_CLIENT: &str = "/api/channels/{channel}/next";

/// Lets a request that changes something run to its end, also when its client goes away in the middle: what it has
/// committed must have its consequences.
pub(super) async fn finish(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let ends = route.is_some_and(|route| route.as_str() == ENDS_WITH_CLIENT);
    if ends || matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let ran = tokio::spawn(next.run(request).in_current_span()).await;
    ran.unwrap_or_else(|error| {
        tracing::error!(%error, "a request handler failed");
        ApiError::internal().into_response()
    })
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::to_bytes;
    use axum::middleware::{from_fn, from_fn_with_state};
    use axum::routing::get;
    use pretty_assertions::assert_eq;
    use tower::ServiceExt as _;

    use super::*;

    #[test]
    fn escapes_are_whole_and_make_a_text() {
        for path in ["/a", "/a%20b", "/%C3%A4", "/%e2%82%ac/x", "/%25zz"] {
            assert!(is_readable(path), "{path}");
        }
        for path in [
            "/%", "/%2", "/%zz", "/a%g0", "/%ff", "/%C3%28", "/eng%", "/%+1", "/%C3/%A4",
        ] {
            assert!(!is_readable(path), "{path}");
        }
    }

    /// The answer of a handler that reads nothing, to a request with this body.
    async fn unread(body: Body) -> (bool, Duration) {
        let layer = from_fn_with_state(Duration::from_secs(60), arrive);
        let router: Router = Router::new().route("/", get(|| async { "no" })).layer(layer);
        let begun = Instant::now();
        let answer = router.oneshot(Request::new(body)).await.unwrap();
        (answer.headers().contains_key(header::CONNECTION), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_body_that_is_not_wanted() {
        let never = stream::pending::<Result<Bytes, axum::Error>>();
        let begun = stream::iter([Ok::<_, axum::Error>(Bytes::from("half"))]).chain(never);
        for body in [
            Body::from_stream(begun),
            Body::from_stream(stream::pending::<Result<Bytes, axum::Error>>()),
        ] {
            assert_eq!(unread(body).await, (true, Duration::ZERO));
        }
        // The connection goes on where everything is there.
        assert_eq!(unread(Body::from("whole")).await, (false, Duration::ZERO));
        let endless = stream::repeat_with(|| Ok::<_, axum::Error>(Bytes::from_static(&[0; 1024])));
        assert_eq!(unread(Body::from_stream(endless)).await, (true, Duration::ZERO));
    }

    #[tokio::test]
    async fn a_handler_that_fails_is_told() {
        async fn failing() -> &'static str {
            panic!("on purpose")
        }
        let router: Router = Router::new().route("/", get(failing)).layer(from_fn(catch));
        let answer = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"], "internal");
    }
}
