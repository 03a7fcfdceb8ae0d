//! Messages that come before their agent.

use anyhow::Result;
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::LONGEST;
use serde_json::{Value, json};

use super::{answers, letter, stand_in, texts, whole};

async fn waiting(daemon: &reveille_tests::Daemon) -> Result<Value> {
    let reply = daemon.request(Method::GET, &["api", "agents"], None).await?;
    Ok(reply.ok::<Value>()?["waiting"].clone())
}

#[tokio::test]
async fn tc_pend_3_7_what_waited_runs_in_its_order_and_before_what_comes_later() -> Result<()> {
    let mut daemon = stand_in().start().await?;
    let to = json!({"agent": "eng"});
    for name in ["p1", "p2", "p3"] {
        letter(&daemon, &format!("Inbox/{name}"), &format!("[[reply {name}]]"), &to).await?;
    }
    assert_eq!(waiting(&daemon).await?, json!([{"channel": "eng", "messages": 3}]));
    // They wait on disk.
    daemon.restart().await?;
    assert_eq!(waiting(&daemon).await?, json!([{"channel": "eng", "messages": 3}]));
    assert!(daemon.journal()?.turns.iter().all(|turn| turn.state == "waiting"));
    daemon.create_agent("eng", "You are late.").await?;
    daemon.send("eng", "[[reply p4]]").await?;
    let journal = whole(&daemon).await?;
    assert_eq!(texts(&answers(&journal, "eng")), ["p1", "p2", "p3", "p4"]);
    assert_eq!(waiting(&daemon).await?, json!([]));
    Ok(())
}

#[tokio::test]
async fn tc_pend_4_no_message_is_dropped_however_many_wait() -> Result<()> {
    let daemon = stand_in().start().await?;
    let names: Vec<String> = (1..=51).map(|number| format!("n{number}")).collect();
    for name in &names {
        let text = format!("[[reply {name}]]");
        daemon
            .note_put(
                &format!("Inbox/{name}"),
                &text,
                &super::INBOUND,
                &json!({"agent": "eng"}),
            )
            .await?;
    }
    daemon.create_agent("eng", "You are late.").await?;
    // One after the other, each with a program of its own.
    let journal = daemon.wait_quiet(LONGEST).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    assert_eq!(texts(&answers(&journal, "eng")), names);
    Ok(())
}

#[tokio::test]
async fn tc_pend_5_an_agent_that_nobody_waits_for_begins_with_an_empty_line() -> Result<()> {
    let daemon = stand_in().start().await?;
    assert_eq!(waiting(&daemon).await?, json!([]));
    daemon.create_agent("eng", "You are early.").await?;
    assert_eq!(waiting(&daemon).await?, json!([]));
    let eng = super::listed(&daemon, "eng").await?;
    assert_eq!((&eng["status"], &eng["waiting"]), (&json!("idle"), &json!(0)));
    assert_eq!(daemon.journal()?.turns.len(), 0);
    Ok(())
}
