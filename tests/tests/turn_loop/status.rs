//! How an agent stands.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{Held, agent, listed, rested, stand_in, whole, with_eng};

#[tokio::test]
async fn tc_st_1_an_agent_is_idle_works_and_has_messages_in_line() -> Result<()> {
    let daemon = with_eng().await?;
    let stands = async || -> Result<Value> {
        let eng = listed(&daemon, "eng").await?;
        Ok(json!([eng["status"], eng["waiting"]]))
    };
    assert_eq!(stands().await?, json!(["idle", 0]));
    let held = Held::new(&daemon, "eng", &json!({}), "").await?;
    assert_eq!(stands().await?, json!(["working", 0]));
    let running = listed(&daemon, "eng").await?["running"]["turn"].clone();
    assert_eq!(running, json!(held.sent.turn));
    daemon.send("eng", "[[reply next]]").await?;
    assert_eq!(stands().await?, json!(["working", 1]));
    held.open()?;
    whole(&daemon).await?;
    rested(&daemon, "eng").await?;
    assert_eq!(stands().await?, json!(["idle", 0]));
    Ok(())
}

#[tokio::test]
async fn tc_st_2_3_agents_are_counted_and_named_for_those_who_may_know() -> Result<()> {
    let daemon = stand_in().start().await?;
    agent(&daemon, "eng", &json!({})).await?;
    let stranger = daemon.ask("GET", "/health", &[], b"").await?.json()?;
    assert_eq!(stranger, json!({ "status": "ok" }));
    let health = daemon.ask_in("GET", "/health", b"").await?.json()?;
    assert_eq!((&health["agents"], &health["status"]), (&json!(1), &json!("ok")));
    let agents = daemon.agents().await?;
    assert_eq!(agents.len(), 1);
    assert_eq!(
        (&agents[0]["name"], &agents[0]["status"]),
        (&json!("eng"), &json!("idle"))
    );
    let unnamed = daemon.ask("GET", "/api/agents", &[], b"").await?;
    assert_eq!(unnamed.status, 401);
    let named = daemon.request(Method::GET, &["api", "agents"], None).await?;
    named.body["agents"].as_array().context("a list")?;
    Ok(())
}
