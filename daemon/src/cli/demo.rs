//! `reveille demo`: the whole road of a message, with a scratch daemon.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use reveille_sandbox::Unconfined;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::output::{out, safe};
use super::send::{follow, settled};
use super::show::Show;
use super::{CliError, Global, serve};
use crate::claude::{Claude, STAND_IN, SignIn};
use crate::config::SandboxMode;
use crate::config::{Config, LogFormat, Server, Span, Vaults};
use crate::service::Options;

const SCOUT: &str = "You are scout. You find things out and report them in one short paragraph.";
const CAPTAIN: &str = "You are captain. When another agent reports to you, say in one sentence what you make of it.";
const QUESTION: &str = "In one sentence: why do people write notes?";
/// A hand-over takes milliseconds; longer means that something is wrong.
const CALLBACK_PATIENCE: Duration = Duration::from_secs(120);

/// Show it working.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// End when everything has been shown, instead of leaving the page open
    #[arg(long)]
    once: bool,
}

impl Demo {
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        let mut config = global.config()?;
        // A scratch daemon of its own, whatever is configured for the real one.
        config.server = Server::default();
        config.server.bind.set_port(0);
        // Nobody waits for what it makes up.
        config.server.drain = Some(Span(Duration::from_secs(10)));
        config.vaults = Vaults::default();
        config.log.format = LogFormat::Text;
        config.log.level = "error".into();
        let _log = serve::start_log(&config.log)?;
        choose_program(&mut config);
        choose_walls(&mut config);
        let scratch = tempfile::Builder::new()
            .prefix("reveille-demo-")
            .tempdir()
            .map_err(|error| CliError::Failed(format!("no scratch directory: {error}")))?;
        let options = Options {
            state_dir: scratch.path().join("state"),
            config,
            environment: std::env::vars_os().collect(),
        };
        let service = options.build().await?;
        let client = Client::new(&service.url(), service.token())?;
        let page = service.sign_in_url();
        let (stop, hurry) = serve::on_signals()?;
        let daemon = tokio::spawn(service.run(stop.clone(), hurry));
        let shown = tokio::select! {
            shown = show(&client) => shown,
            () = stop.cancelled() => Ok(()),
        };
        let stay = shown.is_ok() && !self.once && !stop.is_cancelled();
        if stay {
            out!("\nThe page: {page}\n(the link works once; this scratch daemon and its notes are gone after Ctrl-C)");
            stop.cancelled().await;
        } else if shown.is_ok() {
            out!(
                "\nWithout --once the page would now be open at a link like {}/",
                page.split("/#").next().unwrap_or_default()
            );
        }
        end(stop, daemon).await?;
        shown
    }
}

async fn end(stop: CancellationToken, daemon: tokio::task::JoinHandle<anyhow::Result<()>>) -> Result<(), CliError> {
    stop.cancel();
    Ok(daemon
        .await
        .map_err(|error| CliError::Failed(format!("the daemon failed: {error}")))??)
}

/// The built-in double makes its answers up and does nothing else, so it needs no walls, and shows its answers on a machine
/// that has none too.
fn choose_walls(config: &mut Config) {
    if config.claude.program == STAND_IN {
        config.sandbox.mode = SandboxMode::None;
    }
}

/// The real CLI when it is there and signed in; otherwise the built-in double, and says so.
fn choose_program(config: &mut Config) {
    let claude = Claude::new(
        config.claude.clone(),
        Arc::new(Unconfined),
        String::new(),
        std::env::vars_os(),
    );
    if let (Some(_), Some(problem)) = (claude.program(), claude.login_problem()) {
        out!(
            "{} So the built-in stand-in runs the turns: it makes its answers up.",
            problem.message
        );
        config.claude.program = STAND_IN.into();
        return;
    }
    match (claude.program(), claude.sign_in(None)) {
        (Some(_), SignIn::NotNeeded) => out!("Turns are run by the built-in stand-in, as configured."),
        (Some(program), SignIn::Stored(..) | SignIn::Configured(_) | SignIn::Environment(_) | SignIn::Login(_)) => {
            out!("Turns are run by Claude Code ({}).", program.display());
        }
        (Some(_), SignIn::Unknown | SignIn::Unreadable(_)) => {
            out!(
                "Claude Code is installed but not signed in, so the built-in stand-in runs the turns: it makes its answers up."
            );
            config.claude.program = STAND_IN.into();
        }
        (None, _) => {
            out!("Claude Code is not installed, so the built-in stand-in runs the turns: it makes its answers up.");
            config.claude.program = STAND_IN.into();
        }
    }
}

async fn show(client: &Client) -> Result<(), CliError> {
    for (name, prompt) in [("scout", SCOUT), ("captain", CAPTAIN)] {
        client
            .post("/api/agents", &json!({ "name": name, "prompt": prompt }))
            .await?;
    }
    out!("1. Two agents are two notes: Agents/scout and Agents/captain.");
    let scout = client.events("scout").await?;
    let captain = client.events("captain").await?;
    let body = json!({ "text": QUESTION, "reply_to": "captain" });
    let sent = client.post("/api/channels/scout/send", &body).await?;
    let message = sent["id"].as_str().unwrap_or_default();
    out!("2. A note for scout, who shall report to captain: {QUESTION:?}");
    follow(scout, message, &mut Show::with_prefix("   scout")).await?;
    let turn = finished(client, sent["turn"].as_str().unwrap_or_default()).await?;
    out!(
        "3. The reply is a note: {}",
        safe(turn["reply"].as_str().unwrap_or_default())
    );
    let note = client
        .get(&format!(
            "/vault/default/api/notes/{}",
            turn["note"].as_str().unwrap_or_default()
        ))
        .await?;
    out!("   at {}", note["path"].as_str().unwrap_or_default());
    let thread = client
        .get(&format!(
            "/vault/default/api/notes/{}",
            turn["thread"].as_str().unwrap_or_default()
        ))
        .await?;
    let (path, meta) = (thread["path"].as_str().unwrap_or_default(), &thread["metadata"]);
    out!(
        "   its conversation is the note {path}: status {}, turns {}",
        meta["status"],
        meta["turn_count"]
    );
    let callback = tokio::time::timeout(CALLBACK_PATIENCE, first_end(captain)).await;
    let callback = callback.map_err(|_| CliError::Failed("captain was not woken in two minutes".into()))??;
    let woken = finished(client, &callback).await?;
    out!(
        "4. That woke captain, who answered: {}",
        safe(woken["reply"].as_str().unwrap_or_default())
    );
    Ok(())
}

async fn finished(client: &Client, turn: &str) -> Result<Value, CliError> {
    let turn = settled(client, turn).await?;
    if turn["state"] == "ok" {
        return Ok(turn);
    }
    let text = |key: &str| safe(turn["error"][key].as_str().unwrap_or_default());
    Err(CliError::Failed(format!(
        "the turn ended as {}. {} {}",
        turn["state"],
        text("message"),
        text("next_step")
    )))
}

/// The first turn of the channel that ends.
async fn first_end(mut events: super::client::Events) -> Result<String, CliError> {
    let mut show = Show::with_prefix("   captain");
    while let Some(event) = events.next().await? {
        if event.name == "turn" {
            show.event(&event.data);
            if matches!(event.data["kind"].as_str(), Some("done" | "error" | "stopped")) {
                return Ok(event.data["turn"].as_str().unwrap_or_default().to_owned());
            }
        }
    }
    Err(CliError::Failed("the live events ended early".into()))
}
