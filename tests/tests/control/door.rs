//! A full line, told at the door.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use serde_json::{Value, json};

use super::{Gate, empty, get, hand, post, refusal, turn_of};

async fn notes(daemon: &Daemon) -> Result<usize> {
    let tag = "/vault/default/api/notes?tag=agent/message/inbound";
    let listed = daemon.ask_in("GET", tag, b"").await?.json()?;
    Ok(listed.as_array().context("notes")?.len())
}

#[tokio::test]
async fn too_many_waiting_messages_close_the_door() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_QUEUE__MAX_WAITING", "2")
        .start()
        .await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    daemon.create_agent("ops", "You operate.").await?;
    let early = daemon.send("eng", "[[reply early]]").await?;
    let early = daemon.wait_turn("eng", &early).await?;
    let gate = Gate::close(&daemon, "eng", empty()).await?;
    let first = daemon.send("eng", "[[reply first]]").await?;
    let body = json!({"text": "[[reply second]]", "subject": "aside"});
    let keyed = daemon.send_keyed("eng", "k-1", &body).await?;
    // One of another conversation ends at once: fill its place.
    let aside = keyed.context("an answer")?;
    daemon.wait_turn("eng", &aside).await?;
    let second = daemon.send("eng", "[[reply second]]").await?;

    let stored = notes(&daemon).await?;
    let (name, token) = daemon.bearer();
    let send = async || {
        let body = br#"{"text": "[[reply third]]"}"#;
        daemon
            .ask("POST", "/api/channels/eng/send", &[(name, &token)], body)
            .await
    };
    let full = send().await?;
    assert_eq!(full.refusal()?, (429, "queue_full".into()));
    let seconds: u32 = full.header("retry-after").context("when to come back")?.parse()?;
    assert!(seconds > 0);
    let reply = post(&daemon, &["turns", &early.turn, "resend"], empty()).await?;
    assert_eq!(refusal(&reply), (429, "queue_full"));
    assert_eq!(notes(&daemon).await?, stored);
    assert_eq!(get(&daemon, &["channels", "eng", "queue"]).await?["waiting"], 2);

    // What is stored already is found again; other agents have their own line.
    assert_eq!(daemon.send_keyed("eng", "k-1", &body).await?, Some(aside));
    let other = daemon.send("ops", "[[reply other]]").await?;
    assert_eq!(daemon.wait_turn("ops", &other).await?.reply.as_deref(), Some("other"));
    let cancelled: Value = hand(&daemon, turn_of(&first)?, "cancel", empty()).await?;
    assert_eq!(cancelled["state"], "cancelled");
    assert_eq!(send().await?.status, 200);
    gate.open()?;
    assert_eq!(daemon.wait_turn("eng", &second).await?.reply.as_deref(), Some("second"));
    Ok(())
}
