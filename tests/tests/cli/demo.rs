//! `demo`.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::run;

#[tokio::test]
async fn the_demo_shows_the_whole_road_and_leaves_nothing() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    let scratch = tempfile::TempDir::new()?;
    let mut command = daemon.cli(["demo", "--once"]).await?;
    command.env("TMPDIR", scratch.path());
    let ran = run(command, "").await?;
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut from = 0;
    for step in [
        "stand-in",
        "1. Two agents are two notes: Agents/scout and Agents/captain.",
        "2. A note for scout",
        "3. The reply is a note: Hello! I am the stand-in",
        "at channel/scout/",
        "the note Threads/scout/scout: status \"ok\", turns \"1\"",
        "4. That woke captain, who answered: Hello! I am the stand-in",
        "http://127.0.0.1:",
    ] {
        let at = ran.stdout[from..].find(step);
        assert!(at.is_some(), "{step:?} in its place in {}", ran.stdout);
        from += at.unwrap_or_default();
    }
    for line in ["scout: · done", "captain: · done"] {
        assert!(ran.stderr.contains(line), "{line} in {}", ran.stderr);
    }
    assert_eq!(std::fs::read_dir(scratch.path())?.count(), 0);
    assert_eq!(daemon.children()?, Vec::<u32>::new());
    // It is a daemon of its own: this one has no agents.
    assert_eq!(daemon.agents().await?.len(), 0);
    Ok(())
}
