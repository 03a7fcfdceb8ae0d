//! Signing a browser in and out.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::error::{ApiError, Body};

#[derive(Deserialize)]
pub(super) struct SignIn {
    code: String,
}

/// `POST /api/session`
pub(super) async fn sign_in(State(api): State<Api>, Body(SignIn { code }): Body<SignIn>) -> Response {
    match api.auth.sign_in(code.trim()) {
        Some(cookie) => ([(header::SET_COOKIE, cookie)], Json(json!({ "signed_in": true }))).into_response(),
        None => ApiError::new(
            StatusCode::UNAUTHORIZED,
            "bad_code",
            "This sign-in link has been used or is too old.",
        )
        .then("Run `reveille open` for a fresh one.")
        .into_response(),
    }
}

/// `GET /api/session`
pub(super) async fn show() -> Json<Value> {
    Json(json!({ "signed_in": true }))
}

/// `DELETE /api/session`
pub(super) async fn sign_out(State(api): State<Api>) -> Response {
    (
        [(header::SET_COOKIE, api.auth.sign_out())],
        Json(json!({ "signed_in": false })),
    )
        .into_response()
}

/// `POST /api/sign-in-links`
pub(super) async fn make_link(State(api): State<Api>) -> Json<Value> {
    Json(json!({ "url": sign_in_url(&api.url, &api.auth.link_code()) }))
}

/// The address that signs a browser in once. The code is in the fragment, which browsers do not send.
pub(crate) fn sign_in_url(base: &str, code: &str) -> String {
    format!("{base}/#sign-in={code}")
}
