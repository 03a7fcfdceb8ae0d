//! A definition that an edit breaks.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::State;
use serde_json::{Value, json};

use super::{DEFINITION, define, feed_comes_round, letter, stand_in, told, until_status, writes_of};

#[tokio::test]
async fn ac_138_an_agent_goes_on_as_it_was_until_its_definition_is_mended() -> Result<()> {
    let mut daemon = stand_in().start().await?;
    define(&daemon, "eng", &json!({"name": "eng", "model": "opus"})).await?;
    until_status(&daemon, "Agents/eng", "enabled").await?;
    define(&daemon, "eng", &json!({"name": "two words", "model": "a b"})).await?;
    let detail = until_status(&daemon, "Agents/eng", "error").await?;
    assert!(
        detail.contains("name: ") && detail.contains("model: ") && detail.contains("eng goes on"),
        "{detail}"
    );
    // Also after a restart, which has only the broken note to read.
    for _ in 0..2 {
        let turn = told(&daemon, "eng", "[[reply still here]]").await?;
        assert_eq!((turn.state, turn.reply.as_deref()), (State::Ok, Some("still here")));
        let shown = daemon.request(Method::GET, &["api", "agents", "eng"], None).await?;
        assert_eq!(
            ["name", "model", "status"].map(|key| &shown.body[key]),
            [&json!("eng"), &json!("opus"), &json!("error")]
        );
        daemon.restart().await?;
    }
    // Nobody else takes the name meanwhile.
    define(&daemon, "other", &json!({"name": "eng"})).await?;
    until_status(&daemon, "Agents/other", "error").await?;
    define(&daemon, "eng", &json!({"name": "eng", "model": "sonnet"})).await?;
    assert_eq!(until_status(&daemon, "Agents/eng", "enabled").await?, "");
    let shown = daemon.request(Method::GET, &["api", "agents", "eng"], None).await?;
    assert_eq!(shown.body["model"], "sonnet");
    // Removed, it is gone, whatever it was before.
    define(&daemon, "eng", &json!({"model": "a b"})).await?;
    until_status(&daemon, "Agents/eng", "error").await?;
    daemon
        .request(Method::DELETE, &["api", "agents", "eng"], None)
        .await?
        .ok::<Value>()?;
    assert_eq!(until_status(&daemon, "Agents/other", "enabled").await?, "");
    daemon.restart().await?;
    let names: Vec<_> = daemon
        .agents()
        .await?
        .iter()
        .map(|agent| agent["note_id"].clone())
        .collect();
    let other = daemon.note("Agents/other").await?.context("the other one")?;
    assert_eq!(names, [other["id"].clone()]);
    Ok(())
}

#[tokio::test]
async fn an_edit_that_pauses_pauses_whatever_else_is_wrong_with_it() -> Result<()> {
    let daemon = stand_in().start().await?;
    define(&daemon, "eng", &json!({"name": "eng"})).await?;
    define(&daemon, "ops", &json!({"name": "ops"})).await?;
    until_status(&daemon, "Agents/eng", "enabled").await?;
    define(
        &daemon,
        "eng",
        &json!({"paused": "yes, please", "timeout_idle": "soon"}),
    )
    .await?;
    until_status(&daemon, "Agents/eng", "error").await?;
    let waits = letter(&daemon, "Inbox/1", "eng", "[[reply at last]]").await?;
    feed_comes_round(&daemon, "ops", "1").await?;
    let waiting = daemon.agents().await?;
    let eng = waiting.iter().find(|agent| agent["name"] == "eng").context("eng")?;
    assert_eq!((&eng["waiting"], &eng["running"]), (&json!(1), &Value::Null), "{eng}");
    define(&daemon, "eng", &json!({"paused": "false", "timeout_idle": "5m"})).await?;
    assert_eq!(daemon.wait_turn("eng", &waits).await?.reply.as_deref(), Some("at last"));
    Ok(())
}

#[tokio::test]
async fn ac_159_so_many_edits_are_answered_by_at_most_so_many_words_and_then_by_none() -> Result<()> {
    const EDITS: usize = 20;
    let daemon = stand_in().start().await?;
    define(&daemon, "ops", &json!({"name": "ops"})).await?;
    let eng = define(&daemon, "eng", &json!({"name": "eng"})).await?;
    until_status(&daemon, "Agents/eng", "enabled").await?;
    let before = writes_of(&daemon, &eng)?;
    assert_eq!(before, 2);
    for edit in 0..EDITS {
        let model = if edit % 2 == 0 { "a b" } else { "opus" };
        let metadata = json!({"name": "eng", "model": model});
        daemon.note_put("Agents/eng", "You do.", &DEFINITION, &metadata).await?;
    }
    // It said so before the edits too, and the word on them is written beside the feed.
    feed_comes_round(&daemon, "ops", "0").await?;
    until_status(&daemon, "Agents/eng", "enabled").await?;
    feed_comes_round(&daemon, "ops", "1").await?;
    let after = writes_of(&daemon, &eng)?;
    assert!(after - before <= 2 * EDITS, "{after} - {before}");
    feed_comes_round(&daemon, "ops", "2").await?;
    assert_eq!(writes_of(&daemon, &eng)?, after);
    // One that changes nothing of what the note says is answered by nothing at all.
    for model in ["sonnet", "haiku", "opus"] {
        let metadata = json!({"name": "eng", "model": model});
        daemon.note_put("Agents/eng", "You do.", &DEFINITION, &metadata).await?;
    }
    feed_comes_round(&daemon, "ops", "3").await?;
    assert_eq!(writes_of(&daemon, &eng)?, after + 3);
    Ok(())
}
