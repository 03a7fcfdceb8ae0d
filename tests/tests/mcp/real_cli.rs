//! The tools in the hands of the real CLI, which talks to a double of the API.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT};
use reveille_tests::messages_api::MessagesApi;
use serde_json::{Value, json};

/// With the agents `alpha` and `beta`.
async fn house(api: &MessagesApi) -> Result<Daemon> {
    let daemon = Daemon::builder().real_claude(api).start().await?;
    for agent in ["alpha", "beta"] {
        daemon.create_agent(agent, "You do as you are told.").await?;
    }
    Ok(daemon)
}

fn tool(name: &str, input: &Value) -> String {
    format!("[[tool mcp__reveille__{name} {input}]]")
}

/// What stands on the message with this text: chain, depth, turn, sender.
fn marks(daemon: &Daemon, text: &str) -> Result<[String; 4]> {
    let notes = daemon.journal()?.notes;
    let note = notes.iter().find(|note| note.is_inbound() && note.content == text);
    let note = note.with_context(|| format!("the message {text:?}"))?;
    Ok(["chain_id", "delegation_depth", "delegated_by", "sender"].map(|key| note.text(key).to_owned()))
}

#[tokio::test]
async fn a_note_that_an_agent_writes_wakes_another_one() -> Result<()> {
    let api = MessagesApi::start().await?;
    let daemon = house(&api).await?;
    let letter = json!({
        "content": "[[reply from beta]]", "path": "Inbox/for-beta", "tags": ["agent/message", "agent/message/inbound"],
        "metadata": { "agent": "beta", "chain_id": "another", "delegation_depth": "0", "sender": "ann" },
    });
    let first = daemon.send("alpha", &tool("create-note", &letter)).await?;
    let turn = daemon.wait_turn("alpha", &first).await?;
    let reply = turn.reply.as_deref().unwrap_or_default();
    assert!(
        reply.contains("Inbox/for-beta") && reply.contains("updatedAt"),
        "{turn:?}"
    );
    let journal = daemon.wait_quiet(LIMIT).await?;
    let expected = [first.id.as_str(), "1", turn.turn.as_str(), "agent:alpha"];
    assert_eq!(marks(&daemon, "[[reply from beta]]")?, expected);
    let woken: Vec<_> = journal.turns.iter().filter(|turn| turn.channel == "beta").collect();
    let [woken] = woken[..] else { panic!("{woken:?}") };
    assert_eq!(
        (woken.state.as_str(), &woken.record["reply"]),
        ("ok", &json!("from beta"))
    );
    assert_eq!(journal.violations(), Vec::<String>::new());
    assert!(turn.more["notices"].as_array().is_none_or(Vec::is_empty), "{turn:?}");

    // The token of the turn is in no file, and the model knows of the tools.
    let dir = daemon.state_dir().join("conversations");
    let thread = turn.more["thread"].as_str().context("a thread")?;
    let servers = std::fs::read_to_string(dir.join(thread).join("ctl/mcp.json"))?;
    assert!(
        servers.contains("${REVEILLE_TOKEN}") && !servers.contains("turn."),
        "{servers}"
    );
    assert!(api.requests()[0].system.contains("mcp__reveille__"));
    Ok(())
}

#[tokio::test]
async fn an_agent_hands_on_and_is_told_the_outcome() -> Result<()> {
    let api = MessagesApi::start().await?;
    let daemon = house(&api).await?;
    let message = json!({ "agent": "beta", "text": "[[reply done by beta]]", "reply": true, "correlation_id": "c-1" });
    let text = tool("list-agents", &json!({})) + &tool("send-message", &message);
    let first = daemon.send("alpha", &text).await?;
    let turn = daemon.wait_turn("alpha", &first).await?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    let expected = [first.id.as_str(), "1", turn.turn.as_str(), "agent:alpha"];
    assert_eq!(marks(&daemon, "[[reply done by beta]]")?, expected);
    let told: Vec<_> = journal.notes.iter().filter(|note| note.is_callback()).collect();
    let [told] = told[..] else { panic!("{told:?}") };
    assert_eq!(
        ["agent", "status", "source_channel", "correlation_id"].map(|key| told.text(key)),
        ["alpha", "ok", "beta", "c-1"]
    );
    assert_eq!(journal.turns.iter().filter(|turn| turn.channel == "alpha").count(), 2);
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}

