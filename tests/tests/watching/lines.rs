//! The lines of the log: whose they are, how many, and how long.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Builder, Daemon, LIMIT, State};
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::{figure, turn, with};

/// Longest line.
const LINE_MAX: usize = 16 << 10;

/// All lines of the log. Whatever is none is an error.
fn lines(daemon: &Daemon) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    // The first word of each start is on stdout.
    for line in daemon
        .log()?
        .lines()
        .filter(|line| !line.starts_with("reveille listens on "))
    {
        ensure!(line.len() < LINE_MAX, "{}", line.len());
        let object: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        for key in ["timestamp", "level", "target", "message"] {
            ensure!(object[key].is_string(), "{key}: {line}");
        }
        all.push(object);
    }
    Ok(all)
}

fn loud() -> Builder {
    Daemon::builder()
        .stand_in()
        .env(
            "REVEILLE_LOG__LEVEL",
            "reveille=debug,reveille_backends=debug,reveille_sandbox=debug",
        )
        .env("REVEILLE_CLAUDE__RETRY_PAUSES", "1ms,1ms")
}

fn text<'a>(line: &'a Value, key: &str) -> &'a str {
    line[key].as_str().unwrap_or_default()
}

/// Whatever names a turn names its channel too, and the right one.
#[tokio::test]
async fn every_line_of_a_turn_says_which_and_whose() -> Result<()> {
    let mut daemon = with(loud(), &["eng", "ops"]).await?;
    // What is written down late has lines of its own.
    daemon.set_env("REVEILLE_FAULT_VAULT", "20:7");
    daemon.restart().await?;
    let all = [
        ("eng", "[[fail 529 x1]] [[reply a]]"),
        ("ops", "[[error 400]]"),
        ("eng", "[[crash]]"),
        (
            "ops",
            r#"[[exec "$REVEILLE_BIN" send eng hello --reply-to ops; (sleep 300 &)]]"#,
        ),
    ];
    for (key, (agent, said)) in all.into_iter().enumerate() {
        let body = json!({ "text": said });
        eventually("the message is taken", LIMIT, async || {
            // silent-ok: a refusal is one of the faults; the same key again is the same message
            Ok(daemon.send_keyed(agent, &key.to_string(), &body).await.ok().flatten())
        })
        .await?;
    }
    let journal = daemon.wait_quiet(LIMIT).await?;
    let mut channels = BTreeMap::new();
    for turn in &journal.turns {
        channels.insert(turn.id.to_string(), turn.channel.clone());
    }
    let count = |lines: &[Value], message: &str| lines.iter().filter(|line| line["message"] == message).count();
    // They are written after what they tell of.
    let lines = eventually("the ends are told", LIMIT, async || {
        let lines = lines(&daemon)?;
        let all = count(&lines, "turn settled") >= channels.len() && count(&lines, "turn failed") >= 2;
        Ok(all.then_some(lines))
    })
    .await
    .with_context(|| format!("{:?}", daemon.log()))?;
    let mut seen = BTreeSet::new();
    for line in &lines {
        let id = text(line, "turn");
        if !id.is_empty() {
            assert_eq!(
                channels.get(id).map(String::as_str),
                Some(text(line, "channel")),
                "{line}"
            );
            seen.insert(id);
        }
    }
    assert_eq!(seen.len(), channels.len(), "each turn has lines");
    for message in ["turn settled", "turn failed"] {
        let mut told = lines.iter().filter(|line| line["message"] == message);
        assert!(told.all(|line| !text(line, "turn").is_empty()), "{message}");
    }
    Ok(())
}

/// However little of the log is wanted: what says whose a line is does not go with it.
#[tokio::test]
async fn a_filter_takes_lines_and_not_what_they_say() -> Result<()> {
    let builder = Daemon::builder().stand_in().env("REVEILLE_LOG__LEVEL", "warn");
    let daemon = with(builder, &["eng"]).await?;
    let sent = daemon.send("eng", "[[error 400]]").await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Error);
    let line = eventually("the failure is told", LIMIT, async || {
        Ok(lines(&daemon)?
            .into_iter()
            .find(|line| line["message"] == "turn failed"))
    })
    .await?;
    assert_eq!(
        (Some(text(&line, "turn")), text(&line, "channel")),
        (sent.turn.as_deref(), "eng")
    );
    assert!(!daemon.log()?.contains("turn settled"));
    Ok(())
}

