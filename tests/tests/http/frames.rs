//! Live events byte by byte.

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{token_of_vault, with_eng};

/// Opens a stream by hand.
async fn open(daemon: &Daemon, target: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(daemon.authority()?).await?;
    let (name, token) = daemon.bearer();
    let host = daemon.authority()?;
    // HTTP/1.0 has no chunks, so what comes is what was framed.
    let head = format!("GET {target} HTTP/1.0\r\nhost: {host}\r\n{name}: {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    Ok(stream)
}

/// Reads until a text has come by.
async fn until(stream: &mut TcpStream, wanted: &str) -> Result<String> {
    let mut seen = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&seen).contains(wanted) {
            let mut piece = [0; 4096];
            let count = stream.read(&mut piece).await?;
            ensure!(count > 0, "it ended after {:?}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&piece[..count]);
        }
        Ok(())
    };
    tokio::time::timeout(LIMIT, reading)
        .await
        .with_context(|| format!("no {wanted:?}"))??;
    Ok(String::from_utf8(seen)?)
}

#[tokio::test]
async fn r_http_100_1_a_frame_is_an_id_a_name_and_one_line_of_json() -> Result<()> {
    let daemon = with_eng().await?;
    let mut stream = open(&daemon, "/api/channels/eng/turn-events").await?;
    until(&mut stream, ": connected\n\n").await?;
    // What would end a line, a frame or a stream, were it not encoded.
    let text = "a\\nb\\n\\ndata: {}\\n\\nevent: done\\r\\nid: 7\\u2028\\u0085<script>";
    let reply: String = serde_json::from_str(&format!("\"{text}\""))?;
    let sent = daemon.send("eng", &format!("[[reply {reply}]]")).await?;
    let turn = daemon.wait_turn("eng", &sent).await?.turn;
    let mut seen = until(&mut stream, "\"kind\":\"done\"").await?;
    if !seen.ends_with("\n\n") {
        seen += &until(&mut stream, "\n\n").await?;
    }
    let frames: Vec<&str> = seen
        .split("\n\n")
        .filter(|frame| !frame.is_empty() && !frame.starts_with(':'))
        .collect();
    ensure!(frames.len() > 2, "{seen}");
    let mut last = 0;
    for frame in frames.iter().filter(|frame| !frame.contains("event: ping")) {
        let lines: Vec<&str> = frame.split('\n').collect();
        let [id, event, data] = &lines[..] else {
            panic!("three lines: {frame:?}")
        };
        let id = id.strip_prefix("id: ").with_context(|| (*frame).to_owned())?;
        let number: u64 = id.rsplit_once('-').context("boot and number")?.1.parse()?;
        ensure!(number > last, "numbers rise: {frame}");
        last = number;
        ensure!(event.starts_with("event: ") && !frame.contains('\r'), "{frame:?}");
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").context("data")?)?;
        if *event == "event: turn" {
            assert_eq!(
                (&data["channel"], &data["seq"]),
                (&"eng".into(), &number.into()),
                "{data}"
            );
            ensure!(data["turn"] == turn.as_str(), "{data}");
            data["at"].as_str().context("a time")?.parse::<jiff::Timestamp>()?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn r_http_100_a_stream_says_what_it_is_and_is_kept_by_nobody() -> Result<()> {
    let daemon = with_eng().await?;
    let mut stream = open(&daemon, "/api/channels/eng/turn-events").await?;
    let head = until(&mut stream, ": connected\n\n").await?;
    let (head, first) = head.split_once("\r\n\r\n").context("a head")?;
    let head = head.to_ascii_lowercase();
    assert_eq!(first, ": connected\n\n");
    for part in [
        "200 ok",
        "content-type: text/event-stream",
        "cache-control: no-",
        "x-accel-buffering: no",
    ] {
        ensure!(head.contains(part), "{part} in {head}");
    }
    ensure!(
        !head.contains("content-encoding") && !head.contains("content-length"),
        "{head}"
    );
    Ok(())
}

#[tokio::test]
async fn r_http_101_5_a_token_in_the_address_opens_no_stream() -> Result<()> {
    let daemon = with_eng().await?;
    let (token, reader) = (daemon.token().to_owned(), token_of_vault(&daemon, "read").await?);
    for path in ["/api/channels/eng/turn-events", "/api/channels/nobody/turn-events"] {
        for query in [
            String::new(),
            format!("?token={token}"),
            format!("?access_token={token}"),
            format!("?ticket={token}"),
            format!("?key={token}"),
            format!("?ticket={reader}"),
            "?ticket=".to_owned(),
            "?ticket=null".to_owned(),
        ] {
            let answer = daemon.ask("GET", &format!("{path}{query}"), &[], b"").await?;
            assert_eq!(answer.refusal()?.0, 401, "{path}");
            let said = String::from_utf8_lossy(&answer.body).into_owned();
            ensure!(
                !said.contains(&token) && !said.contains("nobody") && !said.contains("connected"),
                "{said}"
            );
        }
    }
    ensure!(!daemon.log()?.contains(&token), "the token is in the log");
    Ok(())
}
