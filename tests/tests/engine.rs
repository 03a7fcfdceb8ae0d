//! What a turn can meet, and what messages do to each other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

use anyhow::{Context as _, Result, ensure};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Builder, Daemon, Journal, LIMIT, Sent, State, Turn};
use reveille_tests::eventually;
use serde_json::{Value, json};

fn quick() -> Builder {
    Daemon::builder()
        .stand_in()
        .env("REVEILLE_CLAUDE__RETRY_PAUSES", "10ms,20ms")
}

async fn with_eng(builder: Builder) -> Result<Daemon> {
    let daemon = builder.start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    Ok(daemon)
}

async fn told(daemon: &Daemon, agent: &str, text: &str) -> Result<Turn> {
    let sent = daemon.send(agent, text).await?;
    daemon.wait_turn(agent, &sent).await
}

/// A text whose turn lasts until a file is there.
fn until(daemon: &Daemon, gate: &str) -> (String, std::path::PathBuf) {
    let gate = daemon.scratch().join(gate);
    let text = format!("[[exec while [ ! -e {} ]; do sleep 0.02; done]]", gate.display());
    (text, gate)
}

/// A message whose turn runs now and goes on until the gate is opened.
async fn held(daemon: &Daemon, agent: &str, gate: &str, more: &str) -> Result<(Sent, std::path::PathBuf)> {
    let (text, gate) = until(daemon, gate);
    let sent = daemon.send(agent, &format!("{text} {more}")).await?;
    let turn = sent.turn.clone().context("a turn")?;
    eventually("the turn runs", LIMIT, async || {
        Ok((daemon.turn(&turn).await?.state == State::Working).then_some(()))
    })
    .await?;
    Ok((sent, gate))
}

/// The replies of an agent in the order in which their turns ended.
fn replies(journal: &Journal, channel: &str) -> Vec<String> {
    let mut turns: Vec<_> = journal
        .turns
        .iter()
        .filter(|turn| turn.channel == channel && turn.settled_at.is_some())
        .collect();
    turns.sort_by_key(|turn| turn.settled_at);
    let reply = |turn: &&reveille_tests::daemon::JournalTurn| turn.record["reply"].as_str().map(str::to_owned);
    turns.iter().filter_map(reply).collect()
}

async fn whole(daemon: &Daemon) -> Result<Journal> {
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(journal)
}

#[tokio::test]
async fn tc_retry_1_a_passing_failure_ends_an_attempt_and_not_the_turn() -> Result<()> {
    let daemon = with_eng(quick()).await?;
    let turn = told(&daemon, "eng", "[[fail 529 x2]] [[reply well]]").await?;
    assert_eq!((turn.state, turn.reply.as_deref()), (State::Ok, Some("well")));
    let journal = whole(&daemon).await?;
    let record = &journal.turns[0].record;
    let notices = record["notices"].as_array().context("notices")?;
    assert_eq!(notices.len(), 2, "{record}");
    assert!(notices[1].as_str().unwrap().contains("Attempt 3 of 3"), "{record}");
    // Three attempts in one session, each of them paid for.
    let next = told(&daemon, "eng", "[[reply next]]").await?;
    assert_eq!(next.more["session"], turn.more["session"]);
    assert!(
        turn.cost_usd > 2.0 * next.cost_usd,
        "{} {}",
        turn.cost_usd,
        next.cost_usd
    );
    assert_eq!(journal.notes.iter().filter(|note| note.is_outbound()).count(), 1);
    Ok(())
}

