//! MCP of the whole daemon and of its channels: by the official client over HTTP and over stdio, message by message, and in
//! the hands of the real CLI.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

mod attached;
mod official;
mod real_cli;
mod sessions;
mod stdio;
mod turns;
mod waits;
mod whole;
mod wire;

use anyhow::{Context as _, Result};
use reveille_tests::Daemon;
use serde_json::json;

/// With one agent, `eng`, whose turns the stand-in runs.
async fn house() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    Ok(daemon)
}

/// A token with these scopes.
async fn token(daemon: &Daemon, scopes: &[&str]) -> Result<String> {
    let asked = json!({ "scopes": scopes }).to_string();
    let made = daemon.ask_in("POST", "/api/tokens", asked.as_bytes()).await?;
    anyhow::ensure!(made.status == 201, "{}: {}", made.status, made.json()?);
    Ok(made.json()?["token"].as_str().context("a token")?.to_owned())
}
