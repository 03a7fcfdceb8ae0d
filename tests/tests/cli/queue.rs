//! `queue`, and what `turn` and `agent` do with messages and agents.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::{LIMIT, Sent, run};
use reveille_tests::eventually;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{json_out, out, told, with_eng};

/// Keeps `eng` at work; the file ends that.
async fn busy(daemon: &Daemon) -> Result<(String, PathBuf)> {
    let file = daemon.scratch().join("gate");
    let text = format!(
        "[[exec while ! test -e {}; do sleep 0.02; done]] [[reply gate]]",
        file.display()
    );
    let mut events = daemon.events("eng").await?;
    let turn = send(daemon, &["eng", &text]).await?;
    events.until(|event| event.kind() == "tool").await?;
    Ok((turn, file))
}

/// Sends by the command; answers the turn.
async fn send(daemon: &Daemon, args: &[&str]) -> Result<String> {
    let sent = json_out(daemon, &[&["send"], args, &["--json"]].concat()).await?;
    Ok(sent["turn"].as_str().context("a turn")?.to_owned())
}

fn short(turn: &str) -> &str {
    &turn[turn.len() - 8..]
}

async fn reply(daemon: &Daemon, turn: &str) -> Result<Option<String>> {
    let sent = Sent {
        id: String::new(),
        turn: Some(turn.to_owned()),
    };
    Ok(daemon.wait_turn("eng", &sent).await?.reply)
}

/// A turn is ended a moment before its worker is done with it.
async fn idle(daemon: &Daemon) -> Result<()> {
    eventually("eng is idle", LIMIT, async || {
        Ok((daemon.agents().await?[0]["status"] == "idle").then_some(()))
    })
    .await
}

/// The first words of the lines below the head of a table.
fn firsts(table: &str) -> Vec<&str> {
    let lines = table.lines().skip(1);
    lines.filter_map(|line| line.split_whitespace().next()).collect()
}

#[tokio::test]
async fn a_line_is_listed_and_put_in_order() -> Result<()> {
    let daemon = with_eng().await?;
    assert_eq!(out(&daemon, &["queue", "list"]).await?, "nothing is in line\n");
    let (gate, file) = busy(&daemon).await?;
    let a = send(&daemon, &["eng", "[[reply a]]", "--sender", "ann"]).await?;
    let b = send(&daemon, &["eng", "[[reply b]]", "--mode", "collect"]).await?;
    let c = send(&daemon, &["eng", "[[reply c]]"]).await?;
    let d = send(&daemon, &["eng", "[[reply d]]"]).await?;

    let table = out(&daemon, &["queue", "list", "eng"]).await?;
    assert_eq!(firsts(&table), [&gate, &a, &b, &c, &d].map(|turn| short(turn)));
    for part in ["TURN", "working", "waiting (collect)", "ann", "[[reply d]]"] {
        assert!(table.contains(part), "{part} in {table}");
    }
    assert_eq!(out(&daemon, &["queue", "list"]).await?, table);
    let cut = out(&daemon, &["queue", "list", "eng", "--limit", "2"]).await?;
    assert!(cut.contains("3 more wait for eng"), "{cut}");
    let one = json_out(&daemon, &["queue", "list", "eng", "--json"]).await?;
    assert_eq!((&one["waiting"], &one["turns"][1]["turn"]), (&json!(4), &json!(a)));
    assert_eq!(
        json_out(&daemon, &["queue", "list", "--json"]).await?,
        json!({ "queues": [one] })
    );

    let (a, b, c, d) = (short(&a), short(&b), short(&c), short(&d));
    let moved = out(&daemon, &["queue", "move", d, "--first"]).await?;
    assert_eq!(moved, format!("moved {d}; 1 before it\n"));
    out(&daemon, &["queue", "move", a, "--last"]).await?;
    out(&daemon, &["queue", "move", c, "--before", b]).await?;
    assert_eq!(out(&daemon, &["queue", "hold", d]).await?, format!("held {d}\n"));
    assert!(out(&daemon, &["queue", "list"]).await?.contains("held"));
    assert_eq!(out(&daemon, &["queue", "cancel", a]).await?, format!("cancelled {a}\n"));
    let edited = out(&daemon, &["queue", "edit", c, "[[reply C]]"]).await?;
    assert_eq!(edited, format!("edited {c}\n"));
    let piped = run(daemon.cli(["queue", "edit", b]).await?, "[[reply B]]").await?;
    assert_eq!(told(&piped), (0, format!("edited {b}\n").as_str()), "{}", piped.stderr);

    for args in [
        &["queue", "cancel", short(&gate)][..],
        &["queue", "hold", "nonsense"],
        &["queue", "edit", b, " "],
        &["queue", "list", "nobody"],
        &["turn", "resend", b],
    ] {
        let ran = daemon.run(args).await?;
        assert_eq!(told(&ran), (4, ""), "{args:?} {}", ran.stderr);
    }
    for args in [
        &["queue", "move", b][..],
        &["queue", "move", b, "--first", "--last"],
        &["send", "eng", "x", "--mode", "odd"],
    ] {
        assert_eq!(daemon.run(args).await?.code, 2, "{args:?}");
    }
    std::fs::write(&file, "")?;
    assert_eq!(reply(&daemon, b).await?.as_deref(), Some("B"));
    assert_eq!(out(&daemon, &["queue", "release", d]).await?, format!("released {d}\n"));
    assert_eq!(reply(&daemon, d).await?.as_deref(), Some("d"));
    // A turn is ended a moment before its answer is in the vault.
    let expected = ["gate", "C", "B", "d"];
    let answers = eventually("all answers are there", LIMIT, async || {
        let said = daemon.messages("eng").await?;
        let answers: Vec<String> = said
            .into_iter()
            .filter(|message| message.direction == "outbound")
            .map(|message| message.text.lines().last().unwrap_or_default().to_owned())
            .collect();
        Ok((answers.len() >= expected.len()).then_some(answers))
    });
    assert_eq!(answers.await?, expected);
    Ok(())
}

