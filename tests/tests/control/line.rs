//! The line: list, cancel, hold, move, edit.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, Sent, State};
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

use super::{Gate, answers, empty, get, hand, note, patch, post, refusal, turn_of, with_eng};

async fn line(daemon: &Daemon, agent: &str) -> Result<Value> {
    get(daemon, &["channels", agent, "queue"]).await
}

/// One key of all turns in line.
fn each<'a>(queue: &'a Value, key: &str) -> Vec<&'a Value> {
    let turns = queue["turns"].as_array();
    turns.into_iter().flatten().map(|turn| &turn[key]).collect()
}

/// Waits until the thread note of a turn that runs says so: it is written beside the start of its program. Answers its id.
async fn until_working(daemon: &Daemon, turn: &str) -> Result<String> {
    let turn = get(daemon, &["turns", turn]).await?;
    let thread = turn["thread"].as_str().context("a thread")?;
    eventually("the thread says that it works", LIMIT, async || {
        let note = daemon.note(thread).await?;
        let works = note.is_some_and(|note| note["metadata"]["status"] == "working");
        Ok(works.then(|| thread.to_owned()))
    })
    .await
}

async fn send_all(daemon: &Daemon, replies: &[&str]) -> Result<Vec<Sent>> {
    let mut sent = Vec::new();
    for reply in replies {
        sent.push(daemon.send("eng", &format!("[[reply {reply}]]")).await?);
    }
    Ok(sent)
}

#[tokio::test]
async fn the_line_is_listed_in_its_order() -> Result<()> {
    let daemon = with_eng().await?;
    let idle = json!({ "channel": "eng", "waiting": 0, "pause": null, "turns": [] });
    assert_eq!(line(&daemon, "eng").await?, idle);
    let gate = Gate::close(&daemon, "eng", empty()).await?;
    let long = format!("[[reply b]] {}", "x".repeat(1000));
    let a = daemon.send("eng", "[[reply a]]").await?;
    let b = daemon
        .send_with("eng", &json!({"text": long, "sender": "ann", "mode": "collect"}))
        .await?;
    let aside = Gate::close(&daemon, "eng", json!({"subject": "aside"})).await?;
    let c = daemon
        .send_with("eng", &json!({"text": "[[reply c]]", "subject": "aside"}))
        .await?;

    let queue = line(&daemon, "eng").await?;
    assert_eq!(queue["waiting"], 3);
    let messages = [&gate.sent, &aside.sent, &a, &b, &c].map(|sent| json!(sent.id));
    assert_eq!(each(&queue, "message"), messages.iter().collect::<Vec<_>>());
    let states = ["working", "working", "waiting", "waiting", "waiting"];
    assert_eq!(each(&queue, "state"), states);
    assert_eq!(each(&queue, "position"), [0, 0, 1, 2, 1]);
    assert_eq!(each(&queue, "mode")[2..4], ["followup", "collect"]);
    assert_eq!(each(&queue, "sender")[2..4], ["operator", "ann"]);
    assert_eq!(each(&queue, "subject")[3..], [&Value::Null, &json!("aside")]);
    assert_eq!(each(&queue, "held")[2], &json!(false));
    let text = each(&queue, "text")[3].as_str().context("a text")?;
    assert_eq!(text.chars().count(), 501, "{text}");
    for turn in queue["turns"].as_array().context("turns")? {
        assert_eq!((&turn["channel"], &turn["interruptions"]), (&json!("eng"), &json!(0)));
        assert!(turn["accepted_at"].is_string() && turn["thread"].is_string() && turn["chain"].is_string());
    }
    // A cut list still says how many wait.
    let target = "/api/channels/eng/queue?limit=3";
    let cut = daemon.ask_in("GET", target, b"").await?.json()?;
    assert_eq!((each(&cut, "message").len(), &cut["waiting"]), (3, &json!(3)));
    let none = daemon.ask_in("GET", "/api/channels/nobody/queue", b"").await?;
    assert_eq!(none.refusal()?, (404, "unknown_agent".into()));
    gate.open()?;
    aside.open()
}

