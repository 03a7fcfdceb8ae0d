//! Bytes to and fro.

use std::io;

use rustls::server::Acceptor;
use tokio::io::AsyncReadExt as _;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, AsyncWriteExt as _, copy_bidirectional_with_sizes};

use super::Decision;
use super::dial::Idle;
use super::gate::{Gate, Way};
use super::host::{Destination, Host};

/// Bytes on their way in one direction.
const BUFFER: usize = 32 * 1024;

/// Longest beginning of TLS that is looked at.
const HELLO_BYTES: usize = 64 * 1024;

/// Passes bytes until both sides have ended.
pub(super) async fn run(
    stream: impl AsyncBufRead + AsyncWrite + Unpin,
    way: Way,
    gate: &Gate,
    to: &Destination,
) -> io::Result<()> {
    let mut inside = Idle::new(stream, gate.bounds.idle);
    let mut outside = way.stream;
    if let (true, 443, Host::Name(name)) = (gate.check_sni, to.port, &to.host) {
        let hello = tokio::time::timeout(gate.bounds.head_timeout, hello(&mut inside, name)).await??;
        let Some(hello) = hello else {
            gate.log.record(name, to.port, Decision::Refused);
            tracing::warn!(
                host = name,
                "a connection was cut: what it began is not TLS for that name"
            );
            return Ok(());
        };
        outside.write_all(&hello).await?;
    }
    copy_bidirectional_with_sizes(&mut inside, &mut outside, BUFFER, BUFFER).await?;
    Ok(())
}

/// The beginning of what a child sends, if that is TLS for a name.
async fn hello(from: &mut (impl AsyncRead + Unpin), name: &str) -> io::Result<Option<Vec<u8>>> {
    let mut acceptor = Acceptor::default();
    let mut all = Vec::new();
    let mut chunk = [0; 4096];
    while all.len() < HELLO_BYTES {
        let length = from.read(&mut chunk).await?;
        let mut fresh = chunk.get(..length).unwrap_or_default();
        if fresh.is_empty() {
            return Ok(None);
        }
        all.extend_from_slice(fresh);
        while !fresh.is_empty() {
            acceptor.read_tls(&mut fresh)?;
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                let is_same = accepted
                    .client_hello()
                    .server_name()
                    .is_some_and(|sent| sent.eq_ignore_ascii_case(name));
                return Ok(is_same.then_some(all));
            }
            Err((error, _alert)) => {
                tracing::debug!(%error, "no TLS");
                return Ok(None);
            }
        }
    }
    Ok(None)
}
