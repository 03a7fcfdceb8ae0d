//! Grants that a hub keeps: the compiled daemon before the double of a hub. Rows of the acceptance catalogue by their names.

mod reconcile;
mod status;
mod turns;

use anyhow::{Context as _, Result};
use http::Method;
use reveille_tests::daemon::{Builder, LIMIT};
use reveille_tests::hub::{self, HubDouble};
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

/// A daemon whose grants the hub keeps.
fn with_hub(hub: &HubDouble) -> Builder {
    Daemon::builder()
        .stand_in()
        .env("REVEILLE_GRANTS__BACKEND", "hub")
        .env("REVEILLE_HUB__ORIGIN", hub.url())
        .env("REVEILLE_HUB__TOKEN", hub::TOKEN)
}

/// Writes a definition. Answers the id of its note.
async fn define(daemon: &Daemon, name: &str, wants: &str) -> Result<String> {
    let path = format!("Agents/{name}");
    let metadata = json!({ "name": name, "wants": wants });
    let note = daemon
        .note_put(&path, "You do as you are told.", &["agent/definition"], &metadata)
        .await?;
    Ok(note["id"].as_str().context("a note has an id")?.to_owned())
}

/// Edits what a definition wants.
async fn edit(daemon: &Daemon, name: &str, wants: &str) -> Result<()> {
    let body = json!({ "metadata": { "wants": wants }, "force": true });
    let path = format!("Agents/{name}");
    let target = ["vault", "default", "api", "notes", path.as_str()];
    daemon
        .request(Method::PATCH, &target, Some(&body))
        .await?
        .ok::<Value>()
        .map(drop)
}

/// Waits until a definition says its status and what is pending. Answers when it was written.
async fn says(daemon: &Daemon, name: &str, status: &str, pending: &str) -> Result<String> {
    let path = format!("Agents/{name}");
    eventually(&format!("{name} is {status}, pending {pending:?}"), LIMIT, async || {
        let note = daemon.note(&path).await?.context("the definition is there")?;
        let text = |key: &str| note["metadata"][key].as_str().unwrap_or_default().to_owned();
        let there = text("status") == status && text("pending") == pending;
        Ok(there.then(|| note["updatedAt"].to_string()))
    })
    .await
}

/// Approves what an agent wants of a target, as soon as the hub knows of it.
async fn approve(hub: &HubDouble, agent: &str, target: &str, material: &Value) -> Result<()> {
    eventually(&format!("{agent} asks for {target}"), LIMIT, async || {
        Ok(hub.approve(agent, target, material).then_some(()))
    })
    .await
}

/// What the hub was asked for an agent, in order.
fn registered(hub: &HubDouble, agent: &str) -> Vec<Value> {
    hub.grants(agent).into_iter().map(|grant| grant.connection).collect()
}

/// What the hub was told is live, by each `reconcile` of an agent.
fn reconciled(hub: &HubDouble, agent: &str) -> Vec<Value> {
    let log = hub.log().into_iter();
    log.filter(|asked| asked.line == "POST /admin/grants/reconcile" && asked.body["agent"] == agent)
        .map(|asked| asked.body["liveConnections"].clone())
        .collect()
}

fn github(inject: &[&str]) -> Value {
    json!({ "kind": "service", "target": "github", "inject": inject })
}

fn notes() -> Value {
    json!({ "kind": "vault", "target": "notes", "access": "read" })
}
