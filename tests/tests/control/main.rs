//! A person's hand on the line and on agents, over HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

mod agents;
mod door;
mod failures;
mod line;
mod moments;
mod pauses;
mod renames;
mod resend;
mod resets;

use anyhow::{Context as _, Result};
use http::Method;
use reveille_tests::daemon::{Daemon, LIMIT, Reply, Sent};
use reveille_tests::eventually;
use serde_json::{Value, json};

async fn with_eng() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    Ok(daemon)
}

async fn post(daemon: &Daemon, path: &[&str], body: Value) -> Result<Reply> {
    daemon
        .request(Method::POST, &[&["api"], path].concat(), Some(&body))
        .await
}

async fn patch(daemon: &Daemon, path: &[&str], body: Value) -> Result<Reply> {
    daemon
        .request(Method::PATCH, &[&["api"], path].concat(), Some(&body))
        .await
}

async fn get(daemon: &Daemon, path: &[&str]) -> Result<Value> {
    daemon
        .request(Method::GET, &[&["api"], path].concat(), None)
        .await?
        .ok()
}

/// Something that a person does with a turn, which must succeed; answers the turn.
async fn hand(daemon: &Daemon, turn: &str, what: &str, body: Value) -> Result<Value> {
    post(daemon, &["turns", turn, what], body).await?.ok()
}

/// Status and code of a refusal, which must say what to do.
fn refusal(reply: &Reply) -> (u16, &str) {
    let text = |key: &str| reply.body[key].as_str().unwrap_or_default();
    assert!(
        !text("message").is_empty() && !text("next_step").is_empty(),
        "{}",
        reply.body
    );
    (reply.status, text("error"))
}

fn turn_of(sent: &Sent) -> Result<&str> {
    sent.turn.as_deref().context("the queue has taken it")
}

/// A turn that runs until [`Gate::open`].
struct Gate {
    file: std::path::PathBuf,
    sent: Sent,
}

impl Gate {
    /// Sent, and at work.
    async fn close(daemon: &Daemon, agent: &str, body: Value) -> Result<Self> {
        let file = daemon.scratch().join(uuid::Uuid::new_v4().to_string());
        let mut body = body;
        body["text"] = format!(
            "[[exec while ! test -e {}; do sleep 0.02; done]] [[reply gate]]",
            file.display()
        )
        .into();
        let mut events = daemon.events(agent).await?;
        let sent = daemon.send_with(agent, &body).await?;
        events
            .until(|event| event.kind() == "tool" && event.data["message"] == sent.id.as_str())
            .await?;
        Ok(Self { file, sent })
    }

    fn open(&self) -> Result<()> {
        Ok(std::fs::write(&self.file, "")?)
    }
}

/// The answers of an agent, in the order in which they were given.
async fn answers(daemon: &Daemon, agent: &str, count: usize) -> Result<Vec<String>> {
    let what = format!("{agent} has given {count} answers");
    eventually(&what, LIMIT, async || {
        let said = daemon.messages(agent).await?;
        let answers: Vec<String> = said
            .into_iter()
            .filter(|message| message.direction == "outbound")
            .map(|message| message.text.lines().last().unwrap_or_default().to_owned())
            .collect();
        Ok((answers.len() >= count).then_some(answers))
    })
    .await
}

async fn note(daemon: &Daemon, key: &str) -> Result<Value> {
    daemon.note(key).await?.with_context(|| format!("no note {key}"))
}

/// What an agent that was not to run would have had time for.
async fn let_others_pass(daemon: &Daemon) -> Result<()> {
    if !daemon.agents().await?.iter().any(|agent| agent["name"] == "passer") {
        daemon.create_agent("passer", "You pass.").await?;
    }
    for _ in 0..2 {
        let sent = daemon.send("passer", "[[reply passed]]").await?;
        daemon.wait_turn("passer", &sent).await?;
    }
    Ok(())
}

fn empty() -> Value {
    json!({})
}
