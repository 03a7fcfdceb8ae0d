//! Claude Code is not installed: said everywhere, and mended without a restart.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, State, run};
use reveille_tests::eventually;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Installs a program `claude` that is the stand-in.
async fn install(daemon: &Daemon, dir: &Path) -> Result<()> {
    let program = daemon.cli(["stand-in"]).await?;
    let program = PathBuf::from(program.as_std().get_program());
    let script = format!("#!/bin/sh\nexec '{}' stand-in \"$@\"\n", program.display());
    // Written elsewhere and moved: nobody sees half a program.
    let draft = dir.join("draft");
    std::fs::write(&draft, script)?;
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o755))?;
    Ok(std::fs::rename(draft, dir.join("claude"))?)
}

async fn health(daemon: &Daemon) -> Result<Value> {
    let health = daemon.ask_in("GET", "/health", b"").await?.json()?;
    Ok(json!([health["status"], health["dependencies"]]))
}

/// How many starts have warned in the log that it is missing.
fn warnings(daemon: &Daemon) -> Result<usize> {
    Ok(daemon.log()?.matches("no turn can run until then").count())
}

/// The check of that name from `doctor --json`, and the exit code.
async fn doctor(daemon: &Daemon, check: &str) -> Result<(i32, Value)> {
    let ran = daemon.run(["doctor", "--json"]).await?;
    let told: Value = serde_json::from_str(&ran.stdout).with_context(|| ran.stderr.clone())?;
    let mut checks = told["checks"].as_array().into_iter().flatten();
    let found = checks.find(|one| one["check"] == check);
    Ok((ran.code, found.with_context(|| ran.stdout.clone())?.clone()))
}

#[tokio::test]
async fn tc_pf_1_3_7_a_missing_cli_is_told_and_needs_no_restart_once_it_is_there() -> Result<()> {
    let path = TempDir::new()?;
    let mut daemon = Daemon::builder()
        .env("REVEILLE_CLAUDE__PROGRAM", "claude")
        .env("REVEILLE_CLAUDE__ENV__ANTHROPIC_API_KEY", "dummy")
        .env("PATH", path.path())
        .start()
        .await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let missing = json!(["degraded", { "ok": false, "missing": ["claude"] }]);
    assert_eq!(health(&daemon).await?, missing);
    assert_eq!(warnings(&daemon)?, 1);
    let (code, check) = doctor(&daemon, "claude").await?;
    assert_eq!((code, &check["level"]), (1, &json!("error")), "{check}");
    assert!(
        check["mend"].as_str().is_some_and(|mend| mend.contains("npm install")),
        "{check}"
    );

    let mut events = daemon.events("eng").await?;
    let sent = daemon.send("eng", "[[reply here I am]]").await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!(turn.state, State::Error);
    let error = turn.error.context("a reason")?;
    assert_eq!(error["code"], "program_missing");
    let seen = events.until_end(&turn.turn).await?;
    let last = seen.last().context("an end")?;
    assert_eq!((last.kind(), &last.data["code"]), ("error", &json!("program_missing")));
    // The end is told before it when the vault takes its time.
    let note = eventually("there is a failure note", LIMIT, async || {
        let mut messages = daemon.messages("eng").await?.into_iter();
        Ok(messages.find(|message| message.direction == "outbound"))
    })
    .await?;
    assert_eq!(note.kind.as_deref(), Some("failure"));
    assert!(
        note.text.contains("claude") && note.text.contains("npm install"),
        "{}",
        note.text
    );
    // The command line: the failure in words on stderr, nothing on stdout.
    let ran = daemon.run(["send", "eng", "hello", "--wait"]).await?;
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("npm install"), "{}", ran.stderr);

    install(&daemon, path.path()).await?;
    assert_eq!(health(&daemon).await?, json!(["ok", { "ok": true, "missing": [] }]));
    let sent = daemon.send("eng", "[[reply here I am]]").await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!(
        (turn.state, turn.reply.as_deref()),
        (State::Ok, Some("here I am")),
        "{:?}",
        turn.error
    );
    let (_, check) = doctor(&daemon, "claude").await?;
    assert_eq!(check["level"], "ok", "{check}");
    // A start that finds it has nothing to warn of.
    daemon.restart().await?;
    assert_eq!(warnings(&daemon)?, 1);

    // And away again, while it runs.
    std::fs::remove_file(path.path().join("claude"))?;
    assert_eq!(health(&daemon).await?, missing);
    let sent = daemon.send("eng", "still there?").await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!(turn.error.context("a reason")?["code"], "program_missing");
    Ok(())
}

#[tokio::test]
async fn tc_pf_5_a_program_that_is_not_claude_is_told_from_a_missing_one() -> Result<()> {
    let path = TempDir::new()?;
    let program = path.path().join("claude");
    std::fs::write(&program, "#!/bin/sh\necho 'command not understood' >&2\nexit 3\n")?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    let daemon = Daemon::builder()
        .env("REVEILLE_CLAUDE__PROGRAM", program.as_os_str())
        .env("REVEILLE_CLAUDE__ENV__ANTHROPIC_API_KEY", "dummy")
        .start()
        .await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let sent = daemon.send("eng", "hello").await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!(turn.state, State::Error);
    let error = turn.error.context("a reason")?;
    assert!(
        error["next_step"].as_str().is_some_and(|step| !step.is_empty()),
        "{error}"
    );
    assert_ne!(error["code"], "program_missing", "{error}");
    let ran = run(daemon.cli(["doctor"]).await?, "").await?;
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(ran.stdout.contains("ERROR    claude"), "{}", ran.stdout);
    assert_eq!(daemon.children()?, Vec::<u32>::new());
    Ok(())
}