#[tokio::test]
async fn moved_messages_are_answered_in_their_new_order() -> Result<()> {
    let daemon = with_eng().await?;
    let gate = Gate::close(&daemon, "eng", empty()).await?;
    let sent = send_all(&daemon, &["a", "b", "c", "d"]).await?;
    let [a, b, c, d] = [0, 1, 2, 3].map(|at: usize| turn_of(&sent[at]));
    let (a, b, c, d) = (a?, b?, c?, d?);
    let mut events = daemon.events("eng").await?;
    assert_eq!(hand(&daemon, d, "move", json!({"to": "first"})).await?["position"], 1);
    assert_eq!(hand(&daemon, a, "move", json!({"to": "last"})).await?["position"], 4);
    // The end of an identity will do.
    let short = &b[b.len() - 8..];
    let moved = hand(&daemon, c, "move", json!({"to": {"before": short}})).await?;
    assert_eq!(moved["position"], 2);
    let seen = events
        .until(|event| event.kind() == "waiting" && event.data["turn"] == c)
        .await?;
    let last = &seen.last().context("an event")?.data;
    assert_eq!(
        (&last["position"], &last["held"], &last["text"]),
        (&json!(2), &json!(false), &json!("[[reply c]]"))
    );

    let aside = daemon
        .send_with("eng", &json!({"text": "[[reply aside]]", "subject": "aside"}))
        .await?;
    daemon.wait_turn("eng", &aside).await?;
    let elsewhere = json!({"to": {"before": turn_of(&aside)?}});
    let reply = post(&daemon, &["turns", a, "move"], elsewhere).await?;
    assert_eq!(refusal(&reply), (409, "other_line"));
    let running = turn_of(&gate.sent)?;
    let reply = post(&daemon, &["turns", running, "move"], json!({"to": "last"})).await?;
    assert_eq!(refusal(&reply), (409, "running"));
    let reply = post(&daemon, &["turns", a, "move"], json!({"to": "middle"})).await?;
    assert_eq!(refusal(&reply), (400, "invalid_body"));
    gate.open()?;
    let expected = ["aside", "gate", "d", "c", "b", "a"];
    assert_eq!(answers(&daemon, "eng", expected.len()).await?, expected);
    Ok(())
}

#[tokio::test]
async fn a_held_message_lets_the_others_pass() -> Result<()> {
    let mut daemon = with_eng().await?;
    let gate = Gate::close(&daemon, "eng", empty()).await?;
    let sent = send_all(&daemon, &["a", "b"]).await?;
    let a = turn_of(&sent[0])?;
    let held = hand(&daemon, a, "hold", empty()).await?;
    assert_eq!((&held["held"], &held["state"]), (&json!(true), &json!("waiting")));
    // Nothing waits behind what is passed.
    assert_eq!(each(&line(&daemon, "eng").await?, "position"), [0, 1, 1]);
    gate.open()?;
    assert_eq!(daemon.wait_turn("eng", &sent[1]).await?.reply.as_deref(), Some("b"));
    daemon.restart().await?;
    let later = daemon.send("eng", "[[reply later]]").await?;
    daemon.wait_turn("eng", &later).await?;
    let queue = line(&daemon, "eng").await?;
    assert_eq!(
        (each(&queue, "turn"), each(&queue, "held")),
        (vec![&json!(a)], vec![&json!(true)])
    );

    assert_eq!(hand(&daemon, a, "release", empty()).await?["held"], false);
    assert_eq!(daemon.wait_turn("eng", &sent[0]).await?.reply.as_deref(), Some("a"));
    for what in ["hold", "release", "cancel"] {
        let reply = post(&daemon, &["turns", a, what], empty()).await?;
        assert_eq!(refusal(&reply), (409, "settled"), "{what}");
    }
    Ok(())
}

