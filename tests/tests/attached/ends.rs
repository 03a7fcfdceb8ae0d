//! From the message to its answer, and everything that follows from it.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::State;
use serde_json::{Value, json};

use super::{agent, answer, ask, attach, next, outbound, pending, refused, stand_in, thread, until_thread, with_eng};

#[tokio::test]
async fn tc_in_1_tc_at_1_2_3_4_a_reply_ends_a_message_as_every_turn_ends() -> Result<()> {
    let daemon = with_eng().await?;
    let eng = agent(&daemon, "eng").await?;
    assert_eq!((&eng["backend"], &eng["status"]), (&json!("attached"), &json!("idle")));
    let sent = daemon
        .send_with("eng", &json!({ "text": "Build\n  it.", "sender": "anna" }))
        .await?;
    let waits = pending(&daemon, "eng").await?;
    assert_eq!(
        (&waits["count"], &waits["items"][0]["id"], &waits["items"][0]["preview"]),
        (&json!(1), &json!(sent.id), &json!("Build it."))
    );
    assert_eq!(agent(&daemon, "eng").await?["status"], "queued");

    let taken = next(&daemon, "eng").await?;
    assert_eq!(
        ["id", "text", "inReplyTo", "sender", "attachments"].map(|key| &taken[key]),
        [
            &json!(sent.id),
            &json!("Build\n  it."),
            &json!(sent.id),
            &json!("anna"),
            &json!([])
        ]
    );
    let role = taken["systemPrompt"].as_str().context("a role")?;
    // Tools of a turn's child are not there.
    assert!(role.contains("You build.") && !role.contains("mcp__reveille"), "{role}");
    let eng = agent(&daemon, "eng").await?;
    let claimed = &eng["claimed"][0];
    assert_eq!(
        [
            &eng["status"],
            &eng["waiting"],
            &claimed["turn"],
            &claimed["by"],
            &claimed["ends_at"]
        ],
        [
            &json!("working"),
            &json!(0),
            &taken["turn"],
            &json!("operator"),
            &taken["ends_at"]
        ]
    );
    until_thread(&daemon, &taken["thread"], "working").await?;
    assert_eq!(
        next(&daemon, "eng").await?,
        json!({ "message": null, "note": "no pending messages" })
    );

    let replied: Value = answer(&daemon, "eng", &taken, "Built.").await?.ok()?;
    assert_eq!(
        [&replied["in_reply_to"], &replied["repeated"], &replied["undelivered"]],
        [&json!(sent.id), &json!(false), &json!(false)]
    );
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!((turn.state, turn.reply.as_deref()), (State::Ok, Some("Built.")));
    assert_eq!(
        (&turn.more["note"], &turn.more["claimed_by"]),
        (&replied["id"], &json!("operator"))
    );
    let [note] = &outbound(&daemon).await?[..] else {
        anyhow::bail!("not one answer");
    };
    assert_eq!(
        (
            json!(note.id),
            note.content.as_str(),
            note.text("in_reply_to"),
            note.text("thread")
        ),
        (
            replied["id"].clone(),
            "Built.",
            sent.id.as_str(),
            taken["thread"].as_str().context("a thread")?
        )
    );
    assert_eq!(thread(&daemon, &taken["thread"]).await?.0, "ok");
    assert_eq!(agent(&daemon, "eng").await?["status"], "idle");
    // Nothing stands on the message itself.
    let message = daemon.note(&sent.id).await?.context("the message")?;
    assert_eq!(
        (&message["metadata"]["status"], &message["metadata"]["claimedAt"]),
        (&Value::Null, &Value::Null)
    );
    assert!(daemon.children()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn the_same_reply_again_is_the_same_note_and_another_is_refused() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.send("eng", "Build it.").await?;
    let taken = next(&daemon, "eng").await?;
    let first: Value = answer(&daemon, "eng", &taken, "Built.").await?.ok()?;
    let again: Value = answer(&daemon, "eng", &taken, "Built.").await?.ok()?;
    assert_eq!((&again["id"], &again["repeated"]), (&first["id"], &json!(true)));
    let other = answer(&daemon, "eng", &taken, "Not built.").await?;
    assert_eq!(refused(&other), (409, "already_answered"));
    let texts: Vec<String> = outbound(&daemon).await?.into_iter().map(|note| note.content).collect();
    assert_eq!(texts, ["Built."]);
    Ok(())
}

#[tokio::test]
async fn many_tries_at_once_are_one_reply() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.send("eng", "Build it.").await?;
    let taken = next(&daemon, "eng").await?;
    let tries = futures_util::future::join_all((0..8).map(|_| answer(&daemon, "eng", &taken, "Built."))).await;
    let mut fresh = 0;
    for replied in tries {
        let replied: Value = replied?.ok()?;
        fresh += u32::from(replied["repeated"] == false);
    }
    assert_eq!((fresh, outbound(&daemon).await?.len()), (1, 1));
    Ok(())
}

