//! Agents that a session of somebody else is to serve.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::State;
use serde_json::{Value, json};

use super::{define, feed_comes_round, stand_in, told, until_status};

#[tokio::test]
async fn ac_123_158_the_messages_of_an_attached_agent_wait_until_it_is_switched() -> Result<()> {
    let mut daemon = stand_in().start().await?;
    define(&daemon, "ops", &json!({"name": "ops"})).await?;
    define(&daemon, "eng", &json!({"name": "eng", "backend": "channel"})).await?;
    assert_eq!(until_status(&daemon, "Agents/eng", "enabled").await?, "");
    let waits = daemon.send("eng", "[[reply switched]]").await?;
    daemon.restart().await?;
    feed_comes_round(&daemon, "ops", "1").await?;
    let shown = daemon.request(Method::GET, &["api", "agents", "eng"], None).await?;
    assert_eq!(
        ["status", "waiting", "running"].map(|key| &shown.body[key]),
        [&json!("queued"), &json!(1), &Value::Null]
    );

    // Only the new way counts from then on.
    define(&daemon, "eng", &json!({"backend": "programmatic"})).await?;
    assert_eq!(
        daemon.wait_turn("eng", &waits).await?.reply.as_deref(),
        Some("switched")
    );
    assert_eq!(until_status(&daemon, "Agents/eng", "enabled").await?, "");
    assert_eq!(told(&daemon, "eng", "[[reply again]]").await?.state, State::Ok);
    define(&daemon, "eng", &json!({"backend": "attached"})).await?;
    feed_comes_round(&daemon, "ops", "3").await?;
    daemon.send("eng", "[[reply never]]").await?;
    feed_comes_round(&daemon, "ops", "2").await?;
    let shown = daemon.agents().await?;
    let eng = shown.iter().find(|agent| agent["name"] == "eng").context("eng")?;
    assert_eq!((&eng["waiting"], &eng["running"]), (&json!(1), &Value::Null));
    Ok(())
}
