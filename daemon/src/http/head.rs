//! The size of a request's head: what is beyond ours is refused in our shape, before the parser of the server has to.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};

use super::error::ApiError;

/// Longest address, in bytes.
pub(super) const ADDRESS_BYTES: usize = 32 * 1024;
/// Most header fields.
pub(super) const FIELDS: usize = 100;
/// Their bytes, names and values.
pub(super) const FIELD_BYTES: usize = 32 * 1024;

/// Refuses heads that are too large.
pub(super) async fn check(request: Request, next: Next) -> Response {
    // Below a mount it is a little shorter here than it came.
    let address = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if address > ADDRESS_BYTES {
        let message = format!("The address has {address} bytes; at most {ADDRESS_BYTES} are read.");
        return ApiError::new(StatusCode::URI_TOO_LONG, "address_too_long", message)
            .then("Nothing was done. Ask for less at once, or send it in a body where there is one.")
            .into_response();
    }
    match fields(request.headers()) {
        Some(message) => ApiError::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "headers_too_large",
            message,
        )
        .then("Nothing was done. Send fewer or shorter header fields; a browser may have old cookies of this host.")
        .into_response(),
        None => next.run(request).await,
    }
}

/// What is too much of them.
fn fields(headers: &HeaderMap) -> Option<String> {
    let count = headers.len();
    if count > FIELDS {
        return Some(format!(
            "The request has {count} header fields; at most {FIELDS} are read."
        ));
    }
    let sizes = headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    let bytes: usize = sizes.sum();
    (bytes > FIELD_BYTES).then(|| format!("The header fields have {bytes} bytes; at most {FIELD_BYTES} are read."))
}
