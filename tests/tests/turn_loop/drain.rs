//! One line after the other: order, and what each end of a turn leaves behind.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, JournalTurn, LIMIT};
use reveille_tests::daemon::{Event, State};
use serde_json::{Value, json};

use super::{Held, answers, ended, letter, listed, rested, texts, told, whole, with_eng};

/// A text whose turn writes down when it begins and ends.
fn logged(daemon: &Daemon, name: &str) -> String {
    let log = daemon.scratch().join("log");
    let log = log.display();
    format!("[[exec echo begin {name} >> {log}; sleep 0.05; echo end {name} >> {log}]] [[reply {name}]]")
}

fn log(daemon: &Daemon) -> Result<Vec<String>> {
    let log = std::fs::read_to_string(daemon.scratch().join("log"))?;
    Ok(log.lines().map(str::to_owned).collect())
}

fn one_after_the_other(names: &[&str]) -> Vec<String> {
    let lines = |name: &&str| [format!("begin {name}"), format!("end {name}")];
    names.iter().flat_map(lines).collect()
}

#[tokio::test]
async fn tc_drain_1_messages_run_one_after_the_other_in_their_order() -> Result<()> {
    let daemon = with_eng().await?;
    let held = Held::new(&daemon, "eng", &json!({}), &logged(&daemon, "m1")).await?;
    let second = daemon.send("eng", &logged(&daemon, "m2")).await?;
    let third = daemon.send("eng", &logged(&daemon, "m3")).await?;
    let eng = listed(&daemon, "eng").await?;
    assert_eq!((&eng["status"], &eng["waiting"]), (&json!("working"), &json!(2)));
    for waits in [&second, &third] {
        let turn = waits.turn.as_deref().context("a turn")?;
        assert_eq!(daemon.turn(turn).await?.state, State::Waiting);
    }
    held.open()?;
    for sent in [&held.sent, &second, &third] {
        assert_eq!(daemon.wait_turn("eng", sent).await?.state, State::Ok);
    }
    assert_eq!(log(&daemon)?, one_after_the_other(&["m1", "m2", "m3"]));
    whole(&daemon).await?;
    let eng = rested(&daemon, "eng").await?;
    assert_eq!((&eng["status"], &eng["waiting"]), (&json!("idle"), &json!(0)));
    Ok(())
}

#[tokio::test]
async fn tc_drain_2_tc_in_2_tc_ev_6_a_message_is_given_and_answered_while_nobody_watches() -> Result<()> {
    let daemon = with_eng().await?;
    let sent = letter(&daemon, "Inbox/note-1", "hello", &json!({"agent": "eng"})).await?;
    let journal = whole(&daemon).await?;
    let [answer] = answers(&journal, "eng")[..] else {
        panic!("one answer: {journal:#?}")
    };
    // The stand-in quotes what it was given.
    assert!(answer.content.ends_with("it begins: “hello”"), "{}", answer.content);
    assert_eq!(
        (answer.text("in_reply_to"), answer.text("kind")),
        (sent.id.as_str(), "")
    );
    Ok(())
}

/// The events of a turn, from the first to the last.
async fn watched(daemon: &Daemon, text: &str) -> Result<Vec<Event>> {
    let mut events = daemon.events("eng").await?;
    let sent = daemon.send("eng", text).await?;
    events.until_end(sent.turn.as_deref().context("a turn")?).await
}

/// The one terminal event, which is the last.
fn end(events: &[Event]) -> Result<&Event> {
    assert_eq!(events.iter().filter(|event| event.is_terminal()).count(), 1);
    events.last().context("an end")
}

#[tokio::test]
async fn tc_drain_3_tc_ev_3_a_program_that_dies_costs_one_turn_and_not_the_next() -> Result<()> {
    let daemon = with_eng().await?;
    let events = watched(&daemon, "[[crash]]").await?;
    let last = end(&events)?;
    assert_eq!((last.kind(), &last.data["code"]), ("error", &json!("crashed")));
    let reason = last.data["error"].as_str().context("a reason")?;
    assert_eq!(
        ended(&told(&daemon, "eng", "[[reply fine]]").await?),
        (State::Ok, Some("fine"))
    );
    let journal = whole(&daemon).await?;
    let [failure, reply] = answers(&journal, "eng")[..] else {
        panic!("two answers: {journal:#?}")
    };
    assert!(failure.content.contains(reason), "{reason} in {}", failure.content);
    assert_eq!((failure.text("kind"), reply.content.as_str()), ("failure", "fine"));
    Ok(())
}

