//! `reveille agent new|edit` with an editor: a script that does to the file what a person would.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, Ran, run};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{one, text};

/// Runs a command with an editor that runs `script`, with `$1` the file and `$REVEILLE` the binary. What the file held when it
/// was opened is kept.
async fn edited(daemon: &Daemon, args: &[&str], script: &str) -> Result<Ran> {
    run(with_editor(daemon, args, script).await?, "").await
}

async fn with_editor(daemon: &Daemon, args: &[&str], script: &str) -> Result<Command> {
    let dir = daemon.scratch();
    let editor = dir.join("editor.sh");
    let seen = seen(daemon);
    std::fs::write(&editor, format!("cp \"$1\" '{}'\n{script}\n", seen.display()))?;
    let mut command = daemon.cli(args).await?;
    let program = command.as_std().get_program().to_owned();
    command
        .env_remove("EDITOR")
        .env("VISUAL", format!("/bin/sh {}", editor.display()))
        .env("REVEILLE", program)
        .env("TMPDIR", &dir);
    Ok(command)
}

fn seen(daemon: &Daemon) -> PathBuf {
    daemon.scratch().join("seen")
}

/// The file that a message says is kept.
fn kept(ran: &Ran) -> Result<PathBuf> {
    let told = ran
        .stderr
        .split("kept in ")
        .nth(1)
        .with_context(|| ran.stderr.clone())?;
    Ok(told.split(';').next().context("a path")?.into())
}

/// Files of edits that are left in the scratch directory.
fn left(daemon: &Daemon) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(daemon.scratch())?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let ours = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    Ok(paths.into_iter().filter(ours).collect())
}

async fn agent(daemon: &Daemon, name: &str) -> Result<Value> {
    super::get(daemon, &["api", "agents", name]).await
}

