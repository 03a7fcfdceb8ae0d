//! The note of a conversation while its turns run and when they have ended.

use anyhow::{Context as _, Result};
use pretty_assertions::{assert_eq, assert_ne};
use reveille_tests::daemon::{Daemon, LIMIT, State, Turn, rows};
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::{Held, agent, answers, delivered, session, thread, told, whole, with_eng, with_many};

/// How often a note was written.
fn writes(daemon: &Daemon, note: &Value) -> Result<usize> {
    let id = note["id"].as_str().context("a note has an id")?;
    let sql = format!("SELECT kind FROM changes WHERE note_id = '{id}'");
    Ok(rows(&daemon.state_tables()?.vault, &sql)?.len())
}

fn marks(note: &Value, keys: &[&str]) -> Value {
    keys.iter().map(|key| note["metadata"][*key].clone()).collect()
}

/// The thread note of a turn that runs, once it says so.
async fn working(daemon: &Daemon, held: &Held) -> Result<Value> {
    let turn = held.sent.turn.as_deref().context("a turn")?;
    eventually("the thread says that it works", LIMIT, async || {
        let view = daemon.turn(turn).await?;
        let Some(note) = daemon.note(view.more["thread"].as_str().context("a thread")?).await? else {
            return Ok(None);
        };
        let says = (&note["metadata"]["status"], &note["metadata"]["turn"]);
        Ok((says == (&json!("working"), &json!(turn))).then_some(note))
    })
    .await
}

#[tokio::test]
async fn tc_th_1_4_each_message_of_a_multi_threaded_agent_has_a_note_that_is_written_twice() -> Result<()> {
    let daemon = with_many().await?;
    let turns = [
        told(&daemon, "eng", "[[reply one]]").await?,
        told(&daemon, "eng", "[[reply two]]").await?,
    ];
    let journal = whole(&daemon).await?;
    let definition = daemon.agents().await?[0]["note_id"].clone();
    let mut ids = Vec::new();
    for turn in &turns {
        let note = thread(&daemon, turn).await?;
        assert_eq!(
            marks(&note, &["agent", "mode", "definition", "turn", "status", "turn_count"]),
            json!(["eng", "multi-threaded", definition, turn.turn, "ok", "1"])
        );
        let (started, ended) = (&note["metadata"]["started_at"], &note["metadata"]["last_turn_at"]);
        assert!(started.as_str() <= ended.as_str() && started.is_string(), "{note}");
        assert_eq!(writes(&daemon, &note)?, 2, "at the start and at the end");
        ids.push(note["id"].clone());
    }
    assert_ne!(ids[0], ids[1]);
    assert_eq!(answers(&journal, "eng").len(), 2);
    Ok(())
}

#[tokio::test]
async fn tc_th_2_3_23_a_conversation_has_one_note_that_counts_its_ended_turns() -> Result<()> {
    let daemon = with_eng().await?;
    let first = told(&daemon, "eng", "[[reply one]]").await?;
    whole(&daemon).await?;
    let before = thread(&daemon, &first).await?;
    assert_eq!(
        (&before["metadata"]["turn_count"], writes(&daemon, &before)?),
        (&json!("1"), 2)
    );
    // Who delivers has done with the first turn when another one is delivered: it marks a thread again that works by then.
    agent(&daemon, "ops", &json!({})).await?;
    delivered(&daemon, &told(&daemon, "ops", "[[reply aside]]").await?).await?;

    let held = Held::new(&daemon, "eng", &json!({}), "[[reply two]]").await?;
    let during = working(&daemon, &held).await?;
    let kept = ["agent", "mode", "started_at", "turn_count", "last_turn_at", "session"];
    assert_eq!(marks(&during, &kept), marks(&before, &kept));
    held.open()?;
    let second = daemon.wait_turn("eng", &held.sent).await?;
    let journal = whole(&daemon).await?;
    let after = thread(&daemon, &second).await?;
    assert_eq!(
        (&after["id"], &after["path"]),
        (&before["id"], &json!("Threads/eng/eng"))
    );
    assert_eq!(
        marks(&after, &["agent", "mode", "started_at", "turn_count", "status"]),
        json!(["eng", "single-threaded", before["metadata"]["started_at"], "2", "ok"])
    );
    assert!(after["metadata"]["last_turn_at"].as_str() > before["metadata"]["last_turn_at"].as_str());
    assert_eq!(writes(&daemon, &after)?, 4);
    assert_eq!(answers(&journal, "eng").len(), 2);
    Ok(())
}

/// A turn that fails is counted, and told once.
async fn fails(daemon: &Daemon) -> Result<Turn> {
    let turn = told(daemon, "eng", "[[error 400]]").await?;
    assert_eq!(turn.state, State::Error);
    let journal = whole(daemon).await?;
    let note = thread(daemon, &turn).await?;
    assert_eq!(
        marks(&note, &["turn", "status", "turn_count"]),
        json!([turn.turn, "error", "1"])
    );
    assert!(
        note["metadata"]["status_detail"]
            .as_str()
            .is_some_and(|text| text.starts_with("invalid_request: ")),
        "{note}"
    );
    assert_eq!(note["metadata"]["session"], json!(session(&turn)?));
    assert_eq!(writes(daemon, &note)?, 2);
    let [failure] = answers(&journal, "eng")[..] else {
        panic!("one answer: {journal:#?}")
    };
    assert_eq!(failure.text("kind"), "failure");
    Ok(turn)
}

#[tokio::test]
async fn tc_th_5_a_failed_message_of_a_multi_threaded_agent_is_recorded() -> Result<()> {
    fails(&with_many().await?).await?;
    Ok(())
}

#[tokio::test]
async fn tc_th_6_a_failed_turn_of_a_conversation_is_recorded() -> Result<()> {
    let daemon = with_eng().await?;
    let failed = fails(&daemon).await?;
    assert_eq!(thread(&daemon, &failed).await?["path"], "Threads/eng/eng");
    Ok(())
}

#[tokio::test]
async fn tc_th_24_a_note_of_one_message_counts_from_none_to_one() -> Result<()> {
    let daemon = with_many().await?;
    let held = Held::new(&daemon, "eng", &json!({}), "").await?;
    let during = working(&daemon, &held).await?;
    assert_eq!(marks(&during, &["turn_count", "last_turn_at"]), json!(["0", null]));
    held.open()?;
    let turn = daemon.wait_turn("eng", &held.sent).await?;
    whole(&daemon).await?;
    let after = thread(&daemon, &turn).await?;
    assert_eq!((&after["id"], &after["path"]), (&during["id"], &during["path"]));
    assert_eq!(after["metadata"]["turn_count"], "1");
    Ok(())
}
