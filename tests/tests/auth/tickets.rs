//! Tickets for streams, and streams that end with their token.

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::LIMIT;
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::{Holder, Stream, TOKENS, code, signed_in, started};

const MINT: &str = "/api/ui/sse-ticket";
const EVENTS: &str = "/api/channels/eng/turn-events";

async fn ticket(holder: &Holder, daemon: &Daemon, asked: Value) -> Result<String> {
    let answer = holder.ask(daemon, "POST", MINT, asked).await?;
    ensure!(answer.status == 200, "{}", answer.json()?);
    let body = answer.json()?;
    let ends: jiff::Timestamp = body["expires_at"].as_str().context("a time")?.parse()?;
    let left = ends.duration_since(jiff::Timestamp::now()).as_secs();
    ensure!((1..=60).contains(&left), "{left}");
    body["ticket"].as_str().map(str::to_owned).context("a ticket")
}

fn with(target: &str, ticket: &str) -> String {
    let sign = if target.contains('?') { '&' } else { '?' };
    format!("{target}{sign}ticket={ticket}")
}

/// What a ticket gets there, when it gets no stream.
async fn refused(daemon: &Daemon, target: &str, ticket: &str) -> Result<(u16, String)> {
    daemon.ask("GET", &with(target, ticket), &[], b"").await?.refusal()
}

#[tokio::test]
async fn a_ticket_opens_its_stream_once() -> Result<()> {
    let daemon = started().await?;
    let read = Holder::with(&daemon, &["reveille:read"]).await?;
    let (one, two) = (
        ticket(&read, &daemon, json!({ "path": EVENTS })).await?,
        ticket(&read, &daemon, json!({ "path": EVENTS })).await?,
    );
    assert!(one != two && one.len() >= 43, "{one}");
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    assert!(one.chars().all(letters), "{one}");
    let mut stream = Stream::open(&daemon, &with(EVENTS, &one), &[]).await?;
    stream.until(": connected").await?;
    for _ in 0..2 {
        assert_eq!(refused(&daemon, EVENTS, &one).await?, code(401, "unauthorized"));
    }
    let mut other = Stream::open(&daemon, &with(EVENTS, &two), &[]).await?;
    other.until(": connected").await?;
    for wrong in ["", "x", "null"] {
        assert_eq!(
            refused(&daemon, EVENTS, wrong).await?,
            code(401, "unauthorized"),
            "{wrong:?}"
        );
    }
    assert!(!daemon.log()?.contains(&one));
    Ok(())
}

