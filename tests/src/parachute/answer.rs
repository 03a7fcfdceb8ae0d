//! From a request to an answer: addresses, the token, the routes.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use http::{HeaderValue, Method, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{Shared, Version, files, listing, lock, notes, tags, triggers};

/// A status and its JSON, or bytes.
pub(super) enum Reply {
    Json(u16, Value),
    Bytes(String, Vec<u8>),
    Nothing(u16),
}

/// Where the connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    No,
    Middle,
    Start,
}

pub(super) fn not_found() -> Reply {
    Reply::Json(404, json!({ "error": "Not found" }))
}

fn wrong_method() -> Reply {
    Reply::Json(405, json!({ "error": "Method not allowed" }))
}

/// The answer to everything that the server did not expect.
pub(super) fn broken() -> Reply {
    Reply::Json(500, json!({ "error": "Internal server error" }))
}

fn response(status: u16, kind: &str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    if let Ok(kind) = HeaderValue::from_str(kind) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

const JSON: &str = "application/json;charset=utf-8";

/// A status as a proxy or a broken server gives it.
pub(super) fn plain(status: u16) -> Response {
    let body = match status {
        401 => json!({ "error": "Unauthorized", "message": "made" }),
        403 => json!({ "error": "Forbidden", "error_type": "insufficient_scope", "required_scope": "vault:write" }),
        _ => json!({ "error": "made" }),
    };
    response(status, JSON, body.to_string().into())
}

/// A page of something else.
pub(super) fn garbled() -> Response {
    response(200, "text/html", "<html>Welcome</html>".into())
}

/// Nothing was done.
pub(super) fn internal_error() -> Response {
    plain(500)
}

/// Answers a request.
pub(super) async fn respond(shared: &Arc<Shared>, request: Request, cut: Cut) -> Response {
    let reply = route(shared, request).await;
    let (status, kind, bytes) = match reply {
        Reply::Json(status, body) => (status, JSON.to_owned(), body.to_string().into_bytes()),
        Reply::Bytes(kind, bytes) => (200, kind, bytes),
        Reply::Nothing(status) => return response(status, JSON, Body::empty()),
    };
    match cut {
        Cut::No => response(status, &kind, bytes.into()),
        Cut::Middle => response(status, &kind, broken_off(bytes)),
        Cut::Start => {
            let mut response = response(status, &kind, broken_off(Vec::new()));
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, HeaderValue::from(1_000));
            response
        }
    }
}

fn broken_off(mut bytes: Vec<u8>) -> Body {
    bytes.truncate(bytes.len() / 2);
    let first = stream::once(async { Ok(Bytes::from(bytes)) });
    let end = stream::once(async {
        // What is there goes out before the end.
        tokio::time::sleep(Duration::from_millis(5)).await;
        Err(std::io::Error::other("made"))
    });
    Body::from_stream(first.chain(end))
}

/// One segment of an address, decoded.
fn decoded(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

async fn route(shared: &Arc<Shared>, request: Request) -> Reply {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let (vault, rest) = match segments.as_slice() {
        ["health"] => return Reply::Json(200, json!({ "status": "ok" })),
        ["vault", vault] => (decoded(vault), &[] as &[&str]),
        ["vault", vault, "api", rest @ ..] => (decoded(vault), rest),
        _ => return not_found(),
    };
    if vault != shared.vault {
        return Reply::Json(404, json!({ "error": "Vault not found", "vault": vault }));
    }
    let bearer = request.headers().get(header::AUTHORIZATION);
    let token = bearer
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    match token {
        None => return Reply::Json(401, json!({ "error": "Unauthorized", "message": "no key" })),
        Some(token) if token == *lock(&shared.token) => {}
        Some(_) => return Reply::Json(401, json!({ "error": "Unauthorized", "message": "wrong key" })),
    }
    let method = request.method().clone();
    match (method, rest) {
        (Method::GET, ["health"]) => Reply::Json(200, json!({ "status": "ok", "vault": vault })),
        (Method::GET, []) => Reply::Json(200, json!({ "name": vault, "createdAt": shared.made_at })),
        (Method::GET, ["vault"]) => tags::about(shared, request.uri().query().unwrap_or_default()),
        (Method::PATCH, ["vault"]) => tags::describe(shared, request).await,
        (Method::GET, ["notes"]) => listing::list(shared, request.uri().query().unwrap_or_default()),
        (Method::POST, ["notes"]) => notes::post(shared, request).await,
        (_, ["notes"]) => wrong_method(),
        (Method::GET, ["notes", key]) => {
            listing::show(shared, &decoded(key), request.uri().query().unwrap_or_default())
        }
        (Method::PATCH, ["notes", key]) => notes::patch(shared, &decoded(key), request).await,
        (Method::DELETE, ["notes", key]) => notes::delete(shared, &decoded(key)),
        (_, ["notes", _]) => wrong_method(),
        (Method::GET, ["notes", key, "attachments"]) => files::attachments(shared, &decoded(key)),
        (Method::POST, ["notes", key, "attachments"]) => files::attach(shared, &decoded(key), request).await,
        (Method::DELETE, ["notes", key, "attachments", id]) => files::detach(shared, &decoded(key), &decoded(id)),
        (Method::POST, ["storage", "upload"]) => files::upload(shared, request).await,
        (Method::GET, ["storage", day, file]) => files::bytes(shared, &format!("{}/{}", decoded(day), decoded(file))),
        // The slash must be raw; the newer one takes it encoded as well.
        (Method::GET, ["storage", both]) if shared.version == Version::July => files::bytes(shared, &decoded(both)),
        (Method::PUT, ["tags", name]) => tags::put(shared, &decoded(name), request).await,
        (Method::GET, ["tags", name]) => tags::show(shared, &decoded(name)),
        (method, ["triggers", rest @ ..]) if shared.version == Version::July => {
            let name = rest.first().map(|name| decoded(name));
            triggers::manage(shared, &method, name.as_deref(), request).await
        }
        _ => not_found(),
    }
}

/// The JSON of a request, all of it.
pub(super) async fn json_of(request: Request) -> Option<Value> {
    let bytes = axum::body::to_bytes(request.into_body(), 64 << 20).await.ok()?;
    serde_json::from_slice(&bytes).ok()
}