#[tokio::test]
async fn tc_retry_2_a_permanent_failure_is_told_at_once() -> Result<()> {
    let daemon = with_eng(quick()).await?;
    let turn = told(&daemon, "eng", "[[fail 400 x1]] [[reply never]]").await?;
    assert_eq!(turn.state, State::Error);
    let journal = whole(&daemon).await?;
    assert_eq!(journal.turns[0].record["notices"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn tc_retry_3_a_failure_that_does_not_pass_ends_after_three_attempts() -> Result<()> {
    let daemon = with_eng(quick()).await?;
    let turn = told(&daemon, "eng", "[[fail 500 x9]] [[reply never]]").await?;
    assert_eq!(turn.state, State::Error);
    let journal = whole(&daemon).await?;
    let record = &journal.turns[0].record;
    assert_eq!(record["failure"]["code"], "api_unavailable");
    assert_eq!(record["notices"].as_array().map(Vec::len), Some(2), "{record}");
    assert!(record["session"].is_string(), "the session is kept: {record}");
    let failures: Vec<_> = journal.notes.iter().filter(|note| note.is_outbound()).collect();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].text("kind"), "failure");
    Ok(())
}

#[tokio::test]
async fn a_stop_ends_a_turn_that_waits_for_its_next_attempt() -> Result<()> {
    let daemon = with_eng(Daemon::builder().stand_in().env("REVEILLE_CLAUDE__RETRY_PAUSES", "10m")).await?;
    let mut events = daemon.events("eng").await?;
    let sent = daemon.send("eng", "[[fail 529 x1]] [[reply never]]").await?;
    events.until(|event| event.kind() == "notice").await?;
    daemon.stop_turn(sent.turn.as_deref().context("a turn")?).await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Cancelled);
    // What the attempt took is not forgotten.
    let journal = whole(&daemon).await?;
    assert!(journal.turns[0].spend[4] > 0, "{:?}", journal.turns[0].spend);
    Ok(())
}

#[tokio::test]
async fn a_restart_between_two_attempts_goes_on_with_the_session() -> Result<()> {
    let mut daemon = with_eng(Daemon::builder().stand_in().env("REVEILLE_CLAUDE__RETRY_PAUSES", "10m")).await?;
    let mut events = daemon.events("eng").await?;
    let sent = daemon.send("eng", "[[fail 529 x1]] [[reply well]]").await?;
    events.until(|event| event.kind() == "notice").await?;
    daemon.kill9().await?;
    daemon.start().await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!((turn.state, turn.reply.as_deref()), (State::Ok, Some("well")));
    whole(&daemon).await?;
    Ok(())
}

#[tokio::test]
async fn a_refused_credential_makes_the_agent_wait_until_a_start() -> Result<()> {
    let mut daemon = with_eng(quick()).await?;
    assert_eq!(told(&daemon, "eng", "[[error 401]]").await?.state, State::Error);
    let waits = daemon.send("eng", "[[reply at last]]").await?;
    let turn = waits.turn.clone().context("a turn")?;
    // Another agent is not touched, and its turn shows that the first one's could have run by now.
    daemon.create_agent("ops", "You operate.").await?;
    assert_eq!(told(&daemon, "ops", "[[reply here]]").await?.state, State::Ok);
    assert_eq!(daemon.turn(&turn).await?.state, State::Waiting);
    daemon.restart().await?;
    assert_eq!(daemon.wait_turn("eng", &waits).await?.reply.as_deref(), Some("at last"));
    whole(&daemon).await?;
    Ok(())
}

/// A login of Claude Code that ends so many seconds from now.
fn log_in(daemon: &Daemon, seconds: i64) -> Result<()> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let ends = (i64::try_from(now.as_secs())? + seconds) * 1000;
    let login = json!({"claudeAiOauth": {"accessToken": "not-a-real-token", "expiresAt": ends}});
    let dir = daemon.scratch().join(".claude");
    std::fs::create_dir_all(&dir)?;
    Ok(std::fs::write(dir.join(".credentials.json"), login.to_string())?)
}