/// What is refused to an agent is told of the turn in which it tried, also when its process had waited for that.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_process_that_has_waited_belongs_to_the_turn_that_it_works_for() -> Result<()> {
    let daemon = loud().confined().warm().start().await?;
    let body = json!({ "name": "eng", "prompt": "You help.", "metadata": { "network": "restricted" } });
    daemon
        .request(Method::POST, &["api", "agents"], Some(&body))
        .await?
        .ok::<Value>()?;
    let mut turns = Vec::new();
    for host in ["first.example", "second.example", "third.example"] {
        let tries = format!("[[exec echo since $REVEILLE_TURN; curl -s -o /dev/null http://{host}/]]");
        let sent = daemon.send("eng", &tries).await?;
        let ended = daemon.wait_turn("eng", &sent).await?;
        turns.push((host, sent.turn.context("a turn")?, ended.reply.unwrap_or_default()));
    }
    let first = turns[0].1.clone();
    assert!(
        turns.iter().all(|(_, _, reply)| reply.contains(&first)),
        "one process for all: {turns:?}"
    );
    let lines = lines(&daemon)?;
    for (host, turn, _) in &turns {
        let told = lines.iter().find(|line| text(line, "host") == *host);
        let told = told.with_context(|| format!("no line of {host}"))?;
        assert_eq!(
            (text(told, "turn"), text(told, "channel")),
            (turn.as_str(), "eng"),
            "{told}"
        );
    }
    Ok(())
}

/// What an attempt has tried to reach is counted also when somebody else has its turn by then.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_a_turn_was_refused_counts_although_its_claim_is_lost() -> Result<()> {
    let daemon = loud().confined().env("REVEILLE_QUEUE__LEASE", "1s").start().await?;
    let body = json!({ "name": "eng", "prompt": "You help.", "metadata": { "network": "restricted" } });
    daemon
        .request(Method::POST, &["api", "agents"], Some(&body))
        .await?
        .ok::<Value>()?;
    daemon
        .send("eng", "[[exec curl -s -o /dev/null http://lost.example/; sleep 600]]")
        .await?;
    eventually("it was refused", LIMIT, async || {
        Ok(lines(&daemon)?
            .iter()
            .any(|line| text(line, "host") == "lost.example")
            .then_some(()))
    })
    .await?;
    let journal = rusqlite::Connection::open(daemon.state_dir().join("queue.db"))?;
    let taken = journal.execute("UPDATE turns SET epoch = epoch + 1", [])?;
    assert_eq!(taken, 1);
    eventually("the claim is lost", LIMIT, async || {
        Ok(daemon.log()?.contains("the claim was lost").then_some(()))
    })
    .await?;
    for row in [
        "reveille_egress_connections_total{decision=\"refused\"}",
        "reveille_sandbox_denials_total{kind=\"egress\"}",
    ] {
        assert_eq!(figure(&daemon, row).await?, 1.0, "{row}");
    }
    Ok(())
}

async fn ask_often(daemon: &Daemon, times: usize) -> Result<()> {
    for _ in 0..times {
        ensure!(daemon.ask_in("GET", "/health", b"").await?.status == 200);
    }
    Ok(())
}

fn answered(lines: &[Value]) -> usize {
    let is_it = |line: &&Value| line["message"] == "answered" && line["route"] == "/health";
    lines.iter().filter(is_it).count()
}

