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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::Router;
    use axum::routing::get;
    use futures_util::{FutureExt as _, StreamExt as _, stream};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_util::sync::CancellationToken;

    use crate::http::{Bounds, serve, sse};
    use crate::live::Chunk;

    /// All that comes for a request to an answer of three events, which stays open until the server ends.
    async fn heard(request: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (drain, asked) = (CancellationToken::new(), CancellationToken::new());
        let (ends, told) = (drain.clone(), asked.clone());
        let events = move || {
            let (ends, told) = (ends.clone(), told.clone());
            async move {
                let some = stream::iter(["data: 1\n\n", "data: two\n\n"]).map(|text| Chunk::from(text.as_bytes()));
                let last = async move {
                    told.cancel();
                    ends.cancelled().await;
                    Chunk::from(&b"data: 3\n\n"[..])
                };
                sse::answer(some.chain(last.into_stream()))
            }
        };
        let router = Router::new().route("/", get(events));
        let bounds = Bounds {
            connections: 1,
            write_timeout: Duration::from_secs(5),
        };
        let server = tokio::spawn(serve(listener, router, bounds, drain.clone()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        if !request.starts_with("HEAD") {
            asked.cancelled().await;
        }
        let mut all = Vec::new();
        if request.starts_with("HEAD") {
            // Its answer has no end to wait for.
            while !all.ends_with(b"\r\n\r\n") {
                all.push(client.read_u8().await.unwrap());
            }
        }
        drain.cancel();
        client.read_to_end(&mut all).await.unwrap();
        server.await.unwrap();
        String::from_utf8(all).unwrap()
    }

    #[tokio::test]
    async fn events_go_in_chunks_behind_their_head_and_have_an_end() {
        let all = heard("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let (head, body) = all.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        for field in [
            "transfer-encoding: chunked",
            "connection: close",
            "content-type: text/event-stream",
        ] {
            assert!(head.contains(field), "{head}");
        }
        assert_eq!(
            body,
            "9\r\ndata: 1\n\n\r\nb\r\ndata: two\n\n\r\n9\r\ndata: 3\n\n\r\n0\r\n\r\n"
        );
    }

    #[tokio::test]
    async fn who_knows_no_chunks_gets_the_events_alone_and_who_asks_for_the_head_gets_that() {
        let all = heard("GET / HTTP/1.0\r\nhost: a\r\n\r\n").await;
        let (head, body) = all.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("chunked"), "{head}");
        assert_eq!(body, "data: 1\n\ndata: two\n\ndata: 3\n\n");
        let all = heard("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let (head, body) = all.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        assert_eq!(body, "");
    }
}
