//! What becomes of definitions: how they come, change and go, and what that costs.

mod attached;
mod broken;
mod confident;
mod cost;
mod discovery;
mod folder;

use anyhow::{Context as _, Result};
use reveille_tests::daemon::{Daemon, LIMIT, Sent, State, Turn, rows};
use reveille_tests::eventually;
use reveille_tests::parachute::{Parachute, TOKEN};
use serde_json::{Value, json};

const DEFINITION: [&str; 1] = ["agent/definition"];
/// What webhooks of the server show.
const SECRET: &str = "s3cret-of-the-webhooks";
const INBOUND: [&str; 2] = ["agent/message", "agent/message/inbound"];

fn stand_in() -> reveille_tests::daemon::Builder {
    Daemon::builder().stand_in()
}

/// Writes a definition as a person in the vault does; answers its id.
async fn define(daemon: &Daemon, name: &str, metadata: &Value) -> Result<String> {
    let path = format!("Agents/{name}");
    let note = daemon.note_put(&path, "You do.", &DEFINITION, metadata).await?;
    Ok(note["id"].as_str().context("a note has an id")?.to_owned())
}

fn says_of(note: &Value, key: &str) -> String {
    note["metadata"][key].as_str().unwrap_or_default().to_owned()
}

/// Waits until a note has this status, and answers the detail.
async fn until_status(daemon: &Daemon, key: &str, status: &str) -> Result<String> {
    eventually(&format!("{key} says {status}"), LIMIT, async || {
        let note = daemon.note(key).await?.context("the note is there")?;
        Ok((says_of(&note, "status") == status).then(|| says_of(&note, "status_detail")))
    })
    .await
}

/// Writes a message as a note.
async fn letter(daemon: &Daemon, path: &str, agent: &str, text: &str) -> Result<Sent> {
    let note = daemon
        .note_put(path, text, &INBOUND, &json!({ "agent": agent }))
        .await?;
    let id = note["id"].as_str().context("a note has an id")?.to_owned();
    Ok(Sent { id, turn: None })
}

/// Two messages one after the other: after the second, all that the daemon wrote because of what came before the first has
/// passed the feed too.
async fn feed_comes_round(daemon: &Daemon, agent: &str, round: &str) -> Result<()> {
    for step in 0..2 {
        let sent = letter(daemon, &format!("round/{round}-{step}"), agent, "[[reply round]]").await?;
        assert_eq!(daemon.wait_turn(agent, &sent).await?.state, State::Ok);
    }
    Ok(())
}

async fn told(daemon: &Daemon, agent: &str, text: &str) -> Result<Turn> {
    let sent = daemon.send(agent, text).await?;
    daemon.wait_turn(agent, &sent).await
}

/// How often notes that satisfy a condition were written, as the vault's log has it.
fn writes(daemon: &Daemon, condition: &str) -> Result<usize> {
    let sql = format!("SELECT cursor FROM changes WHERE {condition}");
    Ok(rows(&daemon.state_tables()?.vault, &sql)?.len())
}

fn writes_of(daemon: &Daemon, note: &str) -> Result<usize> {
    writes(daemon, &format!("note_id = '{note}'"))
}

/// A daemon whose only vault is the server.
fn remote(peer: &Parachute, more: &str) -> reveille_tests::daemon::Builder {
    let url = peer.url();
    let config = format!(
        "[vault]\nname = \"remote\"\nkind = \"parachute\"\nurl = \"{url}\"\nvault = \"default\"\npoll = \"1s\"\n\
         token = \"${{PARACHUTE_TOKEN}}\"\nwebhook_secret = \"${{WEBHOOK_SECRET}}\"\n{more}"
    );
    stand_in()
        .env("PARACHUTE_TOKEN", TOKEN)
        .env("WEBHOOK_SECRET", SECRET)
        .config(&config)
}

/// Writes a note as another client of the server does; answers its id.
fn put(peer: &Parachute, path: &str, tags: &[&str], metadata: &Value) -> Result<String> {
    let note = json!({ "path": path, "content": "You do.", "tags": tags, "metadata": metadata });
    let made = peer.write(&note).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    Ok(made.id)
}

/// Waits for so many further scans of the server.
async fn scans(peer: &Parachute, number: usize) -> Result<()> {
    peer.take_log();
    let mut seen = 0;
    eventually("the server is scanned", LIMIT, async || {
        let log = peer.take_log();
        seen += log
            .iter()
            .filter(|line| line.contains("agent%2Fdefinition") && line.contains("offset=0"))
            .count();
        Ok((seen > number).then_some(()))
    })
    .await
}
