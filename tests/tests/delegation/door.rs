//! The token of a turn: what it opens, and for how long.

use std::path::Path;

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, State};
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::{Held, INBOUND, with};

const NOTES: &str = "/vault/default/api/notes";

#[tokio::test]
async fn a_turn_may_do_little_more_than_send_and_write_notes() -> Result<()> {
    let daemon = with(&["alpha", "beta"]).await?;
    let (held, other) = (Held::new(&daemon, "alpha").await?, Held::new(&daemon, "beta").await?);
    let own = format!("/api/turns/{}", held.turn);
    for target in ["/api/agents", &own, NOTES, &format!("{NOTES}/Agents%2Falpha")] {
        let answer = held.ask(&daemon, "GET", target, &Value::Null).await?;
        assert_eq!(answer.status, 200, "{target}");
        // Who may reach what is the operator's business.
        assert!(
            !String::from_utf8_lossy(&answer.body).contains("\"connections\""),
            "{target}"
        );
    }
    let agent = json!({"name": "gamma"});
    let admin = [
        ("POST", "/api/sign-in-links".to_owned(), json!({})),
        ("POST", "/api/agents".to_owned(), agent),
        ("GET", "/api/agents/beta".to_owned(), Value::Null),
        ("DELETE", "/api/agents/beta".to_owned(), Value::Null),
        ("GET", format!("/api/turns/{}", other.turn), Value::Null),
        ("POST", format!("/api/turns/{}/stop", other.turn), json!({})),
        ("POST", format!("{own}/stop"), json!({})),
        ("GET", "/api/channels/beta/messages".to_owned(), Value::Null),
        ("GET", "/api/channels/beta/turn-events".to_owned(), Value::Null),
        ("GET", "/vault/another/api/notes".to_owned(), Value::Null),
        ("DELETE", format!("{NOTES}/Agents%2Fbeta"), Value::Null),
        ("GET", "/vault/default/api/no-such-route".to_owned(), Value::Null),
        ("GET", "/api/session".to_owned(), Value::Null),
    ];
    for (method, target, body) in admin {
        let answer = held.ask(&daemon, method, &target, &body).await?;
        assert_eq!(answer.refusal()?, (403, "turn_may_not".to_owned()), "{method} {target}");
        assert!(answer.json()?["next_step"].is_string(), "{method} {target}");
    }
    // A definition by way of a note is one all the same.
    let definition = json!({"content": "x", "tags": ["agent/definition"], "metadata": {"name": "gamma"}});
    let edit = json!({"metadata": {"budget_turn_usd": "1000"}, "force": true});
    let beta = format!("{NOTES}/Agents%2Fbeta");
    for (method, target, body) in [("POST", NOTES, &definition), ("PATCH", &beta, &edit)] {
        let answer = held.ask(&daemon, method, target, body).await?;
        assert_eq!(answer.refusal()?, (403, "forbidden".to_owned()), "{method} {target}");
    }
    assert_eq!(daemon.turn(&other.turn).await?.state, State::Working);
    assert_eq!(daemon.agents().await?.len(), 2);
    held.let_go()?;
    other.let_go()
}

#[tokio::test]
async fn a_token_ends_with_its_turn() -> Result<()> {
    let mut daemon = with(&["alpha", "beta"]).await?;
    let over = (401, "turn_is_over".to_owned());
    let send = json!({"text": "too late"});

    let held = Held::new(&daemon, "alpha").await?;
    held.let_go()?;
    daemon.wait_turn("alpha", &held.sent).await?;
    for (method, target) in [
        ("GET", "/api/agents"),
        ("POST", "/api/channels/beta/send"),
        ("POST", NOTES),
    ] {
        let body = if method == "GET" { &Value::Null } else { &send };
        let answer = held.ask(&daemon, method, target, body).await?;
        assert_eq!(answer.refusal()?, over, "{method} {target}");
    }
    // A stopped turn does nothing more either.
    let stopped = Held::new(&daemon, "alpha").await?;
    daemon.stop_turn(&stopped.turn).await?;
    eventually("the token is void", LIMIT, async || {
        let answer = stopped.ask(&daemon, "GET", "/api/agents", &Value::Null).await?;
        Ok((answer.status == 401).then_some(()))
    })
    .await?;
    daemon.wait_turn("alpha", &stopped.sent).await?;
    // After a restart the turn goes on, with another token.
    let cut_off = Held::new(&daemon, "alpha").await?;
    daemon.kill9().await?;
    daemon.start().await?;
    let answer = cut_off.ask(&daemon, "POST", "/api/channels/beta/send", &send).await?;
    assert_eq!(answer.refusal()?, over);
    cut_off.let_go()?;
    daemon.wait_turn("alpha", &cut_off.sent).await?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.turns.iter().filter(|turn| turn.channel == "beta").count(), 0);
    Ok(())
}

#[tokio::test]
async fn a_made_up_token_opens_nothing() -> Result<()> {
    let daemon = with(&["alpha"]).await?;
    let held = Held::new(&daemon, "alpha").await?;
    let zeros = format!("turn.{}.{}", held.turn, "0".repeat(64));
    let longer = format!("{}0", held.token);
    for token in [zeros.as_str(), &longer, "turn.", "turn..", "turn.x.y"] {
        let bearer = format!("Bearer {token}");
        let answer = daemon
            .ask("GET", "/api/agents", &[("authorization", &bearer)], b"")
            .await?;
        assert_eq!(answer.refusal()?, (401, "turn_is_over".to_owned()), "{token}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    held.let_go()
}

/// What is still there: turns make and remove files meanwhile.
fn there<T>(read: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Whether a file below a directory holds these bytes.
fn is_in_files(dir: &Path, wanted: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in there(std::fs::read_dir(dir))?.into_iter().flatten() {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            found.extend(is_in_files(&entry.path(), wanted)?);
        } else if kind.is_file() {
            let bytes = there(std::fs::read(entry.path()))?.unwrap_or_default();
            if bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes()) {
                found.push(entry.path().display().to_string());
            }
        }
    }
    Ok(found)
}

#[tokio::test]
async fn a_token_is_in_the_environment_and_nowhere_else() -> Result<()> {
    let daemon = with(&["alpha", "beta"]).await?;
    let held = Held::new(&daemon, "alpha").await?;
    let body = json!({"content": "hi", "tags": INBOUND, "metadata": {"agent": "beta"}});
    held.write(&daemon, "POST", NOTES, &body).await?;
    let secret = held.token.rsplit_once('.').context("three parts")?.1;
    for pid in daemon.children()? {
        // silent-ok: it has ended meanwhile
        let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else {
            continue;
        };
        let line = String::from_utf8_lossy(&line);
        assert!(!line.contains(secret), "{line}");
    }
    assert_eq!(is_in_files(&daemon.state_dir(), secret)?, Vec::<String>::new());
    held.let_go()?;
    daemon.wait_quiet(LIMIT).await?;
    assert_eq!(is_in_files(&daemon.state_dir(), secret)?, Vec::<String>::new());
    assert!(!daemon.log()?.contains(secret));
    Ok(())
}
