//! What the daemon says of itself: drafts judged, its own checks, statistics, and how a client gets in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

mod checks;
mod live;
mod metrics;
mod sessions;
mod statistics;
mod validate;

use anyhow::{Context as _, Result};
use reveille_tests::daemon::{Answer, Daemon};
use serde_json::{Value, json};

/// A daemon with the agent `eng`.
async fn with_eng() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    Ok(daemon)
}

/// The JSON of a GET as the operator.
async fn get(daemon: &Daemon, target: &str) -> Result<Value> {
    let answer = daemon.ask_in("GET", target, b"").await?;
    let json = answer.json()?;
    anyhow::ensure!(answer.status == 200, "{target}: {} {json}", answer.status);
    Ok(json)
}

async fn post(daemon: &Daemon, target: &str, body: &Value) -> Result<Answer> {
    daemon.ask_in("POST", target, body.to_string().as_bytes()).await
}

/// A bearer with one verb of the daemon.
async fn token(daemon: &Daemon, verb: &str) -> Result<String> {
    let asked = json!({ "label": verb, "scopes": [format!("reveille:{verb}")] });
    let made = post(daemon, "/api/tokens", &asked).await?.json()?;
    Ok(format!(
        "Bearer {}",
        made["token"].as_str().with_context(|| made.to_string())?
    ))
}

/// The status of a request with that bearer.
async fn status(daemon: &Daemon, bearer: &str, method: &str, target: &str, body: &[u8]) -> Result<u16> {
    let answer = daemon.ask(method, target, &[("authorization", bearer)], body).await?;
    Ok(answer.status)
}
