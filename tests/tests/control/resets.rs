//! Conversations that begin anew.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::{LIMIT, Sent};
use serde_json::{Value, json};

use super::{Gate, empty, get, note, post, refusal, with_eng};

/// Which message of its session this one was, as the agent counts them.
async fn number(daemon: &Daemon, body: Value) -> Result<u32> {
    let sent: Sent = daemon.send_with("eng", &body).await?;
    let reply = daemon.wait_turn("eng", &sent).await?.reply.context("a reply")?;
    let (_, after) = reply.split_once("This is message ").with_context(|| reply.clone())?;
    Ok(after.split(' ').next().context("a number")?.parse()?)
}

async fn reset(daemon: &Daemon, body: Value) -> Result<Value> {
    post(daemon, &["agents", "eng", "reset"], body).await?.ok()
}

#[tokio::test]
async fn tc_reg_3_tc_sess_11_a_reset_begins_a_new_session() -> Result<()> {
    let daemon = with_eng().await?;
    let main = json!({"text": "hello"});
    let aside = json!({"text": "hello", "subject": "aside"});
    for expected in [1, 2] {
        assert_eq!(number(&daemon, main.clone()).await?, expected);
        assert_eq!(number(&daemon, aside.clone()).await?, expected);
    }
    let thread = |subject: Value| {
        let daemon = &daemon;
        async move {
            let threads = get(daemon, &["channels", "eng", "threads"]).await?;
            let threads = threads["threads"].as_array().context("threads")?.clone();
            let found = threads.into_iter().find(|thread| thread["key"]["key"] == subject);
            let id = found.context("a thread")?["thread"]
                .as_str()
                .context("an id")?
                .to_owned();
            anyhow::Ok(note(daemon, &id).await?["metadata"]["session"].clone())
        }
    };
    daemon.wait_quiet(LIMIT).await?;
    assert!(
        thread(json!("aside"))
            .await?
            .as_str()
            .is_some_and(|session| session.len() == 36)
    );

    let one = json!({"thread": {"subject": "aside"}});
    assert_eq!(reset(&daemon, one).await?, json!({"reset": true, "conversations": 1}));
    assert_eq!(thread(json!("aside")).await?, "");
    assert!(
        thread(Value::Null)
            .await?
            .as_str()
            .is_some_and(|session| session.len() == 36)
    );
    assert_eq!(number(&daemon, aside.clone()).await?, 1);
    assert_eq!(number(&daemon, main.clone()).await?, 3);

    assert_eq!(reset(&daemon, json!({"thread": "main"})).await?["conversations"], 1);
    assert_eq!(number(&daemon, main.clone()).await?, 1);
    assert_eq!(number(&daemon, aside.clone()).await?, 2);

    assert_eq!(reset(&daemon, empty()).await?["conversations"], 2);
    assert_eq!(number(&daemon, main).await?, 1);
    assert_eq!(number(&daemon, aside).await?, 1);
    let none = json!({"thread": {"subject": "nothing"}});
    assert_eq!(reset(&daemon, none).await?["conversations"], 0);
    let odd = post(&daemon, &["agents", "eng", "reset"], json!({"thread": "all"})).await?;
    assert_eq!(refusal(&odd), (400, "invalid_body"));
    let nobody = post(&daemon, &["agents", "nobody", "reset"], empty()).await?;
    assert_eq!(refusal(&nobody), (404, "unknown_agent"));
    Ok(())
}

#[tokio::test]
async fn a_turn_that_runs_does_not_bring_its_session_back() -> Result<()> {
    let daemon = with_eng().await?;
    assert_eq!(number(&daemon, json!({"text": "hello"})).await?, 1);
    let gate = Gate::close(&daemon, "eng", empty()).await?;
    assert_eq!(reset(&daemon, empty()).await?["conversations"], 1);
    gate.open()?;
    daemon.wait_turn("eng", &gate.sent).await?;
    assert_eq!(number(&daemon, json!({"text": "hello"})).await?, 1);
    assert_eq!(number(&daemon, json!({"text": "hello"})).await?, 2);
    Ok(())
}
