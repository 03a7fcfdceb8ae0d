//! Ends of connections: clients that stop to send before they are answered, that send what nobody wants, or that are gone; and
//! heads that are too large.

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reqwest::Method;
use reveille_tests::daemon::{Daemon, LIMIT};
use reveille_tests::eventually;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{with_eng, works};

/// The head of a request by the operator, up to further fields.
fn head(daemon: &Daemon, method: &str, target: &str) -> Result<String> {
    let (name, token) = daemon.bearer();
    Ok(format!(
        "{method} {target} HTTP/1.1\r\nhost: {}\r\n{name}: {token}\r\n",
        daemon.authority()?
    ))
}

async fn connect(daemon: &Daemon) -> Result<TcpStream> {
    Ok(TcpStream::connect(daemon.authority()?).await?)
}

/// What comes up to the end of the connection.
async fn whole(stream: &mut TcpStream) -> Result<String> {
    let mut bytes = Vec::new();
    let end = tokio::time::timeout(LIMIT, stream.read_to_end(&mut bytes)).await;
    end.context("the connection stays open")??;
    Ok(String::from_utf8(bytes)?)
}

/// What comes until a text has come by.
async fn until(stream: &mut TcpStream, wanted: &str) -> Result<String> {
    let mut seen = String::new();
    let reading = async {
        while !seen.contains(wanted) {
            let mut piece = [0; 4096];
            let count = stream.read(&mut piece).await?;
            ensure!(count > 0, "it ended after {seen:?}");
            seen.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        Ok(())
    };
    tokio::time::timeout(LIMIT, reading)
        .await
        .context("it does not come")??;
    Ok(seen)
}

#[tokio::test]
async fn who_has_stopped_to_send_still_gets_the_answer() -> Result<()> {
    let daemon = with_eng().await?;
    let attached = json!({ "name": "pull", "prompt": "You build.", "metadata": { "backend": "attached" } });
    let made = daemon
        .request(Method::POST, &["api", "agents"], Some(&attached))
        .await?;
    assert_eq!(made.status, 201, "{}", made.body);
    // When that takes long, the daemon answers before it has read the note.
    eventually("the agent is there", LIMIT, async || {
        let shown = daemon.ask_in("GET", "/api/agents/pull", b"").await?;
        Ok((shown.status == 200).then_some(()))
    })
    .await?;
    let wait = r#"{"wait":2}"#;
    let length = wait.len();
    for request in [
        format!("{}\r\n", head(&daemon, "GET", "/api/agents")?),
        format!(
            "{}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{wait}",
            head(&daemon, "POST", "/api/channels/pull/next")?
        ),
    ] {
        let mut stream = connect(&daemon).await?;
        stream.write_all(request.as_bytes()).await?;
        stream.shutdown().await?;
        let answer = whole(&mut stream).await?;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
    }
    // Half a request is none.
    let mut stream = connect(&daemon).await?;
    let half = format!(
        "{}content-length: {length}\r\n\r\n{{",
        head(&daemon, "POST", "/api/channels/pull/next")?
    );
    stream.write_all(half.as_bytes()).await?;
    stream.shutdown().await?;
    let answer = whole(&mut stream).await?;
    assert!(!answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
    works(&daemon).await
}

#[tokio::test]
async fn a_watcher_that_sends_nothing_more_goes_on_and_one_that_is_gone_ends() -> Result<()> {
    let daemon = with_eng().await?;
    let watch = format!("{}\r\n", head(&daemon, "GET", "/api/channels/eng/turn-events")?);
    let mut half = connect(&daemon).await?;
    half.write_all(watch.as_bytes()).await?;
    half.shutdown().await?;
    let mut gone = connect(&daemon).await?;
    gone.write_all(watch.as_bytes()).await?;
    for stream in [&mut half, &mut gone] {
        until(stream, ": connected").await?;
    }
    let watchers = async || -> Result<Option<u64>> {
        let health = daemon.ask_in("GET", "/health", b"").await?.json()?;
        let channels = health["channels"].as_array().context("channels")?;
        let eng = channels.iter().find(|channel| channel["name"] == "eng");
        Ok(eng.context("eng")?["clients"].as_u64())
    };
    assert_eq!(watchers().await?, Some(2));
    drop(gone);
    eventually("the one that is gone ends", LIMIT, async || {
        Ok((watchers().await? == Some(1)).then_some(()))
    })
    .await?;
    // What it is asked in between is no event.
    let sent = daemon.send("eng", "[[reply heard]]").await?;
    daemon.wait_turn("eng", &sent).await?;
    let seen = until(&mut half, "\"kind\":\"done\"").await?;
    assert!(seen.contains("heard"), "{seen}");
    Ok(())
}

#[tokio::test]
async fn a_body_that_nobody_wants_does_not_cost_the_answer() -> Result<()> {
    let daemon = with_eng().await?;
    let host = daemon.authority()?;
    let announced = |length: usize| {
        format!("POST /api/channels/eng/send HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n\r\n")
    };
    // All of it is sent before anything is read.
    let size = 24 << 20;
    let mut stream = connect(&daemon).await?;
    stream.write_all(announced(size).as_bytes()).await?;
    stream.write_all(&vec![b' '; size]).await?;
    let answer = whole(&mut stream).await?;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer:?}");
    // Nothing of it ever comes.
    let mut stream = connect(&daemon).await?;
    stream.write_all(announced(1000).as_bytes()).await?;
    let answer = whole(&mut stream).await?;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer:?}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer:?}");
    // What is there already is read, and the connection is good for more.
    let mut stream = connect(&daemon).await?;
    for _ in 0..3 {
        stream.write_all(format!("{}{{}}", announced(2)).as_bytes()).await?;
        let answer = until(&mut stream, "\"next_step\"").await?;
        assert!(
            answer.starts_with("HTTP/1.1 401 ") && !answer.contains("connection: close"),
            "{answer:?}"
        );
    }
    works(&daemon).await
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_in_our_shape() -> Result<()> {
    let daemon = with_eng().await?;
    let long = format!("/api/agents?x={}", "y".repeat(33 << 10));
    let answer = daemon.ask_in("GET", &long, b"").await?;
    assert_eq!(answer.refusal()?, (414, "address_too_long".into()));
    let large = "z".repeat(33 << 10);
    let many: Vec<String> = (0..150).map(|number| format!("x-{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "1")).collect();
    for headers in [&[("x-large", large.as_str())][..], &many] {
        let answer = daemon.ask("GET", "/api/agents", headers, b"").await?;
        assert_eq!(answer.refusal()?, (431, "headers_too_large".into()));
        assert!(answer.json()?["next_step"].is_string() && answer.header("x-request-id").is_some());
    }
    // A little less is fine.
    let (name, token) = daemon.bearer();
    let fine = [(name, token.as_str()), ("x-large", &large[..30 << 10])];
    assert_eq!(daemon.ask("GET", "/api/agents", &fine, b"").await?.status, 200);
    let long = format!("/health?x={}", "y".repeat(30 << 10));
    assert_eq!(daemon.ask_in("GET", &long, b"").await?.status, 200);
    Ok(())
}
