//! Definitions in a folder.

use std::fs;

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, State};
use reveille_tests::eventually;

use super::{stand_in, told};

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_definition_that_cannot_be_written_on_holds_no_message_up() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (notes, agents) = (dir.path().join("notes"), dir.path().join("notes/Agents"));
    fs::create_dir_all(&agents)?;
    let try_it = tokio::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "mount", "--bind"])
        .args([&notes, &notes])
        .output()
        .await;
    if !try_it.is_ok_and(|tried| tried.status.success()) {
        // Nothing can be mounted here.
        return Ok(());
    }
    let file = agents.join("eng.md");
    fs::write(&file, "---\ntags: [agent/definition]\nname: eng\n---\nYou do.\n")?;
    let script = format!(
        "mount --bind '{0}' '{0}'\nmount -o remount,bind,ro '{0}'",
        agents.display()
    );
    let config = format!("[vault]\nkind = \"folder\"\npath = \"{}\"\n", notes.display());
    let daemon = stand_in().config(&config).mounts(&script).start().await?;
    eventually("the agent is there", LIMIT, async || {
        Ok((daemon.agents().await?.len() == 1).then_some(()))
    })
    .await?;
    for _ in 0..3 {
        let turn = told(&daemon, "eng", "[[reply here]]").await?;
        assert_eq!((turn.state, turn.reply.as_deref()), (State::Ok, Some("here")));
    }
    let text = fs::read_to_string(&file)?;
    assert!(!text.contains("status"), "{text}");
    // That is tried beside everything else.
    eventually("the log says why", LIMIT, async || {
        let log = daemon.log()?;
        Ok(log.contains("notes cannot say what became of them").then_some(()))
    })
    .await
}
