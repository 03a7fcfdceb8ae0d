//! The catalogue of what vaults, definitions, roles, connections and schedules have to do, row by row: each test is called
//! after the rows (`ac_NNN`) that it shows, at the door that a person or a program uses. `tests/cases/catalogue.txt` says what
//! is shown elsewhere, and what is left out and why.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

mod agent_defs;
mod connections;
mod cron;
mod held;
mod hostile;
mod jobs;
mod lifecycle;
mod map;
mod messages;
mod parsing;
mod refusals;
mod runner;
mod threads;
mod vaults;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use reveille_tests::daemon::{Daemon, LIMIT, Reply, Sent};
use reveille_tests::eventually;
use reveille_tests::parachute::{Parachute, TOKEN};
use serde_json::{Value, json};

const DEFINITION: &str = "agent/definition";
const INBOUND: [&str; 2] = ["agent/message", "agent/message/inbound"];

async fn daemon() -> Result<Daemon> {
    Daemon::builder().stand_in().start().await
}

/// A daemon with the agent `eng`.
async fn with_eng() -> Result<Daemon> {
    let daemon = daemon().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    Ok(daemon)
}

/// A daemon whose vault is that of a server.
async fn with_peer(peer: &Parachute) -> Result<Daemon> {
    let url = peer.url();
    let config =
        format!("[vault]\nkind = \"parachute\"\nurl = \"{url}\"\npoll = \"1s\"\ntoken = \"${{PARACHUTE_TOKEN}}\"\n");
    let daemon = Daemon::builder()
        .stand_in()
        .env("PARACHUTE_TOKEN", TOKEN)
        .config(&config);
    daemon.start().await
}

/// Waits until the agents of all vaults are known: the daemon starts without one that is elsewhere and does not answer soon.
async fn until_read(daemon: &Daemon) -> Result<()> {
    eventually("all vaults are read", LIMIT, async || {
        let nobody = get(daemon, &["api", "agents", "nobody"]).await?;
        Ok((nobody.status == 404).then_some(()))
    })
    .await
}

async fn get(daemon: &Daemon, path: &[&str]) -> Result<Reply> {
    daemon.request(Method::GET, path, None).await
}

async fn post(daemon: &Daemon, path: &[&str], body: &Value) -> Result<Reply> {
    daemon.request(Method::POST, path, Some(body)).await
}

async fn patch(daemon: &Daemon, path: &[&str], body: &Value) -> Result<Reply> {
    daemon.request(Method::PATCH, path, Some(body)).await
}

async fn delete(daemon: &Daemon, path: &[&str]) -> Result<Reply> {
    daemon.request(Method::DELETE, path, None).await
}

/// What a refusal says. It has the status, a code and a message with each of the words.
fn refused(reply: &Reply, status: u16, words: &[&str]) -> Result<String> {
    let (code, message) = (text(&reply.body, "error"), text(&reply.body, "message"));
    ensure!(reply.status == status, "{status}: {} {}", reply.status, reply.body);
    ensure!(
        !code.is_empty() && !message.is_empty(),
        "a code and a message: {}",
        reply.body
    );
    for word in words {
        ensure!(message.contains(word), "{word} in {message}");
    }
    Ok(message.to_owned())
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The text at a key of a note's metadata, empty when there is none.
fn meta<'a>(note: &'a Value, key: &str) -> &'a str {
    text(&note["metadata"], key)
}

/// The elements of a list that must be one.
fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key]
        .as_array()
        .with_context(|| format!("a list {key} in {value}"))
}

/// One text of each element.
fn each<'a>(values: &'a [Value], key: &str) -> Vec<&'a str> {
    values.iter().map(|value| text(value, key)).collect()
}

/// Writes a definition as a person does, and answers the note.
async fn define(daemon: &Daemon, path: &str, body: &str, metadata: &Value) -> Result<Value> {
    daemon.note_put(path, body, &[DEFINITION], metadata).await
}

/// Waits until the note says this status, and answers it.
async fn stamped(daemon: &Daemon, key: &str, status: &str) -> Result<Value> {
    let mut last = Value::Null;
    let what = format!("{key} says {status}");
    let found = eventually(&what, LIMIT, async || {
        let note = daemon.note(key).await?.with_context(|| format!("a note {key}"))?;
        last = note["metadata"].clone();
        Ok((meta(&note, "status") == status).then_some(note))
    });
    found.await.with_context(|| format!("it says {last}"))
}

/// Writes a definition and waits for what becomes of it.
async fn defined(daemon: &Daemon, name: &str, body: &str, more: &Value, status: &str) -> Result<Value> {
    let mut metadata = json!({ "name": name });
    merge(&mut metadata, more);
    let path = format!("Agents/{name}");
    define(daemon, &path, body, &metadata).await?;
    stamped(daemon, &path, status).await
}

fn merge(into: &mut Value, more: &Value) {
    for (key, value) in more.as_object().into_iter().flatten() {
        into[key] = value.clone();
    }
}

/// What the list of agents says of one, if it is there.
async fn listed(daemon: &Daemon, name: &str) -> Result<Option<Value>> {
    let agents = daemon.agents().await?;
    Ok(agents.into_iter().find(|agent| agent["name"] == name))
}

/// What is said of one agent.
async fn shown(daemon: &Daemon, name: &str) -> Result<Value> {
    get(daemon, &["api", "agents", name]).await?.ok()
}

/// Writes a message as a note of the vault.
async fn letter(daemon: &Daemon, path: &str, text: &str, metadata: &Value) -> Result<Sent> {
    let note = daemon.note_put(path, text, &INBOUND, metadata).await?;
    let id = note["id"].as_str().context("a note has an id")?.to_owned();
    Ok(Sent { id, turn: None })
}

/// What an agent answers.
async fn asked(daemon: &Daemon, agent: &str, text: &str) -> Result<String> {
    let sent = daemon.send(agent, text).await?;
    let turn = daemon.wait_turn(agent, &sent).await?;
    turn.reply
        .with_context(|| format!("a reply of {agent}: {:?}", turn.error))
}

/// Two messages of an agent, one after the other, by notes: everything that was written before has passed the feed by then.
async fn feed_comes_round(daemon: &Daemon, agent: &str) -> Result<()> {
    for _ in 0..2 {
        let path = format!("round/{}", uuid::Uuid::new_v4().simple());
        let sent = letter(daemon, &path, "[[reply round]]", &json!({ "agent": agent })).await?;
        daemon.wait_turn(agent, &sent).await?;
    }
    Ok(())
}

/// How often a note was written.
fn writes(daemon: &Daemon, note: &Value) -> Result<usize> {
    let id = note["id"].as_str().context("a note has an id")?;
    let sql = format!("SELECT kind FROM changes WHERE note_id = '{id}'");
    Ok(reveille_tests::daemon::rows(&daemon.state_tables()?.vault, &sql)?.len())
}

/// All notes of the vault `default` with a tag, the oldest first.
async fn notes(daemon: &Daemon, tag: &str) -> Result<Vec<Value>> {
    let tag = tag.replace('/', "%2F");
    let target = format!("/vault/default/api/notes?include_content=true&limit=1000&tag={tag}");
    let answer = daemon.ask_in("GET", &target, b"").await?;
    serde_json::from_value(answer.json()?).context("a list of notes")
}
