//! `agent`, `open`, `doctor`.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, run};
use serde_json::{Value, json};

use super::{json_out, out, told, with_eng};

#[tokio::test]
async fn agents_are_made_shown_listed_and_removed() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    let empty = out(&daemon, &["agent", "list"]).await?;
    assert!(empty.contains("reveille agent new"), "{empty}");
    assert_eq!(
        json_out(&daemon, &["agent", "list", "--json"]).await?,
        json!({ "agents": [], "waiting": [] })
    );

    let made = out(
        &daemon,
        &[
            "agent",
            "new",
            "scribe",
            "--prompt",
            "You keep the minutes.",
            "--model",
            "sonnet",
        ],
    )
    .await?;
    assert!(made.contains("reveille send scribe"), "{made}");
    let file = daemon.state_dir().join("role.md");
    std::fs::write(&file, "You plan.\nCarefully.")?;
    let path = file.to_str().context("a path")?;
    out(
        &daemon,
        &[
            "agent",
            "new",
            "planner",
            "--prompt-file",
            path,
            "--set",
            "timeout_wall=10m",
            "--set",
            "mode=multi-threaded",
        ],
    )
    .await?;
    let piped = run(
        daemon.cli(["agent", "new", "piped", "--prompt", "-"]).await?,
        "From stdin.",
    )
    .await?;
    assert_eq!(piped.code, 0, "{}", piped.stderr);

    let listed = out(&daemon, &["agent", "list"]).await?;
    let names: Vec<_> = listed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(names, ["NAME", "piped", "planner", "scribe"]);
    let agents = json_out(&daemon, &["agent", "list", "--json"]).await?;
    let previews: Vec<_> = agents["agents"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|agent| &agent["prompt_preview"])
        .collect();
    assert_eq!(
        previews,
        ["From stdin.", "You plan.\nCarefully.", "You keep the minutes."]
    );

    let shown = out(&daemon, &["agent", "show", "planner"]).await?;
    for part in [
        "planner",
        "multi-threaded",
        "10m  (definition)",
        "Agents/planner",
        "You plan.\nCarefully.",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let shown = json_out(&daemon, &["agent", "show", "scribe", "--json"]).await?;
    assert_eq!(
        shown["settings"]["model"],
        json!({ "value": "sonnet", "from": "definition" })
    );

    for (args, part) in [
        (&["agent", "new", "scribe", "--prompt", "x"][..], "already"),
        (&["agent", "new", "no good", "--prompt", "x"], "1 to 64 letters"),
        (&["agent", "new", "x", "--set", "timeout_wall=soon"], "timeout_wall"),
        (&["agent", "show", "nobody"], "nobody"),
        (&["agent", "rm", "nobody"], "nobody"),
    ] {
        let ran = daemon.run(args).await?;
        assert_eq!(told(&ran), (4, ""), "{args:?} {}", ran.stderr);
        assert!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
    assert!(out(&daemon, &["agent", "rm", "piped"]).await?.contains("removed"));
    assert_eq!(daemon.agents().await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_link_of_open_signs_in_once() -> Result<()> {
    let daemon = with_eng().await?;
    let link = out(&daemon, &["open"]).await?;
    let (base, code) = link.trim_end().split_once("/#sign-in=").context("a sign-in link")?;
    assert_eq!(base, daemon.url().as_str().trim_end_matches('/'));
    let body = json!({ "code": code }).to_string();
    for expected in [200, 401] {
        let answer = daemon.ask("POST", "/api/session", &[], body.as_bytes()).await?;
        assert_eq!(answer.status, expected);
    }
    Ok(())
}

#[tokio::test]
async fn tc_pf_4_doctor_checks_everything() -> Result<()> {
    let daemon = with_eng().await?;
    // The address of the configuration is the daemon's own here, so the port of the tests' machine does not matter.
    let mut command = daemon.cli(["doctor", "--json"]).await?;
    command.env("REVEILLE_SERVER__BIND", daemon.authority()?);
    let ran = run(command, "").await?;
    let checks: Value = serde_json::from_str(&ran.stdout).context(ran.stderr)?;
    let mut levels: Vec<(&str, &str)> = Vec::new();
    for check in checks["checks"].as_array().into_iter().flatten() {
        assert!(
            check["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
            "{check}"
        );
        levels.push((
            check["check"].as_str().context("a name")?,
            check["level"].as_str().context("a level")?,
        ));
    }
    // Whether the page is built in depends on how the binary was made.
    let page = levels.pop().context("a last check")?;
    assert_eq!(page.0, "web page");
    let expected = [
        ("configuration", "ok"),
        ("state directory", "ok"),
        ("address", "ok"),
        ("disk", "ok"),
        ("open files", "ok"),
        ("deliveries", "ok"),
        ("vault", "ok"),
        ("claude", "ok"),
        ("sign-in", "ok"),
        ("credentials", "ok"),
        ("sandbox", "warning"),
    ];
    assert_eq!(levels, expected);
    assert_eq!(ran.code, i32::from(page.1 == "error"));
    let detail = &checks["checks"][2]["detail"];
    assert!(
        detail
            .as_str()
            .is_some_and(|text| text.contains(&daemon.pid().to_string())),
        "{detail}"
    );

    let mut command = daemon.cli(["doctor"]).await?;
    command.env("REVEILLE_SERVER__BIND", daemon.authority()?);
    command.env("REVEILLE_CLAUDE__PROGRAM", "/nowhere/claude");
    let ran = run(command, "").await?;
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(
        ran.stdout.contains("ERROR    claude") && ran.stdout.contains("npm install"),
        "{}",
        ran.stdout
    );
    Ok(())
}

#[tokio::test]
async fn a_daemon_that_is_not_there_ends_with_3() -> Result<()> {
    let mut daemon = with_eng().await?;
    daemon.stop().await?;
    for args in [
        &["agent", "list"][..],
        &["send", "eng", "hello"],
        &["send", "eng", "hello", "--wait"],
        &["watch"],
        &["thread", "show", "eng"],
        &["turn", "show", "x"],
        &["turn", "list", "eng"],
        &["queue", "list"],
        &["queue", "cancel", "x"],
        &["agent", "pause", "eng"],
        &["note", "list"],
        &["open"],
    ] {
        let ran = daemon.run(args).await?;
        assert_eq!(told(&ran), (3, ""), "{args:?} {}", ran.stderr);
        assert!(ran.stderr.contains("reveille serve"), "{args:?} {}", ran.stderr);
    }
    // Another daemon gets no token of this one.
    let elsewhere = ["agent", "list", "--url", "http://127.0.0.1:9"];
    let ran = daemon.run(elsewhere).await?;
    assert_eq!(told(&ran), (2, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("set REVEILLE_TOKEN"), "{}", ran.stderr);
    daemon.set_env("REVEILLE_TOKEN", "of-that-one");
    let ran = daemon.run(elsewhere).await?;
    assert_eq!(told(&ran), (3, ""), "{}", ran.stderr);
    daemon.set_env("REVEILLE_TOKEN", "");
    // A daemon that died leaves its announcement behind.
    daemon.start().await?;
    daemon.kill9().await?;
    let ran = daemon.run(["agent", "list"]).await?;
    assert_eq!(told(&ran), (3, ""), "{}", ran.stderr);
    Ok(())
}

#[tokio::test]
async fn another_token_is_refused() -> Result<()> {
    let daemon = with_eng().await?;
    let mut command = daemon.cli(["agent", "list"]).await?;
    command
        .env("REVEILLE_TOKEN", "wrong")
        .env("REVEILLE_URL", daemon.url().as_str());
    let ran = run(command, "").await?;
    assert_eq!(told(&ran), (4, ""), "{}", ran.stderr);
    assert!(!ran.stderr.contains("wrong"), "{}", ran.stderr);
    Ok(())
}