#[tokio::test]
async fn a_place_that_says_too_much_is_left_out_and_that_is_told() -> Result<()> {
    let mut daemon = with(loud().env("REVEILLE_LOG__BURST", "5"), &["eng"]).await?;
    ask_often(&daemon, 60).await?;
    let left_out = figure(&daemon, "reveille_log_lines_left_out_total").await?;
    assert!(left_out >= 50.0, "{left_out}");
    // Nobody asks any more: it is told all the same.
    let told = eventually("what was left out is told", LIMIT, async || {
        let found = lines(&daemon)?
            .into_iter()
            .find(|line| line["left_out"].is_number() && line["target"] == "reveille::http::request_id");
        Ok(found)
    })
    .await?;
    assert_eq!(
        (text(&told, "target"), text(&told, "level")),
        ("reveille::http::request_id", "DEBUG"),
        "{told}"
    );
    assert!(text(&told, "place").contains("request_id.rs:"), "{told}");
    let shown = lines(&daemon)?;
    assert!(answered(&shown) <= 10, "{}", answered(&shown));
    // Nor is it lost with a stop.
    let before: u64 = lines(&daemon)?
        .iter()
        .filter_map(|line| line["left_out"].as_u64())
        .sum();
    ask_often(&daemon, 60).await?;
    assert!(daemon.stop().await?.success());
    let after: u64 = lines(&daemon)?
        .iter()
        .filter_map(|line| line["left_out"].as_u64())
        .sum();
    assert!(after >= before + 50, "{before} {after}");
    Ok(())
}

#[tokio::test]
async fn nothing_is_left_out_of_the_audit_nor_where_that_is_switched_off() -> Result<()> {
    let daemon = with(loud().env("REVEILLE_LOG__BURST", "1"), &["eng"]).await?;
    for _ in 0..10 {
        for what in ["pause", "resume"] {
            let path = ["api", "agents", "eng", what];
            daemon
                .request(Method::POST, &path, Some(&json!({})))
                .await?
                .ok::<Value>()?;
        }
    }
    let audit: Vec<_> = lines(&daemon)?
        .into_iter()
        .filter(|line| line["target"] == "audit")
        .collect();
    let paused = audit.iter().filter(|line| line["action"] == "agent.paused").count();
    assert!(paused == 10 && audit.len() >= 20, "{audit:#?}");
    let daemon = with(loud().env("REVEILLE_LOG__BURST", "0"), &["eng"]).await?;
    ask_often(&daemon, 150).await?;
    assert!(answered(&lines(&daemon)?) >= 150);
    assert_eq!(figure(&daemon, "reveille_log_lines_left_out_total").await?, 0.0);
    Ok(())
}

/// What a program writes may be long and strange; its line has an end and is JSON.
#[tokio::test]
async fn a_line_has_an_end() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("claude");
    std::fs::write(
        &program,
        "#!/bin/sh\nhead -c 30000 /dev/zero | tr '\\0' '\\001' >&2\nexit 3\n",
    )?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    let builder = Daemon::builder()
        .env("REVEILLE_CLAUDE__PROGRAM", program.as_os_str())
        .env("REVEILLE_SANDBOX__MODE", "none")
        .env("REVEILLE_CLAUDE__ENV__ANTHROPIC_API_KEY", "sk-test");
    let daemon = with(builder, &["eng"]).await?;
    assert_eq!(turn(&daemon, "eng", "hello").await?.state, State::Error);
    let line = eventually("the failure is told", LIMIT, async || {
        Ok(lines(&daemon)?
            .into_iter()
            .find(|line| line["message"] == "turn failed"))
    })
    .await?;
    let detail = text(&line, "detail");
    assert!(detail.ends_with('…') && detail.len() < 4096, "{line}");
    assert_eq!(line["cut"], true);
    Ok(())
}

/// Text for people has no colours where nobody sees them.
#[tokio::test]
async fn text_is_for_people() -> Result<()> {
    let daemon = with(loud().env("REVEILLE_LOG__FORMAT", "text"), &["eng"]).await?;
    let sent = daemon.send("eng", "[[error 400]]").await?;
    daemon.wait_turn("eng", &sent).await?;
    let log = eventually("the failure is told", LIMIT, async || {
        let log = daemon.log()?;
        Ok(log.contains("turn failed").then_some(log))
    })
    .await?;
    let line = log
        .lines()
        .find(|line| line.contains("turn failed"))
        .context("its line")?;
    let of = format!("turn={} channel=eng", sent.turn.context("a turn")?);
    assert!(
        line.contains(&format!("WARN reveille::turn: turn failed {of} code=invalid_request")),
        "{line}"
    );
    assert!(!log.contains('\u{1b}'));
    Ok(())
}
