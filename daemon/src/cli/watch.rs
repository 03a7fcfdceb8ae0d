//! `reveille watch`

use std::collections::HashMap;

use clap::Args;

use super::CliError;
use super::client::{Client, Events};
use super::output::note;
use super::show::Show;

/// Watch turns live.
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// Only this agent; all of them otherwise, also those that come later
    agent: Option<String>,
}

impl Watch {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        let events = match &self.agent {
            Some(name) => {
                client
                    .get(&format!("/api/agents/{}", super::client::segment(name)))
                    .await?;
                client.events(name).await?
            }
            None => client.all_events().await?,
        };
        let whom = self.agent.as_deref().unwrap_or("all agents");
        note(&format!("watching {whom}; end with Ctrl-C"));
        tokio::select! {
            end = follow(events) => end,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.map_err(|error| CliError::Failed(format!("no signal handler: {error}")))
            }
        }
    }
}

async fn follow(mut events: Events) -> Result<(), CliError> {
    let mut shows: HashMap<String, Show> = HashMap::new();
    while let Some(event) = events.next().await? {
        let name = event.data["channel"].as_str().unwrap_or_default();
        match (event.name.as_str(), event.data["kind"].as_str()) {
            ("turn", _) => {
                let show = shows.entry(name.to_owned()).or_insert_with(|| Show::with_prefix(name));
                show.event(&event.data);
            }
            ("agent", Some("removed")) => drop(shows.remove(name)),
            ("resync", _) => {
                return Err(CliError::Failed(
                    "this terminal took the events too slowly, and the daemon keeps only the newest; watch again"
                        .into(),
                ));
            }
            ("unauthorized", _) => {
                return Err(CliError::Refused {
                    message: "The token has ended or was revoked; set REVEILLE_TOKEN to another one.".into(),
                });
            }
            _ => {}
        }
    }
    Err(CliError::Unreachable("the daemon has stopped".into()))
}
