//! What a turn leaves to do gets into the vault once, whatever the vault does meanwhile, and nothing false is written.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, Event, JournalNote, LIMIT, Sent, State, rows};
use reveille_tests::eventually;
use serde_json::{Value, json};

/// Notes that only the daemon writes when a turn has ended.
const ALL: &str = "NEW.tags LIKE '%agent/message/outbound%' OR NEW.tags LIKE '%agent/thread%' \
    OR NEW.metadata LIKE '%callback%'";

async fn with_eng() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    Ok(daemon)
}

/// Lets the vault refuse to write some notes, at once and as a broken storage does, until [`open`].
fn shut(daemon: &Daemon, which: &str) -> Result<()> {
    let door = |name: &str, what: &str| {
        format!(
            "CREATE TRIGGER {name} BEFORE {what} ON notes WHEN {which} \
             BEGIN SELECT RAISE(ABORT, 'the door is shut'); END;"
        )
    };
    vault(daemon)?.execute_batch(&format!(
        "{} {}",
        door("shut_new", "INSERT"),
        door("shut_old", "UPDATE")
    ))?;
    Ok(())
}

fn open(daemon: &Daemon) -> Result<()> {
    vault(daemon)?.execute_batch("DROP TRIGGER shut_new; DROP TRIGGER shut_old;")?;
    Ok(())
}

fn database(daemon: &Daemon, file: &str) -> Result<rusqlite::Connection> {
    let connection = rusqlite::Connection::open(daemon.state_dir().join(file))?;
    connection.busy_timeout(LIMIT)?;
    Ok(connection)
}

fn vault(daemon: &Daemon) -> Result<rusqlite::Connection> {
    database(daemon, "vaults/default.db")
}

async fn health(daemon: &Daemon) -> Result<Value> {
    Ok(daemon.request(Method::GET, &["health"], None).await?.body)
}

async fn undelivered(daemon: &Daemon, query: &str) -> Result<Value> {
    daemon
        .ask_in("GET", &format!("/api/undelivered{query}"), b"")
        .await?
        .json()
}

/// The loop has tried three times and left the vault alone.
async fn wait_left_alone(daemon: &Daemon) -> Result<Value> {
    eventually("the breaker of the vault opens", LIMIT, async || {
        let health = health(daemon).await?;
        Ok((health["vaults"][0]["state"] == "open").then_some(health))
    })
    .await
}

fn turn_of(sent: &Sent) -> Result<String> {
    sent.turn.clone().context("a turn")
}

fn outbound<'a>(notes: &'a [JournalNote], turn: &str) -> Result<&'a JournalNote> {
    let mut found = notes
        .iter()
        .filter(|note| note.is_outbound() && note.text("turn") == turn);
    let note = found.next().context("an answer")?;
    anyhow::ensure!(found.next().is_none(), "two answers of {turn}");
    Ok(note)
}

#[tokio::test]
async fn tc_out_2_a_vault_that_comes_back_gets_the_reply_once() -> Result<()> {
    let daemon = with_eng().await?;
    let ran = daemon.scratch().join("ran");
    shut(&daemon, ALL)?;
    let text = format!("[[exec echo once >> {}]] [[reply kept]]", ran.display());
    let turn = turn_of(&daemon.send("eng", &text).await?)?;
    eventually("a delivery has failed", LIMIT, async || {
        let tries = rows(
            &daemon.state_tables()?.queue,
            "SELECT attempts FROM outbox ORDER BY id LIMIT 1",
        )?;
        Ok((tries.first().is_some_and(|row| row[0].as_i64() > Some(0))).then_some(()))
    })
    .await?;
    open(&daemon)?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    assert!(outbound(&journal.notes, &turn)?.content.ends_with("kept"));
    assert_eq!(std::fs::read_to_string(ran)?, "once\n");
    Ok(())
}

/// Two turns in each of three conversations, while nothing can be delivered.
async fn send_into_an_outage(daemon: &Daemon) -> Result<Vec<(String, String)>> {
    let mut sent = Vec::new();
    for number in 1..=2 {
        for subject in ["a", "b", "c"] {
            let text = format!("[[reply {subject}{number}]]");
            let one = daemon
                .send_with("eng", &json!({"text": text, "subject": subject}))
                .await?;
            sent.push((turn_of(&one)?, format!("{subject}{number}")));
        }
    }
    Ok(sent)
}