#[tokio::test]
async fn an_edited_message_is_answered_as_it_reads_now() -> Result<()> {
    let daemon = with_eng().await?;
    let gate = Gate::close(&daemon, "eng", empty()).await?;
    let body = json!({"text": "[[reply old]]", "sender": "ann", "correlation_id": "c-1"});
    let sent = daemon.send_with("eng", &body).await?;
    let turn = turn_of(&sent)?;
    let before = note(&daemon, &sent.id).await?;
    let blank = patch(&daemon, &["turns", turn], json!({"text": " \n"})).await?;
    assert_eq!(refusal(&blank), (400, "blank_text"));
    assert_eq!(note(&daemon, &sent.id).await?, before);

    let edited = patch(&daemon, &["turns", turn], json!({"text": "[[reply new]]"})).await?;
    let edited: Value = edited.ok()?;
    assert_eq!(
        (&edited["text"], &edited["sender"]),
        (&json!("[[reply new]]"), &json!("ann"))
    );
    let after = note(&daemon, &sent.id).await?;
    assert_eq!(
        (&after["content"], &after["metadata"]),
        (&json!("[[reply new]]"), &before["metadata"])
    );
    // One that runs keeps its text, in the vault too.
    let running = note(&daemon, &gate.sent.id).await?;
    let late = patch(
        &daemon,
        &["turns", turn_of(&gate.sent)?],
        json!({"text": "[[reply late]]"}),
    )
    .await?;
    assert_eq!(refusal(&late), (409, "running"));
    assert_eq!(note(&daemon, &gate.sent.id).await?, running);
    gate.open()?;
    let ended = daemon.wait_turn("eng", &sent).await?;
    assert_eq!(ended.reply.as_deref(), Some("new"));
    let late = patch(&daemon, &["turns", turn], json!({"text": "[[reply late]]"})).await?;
    assert_eq!(refusal(&late), (409, "settled"));
    Ok(())
}

#[tokio::test]
async fn a_message_whose_note_was_deleted_cannot_be_edited() -> Result<()> {
    let daemon = with_eng().await?;
    let gate = Gate::close(&daemon, "eng", empty()).await?;
    let sent = daemon.send("eng", "[[reply gone]]").await?;
    let path = ["vault", "default", "api", "notes", sent.id.as_str()];
    daemon.request(Method::DELETE, &path, None).await?.ok::<Value>()?;
    let reply = patch(&daemon, &["turns", turn_of(&sent)?], json!({"text": "new"})).await?;
    assert_eq!((reply.status, &reply.body["error"]), (404, &json!("unknown_note")));
    gate.open()?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Cancelled);
    Ok(())
}

#[tokio::test]
async fn a_cancelled_message_never_runs_and_its_requester_is_told() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("boss", "You decide.").await?;
    let gate = Gate::close(&daemon, "eng", empty()).await?;
    until_working(&daemon, turn_of(&gate.sent)?).await?;
    let body = json!({"text": "[[reply never]]", "reply_to": "boss", "correlation_id": "c-1"});
    let sent = daemon.send_with("eng", &body).await?;
    let turn = turn_of(&sent)?;
    let mut events = daemon.events("eng").await?;
    let cancelled = hand(&daemon, turn, "cancel", json!({"by": "ann"})).await?;
    assert_eq!(
        (&cancelled["state"], &cancelled["ended_by"], &cancelled["claimed_at"]),
        (&json!("cancelled"), &json!("ann"), &Value::Null)
    );
    let end = events.until_end(turn).await?;
    assert_eq!(end.last().map(|event| event.kind().to_owned()), Some("stopped".into()));

    // The requester wakes and reads what became of it.
    let callback = eventually("the boss has read it", LIMIT, async || {
        let told = daemon.messages("boss").await?;
        Ok(told.into_iter().find(|message| message.state == Some(State::Ok)))
    });
    let callback = note(&daemon, &callback.await?.id).await?;
    let metadata = &callback["metadata"];
    for (key, expected) in [
        ("callback", "true"),
        ("status", "cancelled"),
        ("source_channel", "eng"),
        ("correlation_id", "c-1"),
        ("sender", "callback:eng"),
    ] {
        assert_eq!(metadata[key], expected, "{key} of {metadata}");
    }
    // Its links lead somewhere.
    let thread = metadata["source_thread"].as_str().context("a thread")?;
    assert_eq!(note(&daemon, thread).await?["metadata"]["status"], "working");
    assert_eq!(metadata.get("source_message"), None);

    let again = post(&daemon, &["turns", turn, "cancel"], empty()).await?;
    assert_eq!(refusal(&again), (409, "settled"));
    let running = post(&daemon, &["turns", turn_of(&gate.sent)?, "cancel"], empty()).await?;
    assert_eq!(refusal(&running), (409, "running"));
    assert!(
        running.body["next_step"]
            .as_str()
            .is_some_and(|step| step.contains("turn stop"))
    );
    gate.open()?;
    daemon.wait_turn("eng", &gate.sent).await?;
    let after = send_all(&daemon, &["after"]).await?;
    daemon.wait_turn("eng", &after[0]).await?;
    assert_eq!(answers(&daemon, "eng", 2).await?, ["gate", "after"]);
    Ok(())
}

