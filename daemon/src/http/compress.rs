//! Answers that are worth it go compressed to those who take that: text and JSON of some size. Never what is compressed
//! already, nor what comes bit by bit, such as live events.

use http::{Extensions, HeaderMap, StatusCode, Version, header};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, Predicate as _, SizeAbove};

/// Smaller answers fit into one packet anyway.
const BYTES_MIN: u16 = 1024;

/// What decides.
pub(super) type Worth = And<SizeAbove, fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool>;

/// By gzip.
pub(super) fn layer() -> CompressionLayer<Worth> {
    let worth: fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool = is_text;
    CompressionLayer::new().compress_when(SizeAbove::new(BYTES_MIN).and(worth))
}

fn is_text(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    // A strong tag names the bytes that were sent.
    !headers.contains_key(header::ETAG)
        && kind != "text/event-stream"
        && (kind.starts_with("text/") || kind == "application/json" || kind.ends_with("+json"))
}
