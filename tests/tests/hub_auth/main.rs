//! A hub that lets people in: the compiled daemon before the double of a hub, with tokens as it signs them and as it does not.

mod discovery;
mod keys;
mod module;
mod mount;
mod outage;
mod tokens;

use anyhow::{Context as _, Result};
use reveille_tests::Daemon;
use reveille_tests::daemon::{Answer, Builder};
use reveille_tests::hub::HubDouble;

/// A daemon that lets in whom the hub has given a token.
fn with_hub(hub: &HubDouble) -> Builder {
    Daemon::builder()
        .stand_in()
        .env("REVEILLE_HUB__ORIGIN", hub.url())
        .env("REVEILLE_HUB__AUTH", "true")
}

/// Asks with a token for something that takes to read.
async fn ask(daemon: &Daemon, token: &str) -> Result<Answer> {
    let bearer = format!("Bearer {token}");
    daemon
        .ask("GET", "/api/agents", &[("authorization", &bearer)], b"")
        .await
}

/// The status of that.
async fn status(daemon: &Daemon, token: &str) -> Result<u16> {
    Ok(ask(daemon, token).await?.status)
}

/// The lines of the daemon's log that tell why a token was refused, by their code.
fn reasons(daemon: &Daemon) -> Result<Vec<String>> {
    let log = daemon.log()?;
    let lines = log
        .lines()
        .filter(|line| line.contains("a token of the hub was refused"));
    let code = |line: &str| {
        let rest = line.split_once("\"code\":\"").map(|(_, rest)| rest);
        rest.and_then(|rest| rest.split('"').next()).map(str::to_owned)
    };
    lines.map(|line| code(line).context("a reason has a code")).collect()
}
