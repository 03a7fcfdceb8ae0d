//! Every command of the command line once, against a daemon with the stand-in.

mod agents;
mod demo;
mod folder;
mod help;
mod jobs;
mod notes;
mod queue;
mod turns;

use anyhow::{Context as _, Result, ensure};
use reveille_tests::daemon::{Daemon, Ran};
use serde_json::Value;

/// A daemon with the agent `eng`.
async fn with_eng() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    Ok(daemon)
}

/// What a command that succeeds writes to stdout. Without `--wait` and the like it has nothing to say on stderr.
async fn out(daemon: &Daemon, args: &[&str]) -> Result<String> {
    let ran = daemon.run(args).await?;
    ensure!(ran.code == 0 && ran.stderr.is_empty(), "{args:?}: {ran:?}");
    Ok(ran.stdout)
}

/// The same as JSON.
async fn json_out(daemon: &Daemon, args: &[&str]) -> Result<Value> {
    let text = out(daemon, args).await?;
    serde_json::from_str(&text).context(text)
}

/// Code and stdout, for a command whose words on stderr are for people.
fn told(ran: &Ran) -> (i32, &str) {
    (ran.code, ran.stdout.as_str())
}
