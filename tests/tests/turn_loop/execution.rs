//! Where a turn runs, and what its child gets.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, Turn};
use serde_json::json;

use super::{agent, stand_in, told, with_eng};

#[tokio::test]
async fn tc_exec_8_the_child_gets_what_is_configured_and_not_what_the_daemon_has() -> Result<()> {
    let daemon = stand_in()
        .env("REVEILLE_CLAUDE__ENV__GH_TOKEN", "gh-secret")
        .env("REVEILLE_CLAUDE__ENV__BORROWED", "${LENT}")
        .env("LENT", "by the daemon")
        .env("SECRET_THING", "mine")
        .env("ANTHROPIC_API_KEY", "planted")
        .env("CLAUDE_CODE_OAUTH_TOKEN", "planted")
        .start()
        .await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let names = [
        "GH_TOKEN",
        "BORROWED",
        "LENT",
        "SECRET_THING",
        "ANTHROPIC_API_KEY",
        "CLAUDE_CODE_OAUTH_TOKEN",
    ];
    let text: String = names.iter().map(|name| format!("[[env {name}]]")).collect();
    let turn = told(&daemon, "eng", &text).await?;
    let expected = [
        "GH_TOKEN is set.",
        "BORROWED is set.",
        "LENT is not set.",
        "SECRET_THING is not set.",
        "ANTHROPIC_API_KEY is not set.",
        "CLAUDE_CODE_OAUTH_TOKEN is not set.",
    ];
    assert_eq!(turn.reply.as_deref(), Some(expected.join("\n\n").as_str()));
    Ok(())
}

/// The private directory of a turn's conversation.
fn private(daemon: &Daemon, turn: &Turn) -> Result<PathBuf> {
    let id = turn.more["thread"].as_str().context("a turn has a thread")?;
    Ok(daemon.state_dir().join("conversations").join(id))
}

#[tokio::test]
async fn tc_exec_9a_9b_a_workspace_is_worked_in_and_gets_no_file_of_ours() -> Result<()> {
    let daemon = stand_in().start().await?;
    let workspace = daemon.scratch().join("project");
    std::fs::create_dir(&workspace)?;
    std::fs::write(workspace.join("README"), "mine")?;
    agent(&daemon, "eng", &json!({"workspace": workspace})).await?;
    let turn = told(&daemon, "eng", "[[exec pwd; ls -A; echo done > result]]").await?;
    let expected = format!("Tool said: {}\nREADME", workspace.canonicalize()?.display());
    assert_eq!(turn.reply.as_deref(), Some(expected.as_str()));
    let mut there: Vec<_> = std::fs::read_dir(&workspace)?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<_>>()?;
    there.sort();
    assert_eq!(there, ["README", "result"]);
    let private = private(&daemon, &turn)?;
    for file in ["ctl/mcp.json", "ctl/system-prompt.txt"] {
        let mode = std::fs::metadata(private.join(file))?.permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
    assert!(private.join("home/.claude").is_dir());
    Ok(())
}

#[tokio::test]
async fn tc_exec_9c_without_a_workspace_a_conversation_has_a_directory_of_its_own() -> Result<()> {
    let daemon = with_eng().await?;
    let turn = told(&daemon, "eng", "[[exec pwd]]").await?;
    let work = private(&daemon, &turn)?.join("work").canonicalize()?;
    assert_eq!(turn.reply, Some(format!("Tool said: {}", work.display())));
    let mode = std::fs::metadata(private(&daemon, &turn)?)?.permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
    Ok(())
}
