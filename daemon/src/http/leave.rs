//! Streams of events leave the machinery of HTTP behind once their head is sent. What that keeps for each connection, and does
//! for each event, is made for answers that end; for many that watch the same it would be most of what they cost.

use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::response::Response;
use futures_util::StreamExt as _;
use http::{HeaderValue, Method, Request, Version, header};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::socket::{Doubt, Ears, QUESTION};
use super::sse::{Frames, Held};

/// The end of an answer in chunks.
const END: &[u8] = b"0\r\n\r\n";

/// The way out of a connection: the events of its answer, which go on by themselves behind its head.
#[derive(Clone, Default)]
pub(super) struct Way(Arc<State>);

#[derive(Default)]
struct State {
    frames: Mutex<Option<Frames>>,
    /// All that was given to the socket is written.
    clear: AtomicBool,
}

/// Whether the answer to a request goes in chunks, when it has no length.
pub(super) fn takes_chunks<B>(request: &Request<B>) -> bool {
    request.method() == Method::GET && request.version() == Version::HTTP_11
}

impl Way {
    /// Everything is written.
    pub(super) fn is_clear(&self) {
        self.0.clear.store(true, Ordering::Relaxed);
    }

    /// Takes the events out of an answer, which goes in chunks. Its connection can be used for nothing else afterwards.
    /// `false`: it has none.
    pub(super) fn lead(&self, answer: &mut Response) -> bool {
        let Some(frames) = answer.extensions_mut().remove::<Held>().and_then(|held| held.take()) else {
            return false;
        };
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
        *self.0.frames.lock().unwrap_or_else(PoisonError::into_inner) = Some(frames);
        // The head is not written yet.
        self.0.clear.store(false, Ordering::Relaxed);
        true
    }

    /// The events, once the head before them is written.
    pub(super) fn open(&self) -> Option<Frames> {
        let clear = self.0.clear.load(Ordering::Relaxed);
        clear.then(|| self.0.frames.lock().unwrap_or_else(PoisonError::into_inner).take())?
    }
}

/// Sends events as they come, up to their end or that of the connection.
pub(super) async fn send(mut socket: impl AsyncWrite + Unpin, ears: Ears, mut frames: Frames) -> io::Result<()> {
    let mut doubt = pin!(risen(Doubt::new(ears)));
    loop {
        let chunk = tokio::select! {
            biased;
            chunk = frames.next() => chunk,
            again = &mut doubt => {
                doubt.set(risen(again));
                Some(QUESTION.into())
            }
        };
        match chunk {
            Some(chunk) => socket.write_all(chunk.framed()).await?,
            None => break,
        }
    }
    drop(frames);
    socket.write_all(END).await?;
    socket.shutdown().await
}

async fn risen(mut doubt: Doubt) -> Doubt {
    doubt.rises().await;
    doubt
}
