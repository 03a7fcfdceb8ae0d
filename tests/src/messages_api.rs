//! A double of Anthropic's Messages API on a loopback socket, scripted by the prompts that it gets.
//!
//! Directives may stand anywhere in the last user text of a request, several of them together. Older texts, reminders
//! that the CLI adds and `[[links]]` of other names count as plain text.
//!
//! | directive | answer |
//! |---|---|
//! | none | `context: N user messages. You said: ` and the prompt's first 80 characters |
//! | `[[reply TEXT]]` | that text |
//! | `[[tool Bash {"command":"echo hi"}]]` | a tool use; a text once its result came. A second one is used in the next round |
//! | `[[thinking TEXT]]` | a thinking block before the first answer |
//! | `[[slow 20x50ms]]` | the text in 20 pieces, 50 ms before each (also `s`) |
//! | `[[big 200kb]]` | a text of exactly that size (also `mb`) |
//! | `[[refusal]]` | stop reason `refusal` |
//! | `[[error 529]]` | HTTP error of the API, for ever. Also `[[error too-long]]`, `[[error credit]]` |
//! | `[[error 529 x2]]` | twice for that exact prompt, then the rest of the script |
//! | `[[late]]` | faults wait until all tools have answered |
//! | `[[hang]]` | headers, then silence. `[[hang nobytes]]`: not even headers. Both take a count |
//! | `[[cut]]` | the connection is closed in the middle of the text, once (`[[cut x3]]`: three times) |
//!
//! A directive that is badly written gets a 400 that says so.

mod answer;
mod context;
mod record;
mod script;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use self::answer::{Answer, Frame, error_body};
use self::context::{Body as Ask, Context};
use self::record::{Open, Record};
pub use self::record::{Request, overlaps};
use self::script::{Fault, Script, error_of};

/// The API takes 32 MB and answers 413 to more.
const BODY_LIMIT: usize = 32 << 20;

/// A running double. It ends, with all its connections, when this is dropped.
#[derive(Debug)]
pub struct MessagesApi {
    url: String,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    record: Arc<Record>,
    /// How often each fault of each prompt has happened.
    spent: Mutex<HashMap<(String, usize), u32>>,
    requests: AtomicUsize,
}

