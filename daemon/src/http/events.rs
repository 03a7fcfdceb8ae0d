//! Server-sent events of one channel.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, header};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;

use super::Api;
use super::error::Segment;
use crate::live::Frame;

/// A data heartbeat keeps proxies and clients from giving up on a quiet stream.
const HEARTBEAT: Duration = Duration::from_secs(15);

const CONNECTED: Bytes = Bytes::from_static(b": connected\n\n");
const PING: Bytes = Bytes::from_static(b"event: ping\ndata: {}\n\n");
const GONE: Bytes =
    Bytes::from_static(b"event: resync\ndata: {\"reason\":\"the events since your last one are gone\"}\n\n");
const SLOW: Bytes = Bytes::from_static(b"event: resync\ndata: {\"reason\":\"you fell too far behind\"}\n\n");
const SHUTDOWN: Bytes = Bytes::from_static(b"event: shutdown\ndata: {}\n\n");

struct Reader {
    first: VecDeque<Bytes>,
    receiver: Receiver<Arc<Frame>>,
    heartbeat: tokio::time::Interval,
    drain: CancellationToken,
    over: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(bytes) = self.first.pop_front() {
            return Some(bytes);
        }
        if self.over {
            return None;
        }
        tokio::select! {
            biased;
            frame = self.receiver.recv() => match frame {
                Ok(frame) => Some(frame.bytes.clone()),
                // It goes on with the newest; what was dropped has to be read from the messages.
                Err(RecvError::Lagged(_)) => Some(SLOW),
                Err(RecvError::Closed) => None,
            },
            () = self.drain.cancelled() => {
                self.over = true;
                Some(SHUTDOWN)
            }
            _ = self.heartbeat.tick() => Some(PING),
        }
    }
}

/// `GET /api/channels/{channel}/turn-events`
pub(super) async fn turn_events(State(api): State<Api>, Segment(channel): Segment, headers: HeaderMap) -> Response {
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let watch = api.hub.watch(&channel, last);
    let mut first = VecDeque::from([CONNECTED]);
    if watch.resync {
        first.push_back(GONE);
    }
    first.extend(watch.replay.iter().map(|frame| frame.bytes.clone()));
    let reader = Reader {
        first,
        receiver: watch.receiver,
        heartbeat: interval_at(Instant::now() + HEARTBEAT, HEARTBEAT),
        drain: api.drain.clone(),
        over: false,
    };
    let frames = stream::unfold(reader, async |mut reader| {
        let bytes = reader.next().await?;
        Some((Ok::<_, Infallible>(bytes), reader))
    });
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
