//! Signing a browser in and out.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest as _, Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::base::Base;
use super::error::{ApiError, Body};
use super::refusal::Refusal;
use super::standing::{Shown, Standing};
use super::{Api, Caller, audit};

/// What a sign-in link holds.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    /// The part behind `#sign-in=`.
    code: String,
}

/// What lets a caller in.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SignedInBy)]
pub(super) enum Via {
    /// A token of the daemon.
    Token,
    /// The cookie of a browser that signed in by a link.
    Link,
    /// A token of the hub.
    Hub,
}

impl Via {
    fn of(caller: &Caller, standing: &Standing) -> Self {
        match (caller, standing.shown()) {
            (Caller::Token(grant), _) if grant.is_of_hub() => Self::Hub,
            (_, Shown::Cookie) => Self::Link,
            (_, Shown::Token | Shown::Ticket) => Self::Token,
        }
    }
}

/// Whether a browser is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SignedIn {
    signed_in: bool,
}

/// How much is taken.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionLimits)]
pub(super) struct Limits {
    /// Bytes of a file, in the vault where most are allowed.
    upload_bytes: u64,
    /// Bytes of a request that sends a message.
    message_bytes: u64,
}

/// Who is let in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Session {
    signed_in: bool,
    /// By what.
    via: Via,
    limits: Limits,
}

/// Signs a browser in by the code of a link, which is used up by it.
#[utoipa::path(
    post, path = "/api/session", operation_id = "signIn", tag = "session", security(()), request_body = SignIn,
    responses(
        (status = 200, description = "It is signed in: the answer sets its cookie.", body = SignedIn),
        (status = 401, description = "The link has been used or is too old: `bad_code`."),
        (status = 403, description = "A page of another site asked: `cross_site`."),
        (status = 429, description = "Many wrong codes or tokens came from that address: `too_many_wrong_tokens`."),
    ),
)]
// A right code is always taken: whoever shares an address cannot lock others out.
pub(super) async fn sign_in(State(api): State<Api>, request: Request) -> Response {
    let (peer, path) = (audit::peer(&request), request.uri().path().to_owned());
    let (parts, body) = request.into_parts();
    let base = Base::of(&api, &parts);
    let request = Request::from_parts(parts, body);
    let code = match Body::<SignIn>::from_request(request, &api).await {
        Ok(Body(SignIn { code })) => code,
        Err(error) => return error.into_response(),
    };
    if let Some(cookie) = api.auth.sign_in(code.trim(), &base).await {
        return ([(header::SET_COOKIE, cookie)], Json(SignedIn { signed_in: true })).into_response();
    }
    match api.auth.wrong(peer) {
        Some(wait) => Refusal::TooMany { wait }.answer(&path),
        None => ApiError::new(
            StatusCode::UNAUTHORIZED,
            "bad_code",
            "This sign-in link has been used or is too old.",
        )
        .then("Run `reveille open` for a fresh one.")
        .into_response(),
    }
}

/// Says that the caller is let in, and by what.
#[utoipa::path(
    get, path = "/api/session", operation_id = "getSession", tag = "session",
    responses((status = 200, description = "The caller is let in.", body = Session)),
)]
pub(super) async fn show(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Extension(standing): Extension<Standing>,
) -> Json<Session> {
    let bytes = |limit: usize| u64::try_from(limit).unwrap_or(u64::MAX);
    Json(Session {
        signed_in: true,
        via: Via::of(&caller, &standing),
        limits: Limits {
            upload_bytes: bytes(api.file_limits.largest()),
            message_bytes: bytes(api.max_body),
        },
    })
}

/// Which browsers are to be signed out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    #[serde(default)]
    everywhere: bool,
}

/// Signs a browser out: its cookie does not work any more, wherever a copy of it may be.
#[utoipa::path(
    delete, path = "/api/session", operation_id = "signOut", tag = "session",
    params(("everywhere" = Option<bool>, Query, description = "Signs every browser out.")),
    responses(
        (status = 200, description = "It is signed out: the answer takes its cookie away.", body = SignedIn),
        (status = 400, description = "`everywhere` is neither true nor false: `invalid_query`."),
        (status = 503, description = "It is signed out, and would not be after a restart: `not_kept`."),
    ),
)]
pub(super) async fn sign_out(
    State(api): State<Api>,
    base: Base,
    which: Result<Query<Which>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(which) =
        which.map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "invalid_query", error.body_text()))?;
    let ended = api.auth.sign_out(&headers, which.everywhere, &base).await;
    let cookie = ended.map_err(|error| {
        let message =
            format!("That is not written down ({error}): after a restart of the daemon the cookie would work again.");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_kept", message).then(
            "It does not work now. Mend the state directory (`reveille doctor` looks at it) and sign out everywhere.",
        )
    })?;
    Ok(([(header::SET_COOKIE, cookie)], Json(SignedIn { signed_in: false })).into_response())
}

/// A link that signs a browser in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SignInLink {
    url: String,
}

/// Makes a link that signs a browser in once. For the operator alone: who signs in by it may do everything, for longer than
/// most tokens live, and no token makes one that reaches further than itself.
#[utoipa::path(
    post, path = "/api/sign-in-links", operation_id = "createSignInLink", tag = "session",
    responses(
        (status = 200, description = "The link. It works for ten minutes.", body = SignInLink),
        (status = 403, description = "A token asked for it: `operator_only`."),
    ),
)]
pub(super) async fn make_link(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<SignInLink>, ApiError> {
    if !matches!(caller, Caller::Operator) {
        let message = "Sign-in links are made by the operator, not with a token.";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "operator_only", message)
            .then("Run `reveille open` on the machine of the daemon."));
    }
    Ok(Json(SignInLink {
        url: sign_in_url(&api.url, &api.auth.link_code()),
    }))
}

/// The address that signs a browser in once. The code is in the fragment, which browsers do not send.
pub(crate) fn sign_in_url(base: &str, code: &str) -> String {
    format!("{base}/#sign-in={code}")
}