impl MessagesApi {
    /// Starts a double on a free port of 127.0.0.1. It runs on a thread of its own, so a test may block.
    ///
    /// # Errors
    /// When no socket or thread can be had.
    pub async fn start() -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let (stop, stopped) = oneshot::channel();
        let (ready, bound) = oneshot::channel();
        let app = router(Arc::clone(&shared));
        let serve = async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
            let listener = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
            let (address, listener) = match listener {
                Ok((address, listener)) => (Ok(address), Some(listener)),
                Err(error) => (Err(error), None),
            };
            // silent-ok: the starter can only be gone together with its interest in the answer
            let _ = ready.send(address);
            let Some(listener) = listener else { return };
            // Without it each answer on a kept connection waits 40 ms for an acknowledgement.
            let listener = listener.tap_io(|socket| {
                let _ = socket.set_nodelay(true); // silent-ok: fails only on a socket that is closed already
            });
            let server = axum::serve(listener, app).into_future();
            tokio::select! {
                _ = server => {}
                _ = stopped => {}
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("runtime of the double")?;
        let thread = std::thread::Builder::new()
            .name("messages-api".to_owned())
            .spawn(move || runtime.block_on(serve))?;
        let address = bound
            .await
            .context("the double ended at once")?
            .context("bind 127.0.0.1:0")?;
        Ok(Self {
            url: format!("http://{address}"),
            shared,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Base URL for `ANTHROPIC_BASE_URL`, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All requests of `/v1/messages` so far, in the order of their arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.record.all()
    }
}

impl Drop for MessagesApi {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // silent-ok: a panic of the server has been printed by its own thread
            let _ = thread.join();
        }
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(|| async { "" }))
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .fallback(|State(shared): State<Arc<Shared>>| async move { shared.error(404, "Not found") })
        .method_not_allowed_fallback(|State(shared): State<Arc<Shared>>| async move {
            shared.error(405, "Method Not Allowed")
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(shared)
}

async fn count_tokens(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    match shared.read(&headers, &body, false) {
        Ok((_, context)) => json_response(
            200,
            &json!({"input_tokens": context.input_tokens}),
            &shared.request_id(),
        ),
        Err(refused) => refused,
    }
}

async fn messages(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let (ask, context) = match shared.read(&headers, &body, true) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    let model = ask.model.unwrap_or_default();
    let open = shared.record.open(&context, &headers, &model, ask.stream);
    let script = match Script::parse(&context.prompt) {
        Ok(script) => script,
        Err(error) => return shared.error(400, &error),
    };
    let answer = Answer::new(
        &script,
        &context,
        &model,
        shared.requests.fetch_add(1, Ordering::Relaxed),
    );
    let id = shared.request_id();
    match shared.fault(&script, &context.prompt, context.rounds) {
        Some(Fault::Error { status, kind, message }) => json_response(*status, &error_body(kind, message, &id), &id),
        Some(Fault::Hang { silent: true }) => {
            // Held until the client goes away: the server drops this future then, and `open` ends the record.
            let _open = open;
            std::future::pending().await
        }
        Some(Fault::Hang { silent: false }) => event_stream(Vec::new(), End::Silence, open, &id),
        Some(Fault::Cut) => event_stream(answer.half(), End::Cut, open, &id),
        None if ask.stream => event_stream(answer.frames(), End::Whole, open, &id),
        None => {
            tokio::time::sleep(answer.delay()).await;
            json_response(200, &answer.message(), &id)
        }
    }
}

impl Shared {
    /// Checks a request as the API does.
    #[expect(clippy::result_large_err, reason = "the error is the answer, moved once")]
    fn read(&self, headers: &HeaderMap, body: &[u8], needs_max_tokens: bool) -> Result<(Ask, Context), Response> {
        if !headers.contains_key("x-api-key") && !headers.contains_key("authorization") {
            return Err(self.error(401, "x-api-key header is required"));
        }
        if !headers.contains_key("anthropic-version") {
            return Err(self.error(400, "anthropic-version: header is required"));
        }
        let ask: Ask = serde_json::from_slice(body)
            .map_err(|error| self.error(400, &format!("The request body is not valid JSON: {error}")))?;
        let context = ask
            .context(headers, needs_max_tokens)
            .map_err(|message| self.error(400, &message))?;
        Ok((ask, context))
    }

    /// The first fault of the script that has not happened as often as it should, and counts it.
    fn fault<'a>(&self, script: &'a Script, prompt: &str, rounds: usize) -> Option<&'a Fault> {
        if script.late && rounds < script.tools.len() {
            return None;
        }
        let mut spent = lock(&self.spent);
        for (index, (fault, times)) in script.faults.iter().enumerate() {
            let spent = spent.entry((prompt.to_owned(), index)).or_default();
            if times.is_none_or(|times| *spent < times) {
                *spent += 1;
                return Some(fault);
            }
        }
        None
    }

    fn error(&self, status: u16, message: &str) -> Response {
        let id = self.request_id();
        json_response(status, &error_body(error_of(status).0, message, &id), &id)
    }

    fn request_id(&self) -> String {
        format!("req_double_{:06}", self.requests.fetch_add(1, Ordering::Relaxed))
    }
}

/// How a stream of events ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Cut,
    Silence,
}

fn event_stream(frames: Vec<Frame>, end: End, open: Open, request_id: &str) -> Response {
    let told = stream::iter(frames).then(|Frame { pause, bytes }| async move {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Ok(bytes)
    });
    let last = stream::once(async move {
        // The record ends with the body, also when the client goes away first.
        let _open = open;
        match end {
            End::Whole => Ok(Bytes::new()),
            End::Cut => {
                // A body that is not ready makes the server flush what it has.
                tokio::task::yield_now().await;
                // An error makes it close the connection without the closing chunk.
                Err(std::io::Error::other("cut by the script"))
            }
            End::Silence => std::future::pending().await,
        }
    });
    response(
        200,
        "text/event-stream; charset=utf-8",
        Body::from_stream(told.chain(last)),
        request_id,
    )
}

fn json_response(status: u16, body: &Value, request_id: &str) -> Response {
    response(status, "application/json", Body::from(body.to_string()), request_id)
}

fn response(status: u16, content_type: &'static str, body: Body, request_id: &str) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert("content-type", http::HeaderValue::from_static(content_type));
    if let Ok(id) = http::HeaderValue::from_str(request_id) {
        response.headers_mut().insert("request-id", id);
    }
    response
}

/// A panic elsewhere leaves counters and records, which are valid at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
