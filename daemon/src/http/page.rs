//! The page and its files.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use reveille_web_ui::{Asset, CONTENT_SECURITY_POLICY};

/// `GET /`
pub(super) async fn index(headers: HeaderMap) -> Response {
    answer(reveille_web_ui::index(), &headers)
}

/// Leads to the page from a name beside it. Relative, so that it is right below a mount too.
pub(super) async fn here() -> Response {
    lead("./")
}

/// The same from one step below.
pub(super) async fn above() -> Response {
    lead("../")
}

fn lead(to: &'static str) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
}

/// `GET /assets/…`
pub(super) async fn asset(uri: Uri, headers: HeaderMap) -> Response {
    match reveille_web_ui::asset(uri.path()) {
        Some(asset) => answer(asset, &headers),
        None => super::not_found().await.into_response(),
    }
}

fn status(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn answer(asset: Asset, headers: &HeaderMap) -> Response {
    let text = |name: HeaderName| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let asset = asset.accepting(text(header::ACCEPT_ENCODING));
    let mut response = match asset.matches(text(header::IF_NONE_MATCH)) {
        true => status(StatusCode::NOT_MODIFIED),
        false => Response::new(Body::from(asset.bytes)),
    };
    let mut put = |name: HeaderName, value: &'static str| {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    };
    put(header::CONTENT_TYPE, asset.content_type);
    put(header::VARY, "Accept-Encoding");
    put(header::ETAG, asset.etag);
    put(header::CACHE_CONTROL, asset.cache_control());
    put(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(header::REFERRER_POLICY, "no-referrer");
    if let Some(encoding) = asset.encoding {
        put(header::CONTENT_ENCODING, encoding);
    }
    response
}
