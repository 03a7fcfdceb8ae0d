//! Agents that hand work to each other, one of them attached.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{JournalNote, LIMIT};
use serde_json::{Value, json};

use super::{answer, ask, letter, next, until_pending, with_eng};

#[tokio::test]
async fn who_asked_an_attached_agent_is_woken_by_its_reply() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("boss", "You lead.").await?;
    let wish = json!({ "agent": "eng", "reply_to": "boss", "correlation_id": "c-1" });
    let id = letter(&daemon, "Build it.", &wish).await?;
    let taken = next(&daemon, "eng").await?;
    assert_eq!((&taken["id"], &taken["reply_to"]), (&json!(id), &json!("boss")));
    let replied: Value = answer(&daemon, "eng", &taken, "Built.").await?.ok()?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    let callbacks: Vec<&JournalNote> = journal.notes.iter().filter(|note| note.is_callback()).collect();
    let [callback] = callbacks[..] else {
        anyhow::bail!("not one callback: {callbacks:?}");
    };
    assert!(
        callback.content.starts_with("[callback] eng finished (ok)"),
        "{}",
        callback.content
    );
    let told = [
        "agent",
        "status",
        "source_channel",
        "source_message",
        "correlation_id",
        "chain_id",
    ];
    assert_eq!(
        told.map(|key| json!(callback.text(key))),
        [
            json!("boss"),
            json!("ok"),
            json!("eng"),
            replied["id"].clone(),
            json!("c-1"),
            json!(id)
        ]
    );
    let turn = journal
        .turns
        .iter()
        .find(|turn| turn.note == callback.id)
        .context("a turn of boss")?;
    assert_eq!(turn.state, "ok");
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn an_attached_agent_hands_on_and_hears_of_it() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("worker", "You work.").await?;
    let body = json!({ "text": "[[reply the result]]", "reply_to": "eng", "sender": "agent:eng" });
    daemon.send_with("worker", &body).await?;
    until_pending(&daemon, "eng", 1).await?;
    let taken = next(&daemon, "eng").await?;
    let text = taken["text"].as_str().context("a text")?;
    assert!(text.starts_with("[callback] worker finished (ok)"), "{text}");
    assert!(text.ends_with("Its reply:\n\nthe result"), "{text}");
    // Its answer ends there: nobody is called back for a callback.
    answer(&daemon, "eng", &taken, "Thanks.").await?.ok::<Value>()?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.notes.iter().filter(|note| note.is_callback()).count(), 1);
    Ok(())
}

#[tokio::test]
async fn who_asked_hears_of_a_stop() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("boss", "You lead.").await?;
    letter(&daemon, "Build it.", &json!({ "agent": "eng", "reply_to": "boss" })).await?;
    let taken = next(&daemon, "eng").await?;
    daemon.stop_turn(taken["turn"].as_str().context("a turn")?).await?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    let callback = journal
        .notes
        .iter()
        .find(|note| note.is_callback())
        .context("a callback")?;
    assert_eq!(
        (callback.text("status"), callback.text("source_message")),
        ("cancelled", "")
    );
    let refusal = ask(&daemon, "eng", "release", &json!({ "id": taken["id"] })).await?;
    assert_eq!(super::refused(&refusal), (409, "stopped"));
    Ok(())
}

/// What a session hands on under its claim belongs to the chain, so that its limits hold.
#[tokio::test]
async fn a_chain_goes_on_through_an_attached_agent() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("worker", "You work.").await?;
    let first = daemon.send("eng", "Build it.").await?;
    let taken = next(&daemon, "eng").await?;
    let body = json!({ "text": "[[reply the result]]", "reply_to": "eng", "sender": "anna", "claim": taken["claim"] });
    let sent = daemon.send_with("worker", &body).await?;
    until_pending(&daemon, "eng", 1).await?;
    let back = next(&daemon, "eng").await?;
    let journal = daemon.journal()?;
    let marks = |id: &str| {
        let note = journal.notes.iter().find(|note| note.id == id);
        let keys = ["chain_id", "delegation_depth", "delegated_by", "sender"];
        note.map(|note| keys.map(|key| note.text(key).to_owned()))
    };
    let turn = taken["turn"].as_str().context("a turn")?;
    let handed = [first.id.as_str(), "1", turn, "agent:eng"].map(str::to_owned);
    assert_eq!(marks(&sent.id), Some(handed));
    let called = [first.id.as_str(), "2", "", "callback:worker"].map(str::to_owned);
    assert_eq!(marks(back["id"].as_str().context("a message")?), Some(called));

    // Under no claim of one's own nothing is sent.
    answer(&daemon, "eng", &taken, "Built.").await?.ok::<Value>()?;
    for (claim, expected) in [
        (&taken["claim"], (409, "settled")),
        (&json!("x.1"), (404, "unknown_claim")),
    ] {
        let body = json!({ "text": "x", "claim": claim });
        let refusal = ask(&daemon, "worker", "send", &body).await?;
        assert_eq!(super::refused(&refusal), expected, "{claim}");
    }
    Ok(())
}
