//! The MCP door of a vault: `/vault/{name}/mcp`, streamable HTTP without sessions. Each request is answered by itself, as
//! JSON; what a tool does is what the route of the same name does, for the same caller.

pub(in crate::http) mod agents;
pub(in crate::http) mod arguments;
mod bounds;
pub(in crate::http) mod catalog;
pub(in crate::http) mod elsewhere;
mod info;
mod links;
mod notes;
mod rest;
pub(in crate::http) mod server;
mod tags;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest as _, FromRequestParts as _, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use rmcp::model::ErrorCode;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::Value;

use self::server::Server;
use super::Target;
use crate::http::error::too_large;
use crate::http::mcp::message::{TRANSPORT, failed, in_our_shape};
use crate::http::{Api, Caller};

const ALLOW: HeaderValue = HeaderValue::from_static("POST, DELETE");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// All methods of `/vault/{name}/mcp`.
pub(in crate::http) async fn answer(State(api): State<Api>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let target = match Target::from_request_parts(&mut parts, api.vaults.reachable()).await {
        Ok(target) => target,
        Err(failure) => return failure.into_response(),
    };
    match parts.method {
        Method::POST => {}
        // There is no session that could be ended, so it is ended.
        Method::DELETE => return StatusCode::OK.into_response(),
        // Nothing is ever sent unasked.
        _ => return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, ALLOW)]).into_response(),
    }
    // Who asks was found out at the door; without that the target would not have been found.
    let Some(caller) = parts.extensions.get::<Caller>().cloned() else {
        return StatusCode::FORBIDDEN.into_response();
    };
    let body = match Bytes::from_request(Request::from_parts(parts.clone(), body), &()).await {
        Ok(body) => body,
        Err(rejection) => {
            let refusal = too_large(&rejection);
            return failed(refusal.status, TRANSPORT, &refusal.message, &Value::Null);
        }
    };
    let id = match id_of(&body) {
        Ok(id) => id,
        Err((code, message)) => return failed(StatusCode::BAD_REQUEST, code, &message, &Value::Null),
    };
    let server = Server::new(api, target.vault, caller).await;
    in_our_shape(serve(server, parts, body).await, &id).await
}

/// Hands a request to the library. The door has checked the host and where the request comes from already.
async fn serve(server: Server, mut parts: Parts, body: Bytes) -> Response {
    // It is JSON, whatever the request calls it.
    parts.headers.insert(header::CONTENT_TYPE, JSON);
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(body.len())
        .disable_allowed_hosts();
    let make = move || Ok(server.clone());
    let service = StreamableHttpService::new(make, Arc::new(NeverSessionManager::default()), config);
    service
        .handle(Request::from_parts(parts, Body::from(body)))
        .await
        .map(Body::new)
}

/// The identity of a JSON-RPC message, to be named in errors about it.
fn id_of(body: &[u8]) -> Result<Value, (ErrorCode, String)> {
    let message: Value = serde_json::from_slice(body)
        .map_err(|error| (ErrorCode::PARSE_ERROR, format!("The body is not JSON ({error}).")))?;
    match message {
        Value::Object(fields) => Ok(fields.get("id").filter(|id| id.is_string() || id.is_number()).cloned()),
        Value::Array(_) => Err((
            ErrorCode::INVALID_REQUEST,
            "Batches are not taken: send each message in a request of its own.".into(),
        )),
        _ => Err((ErrorCode::INVALID_REQUEST, "A message is a JSON object.".into())),
    }
    .map(Option::unwrap_or_default)
}
