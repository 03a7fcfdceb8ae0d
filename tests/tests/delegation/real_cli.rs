//! The same through the Bash tool of the real CLI.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT};
use reveille_tests::messages_api::MessagesApi;
use serde_json::json;

use super::{callbacks, marks};

#[tokio::test]
async fn the_tools_of_the_real_cli_reach_the_daemon() -> Result<()> {
    let api = MessagesApi::start().await?;
    let daemon = Daemon::builder().real_claude(&api).start().await?;
    for agent in ["alpha", "beta"] {
        daemon.create_agent(agent, "You do as you are told.").await?;
    }
    let command = json!({"command": "\"$REVEILLE_BIN\" send beta 'hi there' --reply-to alpha"});
    let first = daemon.send("alpha", &format!("[[tool Bash {command}]]")).await?;
    let turn = daemon.wait_turn("alpha", &first).await?;
    assert!(
        turn.reply.as_deref().is_some_and(|reply| reply.contains("sent: ")),
        "{turn:?}"
    );
    let journal = daemon.wait_quiet(LIMIT).await?;
    let sent: Vec<_> = journal
        .notes
        .iter()
        .filter(|note| note.content == "hi there")
        .map(marks)
        .collect();
    assert_eq!(sent, [[first.id.as_str(), "1", turn.turn.as_str(), "agent:alpha"]]);
    let told: Vec<_> = callbacks(&journal).into_iter().map(marks).collect();
    assert_eq!(told, [[first.id.as_str(), "2", "", "callback:beta"]]);
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn the_real_cli_lets_the_clock_wake_its_own_agent() -> Result<()> {
    let api = MessagesApi::start().await?;
    let daemon = Daemon::builder().real_claude(&api).start().await?;
    daemon.create_agent("alpha", "You do as you are told.").await?;
    let job = json!({"path": "Channels/alpha/jobs/daily", "content": "Look at the inbox.", "tags": ["agent/job"],
        "metadata": {"jobId": "daily", "agent": "alpha", "cron": "0 9 * * 1-5", "tz": "Europe/Berlin"}});
    let first = daemon
        .send("alpha", &format!("[[tool mcp__reveille__create-note {job}]]"))
        .await?;
    let turn = daemon.wait_turn("alpha", &first).await?;
    let made = daemon.note("Channels/alpha/jobs/daily").await?;
    let made = made.with_context(|| format!("{turn:?}"))?;
    assert_eq!(
        ["defined_by", "delegation_depth", "cron"].map(|key| &made["metadata"][key]),
        [&json!("agent:alpha"), &json!("1"), &json!("0 9 * * 1-5")]
    );
    // The model knows how.
    let requests = api.requests();
    let of_alpha: Vec<_> = requests
        .iter()
        .filter(|request| request.system.contains("You do as you are told."))
        .collect();
    assert!(!of_alpha.is_empty());
    assert!(of_alpha.iter().all(|request| request.system.contains("create a job")));
    Ok(())
}
