//! Bad input gets a clear error, and loses nothing.

mod definitions;
mod door;
mod messages;
mod missing_cli;
mod start;

use anyhow::{Context as _, Result};
use reveille_tests::daemon::{Daemon, rows};
use serde_json::Value;

/// A daemon with the agent `eng`.
async fn with_eng() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    Ok(daemon)
}

/// A number out of the vault's database.
fn vault_count(daemon: &Daemon, sql: &str) -> Result<i64> {
    count(&rows(&daemon.state_tables()?.vault, sql)?)
}

/// A number out of the queue's database.
fn queue_count(daemon: &Daemon, sql: &str) -> Result<i64> {
    count(&rows(&daemon.state_tables()?.queue, sql)?)
}

fn count(rows: &[Vec<Value>]) -> Result<i64> {
    let cell = rows.first().and_then(|row| row.first());
    cell.and_then(Value::as_i64).context("a number")
}

/// The text at a key of a note's metadata, empty when there is none.
fn meta<'a>(note: &'a Value, key: &str) -> &'a str {
    note["metadata"][key].as_str().unwrap_or_default()
}
