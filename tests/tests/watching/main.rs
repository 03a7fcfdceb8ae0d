//! What those see who watch over the daemon from outside: traces, as a collector gets them, and the log.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

mod collector;
mod faults;
mod lines;
mod traces;

use std::time::Duration;

use anyhow::{Context as _, Result};
use http::Method;
use reveille_tests::Receiver;
use reveille_tests::daemon::{Builder, Daemon, LIMIT, Turn};
use reveille_tests::eventually;
use serde_json::{Value, json};

use self::collector::{PATH, Spans};

/// Tags of a message to an agent.
const INBOUND: [&str; 2] = ["agent/message", "agent/message/inbound"];

/// A daemon that tells a collector, and does not wait long for more.
fn told(collector: &Receiver) -> Builder {
    Daemon::builder()
        .stand_in()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url(""))
        .env("OTEL_BSP_SCHEDULE_DELAY", "20")
        .env("REVEILLE_CLAUDE__RETRY_PAUSES", "1ms,1ms")
}

async fn with(builder: Builder, agents: &[&str]) -> Result<Daemon> {
    let daemon = builder.start().await?;
    for agent in agents {
        daemon.create_agent(agent, "You do as you are told.").await?;
    }
    Ok(daemon)
}

async fn turn(daemon: &Daemon, agent: &str, text: &str) -> Result<Turn> {
    let sent = daemon.send(agent, text).await?;
    daemon.wait_turn(agent, &sent).await
}

/// What the collector has, once it is as `wanted`.
async fn spans(collector: &Receiver, what: &str, wanted: impl Fn(&Spans) -> bool) -> Result<Spans> {
    let seen = eventually(what, LIMIT, async || {
        let spans = Spans::of(collector)?;
        Ok(wanted(&spans).then_some(spans))
    })
    .await;
    seen.with_context(|| format!("{:#?}", Spans::of(collector)))
}

/// One of the figures.
async fn figure(daemon: &Daemon, row: &str) -> Result<f64> {
    let answer = daemon.ask_in("GET", "/metrics", b"").await?;
    let text = String::from_utf8(answer.body)?;
    let line = text.lines().find_map(|line| line.strip_prefix(row));
    Ok(line.with_context(|| format!("no {row} in {text}"))?.trim().parse()?)
}

async fn spans_that(daemon: &Daemon, outcome: &str) -> Result<f64> {
    figure(daemon, &format!("reveille_trace_spans_total{{outcome=\"{outcome}\"}}")).await
}

/// Makes an agent that a session serves.
async fn attach(daemon: &Daemon, name: &str) -> Result<()> {
    let body = json!({ "name": name, "prompt": "You build.", "metadata": { "backend": "attached" } });
    daemon
        .request(Method::POST, &["api", "agents"], Some(&body))
        .await?
        .ok::<Value>()?;
    Ok(())
}

/// Long enough for a request that would come to have come.
const A_WHILE: Duration = Duration::from_millis(300);

/// All requests that came for traces went to their place.
fn requests(collector: &Receiver) -> usize {
    collector.told_at(PATH).len()
}