#[tokio::test]
async fn a_word_of_its_own_answers_nothing() -> Result<()> {
    let daemon = with_eng().await?;
    let said: Value = ask(&daemon, "eng", "reply", &json!({ "text": "I am here." }))
        .await?
        .ok()?;
    let [note] = &outbound(&daemon).await?[..] else {
        anyhow::bail!("not one answer");
    };
    assert_eq!(
        (json!(note.id), note.content.as_str()),
        (said["id"].clone(), "I am here.")
    );
    assert_eq!((note.text("in_reply_to"), note.text("turn")), ("", ""));
    assert_eq!(daemon.journal()?.turns.len(), 0);
    Ok(())
}

#[tokio::test]
async fn watchers_see_who_has_it_and_what_becomes_of_it() -> Result<()> {
    let daemon = with_eng().await?;
    let mut events = daemon.events("eng").await?;
    daemon.send("eng", "Build it.").await?;
    let taken = next(&daemon, "eng").await?;
    ask(&daemon, "eng", "release", &json!({ "id": taken["id"] }))
        .await?
        .ok::<Value>()?;
    until_thread(&daemon, &taken["thread"], "waiting").await?;
    let taken = next(&daemon, "eng").await?;
    let replied: Value = answer(&daemon, "eng", &taken, "Built.").await?.ok()?;
    let turn = taken["turn"].as_str().context("a turn")?;
    let seen = events.until_end(turn).await?;
    let seen: Vec<Value> = seen
        .iter()
        .filter(|event| event.data["turn"] == turn)
        .map(|event| {
            let keys = ["kind", "by", "back", "reply", "note"];
            let told = keys.into_iter().filter(|key| !event.data[key].is_null());
            told.map(|key| (key.to_owned(), event.data[key].clone())).collect()
        })
        .collect();
    assert_eq!(
        seen,
        [
            json!({ "kind": "queued" }),
            json!({ "kind": "started", "by": "operator" }),
            json!({ "kind": "waiting", "back": "released" }),
            json!({ "kind": "started", "by": "operator" }),
            json!({ "kind": "done", "reply": "Built.", "note": replied["id"] }),
        ]
    );
    Ok(())
}

#[tokio::test]
async fn the_files_of_a_message_are_told_and_can_be_read() -> Result<()> {
    let daemon = with_eng().await?;
    let (name, bytes) = ("plan.txt", "dig here");
    let file = daemon.scratch().join(name);
    std::fs::write(&file, bytes)?;
    let ran = daemon
        .run(["send", "eng", "Look.", "--attach", &file.display().to_string()])
        .await?;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let taken = next(&daemon, "eng").await?;
    let told = &taken["attachments"][0];
    assert_eq!(
        (&told["name"], &told["mime_type"], &told["size"]),
        (&json!(name), &json!("text/plain"), &json!(bytes.len()))
    );
    let read = daemon
        .ask_in("GET", told["url"].as_str().context("an address")?, b"")
        .await?;
    assert_eq!((read.status, &read.body[..]), (200, bytes.as_bytes()));
    Ok(())
}

#[tokio::test]
async fn collected_messages_are_answered_together() -> Result<()> {
    let daemon = stand_in().start().await?;
    attach(&daemon, "eng", json!({ "message_mode": "collect" })).await?;
    let mut sent = Vec::new();
    for text in ["one", "two", "three"] {
        sent.push(daemon.send("eng", text).await?);
    }
    let taken = next(&daemon, "eng").await?;
    let text = taken["text"].as_str().context("a text")?;
    assert!(["one", "two", "three"].iter().all(|word| text.contains(word)), "{text}");
    // By any of them.
    let body = json!({ "text": "All done.", "in_reply_to": sent[2].id });
    ask(&daemon, "eng", "reply", &body).await?.ok::<Value>()?;
    for one in &sent {
        assert_eq!(daemon.wait_turn("eng", one).await?.state, State::Ok);
    }
    assert_eq!(outbound(&daemon).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_stop_ends_the_claim() -> Result<()> {
    let daemon = with_eng().await?;
    let sent = daemon.send("eng", "Build it.").await?;
    let taken = next(&daemon, "eng").await?;
    daemon.stop_turn(taken["turn"].as_str().context("a turn")?).await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!(
        (turn.state, &turn.more["ended_by"]),
        (State::Cancelled, &json!("operator"))
    );
    assert_eq!(
        refused(&answer(&daemon, "eng", &taken, "Built.").await?),
        (409, "stopped")
    );
    let renewed = ask(&daemon, "eng", "renew", &json!({ "id": taken["id"] })).await?;
    assert_eq!(refused(&renewed), (409, "stopped"));
    assert_eq!(
        (
            outbound(&daemon).await?.len(),
            thread(&daemon, &taken["thread"]).await?.0
        ),
        (0, "cancelled".into())
    );
    let again = daemon
        .request(
            Method::POST,
            &["api", "turns", taken["turn"].as_str().unwrap_or_default(), "stop"],
            None,
        )
        .await?;
    assert_eq!((again.status, &again.body["error"]), (409, &json!("not_running")));
    Ok(())
}
