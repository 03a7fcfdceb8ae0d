//! Streams of bridges: what a channel gets that no agent takes, for sessions; and what is said on an `http-ui` channel, for
//! pages. Nothing is kept for those who do not listen.

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use futures_util::stream;
use http::StatusCode;
use reveille_transports::fanout::Listener;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::error::ApiError;
use super::sse::{CONNECTED, SIGNED_OUT};
use super::standing::Standing;
use super::{Api, sse};
use crate::live::Chunk;

/// The channel of clients that name none, as they expect it.
const USUAL: &str = "telegram";

/// A comment, which no client hears.
const ALIVE: &[u8] = b": alive\n\n";

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// The channel.
    channel: Option<String>,
    /// What lets a browser in; the door has looked at it.
    #[serde(rename = "ticket")]
    #[param(ignore)]
    _ticket: Option<IgnoredAny>,
}

struct Reader {
    first: Option<Chunk>,
    listener: Listener,
    heartbeat: tokio::time::Interval,
    standing: Standing,
    drain: CancellationToken,
    over: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<Chunk> {
        if let Some(chunk) = self.first.take() {
            return Some(chunk);
        }
        if self.over {
            return None;
        }
        tokio::select! {
            biased;
            () = self.standing.ends() => {}
            frame = self.listener.next() => return Some(frame?.bytes().as_slice().into()),
            _ = self.heartbeat.tick() => if self.standing.holds().await {
                return Some(ALIVE.into());
            },
            () = self.drain.cancelled() => return None,
        }
        self.over = true;
        Some(SIGNED_OUT.into())
    }
}

fn answer(api: &Api, listener: Listener, standing: Standing) -> Response {
    let reader = Reader {
        first: Some(CONNECTED.into()),
        listener,
        heartbeat: sse::heartbeat(),
        standing,
        drain: api.drain.clone(),
        over: false,
    };
    sse::answer(stream::unfold(reader, async |mut reader| {
        let chunk = reader.next().await?;
        Some((chunk, reader))
    }))
}

fn named(which: Result<Query<Which>, QueryRejection>) -> Result<Option<String>, ApiError> {
    let Query(which) =
        which.map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", error.body_text()))?;
    Ok(which.channel.filter(|channel| !channel.trim().is_empty()))
}

/// The messages of a channel that no agent takes, for a session that does, and the decisions of people about its tools.
///
/// `message` has `content`, `meta` and `source`; `permission_verdict` has `request_id` and `behavior`.
#[utoipa::path(
    get, path = "/events", operation_id = "listenToChannel", tag = "bridges", params(Which),
    responses(
        (status = 200, description = "A stream without end.", body = String, content_type = "text/event-stream"),
        (status = 400, description = "The parameters make no sense: `invalid_parameter`."),
    ),
)]
pub(super) async fn events(
    State(api): State<Api>,
    which: Result<Query<Which>, QueryRejection>,
    Extension(standing): Extension<Standing>,
) -> Result<Response, ApiError> {
    let channel = named(which)?.unwrap_or_else(|| {
        tracing::warn!("a client listens at /events and names no channel, which is deprecated: it gets {USUAL:?}");
        USUAL.to_owned()
    });
    Ok(answer(&api, api.bridges.sessions().listen(&channel), standing))
}

/// What is said on a channel for pages.
///
/// These are those of the kind `http-ui`. Told are `reply`, `edit`, `permission`, and `close` at its end.
#[utoipa::path(
    get, path = "/ui/events", operation_id = "listenAsPage", tag = "bridges", params(Which),
    responses(
        (status = 200, description = "A stream.", body = String, content_type = "text/event-stream"),
        (status = 400, description = "The parameters make no sense: `invalid_parameter`."),
        (status = 404, description = "There is no such http-ui channel: `unknown_channel`."),
    ),
)]
pub(super) async fn page(
    State(api): State<Api>,
    which: Result<Query<Which>, QueryRejection>,
    Extension(standing): Extension<Standing>,
) -> Result<Response, ApiError> {
    let channel = named(which)?.unwrap_or_default();
    let Some(ui) = api.bridges.ui(&channel) else {
        let message = format!("There is no channel {channel:?} of the kind http-ui.");
        return Err(ApiError::new(StatusCode::NOT_FOUND, "unknown_channel", message)
            .then("Add one: `reveille bridge add NAME --kind http-ui`, or `[[transport]]` in the configuration."));
    };
    Ok(answer(&api, ui.pages().listen(&channel), standing))
}
