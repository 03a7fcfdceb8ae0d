//! Conversations whose process waits for their next message.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

mod ahead;
mod ahead_in_vain;
mod ahead_wants;
mod changes;
mod confined;
mod ends;
mod figures;
mod hand_over;
mod places;
mod real_cli;
mod rights;
mod turns;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use reveille_tests::daemon::{Builder, Daemon, LIMIT, State, Turn};
use reveille_tests::eventually;
use serde_json::{Value, json};

/// Says which process runs the turn.
pub(crate) const WHO: &str = "[[exec echo process $PPID]]";

pub(crate) fn builder() -> Builder {
    Daemon::builder().stand_in().warm()
}

/// With one agent, `eng`.
pub(crate) async fn house(builder: Builder) -> Result<Daemon> {
    let daemon = builder.start().await?;
    define(&daemon, "eng", json!({})).await?;
    Ok(daemon)
}

pub(crate) async fn define(daemon: &Daemon, name: &str, metadata: Value) -> Result<()> {
    let body = json!({ "name": name, "prompt": "You help.", "metadata": metadata });
    let made = daemon.request(Method::POST, &["api", "agents"], Some(&body)).await?;
    ensure!(made.status == 201, "{}", made.body);
    Ok(())
}

pub(crate) async fn turn(daemon: &Daemon, agent: &str, text: &str) -> Result<Turn> {
    let sent = daemon.send(agent, text).await?;
    daemon.wait_turn(agent, &sent).await
}

/// A turn that ends well.
pub(crate) async fn well(daemon: &Daemon, agent: &str, text: &str) -> Result<Turn> {
    let turn = turn(daemon, agent, text).await?;
    ensure!(turn.state == State::Ok, "{turn:?}");
    Ok(turn)
}

/// The process that runs the turns of an agent now.
pub(crate) async fn process(daemon: &Daemon, agent: &str) -> Result<u32> {
    let reply = well(daemon, agent, WHO).await?.reply.context("a reply")?;
    let (_, pid) = reply.rsplit_once("process ").with_context(|| reply.clone())?;
    Ok(pid.trim().parse()?)
}

/// Waits until exactly so many processes of the daemon's are there.
pub(crate) async fn left(daemon: &Daemon, count: usize) -> Result<Vec<u32>> {
    eventually(&format!("{count} processes"), LIMIT, async || {
        let children = daemon.children()?;
        Ok((children.len() == count).then_some(children))
    })
    .await
    .with_context(|| format!("{:?}", daemon.children()))
}

pub(crate) async fn done(daemon: &Daemon, method: Method, path: &[&str], body: &Value) -> Result<Value> {
    let body = Some(body).filter(|body| !body.is_null());
    let answer = daemon.request(method, path, body).await?;
    ensure!((200..300).contains(&answer.status), "{path:?}: {answer:?}");
    Ok(answer.body)
}
