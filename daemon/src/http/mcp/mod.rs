//! MCP over streamable HTTP, with sessions: `/mcp` is the whole daemon, `/mcp/{channel}` one agent. Who asks is found out for
//! each request anew, so a session never reaches further than the token that came with the request.

mod catalog;
mod delegate;
mod hearer;
pub(super) mod message;
mod pull;
mod push;
mod server;
mod sessions;
mod stream;

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest as _, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use rmcp::model::ErrorCode;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::Value;

use self::hearer::Hearer;
use self::message::{Kind, Message, Messages, TRANSPORT, failed, in_our_shape};
pub(super) use self::push::say;
use self::server::{Server, VERSIONS};
pub(crate) use self::sessions::{Door, Sessions, WHOLE};
use self::sessions::{Open, Session};
use super::error::{ApiError, Segment, too_large};
use super::standing::Standing;
use super::{Api, Caller};

/// Which session a request belongs to.
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// Which revision of the protocol it speaks.
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const ALLOW: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");
/// There is no such session.
const NO_SESSION: ErrorCode = ErrorCode(-32001);

/// Whether JSON-RPC is spoken at an address.
pub(super) fn is_door(path: &str) -> bool {
    let in_vault = path.strip_prefix("/vault/").and_then(|path| path.split_once('/'));
    path == "/mcp" || path.starts_with("/mcp/") || in_vault.is_some_and(|(_, rest)| rest == "mcp")
}

/// What is said of a body there that is too large.
pub(super) fn body_too_large() -> Response {
    let refusal = ApiError::body_too_large();
    failed(refusal.status, TRANSPORT, &refusal.message, &Value::Null)
}

/// All methods of `/mcp`.
pub(super) async fn daemon(State(api): State<Api>, request: Request) -> Response {
    answer(api, Door::Daemon, request).await
}

/// All methods of `/mcp/{channel}`.
pub(super) async fn channel(State(api): State<Api>, Segment(channel): Segment, request: Request) -> Response {
    answer(api, Door::Channel(channel), request).await
}

async fn answer(api: Api, door: Door, request: Request) -> Response {
    // Who asks was found out at the gate; without that nobody would have come here.
    let Some(caller) = request.extensions().get::<Caller>().cloned() else {
        return StatusCode::FORBIDDEN.into_response();
    };
    if let Some(refusal) = wrong_version(request.headers()) {
        return refusal;
    }
    let visit = Visit { api, door, caller };
    let named = request
        .headers()
        .get(SESSION)
        .map(|id| id.to_str().unwrap_or_default().to_owned()); // silent-ok: none of ours
    let session = match &named {
        Some(id) => visit.api.mcp.find(id, &visit.door, &visit.caller.subject()).await,
        None => None,
    };
    match (request.method().clone(), session) {
        (Method::POST, session) => visit.post(request, named.is_some(), session).await,
        (Method::GET, Some(session)) => visit.stand(request, session).await,
        (Method::DELETE, Some(session)) => {
            visit.api.mcp.close(&session.id).await;
            StatusCode::OK.into_response()
        }
        // What is not there has ended.
        (Method::DELETE, None) => StatusCode::NO_CONTENT.into_response(),
        (Method::GET, None) if named.is_some() => no_session(&Value::Null),
        (Method::GET, None) => session_needed(&Value::Null),
        _ => {
            let mut refusal = failed(
                StatusCode::METHOD_NOT_ALLOWED,
                TRANSPORT,
                "This address takes POST, GET and DELETE.",
                &Value::Null,
            );
            refusal.headers_mut().insert(header::ALLOW, ALLOW);
            refusal
        }
    }
}

/// Refuses revisions that are not spoken here.
fn wrong_version(headers: &HeaderMap) -> Option<Response> {
    let asked = headers.get(VERSION)?;
    if VERSIONS.iter().any(|known| asked == known) {
        return None;
    }
    let message = format!(
        "This revision of MCP (MCP-Protocol-Version) is not spoken here; these are: {}.",
        VERSIONS.join(", ")
    );
    Some(failed(StatusCode::BAD_REQUEST, TRANSPORT, &message, &Value::Null))
}

