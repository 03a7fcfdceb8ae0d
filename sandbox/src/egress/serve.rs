//! Listeners of a child.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tracing::Instrument as _;

use super::dial::Idle;
use super::gate::{Bounds, Gate};
use super::http1::Refusal;
use super::{http1, socks};

/// Pause after a connection could not be taken, most likely for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Pause after one was refused: whoever tries again at once shall not keep a processor busy.
const PAUSE_WHEN_FULL: Duration = Duration::from_millis(10);

/// Bytes that are read from a child at once.
const BUFFER: usize = 16 * 1024;

/// Serves the proxy on a listener: `CONNECT`, HTTP with absolute addresses, and SOCKS5. Ends only when dropped, and then cuts
/// all its connections. What is logged belongs to the span in which it is first polled.
pub async fn serve(listener: TcpListener, gate: Arc<Gate>) {
    let most = gate.bounds.connections;
    let full = Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "too-many-connections",
        format!("this agent has {most} connections already; it may not have more at the same time"),
    );
    take(listener, most, &full.bytes(), |stream| {
        connection(stream, Arc::clone(&gate))
    })
    .await;
}

/// Connects each client of a listener to an address. Ends only when dropped, and then cuts all its connections.
pub async fn forward(listener: TcpListener, target: SocketAddr) {
    let bounds = Bounds::default();
    let told = Arc::new(AtomicBool::new(false));
    let run = |inside| pass(inside, target, bounds, Arc::clone(&told));
    take(listener, bounds.connections, &[], run).await;
}

/// Runs a task for each connection, up to a number of them; further ones get an answer and are closed.
async fn take<F>(listener: TcpListener, most: usize, full: &[u8], run: impl Fn(TcpStream) -> F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let mut was_full = false;
    loop {
        tokio::select! {
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => settle(ended),
            taken = listener.accept() => match taken {
                Ok((stream, _)) if tasks.len() < most => {
                    tasks.spawn(run(stream).in_current_span());
                }
                Ok((stream, _)) => {
                    if !was_full {
                        tracing::warn!(most, "connections are refused: there are too many at the same time");
                    }
                    was_full = true;
                    // silent-ok: who does not wait for the answer does not need it
                    let _ = stream.try_write(full);
                    drop(stream);
                    tokio::time::sleep(PAUSE_WHEN_FULL).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection of an agent could not be taken");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
}

fn settle(ended: Result<io::Result<()>, JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended early"),
        Err(error) => tracing::error!(%error, "the task of a connection has failed"),
    }
}

/// Serves one connection to the proxy; its first byte says which language it speaks.
pub(super) async fn connection<S>(stream: S, gate: Arc<Gate>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stream = BufReader::with_capacity(BUFFER, stream);
    let first = tokio::time::timeout(gate.bounds.head_timeout, stream.fill_buf())
        .await??
        .first()
        .copied();
    match first {
        None => Ok(()),
        Some(socks::VERSION) => socks::serve(stream, &gate).await,
        Some(_) => http1::serve(stream, &gate).await,
    }
}

/// `told`: whether the log has it that the service does not answer; an agent may try as often as it likes.
async fn pass(inside: TcpStream, target: SocketAddr, bounds: Bounds, told: Arc<AtomicBool>) -> io::Result<()> {
    let connect = TcpStream::connect(target);
    let outside = match tokio::time::timeout(bounds.dial_timeout, connect)
        .await
        .unwrap_or_else(|late| Err(late.into()))
    {
        Ok(outside) => outside,
        Err(error) => {
            if !told.swap(true, Ordering::Relaxed) {
                tracing::warn!(%target, %error, "a service of this machine does not answer an agent");
            }
            return Err(error);
        }
    };
    inside.set_nodelay(true)?;
    outside.set_nodelay(true)?;
    let (mut inside, mut outside) = (Idle::new(inside, bounds.idle), Idle::new(outside, bounds.idle));
    copy_bidirectional(&mut inside, &mut outside).await?;
    outside.shutdown().await
}
