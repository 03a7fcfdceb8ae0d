//! Calls that wait, and clients that do not.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reqwest::Response;
use reveille_tests::daemon::{ACCEPT, LIMIT};
use reveille_tests::parachute::{Parachute, TOKEN, Version};
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

use super::house;
use super::wire::Wire;

/// Calls of one caller that wait at once.
const MOST: u64 = 64;

/// A message to an agent that is paused: its turn does not end by itself.
async fn endless(daemon: &Daemon) -> Result<Value> {
    let path = ["api", "agents", "eng", "pause"];
    daemon
        .request(Method::POST, &path, Some(&json!({})))
        .await?
        .ok::<Value>()?;
    Ok(json!(daemon.send("eng", "Wait.").await?.turn.context("a turn")?))
}

/// A call that wants to hear of progress.
fn tool(id: u64, name: &str, arguments: &Value) -> Value {
    let params = json!({ "name": name, "arguments": arguments, "_meta": { "progressToken": id } });
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
}

/// Sends messages, and does not read the answer.
async fn unread(wire: &Wire, session: &str, messages: &Value) -> Result<Response> {
    let headers = [
        ACCEPT,
        ("content-type", "application/json"),
        ("mcp-session-id", session),
    ];
    wire.ask(Method::POST, &headers, &messages.to_string()).await
}

/// Reads until so many calls have told that they wait.
async fn until_waiting(answers: &mut Response, calls: usize) -> Result<()> {
    let mut read = String::new();
    let told = async {
        while read.matches("notifications/progress").count() < calls {
            let chunk = answers.chunk().await?.context("the answers ended")?;
            read.push_str(std::str::from_utf8(&chunk)?);
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(LIMIT, told).await.context("they do not wait")?
}

/// What a call is told to do next about a turn that goes on.
async fn next_step(wire: &Wire, session: &str, call: &Value) -> Result<String> {
    let said = tokio::time::timeout(LIMIT, wire.post(Some(session), call)).await;
    let said = said.context("no answer")??;
    let told = said.messages()?.pop().context("an answer")?;
    let text = told["result"]["content"][0]["text"]
        .as_str()
        .with_context(|| told.to_string())?;
    let told: Value = serde_json::from_str(text)?;
    assert_eq!(told["state"], "waiting", "{told}");
    Ok(told["next"].as_str().context("what to do")?.to_owned())
}

#[tokio::test]
async fn so_many_calls_wait_at_once_and_they_end_with_their_clients() -> Result<()> {
    let daemon = house().await?;
    let turn = endless(&daemon).await?;
    let wire = Wire::new(&daemon, "/mcp", daemon.token())?;
    let session = wire.open().await?;
    let status = |id: u64, seconds: u64| tool(id, "turn_status", &json!({ "turn": turn, "wait_seconds": seconds }));
    let delegate = |id: u64| {
        let work = json!({ "agent": "eng", "text": "Wait.", "wait_seconds": 3000 });
        tool(id, "delegate", &work)
    };
    let half = MOST / 2;
    let asked: Vec<Value> = (0..half).map(|id| status(100 + id, 3000)).collect();
    let handed: Vec<Value> = (0..half).map(|id| delegate(200 + id)).collect();
    let mut waiting = Vec::new();
    for calls in [asked, handed] {
        let mut answers = unread(&wire, &session, &json!(calls)).await?;
        until_waiting(&mut answers, calls.len()).await?;
        waiting.push(answers);
    }
    // One more is told at once how it stands, and so it stays while they wait.
    for call in [status(4, 3000), delegate(5)] {
        let next = next_step(&wire, &session, &call).await?;
        assert!(next.contains("64 of your calls wait already"), "{next}");
    }
    // Others may.
    let token = super::token(&daemon, &["reveille:read"]).await?;
    let other = Wire::new(&daemon, "/mcp", &token)?;
    let theirs = other.open().await?;
    let next = next_step(&other, &theirs, &status(6, 1)).await?;
    assert!(!next.contains("wait already"), "{next}");

    drop(waiting);
    eventually("they have ended", LIMIT, async || {
        let next = next_step(&wire, &session, &status(7, 1)).await?;
        Ok((!next.contains("wait already")).then_some(()))
    })
    .await
}

#[tokio::test]
async fn who_goes_while_a_message_is_handed_over_has_taken_nothing() -> Result<()> {
    let peer = Parachute::start(Version::July)?;
    let note = json!({
        "path": "Agents/far", "content": "You build.", "tags": ["agent/definition"],
        "metadata": { "name": "far", "backend": "attached" }
    });
    peer.write(&note).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    let config = format!(
        "[[vault]]\nname = \"far\"\nkind = \"parachute\"\nurl = \"{}\"\nvault = \"default\"\npoll = \"200ms\"\n\
         token = \"${{VAULT_TOKEN}}\"\n",
        peer.url()
    );
    let daemon = Daemon::builder()
        .stand_in()
        .env("VAULT_TOKEN", TOKEN)
        .config(&config)
        .start()
        .await?;
    eventually("the agent is there", LIMIT, async || {
        Ok((daemon.agents().await?.len() == 1).then_some(()))
    })
    .await?;
    let sent = daemon.send("far", "Build it.").await?;
    let wire = Wire::new(&daemon, "/mcp/far", daemon.token())?;
    let session = wire.open().await?;
    peer.set_faults(|faults| faults.hold = Some("/attachments".to_owned()));
    let client = unread(&wire, &session, &tool(2, "next-message", &json!({}))).await?;
    eventually("it is handed over", LIMIT, async || {
        let asked = peer.take_log();
        Ok(asked.iter().any(|line| line.contains("/attachments")).then_some(()))
    })
    .await?;
    drop(client);
    peer.set_faults(|faults| faults.hold = None);
    let taken = eventually("it waits again", LIMIT, async || {
        let said = wire.post(Some(&session), &tool(3, "next-message", &json!({}))).await?;
        let told = said.messages()?.pop().context("an answer")?;
        let text = told["result"]["content"][0]["text"].as_str().context("a text")?;
        let told: Value = serde_json::from_str(text)?;
        Ok(told["id"].is_string().then_some(told))
    })
    .await?;
    assert_eq!(taken["id"], json!(sent.id));
    Ok(())
}
