//! The HTTP server: accepts connections, bounds them, and ends them within a given time.
//!
//! Who comes when all connections are in use is told so. A request's head has a time and a size, its body a time, and its
//! answer has to be taken: a client that does none of that loses its connection.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use futures_util::FutureExt as _;
use http::Request;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::crowd::Crowd;
use super::leave::{self, Way};
use super::slow::Patient;
use super::socket::{Rest, Socket};

/// A client gets this long to send its request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Most bytes of a request's head, and of an answer that are made before its client takes them.
const BUFFER: usize = 64 * 1024;
/// Most fields of a head that are read; far fewer are taken, and who sent more is told so.
const FIELDS: usize = 1024;
/// Open responses get this long after the end was announced.
const GOODBYE: Duration = Duration::from_secs(2);

/// What a server may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Most open connections.
    pub(crate) connections: usize,
    /// How long a client may take nothing of what it is sent.
    pub(crate) write_timeout: Duration,
}

/// Serves until `drain`, then lets open responses finish for a moment.
pub(crate) async fn serve(listener: TcpListener, router: Router, bounds: Bounds, drain: CancellationToken) {
    let connections = Arc::new(Semaphore::new(bounds.connections));
    let crowd = Crowd::new();
    let open = TaskTracker::new();
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(FIELDS)
        // Who has stopped to send still gets its answer.
        .half_close(true)
        .max_buf_size(BUFFER);
    loop {
        let accepted = tokio::select! {
            () = drain.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors and the like: others keep being served, this one waits in the backlog.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else {
            crowd.turn_away(stream);
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let (rest, way) = (Rest::default(), Way::default());
        let socket = Socket::new(stream, rest.clone(), way.clone());
        let (ears, out) = (socket.ears(), way.clone());
        let own_ears = ears.clone();
        let routes = TowerToHyperService::new(router.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(rest.clone());
            request.extensions_mut().insert(ears.clone());
            let takes_chunks = leave::takes_chunks(&request);
            let (answer, ears, way) = (routes.call(request), ears.clone(), way.clone());
            async move {
                answer
                    .await
                    .map(|mut answer| match takes_chunks && way.lead(&mut answer) {
                        true => answer,
                        false => ears.listen(answer),
                    })
            }
        });
        let stream = TokioIo::new(Patient::new(socket, bounds.write_timeout));
        let mut connection = http.serve_connection(stream, service);
        let (drain, others) = (drain.clone(), open.clone());
        open.spawn(async move {
            let mut drained = pin!(drain.cancelled().fuse());
            let served = std::future::poll_fn(|context| {
                if drained.as_mut().poll(context).is_ready() {
                    Pin::new(&mut connection).graceful_shutdown();
                }
                match Pin::new(&mut connection).poll(context) {
                    Poll::Ready(served) => Poll::Ready(served.map(|()| None)),
                    Poll::Pending => out.open().map_or(Poll::Pending, |frames| Poll::Ready(Ok(Some(frames)))),
                }
            });
            match served.await {
                Ok(None) => {}
                // In a task of its own, which is smaller.
                Ok(Some(frames)) => {
                    let socket = connection.into_parts().io.into_inner();
                    others.spawn(async move {
                        if let Err(error) = leave::send(socket, own_ears, frames).await {
                            tracing::debug!(%error, "a stream ended early");
                        }
                        drop(permit);
                    });
                }
                Err(error) => tracing::debug!(%error, "a connection ended early"),
            }
        });
    }
    drop(listener);
    open.close();
    if tokio::time::timeout(GOODBYE, open.wait()).await.is_err() {
        tracing::debug!("some clients did not take the end of their responses");
    }
}
