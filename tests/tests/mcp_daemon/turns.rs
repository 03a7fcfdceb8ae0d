//! The tools in the hands of a turn.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::LIMIT;
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

use super::house;
use super::official::Official;
use super::wire::Wire;

/// A turn that runs until it is let go, and its token, as its child has it.
struct Held {
    turn: String,
    token: String,
    gate: PathBuf,
}

impl Held {
    async fn new(daemon: &Daemon, agent: &str) -> Result<Self> {
        let (token, gate) = (daemon.scratch().join("token"), daemon.scratch().join("gate"));
        let text = format!(
            "[[exec printf %s \"$REVEILLE_TURN $REVEILLE_TOKEN\" >{0}.new && mv {0}.new {0}; while ! test -e {1}; do sleep 0.02; done]]",
            token.display(),
            gate.display(),
        );
        daemon.send(agent, &text).await?;
        let told = eventually("the turn runs", LIMIT, async || {
            Ok(std::fs::read_to_string(&token).ok()) // silent-ok: not there yet
        })
        .await?;
        let (turn, token) = told.split_once(' ').context("a turn and a token")?;
        Ok(Self {
            turn: turn.to_owned(),
            token: token.to_owned(),
            gate,
        })
    }
}

#[tokio::test]
async fn what_a_turn_delegates_wakes_its_agent_with_the_outcome() -> Result<()> {
    let daemon = house().await?;
    daemon.create_agent("ops", "You run things.").await?;
    let held = Held::new(&daemon, "eng").await?;
    let mut client = Official::http(&daemon, "/mcp", &held.token).await?;
    let words = client.hello["instructions"].as_str().context("instructions")?;
    assert!(words.contains("end your turn"), "{words}");

    let names = client.tools().await?;
    for name in [
        "list_agents",
        "send",
        "delegate",
        "turn_status",
        "query-notes",
        "create-note",
    ] {
        assert!(names.iter().any(|there| there == name), "{name}: {names:?}");
    }
    for name in ["stop", "delete-note", "delete-tag", "pending", "reply"] {
        assert!(!names.iter().any(|there| there == name), "{name}: {names:?}");
    }
    let tools = client.ask("tools", json!({})).await?;
    let delegate = tools
        .as_array()
        .into_iter()
        .flatten()
        .find(|tool| tool["name"] == "delegate");
    let properties = &delegate.context("the tool")?["inputSchema"]["properties"];
    assert!(
        properties["agent"].is_object() && properties.get("wait_seconds").is_none(),
        "{properties}"
    );

    let work = json!({ "agent": "ops", "text": "[[reply done by ops]]" });
    let told = client.told("delegate", work).await?;
    let correlation = told["correlation_id"].as_str().context("a correlation")?.to_owned();
    assert!(
        told["note"].as_str().is_some_and(|note| note.contains("end your turn")),
        "{told}"
    );

    let own = client.told("turn_status", json!({})).await?;
    assert_eq!((&own["turn"], &own["state"]), (&json!(held.turn), &json!("working")));
    let (code, words) = client.refused("turn_status", json!({ "turn": told["turn"] })).await?;
    assert!(
        code == "forbidden" && words.contains("message of its own"),
        "{code} {words}"
    );
    assert_eq!(
        client.refused("stop", json!({ "turn": told["turn"] })).await?.0,
        "forbidden"
    );
    client.close().await?;

    std::fs::write(&held.gate, "")?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    let note = journal
        .notes
        .iter()
        .find(|note| note.is_inbound() && note.content == "[[reply done by ops]]");
    let note = note.context("the message")?;
    assert_eq!(
        [
            "delegation_depth",
            "delegated_by",
            "sender",
            "reply_to",
            "correlation_id"
        ]
        .map(|key| note.text(key)),
        ["1", held.turn.as_str(), "agent:eng", "eng", correlation.as_str()]
    );
    let callbacks: Vec<_> = journal.notes.iter().filter(|note| note.is_callback()).collect();
    let [callback] = callbacks[..] else {
        panic!("{callbacks:?}")
    };
    assert_eq!(
        ["agent", "status", "source_channel", "correlation_id", "chain_id"].map(|key| callback.text(key)),
        ["eng", "ok", "ops", correlation.as_str(), note.text("chain_id")]
    );
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn the_door_closes_with_the_turn_and_channels_are_not_for_turns() -> Result<()> {
    let daemon = house().await?;
    let held = Held::new(&daemon, "eng").await?;
    assert!(Official::http(&daemon, "/mcp/eng", &held.token).await.is_err());
    let mut client = Official::http(&daemon, "/mcp", &held.token).await?;
    client.told("list_agents", json!({})).await?;
    std::fs::write(&held.gate, "")?;
    daemon.wait_quiet(LIMIT).await?;
    let refused = client.call("list_agents", json!({})).await;
    let error = refused.err().context("it was answered")?;
    assert!(
        error.to_string().contains("401") || error.to_string().contains("turn"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn a_turn_has_so_many_streams_at_once() -> Result<()> {
    let daemon = house().await?;
    let held = Held::new(&daemon, "eng").await?;
    let wire = Wire::new(&daemon, "/mcp", &held.token)?;
    let mut open = Vec::new();
    for number in 0..64 {
        let session = wire.open().await?;
        let stream = wire.stand(&session).await?;
        assert_eq!(stream.status(), 200, "{number}");
        open.push((session, stream));
    }
    let (session, _) = &open[0];
    let list = super::wire::call(2, "tools/list");
    let said = wire.post(Some(session), &list).await?;
    let body: Value = serde_json::from_str(&said.text)?;
    assert_eq!((said.status, &body["error"]), (429, &json!("too_many_streams")));
    // Those of another one are its own.
    let own = Wire::new(&daemon, "/mcp", daemon.token())?;
    own.stand(&own.open().await?).await?.error_for_status()?;
    let (session, stream) = open.pop().context("a stream")?;
    drop(stream);
    eventually("there is room again", LIMIT, async || {
        Ok((wire.post(Some(&session), &list).await?.status == 200).then_some(()))
    })
    .await?;
    std::fs::write(&held.gate, "")?;
    Ok(())
}