#[tokio::test]
async fn an_agent_without_a_login_goes_on_once_there_is_another_one() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("claude");
    let daemon = with_eng(Daemon::builder().env("REVEILLE_CLAUDE__PROGRAM", &program)).await?;
    // The stand-in under another name, so that it needs a login.
    let binary = std::fs::read_link(format!("/proc/{}/exe", daemon.pid()))?;
    std::fs::write(
        &program,
        format!("#!/bin/sh\nexec {} stand-in \"$@\"\n", binary.display()),
    )?;
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    log_in(&daemon, -60)?;
    let refused = told(&daemon, "eng", "[[reply never]]").await?;
    assert_eq!(refused.error.context("an error")?["code"], "authentication");
    let looks = "[[exec test -f $CLAUDE_CONFIG_DIR/.credentials.json && echo signed in]]";
    let waits = daemon.send("eng", looks).await?;
    log_in(&daemon, 3600)?;
    let turn = daemon.wait_turn("eng", &waits).await?;
    let reply = turn.reply.as_deref().map(str::trim);
    ensure!(reply.is_some_and(|reply| reply.ends_with("signed in")), "{turn:?}");
    // It was lent for the turn alone.
    let mut conversations = 0;
    for conversation in std::fs::read_dir(daemon.state_dir().join("conversations"))? {
        let dir = conversation?.path().join("home/.claude");
        conversations += usize::from(dir.is_dir());
        ensure!(!dir.join(".credentials.json").exists(), "{}", dir.display());
    }
    ensure!(conversations > 0, "no conversation");
    whole(&daemon).await?;
    Ok(())
}

#[tokio::test]
async fn a_day_that_is_used_up_makes_the_agent_wait() -> Result<()> {
    let daemon = quick().start().await?;
    let agent = json!({"name": "eng", "prompt": "p", "metadata": {"budget_day_usd": "0.30"}});
    daemon
        .request(Method::POST, &["api", "agents"], Some(&agent))
        .await?
        .ok::<Value>()?;
    assert_eq!(
        told(&daemon, "eng", "[[cost 0.2]] [[reply one]]").await?.state,
        State::Ok
    );
    // A tenth is left: the CLI itself ends the second one, and says which limit it was.
    let second = told(&daemon, "eng", "[[cost 0.2]] [[reply two]]").await?;
    assert_eq!(
        second.error.as_ref().and_then(|error| error["code"].as_str()),
        Some("day_budget")
    );
    let third = daemon.send("eng", "[[reply three]]").await?;
    daemon.create_agent("ops", "You operate.").await?;
    assert_eq!(told(&daemon, "ops", "[[reply here]]").await?.state, State::Ok);
    let turn = daemon.turn(third.turn.as_deref().context("a turn")?).await?;
    assert_eq!(turn.state, State::Waiting);
    let journal = daemon.journal()?;
    assert!(journal.turns.iter().map(|turn| turn.spend[4]).sum::<u64>() < 450_000_000);
    Ok(())
}

#[tokio::test]
async fn a_message_that_was_handed_on_too_often_is_refused() -> Result<()> {
    let daemon = with_eng(quick()).await?;
    daemon.create_agent("boss", "You decide.").await?;
    let metadata = json!({"agent": "eng", "delegation_depth": "9"});
    let tags = ["agent/message", "agent/message/inbound"];
    daemon
        .note_put("Inbox/deep", "[[reply never]]", &tags, &metadata)
        .await?;
    let journal = whole(&daemon).await?;
    assert_eq!(journal.turns[0].record["failure"]["code"], "delegation_too_deep");
    assert_eq!(journal.turns[0].spend, [0; 5]);
    Ok(())
}

#[tokio::test]
async fn a_chain_of_messages_ends_at_its_budget_and_its_requester_is_told() -> Result<()> {
    let daemon = with_eng(quick().env("REVEILLE_LIMITS__CHAIN_MESSAGES", "2")).await?;
    daemon.create_agent("boss", "You decide.").await?;
    let tags = ["agent/message", "agent/message/inbound"];
    for n in 1..=3 {
        let metadata = json!({"agent": "eng", "chain_id": "work", "reply_to": "boss", "subject": format!("s{n}")});
        daemon
            .note_put(&format!("Inbox/{n}"), "[[reply done]]", &tags, &metadata)
            .await?;
    }
    let journal = whole(&daemon).await?;
    let callbacks: Vec<_> = journal
        .notes
        .iter()
        .filter(|note| note.is_callback())
        .map(|note| note.text("status").to_owned())
        .collect();
    assert_eq!(callbacks.len(), 3, "each request has one outcome: {callbacks:?}");
    assert!(callbacks.iter().any(|status| status == "refused"), "{callbacks:?}");
    let refused = journal
        .turns
        .iter()
        .filter(|turn| turn.record["failure"]["code"] == "chain_budget");
    assert!(refused.count() >= 1);
    Ok(())
}

