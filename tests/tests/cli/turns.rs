//! `send`, `watch`, `thread`, `turn`.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, State, run};
use reveille_tests::eventually;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{json_out, out, told, with_eng};

#[tokio::test]
async fn send_prints_the_identity_or_waits_for_the_reply() -> Result<()> {
    let daemon = with_eng().await?;
    let sent = out(&daemon, &["send", "eng", "[[reply one]]"]).await?;
    let id = sent
        .trim_end()
        .strip_prefix("sent: ")
        .context("an identity")?
        .to_owned();
    let sent = reveille_tests::daemon::Sent { id, turn: None };
    assert_eq!(daemon.wait_turn("eng", &sent).await?.reply.as_deref(), Some("one"));
    let sent = json_out(&daemon, &["send", "eng", "[[reply two]]", "--json"]).await?;
    assert_eq!((&sent["ok"], sent["turn"].is_string()), (&json!(true), true));

    // The reply is on stdout and nothing else; what happens meanwhile is on stderr.
    let ran = daemon
        .run([
            "send",
            "eng",
            "[[tool Bash {\"command\":\"ls\"}]] [[reply three]]",
            "--wait",
        ])
        .await?;
    assert_eq!(told(&ran), (0, "three\n"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("→ Bash") && ran.stderr.contains("· done"),
        "{}",
        ran.stderr
    );
    let ran = run(
        daemon.cli(["send", "eng", "--wait"]).await?,
        "[[reply from\n  stdin]]\n",
    )
    .await?;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.starts_with("from"), "{}", ran.stdout);
    let turn = json_out_of(&daemon, &["send", "eng", "[[reply four]]", "--wait", "--json"]).await?;
    assert_eq!((&turn["state"], &turn["reply"]), (&json!("ok"), &json!("four")));
    let ran = daemon
        .run(["send", "eng", "--wait", "--", "--json is no option here [[reply five]]"])
        .await?;
    assert_eq!(told(&ran), (0, "five\n"), "{}", ran.stderr);
    // A turn without text is a good one too.
    let ran = daemon.run(["send", "eng", "[[empty]]", "--wait"]).await?;
    assert_eq!((ran.code, ran.stdout.trim_end()), (0, ""), "{}", ran.stderr);
    Ok(())
}

async fn json_out_of(daemon: &reveille_tests::Daemon, args: &[&str]) -> Result<serde_json::Value> {
    let ran = daemon.run(args).await?;
    serde_json::from_str(&ran.stdout).context(ran.stderr)
}

