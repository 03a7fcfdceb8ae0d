//! The turn loop as seen from outside, case by case: agents, lines, conversations and what their turns leave behind.
//! `tests/cases/turn-loop.md` says which test shows which case.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

mod drain;
mod execution;
mod left;
mod registry;
mod sessions;
mod status;
mod subjects;
mod threads;
mod waiting;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Builder, Daemon, Journal, JournalNote, LIMIT, Sent, State, Turn};
use reveille_tests::eventually;
use serde_json::{Value, json};

/// Tags of a message to an agent.
const INBOUND: [&str; 2] = ["agent/message", "agent/message/inbound"];

fn stand_in() -> Builder {
    Daemon::builder()
        .stand_in()
        .env("REVEILLE_CLAUDE__RETRY_PAUSES", "10ms,20ms")
}

/// A daemon with the agent `eng`.
async fn with_eng() -> Result<Daemon> {
    let daemon = stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    Ok(daemon)
}

/// A daemon with the agent `eng` that has one conversation for each message.
async fn with_many() -> Result<Daemon> {
    let daemon = stand_in().start().await?;
    agent(&daemon, "eng", &json!({"mode": "multi-threaded"})).await?;
    Ok(daemon)
}

/// Makes an agent with further metadata.
async fn agent(daemon: &Daemon, name: &str, metadata: &Value) -> Result<Value> {
    let body = json!({"name": name, "prompt": "You help.", "metadata": metadata});
    let made = daemon.request(Method::POST, &["api", "agents"], Some(&body)).await?;
    made.ok()
}

/// What the list says of an agent.
async fn listed(daemon: &Daemon, name: &str) -> Result<Value> {
    let agents = daemon.agents().await?;
    let found = agents.into_iter().find(|agent| agent["name"] == name);
    found.with_context(|| format!("{name} is listed"))
}

/// The same, once no turn of it runs: one that has ended does so for a moment after its reply is delivered.
async fn rested(daemon: &Daemon, name: &str) -> Result<Value> {
    eventually("no turn of it runs", LIMIT, async || {
        let agent = listed(daemon, name).await?;
        Ok(agent["running"].is_null().then_some(agent))
    })
    .await
}

/// Waits until the vault has everything that a turn has left.
async fn delivered(daemon: &Daemon, turn: &Turn) -> Result<()> {
    eventually("it is delivered", LIMIT, async || {
        let now = daemon.turn(&turn.turn).await?;
        Ok((now.more["undelivered"] == false).then_some(()))
    })
    .await
}

/// Writes a message as a note of the vault.
async fn letter(daemon: &Daemon, path: &str, text: &str, metadata: &Value) -> Result<Sent> {
    let note = daemon.note_put(path, text, &INBOUND, metadata).await?;
    let id = note["id"].as_str().context("a note has an id")?.to_owned();
    // The feed has to see it before it can be waited for.
    eventually("the message has a turn", LIMIT, async || {
        let journal = daemon.journal()?;
        Ok(journal.turns.iter().any(|turn| turn.note == id).then_some(()))
    })
    .await?;
    Ok(Sent { id, turn: None })
}

/// The turn of a message, once it has ended.
async fn told(daemon: &Daemon, agent: &str, text: &str) -> Result<Turn> {
    told_with(daemon, agent, &json!({"text": text})).await
}

async fn told_with(daemon: &Daemon, agent: &str, body: &Value) -> Result<Turn> {
    let sent = daemon.send_with(agent, body).await?;
    daemon.wait_turn(agent, &sent).await
}

/// A turn that runs until its gate is opened.
struct Held {
    sent: Sent,
    gate: PathBuf,
}

impl Held {
    /// Sends a message with these further fields and `more` text, and waits until its turn runs a tool.
    async fn new(daemon: &Daemon, agent: &str, fields: &Value, more: &str) -> Result<Self> {
        let key = uuid::Uuid::new_v4().simple().to_string();
        let (running, gate) = (daemon.scratch().join(format!("r{key}")), daemon.scratch().join(key));
        let wait = format!(
            "[[exec touch {}; while [ ! -e {} ]; do sleep 0.02; done]]",
            running.display(),
            gate.display()
        );
        let mut body = fields.clone();
        body["text"] = json!(format!("{wait} {more}"));
        let sent = daemon.send_with(agent, &body).await?;
        eventually("the turn runs", LIMIT, async || Ok(running.exists().then_some(()))).await?;
        Ok(Self { sent, gate })
    }

    fn open(&self) -> Result<()> {
        Ok(std::fs::write(&self.gate, "")?)
    }
}

/// Replies with how the CLI was told of its session.
const SHOW_SESSION: &str = r"[[exec tr '\0' '\n' < /proc/$PPID/cmdline | grep -e --session-id -e --resume]]";

/// How the CLI was told of the session of a turn with [`SHOW_SESSION`].
fn session_option(turn: &Turn) -> Result<&str> {
    let reply = turn.reply.as_deref().with_context(|| format!("{turn:?}"))?;
    let said = reply.split("\n\n").find_map(|part| part.strip_prefix("Tool said: "));
    said.map(str::trim).with_context(|| reply.to_owned())
}

/// The session that a turn had.
fn session(turn: &Turn) -> Result<&str> {
    turn.more["session"].as_str().with_context(|| format!("{turn:?}"))
}

/// The thread note of a turn.
async fn thread(daemon: &Daemon, turn: &Turn) -> Result<Value> {
    let id = turn.more["thread"].as_str().context("a turn has a thread")?;
    daemon.note(id).await?.context("the thread note is there")
}

/// Waits until all is done, and checks what must be true then.
async fn whole(daemon: &Daemon) -> Result<Journal> {
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(journal)
}

/// The answers of an agent, in the order in which they were written.
fn answers<'a>(journal: &'a Journal, agent: &str) -> Vec<&'a JournalNote> {
    let notes = journal.notes.iter();
    notes
        .filter(|note| note.is_outbound() && note.text("agent") == agent)
        .collect()
}

fn texts<'a>(answers: &[&'a JournalNote]) -> Vec<&'a str> {
    answers.iter().map(|note| note.content.as_str()).collect()
}

fn ended(turn: &Turn) -> (State, Option<&str>) {
    (turn.state, turn.reply.as_deref())
}