#[tokio::test]
async fn tc_drain_3_a_message_behind_one_that_fails_is_worked_on() -> Result<()> {
    let daemon = with_eng().await?;
    let held = Held::new(&daemon, "eng", &json!({}), "[[crash]]").await?;
    let next = daemon.send("eng", "[[reply fine]]").await?;
    held.open()?;
    assert_eq!(daemon.wait_turn("eng", &held.sent).await?.state, State::Error);
    assert_eq!(ended(&daemon.wait_turn("eng", &next).await?), (State::Ok, Some("fine")));
    whole(&daemon).await?;
    Ok(())
}

#[tokio::test]
async fn tc_drain_4_tc_ev_2_a_failure_is_one_turn_one_note_and_one_event() -> Result<()> {
    let daemon = with_eng().await?;
    let events = watched(&daemon, "[[error 400]]").await?;
    assert_eq!(events.iter().filter(|event| event.kind() == "started").count(), 1);
    assert_eq!(events.iter().filter(|event| event.kind() == "init").count(), 1);
    let last = end(&events)?;
    assert_eq!((last.kind(), &last.data["code"]), ("error", &json!("invalid_request")));
    let journal = whole(&daemon).await?;
    let [failure] = answers(&journal, "eng")[..] else {
        panic!("one answer: {journal:#?}")
    };
    let reason = last.data["error"].as_str().context("a reason")?;
    assert!(failure.content.contains(reason), "{reason} in {}", failure.content);
    assert_eq!(
        (failure.text("kind"), failure.text("code")),
        ("failure", "invalid_request")
    );
    assert_eq!(journal.turns.len(), 1);
    Ok(())
}

#[tokio::test]
async fn tc_drain_5_tc_ev_4_tc_th_7_an_empty_reply_is_an_end_without_a_note() -> Result<()> {
    let daemon = with_eng().await?;
    let events = watched(&daemon, "[[empty]]").await?;
    let last = end(&events)?;
    assert_eq!((last.kind(), &last.data["reply"]), ("done", &json!("")));
    assert_eq!(last.data["note"], Value::Null);
    let journal = whole(&daemon).await?;
    assert_eq!(answers(&journal, "eng").len(), 0);
    assert_eq!(journal.turns[0].state, "ok");
    let thread = daemon.note("Threads/eng/eng").await?.context("the thread note")?;
    assert_eq!(thread["metadata"]["status"], "ok");
    Ok(())
}

#[tokio::test]
async fn tc_drain_6_reports_are_worked_on_in_their_order_like_any_message() -> Result<()> {
    let daemon = with_eng().await?;
    let names = ["r1", "r2", "r3", "r4", "r5", "r6"];
    for name in names {
        let report = json!({
            "agent": "eng", "sender": format!("callback:{name}"), "callback": "true", "status": "ok",
            "source_channel": name, "delegation_depth": "1",
        });
        letter(&daemon, &format!("Inbox/{name}"), &logged(&daemon, name), &report).await?;
    }
    // Nobody had asked for these reports, so only what must be so at any time is looked at.
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations_at_any_time(), Vec::<String>::new());
    assert_eq!(log(&daemon)?, one_after_the_other(&names));
    let replies = answers(&journal, "eng");
    let last: Vec<_> = texts(&replies)
        .into_iter()
        .filter_map(|text| text.split_whitespace().last())
        .collect();
    assert_eq!(last, names);
    Ok(())
}

#[tokio::test]
async fn tc_drain_7_notes_are_answered_by_notes() -> Result<()> {
    let daemon = with_eng().await?;
    let to = json!({"agent": "eng"});
    let well = letter(&daemon, "Inbox/well", "[[reply well]]", &to).await?;
    letter(&daemon, "Inbox/empty", "[[empty]]", &to).await?;
    let wrong = letter(&daemon, "Inbox/wrong", "[[error 404]]", &to).await?;
    let journal = whole(&daemon).await?;
    let found: Vec<_> = answers(&journal, "eng")
        .into_iter()
        .map(|note| (note.text("in_reply_to"), note.text("kind")))
        .collect();
    assert_eq!(found, [(well.id.as_str(), ""), (wrong.id.as_str(), "failure")]);
    Ok(())
}

#[tokio::test]
async fn tc_in_8_a_note_is_one_message_however_often_it_is_written() -> Result<()> {
    let daemon = with_eng().await?;
    let to = json!({"agent": "eng"});
    for text in ["[[reply one]]", "[[reply one]]", "[[reply two]]"] {
        letter(&daemon, "Inbox/same", text, &to).await?;
        whole(&daemon).await?;
    }
    // What comes after it has passed the same feed.
    letter(&daemon, "Inbox/other", "[[reply other]]", &to).await?;
    let journal = whole(&daemon).await?;
    let turns: Vec<_> = journal.turns.iter().map(JournalTurn::reply).collect();
    assert_eq!(turns, ["one", "other"]);
    assert_eq!(texts(&answers(&journal, "eng")), ["one", "other"]);
    Ok(())
}
