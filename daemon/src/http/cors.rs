//! Pages of other origins may use the notes API, with a token of their own.
//!
//! Every origin is allowed (`*`), and `Access-Control-Allow-Credentials` is never sent. So a browser gives the answer to
//! the page only when the request carried no cookie: what a person signed in for is not lent to other pages. Such a page
//! knows no token either, unless somebody gave it one, and then it could use it from anywhere. Three more things keep the
//! cookie out of it: it is `SameSite=Strict`, writes with it need our own page ([`super::auth`]), and a request that comes
//! with any cookie gets no CORS headers here. Foreign host names are turned away before this is reached.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

/// On every answer.
const ALWAYS: [(HeaderName, &str); 2] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        "X-Next-Cursor, Retry-After, WWW-Authenticate, Mcp-Session-Id",
    ),
];

/// To the question of a browser whether it may send a request.
const ASKED: [(HeaderName, &str); 3] = [
    (
        header::ACCESS_CONTROL_ALLOW_METHODS,
        "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    ),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "Content-Type, Authorization, X-API-Key, Mcp-Session-Id, Mcp-Protocol-Version, Last-Event-ID",
    ),
    (header::ACCESS_CONTROL_MAX_AGE, "600"),
];

/// Answers `OPTIONS` below `/vault/` for everybody, whatever is there, and marks the other answers.
pub(super) async fn share_vaults(request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/vault/") {
        return next.run(request).await;
    }
    if request.method() == Method::OPTIONS {
        let mut response = StatusCode::NO_CONTENT.into_response();
        insert(response.headers_mut(), &ALWAYS);
        insert(response.headers_mut(), &ASKED);
        return response;
    }
    let with_cookie = request.headers().contains_key(header::COOKIE);
    let mut response = next.run(request).await;
    if !with_cookie {
        insert(response.headers_mut(), &ALWAYS);
    }
    response
}

fn insert(headers: &mut HeaderMap, pairs: &[(HeaderName, &'static str)]) {
    for (name, value) in pairs {
        headers.insert(name.clone(), HeaderValue::from_static(value));
    }
}
