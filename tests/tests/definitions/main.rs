//! Definitions as people and programs work with them: what the daemon made of a note, over HTTP and on the command line.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

mod defs;
mod editor;
mod hints;
mod shown;

use anyhow::{Context as _, Result};
use http::Method;
use reveille_tests::daemon::{Daemon, LIMIT, Reply};
use reveille_tests::eventually;
use serde_json::{Value, json};

const DEFINITION: &str = "agent/definition";
const TWO: &str = "[[vault]]\nname = \"first\"\n[[vault]]\nname = \"second\"\n";

async fn one() -> Result<Daemon> {
    Daemon::builder().stand_in().start().await
}

async fn ask(daemon: &Daemon, method: Method, path: &[&str], body: Option<Value>) -> Result<Reply> {
    daemon.request(method, path, body.as_ref()).await
}

async fn get(daemon: &Daemon, path: &[&str]) -> Result<Value> {
    ask(daemon, Method::GET, path, None).await?.ok()
}

/// Status and code of a refusal, which must say what happened.
fn refusal(reply: &Reply) -> (u16, &str) {
    assert!(reply.body["message"].is_string(), "{}", reply.body);
    (reply.status, reply.body["error"].as_str().unwrap_or_default())
}

/// The keys of problems or warnings.
fn keys(told: &Value) -> Vec<&str> {
    let told = told.as_array().into_iter().flatten();
    told.filter_map(|one| one["key"].as_str()).collect()
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().with_context(|| value.to_string())?.to_owned())
}

/// Writes a definition, and waits until the daemon lists it. Answers the id of the note.
async fn define(daemon: &Daemon, vault: &str, name: &str, metadata: &Value) -> Result<String> {
    let path = format!("Agents/{name}");
    let mut metadata = metadata.clone();
    metadata["name"] = name.into();
    let note = daemon
        .note_put_in(vault, &path, "You do.", &[DEFINITION], &metadata)
        .await?;
    let id = text(&note["id"])?;
    eventually(&format!("{name} is listed"), LIMIT, async || {
        let agents = daemon.agents().await?;
        let there = agents.iter().any(|agent| agent["note_id"] == *id);
        Ok(there.then_some(()))
    })
    .await?;
    Ok(id)
}

/// A definition of the vault `default`, once it says that it counts: that is written beside everything else, and changes it.
async fn until_enabled(daemon: &Daemon, path: &str) -> Result<Value> {
    eventually(&format!("{path} says that it counts"), LIMIT, async || {
        let note = daemon.note(path).await?.context("the definition")?;
        Ok((note["metadata"]["status"] == "enabled").then_some(note))
    })
    .await
}

async fn make(daemon: &Daemon, body: Value) -> Result<Reply> {
    ask(daemon, Method::POST, &["api", "agent-defs"], Some(body)).await
}

/// A definition that was made over `/api/agent-defs`.
async fn made(daemon: &Daemon, name: &str) -> Result<Value> {
    let body = json!({ "vault": "default", "name": name, "systemPrompt": "You do." });
    let answer: Value = make(daemon, body).await?.ok()?;
    Ok(answer["def"].clone())
}

async fn defs(daemon: &Daemon) -> Result<Vec<Value>> {
    let answer = get(daemon, &["api", "agent-defs"]).await?;
    serde_json::from_value(answer["defs"].clone()).context("a list of definitions")
}
