//! Notes that people write by hand: definitions that do not hold together, messages that lead nowhere yet.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, Sent, State, rows};
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::{meta, with_eng};

const DEFINITION: &str = "agent/definition";
const INBOUND: [&str; 2] = ["agent/message", "agent/message/inbound"];

/// Waits until the note says this status, and answers the note.
async fn until_status(daemon: &Daemon, key: &str, status: &str) -> Result<Value> {
    let what = format!("the note {key} says {status}");
    eventually(&what, LIMIT, async || {
        let note = daemon.note(key).await?.context("the note is there")?;
        Ok((meta(&note, "status") == status).then_some(note))
    })
    .await
}

/// Waits until the note no longer says that something is amiss.
async fn says_nothing(daemon: &Daemon, key: &str) -> Result<()> {
    eventually(&format!("{key} says no longer what was amiss"), LIMIT, async || {
        let note = daemon.note(key).await?.context("the note is there")?;
        let amiss = ["waiting", "error"].contains(&meta(&note, "status")) || !meta(&note, "status_detail").is_empty();
        Ok((!amiss).then_some(()))
    })
    .await
}

/// Writes a message as a note, as a person in the vault does.
async fn message_note(daemon: &Daemon, path: &str, text: &str, metadata: &Value) -> Result<Sent> {
    let note = daemon.note_put(path, text, &INBOUND, metadata).await?;
    let id = note["id"].as_str().context("a note has an id")?.to_owned();
    Ok(Sent { id, turn: None })
}

/// Two messages one after the other, both by the feed: after the second, everything that the daemon wrote because of what
/// came before the first has passed the feed too.
async fn feed_comes_round(daemon: &Daemon, agent: &str, round: u32) -> Result<()> {
    for step in 0..2 {
        let path = format!("round/{round}-{step}");
        let sent = message_note(daemon, &path, "[[reply round]]", &json!({ "agent": agent })).await?;
        assert_eq!(daemon.wait_turn(agent, &sent).await?.state, State::Ok);
    }
    Ok(())
}

fn changes_of(daemon: &Daemon, note: &Value) -> Result<usize> {
    let id = note["id"].as_str().context("a note has an id")?;
    let sql = format!("SELECT kind FROM changes WHERE note_id = '{id}'");
    Ok(rows(&daemon.state_tables()?.vault, &sql)?.len())
}

async fn waiting(daemon: &Daemon) -> Result<Value> {
    let reply = daemon.request(Method::GET, &["api", "agents"], None).await?;
    Ok(reply.ok::<Value>()?["waiting"].clone())
}

#[tokio::test]
async fn tc_reg_6_a_wrong_definition_says_so_once_and_is_mended_by_an_edit() -> Result<()> {
    let daemon = with_eng().await?;
    let wrong = json!({
        "name": "bad one", "backend": "magic", "mode": "chaos", "model": "has space", "workspace": "here",
        "timeout_idle": "soon", "timeout_wall": "0s", "max_turns": "-1", "budget_turn_usd": "free", "on_interrupt": "panic",
    });
    daemon.note_put("Agents/bad", "You try.", &[DEFINITION], &wrong).await?;
    let stamped = until_status(&daemon, "Agents/bad", "error").await?;
    let detail = meta(&stamped, "status_detail").to_owned();
    for key in wrong.as_object().context("an object")?.keys() {
        assert!(detail.contains(&format!("{key}: ")), "{key} in {detail}");
    }
    let listed = daemon.run(["agent", "list"]).await?;
    let line = listed.stdout.lines().find(|line| line.contains("bad one"));
    let line = line.with_context(|| listed.stdout.clone())?;
    assert!(line.contains("error") && line.contains("backend: "), "{line}");
    // The line has no room for all of them.
    let shown = daemon.run(["agent", "show", "bad one"]).await?.stdout;
    for key in wrong.as_object().context("an object")?.keys() {
        assert!(shown.contains(&format!("{key}: ")), "{key} in {shown}");
    }

    // Its own stamp is no news to the daemon: one change by the person, one by the daemon, and it stays so.
    feed_comes_round(&daemon, "eng", 1).await?;
    let later = daemon.note("Agents/bad").await?.context("the note is there")?;
    assert_eq!((later, changes_of(&daemon, &stamped)?), (stamped.clone(), 2));

    // Mended by hand: merged metadata cannot lose a key, so each gets a good value.
    let good = json!({
        "name": "good-one", "backend": "programmatic", "mode": "single-threaded", "model": "sonnet",
        "workspace": "/tmp", "timeout_idle": "1m", "timeout_wall": "10m", "max_turns": "5", "budget_turn_usd": "0.50",
        "on_interrupt": "stop",
    });
    daemon.note_put("Agents/bad", "You do it.", &[], &good).await?;
    let mended = until_status(&daemon, "Agents/bad", "enabled").await?;
    assert_eq!(meta(&mended, "status_detail"), "");
    let sent = daemon.send("good-one", "[[reply mended]]").await?;
    assert_eq!(
        daemon.wait_turn("good-one", &sent).await?.reply.as_deref(),
        Some("mended")
    );
    feed_comes_round(&daemon, "eng", 2).await?;
    let later = daemon.note("Agents/bad").await?.context("the note is there")?;
    assert_eq!((later, changes_of(&daemon, &mended)?), (mended, 4));
    Ok(())
}

