//! `reveille send`

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::CliError;
use super::agent::text_or_stdin;
use super::attach;
use super::client::{Client, Events, segment};
use super::output::{note, out, safe};
use super::show::Show;

/// Pause between looks at a turn whose live events broke off.
const POLL: Duration = Duration::from_millis(500);

/// Send a message to an agent.
#[derive(Debug, Args)]
pub(super) struct Send {
    /// Name of the agent
    agent: String,
    /// The text; `-` reads it from stdin
    #[arg(default_value = "-", hide_default_value = true)]
    text: String,
    /// Show the turn on stderr, and print the reply on stdout when it is there
    #[arg(long)]
    wait: bool,
    /// Conversation within the agent, by subject
    #[arg(long, visible_alias = "thread")]
    subject: Option<String>,
    /// What it does to the others of its conversation: followup waits its turn, collect shares one turn with those of its
    /// kind, interrupt stops the running turn and goes first [default: the agent's own]
    #[arg(long, value_parser = ["followup", "collect", "interrupt"])]
    mode: Option<String>,
    /// Agent that is told the outcome
    #[arg(long, value_name = "AGENT")]
    reply_to: Option<String>,
    /// Echoed to that agent
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// File that goes with it; may be given several times
    #[arg(long = "attach", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Who sends it
    #[arg(long, default_value = "operator")]
    sender: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Send {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        let text = text_or_stdin(self.text)?;
        let attachments = attach::upload(client, &self.agent, &self.files).await?;
        let body = json!({
            "text": text,
            "sender": self.sender,
            "subject": self.subject,
            "mode": self.mode,
            "reply_to": self.reply_to,
            "correlation_id": self.correlation_id,
            "attachments": attachments,
        });
        // Watch first: nothing of the turn can be missed.
        let events = if self.wait {
            Some(client.events(&self.agent).await?)
        } else {
            None
        };
        let sent = client
            .post(&format!("/api/channels/{}/send", segment(&self.agent)), &body)
            .await?;
        if let Some(paused) = sent["paused"].as_str().filter(|_| !self.json) {
            note(&format!(
                "· {} is paused, so the message waits: {}",
                self.agent,
                safe(paused)
            ));
        }
        let Some(events) = events else {
            match self.json {
                true => super::output::json(&sent),
                false => out!("sent: {}", sent["id"].as_str().unwrap_or_default()),
            }
            return Ok(());
        };
        let message = sent["id"].as_str().unwrap_or_default().to_owned();
        let turn = match follow(events, &message, &mut Show::default()).await? {
            Some(turn) => turn,
            None => sent["turn"].as_str().unwrap_or_default().to_owned(),
        };
        let turn = settled(client, &turn).await?;
        report(&turn, self.json)
    }
}

/// Shows the turn that answers a message, up to its end. `None`: the stream ended before.
pub(super) async fn follow(mut events: Events, message: &str, show: &mut Show) -> Result<Option<String>, CliError> {
    loop {
        let event = match events.next().await {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(None),
            Err(error) => {
                note(&format!("· {error}; waiting for the outcome"));
                return Ok(None);
            }
        };
        if event.name == "resync" {
            // The end may be among what was missed: the turn itself knows.
            return Ok(None);
        }
        if event.name != "turn" || event.data["message"] != message {
            continue;
        }
        show.event(&event.data);
        if matches!(event.data["kind"].as_str(), Some("done" | "error" | "stopped")) {
            return Ok(event.data["turn"].as_str().map(str::to_owned));
        }
    }
}

/// The turn once it has ended. The daemon may restart meanwhile.
pub(super) async fn settled(client: &Client, turn: &str) -> Result<Value, CliError> {
    let mut unreachable = 0;
    loop {
        match client.get(&format!("/api/turns/{}", segment(turn))).await {
            Ok(view) if !matches!(view["state"].as_str(), Some("waiting" | "working" | "joined")) => return Ok(view),
            Ok(_) => unreachable = 0,
            Err(error @ CliError::Unreachable(_)) if unreachable >= 20 => return Err(error),
            Err(CliError::Unreachable(_)) => unreachable += 1,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(POLL).await;
    }
}

fn report(turn: &Value, json: bool) -> Result<(), CliError> {
    if json {
        super::output::json(turn);
    } else if let Some(reply) = turn["reply"].as_str() {
        out!("{}", safe(reply));
    }
    match turn["state"].as_str() {
        Some("ok") => Ok(()),
        Some(state) => {
            let failure = &turn["error"];
            let text = |key: &str| safe(failure[key].as_str().unwrap_or_default());
            Err(CliError::Failed(format!(
                "the turn ended as {state}. {} {}",
                text("message"),
                text("next_step")
            )))
        }
        None => Err(CliError::Failed("the daemon does not know the turn".into())),
    }
}
