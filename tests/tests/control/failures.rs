//! Storage that fails now and then, at moments at which nobody asks again by himself.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::LIMIT;
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

use super::{empty, get, patch, post};

/// Does something again until the daemon takes it.
async fn until_taken<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    eventually(what, LIMIT, async || Ok(ask().await.ok())).await // silent-ok: it is asked again
}

#[tokio::test]
async fn a_conversation_that_waited_with_its_agent_goes_on_with_it() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    let agent = json!({ "name": "eng", "prompt": "p", "metadata": { "budget_day_usd": "0.1" } });
    post(&daemon, &["agents"], agent).await?.ok::<Value>()?;
    // The day is used up.
    let first = daemon.send("eng", "[[cost 0.2]] [[reply one]]").await?;
    daemon.wait_turn("eng", &first).await?;
    post(&daemon, &["agents", "eng", "resume"], empty()).await?;
    daemon.stop().await?;
    daemon.set_env("REVEILLE_FAULT_QUEUE", "35:3");
    daemon.start().await?;
    let mut turns = Vec::new();
    for subject in 0..20 {
        let body = json!({ "text": "[[reply done]]", "subject": format!("s{subject}") });
        let key = format!("k{subject}");
        let sent = until_taken("it is taken", async || {
            let sent = daemon.send_keyed("eng", &key, &body).await?;
            sent.and_then(|sent| sent.turn).context("a turn")
        });
        turns.push(sent.await?);
        // Each finds out for itself that the day is used up.
        until_taken("it goes on", async || {
            post(&daemon, &["agents", "eng", "resume"], empty())
                .await?
                .ok::<Value>()
        })
        .await?;
    }
    let more = json!({ "metadata": { "budget_day_usd": "50" } });
    until_taken("it may take more", async || {
        patch(&daemon, &["agents", "eng"], more.clone()).await?.ok::<Value>()
    })
    .await?;
    for turn in turns {
        eventually(&format!("{turn} ends"), LIMIT, async || {
            // Whoever found the day used up just before that paused it once more.
            post(&daemon, &["agents", "eng", "resume"], empty()).await?;
            // Storage that fails may also be what it ends with.
            Ok(daemon.turn(&turn).await?.state.is_terminal().then_some(()))
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn no_message_goes_on_saying_that_it_waits_for_an_agent_that_is_there() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    let tags = ["agent/message", "agent/message/inbound"];
    let mut notes = Vec::new();
    for number in 0..20 {
        let metadata = json!({ "agent": "ghost", "subject": format!("s{number}") });
        let written = daemon
            .note_put(&format!("Letters/{number}"), "[[reply woken]]", &tags, &metadata)
            .await?;
        notes.push(written["id"].as_str().context("an id")?.to_owned());
    }
    let says = async |daemon: &Daemon, word: Option<&str>| {
        eventually(&format!("all say {word:?}"), LIMIT, async || {
            for id in &notes {
                let note = daemon.note(id).await?.context("the note")?;
                if note["metadata"]["status"].as_str().filter(|now| *now == "waiting") != word {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await
    };
    says(&daemon, Some("waiting")).await?;
    daemon.stop().await?;
    daemon.set_env("REVEILLE_FAULT_VAULT", "15:7");
    daemon.start().await?;
    until_taken("ghost is there", async || {
        let agent = json!({ "name": "ghost", "prompt": "You haunt." });
        post(&daemon, &["agents"], agent).await?;
        get(&daemon, &["agents", "ghost"]).await
    })
    .await?;
    let ended = eventually("all have ended", LIMIT, async || {
        let turns = daemon.ask_in("GET", "/api/turns?channel=ghost&limit=1000", b"").await?;
        let turns = turns.json()?["turns"].as_array().cloned().unwrap_or_default();
        let ok = turns.iter().filter(|turn| turn["state"] == "ok").count();
        Ok((ok == notes.len()).then_some(ok))
    });
    assert_eq!(ended.await?, notes.len());
    // What is asked of the vault here fails now and then too.
    until_taken("none waits", async || says(&daemon, None).await).await
}
