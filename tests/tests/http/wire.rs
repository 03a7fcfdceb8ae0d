//! Bytes on a socket: clients that are slow, that lie and that say more than one thing; and how many of them there may be.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT};
use reveille_tests::eventually;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{with_eng, works};

/// How long a client listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// To the end of the first answer's head.
    Answer,
    /// To the end of the connection.
    Whole,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Told {
    /// Status of the first answer.
    pub(crate) status: u16,
    bytes: Vec<u8>,
}

impl Told {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Sends bytes on a connection of their own and reads what comes.
pub(crate) async fn exchange(daemon: &Daemon, bytes: &[u8], how: Exchange) -> Result<Told> {
    let mut stream = TcpStream::connect(daemon.authority()?).await?;
    // silent-ok: who refuses may do so before it has read everything
    let _ = stream.write_all(bytes).await;
    read(&mut stream, how).await
}

async fn read(stream: &mut TcpStream, how: Exchange) -> Result<Told> {
    let mut bytes = Vec::new();
    let reading = async {
        loop {
            let mut piece = [0; 4096];
            let count = stream.read(&mut piece).await.unwrap_or(0); // silent-ok: a reset is an end
            bytes.extend_from_slice(&piece[..count]);
            let whole_head = bytes.windows(4).any(|window| window == b"\r\n\r\n");
            if count == 0 || (how == Exchange::Answer && whole_head) {
                return;
            }
        }
    };
    if tokio::time::timeout(LIMIT, reading).await.is_err() {
        bail!("no end after {LIMIT:?}: {:?}", String::from_utf8_lossy(&bytes));
    }
    let status = String::from_utf8_lossy(&bytes).split(' ').nth(1).map(str::to_owned);
    let status = status.with_context(|| format!("no answer: {:?}", String::from_utf8_lossy(&bytes)))?;
    Ok(Told {
        status: status.parse()?,
        bytes,
    })
}

/// Waits for the end of a connection that the other side closes.
async fn closed(stream: &mut TcpStream) -> Result<()> {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(LIMIT, stream.read_to_end(&mut rest)).await;
    end.context("it is still open")?.ok(); // silent-ok: a reset is an end
    Ok(())
}

#[tokio::test]
async fn r_http_1_a_head_that_never_ends_is_given_up() -> Result<()> {
    let daemon = with_eng().await?;
    let host = daemon.authority()?;
    let mut clients = Vec::new();
    for begin in [
        String::new(),
        "GET /api".to_owned(),
        format!("GET /api/agents HTTP/1.1\r\nhost: {host}\r\nx: "),
    ] {
        let mut stream = TcpStream::connect(daemon.authority()?).await?;
        stream.write_all(begin.as_bytes()).await?;
        clients.push(stream);
    }
    // A byte now and then does not help.
    let mut drip = TcpStream::connect(daemon.authority()?).await?;
    drip.write_all(format!("GET /api/agents HTTP/1.1\r\nhost: {host}\r\nx: ").as_bytes())
        .await?;
    let dripping = async {
        while drip.write_all(b"y").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(LIMIT, dripping)
        .await
        .context("it may drip for ever")?;
    for stream in &mut clients {
        closed(stream).await?;
    }
    works(&daemon).await
}

#[tokio::test]
async fn r_http_42_bytes_that_are_no_request_are_a_bad_request() -> Result<()> {
    let daemon = with_eng().await?;
    let host = daemon.authority()?;
    let (name, token) = daemon.bearer();
    for bytes in [
        b"\x00\x01\x02\xff\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET  HTTP/1.1\r\n\r\n".to_vec(),
        format!("GET /api/agents\x01 HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes(),
        format!("GET /api/agents HTTP/9.9\r\nhost: {host}\r\n\r\n").into_bytes(),
        format!("GET /api/agents HTTP/1.1\r\nhost: {host}\r\nx y: z\r\n\r\n").into_bytes(),
        format!("GET /api/agents HTTP/1.1\r\nhost: {host}\r\n: z\r\n\r\n").into_bytes(),
        format!("GET /{} HTTP/1.1\r\nhost: {host}\r\n\r\n", "x".repeat(100_000)).into_bytes(),
        format!(
            "GET /health HTTP/1.1\r\nhost: {host}\r\n{name}: {token}\r\nx: {}\r\n\r\n",
            "y".repeat(2_000_000)
        )
        .into_bytes(),
        format!(
            "GET /health HTTP/1.1\r\nhost: {host}\r\n{}\r\n",
            "x: y\r\n".repeat(5000)
        )
        .into_bytes(),
    ] {
        let answer = exchange(&daemon, &bytes, Exchange::Whole).await?;
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        assert!(
            (400..=431).contains(&answer.status) || answer.status == 505,
            "{shown:?}: {}",
            answer.text()
        );
        assert!(!answer.text().contains(daemon.token()), "{shown:?}: {}", answer.text());
    }
    works(&daemon).await
}

/// Strangers that hold every place there is, and let go of none by themselves.
#[tokio::test]
async fn r_http_1_strangers_that_hold_all_places_lose_them() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_SERVER__MAX_CONNECTIONS", "16")
        .start()
        .await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let mut held = Vec::new();
    for _ in 0..24 {
        let mut stream = TcpStream::connect(daemon.authority()?).await?;
        // silent-ok: it may be turned away already
        let _ = stream.write_all(b"GET /health HTTP/1.1\r\nhost: ").await;
        held.push(stream);
    }
    let bearer = daemon.bearer();
    let answer = eventually("the operator gets in", LIMIT, async || {
        // silent-ok: it is tried again
        Ok(daemon
            .ask("GET", "/api/agents", &[(bearer.0, &bearer.1)], b"")
            .await
            .ok()
            .filter(|answer| answer.status != 503))
    })
    .await?;
    assert_eq!(answer.status, 200);
    drop(held);
    works(&daemon).await
}
