//! The real CLI against a double of the API.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, State};
use reveille_tests::messages_api::MessagesApi;
use serde_json::json;

use crate::{define, left, turn, well};

/// Its processes now, those that keep it in included.
fn now(daemon: &Daemon) -> Result<Vec<u32>> {
    let now = daemon.children()?;
    anyhow::ensure!(!now.is_empty(), "no process waits: {}", daemon.log()?);
    Ok(now)
}

#[tokio::test]
async fn turns_are_one_process_with_an_account_for_each() -> Result<()> {
    let api = MessagesApi::start().await?;
    let daemon = Daemon::builder().real_claude(&api).warm().start().await?;
    define(&daemon, "eng", json!({"max_turns": 2})).await?;
    let first = well(&daemon, "eng", "one").await?;
    let processes = now(&daemon)?;
    let second = well(&daemon, "eng", "two").await?;
    let note = json!({"path": "Made/warm", "content": "made"});
    let third = well(&daemon, "eng", &format!("[[tool mcp__reveille__create-note {note}]]")).await?;
    assert_eq!(now(&daemon)?, processes);
    assert!(daemon.note("Made/warm").await?.is_some(), "{third:?}");
    for (count, turn) in [(1, &first), (2, &second)] {
        let reply = turn.reply.as_deref().unwrap_or_default();
        assert!(
            reply.starts_with(&format!("context: {count} user messages.")),
            "{reply}"
        );
    }
    let input = |turn: &reveille_tests::daemon::Turn| turn.more["usage"]["input_tokens"].as_u64();
    let (one, two) = (input(&first).context("tokens")?, input(&second).context("tokens")?);
    // What the process has counted would be more than both.
    assert!(two < one * 2 && two >= one / 2, "{one} {two}");
    assert!(second.cost_usd < first.cost_usd * 2.0 && second.cost_usd > 0.0);
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    // Its own limit of rounds is of each prompt.
    for _ in 0..2 {
        well(&daemon, "eng", "[[tool Bash {\"command\":\"true\"}]]").await?;
    }
    assert_eq!(now(&daemon)?, processes);
    Ok(())
}

#[tokio::test]
async fn what_it_said_outlives_it_however_it_ends() -> Result<()> {
    let api = MessagesApi::start().await?;
    let mut daemon = Daemon::builder().real_claude(&api).warm().start().await?;
    define(&daemon, "eng", json!({})).await?;
    for (count, text) in ["one", "two"].into_iter().enumerate() {
        well(&daemon, "eng", text).await?;
        now(&daemon)?;
        daemon.kill9().await?;
        left(&daemon, 0).await?;
        let said = format!("context: {} user messages. You said:", count + 1);
        let files = daemon.files_with(&said)?;
        assert!(files.iter().any(|file| file.ends_with(".jsonl")), "{said}: {files:?}");
        daemon.start().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_budget_is_of_each_turn_and_its_process_ends_with_it() -> Result<()> {
    let api = MessagesApi::start().await?;
    let daemon = Daemon::builder().real_claude(&api).warm().start().await?;
    define(&daemon, "eng", json!({})).await?;
    let usual = well(&daemon, "eng", "hi").await?.cost_usd;
    // Enough for each of three, and for no two together: the CLI itself counts it over the life of its process.
    let budget = format!("{:.4}", usual * 1.6);
    define(&daemon, "ops", json!({ "budget_turn_usd": budget, "keep_warm": "10m" })).await?;
    let waiting = now(&daemon)?;
    for text in ["one", "two", "three"] {
        let turn = well(&daemon, "ops", text).await?;
        assert!(turn.cost_usd > usual * 0.8, "{usual} {turn:?}");
        assert_eq!(left(&daemon, waiting.len()).await?, waiting);
    }
    Ok(())
}

#[tokio::test]
async fn a_stop_a_background_command_and_the_end_of_the_daemon_leave_nothing() -> Result<()> {
    let api = MessagesApi::start().await?;
    let mut daemon = Daemon::builder().real_claude(&api).warm().start().await?;
    define(&daemon, "eng", json!({})).await?;
    well(&daemon, "eng", "one").await?;
    now(&daemon)?;
    let left_running = json!({"command": "(setsid sleep 4217 >/dev/null 2>&1 &); echo left"});
    well(&daemon, "eng", &format!("[[tool Bash {left_running}]]")).await?;
    left(&daemon, 0).await?;
    well(&daemon, "eng", "two").await?;
    let mut events = daemon.events("eng").await?;
    let sent = daemon.send("eng", "[[tool Bash {\"command\":\"sleep 4218\"}]]").await?;
    events.until(|event| event.kind() == "tool").await?;
    daemon.stop_turn(sent.turn.as_deref().context("a turn")?).await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Cancelled);
    left(&daemon, 0).await?;
    let after = turn(&daemon, "eng", "three").await?;
    assert_eq!(after.state, State::Ok, "{after:?}");
    now(&daemon)?;
    daemon.kill9().await?;
    left(&daemon, 0).await?;
    daemon.start().await?;
    well(&daemon, "eng", "four").await?;
    now(&daemon)?;
    assert!(daemon.stop().await?.success());
    assert_eq!(daemon.children()?, Vec::<u32>::new());
    Ok(())
}
