//! A vault that does not take what is delivered to it: from the first failed try to the day when it is back.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, Event, LIMIT, State, rows};
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::{outbound, turn_of, with_eng};

/// Notes that only the daemon writes when a turn has ended.
const ALL: &str = "NEW.tags LIKE '%agent/message/outbound%' OR NEW.tags LIKE '%agent/thread%' \
    OR NEW.metadata LIKE '%callback%'";

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
        Ok((health["vaults"][0]["deliveries"]["state"] == "open").then_some(health))
    })
    .await
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
    // As long as it is away: when it is back, everything may have gone out by itself before the command comes.
    let ran = daemon.run(["undelivered", "retry"]).await?;
    assert!(ran.code == 0 && ran.stdout.starts_with("tried again now: "), "{ran:?}");
    let shown = wait_left_alone(&daemon).await?;
    let one = &shown["vaults"][0]["deliveries"];
    assert!(
        one["last_error"]
            .as_str()
            .is_some_and(|error| error.contains("the door is shut")),
        "{one}"
    );
    assert!(one["until_at"].is_string(), "{one}");
    assert_eq!(shown["vaults"][0]["name"], "default");
    assert_eq!(
        (&shown["status"], &shown["undelivered"]),
        (&json!("degraded"), &json!(12))
    );
    // A stranger sees that something is wrong, and no more.
    let stranger = daemon.ask("GET", "/health", &[], b"").await?.json()?;
    assert_eq!(stranger, json!({ "status": "degraded" }));
    looks_at_the_outage(&daemon, &sent).await?;

    open(&daemon)?;
    let ran = daemon.run(["undelivered", "retry"]).await?;
    assert_eq!(ran.code, 0, "{ran:?}");
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
    let vault = &after["vaults"][0];
    assert_eq!(
        (&vault["state"], &vault["deliveries"]),
        (&json!("ready"), &json!({"state": "closed"}))
    );
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
    assert_eq!(health(&daemon).await?["vaults"][0]["deliveries"]["state"], "closed");
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
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}