#[tokio::test]
async fn an_agent_is_made_of_what_was_written() -> Result<()> {
    let daemon = one().await?;
    let script = r#"sed -i 's/^#model: .*/model: opus/; s/^#timeout_wall: .*/timeout_wall: 10m/; s/^#paused: .*/paused: true/' "$1"
        printf 'You keep\nthe minutes.\n' >> "$1""#;
    let ran = edited(&daemon, &["agent", "new", "scribe"], script).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert!(ran.stdout.contains("scribe is ready"), "{}", ran.stdout);
    let made = agent(&daemon, "scribe").await?;
    assert_eq!(made["prompt"], "You keep\nthe minutes.");
    assert_eq!(
        (&made["model"], &made["settings"]["timeout_wall"]["value"]),
        (&json!("opus"), &json!("10m"))
    );
    assert_eq!(
        (&made["settings"]["paused"]["value"], &made["warnings"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(left(&daemon)?, Vec::<PathBuf>::new());
    // The name may come from the text.
    let script = r#"sed -i 's/^name:.*/name: critic/' "$1"; echo 'You criticise.' >> "$1""#;
    let ran = edited(&daemon, &["agent", "new"], script).await?;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(agent(&daemon, "critic").await?["prompt"], "You criticise.");
    Ok(())
}

#[tokio::test]
async fn nothing_is_made_of_a_text_that_is_empty_or_as_it_was() -> Result<()> {
    let daemon = one().await?;
    for script in ["true", ": > \"$1\"", "printf '\\n \\n' > \"$1\""] {
        let ran = edited(&daemon, &["agent", "new", "scribe"], script).await?;
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{script}: {ran:?}");
        assert!(ran.stdout.contains("no agent was made"), "{}", ran.stdout);
    }
    assert_eq!((daemon.agents().await?, left(&daemon)?), (vec![], vec![]));
    Ok(())
}

#[tokio::test]
async fn a_text_that_is_refused_is_kept_with_what_is_wrong_and_can_be_given_again() -> Result<()> {
    let daemon = one().await?;
    let script =
        r#"sed -i 's/^#mode: .*/mode: odd/; s/^#timeout_wall: .*/timeout_wall: soon/' "$1"; echo 'You do.' >> "$1""#;
    let ran = edited(&daemon, &["agent", "new", "scribe"], script).await?;
    assert_eq!((ran.code, ran.stdout.as_str()), (4, ""), "{ran:?}");
    assert!(
        ran.stderr.contains("mode: \"odd\"") && ran.stderr.contains("timeout_wall: \"soon\""),
        "{}",
        ran.stderr
    );
    let file = kept(&ran)?;
    let text = std::fs::read_to_string(&file)?;
    assert!(
        text.starts_with("---\n#! Nothing was saved:\n#!   mode: \"odd\" is not known"),
        "{text}"
    );
    assert!(
        text.contains("\n#!   timeout_wall: \"soon\"") && text.ends_with("You do.\n"),
        "{text}"
    );
    assert_eq!(daemon.agents().await?, Vec::<Value>::new());

    std::fs::write(
        &file,
        text.replace("mode: odd", "mode: multi-threaded")
            .replace(": soon", ": 90s"),
    )?;
    let path = file.to_str().context("a path")?;
    let ran = daemon.run(["agent", "new", "--from", path]).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    let made = agent(&daemon, "scribe").await?;
    assert_eq!(
        (&made["mode"], &made["prompt"]),
        (&json!("multi-threaded"), &json!("You do."))
    );
    Ok(())
}

#[tokio::test]
async fn what_is_no_front_matter_and_what_fails_on_the_way_is_kept_too() -> Result<()> {
    let mut daemon = one().await?;
    let broken = r#"printf -- '---\nname: [\n---\nYou do.\n' > "$1""#;
    let ran = edited(&daemon, &["agent", "new", "scribe"], broken).await?;
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(
        std::fs::read_to_string(kept(&ran)?)?.contains("#!   front matter: "),
        "{ran:?}"
    );
    let no_name = r#"echo 'You do.' > "$1""#;
    let ran = edited(&daemon, &["agent", "new", "scribe"], no_name).await?;
    assert!(ran.code == 4 && ran.stderr.contains("name: is missing"), "{ran:?}");
    let ran = edited(&daemon, &["agent", "new", "scribe"], "echo 'You do.' >> \"$1\"; exit 3").await?;
    assert!(ran.code == 1 && ran.stderr.contains("ended with"), "{ran:?}");
    assert!(std::fs::read_to_string(kept(&ran)?)?.ends_with("You do.\n"));
    assert_eq!(daemon.agents().await?, Vec::<Value>::new());
    let ran = {
        let pid = daemon.pid();
        edited(
            &daemon,
            &["agent", "new", "scribe"],
            &format!("kill -9 {pid}; echo 'You do.' >> \"$1\""),
        )
        .await?
    };
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(std::fs::read_to_string(kept(&ran)?)?.ends_with("You do.\n"));
    daemon.kill9().await?;
    Ok(())
}

/// A terminal: its own end, and what a program gets as its stdin.
fn terminal() -> Result<(OwnedFd, File)> {
    let own = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&own)?;
    unlockpt(&own)?;
    let path = ptsname(&own, Vec::new())?;
    let theirs = File::options().read(true).write(true).open(path.to_str()?)?;
    Ok((own, theirs))
}

#[tokio::test]
async fn at_a_terminal_a_text_that_is_refused_is_opened_again() -> Result<()> {
    let daemon = one().await?;
    let mends = r#"if grep -q '^#!   mode' "$1"; then sed -i 's/^mode: odd/mode: multi-threaded/' "$1"
        else sed -i 's/^#mode: .*/mode: odd/' "$1"; echo 'You do.' >> "$1"; fi"#;
    let gives_up = r#"grep -q '^#!   mode' "$1" || sed -i 's/^#mode: .*/mode: odd/' "$1""#;
    for (name, script, code) in [("mended", mends, 0), ("left", gives_up, 4)] {
        let (_own, theirs) = terminal()?;
        let mut command = with_editor(&daemon, &["agent", "new", name], script).await?;
        let ended = command.stdin(theirs).output();
        let ended = tokio::time::timeout(LIMIT, ended).await??;
        let told = String::from_utf8(ended.stderr)?;
        assert_eq!(ended.status.code(), Some(code), "{name}: {told}");
        assert!(
            told.contains("opened again") && told.contains("mode: \"odd\""),
            "{told}"
        );
        assert_eq!(told.contains("kept in"), code != 0, "{told}");
    }
    assert_eq!(agent(&daemon, "mended").await?["mode"], "multi-threaded");
    assert_eq!((daemon.agents().await?.len(), left(&daemon)?.len()), (1, 1));
    Ok(())
}

#[tokio::test]
async fn a_name_that_is_taken_is_told_before_anything_is_written() -> Result<()> {
    let daemon = one().await?;
    daemon.create_agent("scribe", "You keep the minutes.").await?;
    let ran = edited(&daemon, &["agent", "new", "scribe"], "true").await?;
    assert!(ran.code == 4 && ran.stderr.contains("already"), "{ran:?}");
    assert!(!seen(&daemon).exists(), "the editor was opened");
    Ok(())
}

#[tokio::test]
async fn without_an_editor_the_template_is_the_way() -> Result<()> {
    let daemon = one().await?;
    let mut command = daemon.cli(["agent", "new", "scribe"]).await?;
    command.env_remove("VISUAL").env_remove("EDITOR");
    let ran = run(command, "").await?;
    assert!(ran.code == 2 && ran.stderr.contains("--template"), "{ran:?}");
    let template = daemon.run(["agent", "new", "scribe", "--template"]).await?;
    assert_eq!((template.code, template.stderr.as_str()), (0, ""));
    for part in ["name: scribe", "#budget_day_usd: ", "# ", "without it: "] {
        assert!(template.stdout.contains(part), "{part}\n{}", template.stdout);
    }
    let ran = run(
        daemon.cli(["agent", "new", "--from", "-"]).await?,
        &format!("{}\nYou do.\n", template.stdout),
    )
    .await?;
    assert_eq!(ran.code, 0, "{ran:?}");
    let made = agent(&daemon, "scribe").await?;
    assert_eq!(
        (&made["prompt"], &made["settings"]["mode"]["from"]),
        (&json!("You do."), &json!("default"))
    );
    Ok(())
}

/// An agent with a setting, one that the daemon does not read, and a status.
async fn with_scribe(daemon: &Daemon) -> Result<String> {
    let metadata = json!({"model": "opus", "max_turns": 3, "owner": "me"});
    let id = super::define(daemon, "default", "scribe", &metadata).await?;
    super::until_enabled(daemon, "Agents/scribe").await?;
    Ok(id)
}

#[tokio::test]
async fn an_edit_changes_what_was_changed_and_nothing_else() -> Result<()> {
    let daemon = one().await?;
    with_scribe(&daemon).await?;
    let script = r#"sed -i '/^model: /d; s/^max_turns: 3/max_turns: 5/; s/^#mode: .*/mode: multi-threaded/' "$1""#;
    let ran = edited(&daemon, &["agent", "edit", "scribe"], script).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    let shown = std::fs::read_to_string(seen(&daemon))?;
    assert!(
        shown.contains("\nmodel: opus\n") && shown.contains("\nmax_turns: 3\n") && shown.ends_with("---\nYou do.\n"),
        "{shown}"
    );
    assert!(!shown.contains("owner") && !shown.contains("enabled\n"), "{shown}");
    let note = daemon.note("Agents/scribe").await?.context("the note")?;
    assert_eq!(note["content"], "You do.");
    let metadata = &note["metadata"];
    assert_eq!(
        (
            &metadata["max_turns"],
            &metadata["mode"],
            metadata.get("model"),
            &metadata["owner"]
        ),
        (&json!(5), &json!("multi-threaded"), None, &json!("me"))
    );
    let before = text(&note["updatedAt"])?;
    for script in ["true", ": > \"$1\"", "touch \"$1\""] {
        let ran = edited(&daemon, &["agent", "edit", "scribe"], script).await?;
        assert!(ran.code == 0 && ran.stdout.contains("as it was"), "{ran:?}");
    }
    let ran = edited(
        &daemon,
        &["agent", "edit", "scribe"],
        "sed -i 's/You do/You test/' \"$1\"",
    )
    .await?;
    assert_eq!(ran.code, 0, "{ran:?}");
    let note = daemon.note("Agents/scribe").await?.context("the note")?;
    ensure!(note["updatedAt"] != *before && note["content"] == "You test.", "{note}");
    Ok(())
}

#[tokio::test]
async fn an_edit_does_not_overrule_one_that_came_meanwhile() -> Result<()> {
    let daemon = one().await?;
    with_scribe(&daemon).await?;
    let script = r#""$REVEILLE" note put Agents/scribe 'You plan.' > /dev/null || exit 9
        sed -i 's/You do/You test/' "$1""#;
    let ran = edited(&daemon, &["agent", "edit", "scribe"], script).await?;
    assert_eq!((ran.code, ran.stdout.as_str()), (4, ""), "{ran:?}");
    assert!(ran.stderr.contains("has changed since it was read"), "{}", ran.stderr);
    let file = kept(&ran)?;
    assert!(std::fs::read_to_string(&file)?.ends_with("You test.\n"));
    let note = daemon.note("Agents/scribe").await?.context("the note")?;
    assert_eq!(note["content"], "You plan.");
    let ran = daemon.run(["agent", "edit", "scribe", "--from", path(&file)?]).await?;
    assert_eq!(ran.code, 0, "{ran:?}");
    let note = daemon.note("Agents/scribe").await?.context("the note")?;
    assert_eq!(
        (&note["content"], &note["metadata"]["owner"]),
        (&json!("You test."), &json!("me"))
    );
    Ok(())
}

#[tokio::test]
async fn an_edit_is_not_refused_for_what_is_none_of_its_business() -> Result<()> {
    let daemon = one().await?;
    with_scribe(&daemon).await?;
    let script = r#""$REVEILLE" note put Agents/scribe 'You do.' --meta owner=you > /dev/null || exit 9
        sed -i 's/You do/You test/' "$1""#;
    let ran = edited(&daemon, &["agent", "edit", "scribe"], script).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    let note = daemon.note("Agents/scribe").await?.context("the note")?;
    assert_eq!(
        (&note["content"], &note["metadata"]["owner"]),
        (&json!("You test."), &json!("you"))
    );
    Ok(())
}

fn path(file: &Path) -> Result<&str> {
    file.to_str().context("a path")
}