/// Three agents that hand each message on to the next one, for ever if nobody stops them. Answers the text that starts it.
async fn circle(daemon: &Daemon) -> Result<String> {
    for agent in ["ann", "ben", "cleo"] {
        daemon.create_agent(agent, "You hand everything on.").await?;
    }
    let script = daemon.scratch().join("hop");
    let hop = r#"case $1 in ann) next=ben;; ben) next=cleo;; *) next=ann;; esac
exec "$REVEILLE_BIN" send $next "[[exec sh $0 $next]]" --reply-to $1"#;
    std::fs::write(&script, hop)?;
    Ok(format!("[[exec sh {} ann]]", script.display()))
}

fn code(turn: &reveille_tests::daemon::JournalTurn) -> Option<&str> {
    turn.record["failure"]["code"].as_str()
}

#[tokio::test]
async fn agents_that_go_in_a_circle_are_ended_by_the_chain() -> Result<()> {
    let daemon = quick().env("REVEILLE_LIMITS__CHAIN_TURNS", "6").start().await?;
    let start = circle(&daemon).await?;
    daemon.send("ann", &start).await?;
    let journal = whole(&daemon).await?;
    let (refused, ran): (Vec<_>, Vec<_>) = journal.turns.iter().partition(|turn| code(turn).is_some());
    assert!(
        refused.iter().all(|turn| code(turn) == Some("chain_budget")),
        "{refused:#?}"
    );
    // Turns that began together may have been let in together, as many as run at once.
    assert!(
        (6..=9).contains(&ran.len()) && !refused.is_empty(),
        "{} {}",
        ran.len(),
        refused.len()
    );
    // It is announced where people look, and to who asked.
    let notes = |code: &str| journal.notes.iter().filter(|note| note.text("code") == code).count();
    assert_eq!(notes("chain_budget"), refused.len());
    let told = journal
        .notes
        .iter()
        .filter(|note| note.is_callback() && note.text("status") == "refused");
    assert!(told.count() >= 1);
    Ok(())
}

#[tokio::test]
async fn agents_that_go_in_a_circle_cost_no_more_than_the_chain_may() -> Result<()> {
    let budget = 20_000_000;
    let daemon = quick().env("REVEILLE_LIMITS__CHAIN_USD", "0.02").start().await?;
    let start = circle(&daemon).await?;
    daemon.send("ann", &start).await?;
    let journal = whole(&daemon).await?;
    assert!(
        journal.turns.iter().any(|turn| code(turn) == Some("chain_budget")),
        "{journal:#?}"
    );
    let spent: u64 = journal.turns.iter().map(|turn| turn.spend[4]).sum();
    assert!(spent > 0 && spent <= budget, "{spent} of {budget}");
    Ok(())
}