/// Events that end turns, and those that follow.
fn kinds<'a>(events: &'a [Event], kind: &str) -> Vec<&'a Event> {
    events.iter().filter(|event| event.kind() == kind).collect()
}

#[tokio::test]
async fn tc_out_3_a_silent_vault_is_left_alone_and_everything_flows_when_it_is_back() -> Result<()> {
    let daemon = with_eng().await?;
    let mut events = daemon.events("eng").await?;
    shut(&daemon, ALL)?;
    let sent = send_into_an_outage(&daemon).await?;
    let mut seen = Vec::new();
    while kinds(&seen, "done").len() < 6 {
        seen.push(events.next().await?);
    }
    for done in kinds(&seen, "done") {
        assert_eq!(
            (&done.data["undelivered"], &done.data["note"]),
            (&json!(true), &Value::Null)
        );
    }
    let shown = wait_left_alone(&daemon).await?;
    let one = &shown["vaults"][0];
    assert!(
        one["last_error"]
            .as_str()
            .is_some_and(|error| error.contains("the door is shut")),
        "{one}"
    );
    assert!(one["until_at"].is_string() && one["vault"] == "default", "{one}");
    assert_eq!(
        (&shown["status"], &shown["undelivered"]),
        (&json!("degraded"), &json!(12))
    );
    // A stranger sees that something is wrong, but neither names nor reasons.
    let stranger = daemon.ask("GET", "/health", &[], b"").await?.json()?;
    assert_eq!(
        (&stranger["undelivered"], &stranger["vaults"]),
        (&json!(12), &Value::Null)
    );
    looks_at_the_outage(&daemon, &sent).await?;

    open(&daemon)?;
    let ran = daemon.run(["undelivered", "retry"]).await?;
    assert!(ran.code == 0 && ran.stdout.starts_with("tried again now: "), "{ran:?}");
    let mut seen = Vec::new();
    while kinds(&seen, "delivered").len() < 6 {
        seen.push(events.next().await?);
    }
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    for delivered in kinds(&seen, "delivered") {
        let turn = delivered.data["turn"].as_str().context("a turn")?;
        assert_eq!(delivered.data["note"], json!(outbound(&journal.notes, turn)?.id));
    }
    // In each conversation the answers were written in the order of their turns.
    let written = rows(
        &daemon.state_tables()?.vault,
        "SELECT content FROM notes WHERE tags LIKE '%agent/message/outbound%' ORDER BY seq",
    )?;
    let written: Vec<&str> = written.iter().filter_map(|row| row[0].as_str()).collect();
    for subject in ["a", "b", "c"] {
        let order: Vec<_> = written.iter().filter(|text| text.starts_with(subject)).collect();
        assert_eq!(order, [&format!("{subject}1"), &format!("{subject}2")]);
    }
    let after = health(&daemon).await?;
    assert_eq!((&after["status"], &after["undelivered"]), (&json!("ok"), &json!(0)));
    assert_eq!(after["vaults"], json!([{"vault": "default", "state": "closed"}]));
    let listed = daemon.run(["undelivered", "list"]).await?;
    assert_eq!((listed.code, listed.stdout.as_str()), (0, "everything is delivered\n"));
    Ok(())
}

