//! What every request meets: a name, bounds, compression; and how the daemon says how it is.

use std::time::Duration;

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Answer, Daemon, LIMIT};
use reveille_tests::eventually;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ID: &str = "x-request-id";

async fn with_eng() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    Ok(daemon)
}

async fn named(daemon: &Daemon, target: &str, id: &str) -> Result<Answer> {
    let (name, token) = daemon.bearer();
    daemon.ask("GET", target, &[(name, &token), (ID, id)], b"").await
}

#[tokio::test]
async fn every_answer_has_an_id_and_the_log_knows_it() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_LOG__LEVEL", "reveille=debug")
        .start()
        .await?;
    let mut ids = Vec::new();
    for target in ["/health", "/", "/nothing", "/api/agents", "/api/agents/nobody"] {
        for _ in 0..2 {
            let answer = daemon.ask("GET", target, &[], b"").await?;
            ids.push(answer.header(ID).context("an id")?.to_owned());
        }
    }
    let foreign = daemon.ask("GET", "/", &[("host", "evil.example")], b"").await?;
    ids.push(foreign.header(ID).context("an id")?.to_owned());
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
    let kept = named(&daemon, "/api/agents?secret=hush", "My_req-1.a").await?;
    assert_eq!(kept.header(ID), Some("My_req-1.a"));
    for strange in ["", "a b", "a\"b", "ä", "a,b", "x{}", &"a".repeat(65)] {
        let answer = named(&daemon, "/api/agents", strange).await?;
        let id = answer.header(ID).context("an id")?;
        assert!(id != strange && id.len() == 32, "{strange:?} {id:?}");
    }
    let log = daemon.log()?;
    let line = log.lines().find(|line| line.contains("My_req-1.a"));
    let line = line.context("no line of that request")?;
    assert!(line.contains("/api/agents") && line.contains("200"), "{line}");
    assert!(
        !log.contains("hush") && !log.contains(daemon.token()),
        "a secret is in the log"
    );
    Ok(())
}

#[tokio::test]
async fn large_text_goes_compressed_to_those_who_take_that() -> Result<()> {
    let daemon = with_eng().await?;
    let text = "all work and no play ".repeat(500);
    daemon.note_put("Notes/long", &text, &["t"], &json!({})).await?;
    let (name, token) = daemon.bearer();
    let target = "/vault/default/api/notes?tag=t&include_content=true";
    let plain = daemon.ask("GET", target, &[(name, &token)], b"").await?;
    assert_eq!(plain.header("content-encoding"), None);
    assert!(String::from_utf8_lossy(&plain.body).contains(&text));
    let accepting = [(name, token.as_str()), ("accept-encoding", "gzip")];
    let packed = daemon.ask("GET", target, &accepting, b"").await?;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(
        packed
            .header("vary")
            .is_some_and(|vary| vary.to_lowercase().contains("accept-encoding"))
    );
    assert!(packed.body.len() * 10 < plain.body.len(), "{}", packed.body.len());
    // Small answers stay as they are, and so do refusals.
    for target in ["/ready", "/api/agents/nobody"] {
        let answer = daemon.ask("GET", target, &accepting, b"").await?;
        assert_eq!(answer.header("content-encoding"), None, "{target}");
        answer.json()?;
    }
    Ok(())
}

#[tokio::test]
async fn files_are_not_compressed_again() -> Result<()> {
    let daemon = with_eng().await?;
    let page = daemon.ask("GET", "/", &[("accept-encoding", "gzip, br")], b"").await?;
    let index = daemon.ask("GET", "/", &[], b"").await?;
    // Whatever coding it has, it is one: its tag names those bytes.
    let codings = |answer: &Answer| {
        answer
            .headers
            .iter()
            .filter(|(name, _)| name == "content-encoding")
            .count()
    };
    assert!(codings(&page) <= 1 && codings(&index) == 0);
    assert!(page.header("etag").is_some() && index.header("etag").is_some());
    let icon = daemon.ask("GET", "/favicon.svg", &[], b"").await?;
    assert_eq!((icon.status, codings(&icon)), (200, 0));
    Ok(())
}

/// Sends bytes, and reads the answer up to the end of the connection.
async fn raw(daemon: &Daemon, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(daemon.authority()?).await?;
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer))
        .await
        .context("the connection stays open")??;
    Ok(answer)
}

