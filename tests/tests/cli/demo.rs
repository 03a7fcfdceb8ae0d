//! `demo`.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::run;
use serde_json::{Value, json};

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

#[tokio::test]
async fn an_expired_login_leaves_the_stand_in_and_is_told() -> Result<()> {
    let daemon = Daemon::builder().start().await?;
    let own = daemon.scratch().join(".claude");
    std::fs::create_dir(&own)?;
    let login = json!({"claudeAiOauth": {"accessToken": "canary", "refreshToken": "canary", "expiresAt": 1}});
    std::fs::write(own.join(".credentials.json"), login.to_string())?;
    let ran = async |args: &[&str]| {
        let mut command = daemon.cli(args).await?;
        // Any program that is there: it is not started.
        command.env("REVEILLE_CLAUDE__PROGRAM", "true");
        run(command, "").await
    };
    let demo = ran(&["demo", "--once"]).await?;
    assert_eq!(demo.code, 0, "{demo:?}");
    for part in [
        "has expired",
        "the built-in stand-in runs the turns",
        "4. That woke captain",
    ] {
        assert!(demo.stdout.contains(part), "{part} in {}", demo.stdout);
    }
    let doctor = ran(&["doctor", "--json"]).await?;
    let told: Value = serde_json::from_str(&doctor.stdout)?;
    let sign_in = told["checks"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|one| one["check"] == "sign-in");
    let sign_in = sign_in.context("a check of the login")?;
    assert_eq!(sign_in["level"], "error", "{sign_in}");
    assert!(
        sign_in["detail"].to_string().contains("has expired") && sign_in["mend"].to_string().contains("setup-token")
    );
    Ok(())
}
