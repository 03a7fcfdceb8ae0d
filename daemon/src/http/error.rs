//! The one shape of errors: `{"error": code, "message": …, "next_step": …}`. Of a note that was refused for several reasons,
//! `problems` has each: `[{"key": …, "message": …}]`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, MatchedPath, Path, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use reveille_queue::QueueError;
use reveille_vault::VaultError;
use reveille_vault::agent::{Problem, without_middle};
use serde::Serialize;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use serde_json::Value;
use utoipa::ToSchema;

use crate::inbox::Progress;
use crate::vaults::Vaults;

/// The field that says when it makes sense to try again.
const RETRY_AFTER: &str = "retry_after_seconds";

/// An error as the client sees it.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) next_step: Option<&'static str>,
    pub(crate) problems: Vec<Problem>,
    /// Further fields of the answer.
    pub(crate) more: BTreeMap<&'static str, Value>,
}

impl ApiError {
    /// What a request brought stands in many messages: a very long one loses its middle.
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: sentence(without_middle(message.into())),
            next_step: None,
            problems: Vec::new(),
            more: BTreeMap::new(),
        }
    }

    /// A note that does not hold together, with everything that is wrong with it.
    pub(crate) fn invalid(code: &'static str, problems: Vec<Problem>) -> Self {
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Self {
            // Whole: each of the problems is short.
            message: sentence(all.join("; ")),
            problems,
            ..Self::new(StatusCode::BAD_REQUEST, code, "")
        }
        .then("Nothing was written. Correct it and send it again.")
    }

    pub(crate) fn then(mut self, next_step: &'static str) -> Self {
        self.next_step = Some(next_step);
        self
    }

    /// A body beyond the limit.
    pub(crate) fn body_too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "The body is larger than this daemon takes.",
        )
        .then("Make it shorter, or raise `[server] max_body` in the configuration.")
    }

    /// A fault of the daemon itself; the log has it.
    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The daemon failed on this request.",
        )
        .then("See the daemon's log.")
    }

    /// One more field of the answer.
    pub(crate) fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.more.insert(key, value.into());
        self
    }

    /// When it makes sense to try again: in the field `retry_after_seconds`, and in the header for it.
    pub(crate) fn after(self, wait: Duration) -> Self {
        // Not too early.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.with(RETRY_AFTER, seconds.max(1))
    }

    pub(crate) fn unknown_agent(name: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown_agent",
            format!("There is no agent {name:?}."),
        )
        .then("List the agents with `reveille agent list`, or make one with `reveille agent new`.")
    }

    /// That nobody knows an agent; while a vault has not been read yet it may be there.
    pub(crate) fn no_agent(name: &str, progress: &Progress) -> Self {
        let Some((vault, reason)) = progress.unread() else {
            return Self::unknown_agent(name);
        };
        let message = format!(
            "There is no agent {name:?} in the vaults that were read, and the vault {vault:?} was not read yet: {reason}."
        );
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "vault_unavailable", message)
            .then("Nothing was done. Try again; `reveille vault list` says how the vaults stand.")
    }

    pub(crate) fn unknown_vault(name: &str, vaults: &Vaults) -> Self {
        let there = vaults.names().join(", ");
        let message = format!("There is no vault {name:?}; there are: {there}");
        Self::new(StatusCode::NOT_FOUND, "unknown_vault", message)
            .then("Nothing was done. Correct the name, or add the vault to the configuration.")
    }
}

/// Why a request was not done, as it is sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct Refused<'a> {
    /// Stable code, for programs.
    #[schema(example = "unknown_agent")]
    error: &'a str,
    /// What happened, for people.
    message: &'a str,
    /// What was kept, and what to do now.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<&'a str>,
    /// Everything that is wrong with what was sent, where several things can be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    problems: Vec<Flaw>,
    /// What some codes have besides, such as `reason` and `retry_after_seconds`.
    #[serde(flatten)]
    #[schema(ignore)]
    more: BTreeMap<&'static str, Value>,
}

/// One thing that is wrong, or looks wrong, with a note.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Flaw {
    /// The setting or part that it is about.
    pub(crate) key: String,
    /// What is wrong with it.
    pub(crate) message: String,
}

