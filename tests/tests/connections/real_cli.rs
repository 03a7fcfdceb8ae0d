//! Connections in the hands of the real CLI, which talks to a double of the API.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::messages_api::MessagesApi;
use serde_json::json;

use super::{TWO, approve, create, notices, turn};

#[tokio::test]
async fn a_turn_uses_the_tools_of_a_vault_that_was_granted() -> Result<()> {
    let api = MessagesApi::start().await?;
    let daemon = Daemon::builder().real_claude(&api).config(TWO).start().await?;
    create(&daemon, "eng", "vault:notes:write#shared, env:github").await?;
    let note = json!({ "content": "hello from afar", "path": "Plans/new", "tags": ["shared"] });
    let call = format!("[[tool mcp__grant-vault-notes__create-note {note}]]");
    let without = turn(&daemon, "eng", &call).await?;
    assert!(
        without
            .reply
            .as_deref()
            .is_some_and(|reply| reply.contains("No such tool")),
        "{without:?}"
    );
    assert!(notices(&without).contains("vault:notes:write#shared"), "{without:?}");
    let system = || {
        api.requests()
            .last()
            .map(|request| request.system.clone())
            .unwrap_or_default()
    };
    assert!(system().contains("vault:notes:write#shared (not approved yet), env:github (not approved yet)"));

    approve(&daemon, "eng", "vault:notes:write#shared", None, None).await?;
    approve(&daemon, "eng", "env:github", Some("ghp-hunter2hunter2"), None).await?;
    let print = json!({ "command": "printf '%s' \"${#GITHUB_TOKEN}\"" });
    let with = turn(&daemon, "eng", &format!("{call} [[tool Bash {print}]]")).await?;
    let written = daemon.note_in("notes", "Plans/new").await?;
    let written = written.with_context(|| format!("{with:?}"))?;
    assert_eq!(
        (&written["content"], &written["tags"]),
        (&json!("hello from afar"), &json!(["shared"]))
    );
    assert!(
        with.reply.as_deref().is_some_and(|reply| reply.contains("18")),
        "{with:?}"
    );
    assert!(!system().contains("not approved yet"));
    let private = json!({ "content": "x", "path": "Plans/private", "tags": ["private"] });
    let outside = turn(
        &daemon,
        "eng",
        &format!("[[tool mcp__grant-vault-notes__create-note {private}]]"),
    )
    .await?;
    assert_eq!(daemon.note_in("notes", "Plans/private").await?, None, "{outside:?}");
    Ok(())
}
