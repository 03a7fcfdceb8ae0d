//! Streams in the hands of tokens, those of turns too: few at once, and they end with the token.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{Method, StatusCode, header};
use tokio::sync::oneshot;

use super::Caller;
use super::error::ApiError;
use super::sse;

/// Streams of one token at once, and calls of one caller that wait.
pub(super) const MOST: usize = 64;

/// The last event of a stream whose token does not hold any more.
const ENDED: &[u8] = b"event: unauthorized\ndata: {\"reason\":\"the token of this stream does not hold any more\"}\n\n";

/// How many streams each subject has. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Streams(Arc<Mutex<HashMap<String, usize>>>);

impl Streams {
    fn with<T>(&self, look: impl FnOnce(&mut HashMap<String, usize>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A place for one more, as long as it is kept. `None`: there is none left.
    pub(super) fn take(&self, subject: String) -> Option<Place> {
        self.with(|all| {
            let count = all.entry(subject.clone()).or_default();
            let room = *count < MOST;
            *count += usize::from(room);
            room
        })
        .then(|| Place {
            streams: self.clone(),
            subject,
        })
    }
}

/// One of them.
pub(super) struct Place {
    streams: Streams,
    subject: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.streams.with(|all| {
            if let Some(count) = all.get_mut(&self.subject) {
                *count -= 1;
                if *count == 0 {
                    all.remove(&self.subject);
                }
            }
        });
    }
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Bounds the streams of tokens. The operator's are bounded by the number of connections.
pub(super) async fn bound(State(streams): State<Streams>, request: Request, next: Next) -> Response {
    let caller = match request.extensions().get::<Caller>() {
        None | Some(Caller::Operator) => return next.run(request).await,
        Some(caller) => caller.clone(),
    };
    let subject = caller.subject();
    // A call of a tool does something: it is refused before that, or not at all.
    let calls = *request.method() == Method::POST && request.uri().path().starts_with("/mcp");
    let early = match calls.then(|| streams.take(subject.clone())) {
        Some(None) => return too_many(),
        place => place.flatten(),
    };
    let response = next.run(request).await;
    if !is_stream(&response) {
        return response;
    }
    let Some(place) = early.or_else(|| streams.take(subject)) else {
        return too_many();
    };
    // Told by a task of its own, which goes when nobody reads the stream any more.
    let (over, ended) = oneshot::channel::<()>();
    let watch = tokio::spawn(async move {
        match caller {
            Caller::Token(grant) => grant.ended().await,
            // What a turn may open is looked at where it stands open.
            Caller::Turn(_) | Caller::Operator => std::future::pending().await,
        }
        // silent-ok: the stream is gone already.
        let _ = over.send(());
    });
    let held = Held {
        ended: Some(ended),
        watch,
        _place: place,
    };
    let events = response.extensions().get::<sse::Held>();
    if let Some((events, frames)) = events.and_then(|events| Some((events, events.take()?))) {
        events.put(held.of(frames, ENDED.into()));
        return response;
    }
    let (parts, body) = response.into_parts();
    let last = Ok(Bytes::from_static(ENDED));
    Response::from_parts(parts, Body::from_stream(held.of(body.into_data_stream(), last)))
}

fn too_many() -> Response {
    let message = format!("This token has {MOST} streams open already.");
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_streams", message)
        .then("Nothing was done. Close some of them first.")
        .into_response()
}

struct Held {
    /// `None`: it has ended.
    ended: Option<oneshot::Receiver<()>>,
    watch: tokio::task::JoinHandle<()>,
    _place: Place,
}

impl Held {
    /// The same stream, which has its end behind `last` when its token does not hold any more.
    fn of<T>(self, chunks: impl Stream<Item = T> + Unpin, last: T) -> impl Stream<Item = T> {
        stream::unfold((self, chunks, Some(last)), async |(mut held, mut chunks, mut last)| {
            let ended = held.ended.as_mut()?;
            let next = tokio::select! {
                biased;
                _ = ended => None,
                next = chunks.next() => Some(next?),
            };
            let chunk = match next {
                Some(chunk) => chunk,
                None => {
                    held.ended = None;
                    last.take()?
                }
            };
            Some((chunk, (held, chunks, last)))
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subject_has_its_own_number_of_streams() {
        let streams = Streams::default();
        let mut open: Vec<_> = (0..MOST).filter_map(|_| streams.take("a".into())).collect();
        assert_eq!(open.len(), MOST);
        assert!(streams.take("a".into()).is_none());
        assert!(streams.take("b".into()).is_some());
        open.pop();
        open.extend(streams.take("a".into()));
        assert!(streams.take("a".into()).is_none());
        open.clear();
        assert!(streams.with(|all| all.is_empty()));
    }
}
