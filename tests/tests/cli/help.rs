//! Help and completions.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::run;

use super::{out, with_eng};

/// Help of a command.
async fn help(daemon: &Daemon, command: &[String]) -> Result<String> {
    let args: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
    out(daemon, &args).await
}

/// The commands that a help text lists.
fn listed(help: &str) -> Vec<String> {
    let after = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = after.take_while(|line| !line.is_empty());
    // Names stand at two spaces; deeper lines go on with what a command is for.
    let names = lines.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    names
        .filter_map(|rest| rest.split(' ').next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// All commands and how to use them, as the help tells.
async fn commands(daemon: &Daemon) -> Result<Vec<(Vec<String>, String)>> {
    let mut open = vec![Vec::new()];
    let mut found = Vec::new();
    while let Some(command) = open.pop() {
        let text = help(daemon, &command).await?;
        for name in listed(&text) {
            open.push([command.clone(), vec![name]].concat());
        }
        found.push((command, text));
    }
    Ok(found)
}

#[tokio::test]
async fn every_command_explains_itself_with_an_example() -> Result<()> {
    let daemon = with_eng().await?;
    let commands = commands(&daemon).await?;
    assert!(commands.len() > 20, "{} commands", commands.len());
    let mut without = Vec::new();
    for (command, text) in &commands {
        let name = command.join(" ");
        ensure!(text.contains("Usage: "), "{name} has no usage: {text}");
        if name.is_empty() {
            assert!(text.contains("Exit codes: 0 done"), "{text}");
            continue;
        }
        let example = text
            .lines()
            .find_map(|line| line.split_once("Example: "))
            .map(|(_, example)| example);
        if !example.is_some_and(|example| example.contains(&format!("reveille {name}"))) {
            without.push(name);
        }
    }
    // A group shows an example of one of its commands.
    assert_eq!(without, Vec::<String>::new());
    let version = out(&daemon, &["--version"]).await?;
    assert_eq!(version, format!("reveille {}\n", daemon.version()));
    Ok(())
}

#[tokio::test]
async fn completions_are_scripts_that_the_shell_reads() -> Result<()> {
    let daemon = with_eng().await?;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = out(&daemon, &["completions", shell]).await?;
        assert!(script.contains("reveille") && script.contains("doctor"), "{shell}");
        if shell == "bash" {
            let mut bash = tokio::process::Command::new("bash");
            bash.args(["-n", "/dev/stdin"]);
            let ran = run(bash, &script).await?;
            assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_a_command_quietly() -> Result<()> {
    let daemon = with_eng().await?;
    let mut command = daemon.cli(["completions", "bash"]).await?;
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    drop(child.stdout.take().context("stdout is a pipe")?);
    let output = child.wait_with_output().await?;
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
    Ok(())
}
