//! Conversations within an agent, named by a subject or, in the older word, a thread.

use anyhow::{Context as _, Result};
use pretty_assertions::{assert_eq, assert_ne};
use reveille_tests::daemon::{Daemon, LIMIT, State};
use reveille_tests::eventually;
use serde_json::json;

use super::{
    Held, SHOW_SESSION, answers, delivered, ended, letter, listed, session, session_option, texts, thread, told,
    told_with, whole, with_eng, with_many,
};

#[tokio::test]
async fn tc_sub_1_messages_of_one_subject_run_one_after_the_other() -> Result<()> {
    let daemon = with_many().await?;
    let about = json!({"subject": "launch"});
    let held = Held::new(&daemon, "eng", &about, "[[reply one]]").await?;
    let next = daemon
        .send_with("eng", &json!({"text": "[[reply two]]", "subject": " launch "}))
        .await?;
    // Another conversation shows that the second could have run by now.
    let aside = told(&daemon, "eng", "[[reply aside]]").await?;
    assert_eq!(aside.state, State::Ok);
    delivered(&daemon, &aside).await?;
    assert_eq!(
        daemon.turn(next.turn.as_deref().context("a turn")?).await?.state,
        State::Waiting
    );
    held.open()?;
    daemon.wait_turn("eng", &next).await?;
    let journal = whole(&daemon).await?;
    let texts = texts(&answers(&journal, "eng"));
    assert_eq!((texts.len(), texts[0], texts[2]), (3, "aside", "two"));
    Ok(())
}

#[tokio::test]
async fn tc_sub_2_subjects_do_not_wait_for_each_other() -> Result<()> {
    let daemon = with_many().await?;
    let held = Held::new(&daemon, "eng", &json!({"subject": "launch"}), "").await?;
    for text in ["[[reply one]]", "[[reply two]]"] {
        let turn = told_with(&daemon, "eng", &json!({"text": text, "subject": "budget"})).await?;
        assert_eq!(turn.state, State::Ok);
    }
    let id = held.sent.turn.as_deref().context("a turn")?;
    assert_eq!(daemon.turn(id).await?.state, State::Working);
    held.open()?;
    let journal = whole(&daemon).await?;
    let subjects: Vec<_> = journal.turns.iter().map(|turn| turn.body["subject"].clone()).collect();
    assert_eq!(subjects, [json!("launch"), json!("budget"), json!("budget")]);
    Ok(())
}

/// A subject on a single-threaded agent names a conversation of its own and leaves the main one alone (also W-41).
#[tokio::test]
async fn tc_sub_3_a_subject_is_a_conversation_of_a_single_threaded_agent_too() -> Result<()> {
    let daemon = with_eng().await?;
    let main = told(&daemon, "eng", SHOW_SESSION).await?;
    let held = Held::new(&daemon, "eng", &json!({"subject": "job"}), "").await?;
    let other = told_with(&daemon, "eng", &json!({"text": SHOW_SESSION, "subject": "other"})).await?;
    let again = told(&daemon, "eng", SHOW_SESSION).await?;
    assert_eq!(session_option(&again)?, format!("--resume={}", session(&main)?));
    assert_eq!(session_option(&other)?, format!("--session-id={}", session(&other)?));
    let eng = listed(&daemon, "eng").await?;
    assert_eq!((&eng["status"], &eng["waiting"]), (&json!("working"), &json!(0)));
    held.open()?;
    let job = daemon.wait_turn("eng", &held.sent).await?;
    let sessions = [session(&main)?, session(&job)?, session(&other)?];
    assert!(sessions[0] != sessions[1] && sessions[1] != sessions[2] && sessions[0] != sessions[2]);
    assert_eq!(whole(&daemon).await?.conversations.len(), 3);
    Ok(())
}

#[tokio::test]
async fn tc_sub_4_tc_thr_4_messages_of_a_multi_threaded_agent_do_not_wait_for_each_other() -> Result<()> {
    let daemon = with_many().await?;
    let held = Held::new(&daemon, "eng", &json!({}), "[[reply one]]").await?;
    assert_eq!(
        ended(&told(&daemon, "eng", "[[reply two]]").await?),
        (State::Ok, Some("two"))
    );
    let id = held.sent.turn.as_deref().context("a turn")?;
    assert_eq!(daemon.turn(id).await?.state, State::Working);
    held.open()?;
    assert_eq!(whole(&daemon).await?.conversations.len(), 2);
    Ok(())
}

