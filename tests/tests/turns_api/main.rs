//! What turns did, who they were for and what they led to; conversations of all agents: by the door that programs use.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

mod fields;
mod kept;
mod steps;
mod threads;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use reveille_tests::daemon::{Answer, Daemon, Event, LIMIT, Reply, Turn};
use reveille_tests::eventually;
use serde_json::{Value, json};

/// A daemon with the agent `eng`.
async fn with_eng() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    Ok(daemon)
}

/// An answer to `GET` with the admin token, whatever it is. The target is taken as it is.
async fn get(daemon: &Daemon, target: &str) -> Result<Answer> {
    daemon.ask_in("GET", target, b"").await
}

/// The body of a success.
async fn read(daemon: &Daemon, target: &str) -> Result<Value> {
    let answer = get(daemon, target).await?;
    ensure!(answer.status == 200, "{target}: {} {}", answer.status, answer.json()?);
    answer.json()
}

/// Sends a message and waits for the end of its turn.
async fn turn(daemon: &Daemon, text: &str) -> Result<Turn> {
    let sent = daemon.send("eng", text).await?;
    daemon.wait_turn("eng", &sent).await
}

/// What a turn did.
async fn steps(daemon: &Daemon, turn: &str) -> Result<Value> {
    read(daemon, &format!("/api/turns/{turn}/steps")).await
}

/// The kinds of events, in their order.
fn kinds(steps: &Value) -> Vec<&str> {
    let events = steps["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    events.iter().filter_map(|event| event["kind"].as_str()).collect()
}

/// The events of a kind.
fn of_kind<'a>(steps: &'a Value, kind: &str) -> Vec<&'a Value> {
    let events = steps["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    events.iter().filter(|event| event["kind"] == kind).collect()
}

/// Makes a token.
async fn token(daemon: &Daemon, scope: &str) -> Result<String> {
    let body = json!({ "scopes": [scope] });
    let made: Value = daemon
        .request(Method::POST, &["api", "tokens"], Some(&body))
        .await?
        .ok()?;
    Ok(made["token"].as_str().context("a token")?.to_owned())
}

/// A request with that token: its status and code.
async fn ask_with(daemon: &Daemon, token: &str, method: &str, target: &str, body: &Value) -> Result<(u16, String)> {
    let bearer = format!("Bearer {token}");
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let answer = daemon
        .ask(method, target, &[("authorization", bearer.as_str())], body.as_bytes())
        .await?;
    let code = answer.json()?["error"].as_str().unwrap_or_default().to_owned();
    Ok((answer.status, code))
}

/// A turn that runs until the gate opens.
struct Gate {
    file: std::path::PathBuf,
}

impl Gate {
    fn new(daemon: &Daemon, name: &str) -> Self {
        Self {
            file: daemon.scratch().join(name),
        }
    }

    fn directive(&self) -> String {
        format!("[[exec while ! test -e {}; do sleep 0.02; done]]", self.file.display())
    }

    fn open(&self) -> Result<()> {
        Ok(std::fs::write(&self.file, "")?)
    }
}