#[tokio::test]
async fn an_idle_daemon_writes_nothing() -> Result<()> {
    let mut daemon = with_eng().await?;
    let definition = daemon.agents().await?[0]["note_id"].clone();
    let definition = definition.as_str().context("an agent has a note")?.to_owned();
    until_status(&daemon, &definition, "enabled").await?;
    feed_comes_round(&daemon, "eng", 1).await?;
    let log = |daemon: &Daemon| {
        rows(
            &daemon.state_tables()?.vault,
            "SELECT cursor, note_id, kind FROM changes",
        )
    };
    // Neither a stop nor a start nor the stamps of all that is there already are changes. A stop does not wait long for the
    // last answer to be delivered.
    daemon.wait_quiet(LIMIT).await?;
    daemon.stop().await?;
    let before = log(&daemon)?;
    for _ in 0..2 {
        daemon.start().await?;
        daemon.stop().await?;
    }
    assert_eq!(log(&daemon)?, before);
    Ok(())
}

#[tokio::test]
async fn tc_reg_7_the_older_definition_keeps_a_name_and_the_newer_says_why() -> Result<()> {
    let daemon = with_eng().await?;
    let old = daemon.agents().await?[0]["note_id"].clone();
    let old = old.as_str().context("an agent has a note")?;
    let name = json!({ "name": "eng" });
    daemon
        .note_put("Agents/second", "Another.", &[DEFINITION], &name)
        .await?;
    let second = until_status(&daemon, "Agents/second", "error").await?;
    let detail = meta(&second, "status_detail");
    assert!(
        detail.contains("eng") && detail.contains(old) && detail.contains("rename"),
        "{detail}"
    );
    until_status(&daemon, old, "enabled").await?;
    let again = json!({ "name": "eng", "prompt": "A third." });
    let refused = daemon.request(Method::POST, &["api", "agents"], Some(&again)).await?;
    assert_eq!((refused.status, &refused.body["error"]), (409, &json!("agent_exists")));
    let shown = daemon.request(Method::GET, &["api", "agents", "eng"], None).await?;
    assert_eq!(shown.body["prompt"], "You are an engineer.");

    // When the older one goes, the newer one steps in, and the channel's line with it.
    daemon
        .request(Method::DELETE, &["api", "agents", "eng"], None)
        .await?
        .ok::<Value>()?;
    let second = until_status(&daemon, "Agents/second", "enabled").await?;
    assert_eq!(meta(&second, "status_detail"), "");
    let sent = daemon.send("eng", "[[reply I am the second]]").await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Ok);
    Ok(())
}

