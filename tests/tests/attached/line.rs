//! The line of an attached agent: its order, its holders, and what a person does to it meanwhile.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::State;
use serde_json::{Value, json};

use super::{agent, answer, ask, next, outbound, pending, refused, turn_of, with_eng};

async fn set(daemon: &reveille_tests::Daemon, name: &str, metadata: Value) -> Result<()> {
    let body = json!({ "metadata": metadata });
    let path = ["api", "agents", name];
    daemon.request(Method::PATCH, &path, Some(&body)).await?.ok::<Value>()?;
    Ok(())
}

#[tokio::test]
async fn tc_at_8_sessions_that_race_get_everything_once_and_in_order() -> Result<()> {
    const MESSAGES: usize = 60;
    let daemon = with_eng().await?;
    let mut sent = Vec::new();
    for number in 0..MESSAGES {
        let subject = format!("s{}", number % 5);
        let body = json!({ "text": format!("Build {number}."), "subject": subject });
        sent.push(daemon.send_with("eng", &body).await?.id);
    }
    let session = async || -> Result<Vec<String>> {
        let mut got = Vec::new();
        loop {
            let taken = next(&daemon, "eng").await?;
            let Some(id) = taken["id"].as_str() else {
                return Ok(got);
            };
            let text = format!("Done {id}.");
            answer(&daemon, "eng", &taken, &text).await?.ok::<Value>()?;
            got.push(id.to_owned());
        }
    };
    let (first, second) = tokio::try_join!(session(), session())?;
    for got in [&first, &second] {
        let places: Vec<_> = got.iter().map(|id| sent.iter().position(|one| one == id)).collect();
        assert!(places.is_sorted(), "{places:?}");
    }
    let both: BTreeSet<&String> = first.iter().chain(&second).collect();
    assert_eq!((both.len(), first.len() + second.len()), (MESSAGES, MESSAGES));
    let answered: BTreeSet<String> = outbound(&daemon)
        .await?
        .iter()
        .map(|note| note.text("in_reply_to").to_owned())
        .collect();
    assert_eq!(
        (outbound(&daemon).await?.len(), answered),
        (MESSAGES, sent.into_iter().collect())
    );
    Ok(())
}

#[tokio::test]
async fn tc_at_5_what_is_given_back_is_the_next_again() -> Result<()> {
    let daemon = with_eng().await?;
    for text in ["one", "two"] {
        daemon.send("eng", text).await?;
    }
    let (one, two) = (next(&daemon, "eng").await?, next(&daemon, "eng").await?);
    assert_eq!((&one["text"], &two["text"]), (&json!("one"), &json!("two")));
    let renewed: Value = ask(
        &daemon,
        "eng",
        "renew",
        &json!({ "id": one["id"], "claim": one["claim"] }),
    )
    .await?
    .ok()?;
    let time = |value: &Value| value.as_str().map(str::parse::<jiff::Timestamp>);
    assert!(time(&renewed["ends_at"]).context("a time")?? >= time(&one["ends_at"]).context("a time")??);
    ask(&daemon, "eng", "release", &json!({ "id": one["id"] }))
        .await?
        .ok::<Value>()?;
    assert_eq!(refused(&answer(&daemon, "eng", &one, "x").await?), (409, "not_claimed"));
    // The other one of the conversation is still worked on.
    super::until_thread(&daemon, &two["thread"], "working").await?;
    let again = next(&daemon, "eng").await?;
    assert_eq!((&again["id"], again["claim"] != one["claim"]), (&one["id"], true));
    for taken in [&two, &again] {
        answer(&daemon, "eng", taken, "x").await?.ok::<Value>()?;
    }
    assert_eq!(outbound(&daemon).await?.len(), 2);
    let note = daemon
        .note(again["thread"].as_str().context("a thread")?)
        .await?
        .context("a note")?;
    assert_eq!(
        (&note["metadata"]["status"], &note["metadata"]["turn_count"]),
        (&json!("ok"), &json!("2"))
    );
    Ok(())
}

#[tokio::test]
async fn a_request_waits_for_a_message() -> Result<()> {
    let daemon = with_eng().await?;
    let body = json!({ "wait": 60 });
    let (taken, sent) = tokio::join!(ask(&daemon, "eng", "next", &body), async {
        // Whichever comes first, the message is taken.
        daemon.send("eng", "Build it.").await
    });
    assert_eq!(taken?.ok::<Value>()?["id"], json!(sent?.id));
    let refusal = ask(&daemon, "eng", "next", &json!({ "wait": 61 })).await?;
    assert_eq!(refused(&refusal), (400, "invalid_parameter"));
    Ok(())
}

#[tokio::test]
async fn a_paused_agent_gives_nothing_and_finishes_what_is_taken() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.send("eng", "one").await?;
    daemon.send("eng", "two").await?;
    let taken = next(&daemon, "eng").await?;
    let path = ["api", "agents", "eng", "pause"];
    let body = json!({ "reason": "Holidays." });
    daemon.request(Method::POST, &path, Some(&body)).await?.ok::<Value>()?;
    let nothing = next(&daemon, "eng").await?;
    assert_eq!(
        (&nothing["message"], &nothing["pause"]),
        (&Value::Null, &json!("paused by a person: Holidays."))
    );
    let waits = pending(&daemon, "eng").await?;
    assert_eq!((&waits["count"], &waits["pause"]), (&json!(1), &nothing["pause"]));
    answer(&daemon, "eng", &taken, "x").await?.ok::<Value>()?;
    daemon
        .request(Method::POST, &["api", "agents", "eng", "resume"], None)
        .await?
        .ok::<Value>()?;
    assert_eq!(next(&daemon, "eng").await?["text"], "two");
    Ok(())
}

