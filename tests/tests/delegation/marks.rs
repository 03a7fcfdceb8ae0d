//! What stands on the messages of a turn: the chain, its depth, the turn and the agent, whatever the agent writes.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT};
use serde_json::{Value, json};

use super::{Held, INBOUND, letter, marks, message, with};

const NOTES: &str = "/vault/default/api/notes";

/// Metadata of somebody who would like to pass for a person with a fresh chain.
fn lies() -> Value {
    json!({
        "agent": "beta", "chain_id": "another", "delegation_depth": "0", "delegated_by": "nobody", "sender": "ann",
        "callback": "true", "status": "ok", "source_channel": "gamma",
    })
}

/// The marks of the message with this id, on its note and on its turn.
async fn seen(daemon: &Daemon, id: &str) -> Result<([String; 4], [Value; 2])> {
    let note = message(daemon, "the message is there", |note| note.id == id).await?;
    assert!(!note.is_callback(), "{note:?}");
    let turn = super::eventually("it has a turn", LIMIT, async || {
        let turns = daemon.journal()?.turns;
        Ok(turns
            .into_iter()
            .find(|turn| turn.note == id)
            .map(|turn| turn.id.to_string()))
    })
    .await?;
    let turn = daemon.turn(&turn).await?;
    let of_turn = ["chain", "delegation_depth"].map(|key| turn.more[key].clone());
    Ok((marks(&note).map(str::to_owned), of_turn))
}

