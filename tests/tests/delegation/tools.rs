//! The MCP tools with the token of a turn: the same rights, the same marks.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::LIMIT;
use serde_json::{Value, json};

use super::{Held, INBOUND, marks, message, with};

/// Metadata of somebody who would like to pass for a person with a fresh chain.
fn lies() -> Value {
    json!({
        "agent": "beta", "chain_id": "another", "delegation_depth": "0", "delegated_by": "nobody", "sender": "ann",
        "callback": "true",
    })
}

#[tokio::test]
async fn a_turn_sees_the_tools_that_it_may_use() -> Result<()> {
    let daemon = with(&["alpha", "beta"]).await?;
    let held = Held::new(&daemon, "alpha").await?;
    let told = daemon.mcp_call(&held.token, "tools/list", &json!({})).await?;
    let tools = told["result"]["tools"].as_array().context("tools")?;
    let names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    let expected = [
        "query-notes",
        "create-note",
        "update-note",
        "list-tags",
        "find-path",
        "synthesize-notes",
        "vault-info",
        "send-message",
        "list-agents",
    ];
    assert_eq!(names, expected);
    // To know the name is not enough.
    let beta = daemon
        .tool(&held.token, "delete-note", &json!({ "id": "Agents/beta" }))
        .await?;
    assert_eq!((beta.failed, &beta.value["error_type"]), (true, &json!("forbidden")));
    let definition = json!({ "content": "x", "tags": ["agent/definition"], "metadata": { "name": "gamma" } });
    let edit = json!({ "id": "Agents/beta", "metadata": { "budget_turn_usd": "1000" }, "force": true });
    for (tool, arguments) in [("create-note", definition), ("update-note", edit)] {
        let told = daemon.tool(&held.token, tool, &arguments).await?;
        assert_eq!(
            (told.failed, &told.value["error_type"]),
            (true, &json!("forbidden")),
            "{tool}"
        );
    }
    for (tool, arguments) in [
        (
            "update-tag",
            json!({ "tag": "agent/message/inbound", "parent_names": ["x"] }),
        ),
        ("delete-tag", json!({ "tag": "agent/definition" })),
        ("vault-info", json!({ "description": "mine" })),
    ] {
        let told = daemon.tool(&held.token, tool, &arguments).await?;
        assert_eq!(
            (told.failed, &told.value["error_type"]),
            (true, &json!("forbidden")),
            "{tool}"
        );
    }
    let other = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let answer = held.ask(&daemon, "POST", "/vault/other/mcp", &other).await?;
    assert_eq!(answer.refusal()?, (403, "turn_may_not".to_owned()));
    let agents = daemon.tool(&held.token, "list-agents", &json!({})).await?.value;
    let you: Vec<_> = agents
        .as_array()
        .context("agents")?
        .iter()
        .map(|agent| &agent["you"])
        .collect();
    assert_eq!(you, [&json!(true), &Value::Null]);
    held.let_go()?;
    daemon.wait_turn("alpha", &held.sent).await?;
    let answer = daemon.mcp(&held.token, &other).await?;
    assert_eq!(answer.refusal()?, (401, "turn_is_over".to_owned()));
    Ok(())
}

#[tokio::test]
async fn what_a_turn_writes_by_a_tool_is_marked() -> Result<()> {
    let daemon = with(&["alpha", "beta"]).await?;
    let held = Held::with(&daemon, "alpha", &json!({ "chain_id": "c-0", "delegation_depth": "3" })).await?;
    let expected = ["c-0", "4", &held.turn, "agent:alpha"];
    let new = json!({ "content": "by create", "tags": INBOUND, "metadata": lies() });
    let made = daemon.tool(&held.token, "create-note", &new).await?.value;
    let plain = daemon
        .tool(&held.token, "create-note", &json!({ "content": "by update" }))
        .await?
        .value;
    let change = json!({ "id": plain["id"], "tags": { "add": INBOUND }, "metadata": lies(), "if_updated_at": plain["updatedAt"] });
    let changed = daemon.tool(&held.token, "update-note", &change).await?.value;
    let send = json!({ "agent": "beta", "text": "by send", "reply": true, "attachments": [] });
    let sent = daemon.tool(&held.token, "send-message", &send).await?.value;
    for (note, reply_to) in [(&made, ""), (&changed, ""), (&sent, "alpha")] {
        let id = note["id"].as_str().with_context(|| note.to_string())?;
        let note = message(&daemon, "the message is there", |note| note.id == id).await?;
        assert_eq!(
            (marks(&note), note.text("reply_to")),
            (expected, reply_to),
            "{}",
            note.content
        );
        assert!(!note.is_callback(), "{note:?}");
    }
    held.let_go()?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.turns.iter().filter(|turn| turn.channel == "beta").count(), 3);
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_tool_does_not_hand_on_what_lies_too_deep() -> Result<()> {
    let daemon = with(&["alpha", "beta"]).await?;
    let held = Held::with(&daemon, "alpha", &json!({ "delegation_depth": "8" })).await?;
    let told = daemon
        .tool(&held.token, "send-message", &json!({ "agent": "beta", "text": "hi" }))
        .await?;
    assert_eq!(
        (told.failed, &told.value["error"]),
        (true, &json!("delegation_too_deep"))
    );
    assert!(told.value["next_step"].is_string(), "{}", told.value);
    held.let_go()?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert!(journal.notes.iter().all(|note| note.content != "hi"));
    Ok(())
}
