//! `reveille mcp`: for clients that only speak stdio.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, run};
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::house;
use super::official::Official;
use super::sessions::counted;
use super::wire::{call, hello};

#[tokio::test]
async fn a_client_of_stdio_has_the_same_tools() -> Result<()> {
    let daemon = house().await?;
    let mut client = Official::stdio(&daemon.cli(["mcp"]).await?).await?;
    assert_eq!(client.hello["server"]["name"], "reveille");
    let mut other = Official::http(&daemon, "/mcp", daemon.token()).await?;
    assert_eq!(client.tools().await?, other.tools().await?);
    let work = json!({ "agent": "eng", "text": "[[reply over stdio]]" });
    assert_eq!(client.told("delegate", work).await?["reply"], "over stdio");
    assert_eq!(
        client
            .refused("send", json!({ "agent": "nobody", "text": "x" }))
            .await?
            .0,
        "unknown_agent"
    );
    // Progress comes through as well, and others are answered meanwhile.
    let gate = daemon.scratch().join("gate");
    let text = format!(
        "[[exec while ! test -e {}; do sleep 0.02; done]] [[reply slow]]",
        gate.display()
    );
    let long = json!({ "agent": "eng", "text": text, "wait_seconds": 60 });
    let slow = client
        .begin(
            "call",
            json!({ "name": "delegate", "arguments": long, "progress": true }),
        )
        .await?;
    client.hear(|heard| heard["progress"]["message"] == "working").await?;
    client.told("list_agents", json!({})).await?;
    std::fs::write(gate, "")?;
    let told = client.end(slow).await?;
    assert!(
        told["content"][0]["text"]
            .as_str()
            .is_some_and(|text| text.contains("slow\"")),
        "{told}"
    );
    client.close().await?;
    // It has said good-bye: only the other client's session is left.
    eventually("its session has ended", LIMIT, async || {
        Ok((counted(&daemon).await? == json!({ "*": 1 })).then_some(()))
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_restart_of_the_daemon_goes_unnoticed() -> Result<()> {
    let mut daemon = house().await?;
    let mut client = Official::stdio(&daemon.cli(["mcp"]).await?).await?;
    client.told("list_agents", json!({})).await?;
    daemon.restart().await?;
    let agents = client.told("list_agents", json!({})).await?;
    assert_eq!(agents[0]["name"], "eng");
    daemon.kill9().await?;
    daemon.start().await?;
    assert_eq!(client.told("list_agents", json!({})).await?, agents);
    client.close().await
}

#[tokio::test]
async fn without_a_daemon_the_answer_says_what_to_do() -> Result<()> {
    let mut daemon = house().await?;
    let mut client = Official::stdio(&daemon.cli(["mcp"]).await?).await?;
    daemon.stop().await?;
    let error = client
        .call("list_agents", json!({}))
        .await
        .err()
        .context("it was answered")?;
    let error = error.to_string();
    assert!(
        error.contains("reveille serve") && error.contains("Nothing was done"),
        "{error}"
    );
    daemon.start().await?;
    client.told("list_agents", json!({})).await?;
    client.close().await
}

#[tokio::test]
async fn nothing_but_the_protocol_is_on_stdout_and_it_ends_with_stdin() -> Result<()> {
    let daemon = house().await?;
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let input = [
        hello("2025-06-18").to_string(),
        ready.to_string(),
        "no json".into(),
        String::new(),
        call(2, "tools/list").to_string(),
        call(3, "no/such").to_string(),
        json!([call(4, "ping"), call(5, "ping")]).to_string(),
    ];
    let ran = run(daemon.cli(["mcp"]).await?, &(input.join("\n") + "\n")).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let mut answers = std::collections::BTreeMap::new();
    for line in ran.stdout.lines() {
        let message: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        answers.insert(message["id"].to_string(), message);
    }
    let ids: Vec<&str> = answers.keys().map(String::as_str).collect();
    assert_eq!(ids, ["1", "2", "3", "4", "5", "null"]);
    assert_eq!(answers["1"]["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(answers["3"]["error"]["code"], -32601);
    assert_eq!(answers["null"]["error"]["code"], -32700);
    Ok(())
}

#[tokio::test]
async fn a_channel_that_is_not_there_is_told_of() -> Result<()> {
    let daemon = house().await?;
    let error = Official::stdio(&daemon.cli(["mcp", "--channel", "no-such"]).await?).await;
    let error = error.err().context("it was answered")?.to_string();
    assert!(
        error.contains("There is no agent \\\"no-such\\\"") || error.contains("no-such"),
        "{error}"
    );
    let mut client = Official::stdio(&daemon.cli(["mcp", "--channel", "eng"]).await?).await?;
    assert_eq!(client.hello["server"]["name"], "agent-eng");
    assert_eq!(
        client.tools().await?,
        ["reply", "react", "edit_message", "download_attachment"]
    );
    client.close().await
}