#[tokio::test]
async fn a_cancelled_message_ends_its_send_and_says_who_was_not_told() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("boss", "You decide.").await?;
    let (_gate, file) = busy(&daemon).await?;
    let mut events = daemon.events("eng").await?;
    let args = ["send", "eng", "[[reply x]]", "--reply-to", "boss", "--wait"];
    let waiting = tokio::spawn(run(daemon.cli(args).await?, ""));
    let queued = events.until(|event| event.kind() == "queued").await?;
    let turn = queued
        .last()
        .and_then(|event| event.data["turn"].as_str())
        .context("a turn")?;
    out(&daemon, &["agent", "rm", "boss"]).await?;
    let ran = daemon.run(["queue", "cancel", turn]).await?;
    assert_eq!(told(&ran), (0, format!("cancelled {turn}\n").as_str()));
    assert!(ran.stderr.contains("boss was not told"), "{}", ran.stderr);
    let ran = waiting.await??;
    assert_eq!(told(&ran), (1, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("cancelled"), "{}", ran.stderr);
    std::fs::write(&file, "")?;
    Ok(())
}

#[tokio::test]
async fn turns_are_listed_and_sent_again() -> Result<()> {
    let daemon = with_eng().await?;
    let failed = send(&daemon, &["eng", "[[error too-long]]"]).await?;
    assert_eq!(reply(&daemon, &failed).await?, None);
    let done = send(&daemon, &["eng", "[[reply done]]"]).await?;
    reply(&daemon, &done).await?;
    let table = out(&daemon, &["turn", "list", "eng"]).await?;
    assert_eq!(firsts(&table), [short(&done), short(&failed)]);
    assert!(table.contains("prompt_too_long"), "{table}");
    let errors = json_out(&daemon, &["turn", "list", "eng", "--state", "error", "--json"]).await?;
    let turns: Vec<&Value> = errors["turns"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|turn| &turn["turn"])
        .collect();
    assert_eq!(turns, [&json!(failed)]);
    assert_eq!(
        json_out(&daemon, &["turn", "show", short(&failed)]).await?["turn"],
        json!(failed)
    );

    let again = ["turn", "resend", short(&failed), "--text", "[[reply mended]]", "--json"];
    let again = json_out(&daemon, &again).await?;
    let again = again["turn"].as_str().context("a turn")?;
    assert_eq!(reply(&daemon, again).await?.as_deref(), Some("mended"));
    let plain = out(&daemon, &["turn", "resend", &done]).await?;
    assert!(plain.starts_with("sent: "), "{plain}");
    let ambiguous = daemon.run(["turn", "show", &done[..6]]).await?;
    assert_eq!(told(&ambiguous), (4, ""), "{}", ambiguous.stderr);
    assert_eq!(daemon.run(["turn", "list", "eng", "--state", "odd"]).await?.code, 2);
    assert_eq!(daemon.run(["turn", "list", "nobody"]).await?.code, 4);
    Ok(())
}

