//! `reveille secret`, with a daemon and without one.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::Ran;
use serde_json::{Value, json};

use super::{KEY, OAUTH, command, env_of, file, raw, started};

/// It worked, and shows nothing that is secret.
async fn fine(daemon: &Daemon, args: &[&str], input: &str) -> Result<Ran> {
    let ran = command(daemon, args, input).await?;
    assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
    assert!(!format!("{ran:?}").contains("hunter"), "{ran:?}");
    Ok(ran)
}

/// The same commands, and what the file holds after each.
async fn all_commands(daemon: &Daemon) -> Result<()> {
    let all = json!({
        "claude": { "default": OAUTH, "channels": { "eng": KEY } },
        "env": { "default": { "GH_TOKEN": "hunter2\nhunter2" }, "channels": { "eng": { "GH_TOKEN": "hunter3" } } },
    });
    fine(daemon, &["secret", "set", "--claude"], &format!("{OAUTH}\n")).await?;
    fine(daemon, &["secret", "set", "--claude", "--agent", "eng"], KEY).await?;
    fine(daemon, &["secret", "set", "GH_TOKEN"], "hunter2\nhunter2\n").await?;
    let ran = fine(daemon, &["secret", "set", "--agent", "eng", "GH_TOKEN"], "hunter3\r\n").await?;
    assert!(ran.stdout.contains("GH_TOKEN of eng is set"), "{ran:?}");
    assert_eq!(raw(daemon)?, all);
    assert_eq!(std::fs::metadata(file(daemon))?.permissions().mode() & 0o777, 0o600);

    let listed = fine(daemon, &["secret", "list"], "").await?.stdout;
    let rows: Vec<Vec<&str>> = listed
        .lines()
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    assert_eq!(
        rows,
        [
            ["NAME", "AGENT"],
            ["(Claude Code)", "all"],
            ["(Claude Code)", "eng"],
            ["GH_TOKEN", "all"],
            ["GH_TOKEN", "eng"],
        ]
    );
    let listed: Value = serde_json::from_str(&fine(daemon, &["secret", "list", "--json"], "").await?.stdout)?;
    assert_eq!(
        listed,
        json!({
            "claude": { "defaultSet": true, "channels": ["eng"] },
            "env": { "default": ["GH_TOKEN"], "channels": { "eng": ["GH_TOKEN"] } },
        })
    );

    for args in [
        &["--claude", "--agent", "eng"][..],
        &["GH_TOKEN"],
        &["--agent", "eng", "GH_TOKEN"],
    ] {
        let args = [&["secret", "rm"], args].concat();
        fine(daemon, &args, "").await?;
        let again = command(daemon, &args, "").await?;
        assert!(again.code == 1 && again.stderr.contains("is not stored"), "{again:?}");
    }
    assert_eq!(
        raw(daemon)?,
        json!({ "claude": { "default": OAUTH, "channels": {} }, "env": {} })
    );
    fine(daemon, &["secret", "rm", "--claude"], "").await?;
    let empty = fine(daemon, &["secret", "list"], "").await?;
    assert!(empty.stdout.contains("nothing is stored"), "{empty:?}");

    // What will not do.
    for (args, input) in [
        (&["NAME=hunter2"][..], "x"),
        (&["LD_PRELOAD"], "hunter2"),
        (&["ANTHROPIC_API_KEY"], "hunter2"),
        (&["A"], ""),
        (&["A"], "\n"),
        (&["--agent", "no such/agent", "A"], "hunter2"),
        (&["--claude"], "hunter2 hunter2"),
        (&["--claude", "A"], "hunter2"),
        (&[], "hunter2"),
    ] {
        let ran = command(daemon, &[&["secret", "set"], args].concat(), input).await?;
        assert!(ran.code == 2 || ran.code == 4, "{args:?}: {ran:?}");
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("hunter"), "{ran:?}");
    }
    assert_eq!(raw(daemon)?["env"], json!({}));
    Ok(())
}