#[tokio::test]
async fn a_ticket_is_for_one_stream_and_for_nothing_else() -> Result<()> {
    let daemon = started().await?;
    let admin = Holder::with(&daemon, &["reveille:admin", "vault:default:admin"]).await?;
    let elsewhere = "/api/channels/other/turn-events";
    let one = ticket(&admin, &daemon, json!({ "path": EVENTS })).await?;
    assert_eq!(refused(&daemon, elsewhere, &one).await?, code(401, "unauthorized"));
    // It is used up by that.
    assert_eq!(refused(&daemon, EVENTS, &one).await?, code(401, "unauthorized"));
    for target in ["/api/agents", TOKENS, "/vault/default/api/notes", "/vaults"] {
        let one = ticket(&admin, &daemon, json!({})).await?;
        let answer = daemon.ask("GET", &with(target, &one), &[], b"").await?;
        assert_eq!(answer.status, 401, "{target}");
    }
    let one = ticket(&admin, &daemon, json!({})).await?;
    let send = with("/api/channels/eng/send", &one);
    assert_eq!(daemon.ask("POST", &send, &[], b"{}").await?.status, 401);
    // It was not looked at there.
    Stream::open(&daemon, &with(EVENTS, &one), &[])
        .await?
        .until(": connected")
        .await?;
    for path in ["/api/agents", "eng", "/api/channels//turn-events", "https://a.example/"] {
        let answer = admin.refused(&daemon, "POST", MINT, json!({ "path": path }));
        assert_eq!(answer.await?, code(400, "invalid_body"), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn who_asks_for_a_ticket_shows_a_token_that_reads() -> Result<()> {
    let daemon = started().await?;
    let send = Holder::with(&daemon, &["reveille:send"]).await?;
    let answer = send.refused(&daemon, "POST", MINT, json!({}));
    assert_eq!(answer.await?, code(403, "insufficient_scope"));
    let token = send.bearer.strip_prefix("Bearer ").context("a token")?;
    for target in [
        MINT.to_owned(),
        format!("{MINT}?token={token}"),
        format!("{MINT}?ticket=x"),
    ] {
        let answer = daemon.ask("POST", &target, &[], b"{}").await?;
        assert_eq!(answer.refusal()?, code(401, "unauthorized"), "{target}");
    }
    let wrong = [("authorization", "Bearer pvt_wrong")];
    assert_eq!(daemon.ask("POST", MINT, &wrong, b"{}").await?.status, 401);
    // A browser that signed in has its cookie.
    let cookie = signed_in(&daemon).await?;
    let page = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")];
    let answer = daemon.ask("POST", MINT, &page, b"{}").await?;
    assert_eq!(answer.refusal()?, code(401, "unauthorized"));
    Stream::open(&daemon, EVENTS, &page).await?.until(": connected").await?;
    Ok(())
}

#[tokio::test]
async fn a_ticket_and_a_stream_end_with_their_token() -> Result<()> {
    let daemon = started().await?;
    let read = Holder::with(&daemon, &["reveille:read"]).await?;
    let one = ticket(&read, &daemon, json!({ "path": EVENTS })).await?;
    let other = ticket(&read, &daemon, json!({ "path": EVENTS })).await?;
    let mut by_ticket = Stream::open(&daemon, &with(EVENTS, &one), &[]).await?;
    let own = [("authorization", read.bearer.as_str())];
    let mut by_header = Stream::open(&daemon, EVENTS, &own).await?;
    let mut operator = Stream::open(&daemon, EVENTS, &[(daemon.bearer().0, &daemon.bearer().1)]).await?;
    for stream in [&mut by_ticket, &mut by_header, &mut operator] {
        stream.until(": connected").await?;
    }
    let revoked = daemon.ask_in("DELETE", &format!("{TOKENS}/{}", read.id), b"").await?;
    assert_eq!(revoked.status, 200);
    for stream in [by_ticket, by_header] {
        let text = stream.end().await?;
        assert!(text.contains("event: unauthorized"), "{text}");
    }
    assert_eq!(refused(&daemon, EVENTS, &other).await?, code(401, "unauthorized"));
    // Nobody else's ended.
    daemon.create_agent("eng", "You build.").await?;
    daemon.send("eng", "hello").await?;
    operator.until("event: turn").await?;
    Ok(())
}

#[tokio::test]
async fn a_stream_ends_when_the_time_of_its_token_is_over() -> Result<()> {
    let daemon = started().await?;
    let ends = jiff::Timestamp::now() + std::time::Duration::from_secs(15);
    let asked = json!({ "scopes": ["reveille:read"], "expires_at": format!("{ends:.3}") });
    let read = Holder::new(&daemon, asked).await?;
    let mut stream = Stream::open(&daemon, EVENTS, &[("authorization", &read.bearer)]).await?;
    stream.until(": connected").await?;
    let text = stream.end().await?;
    assert!(
        text.contains("event: unauthorized") && jiff::Timestamp::now() >= ends,
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn one_token_has_so_many_streams_and_tickets_at_once() -> Result<()> {
    let daemon = started().await?;
    let read = Holder::with(&daemon, &["reveille:read"]).await?;
    let other = Holder::with(&daemon, &["reveille:read"]).await?;
    let own = [("authorization", read.bearer.as_str())];
    let mut streams = Vec::new();
    for _ in 0..64 {
        let mut stream = Stream::open(&daemon, EVENTS, &own).await?;
        stream.until(": connected").await?;
        streams.push(stream);
    }
    let answer = read.refused(&daemon, "GET", EVENTS, Value::Null);
    assert_eq!(answer.await?, code(429, "too_many_streams"));
    let mut stream = Stream::open(&daemon, EVENTS, &[("authorization", &other.bearer)]).await?;
    stream.until(": connected").await?;
    streams.clear();
    eventually("there is room again", LIMIT, async || {
        let mut stream = Stream::open(&daemon, EVENTS, &own).await?;
        stream.until("\r\n\r\n").await?;
        Ok(stream.read.starts_with(b"HTTP/1.1 200").then_some(()))
    })
    .await?;
    for _ in 0..64 {
        ticket(&read, &daemon, json!({})).await?;
    }
    let answer = read.ask(&daemon, "POST", MINT, json!({})).await?;
    assert_eq!(answer.refusal()?, code(429, "too_many_tickets"));
    assert!(answer.header("retry-after").is_some());
    ticket(&other, &daemon, json!({})).await?;
    Ok(())
}

/// A page of another origin may have cookies of its own, such as one that a proxy has set.
#[tokio::test]
async fn a_cookie_beside_a_ticket_is_not_looked_at() -> Result<()> {
    let daemon = started().await?;
    let read = Holder::with(&daemon, &["reveille:read"]).await?;
    let cookie = [("cookie", "theme=dark")];
    let mut streams = Vec::new();
    let operator = daemon.ask_in("POST", MINT, b"{}").await?.json()?;
    let operator = operator["ticket"].as_str().context("a ticket")?.to_owned();
    for one in [ticket(&read, &daemon, json!({})).await?, operator] {
        let mut stream = Stream::open(&daemon, &with(EVENTS, &one), &cookie).await?;
        stream.until(": connected").await?;
        streams.push(stream);
    }
    for stream in &mut streams {
        stream.until("event: ping").await?;
    }
    daemon.ask_in("DELETE", &format!("{TOKENS}/{}", read.id), b"").await?;
    let text = streams.remove(0).end().await?;
    assert!(text.contains("event: unauthorized"), "{text}");
    Ok(())
}
