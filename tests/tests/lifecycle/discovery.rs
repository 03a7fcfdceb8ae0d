//! Agents that threads define, where that is asked for.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, State};
use reveille_tests::eventually;
use reveille_tests::parachute::{Parachute, Version};
use serde_json::{Value, json};

use super::{DEFINITION, define, feed_comes_round, put, remote, stand_in, told, until_status};

const THREAD: [&str; 1] = ["agent/thread"];
const BOTH: &str = "[definitions]\ndiscovery = \"both\"\n";

async fn names(daemon: &Daemon) -> Result<Vec<String>> {
    let agents = daemon.agents().await?;
    let names = agents
        .iter()
        .map(|agent| agent["name"].as_str().unwrap_or_default().to_owned());
    Ok(names.collect())
}

async fn until_names(daemon: &Daemon, expected: &[&str]) -> Result<()> {
    eventually(&format!("there are {expected:?}"), LIMIT, async || {
        Ok((names(daemon).await? == expected).then_some(()))
    })
    .await
}

#[tokio::test]
async fn ac_163_167_a_thread_is_an_agent_and_nothing_is_written_on_it() -> Result<()> {
    let mut daemon = stand_in().config(BOTH).start().await?;
    define(&daemon, "ops", &json!({"name": "ops"})).await?;
    let of_thread = json!({"agent": "eng", "model": "opus", "status": "ok"});
    let thread = daemon.note_put("Old/eng", "What we said.", &THREAD, &of_thread).await?;
    until_names(&daemon, &["eng", "ops"]).await?;
    let turn = told(&daemon, "eng", "[[reply from a thread]]").await?;
    assert_eq!((turn.state, turn.reply.as_deref()), (State::Ok, Some("from a thread")));
    daemon.restart().await?;
    feed_comes_round(&daemon, "ops", "1").await?;
    assert_eq!(daemon.note("Old/eng").await?.context("the thread")?, thread);
    let shown = daemon.request(Method::GET, &["api", "agents", "eng"], None).await?;
    assert_eq!(
        (&shown.body["prompt"], &shown.body["model"]),
        (&Value::Null, &json!("opus"))
    );
    // The record of its conversation is no further source.
    let record = daemon.note("Threads/eng/eng").await?.context("the record")?;
    assert_eq!(record["metadata"]["definition"], thread["id"]);
    daemon
        .note_put("Old/eng", "", &[], &json!({"agent_status": "disabled"}))
        .await?;
    until_names(&daemon, &["ops"]).await?;
    daemon.restart().await?;
    assert_eq!(names(&daemon).await?, ["ops"]);
    Ok(())
}

#[tokio::test]
async fn ac_155_a_deleted_definition_does_not_come_back_by_its_thread() -> Result<()> {
    let mut daemon = stand_in().config(BOTH).start().await?;
    define(&daemon, "eng", &json!({"name": "eng"})).await?;
    define(&daemon, "ops", &json!({"name": "ops"})).await?;
    until_status(&daemon, "Agents/eng", "enabled").await?;
    assert_eq!(told(&daemon, "eng", "[[reply here]]").await?.state, State::Ok);
    daemon.wait_quiet(LIMIT).await?;
    assert!(daemon.note("Threads/eng/eng").await?.is_some());
    let removed = daemon.request(Method::DELETE, &["api", "agents", "eng"], None).await?;
    removed.ok::<Value>()?;
    feed_comes_round(&daemon, "ops", "1").await?;
    assert_eq!(names(&daemon).await?, ["ops"]);
    daemon.restart().await?;
    assert_eq!(names(&daemon).await?, ["ops"]);
    Ok(())
}

#[tokio::test]
async fn ac_166_167_by_the_word_of_the_reference_system_only_threads_count() -> Result<()> {
    let daemon = stand_in().env("PARACHUTE_AGENT_DISCOVERY", " Thread ").start().await?;
    let definition = daemon
        .note_put("Agents/eng", "You do.", &DEFINITION, &json!({"name": "eng"}))
        .await?;
    daemon
        .note_put("Old/ops", "", &THREAD, &json!({"agent": "ops"}))
        .await?;
    until_names(&daemon, &["ops"]).await?;
    feed_comes_round(&daemon, "ops", "1").await?;
    assert_eq!(daemon.note("Agents/eng").await?.context("the definition")?, definition);
    assert_eq!(names(&daemon).await?, ["ops"]);
    Ok(())
}

#[tokio::test]
async fn ac_136_167_the_threads_of_a_server_are_followed_when_that_is_asked_for() -> Result<()> {
    let peer = Parachute::start(Version::May)?;
    let thread = put(&peer, "Old/eng", &THREAD, &json!({"agent": "eng"}))?;
    let daemon = remote(&peer, BOTH).start().await?;
    until_names(&daemon, &["eng"]).await?;
    assert_eq!(told(&daemon, "eng", "[[reply here]]").await?.state, State::Ok);
    put(&peer, "Old/ops", &THREAD, &json!({"agent": "ops"}))?;
    until_names(&daemon, &["eng", "ops"]).await?;
    peer.remove(&thread);
    until_names(&daemon, &["ops"]).await?;
    Ok(())
}
