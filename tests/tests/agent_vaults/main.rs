//! Vaults that are added and removed while the daemon runs: the compiled daemon between the doubles of a hub and of the servers
//! of vaults.

mod adding;
mod cli;
mod door;
mod removing;
mod tokens;

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result};
use reveille_tests::daemon::{Answer, Builder, LIMIT};
use reveille_tests::hub::{self, HubDouble};
use reveille_tests::parachute::{Parachute, Version};
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

const VAULTS: &str = "/api/agent-vaults";
const FILE: &str = "agent-vaults.json";

/// A daemon whose turns are run by the stand-in.
fn builder() -> Builder {
    Daemon::builder().stand_in()
}

/// The same, with a hub.
fn with_hub(hub: &HubDouble) -> Builder {
    builder()
        .env("REVEILLE_HUB__ORIGIN", hub.url())
        .env("REVEILLE_HUB__TOKEN", hub::TOKEN)
}

/// The server of a vault of that name, with an agent.
fn server(vault: &str, agent: &str) -> Result<Parachute> {
    let peer = Parachute::start_named(Version::July, vault)?;
    define(&peer, agent)?;
    Ok(peer)
}

fn define(peer: &Parachute, name: &str) -> Result<()> {
    let note = json!({
        "path": format!("Agents/{name}"), "content": "You do as you are told.", "tags": ["agent/definition"],
        "metadata": { "name": name }
    });
    peer.write(&note)
        .map(drop)
        .map_err(|refusal| anyhow::anyhow!("{refusal}"))
}

/// `POST`, with a token of the server's vault.
async fn add(daemon: &Daemon, vault: &str, peer: &Parachute, token: &str) -> Result<Answer> {
    post(daemon, &json!({ "vault": vault, "url": peer.url(), "token": token })).await
}

async fn post(daemon: &Daemon, body: &Value) -> Result<Answer> {
    daemon.ask_in("POST", VAULTS, body.to_string().as_bytes()).await
}

async fn delete(daemon: &Daemon, vault: &str) -> Result<Answer> {
    daemon.ask_in("DELETE", &format!("{VAULTS}/{vault}"), b"").await
}

/// The names of the vaults as the daemon tells them.
async fn names(daemon: &Daemon) -> Result<Vec<String>> {
    let listed = daemon.ask_in("GET", VAULTS, b"").await?.json()?;
    let all = listed["vaults"].as_array().context("a list")?;
    Ok(all
        .iter()
        .filter_map(|one| one["vault"].as_str().map(str::to_owned))
        .collect())
}

/// What is in the file of added vaults.
fn file(daemon: &Daemon) -> Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(daemon.state_dir().join(FILE))?)?)
}

/// Waits until an agent is there, or is not.
async fn agent_is_there(daemon: &Daemon, name: &str, there: bool) -> Result<()> {
    eventually(&format!("{name} is there: {there}"), LIMIT, async || {
        let agents = daemon.agents().await?;
        Ok((agents.iter().any(|agent| agent["name"] == name) == there).then_some(()))
    })
    .await
}

/// How a vault stands, for the operator.
async fn standing(daemon: &Daemon, vault: &str) -> Result<Option<Value>> {
    let health = daemon.ask_in("GET", "/health", b"").await?.json()?;
    let all = health["vaults"].as_array().context("the operator sees the vaults")?;
    Ok(all.iter().find(|one| one["name"] == vault).cloned())
}

async fn stands(daemon: &Daemon, vault: &str, state: &str) -> Result<Value> {
    eventually(&format!("{vault} is {state}"), LIMIT, async || {
        Ok(standing(daemon, vault).await?.filter(|one| one["state"] == state))
    })
    .await
}

/// The replies in a vault.
fn replies(peer: &Parachute) -> usize {
    let all = peer.notes().into_iter();
    all.filter(|note| note.tags.iter().any(|tag| tag == "agent/message/outbound"))
        .count()
}

async fn wait_replies(peer: &Parachute, expected: usize) -> Result<()> {
    eventually(&format!("{expected} replies"), LIMIT, async || {
        Ok((replies(peer) == expected).then_some(()))
    })
    .await
}

/// Files below a directory that hold a text. What goes meanwhile holds nothing.
fn holding(dir: &Path, text: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(holding(&entry.path(), text)?);
        } else if entry.file_type()?.is_file() {
            let bytes = match std::fs::read(entry.path()) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                bytes => bytes?,
            };
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    Ok(found)
}
