//! An agent gets another name while it works, and another agent gets its name.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, Sent, State};
use reveille_tests::{Daemon, eventually};
use serde_json::json;

use super::{Gate, empty, get, turn_of, with_eng};

const DEFINITION: [&str; 1] = ["agent/definition"];

/// Waits until a name is that of the agent of a note.
async fn until_named(daemon: &Daemon, name: &str, path: &str) -> Result<()> {
    let note = daemon.note(path).await?;
    let id = note.map(|note| note["id"].clone());
    eventually(&format!("{path} is {name}"), LIMIT, async || {
        let agents = daemon.agents().await?;
        let found = agents.iter().find(|agent| agent["name"] == name);
        Ok(found.filter(|agent| Some(&agent["note_id"]) == id.as_ref()).map(|_| ()))
    })
    .await
}

/// `eng` works and is `dev` from now on; another one is `eng`.
async fn renamed() -> Result<(Daemon, Gate, Sent)> {
    let daemon = with_eng().await?;
    let gate = Gate::close(&daemon, "eng", empty()).await?;
    let waits = daemon.send("eng", "[[reply second]]").await?;
    daemon
        .note_put(
            "Agents/eng",
            "You are an engineer.",
            &DEFINITION,
            &json!({ "name": "dev" }),
        )
        .await?;
    until_named(&daemon, "dev", "Agents/eng").await?;
    daemon
        .note_put(
            "Agents/other",
            "You are another.",
            &DEFINITION,
            &json!({ "name": "eng" }),
        )
        .await?;
    until_named(&daemon, "eng", "Agents/other").await?;
    Ok((daemon, gate, waits))
}

#[tokio::test]
async fn what_waited_goes_on_under_the_new_name() -> Result<()> {
    let (daemon, gate, waits) = renamed().await?;
    gate.open()?;
    assert_eq!(daemon.wait_turn("dev", &gate.sent).await?.state, State::Ok);
    let turn = daemon.wait_turn("dev", &waits).await?;
    assert_eq!((turn.channel.as_str(), turn.reply.as_deref()), ("dev", Some("second")));
    Ok(())
}

#[tokio::test]
async fn an_interrupt_is_for_who_has_the_name_now() -> Result<()> {
    let urgent = |words: &str| json!({ "text": format!("[[reply {words}]]"), "mode": "interrupt" });
    // The other one's conversation is another one.
    let (daemon, gate, _) = renamed().await?;
    let other = daemon.send_with("eng", &urgent("other")).await?;
    assert_eq!(
        get(&daemon, &["turns", turn_of(&gate.sent)?]).await?["state"],
        "working"
    );
    gate.open()?;
    assert_eq!(daemon.wait_turn("dev", &gate.sent).await?.state, State::Ok);
    assert_eq!(daemon.wait_turn("eng", &other).await?.reply.as_deref(), Some("other"));

    let (daemon, gate, _) = renamed().await?;
    let own = daemon.send_with("dev", &urgent("own")).await?;
    assert_eq!(daemon.wait_turn("dev", &gate.sent).await?.state, State::Cancelled);
    assert_eq!(daemon.wait_turn("dev", &own).await?.reply.as_deref(), Some("own"));
    Ok(())
}
