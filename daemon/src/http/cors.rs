//! Which pages may use this daemon from a browser.
//!
//! There are two kinds of addresses. **Shared** ones are open to everybody, or need a token that a page can only have because
//! somebody gave it one: the notes API, MCP, and documents. Every origin may use them (`*`), and
//! `Access-Control-Allow-Credentials` is never sent, so a browser gives a page no answer to a request that carried a cookie:
//! what a person signed in for is not lent to other pages. Two more things keep the cookie out of it: it is
//! `SameSite=Strict`, and a request that comes with any cookie gets no CORS headers there.
//!
//! **Our own** addresses are for our own page, for programs, and for the origins of `[server] origins` and the hub. From a page
//! of another origin they take nothing that changes something, whatever it shows, and they tell it nothing.
//!
//! Foreign host names are turned away before this is reached.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::base::Base;
use super::error::ApiError;

/// What a page may read of an answer.
const EXPOSED: &str = "X-Next-Cursor, X-Request-Id, Retry-After, WWW-Authenticate, Mcp-Session-Id, Location, ETag, Allow, \
                       Deprecation, Idempotency-Replayed";

/// To the question of a browser whether it may send a request.
const ASKED: [(HeaderName, &str); 3] = [
    (
        header::ACCESS_CONTROL_ALLOW_METHODS,
        "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    ),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "Content-Type, Authorization, X-API-Key, X-Step-Up-Token, Idempotency-Key, If-Match, If-None-Match, X-Request-Id, \
         Mcp-Session-Id, Mcp-Protocol-Version, Last-Event-ID",
    ),
    (header::ACCESS_CONTROL_MAX_AGE, "600"),
];

/// Addresses, and all below them, that are shared.
const SHARED: [&str; 8] = [
    "/vault",
    "/mcp",
    "/health",
    "/ready",
    "/auth/status",
    "/api/openapi.json",
    "/.well-known",
    "/.parachute",
];

fn is_shared(path: &str) -> bool {
    let under = |known: &str| {
        let rest = path.strip_prefix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    SHARED.into_iter().any(under)
}

/// Origins whose pages may use everything, with a token. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins(Arc<[String]>);

impl Origins {
    /// Each as a browser writes it: `https://notes.example`.
    pub(crate) fn new(origins: impl IntoIterator<Item = String>) -> Self {
        Self(origins.into_iter().collect())
    }

    fn has(&self, origin: &str) -> bool {
        self.0.iter().any(|known| known.eq_ignore_ascii_case(origin))
    }

    /// The origin that a request names, when it is one of them.
    fn named<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        origin.to_str().is_ok_and(|text| self.has(text)).then_some(origin)
    }
}

/// Whether a browser sent the request from a page of ours. Only browsers send cookies, and all of them say where from; behind
/// a proxy that is where the proxy shows us.
pub(super) fn same_origin(headers: &HeaderMap, base: Option<&Base>) -> bool {
    site(headers, base) == Some(true)
}

/// Whether a browser says where the request comes from, and whether that is a page of ours.
fn site(headers: &HeaderMap, base: Option<&Base>) -> Option<bool> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => Some(site == "same-origin"),
        (None, Some(origin)) if base.is_some_and(|base| base.origin == origin) => Some(true),
        (None, Some(origin)) => {
            let from = origin.split_once("://").map(|(_, from)| from);
            Some(from.is_some() && from == text("host"))
        }
        (None, None) => None,
    }
}

fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether the page of another origin wants something changed.
fn is_foreign(request: &Request, origins: &Origins) -> bool {
    let headers = request.headers();
    // A person who types an address sends no such thing, but some browsers do it for what they do themselves.
    let none = headers.get("sec-fetch-site").is_some_and(|site| site == "none");
    !reads(request.method())
        && !none
        && site(headers, request.extensions().get()) == Some(false)
        && origins.named(headers).is_none()
}

/// Answers `OPTIONS` for everybody, whatever is there; refuses what the page of another origin wants changed; and marks the
/// answers that a page may read.
pub(super) async fn share(State(origins): State<Origins>, request: Request, next: Next) -> Response {
    let shared = is_shared(request.uri().path());
    let named = origins.named(request.headers()).cloned();
    let asked = request.method() == Method::OPTIONS;
    let with_cookie = request.headers().contains_key(header::COOKIE);
    let mut response = if asked {
        StatusCode::NO_CONTENT.into_response()
    } else if !shared && is_foreign(&request, &origins) {
        foreign()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    if !shared {
        // What is sent depends on who asks, also where nothing is.
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    let allowed = match named {
        Some(origin) if !shared => origin,
        _ if shared && (asked || !with_cookie) => HeaderValue::from_static("*"),
        _ => return response,
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    if asked {
        for (name, value) in ASKED {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

fn foreign() -> Response {
    let message = "The request came from a page of another site.";
    ApiError::new(StatusCode::FORBIDDEN, "cross_site", message)
        .then("Nothing was done. To let that site in, add its origin to `[server] origins`.")
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_is_shared_whole_and_nothing_beside_it() {
        for (path, expected) in [
            ("/vault/default/api/notes", true),
            ("/mcp", true),
            ("/mcp/eng", true),
            ("/.well-known/oauth-protected-resource/mcp/eng", true),
            ("/health", true),
            ("/api/openapi.json", true),
            ("/vaults", false),
            ("/mcpx", false),
            ("/healthy", false),
            ("/api/agents", false),
            ("/api/session", false),
            ("/api/vault/inbound", false),
            ("/", false),
        ] {
            assert_eq!(is_shared(path), expected, "{path}");
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_browser_says_where_a_request_comes_from() {
        for (pairs, expected) in [
            (&[("sec-fetch-site", "same-origin")][..], Some(true)),
            (&[("sec-fetch-site", "same-site")][..], Some(false)),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://h:1"),
                    ("host", "h:1"),
                ][..],
                Some(false),
            ),
            (&[("origin", "http://h:1"), ("host", "h:1")][..], Some(true)),
            (&[("origin", "http://h:2"), ("host", "h:1")][..], Some(false)),
            (&[("origin", "null"), ("host", "h:1")][..], Some(false)),
            (&[("origin", "http://h:1")][..], Some(false)),
            (&[("host", "h:1")][..], None),
        ] {
            assert_eq!(site(&headers(pairs), None), expected, "{pairs:?}");
            assert_eq!(same_origin(&headers(pairs), None), expected == Some(true), "{pairs:?}");
        }
    }

    #[test]
    fn a_change_is_taken_from_our_page_from_programs_and_from_origins_that_are_named() {
        let origins = Origins::new(["https://notes.example".to_owned()]);
        let cross = ("sec-fetch-site", "cross-site");
        for (method, pairs, expected) in [
            ("POST", &[][..], false),
            ("POST", &[("sec-fetch-site", "same-origin")], false),
            ("POST", &[("sec-fetch-site", "none")], false),
            ("POST", &[cross, ("origin", "https://NOTES.example")], false),
            ("POST", &[cross, ("origin", "https://notes.example.evil")], true),
            ("DELETE", &[cross], true),
            ("PUT", &[("origin", "null")], true),
            ("GET", &[cross, ("origin", "https://evil.example")], false),
        ] {
            let mut request = Request::new(axum::body::Body::empty());
            *request.method_mut() = method.parse().unwrap();
            *request.headers_mut() = headers(pairs);
            assert_eq!(is_foreign(&request, &origins), expected, "{method} {pairs:?}");
        }
    }
}
