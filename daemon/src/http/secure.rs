//! Headers that every answer has: what a browser must not do with it.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue, header};

/// Unless the answer says something else itself.
const ALWAYS: [(HeaderName, &str); 7] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    // For browsers that do not know `frame-ancestors`.
    (header::X_FRAME_OPTIONS, "DENY"),
    // An answer of the API is no page; should a browser take it for one, it does nothing.
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    // Most answers hold what only who asked may see.
    (header::CACHE_CONTROL, "no-store"),
];

/// Which pages may show an answer as a part of theirs, as a picture or a script.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Adds them.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    let policy = match headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        true => "cross-origin",
        false => "same-origin",
    };
    headers
        .entry(RESOURCE_POLICY)
        .or_insert(HeaderValue::from_static(policy));
    response
}
