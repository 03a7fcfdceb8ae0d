//! What is asked in the very moment in which something begins. A round seldom meets it; together they mostly do.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::State;
use serde_json::{Value, json};

use super::{Gate, empty, post, with_eng};

const ROUNDS: usize = 40;

/// Asks for the stop of a turn, without a pause, until it is being stopped. Until then it waits: none works that cannot be stopped.
async fn until_stopping(daemon: &Daemon, turn: &str) -> Result<()> {
    loop {
        let stopped = post(daemon, &["turns", turn, "stop"], json!({})).await?;
        if stopped.status == 200 {
            return Ok(());
        }
        let message = stopped.body["message"].as_str().unwrap_or_default();
        assert!(!message.contains("working"), "{}", stopped.body);
        if !message.contains("waiting") {
            // Another one was before it.
            return Ok(());
        }
    }
}

#[tokio::test]
async fn what_is_said_to_work_can_be_stopped() -> Result<()> {
    let daemon = with_eng().await?;
    for _ in 0..ROUNDS {
        let gate = Gate::close(&daemon, "eng", empty()).await?;
        let sent = daemon.send("eng", "[[hang]]").await?;
        let turn = super::turn_of(&sent)?;
        let begin = async {
            gate.open()?;
            daemon.wait_turn("eng", &gate.sent).await
        };
        tokio::try_join!(
            begin,
            until_stopping(&daemon, turn),
            until_stopping(&daemon, turn),
            until_stopping(&daemon, turn),
            until_stopping(&daemon, turn),
        )?;
        assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Cancelled);
    }
    Ok(())
}

/// Asks for something of an agent that nobody knows, without a pause, until it is known: its message is there then.
async fn until_known(daemon: &Daemon, agent: &str, path: &[&str], list: &str) -> Result<()> {
    loop {
        let request = daemon.request(Method::GET, path, None).await?;
        if request.status == 404 {
            continue;
        }
        let found: Value = request.ok()?;
        let count = found[list].as_array().map_or(0, Vec::len);
        assert_eq!(count, 1, "{path:?} of {agent}: {found}");
        return Ok(());
    }
}

#[tokio::test]
async fn whoever_is_known_by_a_message_has_it() -> Result<()> {
    let daemon = with_eng().await?;
    for round in 0..ROUNDS {
        let agent = format!("ghost{round}");
        let metadata = json!({ "agent": agent });
        let place = format!("Letters/{round}");
        let tags = ["agent/message", "agent/message/inbound"];
        let queue = ["api", "channels", &agent, "queue"];
        let messages = ["api", "channels", &agent, "messages"];
        tokio::try_join!(
            daemon.note_put(&place, "hello", &tags, &metadata),
            until_known(&daemon, &agent, &queue, "turns"),
            until_known(&daemon, &agent, &queue, "turns"),
            until_known(&daemon, &agent, &messages, "messages"),
            until_known(&daemon, &agent, &messages, "messages"),
        )?;
    }
    Ok(())
}

/// Looks at the turns and the messages of an agent, without a pause, until `end` turns have ended.
async fn until_ended(daemon: &Daemon, end: usize) -> Result<()> {
    loop {
        let turns = daemon.ask_in("GET", "/api/turns?channel=eng&limit=1000", b"").await?;
        let turns = turns.json()?["turns"].as_array().context("turns")?.clone();
        let ids: HashSet<&str> = turns.iter().filter_map(|turn| turn["turn"].as_str()).collect();
        assert_eq!(ids.len(), turns.len(), "a turn is there twice");
        let ended = turns.iter().filter(|turn| turn["state"] == "ok").count();
        let mut messages = daemon.messages("eng").await?;
        messages.retain(|message| message.direction == "inbound");
        // The last one may not be in line yet.
        messages.pop();
        let lost = messages.iter().find(|message| message.turn.is_none());
        assert_eq!(lost, None, "its turn is in neither list");
        if ended >= end {
            return Ok(());
        }
    }
}

#[tokio::test]
async fn a_turn_that_ends_is_in_a_list_once() -> Result<()> {
    let daemon = with_eng().await?;
    let all = async {
        for _ in 0..ROUNDS {
            let sent = daemon.send("eng", "[[reply done]]").await?;
            daemon.wait_turn("eng", &sent).await?;
        }
        Ok(())
    };
    tokio::try_join!(
        all,
        until_ended(&daemon, ROUNDS),
        until_ended(&daemon, ROUNDS),
        until_ended(&daemon, ROUNDS)
    )?;
    Ok(())
}