#[tokio::test]
async fn a_turn_that_fails_ends_send_with_1() -> Result<()> {
    let daemon = with_eng().await?;
    // One agent each: after some of these failures an agent waits for its operator.
    for (name, text, part) in [
        ("ann", "[[error 401]]", "credentials"),
        ("ben", "[[crash]]", "again"),
        ("cleo", "[[error credit]]", "credit"),
    ] {
        daemon.create_agent(name, "You help.").await?;
        let ran = daemon.run(["send", name, text, "--wait"]).await?;
        assert_eq!(told(&ran), (1, ""), "{text} {}", ran.stderr);
        assert!(ran.stderr.contains("the turn ended as error"), "{}", ran.stderr);
        assert!(ran.stderr.to_lowercase().contains(part), "{part} in {}", ran.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn send_takes_sender_subject_and_whom_to_tell() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("boss", "You decide.").await?;
    let args = [
        "send",
        "eng",
        "[[reply built]]",
        "--sender",
        "ann",
        "--subject",
        "launch",
        "--reply-to",
        "boss",
        "--correlation-id",
        "c-1",
        "--wait",
    ];
    assert_eq!(told(&daemon.run(args).await?), (0, "built\n"));
    let said = daemon.messages("eng").await?;
    assert_eq!(said[0].sender.as_deref(), Some("ann"));
    eventually("the boss is told", LIMIT, async || {
        let told = daemon.messages("boss").await?;
        Ok(told
            .iter()
            .any(|message| message.state == Some(State::Ok))
            .then_some(()))
    })
    .await?;
    let threads = out(&daemon, &["thread", "list", "eng"]).await?;
    assert!(threads.contains("launch"), "{threads}");
    Ok(())
}

#[tokio::test]
async fn threads_show_what_was_said_and_what_it_cost() -> Result<()> {
    let daemon = with_eng().await?;
    let none = out(&daemon, &["thread", "show", "eng"]).await?;
    assert_eq!(none, "0 turns, $0.0000\n");
    let ran = daemon
        .run([
            "send",
            "eng",
            "Is it \u{1b}[31mdone\u{7}? [[reply It is done.]]",
            "--wait",
        ])
        .await?;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let failed = daemon.run(["send", "eng", "[[error 500]]", "--wait"]).await?;
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    let shown = eventually("the failure is told", LIMIT, async || {
        let shown = out(&daemon, &["thread", "show", "eng"]).await?;
        Ok(shown.contains("could not finish").then_some(shown))
    })
    .await?;
    for part in ["operator", "eng\nIt is done.", "[error]", "2 turns, $"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    // What is in a note cannot command the terminal.
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{7}'), "{shown:?}");
    let all = json_out(&daemon, &["thread", "show", "eng", "--json"]).await?;
    assert_eq!(all["messages"].as_array().map(Vec::len), Some(4));
    assert_eq!(all["threads"][0]["turns"], 2);
    let one = json_out(&daemon, &["thread", "show", "eng", "--json", "--limit", "1"]).await?;
    assert_eq!(one["messages"].as_array().map(Vec::len), Some(1));
    let listed = json_out(&daemon, &["thread", "list", "eng", "--json"]).await?;
    assert_eq!(listed["threads"], all["threads"]);
    let table = out(&daemon, &["thread", "list", "eng"]).await?;
    assert!(table.contains("SUBJECT") && table.contains("(main)"), "{table}");
    let ran = daemon.run(["thread", "show", "nobody"]).await?;
    assert_eq!(told(&ran), (4, ""), "{}", ran.stderr);
    Ok(())
}

#[tokio::test]
async fn a_turn_is_shown_and_stopped() -> Result<()> {
    let daemon = with_eng().await?;
    let mut events = daemon.events("eng").await?;
    let sent = json_out(&daemon, &["send", "eng", "[[hang]]", "--json"]).await?;
    let turn = sent["turn"].as_str().context("a turn")?;
    events.until(|event| event.kind() == "init").await?;
    assert_eq!(json_out(&daemon, &["turn", "show", turn]).await?["state"], "working");
    let listed = out(&daemon, &["agent", "list"]).await?;
    assert!(listed.contains("working"), "{listed}");
    let waiting = daemon.cli(["send", "eng", "[[reply next]]", "--wait"]).await?;
    let waiting = tokio::spawn(run(waiting, ""));
    events.until(|event| event.kind() == "queued").await?;
    assert_eq!(
        out(&daemon, &["turn", "stop", turn]).await?,
        format!("stopping {turn}\n")
    );
    let end = events.until_end(turn).await?;
    assert_eq!(end.last().map(|event| event.kind().to_owned()), Some("stopped".into()));
    assert_eq!(json_out(&daemon, &["turn", "show", turn]).await?["state"], "cancelled");
    assert_eq!(told(&waiting.await??), (0, "next\n"));
    for args in [
        ["turn", "stop", turn],
        ["turn", "stop", "nonsense"],
        ["turn", "show", "nonsense"],
    ] {
        let ran = daemon.run(args).await?;
        assert_eq!(told(&ran), (4, ""), "{args:?} {}", ran.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn a_stopped_turn_ends_send_with_1() -> Result<()> {
    let daemon = with_eng().await?;
    let mut events = daemon.events("eng").await?;
    let waiting = tokio::spawn(run(daemon.cli(["send", "eng", "[[hang]]", "--wait"]).await?, ""));
    let begun = events.until(|event| event.kind() == "init").await?;
    let turn = begun[0].data["turn"].as_str().context("a turn")?.to_owned();
    daemon.stop_turn(&turn).await?;
    let ran = waiting.await??;
    assert_eq!(told(&ran), (1, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("cancelled"), "{}", ran.stderr);
    Ok(())
}

#[tokio::test]
async fn send_waits_over_a_restart_of_the_daemon() -> Result<()> {
    let mut daemon = with_eng().await?;
    let gate = daemon.state_dir().join("gate");
    let text = format!(
        "[[exec while ! test -e {}; do sleep 0.02; done]] [[reply at last]]",
        gate.display()
    );
    let mut events = daemon.events("eng").await?;
    // By the announcement in the state directory it finds the port of the next run as well.
    let waiting = tokio::spawn(run(daemon.cli(["send", "eng", &text, "--wait"]).await?, ""));
    events.until(|event| event.kind() == "tool").await?;
    daemon.kill9().await?;
    std::fs::write(&gate, "")?;
    daemon.start().await?;
    let ran = waiting.await??;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.trim_end().ends_with("at last"), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn watch_shows_turns_as_they_happen() -> Result<()> {
    let daemon = with_eng().await?;
    let mut command = daemon.cli(["watch"]).await?;
    let mut watch = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(watch.stderr.take().context("stderr is a pipe")?).lines();
    let mut next = async || -> Result<String> {
        let line = tokio::time::timeout(LIMIT, lines.next_line())
            .await
            .context("no line")??;
        line.context("watch has ended")
    };
    assert!(next().await?.contains("watching all agents"));
    // One that comes later is watched too.
    daemon.create_agent("ops", "You operate.").await?;
    // The stream is open once each has shown a turn: repeat until they do.
    let mut seen = Vec::new();
    for agent in ["eng", "ops"] {
        let done = format!("{agent}: · done");
        let shown = eventually(&done, LIMIT, async || {
            let ran = daemon.run(["send", agent, "[[reply live words]]", "--wait"]).await?;
            anyhow::ensure!(ran.code == 0, "{ran:?}");
            loop {
                // A turn that was over before the stream was open is not shown.
                let Ok(line) = tokio::time::timeout(Duration::from_secs(10), next()).await else {
                    return Ok(None);
                };
                let line = line?;
                let end = line.contains(": · done");
                seen.push(line);
                if end {
                    return Ok(seen
                        .iter()
                        .any(|line| line.starts_with(&done))
                        .then_some(seen.join("\n")));
                }
            }
        })
        .await?;
        assert!(shown.contains("live words"), "{shown}");
    }
    watch.start_kill()?;
    watch.wait().await?;
    let ran = daemon.run(["watch", "nobody"]).await?;
    assert_eq!(told(&ran), (4, ""), "{}", ran.stderr);
    Ok(())
}
