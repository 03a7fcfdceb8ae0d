//! `/api/step-up`: the PIN, and what a dangerous request must show.
//!
//! A wrong PIN is answered 403 `invalid_pin` and not 401: a client takes 401 for "my token is over", gets another one and
//! sends the request again, and each mistake would cost two guesses.

use axum::extract::{FromRequestParts, State};
use axum::{Extension, Json};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use reveille_vault::agent::{Definition, Filesystem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ApiError, Body};
use super::{Api, Caller};
use crate::step_up::{Asked, PinError, Standing, StepUp, is_pin};

/// Where a step-up token is shown.
const HEADER: &str = "x-step-up-token";

/// What a request shows for something dangerous. It may turn out only while the request is looked at that it is.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    subject: String,
    token: Option<String>,
}

impl Proof {
    /// Whether it is enough.
    ///
    /// # Errors
    /// 403 or 503 with the next step.
    pub(crate) fn check(&self, step_up: &StepUp) -> Result<(), ApiError> {
        step_up.ask(&self.subject, self.token.as_deref()).map_err(refused)
    }

    /// Whether it is enough for an agent of that definition. One that is to reach all files of its user is dangerous.
    ///
    /// # Errors
    /// As [`Proof::check`].
    pub(crate) fn check_definition(&self, step_up: &StepUp, definition: &Definition) -> Result<(), ApiError> {
        match definition.filesystem {
            Filesystem::Full => self.check(step_up),
            _ => Ok(()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Proof {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(caller) = parts.extensions.get::<Caller>() else {
            // A route that lets strangers in must not take this.
            let message = "It is not known who asks.";
            return Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message));
        };
        let token = parts.headers.get(HEADER).and_then(|value| value.to_str().ok());
        Ok(Self {
            subject: caller.subject(),
            token: token.map(|token| token.trim().to_owned()),
        })
    }
}

/// For handlers that are dangerous whatever they are asked: who is here has shown the PIN, or needs none.
#[derive(Debug)]
pub(crate) struct Sure;

impl FromRequestParts<Api> for Sure {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        Proof::from_request_parts(parts, api).await?.check(&api.step_up)?;
        Ok(Self)
    }
}

fn refused(asked: Asked) -> ApiError {
    let required = |reason: &str, message, next_step| {
        ApiError::new(StatusCode::FORBIDDEN, "step_up_required", message)
            .with("reason", reason)
            .then(next_step)
    };
    match asked {
        Asked::Setup => required(
            "setup",
            "This needs a PIN, and none is set.",
            "Nothing was done. Set one on the machine of the daemon: `reveille pin set`.",
        ),
        Asked::Token => required(
            "token",
            "This needs the PIN once more.",
            "Nothing was done. Send the PIN to `POST /api/step-up`, and the token that it answers as `X-Step-Up-Token`.",
        ),
        Asked::Unreadable(reason) => failed(&PinError::Unreadable(reason)),
    }
}

fn failed(error: &PinError) -> ApiError {
    let of = |status, code| ApiError::new(status, code, upper(&error.to_string()));
    match error {
        PinError::NotSet => of(StatusCode::CONFLICT, "step_up_not_configured")
            .then("Nothing needs it then. `reveille pin set` sets one, on the machine of the daemon."),
        PinError::NotHere => of(StatusCode::FORBIDDEN, "only_on_the_machine"),
        PinError::Wrong => of(StatusCode::FORBIDDEN, "invalid_pin").then("Nothing was done. Send the right one."),
        PinError::TooMany { wait } => of(StatusCode::TOO_MANY_REQUESTS, "rate_limited")
            .then("No more of them are looked at until then.")
            .after(*wait),
        PinError::Locked => of(StatusCode::FORBIDDEN, "pin_locked")
            .then("Set another one on the machine of the daemon: `reveille pin clear`, then `reveille pin set`."),
        PinError::Unreadable(_) => of(StatusCode::SERVICE_UNAVAILABLE, "step_up_unreadable").then(
            "Nothing was done. On the machine of the daemon, `reveille pin clear` and `reveille pin set` make a new file.",
        ),
        PinError::Unwritable(_) => {
            of(StatusCode::SERVICE_UNAVAILABLE, "step_up_unwritable").then("See `reveille doctor`, then try again.")
        }
    }
}

fn upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect::<String>()
    })
}

/// Whether there is a PIN.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StepUpState {
    /// One that nobody can read is there.
    configured: bool,
    /// Dangerous things are not done without one.
    required: bool,
    /// Why nobody can show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Whether there is a PIN.
#[utoipa::path(
    get, path = "/api/step-up", operation_id = "getStepUp", tag = "step-up",
    responses((status = 200, description = "How it stands.", body = StepUpState)),
)]
pub(super) async fn show(State(api): State<Api>) -> Json<StepUpState> {
    let standing = api.step_up.standing();
    Json(StepUpState {
        configured: standing != Standing::Unset,
        required: api.step_up.is_required(),
        problem: match standing {
            Standing::Unreadable(reason) => Some(reason),
            Standing::Unset | Standing::Set => None,
        },
    })
}

