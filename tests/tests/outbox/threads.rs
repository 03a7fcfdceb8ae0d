//! Thread notes, failure notes, and what names them.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, State};
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::{outbound, turn_of, with_eng};

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
    eventually("the log has them", LIMIT, async || {
        Ok(daemon.log()?.contains("CANARY").then_some(()))
    })
    .await?;
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
