//! Connections that leave the machine.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector, dns::Name};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};
use tower::Service;

use super::{address, neighbours};

/// Bytes in both directions.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Any of them.
pub(crate) type BoxStream = Box<dyn Stream>;

impl Connection for BoxStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// The network of the daemon. Only tests have another one.
#[async_trait]
pub(crate) trait Outside: fmt::Debug + Send + Sync {
    /// The addresses of a name.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;

    /// Connects to the first address that answers.
    async fn connect(&self, addresses: &[SocketAddr], patience: Duration) -> io::Result<BoxStream>;

    /// Whether an address is one of this machine's or of its networks'.
    fn is_own(&self, ip: IpAddr) -> bool;
}

/// Names that are looked up at the same time. Each takes a thread of those that the whole daemon has for what blocks.
static LOOK_UPS: Semaphore = Semaphore::const_new(16);

/// Runs what blocks on a thread, once there is a place for it. Whoever waits can give up, and the call cannot: it holds its
/// place to its end.
async fn in_turn<T: Send + 'static>(
    places: &'static Semaphore,
    call: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let place = places.acquire().await.map_err(io::Error::other)?;
    let run = tokio::task::spawn_blocking(move || {
        let done = call();
        drop(place);
        done
    });
    run.await.map_err(io::Error::other)
}

/// The one that is there.
#[derive(Debug)]
pub(crate) struct Real;

#[async_trait]
impl Outside for Real {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let name = name.to_owned();
        let found = in_turn(&LOOK_UPS, move || (name.as_str(), 0).to_socket_addrs()).await??;
        let mut all: Vec<IpAddr> = Vec::new();
        for ip in found.map(|at| at.ip().to_canonical()) {
            if !all.contains(&ip) {
                all.push(ip);
            }
        }
        Ok(all)
    }

    async fn connect(&self, addresses: &[SocketAddr], patience: Duration) -> io::Result<BoxStream> {
        if let [one] = addresses {
            let stream = TcpStream::connect(one).await?;
            stream.set_nodelay(true)?;
            return Ok(Box::new(stream));
        }
        let port = addresses.first().map_or(0, SocketAddr::port);
        let checked = addresses.to_vec();
        // Tries the two kinds of addresses side by side. The name is not looked up again.
        let resolver =
            tower::service_fn(move |_: Name| std::future::ready(Ok::<_, io::Error>(checked.clone().into_iter())));
        let mut connector = HttpConnector::new_with_resolver(resolver);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(patience));
        let uri = format!("http://checked:{port}")
            .parse::<Uri>()
            .map_err(io::Error::other)?;
        let stream = connector.call(uri).await.map_err(|error| as_io(&error))?;
        Ok(Box::new(stream.into_inner()))
    }

    fn is_own(&self, ip: IpAddr) -> bool {
        address::is_own(ip) || neighbours::is_near(ip)
    }
}

/// The reason of the system below an error.
pub(super) fn as_io(error: &(dyn Error + 'static)) -> io::Error {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let kind = innermost.downcast_ref().map_or(io::ErrorKind::Other, io::Error::kind);
    io::Error::new(kind, innermost.to_string())
}

/// A stream that fails once nothing has gone through it for some time.
#[derive(Debug)]
pub(crate) struct Idle<S> {
    inner: S,
    patience: Duration,
    /// When something went through it.
    last: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl<S> Idle<S> {
    /// Bounds the silence of a stream.
    pub(crate) fn new(inner: S, patience: Duration) -> Self {
        Self {
            inner,
            patience,
            last: Instant::now(),
            alarm: Box::pin(tokio::time::sleep(patience)),
        }
    }

    /// What an attempt has come to.
    fn judge<T>(&mut self, cx: &mut Context<'_>, attempt: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if attempt.is_ready() {
            self.last = Instant::now();
            return attempt;
        }
        while self.alarm.as_mut().poll(cx).is_ready() {
            let until = self.last + self.patience;
            if until <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.alarm.as_mut().reset(until);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Idle<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let attempt = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.judge(cx, attempt)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Idle<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.judge(cx, attempt)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_up_that_nobody_waits_for_holds_its_place_to_its_end() {
        static PLACES: Semaphore = Semaphore::const_new(1);
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let call = move || {
            begun.send(()).unwrap();
            gone.recv().unwrap();
        };
        tokio::select! {
            _ = in_turn(&PLACES, call) => panic!("it ended"),
            begun = has_begun => begun.unwrap(),
        }
        assert!(PLACES.try_acquire().is_err());
        go.send(()).unwrap();
        // It gets its turn when the other one ends.
        assert_eq!(in_turn(&PLACES, || 7).await.unwrap(), 7);
    }
}