#[tokio::test]
async fn an_agent_that_the_daemon_takes_over_goes_on() -> Result<()> {
    let daemon = with_eng().await?;
    let first = daemon.send("eng", "[[reply daemon]]").await?;
    let second = daemon.send("eng", "[[reply daemon]]").await?;
    let taken = next(&daemon, "eng").await?;
    set(&daemon, "eng", json!({ "backend": "programmatic" })).await?;
    assert_eq!(
        refused(&ask(&daemon, "eng", "next", &json!({})).await?),
        (409, "not_attached")
    );
    // What is taken keeps its conversation, and is answered by who has it.
    assert_eq!(
        daemon.turn(taken["turn"].as_str().context("a turn")?).await?.state,
        State::Working
    );
    answer(&daemon, "eng", &taken, "session").await?.ok::<Value>()?;
    let replies = [
        daemon.wait_turn("eng", &first).await?.reply,
        daemon.wait_turn("eng", &second).await?.reply,
    ];
    assert_eq!(replies, [Some("session".to_owned()), Some("daemon".to_owned())]);
    Ok(())
}

#[tokio::test]
async fn an_agent_that_becomes_attached_ends_its_turn_first() -> Result<()> {
    let daemon = with_eng().await?;
    set(&daemon, "eng", json!({ "backend": "programmatic" })).await?;
    let (begun, gate) = (daemon.scratch().join("begun"), daemon.scratch().join("gate"));
    let text = format!(
        "[[exec touch {}; while ! test -e {}; do sleep 0.02; done]]",
        begun.display(),
        gate.display()
    );
    let first = daemon.send("eng", &text).await?;
    reveille_tests::eventually("the turn runs", reveille_tests::daemon::LIMIT, async || {
        Ok(begun.exists().then_some(()))
    })
    .await?;
    let second = daemon.send("eng", "Build it.").await?;
    set(&daemon, "eng", json!({ "backend": "attached" })).await?;
    // What can be taken is told, and no more.
    assert_eq!(pending(&daemon, "eng").await?["count"], 0);
    assert_eq!(next(&daemon, "eng").await?["message"], Value::Null);
    std::fs::write(&gate, "")?;
    assert_eq!(daemon.wait_turn("eng", &first).await?.state, State::Ok);
    let taken: Value = ask(&daemon, "eng", "next", &json!({ "wait": 60 })).await?.ok()?;
    assert_eq!(taken["id"], json!(second.id));
    Ok(())
}

#[tokio::test]
async fn what_is_taken_goes_with_a_new_name() -> Result<()> {
    let daemon = with_eng().await?;
    let sent = daemon.send("eng", "one").await?;
    daemon.send("eng", "two").await?;
    let taken = next(&daemon, "eng").await?;
    set(&daemon, "eng", json!({ "name": "dev" })).await?;
    assert_eq!(
        refused(&answer(&daemon, "eng", &taken, "x").await?),
        (404, "unknown_agent")
    );
    assert_eq!(agent(&daemon, "dev").await?["claimed"][0]["turn"], taken["turn"]);
    answer(&daemon, "dev", &taken, "x").await?.ok::<Value>()?;
    assert_eq!(daemon.wait_turn("dev", &sent).await?.state, State::Ok);
    assert_eq!(next(&daemon, "dev").await?["text"], "two");
    Ok(())
}

#[tokio::test]
async fn a_person_changes_what_waits() -> Result<()> {
    let daemon = with_eng().await?;
    let mut turns = Vec::new();
    for text in ["one", "two", "three", "four"] {
        let sent = daemon.send("eng", text).await?;
        turns.push(turn_of(&daemon, &sent).await?);
    }
    let hand = async |turn: &str, what: &str, body: Value| -> Result<()> {
        let path = ["api", "turns", turn, what];
        daemon.request(Method::POST, &path, Some(&body)).await?.ok::<Value>()?;
        Ok(())
    };
    hand(&turns[0], "cancel", json!({})).await?;
    hand(&turns[1], "hold", json!({})).await?;
    hand(&turns[3], "move", json!({ "to": "first" })).await?;
    let body = json!({ "text": "third" });
    daemon
        .request(Method::PATCH, &["api", "turns", &turns[2]], Some(&body))
        .await?
        .ok::<Value>()?;
    let (first, then) = (next(&daemon, "eng").await?, next(&daemon, "eng").await?);
    assert_eq!((&first["text"], &then["text"]), (&json!("four"), &json!("third")));
    assert_eq!(next(&daemon, "eng").await?["message"], Value::Null);
    hand(&turns[1], "release", json!({})).await?;
    assert_eq!(next(&daemon, "eng").await?["text"], "two");
    Ok(())
}
