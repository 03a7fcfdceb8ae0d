//! Signing a browser in and out.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::error::{ApiError, Body};

/// What a sign-in link holds.
#[derive(Deserialize, ToSchema)]
pub(super) struct SignIn {
    /// The part behind `#sign-in=`.
    code: String,
}

/// Whether a browser is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Session {
    signed_in: bool,
}

/// Signs a browser in by the code of a link, which is used up by it.
#[utoipa::path(
    post, path = "/api/session", operation_id = "signIn", tag = "session", security(()), request_body = SignIn,
    responses(
        (status = 200, description = "It is signed in: the answer sets its cookie.", body = Session),
        (status = 401, description = "The link has been used or is too old: `bad_code`."),
    ),
)]
pub(super) async fn sign_in(State(api): State<Api>, Body(SignIn { code }): Body<SignIn>) -> Response {
    match api.auth.sign_in(code.trim()) {
        Some(cookie) => ([(header::SET_COOKIE, cookie)], Json(Session { signed_in: true })).into_response(),
        None => ApiError::new(
            StatusCode::UNAUTHORIZED,
            "bad_code",
            "This sign-in link has been used or is too old.",
        )
        .then("Run `reveille open` for a fresh one.")
        .into_response(),
    }
}

/// Says that the caller is let in.
#[utoipa::path(
    get, path = "/api/session", operation_id = "getSession", tag = "session",
    responses((status = 200, description = "The caller is let in.", body = Session)),
)]
pub(super) async fn show() -> Json<Session> {
    Json(Session { signed_in: true })
}

/// Signs a browser out.
#[utoipa::path(
    delete, path = "/api/session", operation_id = "signOut", tag = "session",
    responses((status = 200, description = "It is signed out: the answer takes its cookie away.", body = Session)),
)]
pub(super) async fn sign_out(State(api): State<Api>) -> Response {
    (
        [(header::SET_COOKIE, api.auth.sign_out())],
        Json(Session { signed_in: false }),
    )
        .into_response()
}

/// A link that signs a browser in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SignInLink {
    url: String,
}

/// Makes a link that signs a browser in once.
#[utoipa::path(
    post, path = "/api/sign-in-links", operation_id = "createSignInLink", tag = "session",
    responses((status = 200, description = "The link. It works for ten minutes.", body = SignInLink)),
)]
pub(super) async fn make_link(State(api): State<Api>) -> Json<SignInLink> {
    Json(SignInLink {
        url: sign_in_url(&api.url, &api.auth.link_code()),
    })
}

/// The address that signs a browser in once. The code is in the fragment, which browsers do not send.
pub(crate) fn sign_in_url(base: &str, code: &str) -> String {
    format!("{base}/#sign-in={code}")
}