#[tokio::test]
async fn a_turn_hands_on_by_the_command_line() -> Result<()> {
    let daemon = with(&["alpha", "beta"]).await?;
    let command = "\"$REVEILLE_BIN\" send beta hi --reply-to alpha --correlation-id c-7 --sender ann";
    let first = daemon.send("alpha", &format!("[[exec {command}]]")).await?;
    let turn = daemon.wait_turn("alpha", &first).await?;
    assert!(
        turn.reply.as_deref().is_some_and(|reply| reply.contains("sent: ")),
        "{turn:?}"
    );
    let journal = daemon.wait_quiet(LIMIT).await?;
    let notes: Vec<_> = journal
        .notes
        .iter()
        .filter(|note| note.text("agent") == "beta" && note.is_inbound())
        .collect();
    let [note] = notes[..] else { panic!("{notes:?}") };
    assert_eq!(marks(note), [first.id.as_str(), "1", turn.turn.as_str(), "agent:alpha"]);
    assert_eq!((note.text("reply_to"), note.text("correlation_id")), ("alpha", "c-7"));
    let [callback] = super::callbacks(&journal)[..] else {
        panic!("{journal:#?}")
    };
    assert_eq!(marks(callback), [first.id.as_str(), "2", "", "callback:beta"]);
    assert_eq!(
        (callback.text("agent"), callback.text("correlation_id")),
        ("alpha", "c-7")
    );
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_turn_cannot_lie_about_its_chain_when_it_sends() -> Result<()> {
    let daemon = with(&["alpha", "beta"]).await?;
    let held = Held::with(&daemon, "alpha", &json!({"chain_id": "c-0", "delegation_depth": "3"})).await?;
    let mut body = lies();
    body["text"] = json!("hi");
    let sent = held.write(&daemon, "POST", "/api/channels/beta/send", &body).await?;
    held.let_go()?;
    let id = sent["id"].as_str().context("an id")?;
    let expected = ["c-0", "4", &held.turn, "agent:alpha"].map(str::to_owned);
    assert_eq!(seen(&daemon, id).await?, (expected, [json!("c-0"), json!(4)]));
    // It has asked for no report.
    assert_eq!(super::callbacks(&daemon.wait_quiet(LIMIT).await?), Vec::<&_>::new());
    Ok(())
}

#[tokio::test]
async fn a_turn_cannot_lie_about_its_chain_in_notes() -> Result<()> {
    let daemon = with(&["alpha", "beta"]).await?;
    let held = Held::new(&daemon, "alpha").await?;
    let one = json!({"content": "one", "tags": ["#agent/message/inbound"], "metadata": lies()});
    let batch = json!({"notes": [
        {"content": "two", "tags": INBOUND, "metadata": lies()},
        {"content": "three", "tags": [" agent/message/inbound "], "metadata": {"channel": "beta"}},
    ]});
    let upsert = json!({
        "content": "four", "tags": INBOUND, "metadata": lies(), "if_missing": "create", "force": true
    });
    let id = |note: &Value| note["id"].as_str().map(str::to_owned).context("an id");
    let mut ids = vec![id(&held.write(&daemon, "POST", NOTES, &one).await?)?];
    let both = held.write(&daemon, "POST", NOTES, &batch).await?;
    for note in both.as_array().context("two notes")? {
        ids.push(id(note)?);
    }
    ids.push(id(&held
        .write(&daemon, "PATCH", &format!("{NOTES}/by-path"), &upsert)
        .await?)?);

    // A note that was none becomes a message in two steps, with the lies in the first.
    let draft = json!({"content": "five", "tags": ["draft"], "metadata": lies()});
    let draft = id(&held.write(&daemon, "POST", NOTES, &draft).await?)?;
    let wake = json!({"tags": {"add": INBOUND}, "force": true});
    held.write(&daemon, "PATCH", &format!("{NOTES}/{draft}"), &wake).await?;
    ids.push(draft);
    // One that reached nobody gets an address.
    let lost = letter(&daemon, "lost", "six", &json!({"sender": "ann"})).await?;
    let address = json!({"metadata": lies(), "force": true});
    held.write(&daemon, "PATCH", &format!("{NOTES}/{lost}"), &address)
        .await?;
    ids.push(lost);

    held.let_go()?;
    let chain = held.sent.id.as_str();
    let expected = [chain, "1", &held.turn, "agent:alpha"].map(str::to_owned);
    for id in &ids {
        assert_eq!(
            seen(&daemon, id).await?,
            (expected.clone(), [json!(chain), json!(1)]),
            "{id}"
        );
    }
    assert_eq!(daemon.wait_quiet(LIMIT).await?.violations(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_turn_may_note_something_on_a_message_of_another_without_taking_it_over() -> Result<()> {
    let daemon = with(&["alpha", "beta"]).await?;
    let held = Held::new(&daemon, "alpha").await?;
    let id = letter(
        &daemon,
        "ann/1",
        "[[reply done]]",
        &json!({"agent": "beta", "sender": "ann"}),
    )
    .await?;
    let target = format!("{NOTES}/{id}");
    let seen_by = json!({"metadata": {"seen_by": "alpha", "chain_id": "another", "sender": "eve"}, "force": true});
    let note = held.write(&daemon, "PATCH", &target, &seen_by).await?;
    assert_eq!(
        note["metadata"],
        json!({"agent": "beta", "sender": "ann", "seen_by": "alpha"})
    );
    // What it says is another matter: that is the turn's own word then.
    let said = json!({"append": " and more"});
    let note = held.write(&daemon, "PATCH", &target, &said).await?;
    assert_eq!(note["metadata"]["sender"], "agent:alpha");
    // Who has not seen the last change does not overwrite it.
    let stale = json!({"content": "stale", "if_updated_at": "2020-01-01T00:00:00.000Z"});
    let answer = held.ask(&daemon, "PATCH", &target, &stale).await?;
    assert_eq!(answer.refusal()?, (409, "conflict".to_owned()));
    held.let_go()
}

#[tokio::test]
async fn a_person_begins_a_chain_or_goes_on_with_one() -> Result<()> {
    let daemon = with(&["alpha"]).await?;
    let first = daemon.send("alpha", "[[reply one]]").await?;
    let next = daemon
        .send_with("alpha", &json!({"text": "[[reply two]]", "chain_id": first.id}))
        .await?;
    let other = daemon.send("alpha", "[[reply three]]").await?;
    for (sent, chain) in [(&first, &first.id), (&next, &first.id), (&other, &other.id)] {
        let turn = daemon.wait_turn("alpha", sent).await?;
        let seen = (&turn.more["chain"], &turn.more["delegation_depth"]);
        assert_eq!(seen, (&json!(chain), &json!(0)));
    }
    // The first message of a chain does not name it.
    let note = daemon.note(&first.id).await?.context("a note")?;
    assert_eq!(note["metadata"].get("chain_id"), None);
    Ok(())
}

#[tokio::test]
async fn a_circle_of_agents_ends_at_the_door() -> Result<()> {
    let daemon = with(&["alpha", "beta"]).await?;
    let file = |name: &str| daemon.scratch().join(name).display().to_string();
    for (from, to) in [("alpha", "beta"), ("beta", "alpha")] {
        let script = format!("\"$REVEILLE_BIN\" send {to} - <{}", file(&format!("for-{to}")));
        std::fs::write(file(&format!("script-{from}")), script)?;
        let text = format!("[[exec bash {}]]", file(&format!("script-{from}")));
        std::fs::write(file(&format!("for-{from}")), text)?;
    }
    let first = daemon
        .send("alpha", &std::fs::read_to_string(file("for-alpha"))?)
        .await?;
    let last = message(&daemon, "the eighth hand-over", |note| {
        note.text("delegation_depth") == "8"
    })
    .await?;
    assert_eq!(
        (last.text("agent"), last.text("chain_id")),
        ("alpha", first.id.as_str())
    );
    let journal = daemon.wait_quiet(LIMIT).await?;
    let depths: Vec<_> = journal
        .turns
        .iter()
        .map(|turn| turn.body["delegation_depth"].clone())
        .collect();
    assert_eq!(depths, (0..=8).map(|depth| json!(depth)).collect::<Vec<_>>());
    let told = journal
        .turns
        .last()
        .and_then(|turn| turn.record["reply"].as_str())
        .unwrap_or_default();
    assert!(
        told.contains("Exit code 4") && told.contains("limit") && told.contains("Nothing was sent"),
        "{told}"
    );
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_message_that_would_lie_too_deep_is_refused_and_a_note_says_how_deep_it_lies() -> Result<()> {
    let daemon = with(&["alpha", "beta"]).await?;
    let held = Held::with(&daemon, "alpha", &json!({"delegation_depth": "8"})).await?;
    let answer = held
        .ask(&daemon, "POST", "/api/channels/beta/send", &json!({"text": "hi"}))
        .await?;
    assert_eq!(answer.refusal()?, (409, "delegation_too_deep".to_owned()));
    assert!(answer.json()?["next_step"].is_string());
    let note = json!({"content": "hi", "tags": INBOUND, "metadata": {"agent": "beta", "reply_to": "alpha"}});
    let note = held.write(&daemon, "POST", NOTES, &note).await?;
    assert_eq!(note["metadata"]["delegation_depth"], "9");
    held.let_go()?;
    // It is there, and its turn says why it does not run.
    let journal = daemon.wait_quiet(LIMIT).await?;
    let turn = journal
        .turns
        .iter()
        .find(|turn| note["id"] == turn.note.as_str())
        .context("a turn")?;
    assert_eq!(
        (turn.state.as_str(), turn.record["failure"]["code"].as_str()),
        ("error", Some("delegation_too_deep"))
    );
    let answers: Vec<_> = journal
        .notes
        .iter()
        .filter(|one| note["id"] == one.text("in_reply_to"))
        .collect();
    assert!(
        matches!(answers[..], [answer] if answer.text("kind") == "failure"),
        "{answers:?}"
    );
    Ok(())
}

#[tokio::test]
async fn where_messages_share_a_turn_the_deepest_one_counts() -> Result<()> {
    let daemon = with(&["alpha", "beta"]).await?;
    let busy = Held::new(&daemon, "alpha").await?;
    let text = "[[exec \"$REVEILLE_BIN\" send beta 'from both']]";
    let person = json!({"agent": "alpha", "mode": "collect"});
    let agents = json!({"agent": "alpha", "mode": "collect", "chain_id": "c-0", "delegation_depth": "4"});
    for (path, text, metadata) in [("both/1", text, &person), ("both/2", "and this", &agents)] {
        let id = letter(&daemon, path, text, metadata).await?;
        super::eventually("it waits", LIMIT, async || {
            Ok(daemon.journal()?.turns.iter().any(|turn| turn.note == id).then_some(()))
        })
        .await?;
    }
    busy.let_go()?;
    let sent = message(&daemon, "beta is asked", |note| note.text("agent") == "beta").await?;
    assert_eq!(marks(&sent)[..2], ["c-0", "5"]);
    Ok(())
}