#[tokio::test]
async fn a_head_has_a_size_and_a_time() -> Result<()> {
    let daemon = with_eng().await?;
    let host = daemon.authority()?;
    let long = "a".repeat(70 << 10);
    let head = format!("GET / HTTP/1.1\r\nhost: {host}\r\nx-long: {long}");
    let answer = raw(&daemon, head.as_bytes()).await?;
    assert!(
        answer.starts_with(b"HTTP/1.1 431"),
        "{:?}",
        String::from_utf8_lossy(&answer)
    );
    // Halves of heads, and connections without any, do not stay.
    let half = format!("GET / HTTP/1.1\r\nhost: {host}\r\n");
    let (half, silent) = tokio::join!(raw(&daemon, half.as_bytes()), raw(&daemon, b""));
    for answer in [half?, silent?] {
        let text = String::from_utf8_lossy(&answer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
    }
    assert_eq!(daemon.ask("GET", "/health", &[], b"").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn who_comes_when_all_connections_are_in_use_is_told() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_SERVER__MAX_CONNECTIONS", "3")
        .start()
        .await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let streams = eventually("three streams are open", LIMIT, async || {
        // The connections of earlier requests may still be there.
        let mut streams = Vec::new();
        for _ in 0..3 {
            match daemon.events("eng").await {
                Ok(stream) => streams.push(stream),
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(streams))
    })
    .await?;
    let refused = daemon
        .ask_in("POST", "/api/channels/eng/send", b"{\"text\":\"x\"}")
        .await?;
    assert_eq!(refused.refusal()?, (503, "too_many_connections".into()));
    assert_eq!(
        (refused.header("retry-after"), refused.header("content-type")),
        (Some("5"), Some("application/json"))
    );
    // The streams are served all the same; when one ends there is room.
    drop(streams);
    eventually("there is room again", LIMIT, async || {
        let answer = daemon.ask_in("GET", "/api/agents", b"").await?;
        Ok((answer.status == 200).then_some(()))
    })
    .await
}

#[tokio::test]
async fn health_names_agents_and_their_watchers_for_those_who_may_read() -> Result<()> {
    let daemon = with_eng().await?;
    let attached = json!({ "name": "desk", "backend": "attached" });
    daemon
        .note_put("Agents/desk", "You are pulled.", &["agent/definition"], &attached)
        .await?;
    let gate = daemon.scratch().join("gate");
    let hold = format!("[[exec while ! test -e {}; do sleep 0.02; done]]", gate.display());
    let mut events = daemon.events("eng").await?;
    let _all = daemon.stream("/api/events", None, daemon.token()).await?;
    let sent = daemon.send("eng", &hold).await?;
    events.until(|event| event.kind() == "tool").await?;
    let health = async || daemon.ask_in("GET", "/health", b"").await?.json();
    let shown = eventually("the attached agent is known", LIMIT, async || {
        let shown = health().await?;
        let known = shown["attached_agents"].as_array().is_some_and(|list| list.len() == 1);
        Ok(known.then_some(shown))
    })
    .await?;
    assert_eq!(
        (&shown["channels"], &shown["total_clients"]),
        (
            &json!([
                { "name": "desk", "kind": "vault", "clients": 0, "mcp_sessions": 0 },
                { "name": "eng", "kind": "vault", "clients": 1, "mcp_sessions": 0 },
            ]),
            &json!(2)
        )
    );
    assert_eq!(
        (&shown["programmatic_agents"], &shown["attached_agents"]),
        (
            &json!([{ "name": "eng", "channel": "eng", "backend": "programmatic", "status": "working" }]),
            &json!([{ "name": "desk", "channel": "desk", "backend": "attached", "status": "idle" }])
        )
    );
    assert_eq!(shown["dependencies"], json!({ "ok": true, "missing": [] }));
    std::fs::write(&gate, "")?;
    daemon.wait_turn("eng", &sent).await?;
    eventually("it is idle", LIMIT, async || {
        Ok((health().await?["programmatic_agents"][0]["status"] == "idle").then_some(()))
    })
    .await?;
    // Who may read is told, whoever that is; a token that only sends, or a wrong one, tells no more than none.
    for (scope, told) in [("reveille:read", true), ("reveille:send", false), ("", false)] {
        let asked = json!({ "scopes": [scope] });
        let made = daemon
            .ask_in("POST", "/api/tokens", asked.to_string().as_bytes())
            .await?;
        let token = made.json()?["token"].as_str().unwrap_or("wrong").to_owned();
        let bearer = format!("Bearer {token}");
        let answer = daemon.ask("GET", "/health", &[("authorization", &bearer)], b"").await?;
        let answer = answer.json()?;
        assert_eq!(answer["programmatic_agents"].is_array(), told, "{scope}");
        assert!(told || answer == json!({ "status": "ok" }), "{answer}");
    }
    Ok(())
}

#[tokio::test]
async fn a_body_that_never_comes_holds_no_stop_up() -> Result<()> {
    let mut daemon = with_eng().await?;
    let (name, token) = daemon.bearer();
    let host = daemon.authority()?;
    let head = format!(
        "POST /api/channels/eng/send HTTP/1.1\r\nhost: {host}\r\n{name}: {token}\r\ncontent-length: 100\r\n\r\n{{\"text\""
    );
    let mut stream = TcpStream::connect(daemon.authority()?).await?;
    stream.write_all(head.as_bytes()).await?;
    daemon.signal(rustix::process::Signal::TERM)?;
    assert!(daemon.wait_exit(Duration::from_secs(30)).await?.success());
    Ok(())
}
