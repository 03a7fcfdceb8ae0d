//! `reveille thread …`

use clap::Subcommand;
use serde_json::Value;

use super::CliError;
use super::client::{Client, segment};
use super::output::{self, out, safe, table, text};

/// Conversations.
#[derive(Debug, Subcommand)]
pub(super) enum Thread {
    /// Conversations of an agent
    #[command(after_help = "Example: reveille thread list scribe")]
    List {
        /// Name of the agent
        agent: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// What was said to an agent and what it answered, with the cost
    #[command(after_help = "Example: reveille thread show scribe --limit 10")]
    Show {
        /// Name of the agent
        agent: String,
        /// Most messages
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

impl Thread {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::List { agent, json } => {
                let answer = client
                    .get(&format!("/api/channels/{}/threads", segment(&agent)))
                    .await?;
                if json {
                    output::json(&answer);
                    return Ok(());
                }
                let rows: Vec<Vec<String>> = threads(&answer)
                    .map(|thread| {
                        let key = match thread["key"]["key"].as_str() {
                            Some(key) => safe(key),
                            None => "(main)".into(),
                        };
                        let cost = format!("${:.4}", thread["cost_usd"].as_f64().unwrap_or(0.0));
                        vec![
                            key,
                            thread["turns"].to_string(),
                            cost,
                            text(&thread["started_at"]),
                            text(&thread["thread"]),
                        ]
                    })
                    .collect();
                table(&["SUBJECT", "TURNS", "COST", "STARTED", "THREAD"], &rows);
                Ok(())
            }
            Self::Show { agent, limit, json } => show(client, &agent, limit, json).await,
        }
    }
}

fn threads(answer: &Value) -> impl Iterator<Item = &Value> {
    answer["threads"].as_array().into_iter().flatten()
}

async fn show(client: &Client, agent: &str, limit: u32, json: bool) -> Result<(), CliError> {
    let mut said = client
        .get(&format!("/api/channels/{}/messages?limit={limit}", segment(agent)))
        .await?;
    let known = client.get(&format!("/api/channels/{}/threads", segment(agent))).await?;
    if json {
        said["threads"] = known["threads"].clone();
        output::json(&said);
        return Ok(());
    }
    for message in said["messages"].as_array().into_iter().flatten() {
        let who = match message["direction"].as_str() {
            Some("outbound") => agent.to_owned(),
            _ => text(&message["sender"]),
        };
        let state = message["state"]
            .as_str()
            .filter(|state| *state != "ok")
            .map(|state| format!(" [{state}]"));
        out!(
            "{}  {who}{}\n{}\n",
            text(&message["at"]),
            state.unwrap_or_default(),
            text(&message["text"])
        );
    }
    let (turns, cost) = threads(&known).fold((0, 0.0), |(turns, cost), thread| {
        (
            turns + thread["turns"].as_u64().unwrap_or(0),
            cost + thread["cost_usd"].as_f64().unwrap_or(0.0),
        )
    });
    out!("{turns} turns, ${cost:.4}");
    Ok(())
}
