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
mod whole;
mod wire;

use anyhow::Result;
use reveille_tests::Daemon;

/// With one agent, `eng`, whose turns the stand-in runs.
async fn house() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    Ok(daemon)
}
