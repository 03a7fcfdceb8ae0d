//! The same through the Bash tool of the real CLI.

use anyhow::Result;
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
