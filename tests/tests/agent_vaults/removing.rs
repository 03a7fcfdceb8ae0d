//! What becomes of a vault that is removed: its agents go at once, what runs ends, and what waits is kept.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::{LIMIT, State};
use reveille_tests::eventually;
use reveille_tests::parachute::TOKEN;
use serde_json::json;

use super::{add, agent_is_there, builder, delete, file, names, replies, server, wait_replies};

async fn waits_until_closed(daemon: &Daemon) -> Result<()> {
    eventually("the removed vault is closed", LIMIT, async || {
        Ok(daemon.log()?.contains("the removed vault is closed").then_some(()))
    })
    .await
}

#[tokio::test]
async fn what_runs_there_ends_and_what_waits_runs_when_it_is_added_again() -> Result<()> {
    let peer = server("notes", "eng")?;
    let mut daemon = builder().start().await?;
    assert_eq!(add(&daemon, "notes", &peer, TOKEN).await?.status, 201);
    agent_is_there(&daemon, "eng", true).await?;
    let gate = daemon.scratch().join("gate");
    let text = format!(
        "[[exec while ! test -e {}; do sleep 0.02; done]] [[reply done]]",
        gate.display()
    );
    let running = daemon.send("eng", &text).await?;
    let turn = running.turn.clone();
    eventually("it runs", LIMIT, async || {
        let Some(turn) = &turn else { return Ok(None) };
        Ok((daemon.turn(turn).await?.state == State::Working).then_some(()))
    })
    .await?;
    daemon.send("eng", "Second").await?;

    let removed = delete(&daemon, "notes").await?;
    let expected = json!({ "ok": true, "vault": "notes", "removed": true, "running": 1 });
    assert_eq!((removed.status, removed.json()?), (200, expected));
    // At once: the answer means that they are gone.
    assert!(daemon.agents().await?.is_empty());
    assert_eq!(names(&daemon).await?, ["default"]);
    assert_eq!(file(&daemon)?, json!({ "vaults": [] }));
    assert!(super::standing(&daemon, "notes").await?.is_none());
    let early = add(&daemon, "notes", &peer, TOKEN).await?;
    assert_eq!((early.status, &early.json()?["error"]), (409, &json!("vault_leaving")));

    // The turn ends by itself, and its reply is there.
    std::fs::write(gate, "")?;
    wait_replies(&peer, 1).await?;
    waits_until_closed(&daemon).await?;
    let health = daemon.ask_in("GET", "/health", b"").await?.json()?;
    assert_eq!((&health["status"], &health["undelivered"]), (&json!("ok"), &json!(0)));
    assert_eq!(daemon.ask_in("GET", "/vault/notes", b"").await?.status, 404);
    // What was in line waits, over a restart too.
    daemon.restart().await?;
    assert_eq!(replies(&peer), 1);
    assert_eq!(add(&daemon, "notes", &peer, TOKEN).await?.status, 201);
    wait_replies(&peer, 2).await?;
    // Nothing was taken twice.
    let turns = daemon.ask_in("GET", "/api/turns?channel=eng", b"").await?.json()?;
    let states: Vec<_> = turns["turns"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|turn| &turn["state"])
        .collect();
    assert_eq!(states, ["ok", "ok"]);
    Ok(())
}

#[tokio::test]
async fn the_name_of_its_agent_goes_to_who_waits_for_it() -> Result<()> {
    let (first, second) = (server("one", "eng")?, server("two", "eng")?);
    let daemon = builder().start().await?;
    assert_eq!(add(&daemon, "one", &first, TOKEN).await?.status, 201);
    agent_is_there(&daemon, "eng", true).await?;
    assert_eq!(add(&daemon, "two", &second, TOKEN).await?.status, 201);
    eventually("the second waits", LIMIT, async || {
        let note = second.note("Agents/eng");
        Ok(note.filter(|note| note.metadata.get("status") == Some(&json!("error"))))
    })
    .await?;
    assert_eq!(delete(&daemon, "one").await?.json()?["removed"], true);
    eventually("the second has the name", LIMIT, async || {
        let note = second.note("Agents/eng");
        Ok(note.filter(|note| note.metadata.get("status") == Some(&json!("enabled"))))
    })
    .await?;
    let sent = daemon.send("eng", "Hello").await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Ok);
    wait_replies(&second, 1).await?;
    assert_eq!(replies(&first), 0);
    Ok(())
}

#[tokio::test]
async fn a_server_that_hangs_does_not_keep_its_vault() -> Result<()> {
    let peer = server("notes", "eng")?;
    let daemon = builder().start().await?;
    assert_eq!(add(&daemon, "notes", &peer, TOKEN).await?.status, 201);
    agent_is_there(&daemon, "eng", true).await?;
    peer.set_faults(|faults| faults.delay = LIMIT);
    assert_eq!(delete(&daemon, "notes").await?.json()?["removed"], true);
    assert!(daemon.agents().await?.is_empty());
    waits_until_closed(&daemon).await
}

#[tokio::test]
async fn a_message_that_comes_meanwhile_is_found_when_the_vault_is_back() -> Result<()> {
    let peer = server("notes", "eng")?;
    let daemon = builder().start().await?;
    assert_eq!(add(&daemon, "notes", &peer, TOKEN).await?.status, 201);
    agent_is_there(&daemon, "eng", true).await?;
    assert_eq!(delete(&daemon, "notes").await?.json()?["removed"], true);
    let note = json!({
        "content": "Hello", "tags": ["agent/message", "agent/message/inbound"],
        "metadata": { "agent": "eng", "sender": "operator" }
    });
    peer.write(&note).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    waits_until_closed(&daemon).await?;
    assert_eq!(add(&daemon, "notes", &peer, TOKEN).await?.status, 201);
    wait_replies(&peer, 1).await
}