/// A PIN.
#[derive(Deserialize, ToSchema)]
#[schema(as = StepUpShown)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    pin: String,
}

/// What a right PIN is good for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StepUpToken {
    /// For the header `X-Step-Up-Token`.
    step_up_token: String,
    #[serde(rename = "expires_at")]
    expires_at: Timestamp,
}

/// Answers a token for dangerous things to who shows the PIN: for five minutes, and for nobody else.
#[utoipa::path(
    post, path = "/api/step-up", operation_id = "stepUp", tag = "step-up", request_body = Shown,
    responses(
        (status = 200, description = "The token.", body = StepUpToken),
        (status = 403, description = "It is another one, or locked: `invalid_pin`, `pin_locked`."),
        (status = 409, description = "There is none: `step_up_not_configured`."),
        (status = 429, description = "There were five wrong ones in five minutes: `rate_limited`."),
    ),
)]
pub(super) async fn exchange(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    body: Result<Body<Shown>, ApiError>,
) -> Result<Json<StepUpToken>, ApiError> {
    if api.step_up.standing() == Standing::Unset {
        return Err(failed(&PinError::NotSet));
    }
    let Body(Shown { pin }) = body?;
    let given = api.step_up.exchange(&caller.subject(), &pin).await;
    let (step_up_token, expires_at) = given.map_err(|error| failed(&error))?;
    Ok(Json(StepUpToken {
        step_up_token,
        expires_at,
    }))
}

/// What was locked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StepUpLocked)]
pub(super) struct Locked {
    locked: bool,
    /// Tokens that have ended by it.
    ended: usize,
}

/// Ends the step-up tokens of who asks.
#[utoipa::path(
    delete, path = "/api/step-up", operation_id = "lockStepUp", tag = "step-up",
    responses((status = 200, description = "They do not work any more.", body = Locked)),
)]
pub(super) async fn lock(State(api): State<Api>, Extension(caller): Extension<Caller>) -> Json<Locked> {
    Json(Locked {
        locked: true,
        ended: api.step_up.lock(&caller.subject()),
    })
}

/// Another PIN.
#[derive(Deserialize, ToSchema)]
#[schema(as = PinChange)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Change {
    /// 4 to 12 digits.
    #[schema(pattern = "^[0-9]{4,12}$")]
    new_pin: String,
    /// The one that there is.
    current_pin: Option<String>,
}

/// What became of the PIN.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PinChanged)]
pub(super) struct Changed {
    ok: bool,
    configured: bool,
}

/// Sets the PIN: the first one with the token of the state directory, another one by who shows the one that there is.
#[utoipa::path(
    post, path = "/api/step-up/pin", operation_id = "setPin", tag = "step-up", request_body = Change,
    responses(
        (status = 200, description = "It is set, and what was shown before has ended.", body = Changed),
        (status = 403, description = "It is another one, or who asks may not: `invalid_pin`, `pin_locked`, `only_on_the_machine`."),
        (status = 429, description = "There were five wrong ones in five minutes: `rate_limited`."),
    ),
)]
pub(super) async fn set(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(change): Body<Change>,
) -> Result<Json<Changed>, ApiError> {
    if !is_pin(&change.new_pin) {
        let message = "A PIN has 4 to 12 digits.";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_body", message).then("Nothing was changed."));
    }
    let on_machine = on_the_machine(&api, &headers);
    let (subject, current) = (caller.subject(), change.current_pin.as_deref());
    let set = api
        .step_up
        .set(&subject, on_machine.is_ok(), &change.new_pin, current)
        .await;
    match (set, on_machine) {
        (Err(PinError::NotHere), Err(refusal)) => return Err(refusal),
        (set, _) => set.map_err(|error| failed(&error))?,
    }
    Ok(Json(Changed {
        ok: true,
        configured: true,
    }))
}

/// Forgets the PIN, with the token of the state directory.
#[utoipa::path(
    delete, path = "/api/step-up/pin", operation_id = "clearPin", tag = "step-up",
    responses(
        (status = 200, description = "There is none any more.", body = Changed),
        (status = 403, description = "Something else than that token was shown: `only_on_the_machine`."),
    ),
)]
pub(super) async fn clear(State(api): State<Api>, headers: HeaderMap) -> Result<Json<Changed>, ApiError> {
    on_the_machine(&api, &headers)?;
    api.step_up.clear().await.map_err(|error| failed(&error))?;
    Ok(Json(Changed {
        ok: true,
        configured: false,
    }))
}

/// Otherwise whoever is first in a browser that somebody left signed in would choose the PIN.
fn on_the_machine(api: &Api, headers: &HeaderMap) -> Result<(), ApiError> {
    if api.auth.holds_token(headers) {
        return Ok(());
    }
    let message = "This is for the machine of the daemon alone, with the token of its state directory.";
    Err(ApiError::new(StatusCode::FORBIDDEN, "only_on_the_machine", message)
        .then("Nothing was changed. There, run `reveille pin set` or `reveille pin clear`."))
}