/// Many networks have a proxy for all that is outside; the daemon is not.
#[tokio::test]
async fn the_tools_are_not_looked_for_behind_a_proxy() -> Result<()> {
    let api = MessagesApi::start().await?;
    // Nobody answers there.
    let dead = "http://127.0.0.1:9";
    let daemon = Daemon::builder()
        .real_claude(&api)
        .env("HTTP_PROXY", dead)
        .env("HTTPS_PROXY", dead)
        .start()
        .await?;
    daemon.create_agent("alpha", "You do as you are told.").await?;
    let note = json!({ "content": "hi", "path": "Notes/one" });
    let sent = daemon.send("alpha", &tool("create-note", &note)).await?;
    let turn = daemon.wait_turn("alpha", &sent).await?;
    assert!(daemon.note("Notes/one").await?.is_some(), "{turn:?}");
    Ok(())
}

#[tokio::test]
async fn a_definition_can_do_without_the_tools() -> Result<()> {
    let api = MessagesApi::start().await?;
    let daemon = house(&api).await?;
    let definition = json!({ "name": "plain", "vault_tools": false });
    daemon
        .note_put("Agents/plain", "You are plain.", &["agent/definition"], &definition)
        .await?;
    reveille_tests::eventually("the agent is there", LIMIT, async || {
        let agents = daemon.agents().await?;
        Ok(agents.iter().any(|agent| agent["name"] == "plain").then_some(()))
    })
    .await?;
    let letter = json!({ "content": "hi", "path": "Inbox/no" });
    let sent = daemon.send("plain", &tool("create-note", &letter)).await?;
    let turn = daemon.wait_turn("plain", &sent).await?;
    assert!(
        turn.reply
            .as_deref()
            .is_some_and(|reply| reply.contains("No such tool")),
        "{turn:?}"
    );
    assert_eq!(daemon.note("Inbox/no").await?, None);
    assert!(
        api.requests()
            .iter()
            .all(|request| !request.system.contains("mcp__reveille__"))
    );
    Ok(())
}

#[tokio::test]
async fn an_agent_that_may_makes_an_agent_and_is_answered() -> Result<()> {
    let api = MessagesApi::start().await?;
    let daemon = house(&api).await?;
    let body = json!({ "name": "maker", "prompt": "You build a team.", "metadata": { "defines_agents": true } });
    daemon
        .request(Method::POST, &["api", "agents"], Some(&body))
        .await?
        .ok::<Value>()?;
    let definition = json!({
        "path": "Agents/gamma", "content": "You are GAMMA.", "tags": ["agent/definition"], "metadata": { "name": "gamma" },
    });
    let message = json!({ "agent": "gamma", "text": "[[reply from gamma]]", "reply": true });
    let text = tool("create-note", &definition) + &tool("send-message", &message);
    let sent = daemon.send("maker", &text).await?;
    daemon.wait_turn("maker", &sent).await?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    let turns: Vec<_> = journal.turns.iter().filter(|turn| turn.channel == "gamma").collect();
    let [turn] = turns[..] else { panic!("{turns:?}") };
    assert_eq!(
        (turn.state.as_str(), &turn.record["reply"]),
        ("ok", &json!("from gamma"))
    );
    assert_eq!(journal.notes.iter().filter(|note| note.is_callback()).count(), 1);
    let note = daemon.note("Agents/gamma").await?.context("the definition")?;
    assert_eq!(note["metadata"]["defined_by"], "agent:maker");
    assert_eq!(journal.violations(), Vec::<String>::new());

    // Who may not is told so, and is not invited to.
    let other = json!({
        "path": "Agents/delta", "content": "x", "tags": ["agent/definition"], "metadata": { "name": "delta" },
    });
    let refused = daemon.send("alpha", &tool("create-note", &other)).await?;
    let refused = daemon.wait_turn("alpha", &refused).await?;
    assert!(
        refused
            .reply
            .as_deref()
            .is_some_and(|reply| reply.contains("defines_agents: true in the definition of alpha")),
        "{refused:?}"
    );
    assert_eq!(daemon.note("Agents/delta").await?, None);
    let invited = |name: &str| {
        let requests = api.requests();
        let mut of = requests
            .iter()
            .filter(|request| request.system.contains(name))
            .peekable();
        assert!(of.peek().is_some(), "{name}");
        of.all(|request| request.system.contains("You may create agents"))
    };
    assert_eq!(
        ["You build a team.", "You are GAMMA.", "You do as you are told."].map(invited),
        [true, false, false]
    );
    Ok(())
}