/// What waits is shown: over HTTP page by page, on the command line, by the doctor, and at the turn.
async fn looks_at_the_outage(daemon: &Daemon, sent: &[(String, String)]) -> Result<()> {
    let mut listed = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = undelivered(daemon, &format!("?limit=5{cursor}")).await?;
        assert_eq!(page["total"], 12);
        listed.extend(page["undelivered"].as_array().context("a list")?.clone());
        match page["next_cursor"].as_u64() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let shown: BTreeSet<(String, String)> = listed
        .iter()
        .map(|one| {
            (
                one["turn"].as_str().unwrap().to_owned(),
                one["kind"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let expected = sent
        .iter()
        .flat_map(|(turn, _)| ["thread", "reply"].map(|kind| (turn.clone(), kind.to_owned())));
    assert_eq!(shown, expected.collect());
    for one in &listed {
        assert_eq!(
            (&one["channel"], &one["vault"], &one["state"]),
            (&json!("eng"), &json!("default"), &json!("waiting"))
        );
        assert!(one["since_at"].is_string() && one["attempts"].is_u64(), "{one}");
    }
    let (turn, reply) = &sent[0];
    let view = daemon.turn(turn).await?;
    assert_eq!((view.state, view.reply.as_deref()), (State::Ok, Some(reply.as_str())));
    assert_eq!(view.more["undelivered"], json!(true));

    let table = daemon.run(["undelivered", "list", "--limit", "3"]).await?;
    assert!(
        table.stdout.contains("the door is shut") && table.stdout.contains("3 of 12; go on with --cursor "),
        "{table:?}"
    );
    let json: Value = serde_json::from_str(&daemon.run(["undelivered", "list", "--json"]).await?.stdout)?;
    assert_eq!(json["total"], 12);
    let doctor: Value = serde_json::from_str(&daemon.run(["doctor", "--json"]).await?.stdout)?;
    let checks = doctor["checks"].as_array().context("checks")?;
    let line = checks
        .iter()
        .find(|check| check["check"] == "deliveries")
        .context("a line")?;
    let detail = line["detail"].as_str().unwrap_or_default();
    assert!(
        line["level"] == "warning" && detail.starts_with("12 undelivered"),
        "{line}"
    );
    assert!(
        line["mend"]
            .as_str()
            .is_some_and(|mend| mend.contains("reveille undelivered retry")),
        "{line}"
    );
    Ok(())
}

#[tokio::test]
async fn a_reply_survives_a_kill_while_the_vault_is_away() -> Result<()> {
    let mut daemon = with_eng().await?;
    daemon.create_agent("ops", "You run things.").await?;
    shut(&daemon, ALL)?;
    let asked = json!({"text": "[[reply kept]]", "reply_to": "ops"});
    let turn = turn_of(&daemon.send_with("eng", &asked).await?)?;
    let failed = turn_of(
        &daemon
            .send_with("eng", &json!({"text": "[[error 500]]", "subject": "b"}))
            .await?,
    )?;
    wait_left_alone(&daemon).await?;
    eventually("both have ended", LIMIT, async || {
        let ended = [daemon.turn(&turn).await?, daemon.turn(&failed).await?];
        Ok(ended.iter().all(|turn| turn.state.is_terminal()).then_some(()))
    })
    .await?;
    daemon.kill9().await?;
    daemon.start().await?;
    wait_left_alone(&daemon).await?;
    open(&daemon)?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    let reply = outbound(&journal.notes, &turn)?;
    assert!(reply.content.ends_with("kept"));
    assert_eq!(outbound(&journal.notes, &failed)?.text("kind"), "failure");
    let callback = journal
        .notes
        .iter()
        .find(|note| note.is_callback())
        .context("a callback")?;
    assert_eq!(callback.text("source_message"), reply.id);
    Ok(())
}

/// Changes what the kept answer `a` asks for.
fn rewrite(daemon: &Daemon, from: &str, to: &str) -> Result<usize> {
    let sql = "UPDATE outbox SET body = replace(body, ?1, ?2) WHERE instr(body, ?1) AND instr(body, '\"text\":\"a\"')";
    Ok(database(daemon, "queue.db")?.execute(sql, [from, to])?)
}

#[tokio::test]
async fn tc_out_4_what_cannot_be_delivered_is_parked_alone_until_a_person_retries() -> Result<()> {
    let mut daemon = with_eng().await?;
    shut(&daemon, ALL)?;
    let stuck = turn_of(
        &daemon
            .send_with("eng", &json!({"text": "[[reply a]]", "subject": "a"}))
            .await?,
    )?;
    let free = turn_of(
        &daemon
            .send_with("eng", &json!({"text": "[[reply b]]", "subject": "b"}))
            .await?,
    )?;
    wait_left_alone(&daemon).await?;
    eventually("both have ended", LIMIT, async || {
        let left = rows(&daemon.state_tables()?.queue, "SELECT count(DISTINCT turn) FROM outbox")?;
        Ok((left == [[json!(2)]]).then_some(()))
    })
    .await?;
    daemon.kill9().await?;
    open(&daemon)?;
    // As when an older version finds what a newer one has left.
    let (known, unknown) = (r#""do":"outbound""#, r#""do":"sing""#);
    assert_eq!(rewrite(&daemon, known, unknown)?, 1);
    daemon.start().await?;
    let parked = eventually("one effect is parked, the others are delivered", LIMIT, async || {
        let list = undelivered(&daemon, "").await?;
        let done = list["total"] == 1 && list["undelivered"][0]["state"] == "parked";
        Ok(done.then(|| list["undelivered"][0].clone()))
    })
    .await?;
    assert_eq!(
        (&parked["turn"], &parked["kind"], &parked["next_try_at"]),
        (&json!(stuck), &json!("unknown"), &Value::Null)
    );
    assert!(
        parked["last_error"]
            .as_str()
            .is_some_and(|error| error.contains("this version of the daemon")),
        "{parked}"
    );
    assert_eq!(health(&daemon).await?["vaults"][0]["state"], "closed");
    assert_eq!(daemon.turn(&free).await?.more["undelivered"], json!(false));

    // A retry without a mend changes nothing but the count of tries.
    let retried = daemon.run(["undelivered", "retry", &stuck, "--json"]).await?;
    assert_eq!(serde_json::from_str::<Value>(&retried.stdout)?, json!({"retried": 1}));
    let tries = parked["attempts"].as_u64().context("tries")?;
    eventually("it was tried again", LIMIT, async || {
        let one = undelivered(&daemon, "").await?["undelivered"][0].clone();
        Ok((one["attempts"].as_u64() > Some(tries) && one["state"] == "parked").then_some(()))
    })
    .await?;
    let mut events = daemon.events("eng").await?;
    assert_eq!(rewrite(&daemon, unknown, known)?, 1);
    daemon.run(["undelivered", "retry", &stuck]).await?;
    let seen = events.until(|event| event.kind() == "delivered").await?;
    assert_eq!(seen.last().map(|event| event.data["turn"].clone()), Some(json!(stuck)));
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_retry_names_a_turn_that_is_there() -> Result<()> {
    let daemon = with_eng().await?;
    let sent = daemon.send("eng", "[[reply done]]").await?;
    daemon.wait_turn("eng", &sent).await?;
    daemon.wait_quiet(LIMIT).await?;
    let ask = async |body: Value| {
        let body = body.to_string();
        daemon.ask_in("POST", "/api/undelivered/retry", body.as_bytes()).await
    };
    assert_eq!(ask(json!({"turn": sent.turn})).await?.json()?, json!({"retried": 0}));
    assert_eq!(ask(json!({})).await?.json()?, json!({"retried": 0}));
    let nobody = ask(json!({"turn": "nobody"})).await?;
    assert_eq!(nobody.refusal()?, (404, "unknown_turn".to_owned()));
    let wrong = daemon.ask_in("GET", "/api/undelivered?limit=x", b"").await?;
    assert_eq!(wrong.refusal()?, (400, "invalid_parameter".to_owned()));
    let ran = daemon.run(["undelivered", "retry"]).await?;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "nothing waits\n"));
    Ok(())
}

#[tokio::test]
async fn a_late_end_does_not_hide_the_running_turn() -> Result<()> {
    let daemon = with_eng().await?;
    let gate = daemon.scratch().join("gate");
    shut(&daemon, ALL)?;
    let first = daemon.send("eng", "[[reply one]]").await?;
    daemon.wait_turn("eng", &first).await?;
    wait_left_alone(&daemon).await?;
    let text = format!(
        "[[exec until test -e {}; do sleep 0.05; done]] [[reply two]]",
        gate.display()
    );
    let mut events = daemon.events("eng").await?;
    let second = turn_of(&daemon.send("eng", &text).await?)?;
    events
        .until(|event| event.kind() == "tool" && event.data["turn"] == *second)
        .await?;
    open(&daemon)?;
    daemon.run(["undelivered", "retry"]).await?;
    let told = eventually("the thread says that the second turn runs", LIMIT, async || {
        let note = daemon.note("Threads/eng/eng").await?;
        let metadata = note.map_or(Value::Null, |note| note["metadata"].clone());
        Ok((metadata["turn"] == *second).then_some(metadata))
    })
    .await?;
    assert_eq!((&told["status"], &told["turn_count"]), (&json!("working"), &json!("1")));
    std::fs::write(gate, "")?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}

/// The thread note, by its path.
async fn thread(daemon: &Daemon, path: &str) -> Result<Value> {
    daemon.note(path).await?.with_context(|| format!("a note at {path}"))
}

#[tokio::test]
async fn tc_out_5_and_7_answers_and_failures_name_the_thread_note() -> Result<()> {
    let daemon = with_eng().await?;
    let mut turns = Vec::new();
    for text in ["[[reply one]]", "[[reply two]]", "[[error 400]]"] {
        let sent = daemon.send("eng", text).await?;
        daemon.wait_turn("eng", &sent).await?;
        turns.push(turn_of(&sent)?);
    }
    let journal = daemon.wait_quiet(LIMIT).await?;
    let note = thread(&daemon, "Threads/eng/eng").await?;
    for turn in &turns {
        assert_eq!(
            json!(outbound(&journal.notes, turn)?.text("thread")),
            note["id"],
            "{turn}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn tc_out_6_each_message_of_a_multi_threaded_agent_has_a_thread_note_of_its_own() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    let metadata = json!({"name": "multi", "mode": "multi-threaded"});
    daemon
        .note_put("Agents/multi", "You are many.", &["agent/definition"], &metadata)
        .await?;
    eventually("the agent is there", LIMIT, async || {
        Ok((daemon.agents().await?.len() == 1).then_some(()))
    })
    .await?;
    let mut threads = BTreeSet::new();
    for text in ["[[reply one]]", "[[reply two]]"] {
        let sent = daemon.send("multi", text).await?;
        daemon.wait_turn("multi", &sent).await?;
        let journal = daemon.wait_quiet(LIMIT).await?;
        let named = outbound(&journal.notes, &turn_of(&sent)?)?.text("thread").to_owned();
        let note = thread(&daemon, &named).await?;
        assert_eq!(note["path"], json!(format!("Threads/multi/{named}")));
        threads.insert(named);
    }
    assert_eq!(threads.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_thread_note_that_a_person_made_first_is_the_one_that_is_named() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("ops", "You run things.").await?;
    let made = daemon
        .note_put("Threads/eng/eng", "What we are about.", &["agent/thread"], &json!({}))
        .await?;
    let sent = daemon
        .send_with("eng", &json!({"text": "[[reply one]]", "reply_to": "ops"}))
        .await?;
    daemon.wait_turn("eng", &sent).await?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    let reply = outbound(&journal.notes, &turn_of(&sent)?)?;
    let callback = journal
        .notes
        .iter()
        .find(|note| note.is_callback())
        .context("a callback")?;
    let id = made["id"].as_str().context("an id")?;
    assert_eq!((reply.text("thread"), callback.text("source_thread")), (id, id));
    let note = thread(&daemon, id).await?;
    assert_eq!(
        (&note["content"], &note["metadata"]["turn_count"]),
        (&json!("What we are about."), &json!("1"))
    );
    Ok(())
}

#[tokio::test]
async fn a_failure_note_is_marked_and_says_what_to_do_without_raw_stderr() -> Result<()> {
    let daemon = with_eng().await?;
    let program = daemon.scratch().join("claude");
    let script =
        "#!/bin/sh\ncase \"$1\" in --version) echo '2.1.197 (Claude Code)';; *) echo CANARY >&2; exit 1;; esac\n";
    std::fs::write(&program, script)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700))?;
    let mut daemon = daemon;
    daemon.set_env("REVEILLE_CLAUDE__PROGRAM", program);
    daemon.restart().await?;
    let sent = daemon.send("eng", "hello").await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    let error = turn.error.context("an error")?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    let note = outbound(&journal.notes, &turn.turn)?;
    let told = ["kind", "code", "next_step"].map(|key| note.text(key));
    let text = |key: &str| error[key].as_str().unwrap_or_default();
    assert_eq!(told, ["failure", text("code"), text("next_step")]);
    assert!(!text("next_step").is_empty());
    assert!(note.content.starts_with("⚠️ ") && note.content.ends_with(&format!("\n\n{}", text("next_step"))));
    // The operator's log has the words of the program; no note and no answer does.
    assert!(daemon.log()?.contains("CANARY"));
    let notes = format!("{:?}", journal.notes);
    let shown = daemon
        .request(Method::GET, &["api", "turns", &turn.turn], None)
        .await?
        .body;
    let messages = daemon
        .request(Method::GET, &["api", "channels", "eng", "messages"], None)
        .await?
        .body;
    for said in [notes, shown.to_string(), messages.to_string()] {
        assert!(!said.contains("CANARY"), "{said}");
    }
    let answer = messages["messages"]
        .as_array()
        .and_then(|all| all.last())
        .context("an answer")?;
    assert_eq!(
        (&answer["kind"], &answer["next_step"]),
        (&json!("failure"), &error["next_step"])
    );
    Ok(())
}

#[tokio::test]
async fn tc_th_13_and_17_a_thread_note_keeps_its_start_and_adds_up() -> Result<()> {
    let daemon = with_eng().await?;
    let gate = daemon.scratch().join("gate");
    let mut notes = Vec::new();
    let first = daemon.send("eng", "[[reply one]]").await?;
    daemon.wait_turn("eng", &first).await?;
    daemon.wait_quiet(LIMIT).await?;
    notes.push(thread(&daemon, "Threads/eng/eng").await?["metadata"].clone());

    let text = format!(
        "[[exec until test -e {}; do sleep 0.05; done]] [[error 400]]",
        gate.display()
    );
    let mut events = daemon.events("eng").await?;
    let second = daemon.send("eng", &text).await?;
    events.until(|event| event.kind() == "tool").await?;
    let working = eventually("the thread works", LIMIT, async || {
        let metadata = thread(&daemon, "Threads/eng/eng").await?["metadata"].clone();
        Ok((metadata["status"] == "working").then_some(metadata))
    })
    .await?;
    // While it runs, everything that is known of the turns before stays.
    for key in [
        "turn_count",
        "last_turn_at",
        "started_at",
        "session",
        "last_model",
        "input_tokens",
        "total_cost_usd",
    ] {
        assert_eq!((key, &working[key]), (key, &notes[0][key]));
        assert!(working[key].is_string(), "{key}");
    }
    std::fs::write(gate, "")?;
    assert_eq!(daemon.wait_turn("eng", &second).await?.state, State::Error);
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    let ended = thread(&daemon, "Threads/eng/eng").await?["metadata"].clone();
    assert_eq!((&ended["turn_count"], &ended["status"]), (&json!("2"), &json!("error")));
    assert_eq!(
        (&ended["started_at"], &ended["session"]),
        (&notes[0]["started_at"], &notes[0]["session"])
    );
    assert!(ended["last_turn_at"].as_str() > notes[0]["last_turn_at"].as_str());
    let agent = thread(&daemon, "Agents/eng").await?;
    assert_eq!(ended["definition"], agent["id"]);
    let keys = [
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
    ];
    let sums = journal.conversations[0].spend;
    for (key, sum) in keys.into_iter().zip(sums) {
        let told: u64 = ended[key].as_str().unwrap_or("0").parse()?;
        assert_eq!((key, told), (key, sum));
    }
    Ok(())
}

#[tokio::test]
async fn a_turn_that_is_cut_off_for_good_leaves_its_session_on_the_thread() -> Result<()> {
    let mut daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_SERVER__DRAIN", "100ms")
        .start()
        .await?;
    let metadata = json!({"name": "eng", "on_interrupt": "stop"});
    daemon
        .note_put("Agents/eng", "You are an engineer.", &["agent/definition"], &metadata)
        .await?;
    eventually("the agent is there", LIMIT, async || {
        Ok((daemon.agents().await?.len() == 1).then_some(()))
    })
    .await?;
    let mut events = daemon.events("eng").await?;
    let sent = daemon.send("eng", "[[exec sleep 600]]").await?;
    let seen = events.until(|event| event.kind() == "tool").await?;
    let init = seen.iter().find(|event| event.kind() == "init").context("an init")?;
    let session = init.data["session"].clone();
    daemon.stop().await?;
    daemon.start().await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Interrupted);
    daemon.wait_quiet(LIMIT).await?;
    let note = thread(&daemon, "Threads/eng/eng").await?;
    assert_eq!(
        (&note["metadata"]["status"], &note["metadata"]["session"]),
        (&json!("interrupted"), &session)
    );
    Ok(())
}

#[tokio::test]
async fn a_stop_of_the_daemon_does_not_wait_for_a_vault_that_is_left_alone() -> Result<()> {
    let mut daemon = with_eng().await?;
    shut(&daemon, ALL)?;
    let sent = daemon.send("eng", "[[reply kept]]").await?;
    daemon.wait_turn("eng", &sent).await?;
    wait_left_alone(&daemon).await?;
    assert!(daemon.stop().await?.success());
    open(&daemon)?;
    daemon.start().await?;
    let journal = daemon.wait_quiet(Duration::from_secs(30)).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}