fn session_needed(id: &Value) -> Response {
    let message = "There is no valid session: send `initialize` first, and then the Mcp-Session-Id that it answers.";
    failed(StatusCode::BAD_REQUEST, TRANSPORT, message, id)
}

fn no_session(id: &Value) -> Response {
    let message = "This session does not exist or has ended: send `initialize` without Mcp-Session-Id.";
    failed(StatusCode::NOT_FOUND, NO_SESSION, message, id)
}

/// The id in the answer would be that of the other request, which is answered itself.
fn asked_twice(id: &Value) -> Response {
    let message =
        format!("A request with the id {id} is being answered in this session: give each request an id of its own.");
    failed(
        StatusCode::BAD_REQUEST,
        ErrorCode::INVALID_REQUEST,
        &message,
        &Value::Null,
    )
}

fn is_json(headers: &HeaderMap) -> bool {
    let named = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = named.and_then(|named| named.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// A request at a door.
struct Visit {
    api: Api,
    door: Door,
    caller: Caller,
}

impl Visit {
    async fn post(self, request: Request, named: bool, session: Option<Arc<Session>>) -> Response {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            let message = "The Content-Type of a message is application/json.";
            return failed(StatusCode::UNSUPPORTED_MEDIA_TYPE, TRANSPORT, message, &Value::Null);
        }
        let body = match Bytes::from_request(Request::from_parts(parts.clone(), body), &()).await {
            Ok(body) => body,
            Err(rejection) => {
                let refusal = too_large(&rejection);
                return failed(refusal.status, TRANSPORT, &refusal.message, &Value::Null);
            }
        };
        let messages = match Messages::read(&body) {
            Ok(messages) => messages,
            Err((code, message)) => return failed(StatusCode::BAD_REQUEST, code, &message, &Value::Null),
        };
        let id = messages.id();
        let begins = messages.of.iter().any(|one| one.kind == Kind::Initialize);
        match session {
            Some(_) if begins => {
                let message = "This session was initialized before.";
                failed(StatusCode::BAD_REQUEST, ErrorCode::INVALID_REQUEST, message, &id)
            }
            Some(session) => self.carry(&parts, messages, &session).await,
            None if begins && messages.of.len() > 1 => {
                let message = "`initialize` stands alone: send what follows it in requests of their own.";
                failed(StatusCode::BAD_REQUEST, ErrorCode::INVALID_REQUEST, message, &id)
            }
            None if begins => self.begin(parts, body, &id).await,
            None if named => no_session(&id),
            None => session_needed(&id),
        }
    }

    /// Opens a session.
    async fn begin(self, mut parts: Parts, body: Bytes, id: &Value) -> Response {
        // Only now: who may not read was turned away before.
        if let Door::Channel(channel) = &self.door
            && self.api.registry.get(channel).is_none()
            && self.api.bridges.get(channel).is_none()
        {
            return self.api.no_agent(channel).into_response();
        }
        parts.headers.remove(SESSION);
        let opened = self.api.mcp.open(self.door.clone(), self.caller.subject(), async {
            let answer = self.hand_over(&parts, body).await;
            let named = answer.headers().get(SESSION).and_then(|id| id.to_str().ok());
            let named = named.filter(|_| answer.status().is_success()).map(str::to_owned);
            (answer, named)
        });
        match opened.await {
            Ok((answer, Some(session))) => stream::held(answer, Open::answer(session), None),
            Ok((answer, None)) => in_our_shape(answer, id).await,
            Err(refusal) => refusal.into_response(),
        }
    }

    /// Gives messages to a session; the answers come as one stream. One that is refused takes nothing from the others.
    async fn carry(self, parts: &Parts, messages: Messages, session: &Arc<Session>) -> Response {
        let alone = messages.of.len() == 1;
        let (mut answers, mut refused, mut last) = (Vec::new(), Vec::new(), None);
        for message in messages.of {
            let is_request = message.kind == Kind::Request;
            match self.give(parts, message, session).await {
                Ok(answer) if is_request => answers.push(answer),
                Ok(answer) => last = Some(answer),
                Err(refusal) if alone => return refusal,
                Err(refusal) => refused.push(refusal),
            }
        }
        let status = refused.first().map(Response::status);
        let mut told = Vec::new();
        for refusal in refused {
            told.push(message::told(refusal).await);
        }
        if let Some(answer) = stream::joined(answers, &told) {
            return answer;
        }
        match (status, last) {
            (Some(status), _) => (status, Json(told)).into_response(),
            (None, Some(answer)) => answer,
            (None, None) => StatusCode::ACCEPTED.into_response(),
        }
    }

    /// Gives one message to a session.
    ///
    /// # Errors
    /// The refusal.
    async fn give(&self, parts: &Parts, message: Message, session: &Arc<Session>) -> Result<Response, Response> {
        let open = match message.kind {
            Kind::Request => match Open::answer_to(Arc::clone(session), &message.id) {
                Some(open) => Some(open),
                None => return Err(asked_twice(&message.id)),
            },
            Kind::Initialize | Kind::Other => None,
        };
        let (hearer, there) = Hearer::new();
        let mut parts = parts.clone();
        parts.extensions.insert(hearer);
        let answer = self.hand_over(&parts, message.body).await;
        let answer = in_our_shape(answer, &message.id).await;
        match (answer.status().is_success(), open) {
            (true, Some(open)) => Ok(stream::held(answer, open, Some(there))),
            (true, None) => Ok(answer),
            (false, open) => {
                if let Some(open) = open {
                    open.end();
                }
                Err(answer)
            }
        }
    }

    /// The stream for what is said unasked.
    async fn stand(self, request: Request, session: Arc<Session>) -> Response {
        let comes_back = request.headers().contains_key("last-event-id");
        let open = match Open::standing(Arc::clone(&session)) {
            Some(open) => open,
            // Whoever lost its connection comes back before we know; the library takes the newer one.
            None if comes_back => Open::answer(session),
            None => {
                let message = "The stream of this session is open already; a session has one.";
                return failed(StatusCode::CONFLICT, TRANSPORT, message, &Value::Null);
            }
        };
        let (parts, _) = request.into_parts();
        let standing = parts.extensions.get::<Standing>().cloned();
        let answer = self.hand_over(&parts, Bytes::new()).await;
        if !answer.status().is_success() {
            return in_our_shape(answer, &Value::Null).await;
        }
        // The gate leaves it with each request that it lets in.
        let Some(standing) = standing else {
            return StatusCode::FORBIDDEN.into_response();
        };
        // Who stands at a channel hears what is for its sessions.
        let answer = match &self.door {
            Door::Channel(channel) => stream::told(answer, self.api.bridges.sessions().listen(channel)),
            Door::Daemon => answer,
        };
        stream::held(stream::while_let_in(answer, standing), open, None)
    }

    /// Hands a request to the library. The gate has checked the host and where the request comes from already.
    async fn hand_over(&self, parts: &Parts, body: Bytes) -> Response {
        let mut parts = parts.clone();
        // The library does not know the first revision of all, which had no such header.
        parts.headers.remove(VERSION);
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(true)
            .with_sse_retry(None)
            .with_cancellation_token(self.api.mcp.drain())
            .with_max_request_body_bytes(body.len())
            .disable_allowed_hosts();
        let server = Server::new(self.api.clone(), self.door.clone());
        let make = move || Ok(server.clone());
        let service = StreamableHttpService::new(make, self.api.mcp.manager(), config);
        let answer = service.handle(Request::from_parts(parts, Body::from(body))).await;
        answer.map(Body::new)
    }
}