#[tokio::test]
async fn tc_thr_4_without_a_name_a_single_threaded_agent_has_one_line() -> Result<()> {
    let daemon = with_eng().await?;
    let held = Held::new(&daemon, "eng", &json!({}), "[[reply one]]").await?;
    let next = daemon
        .send_with("eng", &json!({"text": "[[reply two]]", "thread": "  "}))
        .await?;
    told_with(&daemon, "eng", &json!({"text": "[[reply aside]]", "thread": "aside"})).await?;
    assert_eq!(
        daemon.turn(next.turn.as_deref().context("a turn")?).await?.state,
        State::Waiting
    );
    held.open()?;
    assert_eq!(whole(&daemon).await?.conversations.len(), 2);
    Ok(())
}

/// A subject has its own thread note, which counts its turns and holds its session.
async fn keeps_its_conversation(daemon: &Daemon) -> Result<()> {
    let about = |subject: &str| json!({"text": SHOW_SESSION, "subject": subject});
    let first = told_with(daemon, "eng", &about("launch blockers")).await?;
    assert_eq!(session_option(&first)?, format!("--session-id={}", session(&first)?));
    let second = told_with(daemon, "eng", &about("launch blockers")).await?;
    assert_eq!(session_option(&second)?, format!("--resume={}", session(&first)?));
    let other = told_with(daemon, "eng", &about("launch-blockers")).await?;
    assert_eq!(session_option(&other)?, format!("--session-id={}", session(&other)?));
    whole(daemon).await?;
    let (note, apart) = (thread(daemon, &second).await?, thread(daemon, &other).await?);
    assert_eq!(first.more["thread"], second.more["thread"]);
    assert_eq!(note["metadata"]["session"], first.more["session"]);
    assert_eq!(
        (&note["metadata"]["turn_count"], &apart["metadata"]["turn_count"]),
        (&json!("2"), &json!("1"))
    );
    assert_ne!(note["path"], apart["path"]);
    Ok(())
}

#[tokio::test]
async fn tc_sub_5_6_tc_key_2_a_subject_of_a_multi_threaded_agent_keeps_its_conversation() -> Result<()> {
    keeps_its_conversation(&with_many().await?).await
}

#[tokio::test]
async fn tc_key_2_a_subject_of_a_single_threaded_agent_keeps_its_conversation() -> Result<()> {
    keeps_its_conversation(&with_eng().await?).await
}

/// The older word for a subject, on notes and at the door.
#[tokio::test]
async fn tc_thr_2_3_threads_are_lines_of_their_own() -> Result<()> {
    let daemon = with_eng().await?;
    let gate = daemon.scratch().join("gate");
    let wait = format!(
        "[[exec while [ ! -e {} ]; do sleep 0.02; done]] [[reply one]]",
        gate.display()
    );
    let first = letter(&daemon, "Inbox/1", &wait, &json!({"agent": "eng", "thread": "t1"})).await?;
    let second = letter(
        &daemon,
        "Inbox/2",
        "[[reply two]]",
        &json!({"agent": "eng", "thread": "t1"}),
    )
    .await?;
    let other = letter(
        &daemon,
        "Inbox/3",
        "[[reply three]]",
        &json!({"agent": "eng", "thread": "t2"}),
    )
    .await?;
    let other = daemon.wait_turn("eng", &other).await?;
    assert_eq!(ended(&other), (State::Ok, Some("three")));
    delivered(&daemon, &other).await?;
    let states = |journal: &reveille_tests::daemon::Journal| {
        let state = |id: &str| {
            journal
                .turns
                .iter()
                .find(|turn| turn.note == id)
                .map(|turn| turn.state.clone())
        };
        [state(&first.id), state(&second.id)]
    };
    let expected = [Some("working".to_owned()), Some("waiting".to_owned())];
    eventually("the first one runs", LIMIT, async || {
        Ok((states(&daemon.journal()?) == expected).then_some(()))
    })
    .await?;
    std::fs::write(gate, "")?;
    let journal = whole(&daemon).await?;
    assert_eq!(journal.conversations.len(), 2);
    let replies = answers(&journal, "eng");
    assert_eq!(texts(&replies)[0], "three");
    assert_eq!(replies[2].text("in_reply_to"), second.id);
    Ok(())
}
