//! Why a request was not let in. Below `/vault/` the answer is the one that clients of the notes API know; elsewhere it has
//! the daemon's own shape.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::error::ApiError;
use crate::tokens::Scope;

/// Why.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Nothing says who asks.
    Nobody,
    /// The URL has a key in it.
    KeyInUrl,
    /// Nobody was given that token, or it was revoked.
    Wrong,
    /// Of the token of a hub that does not answer.
    Unchecked,
    /// The token's time is over.
    Expired,
    /// So many wrong tokens came from there that this one was not answered any more.
    TooMany {
        /// Until the next try is answered.
        wait: Duration,
    },
    /// The token does not reach that far.
    Scope {
        /// What it would take.
        needed: Scope,
        /// What there is.
        granted: Vec<Scope>,
    },
    /// The token is limited to tags, and what it asks for is not.
    Tags {
        /// These.
        tags: Vec<String>,
    },
    /// In the daemon's shape everywhere.
    Other(ApiError),
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Other(error)
    }
}

/// How one reason is told: status, `error` of the notes API, code of the daemon, and the text.
struct Told {
    status: StatusCode,
    /// `error` below `/vault/`.
    class: &'static str,
    /// `error_type` there, `error` elsewhere.
    code: &'static str,
    message: String,
    next_step: &'static str,
    more: Value,
}

impl Refusal {
    fn told(self, vault: Option<&str>) -> Result<Told, ApiError> {
        let unauthorized = |code, message: &str, next_step| Told {
            status: StatusCode::UNAUTHORIZED,
            class: "Unauthorized",
            code,
            message: message.to_owned(),
            next_step,
            more: json!({}),
        };
        let forbidden = |code, message: String, next_step, more| Told {
            status: StatusCode::FORBIDDEN,
            class: "Forbidden",
            code,
            message,
            next_step,
            more,
        };
        Ok(match self {
            Self::Nobody => unauthorized(
                "unauthorized",
                match vault {
                    Some(_) => "API key required",
                    None => "This needs a token or a signed-in browser.",
                },
                "Run `reveille open` for a sign-in link; programs send `Authorization: Bearer` with a token of `reveille token create`, or the one from the state directory.",
            ),
            Self::KeyInUrl => unauthorized(
                "key_in_url",
                "API keys are not taken from the URL, where logs and histories keep them",
                "Send the header `Authorization: Bearer` or `X-API-Key` instead, and revoke that key: it has been in an URL.",
            ),
            Self::Wrong => unauthorized(
                "unauthorized",
                match vault {
                    Some(_) => "Invalid API key",
                    None => "Nobody was given this token, or it was revoked.",
                },
                "Take another one: `reveille token create` makes it, `reveille token list` shows those that hold.",
            ),
            Self::Unchecked => unauthorized(
                "unauthorized",
                "This token cannot be checked now",
                "Nothing was done. Try again in a while; a token of the daemon itself works meanwhile.",
            ),
            Self::Expired => unauthorized(
                "token_expired",
                "This API key has expired",
                "Ask for another one: `reveille token create` makes it.",
            ),
            Self::TooMany { wait } => Told {
                status: StatusCode::TOO_MANY_REQUESTS,
                class: "Too Many Requests",
                code: "too_many_wrong_tokens",
                message: "So many wrong tokens or codes came from your address that more of them are not answered for a while"
                    .to_owned(),
                next_step: "Correct it; Retry-After says when the next wrong one is answered. Right ones always are.",
                more: json!({ "retry_after": wait.as_secs().max(1) }),
            },
            Self::Scope { needed, granted } => {
                let text = |scope: &Scope| vault.map_or_else(|| scope.to_string(), |name| scope.within(name));
                let granted: Vec<String> = granted.iter().map(text).collect();
                let needed = text(&needed);
                forbidden(
                    "insufficient_scope",
                    format!("this needs the scope {needed}, the token has {}", granted.join(" ")),
                    "Nothing was done. Ask for a token that reaches that far.",
                    // The last one is how other daemons of this kind name it.
                    json!({ "required_scope": needed, "granted_scopes": granted, "granted": granted }),
                )
            }
            Self::Tags { tags } => forbidden(
                "tag_scope_violation",
                format!(
                    "this reaches over all notes, and the token is limited to the tags {}",
                    tags.join(", ")
                ),
                "Nothing was done. Ask for a token that is not limited to tags.",
                json!({ "scoped_tags": tags }),
            ),
            Self::Other(error) => return Err(error),
        })
    }

    /// The answer to a request for `path`.
    pub(crate) fn answer(self, path: &str) -> Response {
        let vault = path.strip_prefix("/vault/").and_then(|rest| rest.split('/').next());
        let told = match self.told(vault) {
            Ok(told) => told,
            Err(error) => {
                let unknown = error.status == StatusCode::UNAUTHORIZED;
                return challenged(error.into_response(), unknown);
            }
        };
        let Told { status, more, .. } = told;
        let mut body = more;
        body["error"] = if vault.is_some() { told.class } else { told.code }.into();
        body["error_type"] = told.code.into();
        body["message"] = told.message.into();
        body["next_step"] = told.next_step.into();
        let wait = body["retry_after"].as_u64();
        let mut response = challenged((status, Json(body)).into_response(), status == StatusCode::UNAUTHORIZED);
        if let Some(seconds) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

fn challenged(mut response: Response, unknown: bool) -> Response {
    if unknown {
        let bearer = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
    }
    response
}

/// As the daemon's own routes tell it.
impl axum::response::IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.answer("")
    }
}