#[tokio::test]
async fn collecting_messages_share_a_turn() -> Result<()> {
    let daemon = with_eng(quick()).await?;
    daemon.create_agent("boss", "You decide.").await?;
    let (_, gate) = held(&daemon, "eng", "gate", "[[reply first]]").await?;
    let collect = |text: &str| json!({"text": text, "mode": "collect", "reply_to": "boss", "sender": "ann"});
    let mut sent = Vec::new();
    for text in ["[[reply one]]", "[[reply two]]", "[[reply three]]"] {
        sent.push(daemon.send_with("eng", &collect(text)).await?);
    }
    let alone = daemon.send("eng", "[[reply alone]]").await?;
    std::fs::write(gate, "")?;
    let turns = [
        daemon.wait_turn("eng", &sent[0]).await?,
        daemon.wait_turn("eng", &sent[1]).await?,
        daemon.wait_turn("eng", &sent[2]).await?,
    ];
    for turn in &turns {
        assert_eq!(turn.state, State::Ok);
        assert_eq!(turn.reply.as_deref(), Some("one\n\ntwo\n\nthree"));
    }
    assert_eq!(daemon.wait_turn("eng", &alone).await?.reply.as_deref(), Some("alone"));
    let journal = daemon.wait_quiet(LIMIT).await?;
    let outbound = journal
        .notes
        .iter()
        .filter(|note| note.is_outbound() && note.text("agent") == "eng");
    assert_eq!(
        outbound.count(),
        3,
        "one reply for the first, one for the three, one for the last"
    );
    assert_eq!(journal.notes.iter().filter(|note| note.is_callback()).count(), 3);
    assert_eq!(
        turns.iter().filter(|turn| turn.cost_usd > 0.0).count(),
        1,
        "the money is counted once"
    );
    Ok(())
}

#[tokio::test]
async fn an_interrupting_message_stops_the_running_turn_and_goes_first() -> Result<()> {
    let daemon = with_eng(quick()).await?;
    let (running, _) = held(&daemon, "eng", "never", "[[reply never]]").await?;
    let waits = daemon.send("eng", "[[reply later]]").await?;
    let urgent = json!({"text": "[[reply now]]", "mode": "interrupt"});
    let urgent = daemon.send_with("eng", &urgent).await?;
    assert_eq!(daemon.wait_turn("eng", &running).await?.state, State::Cancelled);
    assert_eq!(daemon.wait_turn("eng", &urgent).await?.reply.as_deref(), Some("now"));
    assert_eq!(daemon.wait_turn("eng", &waits).await?.reply.as_deref(), Some("later"));
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(replies(&journal, "eng"), ["now", "later"]);
    let stopped = journal
        .turns
        .iter()
        .find(|turn| turn.state == "cancelled")
        .context("the stopped one")?;
    assert!(
        stopped.record["notices"].to_string().contains("newer message"),
        "{}",
        stopped.record
    );
    Ok(())
}

#[tokio::test]
async fn a_word_that_is_no_mode_is_refused_at_the_door() -> Result<()> {
    let daemon = with_eng(quick()).await?;
    let body = json!({"text": "x", "mode": "colect"});
    let reply = daemon
        .request(Method::POST, &["api", "channels", "eng", "send"], Some(&body))
        .await?;
    assert_eq!(reply.status, 400);
    assert_eq!(
        daemon.journal()?.notes.iter().filter(|note| note.is_inbound()).count(),
        0
    );
    Ok(())
}

#[tokio::test]
async fn channels_take_turns_at_the_places_there_are() -> Result<()> {
    let daemon = with_eng(quick().env("REVEILLE_LIMITS__LIVE_TURNS", "1")).await?;
    for (name, mode) in [("many", "multi-threaded"), ("one", "single-threaded")] {
        let agent = json!({"name": name, "prompt": "p", "metadata": {"mode": mode}});
        daemon
            .request(Method::POST, &["api", "agents"], Some(&agent))
            .await?
            .ok::<Value>()?;
    }
    let (_, gate) = held(&daemon, "eng", "gate", "").await?;
    let mut sent = Vec::new();
    for n in 0..5 {
        sent.push(("many", daemon.send("many", &format!("[[reply {n}]]")).await?));
    }
    sent.push(("one", daemon.send("one", "[[reply x]]").await?));
    std::fs::write(gate, "")?;
    for (agent, sent) in &sent {
        daemon.wait_turn(agent, sent).await?;
    }
    let journal = whole(&daemon).await?;
    let mut turns: Vec<_> = journal.turns.iter().filter(|turn| turn.channel != "eng").collect();
    turns.sort_by_key(|turn| turn.settled_at);
    let place = turns.iter().position(|turn| turn.channel == "one");
    assert_eq!(place, Some(1), "the second place goes to the other channel");
    Ok(())
}

