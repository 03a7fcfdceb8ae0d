//! `reveille watch`

use clap::Args;
use tokio::sync::mpsc;

use super::CliError;
use super::client::Client;
use super::output::note;
use super::show::Show;

/// Agents that are watched at once without a name: each is a connection.
const AGENTS_MAX: usize = 64;

/// Watch turns live.
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// Only this agent; all of them otherwise
    agent: Option<String>,
}

impl Watch {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        let names = match self.agent {
            Some(name) => {
                client
                    .get(&format!("/api/agents/{}", super::client::segment(&name)))
                    .await?;
                vec![name]
            }
            None => names(client).await?,
        };
        if names.is_empty() {
            return Err(CliError::Failed(
                "there are no agents to watch; make one with `reveille agent new`".into(),
            ));
        }
        note(&format!("watching {}; end with Ctrl-C", names.join(", ")));
        let (tell, mut told) = mpsc::channel::<Result<(), CliError>>(names.len());
        for name in names {
            let mut events = client.events(&name).await?;
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut show = Show::with_prefix(&name);
                let end = loop {
                    match events.next().await {
                        Ok(Some(event)) if event.name == "turn" => show.event(&event.data),
                        Ok(Some(_)) => {}
                        Ok(None) => break Err(CliError::Unreachable("the daemon has stopped".into())),
                        Err(error) => break Err(error),
                    }
                };
                // silent-ok: another stream has ended the command already.
                let _ = tell.send(end).await;
            });
        }
        drop(tell);
        tokio::select! {
            end = told.recv() => end.unwrap_or(Ok(())),
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.map_err(|error| CliError::Failed(format!("no signal handler: {error}")))
            }
        }
    }
}

async fn names(client: &Client) -> Result<Vec<String>, CliError> {
    let answer = client.get("/api/agents").await?;
    let agents = answer["agents"].as_array().into_iter().flatten();
    let names: Vec<String> = agents
        .filter(|agent| agent["status"] != "error")
        .filter_map(|agent| agent["name"].as_str().map(str::to_owned))
        .collect();
    if names.len() > AGENTS_MAX {
        return Err(CliError::Usage(format!(
            "there are {} agents; name the one to watch",
            names.len()
        )));
    }
    Ok(names)
}