#[tokio::test]
async fn a_first_message_that_is_cancelled_links_no_thread() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("boss", "You decide.").await?;
    post(&daemon, &["agents", "eng", "pause"], empty())
        .await?
        .ok::<Value>()?;
    let sent = daemon
        .send_with("eng", &json!({"text": "[[reply never]]", "reply_to": "boss"}))
        .await?;
    let cancelled = hand(&daemon, turn_of(&sent)?, "cancel", empty()).await?;
    assert_eq!(cancelled["ended_by"], "operator");
    let told = eventually("the boss is told", LIMIT, async || {
        Ok(daemon.messages("boss").await?.into_iter().next())
    });
    let told = note(&daemon, &told.await?.id).await?;
    assert_eq!(told["metadata"]["status"], "cancelled");
    assert_eq!(told["metadata"].get("source_thread"), None);
    Ok(())
}

#[tokio::test]
async fn a_cancelled_message_for_nobody_no_longer_says_that_it_waits() -> Result<()> {
    let daemon = with_eng().await?;
    let tags = ["agent/message", "agent/message/inbound"];
    let metadata = json!({"agent": "ghost", "reply_to": "phantom"});
    let written = daemon.note_put("Letters/1", "hello", &tags, &metadata).await?;
    let id = written["id"].as_str().context("an id")?;
    let status = async |wanted: &str| {
        eventually(&format!("the note says {wanted}"), LIMIT, async || {
            let note = note(&daemon, id).await?;
            Ok((note["metadata"]["status"] == wanted).then_some(note))
        })
        .await
    };
    status("waiting").await?;
    // The feed says that it waits before it puts it in line.
    let turn = eventually("it is in line", LIMIT, async || {
        let queue = daemon.ask_in("GET", "/api/channels/ghost/queue", b"").await?.json()?;
        let turns = each(&queue, "turn");
        Ok(turns.first().and_then(|turn| turn.as_str()).map(str::to_owned))
    })
    .await?;
    let cancelled = hand(&daemon, &turn, "cancel", empty()).await?;
    assert_eq!(cancelled["state"], "cancelled");
    let notices = cancelled["notices"].as_array().context("notices")?;
    assert!(
        notices.iter().any(|notice| notice
            .as_str()
            .is_some_and(|text| text.contains("phantom was not told"))),
        "{notices:?}"
    );
    status("cancelled").await?;
    // Nobody works on it when the agent comes.
    daemon.create_agent("ghost", "You haunt.").await?;
    super::let_others_pass(&daemon).await?;
    assert_eq!(daemon.turn(&turn).await?.state, State::Cancelled);
    assert_eq!(daemon.messages("ghost").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_turn_that_was_cut_off_can_be_cancelled_too() -> Result<()> {
    let mut daemon = with_eng().await?;
    let gate = Gate::close(&daemon, "eng", empty()).await?;
    let turn = turn_of(&gate.sent)?;
    let thread = until_working(&daemon, turn).await?;
    post(&daemon, &["agents", "eng", "pause"], empty())
        .await?
        .ok::<Value>()?;
    daemon.kill9().await?;
    daemon.start().await?;
    let waiting = eventually("it is back in line", LIMIT, async || {
        let now = get(&daemon, &["turns", turn]).await?;
        Ok((now["state"] == "waiting").then_some(now))
    });
    let waiting = waiting.await?;
    assert_eq!(
        (&waiting["interruptions"], &waiting["thread"]),
        (&json!(1), &json!(thread))
    );
    assert_eq!(note(&daemon, &thread).await?["metadata"]["status"], "working");
    hand(&daemon, turn, "cancel", empty()).await?;
    assert_eq!(note(&daemon, &thread).await?["metadata"]["status"], "cancelled");
    post(&daemon, &["agents", "eng", "resume"], empty())
        .await?
        .ok::<Value>()?;
    let next = daemon.send("eng", "[[reply next]]").await?;
    daemon.wait_turn("eng", &next).await?;
    assert_eq!(answers(&daemon, "eng", 1).await?, ["next"]);
    Ok(())
}

#[tokio::test]
async fn turns_are_listed_and_called_by_a_part_of_their_identity() -> Result<()> {
    let daemon = with_eng().await?;
    let ok = daemon.send("eng", "[[reply one]]").await?;
    daemon.wait_turn("eng", &ok).await?;
    let failed = daemon.send("eng", "[[error too-long]]").await?;
    daemon.wait_turn("eng", &failed).await?;
    let gate = Gate::close(&daemon, "eng", empty()).await?;
    let waiting = daemon.send("eng", "[[reply two]]").await?;
    let list = async |query: &str| -> Result<Vec<Value>> {
        let listed = daemon
            .ask_in("GET", &format!("/api/turns?channel=eng{query}"), b"")
            .await?;
        let listed = listed.json()?;
        let turns = listed["turns"].as_array().with_context(|| listed.to_string())?;
        Ok(turns.iter().map(|turn| turn["message"].clone()).collect())
    };
    let ids = [&gate.sent, &waiting, &failed, &ok].map(|sent| json!(sent.id));
    assert_eq!(list("").await?, ids);
    assert_eq!(list("&limit=2").await?, ids[..2]);
    assert_eq!(list("&state=error").await?, ids[2..3]);
    assert_eq!(list("&state=waiting").await?, ids[1..2]);
    for (target, expected) in [
        ("/api/turns", (400, "invalid_parameter")),
        ("/api/turns?channel=eng&state=odd", (400, "invalid_parameter")),
        ("/api/turns?channel=nobody", (404, "unknown_agent")),
    ] {
        let refused = daemon.ask_in("GET", target, b"").await?.refusal()?;
        assert_eq!((refused.0, refused.1.as_str()), expected, "{target}");
    }
    let turn = turn_of(&failed)?;
    let shown = get(&daemon, &["turns", &turn[turn.len() - 8..]]).await?;
    assert_eq!(
        (&shown["turn"], &shown["error"]["code"]),
        (&json!(turn), &json!("prompt_too_long"))
    );
    // They were all made within hours.
    let many = daemon.request(Method::GET, &["api", "turns", &turn[..6]], None).await?;
    assert_eq!(refusal(&many), (409, "ambiguous_turn"));
    for nothing in ["ffffff", &turn[..5], "nonsense"] {
        let reply = daemon.request(Method::GET, &["api", "turns", nothing], None).await?;
        assert_eq!(refusal(&reply), (404, "unknown_turn"), "{nothing}");
    }
    let reply = post(&daemon, &["turns", turn_of(&waiting)?, "stop"], empty()).await?;
    assert_eq!(refusal(&reply), (409, "not_running"));
    gate.open()
}