#[tokio::test]
async fn whoever_writes_by_both_doors_is_answered_in_that_order() -> Result<()> {
    let daemon = with_eng(quick()).await?;
    let tags = ["agent/message", "agent/message/inbound"];
    for n in 0..20 {
        let text = format!("[[reply {n}]]");
        if n % 2 == 0 {
            let metadata = json!({"agent": "eng"});
            daemon.note_put(&format!("Inbox/{n}"), &text, &tags, &metadata).await?;
        } else {
            daemon.send("eng", &text).await?;
        }
    }
    let journal = whole(&daemon).await?;
    let expected: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(replies(&journal, "eng"), expected);
    Ok(())
}

#[tokio::test]
async fn a_message_that_is_edited_while_it_waits_says_what_it_says_now() -> Result<()> {
    let daemon = with_eng(quick()).await?;
    let (_, gate) = held(&daemon, "eng", "gate", "").await?;
    let waits = daemon.send("eng", "[[reply before]]").await?;
    let patch = json!({"content": "[[reply after]]", "force": true});
    daemon
        .request(
            Method::PATCH,
            &["vault", "default", "api", "notes", &waits.id],
            Some(&patch),
        )
        .await?
        .ok::<Value>()?;
    // The next message is accepted after the edit was seen.
    daemon.send("eng", "[[reply last]]").await?;
    std::fs::write(gate, "")?;
    assert_eq!(daemon.wait_turn("eng", &waits).await?.reply.as_deref(), Some("after"));
    whole(&daemon).await?;
    Ok(())
}

/// The definition note of an agent.
async fn rename(daemon: &Daemon, from: &str, to: &str) -> Result<()> {
    let patch = json!({"metadata": {"name": to}, "force": true});
    let note = format!("Agents/{from}");
    daemon
        .request(
            Method::PATCH,
            &["vault", "default", "api", "notes", &note],
            Some(&patch),
        )
        .await?
        .ok::<Value>()?;
    Ok(())
}

#[tokio::test]
async fn tc_reg_5_a_renamed_agent_keeps_its_line_and_its_conversation() -> Result<()> {
    let daemon = with_eng(quick()).await?;
    let (running, gate) = held(&daemon, "eng", "gate", "[[reply first]]").await?;
    let waits = daemon.send("eng", "[[reply second]]").await?;
    rename(&daemon, "eng", "dev").await?;
    let third = eventually("the agent is known by its new name", LIMIT, async || {
        let body = json!({"text": "[[reply third]]"});
        let reply = daemon
            .request(Method::POST, &["api", "channels", "dev", "send"], Some(&body))
            .await?;
        if reply.status == 404 {
            return Ok(None);
        }
        reply.ok::<Sent>().map(Some)
    })
    .await?;
    std::fs::write(gate, "")?;
    let turns = [
        daemon.wait_turn("dev", &running).await?,
        daemon.wait_turn("dev", &waits).await?,
        daemon.wait_turn("dev", &third).await?,
    ];
    let sessions: Vec<_> = turns.iter().map(|turn| turn.more["session"].clone()).collect();
    assert!(
        sessions[0].is_string() && sessions.iter().all(|session| *session == sessions[0]),
        "{sessions:?}"
    );
    let journal = whole(&daemon).await?;
    let channels: std::collections::BTreeSet<_> = journal.turns.iter().map(|turn| turn.channel.as_str()).collect();
    assert_eq!(channels.into_iter().collect::<Vec<_>>(), ["dev"]);
    // The old name is nobody's.
    let body = json!({"text": "x"});
    let reply = daemon
        .request(Method::POST, &["api", "channels", "eng", "send"], Some(&body))
        .await?;
    assert_eq!(reply.status, 404);
    Ok(())
}

