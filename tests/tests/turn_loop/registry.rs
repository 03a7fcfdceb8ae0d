//! Agents come, go and come back.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::{assert_eq, assert_ne};
use reveille_tests::daemon::{LIMIT, State};
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::{agent, ended, listed, session, stand_in, told, told_with, whole, with_eng};

#[tokio::test]
async fn tc_reg_1_2_10_tc_boot_4_an_agent_is_there_from_its_definition_to_its_removal() -> Result<()> {
    let daemon = stand_in().start().await?;
    assert_eq!(daemon.agents().await?, Vec::<Value>::new());
    daemon.create_agent("eng", "You are an engineer.").await?;
    let names: Vec<_> = daemon
        .agents()
        .await?
        .iter()
        .map(|agent| agent["name"].clone())
        .collect();
    assert_eq!(names, [json!("eng")]);
    let shown = daemon.request(Method::GET, &["api", "agents", "eng"], None).await?;
    assert_eq!(
        (shown.status, &shown.body["prompt"]),
        (200, &json!("You are an engineer."))
    );
    assert_eq!(
        ended(&told(&daemon, "eng", "[[reply here]]").await?),
        (State::Ok, Some("here"))
    );

    let removed = daemon.request(Method::DELETE, &["api", "agents", "eng"], None).await?;
    assert_eq!((removed.status, &removed.body["removed"]), (200, &json!(true)));
    assert_eq!(daemon.agents().await?, Vec::<Value>::new());
    for method in [Method::GET, Method::DELETE] {
        let gone = daemon.request(method, &["api", "agents", "eng"], None).await?;
        assert_eq!((gone.status, &gone.body["error"]), (404, &json!("unknown_agent")));
    }
    let body = json!({"text": "hello"});
    let refused = daemon
        .request(Method::POST, &["api", "channels", "eng", "send"], Some(&body))
        .await?;
    assert_eq!(refused.status, 404);
    assert_eq!(whole(&daemon).await?.turns.len(), 1);
    Ok(())
}

/// What a name had is not for whoever gets it next, whose note may be somebody else's.
#[tokio::test]
async fn tc_reg_2_an_agent_that_is_made_again_begins_a_new_conversation() -> Result<()> {
    let daemon = with_eng().await?;
    let before = told(&daemon, "eng", "[[reply before]]").await?;
    let removed = daemon.request(Method::DELETE, &["api", "agents", "eng"], None).await?;
    assert_eq!(removed.status, 200);
    daemon.create_agent("eng", "You are back.").await?;
    let after = told(&daemon, "eng", "[[reply after]]").await?;
    assert_ne!(session(&after)?, session(&before)?);
    assert_eq!(ended(&after), (State::Ok, Some("after")));
    Ok(())
}

#[tokio::test]
async fn tc_reg_8_an_agent_that_names_no_backend_runs_by_itself() -> Result<()> {
    let daemon = stand_in().start().await?;
    let made = agent(&daemon, "eng", &json!({})).await?;
    let note = daemon.note(made["note_id"].as_str().context("a note")?).await?;
    let note = note.context("the definition")?;
    assert_eq!(note["metadata"].get("backend"), None);
    agent(&daemon, "ops", &json!({"backend": "programmatic"})).await?;
    for name in ["eng", "ops"] {
        assert_eq!(
            ended(&told(&daemon, name, "[[reply here]]").await?),
            (State::Ok, Some("here"))
        );
    }
    Ok(())
}

#[tokio::test]
async fn tc_reg_9_a_backend_that_there_is_not_is_refused_and_nothing_is_written() -> Result<()> {
    let daemon = stand_in().start().await?;
    for backend in ["interactive", "magic"] {
        let body = json!({"name": "eng", "prompt": "p", "metadata": {"backend": backend}});
        let refused = daemon.request(Method::POST, &["api", "agents"], Some(&body)).await?;
        assert_eq!(
            (refused.status, &refused.body["error"]),
            (400, &json!("invalid_definition"))
        );
        let message = refused.body["message"].as_str().context("a message")?;
        assert!(
            message.contains("backend") && message.contains("programmatic"),
            "{message}"
        );
    }
    assert_eq!(daemon.agents().await?, Vec::<Value>::new());
    assert_eq!(daemon.note("Agents/eng").await?, None);
    Ok(())
}

#[tokio::test]
async fn tc_boot_1_3_a_start_finds_every_definition_and_one_bad_one_harms_no_other() -> Result<()> {
    let mut daemon = with_eng().await?;
    let tags = ["agent/definition"];
    daemon
        .note_put("Agents/nameless", "Who am I?", &tags, &json!({}))
        .await?;
    daemon
        .note_put(
            "Agents/lost",
            "Where am I?",
            &tags,
            &json!({"name": "lost", "backend": "magic"}),
        )
        .await?;
    daemon.restart().await?;
    let stands = async |name: &str| -> Result<Value> { Ok(listed(&daemon, name).await?["status"].clone()) };
    assert_eq!(stands("eng").await?, "idle");
    assert_eq!(daemon.request(Method::GET, &["health"], None).await?.body["agents"], 1);
    for (path, name, key) in [
        ("Agents/nameless", "Agents/nameless", "name"),
        ("Agents/lost", "lost", "backend"),
    ] {
        assert_eq!(stands(name).await?, "error");
        let note = eventually("the note says what is wrong", LIMIT, async || {
            let note = daemon.note(path).await?.context("the definition")?;
            Ok((note["metadata"]["status"] == "error").then_some(note))
        })
        .await?;
        let detail = note["metadata"]["status_detail"].as_str().unwrap_or_default();
        assert!(detail.starts_with(&format!("{key}: ")), "{detail}");
    }
    assert_eq!(
        ended(&told(&daemon, "eng", "[[reply here]]").await?),
        (State::Ok, Some("here"))
    );
    Ok(())
}

#[tokio::test]
async fn tc_boot_5_an_agent_and_a_conversation_with_like_names_are_told_apart() -> Result<()> {
    let mut daemon = stand_in().start().await?;
    for name in ["pm", "pm--eco-civ"] {
        agent(&daemon, name, &json!({})).await?;
    }
    let subject = json!({"text": "[[reply subject]]", "subject": "eco-civ"});
    let first = told_with(&daemon, "pm", &subject).await?;
    let other = told(&daemon, "pm--eco-civ", "[[reply agent]]").await?;
    assert_ne!(
        (session(&first)?, &first.more["thread"]),
        (session(&other)?, &other.more["thread"])
    );
    whole(&daemon).await?;
    daemon.restart().await?;
    assert_eq!(daemon.agents().await?.len(), 2);
    assert_eq!(session(&told_with(&daemon, "pm", &subject).await?)?, session(&first)?);
    assert_eq!(
        session(&told(&daemon, "pm--eco-civ", "[[reply agent]]").await?)?,
        session(&other)?
    );
    let journal = whole(&daemon).await?;
    let paths = [&first, &other].map(|turn| turn.more["thread"].as_str().unwrap_or_default().to_owned());
    let mut found = Vec::new();
    for id in &paths {
        found.push(daemon.note(id).await?.context("a thread note")?["path"].clone());
    }
    assert_eq!(
        found,
        [
            json!("Threads/pm/pm--eco-civ"),
            json!("Threads/pm--eco-civ/pm--eco-civ")
        ]
    );
    assert_eq!(journal.conversations.len(), 2);
    Ok(())
}