impl From<&Problem> for Flaw {
    fn from(problem: &Problem) -> Self {
        Self {
            key: problem.key.to_string(),
            message: problem.message.clone(),
        }
    }
}

/// The next step follows a message: it has to end.
fn sentence(mut message: String) -> String {
    if !message.ends_with(['.', '!', '?']) {
        message.push('.');
    }
    message
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let wait = self.more.get(RETRY_AFTER).and_then(Value::as_u64);
        let body = Refused {
            error: self.code,
            message: &self.message,
            next_step: self.next_step,
            problems: self.problems.iter().map(Flaw::from).collect(),
            more: self.more,
        };
        let mut response = (self.status, Json(body)).into_response();
        let retry_after = match self.status {
            StatusCode::SERVICE_UNAVAILABLE => Some(5),
            // A line moves on by whole turns.
            StatusCode::TOO_MANY_REQUESTS => Some(30),
            _ => None,
        };
        if let Some(seconds) = wait.or(retry_after) {
            response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        if let QueueError::Refused { .. } = error {
            return Self::new(StatusCode::BAD_REQUEST, "invalid_message", error.to_string());
        }
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "queue_unavailable", error.to_string())
            .then("Nothing was changed. See `reveille doctor`, then try again.")
    }
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        let (status, code) = match &error {
            VaultError::NotFound { .. } => (StatusCode::NOT_FOUND, "unknown_note"),
            VaultError::Conflict { .. } => (StatusCode::CONFLICT, "conflict"),
            VaultError::PathTaken { .. } => (StatusCode::CONFLICT, "path_conflict"),
            VaultError::IdTaken { .. } => (StatusCode::CONFLICT, "id_conflict"),
            VaultError::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            VaultError::OutsideScope { .. } => (StatusCode::FORBIDDEN, "tag_scope_violation"),
            VaultError::Unsupported { .. } => (StatusCode::NOT_IMPLEMENTED, "unsupported"),
            VaultError::Damaged { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "damaged_note"),
            VaultError::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "vault_unavailable"),
            _ => (StatusCode::BAD_REQUEST, "invalid_note"),
        };
        Self::new(status, code, error.to_string())
    }
}

/// A JSON body, read whatever its content type says, with errors in our shape.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        read_json(&bytes_of(request, state).await?).map(Self)
    }
}

/// The same, where no body means that nothing special is asked for.
pub(crate) struct OptionalBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = bytes_of(request, state).await?;
        match bytes.is_empty() {
            true => Ok(Self(T::default())),
            false => read_json(&bytes).map(Self),
        }
    }
}

async fn bytes_of<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| too_large(&rejection))
}

/// All bodies are objects. A list of the values would be taken for one otherwise.
fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        let message = "The body is a list, and an object is needed.";
        return Err(
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_body", message).then("Send one JSON object as documented.")
        );
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let code = if error.is_data() {
            "invalid_body"
        } else {
            "invalid_json"
        };
        ApiError::new(
            StatusCode::BAD_REQUEST,
            code,
            format!("The body cannot be read: {error}."),
        )
        .then("Send one JSON object as documented.")
    })
}

/// The variable part of an address, with errors in our shape. Of an address without one: its last part, which may be the name
/// of something too.
pub(crate) struct Segment<T = String>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segment<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let route = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
        if let Some((_, last)) = route
            .filter(|route| !route.contains('{'))
            .and_then(|route| route.rsplit_once('/'))
        {
            let name: StrDeserializer<'_, serde::de::value::Error> = last.into_deserializer();
            return T::deserialize(name).map(Self).map_err(|error| {
                let message = format!("The address cannot be read: {error}.");
                ApiError::new(StatusCode::BAD_REQUEST, "invalid_address", message)
            });
        }
        let Path(segment) = Path::from_request_parts(parts, state).await.map_err(|rejection| {
            let message = format!("The address cannot be read: {}.", rejection.body_text());
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_address", message)
        })?;
        Ok(Self(segment))
    }
}

pub(crate) fn too_large(rejection: &BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        ApiError::body_too_large()
    } else {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "unreadable_body",
            "The body did not arrive whole.",
        )
        .then("Send it again.")
    }
}
