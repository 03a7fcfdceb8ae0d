//! `reveille pin …`

use std::io::{BufRead as _, IsTerminal as _};

use clap::Subcommand;
use serde_json::json;

use super::CliError;
use super::client::Client;
use super::output::out;
use super::secret;

/// The PIN that browsers and programs must show before they do something dangerous.
#[derive(Debug, Subcommand)]
pub(super) enum Pin {
    /// Set it, or change it; it is asked for on the terminal, or read from stdin
    #[command(
        after_help = "Example: reveille pin set\nWithout a terminal: the PIN that is set, where one is, and the new one, each on a line of stdin."
    )]
    Set,
    /// Forget it; for who has the state directory, also without knowing it
    #[command(after_help = "Example: reveille pin clear && reveille pin set")]
    Clear,
}

impl Pin {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::Set => set(client).await,
            Self::Clear => {
                client.delete("/api/step-up/pin").await?;
                out!("there is no PIN any more");
                Ok(())
            }
        }
    }
}

async fn set(client: &Client) -> Result<(), CliError> {
    let configured = client.get("/api/step-up").await?["configured"] == true;
    let current = match configured {
        true => Some(read("The PIN that is set: ")?),
        false => None,
    };
    let new = read("New PIN, 4 to 12 digits: ")?;
    if std::io::stdin().is_terminal() && read("Once more: ")? != new {
        return Err(CliError::Usage(
            "these were two different PINs; nothing was changed".into(),
        ));
    }
    let body = json!({ "newPin": new, "currentPin": current });
    client.post("/api/step-up/pin", &body).await?;
    out!("the PIN is set");
    Ok(())
}

/// A PIN, from the terminal or else from a line of stdin.
pub(super) fn read(prompt: &str) -> Result<String, CliError> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Ok(secret::ask(prompt)?.trim().to_owned());
    }
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    read.map_err(|error| CliError::Failed(format!("stdin cannot be read: {error}")))?;
    match line.trim() {
        "" => Err(CliError::Usage(
            "there is no terminal to ask for the PIN, and no line of it on stdin; nothing was changed".into(),
        )),
        pin => Ok(pin.to_owned()),
    }
}
