//! Tickets for streams, from the side of who would like to use them otherwise.

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use serde_json::json;

use super::wire::{Exchange, exchange};
use super::{ask_with, text, with_eng};

const STREAM: &str = "/api/channels/eng/turn-events";
const TICKETS: &str = "/api/ui/sse-ticket";

async fn ticket(daemon: &Daemon, path: &str) -> Result<String> {
    let body = json!({ "path": path }).to_string();
    let told = daemon.ask_in("POST", TICKETS, body.as_bytes()).await?;
    ensure!(told.status == 200, "{} {:?}", told.status, told.json());
    Ok(text(&told.json()?, "ticket").to_owned())
}

/// A token of the daemon.
async fn token(daemon: &Daemon, scope: &str) -> Result<String> {
    let body = json!({ "scopes": [scope], "label": scope }).to_string();
    let told = daemon.ask_in("POST", "/api/tokens", body.as_bytes()).await?;
    ensure!(told.status == 201, "{} {:?}", told.status, told.json());
    Ok(text(&told.json()?, "token").to_owned())
}

/// Status of the answer to a request with nothing but a ticket.
async fn shown(daemon: &Daemon, target: &str) -> Result<u16> {
    let request = format!("GET {target} HTTP/1.1\r\nhost: {}\r\n\r\n", daemon.authority()?);
    Ok(exchange(daemon, request.as_bytes(), Exchange::Answer).await?.status)
}

