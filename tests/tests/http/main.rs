//! The HTTP surface, from outside and by its requirements: each test is called after the lines (`r_http_N_…`, `r_auth_N_…`,
//! `r_mcp_N_…`) that it shows. `tests/cases/http.txt` says for each line where it is shown, or why it is not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

mod addresses;
mod bodies;
mod described;
mod document;
mod ends;
mod environment;
mod frames;
mod manifest;
mod map;
mod mcp;
mod mount;
mod origin;
mod pages;
mod paging;
mod race;
mod strangers;
mod strict;
mod tickets;
mod webhooks;
mod wire;

use anyhow::{Context as _, Result, ensure};
use reveille_tests::daemon::{Answer, Daemon};
use serde_json::{Value, json};

/// A daemon with the agent `eng`.
async fn with_eng() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    Ok(daemon)
}

/// The daemon answers messages as before, and nothing in it fell over.
async fn works(daemon: &Daemon) -> Result<()> {
    let sent = daemon.send("eng", "[[reply still here]]").await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    ensure!(turn.reply.as_deref() == Some("still here"), "{turn:?}");
    let log = daemon.log()?;
    ensure!(!log.contains("panicked"), "{log}");
    Ok(())
}

/// A token of the vault `default` with one verb.
async fn token_of_vault(daemon: &Daemon, verb: &str) -> Result<String> {
    let asked = json!({ "label": verb, "scopes": [format!("vault:{verb}")] });
    let target = "/vault/default/tokens";
    let made = daemon
        .ask_in("POST", target, asked.to_string().as_bytes())
        .await?
        .json()?;
    Ok(made["token"].as_str().with_context(|| made.to_string())?.to_owned())
}

/// A request with that token.
async fn ask_with(daemon: &Daemon, token: &str, method: &str, target: &str, body: &[u8]) -> Result<Answer> {
    let bearer = format!("Bearer {token}");
    daemon
        .ask(method, target, &[("authorization", bearer.as_str())], body)
        .await
}

/// The text at a key, empty when there is none.
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
