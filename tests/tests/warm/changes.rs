//! Whatever a process was started with ends it when it changes.

use anyhow::{Context as _, Result, ensure};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT};
use reveille_tests::eventually;
use serde_json::{Value, json};

use crate::rights::{hold, release};
use crate::{builder, define, done, house, left, process, well};

/// Writes the definition of `eng` anew and waits until it counts.
async fn change(daemon: &Daemon, prompt: &str, metadata: &Value) -> Result<()> {
    let agents = daemon.agents().await?;
    let note = agents[0]["note_id"].as_str().context("an agent has a note")?;
    let mut metadata = metadata.clone();
    metadata["name"] = "eng".into();
    daemon.note_put(note, prompt, &["agent/definition"], &metadata).await?;
    eventually("the definition counts", LIMIT, async || {
        let agents = daemon.agents().await?;
        let agent = agents.first().context("the agent is there")?;
        let shown = agent["prompt_preview"].as_str().unwrap_or_default().contains(prompt);
        let same = metadata["model"].is_null() || agent["model"] == metadata["model"];
        Ok((shown && same).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_changed_definition_ends_it_at_once() -> Result<()> {
    let daemon = house(builder()).await?;
    let mut before = process(&daemon, "eng").await?;
    for (prompt, metadata) in [
        ("You are brief.", json!({})),
        ("You are brief.", json!({"model": "opus"})),
        ("You are brief.", json!({"model": "opus", "max_turns": 7})),
    ] {
        change(&daemon, prompt, &metadata).await?;
        left(&daemon, 0).await?;
        let now = process(&daemon, "eng").await?;
        assert_ne!(now, before);
        before = now;
    }
    // Nobody else's.
    define(&daemon, "ops", json!({})).await?;
    assert_eq!(process(&daemon, "eng").await?, before);
    Ok(())
}

#[tokio::test]
async fn what_it_signs_in_with_and_its_variables_end_it_at_once() -> Result<()> {
    let daemon = house(builder()).await?;
    let mut before = process(&daemon, "eng").await?;
    let claude = ["api", "credentials", "claude"];
    let env = ["api", "credentials", "env"];
    for (path, body) in [
        (claude, json!({"token": "sk-ant-api03-one-of-many-letters-and-more"})),
        (
            claude,
            json!({"token": "sk-ant-api03-another-of-many-letters-and-more"}),
        ),
        (env, json!({"name": "THING", "value": "one"})),
        (env, json!({"name": "THING", "value": "two"})),
    ] {
        done(&daemon, Method::POST, &path, &body).await?;
        // It is over when that is answered.
        assert_eq!(daemon.children()?, Vec::<u32>::new());
        let now = process(&daemon, "eng").await?;
        assert_ne!(now, before, "{path:?} {body}");
        assert_eq!(process(&daemon, "eng").await?, now);
        before = now;
        left(&daemon, 1).await?;
    }
    for (path, name) in [(claude, None), (env, Some("THING"))] {
        done(&daemon, Method::DELETE, &path, &json!({ "name": name })).await?;
        assert_eq!(daemon.children()?, Vec::<u32>::new(), "{path:?}");
        process(&daemon, "eng").await?;
        left(&daemon, 1).await?;
    }
    // What another agent has is nothing to it.
    let before = left(&daemon, 1).await?;
    done(
        &daemon,
        Method::POST,
        &env,
        &json!({"name": "THING", "value": "three", "channel": "ops"}),
    )
    .await?;
    assert_eq!(daemon.children()?, before);
    Ok(())
}

#[tokio::test]
async fn one_in_which_a_turn_runs_ends_with_it_when_something_is_taken_away() -> Result<()> {
    let daemon = house(builder()).await?;
    let env = ["api", "credentials", "env"];
    done(&daemon, Method::POST, &env, &json!({"name": "THING", "value": "one"})).await?;
    let before = process(&daemon, "eng").await?;
    let (sent, _) = hold(&daemon, "eng", "busy").await?;
    done(&daemon, Method::DELETE, &env, &json!({"name": "THING"})).await?;
    assert!(!daemon.children()?.is_empty(), "the turn goes on");
    release(&daemon, "eng", "busy", &sent).await?;
    left(&daemon, 0).await?;
    assert_ne!(process(&daemon, "eng").await?, before);
    Ok(())
}

#[tokio::test]
async fn a_grant_that_comes_or_goes_ends_it() -> Result<()> {
    let daemon = builder().start().await?;
    define(&daemon, "eng", json!({"wants": "env:github"})).await?;
    let without = process(&daemon, "eng").await?;
    let approve = daemon
        .cli(["agent", "approve", "eng", "env:github", "--token-stdin"])
        .await?;
    let ran = reveille_tests::daemon::run(approve, "a-granted-token").await?;
    ensure!(ran.code == 0, "{ran:?}");
    assert_eq!(daemon.children()?, Vec::<u32>::new());
    let with = process(&daemon, "eng").await?;
    assert_ne!(with, without);
    assert_eq!(process(&daemon, "eng").await?, with);
    let revoke = daemon.cli(["agent", "revoke", "eng", "env:github"]).await?;
    let ran = reveille_tests::daemon::run(revoke, "").await?;
    ensure!(ran.code == 0, "{ran:?}");
    assert_eq!(daemon.children()?, Vec::<u32>::new());
    assert_ne!(process(&daemon, "eng").await?, with);
    Ok(())
}

#[tokio::test]
async fn a_reset_and_the_end_of_the_agent_end_it_first() -> Result<()> {
    let daemon = house(builder()).await?;
    let first = well(&daemon, "eng", "hi").await?;
    left(&daemon, 1).await?;
    done(&daemon, Method::POST, &["api", "agents", "eng", "reset"], &json!({})).await?;
    // It is over when that is answered.
    assert_eq!(daemon.children()?, Vec::<u32>::new());
    let second = well(&daemon, "eng", "hi").await?;
    assert_ne!(first.more["session"], second.more["session"]);
    done(&daemon, Method::DELETE, &["api", "agents", "eng"], &Value::Null).await?;
    left(&daemon, 0).await?;
    // Another one of that name.
    define(&daemon, "eng", json!({})).await?;
    let third = well(&daemon, "eng", "hi").await?;
    assert_ne!(third.more["session"], second.more["session"]);
    // Renamed, it goes on, in a process that is started under the new name.
    let before = process(&daemon, "eng").await?;
    let agents = daemon.agents().await?;
    let note = agents[0]["note_id"].as_str().context("a note")?.to_owned();
    daemon
        .note_put(&note, "You help.", &["agent/definition"], &json!({"name": "ops"}))
        .await?;
    left(&daemon, 0).await?;
    assert_ne!(process(&daemon, "ops").await?, before);
    // An attached agent is nobody that the daemon keeps a process for.
    daemon
        .note_put(
            &note,
            "You help.",
            &["agent/definition"],
            &json!({"name": "ops", "backend": "attached"}),
        )
        .await?;
    left(&daemon, 0).await?;
    Ok(())
}