#[tokio::test]
async fn an_agent_that_was_renamed_while_nobody_looked_keeps_its_conversation() -> Result<()> {
    let mut daemon = with_eng(quick()).await?;
    let first = told(&daemon, "eng", "[[reply first]]").await?;
    daemon.wait_quiet(LIMIT).await?;
    // As when the daemon dies after the vault has the new name and before the queue does.
    daemon.stop().await?;
    let patch = "UPDATE notes SET metadata = replace(metadata, '\"eng\"', '\"dev\"') WHERE path = 'Agents/eng'";
    let changed = rusqlite::Connection::open(daemon.state_dir().join("vaults/default.db"))?.execute(patch, [])?;
    assert_eq!(changed, 1);
    daemon.start().await?;
    let next = told(&daemon, "dev", "[[reply second]]").await?;
    assert_eq!(next.more["session"], first.more["session"]);
    whole(&daemon).await?;
    Ok(())
}

#[tokio::test]
async fn a_message_whose_agent_never_comes_is_answered_in_the_end() -> Result<()> {
    let daemon = quick().env("REVEILLE_LIMITS__AGENT_WAIT", "1s").start().await?;
    daemon.create_agent("boss", "You decide.").await?;
    let tags = ["agent/message", "agent/message/inbound"];
    let metadata = json!({"agent": "ghost", "reply_to": "boss", "correlation_id": "c-7"});
    daemon.note_put("Inbox/lost", "hello?", &tags, &metadata).await?;
    let journal = whole(&daemon).await?;
    let lost = journal
        .turns
        .iter()
        .find(|turn| turn.channel == "ghost")
        .context("the turn")?;
    assert_eq!(code(lost), Some("no_agent"));
    let told: Vec<_> = journal.notes.iter().filter(|note| note.is_callback()).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].text("status"), told[0].text("correlation_id")),
        ("refused", "c-7")
    );
    let note = daemon.note("Inbox/lost").await?.context("the note")?;
    assert_eq!(note["metadata"]["status"], "error", "{note}");
    Ok(())
}

#[tokio::test]
async fn a_message_for_an_agent_that_is_being_mended_waits_on() -> Result<()> {
    let daemon = quick().env("REVEILLE_LIMITS__AGENT_WAIT", "1s").start().await?;
    let tags = ["agent/message", "agent/message/inbound"];
    daemon
        .note_put(
            "Agents/slow",
            "p",
            &["agent/definition"],
            &json!({"name": "slow", "mode": "sideways"}),
        )
        .await?;
    daemon
        .note_put("Inbox/1", "[[reply mended]]", &tags, &json!({"agent": "slow"}))
        .await?;
    // Another message for nobody is given up meanwhile, so the time is over.
    daemon
        .note_put("Inbox/2", "hello?", &tags, &json!({"agent": "ghost"}))
        .await?;
    eventually("the other one is given up", LIMIT, async || {
        let journal = daemon.journal()?;
        Ok(journal
            .turns
            .iter()
            .any(|turn| code(turn) == Some("no_agent"))
            .then_some(()))
    })
    .await?;
    daemon
        .note_put(
            "Agents/slow",
            "p",
            &["agent/definition"],
            &json!({"name": "slow", "mode": "single-threaded"}),
        )
        .await?;
    let journal = whole(&daemon).await?;
    assert_eq!(replies(&journal, "slow"), ["mended"]);
    Ok(())
}

#[tokio::test]
async fn a_turn_on_which_the_daemon_fails_is_given_up_and_the_next_one_runs() -> Result<()> {
    let mut daemon = with_eng(quick().env("REVEILLE_PANIC_POINT", "turn.claimed")).await?;
    let fails = daemon.send("eng", "[[reply never told]]").await?;
    assert_eq!(
        daemon.wait_turn("eng", &fails).await?.error.context("an error")?["code"],
        "internal"
    );
    daemon.stop().await?;
    daemon.set_env("REVEILLE_PANIC_POINT", "");
    daemon.start().await?;
    assert_eq!(
        told(&daemon, "eng", "[[reply well]]").await?.reply.as_deref(),
        Some("well")
    );
    let journal = whole(&daemon).await?;
    assert_eq!(
        journal
            .notes
            .iter()
            .filter(|note| note.text("code") == "internal")
            .count(),
        1
    );
    Ok(())
}
