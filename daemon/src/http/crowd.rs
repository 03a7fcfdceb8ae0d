//! Connections beyond the most that are served: they are told so, instead of being left waiting without a word.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Most that are told at once; others are closed without a word.
const TOLD_AT_ONCE: usize = 64;
/// Longest time for one of them.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most bytes of a request's head that are waited for before the answer.
const HEAD_MAX: usize = 16 * 1024;

const ANSWER: &str = "HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: ";
const BODY: &str = "{\"error\":\"too_many_connections\",\"message\":\"All connections that this daemon serves at once are in use.\",\
    \"next_step\":\"Nothing was done. Close a page or a stream, or raise `[server] max_connections`; then try again.\"}";

/// Tells those for whom there is no room.
#[derive(Clone)]
pub(super) struct Crowd {
    places: Arc<Semaphore>,
}

impl Crowd {
    pub(super) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(TOLD_AT_ONCE)),
        }
    }

    /// Answers one connection, and closes it.
    pub(super) fn turn_away(&self, stream: TcpStream) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return;
        };
        tokio::spawn(async move {
            match tokio::time::timeout(PATIENCE, answer(stream)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a client too many was not told"),
                Err(_) => tracing::debug!("a client too many sent no request"),
            }
            drop(place);
        });
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while head.len() < HEAD_MAX && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece).await? {
            0 => return Ok(()),
            count => head.extend_from_slice(&piece[..count]),
        }
    }
    let answer = format!("{ANSWER}{}\r\n\r\n{BODY}", BODY.len());
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // What a client still sends would make its system drop the answer if the connection were closed now.
    while stream.read(&mut piece).await? > 0 {}
    Ok(())
}