#[tokio::test]
async fn agents_are_paused_resumed_reset_and_edited() -> Result<()> {
    let daemon = with_eng().await?;
    let first = send(&daemon, &["eng", "hello"]).await?;
    assert!(reply(&daemon, &first).await?.context("a reply")?.contains("message 1 "));
    idle(&daemon).await?;
    let paused = out(&daemon, &["agent", "pause", "eng", "--reason", "Until Friday."]).await?;
    assert!(paused.contains("reveille agent resume eng"), "{paused}");
    let listed = out(&daemon, &["agent", "list"]).await?;
    assert!(listed.contains("paused by a person: Until Friday."), "{listed}");
    let waiting = send(&daemon, &["eng", "[[reply on friday]]"]).await?;
    let queue = out(&daemon, &["queue", "list"]).await?;
    assert!(queue.contains("eng is paused (person) Until Friday."), "{queue}");
    assert_eq!(out(&daemon, &["agent", "resume", "eng"]).await?, "eng works again\n");
    assert_eq!(reply(&daemon, &waiting).await?.as_deref(), Some("on friday"));

    let one = out(&daemon, &["agent", "reset", "eng", "--main"]).await?;
    assert_eq!(one, "eng: 1 conversation begins anew\n");
    let anew = send(&daemon, &["eng", "hello"]).await?;
    assert!(reply(&daemon, &anew).await?.context("a reply")?.contains("message 1 "));
    let none = out(&daemon, &["agent", "reset", "eng", "--subject", "launch"]).await?;
    assert_eq!(none, "eng: 0 conversations begin anew\n");
    assert!(
        out(&daemon, &["agent", "reset", "eng"])
            .await?
            .contains("1 conversation ")
    );

    let edit = [
        "agent",
        "edit",
        "eng",
        "--prompt",
        "You test.",
        "--meta",
        "model=opus",
        "--set",
        "max_turns=3",
    ];
    assert!(out(&daemon, &edit).await?.contains("eng is changed"));
    let piped = daemon
        .cli(["agent", "edit", "eng", "--prompt", "-", "--unset", "max_turns"])
        .await?;
    assert_eq!(run(piped, "You test well.").await?.code, 0);
    let shown = json_out(&daemon, &["agent", "show", "eng", "--json"]).await?;
    assert_eq!(shown["prompt"], "You test well.");
    assert_eq!(shown["settings"]["model"]["value"], "opus");
    assert_eq!(shown["settings"]["max_turns"]["from"], "default");
    assert_eq!(daemon.run(["agent", "edit", "eng"]).await?.code, 2);
    for args in [
        &["agent", "edit", "eng", "--meta", "mode=odd"][..],
        &["agent", "edit", "nobody", "--prompt", "x"],
        &["agent", "pause", "nobody"],
        &["agent", "resume", "nobody"],
        &["agent", "reset", "nobody"],
    ] {
        let ran = daemon.run(args).await?;
        assert_eq!(told(&ran), (4, ""), "{args:?} {}", ran.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn watch_shows_how_a_message_waits() -> Result<()> {
    let daemon = with_eng().await?;
    let (_gate, file) = busy(&daemon).await?;
    let waiting = send(&daemon, &["eng", "[[reply one]]"]).await?;
    let mut command = daemon.cli(["watch", "eng"]).await?;
    let mut watch = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(watch.stderr.take().context("stderr is a pipe")?).lines();
    let mut until = async |part: &str| -> Result<()> {
        loop {
            let line = tokio::time::timeout(LIMIT, lines.next_line())
                .await
                .with_context(|| part.to_owned())??;
            if line.context("watch has ended")?.contains(part) {
                return Ok(());
            }
        }
    };
    // The stream is open: it has shown the turn that runs.
    until("→ Bash").await?;
    out(&daemon, &["queue", "hold", &waiting]).await?;
    until("eng: · waits, held back: [[reply one]]").await?;
    out(&daemon, &["queue", "release", &waiting]).await?;
    until("eng: · waits, 1 before it: [[reply one]]").await?;
    out(&daemon, &["queue", "edit", &waiting, "[[reply two]]"]).await?;
    until("eng: · waits, 1 before it: [[reply two]]").await?;
    out(&daemon, &["queue", "cancel", &waiting]).await?;
    until("eng: · stopped").await?;
    std::fs::write(&file, "")?;
    idle(&daemon).await?;
    watch.start_kill()?;
    watch.wait().await?;
    Ok(())
}

#[tokio::test]
async fn send_says_when_the_agent_is_paused() -> Result<()> {
    let daemon = with_eng().await?;
    let ran = daemon.run(["send", "eng", "[[reply now]]", "--wait"]).await?;
    assert!(!ran.stderr.contains("paused"), "{}", ran.stderr);
    out(&daemon, &["agent", "pause", "eng", "--reason", "Until Friday."]).await?;
    let ran = daemon.run(["send", "eng", "[[reply later]]"]).await?;
    assert_eq!(ran.code, 0);
    let said = "eng is paused, so the message waits: paused by a person: Until Friday.";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    Ok(())
}
