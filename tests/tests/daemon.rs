//! The daemon's life: start, one turn, kill, restart, stop.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, State};
use reveille_tests::messages_api::{MessagesApi, overlaps};
use serde_json::json;

#[tokio::test]
async fn a_message_gets_a_reply_and_the_turn_can_be_watched() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let mut events = daemon.events("eng").await?;
    let sent = daemon.send("eng", "[[reply fine]]").await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!((turn.state, turn.reply.as_deref()), (State::Ok, Some("fine")));
    let seen = events.until_end(&turn.turn).await?;
    assert_eq!(
        seen.last().map(|event| event.data["reply"].clone()),
        Some(json!("fine"))
    );

    // A reader that had lost the connection after the first event gets the rest, and nothing twice.
    let first = seen
        .first()
        .and_then(|event| event.id.as_deref())
        .context("events have ids")?;
    let mut again = daemon.events_after("eng", first).await?;
    assert_eq!(again.until_end(&turn.turn).await?, seen[1..]);

    let shown: Vec<_> = daemon
        .messages("eng")
        .await?
        .into_iter()
        .map(|message| (message.direction, message.text))
        .collect();
    assert_eq!(
        shown,
        [
            ("inbound".into(), "[[reply fine]]".into()),
            ("outbound".into(), "fine".into())
        ]
    );
    Ok(())
}

#[tokio::test]
async fn the_real_cli_keeps_the_conversation_over_a_restart() -> Result<()> {
    let api = MessagesApi::start().await?;
    let mut daemon = Daemon::builder().real_claude(&api).start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    for count in 1..=3 {
        let sent = daemon.send("eng", &format!("message {count}")).await?;
        let turn = daemon.wait_turn("eng", &sent).await?;
        let reply = turn.reply.context("a reply")?;
        assert!(
            reply.starts_with(&format!("context: {count} user messages.")),
            "{reply}"
        );
        daemon.restart().await?;
    }
    assert_eq!(overlaps(&api.requests()), []);
    Ok(())
}

#[tokio::test]
async fn a_killed_daemon_leaves_no_message_and_no_process_behind() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let mut events = daemon.events("eng").await?;
    let sent = daemon.send("eng", "[[slow 3x50ms]] [[reply slow and steady]]").await?;
    events.until(|event| event.kind() == "started").await?;
    daemon.kill9().await?;
    daemon.start().await?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    let ends: Vec<_> = journal
        .turns
        .iter()
        .map(|turn| (turn.note.as_str(), turn.state.as_str()))
        .collect();
    assert_eq!(ends, [(sent.id.as_str(), "ok")]);
    assert_eq!(journal.violations(), Vec::<String>::new());
    assert!(daemon.stop().await?.success());
    assert_eq!(daemon.children()?, Vec::<u32>::new());
    Ok(())
}

#[tokio::test]
async fn nobody_gets_in_without_the_token() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    let health: serde_json::Value = reqwest::get(daemon.url().join("/health")?).await?.json().await?;
    assert_eq!(health, serde_json::json!({ "status": "ok" }));
    let told = daemon.request(Method::GET, &["health"], None).await?;
    assert_eq!(told.body["version"], daemon.version());
    let refused = reqwest::get(daemon.url().join("/api/agents")?).await?;
    assert_eq!(refused.status(), 401);
    assert_eq!(daemon.request(Method::GET, &["api", "agents"], None).await?.status, 200);
    Ok(())
}
