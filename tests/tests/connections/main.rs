//! What agents and roles want, what the operator gives them, and what their turns have of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

mod cli;
mod files;
mod git;
mod real_cli;
mod restart;
mod vaults;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use http::Method;
use reveille_tests::daemon::{Answer, Daemon, LIMIT, Reply, Sent, Turn};
use reveille_tests::eventually;
use serde_json::{Value, json};

/// Two vaults; agents live in the first one.
const TWO: &str = "[[vault]]\nname = \"default\"\n[[vault]]\nname = \"notes\"\n";

async fn create(daemon: &Daemon, name: &str, wants: &str) -> Result<Value> {
    let body = json!({ "name": name, "prompt": "You do as you are told.", "metadata": { "wants": wants } });
    let made: Value = daemon
        .request(Method::POST, &["api", "agents"], Some(&body))
        .await?
        .ok()?;
    // When that takes long, the daemon answers before it has read the note.
    eventually("the agent is there", LIMIT, async || {
        let shown = daemon.request(Method::GET, &["api", "agents", name], None).await?;
        Ok((shown.status == 200).then_some(()))
    })
    .await?;
    Ok(made)
}

async fn decide(daemon: &Daemon, what: &str, body: &Value) -> Result<Reply> {
    daemon
        .request(Method::POST, &["api", "connections", what], Some(body))
        .await
}

async fn approve(daemon: &Daemon, holder: &str, key: &str, token: Option<&str>, url: Option<&str>) -> Result<Value> {
    let body = json!({ "holder": holder, "key": key, "token": token, "url": url });
    decide(daemon, "approve", &body).await?.ok()
}

async fn revoke(daemon: &Daemon, holder: &str, key: &str) -> Result<Value> {
    decide(daemon, "revoke", &json!({ "holder": holder, "key": key }))
        .await?
        .ok()
}

/// Key and status of what a holder wants.
async fn wanted(daemon: &Daemon, holder: &str) -> Result<Vec<(String, String)>> {
    let told: Value = daemon.request(Method::GET, &["api", "connections"], None).await?.ok()?;
    let all = told["connections"].as_array().context("a list")?.iter();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    Ok(all
        .filter(|one| one["holder"] == holder)
        .map(|one| (text(one, "key"), text(one, "status")))
        .collect())
}

async fn wanted_soon(daemon: &Daemon, holder: &str, expected: &[(&str, &str)]) -> Result<()> {
    eventually(&format!("{holder} has {expected:?}"), LIMIT, async || {
        let now = wanted(daemon, holder).await?;
        let now: Vec<_> = now
            .iter()
            .map(|(key, status)| (key.as_str(), status.as_str()))
            .collect();
        Ok((now == expected).then_some(()))
    })
    .await
}

async fn turn(daemon: &Daemon, agent: &str, text: &str) -> Result<Turn> {
    let sent = daemon.send(agent, text).await?;
    daemon.wait_turn(agent, &sent).await
}

fn notices(turn: &Turn) -> String {
    turn.more.get("notices").map(ToString::to_string).unwrap_or_default()
}

/// The directory of the CLI's files of a turn's conversation.
fn ctl(daemon: &Daemon, turn: &Turn) -> Result<PathBuf> {
    let thread = turn.more["thread"].as_str().context("a thread")?;
    Ok(daemon.state_dir().join("conversations").join(thread).join("ctl"))
}

/// A turn that runs until it is let go.
struct Held {
    sent: Sent,
    /// What a variable says in it.
    said: String,
    gate: PathBuf,
}

impl Held {
    async fn new(daemon: &Daemon, agent: &str, variable: &str) -> Result<Self> {
        let key = uuid::Uuid::new_v4().simple().to_string();
        let file = |name: &str| daemon.scratch().join(format!("{name}-{key}"));
        let (told, gate) = (file("told"), file("gate"));
        let text = format!(
            "[[exec printf '<%s>' \"${variable}\" >{0}.new && mv {0}.new {0}; while ! test -e {1}; do sleep 0.02; done]]",
            told.display(),
            gate.display(),
        );
        let sent = daemon.send(agent, &text).await?;
        let said = eventually("the turn runs", LIMIT, async || {
            Ok(std::fs::read_to_string(&told).ok()) // silent-ok: not there yet
        })
        .await?;
        std::fs::remove_file(told)?;
        let said = said.trim_matches(['<', '>']).to_owned();
        Ok(Self { sent, said, gate })
    }

    async fn end(self, daemon: &Daemon, agent: &str) -> Result<Turn> {
        std::fs::write(&self.gate, "")?;
        daemon.wait_turn(agent, &self.sent).await
    }
}

async fn ask(daemon: &Daemon, token: &str, method: &str, target: &str, body: &Value) -> Result<Answer> {
    let bearer = format!("Bearer {token}");
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    daemon
        .ask(method, target, &[("authorization", &bearer)], body.as_bytes())
        .await
}
