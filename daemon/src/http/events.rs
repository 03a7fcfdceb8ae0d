//! Server-sent events: of one channel, of several, of all.

use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use futures_util::Stream;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::error::{ApiError, Segment};
use super::sse::{CONNECTED, SIGNED_OUT};
use super::standing::{Standing, Tenure};
use super::{Api, sse};
use crate::live::{Chunk, Scope, Step, Watch};
use crate::metrics::Metrics;

/// Most channels that are named at once.
const CHANNELS_MAX: usize = 256;

// Before the end, and now and then, browsers are told how long they wait before they come back by themselves.
const PING: &[u8] = b"retry: 2000\nevent: ping\ndata: {}\n\n";
const GONE: &[u8] =
    b"event: resync\ndata: {\"code\":\"gone\",\"reason\":\"the events since your last one are gone\"}\n\n";
const LAGGED: &[u8] =
    b"retry: 2000\nevent: resync\ndata: {\"code\":\"lagged\",\"reason\":\"you fell too far behind\"}\n\n";
const SHUTDOWN: &[u8] = b"retry: 2000\nevent: shutdown\ndata: {}\n\n";

struct Reader {
    first: VecDeque<Chunk>,
    watch: Watch,
    tenure: Tenure,
    drained: Pin<Box<WaitForCancellationFutureOwned>>,
    metrics: Metrics,
    over: bool,
}

// By hand: what it waits for stays in place from one event to the next. Made anew for each event and each of many watchers, it
// would cost as much as the events themselves.
impl Stream for Reader {
    type Item = Chunk;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Chunk>> {
        let reader = self.get_mut();
        if let Some(chunk) = reader.first.pop_front() {
            return Poll::Ready(Some(chunk));
        }
        if reader.over {
            return Poll::Ready(None);
        }
        // Also on a stream that is never quiet.
        let last = match reader.tenure.poll_look(context) {
            Poll::Ready(true) => return Poll::Ready(Some(PING.into())),
            Poll::Ready(false) => SIGNED_OUT,
            Poll::Pending => match reader.watch.poll_next(context) {
                Poll::Ready(Step::Events(chunk)) => return Poll::Ready(Some(chunk)),
                Poll::Ready(Step::Gone) => return Poll::Ready(Some(GONE.into())),
                // The end: it comes back when it can, and is given what is there then.
                Poll::Ready(Step::Lagged) => {
                    reader.metrics.dropped();
                    LAGGED
                }
                // What was told before the end is told first.
                Poll::Pending => {
                    ready!(reader.drained.as_mut().poll(context));
                    SHUTDOWN
                }
            },
        };
        reader.over = true;
        Poll::Ready(Some(last.into()))
    }
}

/// Live events of the turns of one agent.
///
/// Those of the turns that run, then all new ones, or what came after `Last-Event-ID`.
#[utoipa::path(
    get, path = "/api/channels/{channel}/turn-events", operation_id = "watchChannel", tag = "live",
    params(
        ("channel" = String, Path, description = "The agent; it need not be there yet."),
        ("last-event-id" = Option<String>, Header, description = "The id of the last event that was seen, of any stream."),
    ),
    responses((status = 200, description = "A stream without end.", body = String, content_type = "text/event-stream")),
)]
pub(super) async fn turn_events(
    State(api): State<Api>,
    Segment(channel): Segment,
    Extension(standing): Extension<Standing>,
    headers: HeaderMap,
) -> Response {
    let watch = api.hub.watch(&channel, last_of(&headers));
    answer(&api, watch, standing)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Names, with commas between them; all, when absent.
    channels: Option<String>,
    /// What lets a browser in; the door has looked at it.
    #[serde(rename = "ticket")]
    _ticket: Option<IgnoredAny>,
}

impl Which {
    fn scope(self) -> Result<Scope, ApiError> {
        let Some(names) = self.channels else {
            return Ok(Scope::All);
        };
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        let names: BTreeSet<String> = names.map(str::to_owned).collect();
        match names.len() {
            0 => Err(refused("`channels` names nobody.".into())),
            count if count > CHANNELS_MAX => Err(refused(format!(
                "`channels` names {count} agents; at most {CHANNELS_MAX} can be."
            ))),
            _ => Ok(Scope::Channels(names)),
        }
    }
}

fn refused(message: String) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_channels", message)
        .then("Name agents as in ?channels=a,b, or leave it out to watch all.")
}

/// Live events of all agents, or of some: their turns, and what becomes of themselves.
#[utoipa::path(
    get, path = "/api/events", operation_id = "watchAll", tag = "live",
    params(
        ("channels" = Option<String>, Query, description = "Agents, with commas between them; all, when absent."),
        ("last-event-id" = Option<String>, Header, description = "The id of the last event that was seen, of any stream."),
    ),
    responses(
        (status = 200, description = "A stream without end.", body = String, content_type = "text/event-stream"),
        (status = 400, description = "`channels` makes no sense: `invalid_channels`."),
    ),
)]
pub(super) async fn all(
    State(api): State<Api>,
    which: Result<Query<Which>, QueryRejection>,
    Extension(standing): Extension<Standing>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(which) = which.map_err(|error| refused(error.body_text()))?;
    let watch = api.hub.watch_all(which.scope()?, last_of(&headers));
    Ok(answer(&api, watch, standing))
}

fn last_of(headers: &HeaderMap) -> Option<&str> {
    let last = headers.get("last-event-id")?;
    // What is no text is no id of ours either.
    Some(last.to_str().unwrap_or_default())
}

fn answer(api: &Api, watch: Watch, standing: Standing) -> Response {
    let mut first = VecDeque::from([CONNECTED.into()]);
    if watch.resync {
        first.push_back(GONE.into());
    }
    sse::answer(Reader {
        first,
        watch,
        tenure: standing.tenure(sse::HEARTBEAT),
        drained: Box::pin(api.drain.clone().cancelled_owned()),
        metrics: api.metrics.clone(),
        over: false,
    })
}