#[tokio::test]
async fn secrets_are_set_listed_and_removed_while_a_daemon_runs() -> Result<()> {
    let daemon = started().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    all_commands(&daemon).await?;
    assert!(daemon.log()?.contains("GH_TOKEN"), "the daemon did it");
    let ran = fine(&daemon, &["secret", "set", "--agent", "nobody", "A"], "x").await?;
    assert!(ran.stderr.contains("no agent nobody yet"), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn secrets_are_set_listed_and_removed_while_none_runs() -> Result<()> {
    let mut daemon = started().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    daemon.stop().await?;
    all_commands(&daemon).await?;
    let ran = fine(&daemon, &["secret", "set", "KEPT"], "hunter2").await?;
    assert!(ran.stderr.contains("no daemon runs"), "{ran:?}");
    daemon.start().await?;
    assert_eq!(
        env_of(&daemon, "eng").await?.get("KEPT").map(String::as_str),
        Some("hunter2")
    );
    // A daemon that was named and does not answer is no reason to write a file here.
    let ran = command(&daemon, &["--url", "http://127.0.0.1:9", "secret", "list"], "").await?;
    assert!(ran.code != 0, "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn the_first_secret_makes_the_state_directory_for_its_user_alone() -> Result<()> {
    let mut daemon = started().await?;
    daemon.stop().await?;
    let fresh = daemon.scratch().join("fresh");
    let dir = fresh.display().to_string();
    fine(&daemon, &["--state-dir", &dir, "secret", "set", "--claude"], OAUTH).await?;
    assert_eq!(std::fs::metadata(&fresh)?.permissions().mode() & 0o777, 0o700);
    let mut names: Vec<_> = std::fs::read_dir(&fresh)?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<_>>()?;
    names.sort();
    assert_eq!(names, ["credentials.json", "credentials.lock"]);
    Ok(())
}

#[tokio::test]
async fn doctor_and_health_say_where_the_credential_comes_from() -> Result<()> {
    let mut daemon = Daemon::builder()
        .env("REVEILLE_CLAUDE__PROGRAM", "/bin/true")
        .start()
        .await?;
    let told = async |daemon: &Daemon| -> Result<(Value, String)> {
        let health = super::done(daemon, "GET", "/health", &Value::Null).await?["credential"].clone();
        let ran = command(daemon, &["doctor"], "").await?;
        let said = ran
            .stdout
            .lines()
            .filter(|line| line.contains("sign-in") || line.contains("credentials"));
        Ok((health, said.collect::<Vec<_>>().join("\n")))
    };
    let (health, said) = told(&daemon).await?;
    assert_eq!(health, json!({ "source": "none", "agents": [] }));
    assert!(said.contains("ERROR") && said.contains("no login"), "{said}");
    fine(&daemon, &["secret", "set", "--claude", "--agent", "eng"], KEY).await?;
    fine(&daemon, &["secret", "set", "--claude"], OAUTH).await?;
    let (health, said) = told(&daemon).await?;
    assert_eq!(
        health,
        json!({ "source": "stored", "variable": "CLAUDE_CODE_OAUTH_TOKEN", "agents": ["eng"] })
    );
    assert!(
        said.contains("CLAUDE_CODE_OAUTH_TOKEN") && said.contains("eng") && !said.contains("ERROR"),
        "{said}"
    );
    fine(&daemon, &["secret", "rm", "--claude"], "").await?;
    daemon.set_env("REVEILLE_CLAUDE__ENV__ANTHROPIC_API_KEY", "hunter2");
    daemon.restart().await?;
    let (health, said) = told(&daemon).await?;
    assert_eq!(
        health,
        json!({ "source": "configuration", "variable": "ANTHROPIC_API_KEY", "agents": ["eng"] })
    );
    assert!(
        said.contains("ANTHROPIC_API_KEY from the configuration") && !said.contains("hunter"),
        "{said}"
    );
    // Strangers learn nothing of it.
    let stranger = daemon.ask("GET", "/health", &[], b"").await?.json()?;
    assert!(stranger.get("credential").is_none(), "{stranger}");
    Ok(())
}