#[tokio::test]
async fn r_auth_9_2_of_many_that_show_one_ticket_at_once_one_gets_in() -> Result<()> {
    let daemon = with_eng().await?;
    for _ in 0..5 {
        let target = format!("{STREAM}?ticket={}", ticket(&daemon, STREAM).await?);
        let many = (0..40).map(|_| shown(&daemon, &target));
        let mut statuses = futures_util::future::try_join_all(many).await?;
        statuses.sort_unstable();
        assert_eq!(
            (statuses[0], statuses[1], statuses[39]),
            (200, 401, 401),
            "{statuses:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn r_auth_9_1_3_a_ticket_is_not_to_be_guessed() -> Result<()> {
    let daemon = with_eng().await?;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let ticket = ticket(&daemon, STREAM).await?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        ensure!(ticket.len() >= 43 && ticket.chars().all(plain), "{ticket}");
        ensure!(seen.insert(ticket), "one came twice");
    }
    let good = ticket(&daemon, STREAM).await?;
    let (short, long) = (&good[..42], format!("{good}A"));
    for wrong in [
        "",
        "null",
        "undefined",
        "%00",
        short,
        &long,
        "*",
        "../",
        &good.to_lowercase(),
    ] {
        assert_eq!(
            shown(&daemon, &format!("{STREAM}?ticket={wrong}")).await?,
            401,
            "{wrong}"
        );
    }
    // Said twice it is not said clearly; and in a header it is no ticket.
    let request = format!(
        "GET {STREAM} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {good}\r\n\r\n",
        daemon.authority()?
    );
    assert_eq!(
        exchange(&daemon, request.as_bytes(), Exchange::Answer).await?.status,
        401
    );
    ensure!(!daemon.log()?.contains(&good), "a ticket is in the log");
    Ok(())
}

#[tokio::test]
async fn r_auth_9_5_11_a_ticket_reaches_no_further_than_who_asked_for_it() -> Result<()> {
    let daemon = with_eng().await?;
    let sender = token(&daemon, "reveille:send").await?;
    let reader = token(&daemon, "reveille:read").await?;
    let body = json!({ "path": STREAM }).to_string();
    let told = ask_with(&daemon, &sender, "POST", TICKETS, body.as_bytes()).await?;
    assert_eq!(told.refusal()?, (403, "insufficient_scope".into()));
    for (path, what) in [
        ("/api/agents", "no stream"),
        ("//evil.example/x", "another place"),
        ("http://evil.example/api/events", "another place"),
        ("/api/channels/eng/turn-events/../messages", "steps"),
        ("/api/channels/eng/messages", "no stream"),
        ("", "nothing"),
    ] {
        let body = json!({ "path": path }).to_string();
        let told = ask_with(&daemon, &reader, "POST", TICKETS, body.as_bytes()).await?;
        if told.status == 200 {
            let ticket = text(&told.json()?, "ticket").to_owned();
            for target in ["/api/agents", "/api/channels/eng/messages", "/health", "/api/session"] {
                let status = shown(&daemon, &format!("{target}?ticket={ticket}")).await?;
                ensure!(
                    status == 401 || target == "/health",
                    "{what}: {path} opens {target}: {status}"
                );
            }
        } else {
            assert_eq!(told.refusal()?.0, 400, "{what}: {path}");
        }
    }
    // A ticket makes no tickets, and no token of it goes on in the address.
    let target = format!("{TICKETS}?ticket={}", ticket(&daemon, STREAM).await?);
    assert_eq!(daemon.ask("POST", &target, &[], b"{}").await?.status, 401);
    for key in ["token", "access_token", "bearer", "key"] {
        assert_eq!(
            daemon
                .ask("POST", &format!("{TICKETS}?{key}={reader}"), &[], b"{}")
                .await?
                .status,
            401
        );
    }
    Ok(())
}

/// What is revoked is closed: its tickets, its streams, and what it has made.
#[tokio::test]
async fn r_auth_9_a_ticket_is_worth_nothing_without_its_token() -> Result<()> {
    let daemon = with_eng().await?;
    let body = json!({ "scopes": ["reveille:read"] }).to_string();
    let made = daemon.ask_in("POST", "/api/tokens", body.as_bytes()).await?.json()?;
    let (id, reader) = (text(&made, "id"), text(&made, "token"));
    let asked = json!({ "path": STREAM }).to_string();
    let told = ask_with(&daemon, reader, "POST", TICKETS, asked.as_bytes())
        .await?
        .json()?;
    let ticket = text(&told, "ticket").to_owned();
    told["expires_at"]
        .as_str()
        .context("its end")?
        .parse::<jiff::Timestamp>()?;
    assert_eq!(
        daemon.ask_in("DELETE", &format!("/api/tokens/{id}"), b"").await?.status,
        200
    );
    assert_eq!(shown(&daemon, &format!("{STREAM}?ticket={ticket}")).await?, 401);
    Ok(())
}

/// Scopes that look like others.
#[tokio::test]
async fn r_auth_1_3_a_scope_that_is_none_is_refused_and_nothing_is_made() -> Result<()> {
    let daemon = with_eng().await?;
    for scope in [
        "reveille:ADMIN",
        "Reveille:read",
        "reveille:*",
        "reveille:",
        "reveille",
        "reveille:read\u{0}",
        "reveille:read ",
        " reveille:read",
        "reveille:read\nreveille:admin",
        "reveille:read reveille:admin",
        "reveille:read,reveille:admin",
        "rеveille:read",
        "reveille::read",
        "reveille:owner",
        "vault:default:owner",
        "channel:admin:x",
        "",
    ] {
        let body = json!({ "scopes": [scope] }).to_string();
        let told = daemon.ask_in("POST", "/api/tokens", body.as_bytes()).await?;
        assert_eq!(told.refusal()?.0, 400, "{scope:?}");
    }
    let many = json!({ "scopes": vec!["reveille:read"; 100_000] }).to_string();
    let told = daemon.ask_in("POST", "/api/tokens", many.as_bytes()).await?;
    ensure!(told.status < 500 && told.body.len() < 4000, "{}", told.status);
    for body in [
        json!({ "scopes": "reveille:read" }),
        json!({ "scopes": [7] }),
        json!({ "scopes": { "reveille:read": true } }),
        json!({ "scopes": ["reveille:read"], "expires_at": "yesterday" }),
        json!({ "scopes": ["reveille:read"], "expires_at": "2001-01-01T00:00:00Z" }),
        json!({ "scopes": ["reveille:read"], "label": "x".repeat(100_000) }),
        json!({ "scopes": [] }),
        json!({}),
        json!(null),
    ] {
        let told = daemon
            .ask_in("POST", "/api/tokens", body.to_string().as_bytes())
            .await?;
        ensure!(
            (400..500).contains(&told.status) && told.body.len() < 4000,
            "{:.80}: {}",
            body.to_string(),
            told.status
        );
    }
    Ok(())
}
