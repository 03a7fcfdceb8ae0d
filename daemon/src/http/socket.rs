//! The socket of a connection. It hears that its peer has stopped to send, which may be the end of it or not, and it does not
//! close while the peer still sends what was not wanted: the peer's system would drop our answer then.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::leave::Way;

/// Most bytes that are read and thrown away before the end.
const REST_BYTES: usize = 64 << 20;
/// Longest time for it.
const REST_TIME: Duration = Duration::from_secs(5);
/// Says nothing to who reads events. To who is not there any more it is the question whether that is so: its system answers
/// the first one, and the next one fails.
pub(super) const QUESTION: &[u8] = b":\n\n";
/// So many, so far apart. After that heartbeats do the same.
const QUESTIONS: u32 = 3;
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// Whether the peer may still send a body that nobody reads. A part of each request.
#[derive(Debug, Clone, Default)]
pub(super) struct Rest(Arc<AtomicBool>);

impl Rest {
    /// It may.
    pub(super) fn comes(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn may_come(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A socket.
pub(super) struct Socket {
    read: Arc<OwnedReadHalf>,
    write: OwnedWriteHalf,
    rest: Rest,
    way: Way,
    /// Set once our side has ended: until when the rest is read, and how much of it.
    end: Option<(Pin<Box<Sleep>>, usize)>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, rest: Rest, way: Way) -> Self {
        let (read, write) = stream.into_split();
        Self {
            read: Arc::new(read),
            write,
            rest,
            way,
            end: None,
        }
    }

    /// What hears whether the peer still sends.
    pub(super) fn ears(&self) -> Ears {
        Ears(Arc::clone(&self.read))
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.read.as_ref().as_ref().poll_read_ready(context))?;
            match self.read.try_read_buf(into) {
                Ok(_) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.write.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Only asked for when everything before it is written.
        self.way.is_clear();
        Pin::new(&mut self.write).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.end.is_none() {
            ready!(Pin::new(&mut self.write).poll_shutdown(context))?;
            self.end = Some((Box::pin(sleep(REST_TIME)), REST_BYTES));
        }
        if !self.rest.may_come() {
            return Poll::Ready(Ok(()));
        }
        let mut piece = [0; 16 * 1024];
        loop {
            let mut into = ReadBuf::new(&mut piece);
            let read = self.as_mut().poll_read(context, &mut into);
            let Some((end, left)) = &mut self.end else {
                return Poll::Ready(Ok(()));
            };
            match read {
                // Who sends that much or that slowly may lose the answer.
                Poll::Pending => return end.as_mut().poll(context).map(Ok),
                Poll::Ready(Ok(())) if into.filled().len() < *left && !into.filled().is_empty() => {
                    *left -= into.filled().len();
                }
                Poll::Ready(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// Hears whether the peer of a socket still sends.
#[derive(Clone)]
pub(super) struct Ears(Arc<OwnedReadHalf>);

impl Ears {
    /// Until the peer sends nothing more.
    pub(super) async fn silence(&self) {
        let socket: &TcpStream = self.0.as_ref().as_ref();
        loop {
            match socket.peek(&mut [0]).await {
                // Another request that is sent already hides the end, or most of it.
                Ok(1..) => match socket.ready(Interest::READABLE).await {
                    Ok(ready) if !ready.is_read_closed() => sleep(ANSWER_TIME).await,
                    _ => return,
                },
                Ok(0) | Err(_) => return,
            }
        }
    }

    /// The same answer. When it is a stream of events, it finds out by itself that its peer is gone: nothing else is read from
    /// the socket meanwhile, since who has stopped to send may still listen.
    pub(super) fn listen(self, answer: Response) -> Response {
        let kind = answer.headers().get(header::CONTENT_TYPE);
        if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
            return answer;
        }
        answer.map(|body| {
            let state = (body.into_data_stream(), Doubt::new(self));
            let chunks = stream::unfold(state, async |(mut chunks, mut doubt)| {
                let chunk = tokio::select! {
                    biased;
                    chunk = chunks.next() => chunk?,
                    () = doubt.rises() => Ok(Bytes::from_static(QUESTION)),
                };
                Some((chunk, (chunks, doubt)))
            });
            Body::from_stream(chunks)
        })
    }
}

/// Whether the peer is still there.
pub(super) struct Doubt {
    ears: Ears,
    asked: u32,
    next: Option<Instant>,
}

impl Doubt {
    pub(super) fn new(ears: Ears) -> Self {
        Self {
            ears,
            asked: 0,
            next: None,
        }
    }

    /// Until it should be asked.
    pub(super) async fn rises(&mut self) {
        match self.next {
            None => self.ears.silence().await,
            Some(next) if self.asked < QUESTIONS => sleep_until(next).await,
            Some(_) => std::future::pending().await,
        }
        self.asked += 1;
        self.next = Some(Instant::now() + ANSWER_TIME);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (ours, theirs) = tokio::join!(
            async { listener.accept().await.unwrap().0 },
            TcpStream::connect(listener.local_addr().unwrap())
        );
        (ours, theirs.unwrap())
    }

    fn events() -> Response {
        let answer = Response::builder().header(header::CONTENT_TYPE, "text/event-stream");
        answer
            .body(Body::from_stream(stream::pending::<io::Result<Bytes>>()))
            .unwrap()
    }

    #[tokio::test]
    async fn a_peer_that_still_sends_gets_the_answer() {
        for comes in [true, false] {
            let (ours, mut theirs) = pair().await;
            let rest = Rest::default();
            let mut ours = Socket::new(ours, rest.clone(), Way::default());
            if comes {
                rest.comes();
            }
            let closing = tokio::spawn(async move {
                ours.write_all(b"no").await.unwrap();
                ours.shutdown().await.unwrap();
            });
            if comes {
                // More than the systems on the way keep: without a reader it would never go out.
                theirs.write_all(&vec![0; 32 << 20]).await.unwrap();
            }
            let mut answer = Vec::new();
            theirs.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer, b"no");
            drop(theirs);
            closing.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_stream_asks_whether_a_silent_peer_is_still_there() {
        let (ours, mut theirs) = pair().await;
        let ours = Socket::new(ours, Rest::default(), Way::default());
        let mut chunks = ours.ears().listen(events()).into_body().into_data_stream();
        tokio::select! {
            biased;
            chunk = chunks.next() => panic!("nobody is silent: {chunk:?}"),
            () = tokio::task::yield_now() => {}
        }
        theirs.shutdown().await.unwrap();
        for _ in 0..QUESTIONS {
            assert_eq!(chunks.next().await.unwrap().unwrap(), QUESTION);
        }
    }

    #[tokio::test]
    async fn another_request_behind_it_hides_no_end() {
        let (ours, mut theirs) = pair().await;
        let ours = Socket::new(ours, Rest::default(), Way::default());
        let mut chunks = ours.ears().listen(events()).into_body().into_data_stream();
        theirs.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        theirs.shutdown().await.unwrap();
        assert_eq!(chunks.next().await.unwrap().unwrap(), QUESTION);
    }
}