#[tokio::test]
async fn tc_pend_2_a_message_note_that_names_no_agent_says_so() -> Result<()> {
    let daemon = with_eng().await?;
    for (path, metadata) in [
        ("Inbox/nobody", json!({})),
        ("Inbox/blank", json!({ "agent": "  " })),
        ("Inbox/strange", json!({ "agent": "../eng" })),
        ("Inbox/number", json!({ "agent": 7 })),
    ] {
        message_note(&daemon, path, "do it", &metadata).await?;
        let note = until_status(&daemon, path, "error").await?;
        let detail = meta(&note, "status_detail");
        assert!(detail.contains("agent"), "{path}: {detail}");
        assert_eq!(note["content"], "do it");
    }
    assert_eq!(waiting(&daemon).await?, json!([]));
    feed_comes_round(&daemon, "eng", 1).await?;

    // Mended, it is a message like any other, and says so.
    let sent = message_note(&daemon, "Inbox/nobody", "[[reply done]]", &json!({ "agent": "eng" })).await?;
    says_nothing(&daemon, "Inbox/nobody").await?;
    eventually("its reply is there", LIMIT, async || {
        let mut messages = daemon.messages("eng").await?.into_iter();
        let found = messages.find(|message| message.in_reply_to.as_deref() == Some(&sent.id));
        Ok(found.filter(|message| message.text == "done"))
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn tc_pend_1_8_a_message_for_an_agent_to_be_waits_for_it() -> Result<()> {
    let daemon = with_eng().await?;
    let ghost = json!({ "agent": "ghost" });
    let sent = message_note(&daemon, "Inbox/early", "[[reply at last]]", &ghost).await?;
    let note = until_status(&daemon, "Inbox/early", "waiting").await?;
    assert!(meta(&note, "status_detail").contains("ghost"), "{note}");
    eventually("the message is seen to wait", LIMIT, async || {
        let waiting = waiting(&daemon).await?;
        Ok((waiting == json!([{ "channel": "ghost", "messages": 1 }])).then_some(()))
    })
    .await?;
    let listed = daemon.run(["agent", "list"]).await?;
    assert!(listed.stdout.contains("1 messages wait for ghost"), "{}", listed.stdout);
    feed_comes_round(&daemon, "eng", 1).await?;
    assert_eq!(waiting(&daemon).await?, json!([{ "channel": "ghost", "messages": 1 }]));

    daemon.create_agent("ghost", "You are late.").await?;
    assert_eq!(
        daemon.wait_turn("ghost", &sent).await?.reply.as_deref(),
        Some("at last")
    );
    assert_eq!(waiting(&daemon).await?, json!([]));
    says_nothing(&daemon, "Inbox/early").await?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    let answers = journal.notes.iter().filter(|note| note.is_outbound());
    let answered: Vec<_> = answers
        .filter(|note| note.text("agent") == "ghost")
        .map(|note| note.text("in_reply_to"))
        .collect();
    assert_eq!(answered, [sent.id]);
    Ok(())
}

#[tokio::test]
async fn tc_pend_6_messages_of_a_removed_agent_wait_for_its_return() -> Result<()> {
    let daemon = with_eng().await?;
    let gate = daemon.state_dir().join("gate");
    let hold = format!(
        "[[exec while ! test -e {}; do sleep 0.02; done]] [[reply first]]",
        gate.display()
    );
    let mut events = daemon.events("eng").await?;
    let first = daemon.send("eng", &hold).await?;
    events.until(|event| event.kind() == "tool").await?;
    let second = daemon.send("eng", "[[reply second]]").await?;
    eventually("the second is in line", LIMIT, async || {
        let path = ["api", "channels", "eng", "queue"];
        let line: Value = daemon.request(Method::GET, &path, None).await?.ok()?;
        Ok((line["turns"].as_array().map(Vec::len) == Some(2)).then_some(()))
    })
    .await?;
    let removed = daemon.run(["agent", "rm", "eng"]).await?;
    assert_eq!(removed.code, 0, "{}", removed.stderr);
    assert!(removed.stdout.contains("1 messages wait"), "{}", removed.stdout);
    eventually("the agent is gone", LIMIT, async || {
        Ok(daemon.agents().await?.is_empty().then_some(()))
    })
    .await?;
    let refused = daemon.run(["send", "eng", "hello"]).await?;
    assert_eq!(refused.code, 4, "{}", refused.stderr);

    // What runs ends; what is in line waits and is seen to wait.
    std::fs::write(&gate, "")?;
    assert_eq!(daemon.wait_turn("eng", &first).await?.state, State::Ok);
    let third = message_note(&daemon, "Inbox/third", "[[reply third]]", &json!({ "agent": "eng" })).await?;
    eventually("two messages wait", LIMIT, async || {
        let waiting = waiting(&daemon).await?;
        Ok((waiting == json!([{ "channel": "eng", "messages": 2 }])).then_some(()))
    })
    .await?;
    assert_eq!(daemon.agents().await?, Vec::<Value>::new());

    daemon.create_agent("eng", "You are back.").await?;
    for sent in [&second, &third] {
        assert_eq!(daemon.wait_turn("eng", sent).await?.state, State::Ok);
    }
    eventually("all replies are there, in order", LIMIT, async || {
        let messages = daemon.messages("eng").await?;
        let replies = messages.iter().filter(|message| message.direction == "outbound");
        let last: Vec<_> = replies
            .filter_map(|reply| reply.text.split_whitespace().last())
            .collect();
        Ok((last == ["first", "second", "third"]).then_some(()))
    })
    .await
}
