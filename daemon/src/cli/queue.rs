//! `reveille queue …`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::CliError;
use super::agent::text_or_stdin;
use super::client::{Client, segment};
use super::output::{self, note, one_line, out, short, table, text};
use super::turn::{address, standing};

/// Messages in line.
#[derive(Debug, Subcommand)]
pub(super) enum Queue {
    /// What waits and what runs, in order
    #[command(after_help = "Example: reveille queue list scribe")]
    List {
        /// Name of the agent; all that have something in line otherwise
        agent: Option<String>,
        /// Most messages of each agent
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// End a waiting message; the agent that asked for it is told
    #[command(after_help = "Example: reveille queue cancel 6f20a7c0")]
    Cancel {
        /// Identity of its turn, or the end of it
        turn: String,
    },
    /// Hold a waiting message back; the ones behind it pass
    #[command(after_help = "Example: reveille queue hold 6f20a7c0")]
    Hold {
        /// Identity of its turn, or the end of it
        turn: String,
    },
    /// Let a message go that was held back
    #[command(after_help = "Example: reveille queue release 6f20a7c0")]
    Release {
        /// Identity of its turn, or the end of it
        turn: String,
    },
    /// Move a waiting message within its conversation
    #[command(after_help = "Example: reveille queue move 6f20a7c0 --before 9b7c4d02")]
    Move {
        /// Identity of its turn, or the end of it
        turn: String,
        #[command(flatten)]
        to: To,
    },
    /// Give a waiting message another text
    #[command(after_help = "Example: reveille queue edit 6f20a7c0 'Read me the minutes of Friday.'")]
    Edit {
        /// Identity of its turn, or the end of it
        turn: String,
        /// The text; `-` reads it from stdin
        #[arg(default_value = "-", hide_default_value = true)]
        text: String,
    },
}

/// Where it goes.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct To {
    /// Before all others
    #[arg(long)]
    first: bool,
    /// Behind all others
    #[arg(long)]
    last: bool,
    /// Directly before this one
    #[arg(long, value_name = "TURN")]
    before: Option<String>,
}

impl Queue {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::List { agent, limit, json } => return list(client, agent, limit, json).await,
            Self::Cancel { turn } => {
                let ended = client.post(&address(&turn, "/cancel"), &json!({})).await?;
                out!("cancelled {turn}");
                // The first one says what was just done.
                for notice in ended["notices"].as_array().into_iter().flatten().skip(1) {
                    note(&text(notice));
                }
            }
            Self::Hold { turn } => {
                client.post(&address(&turn, "/hold"), &json!({})).await?;
                out!("held {turn}");
            }
            Self::Release { turn } => {
                client.post(&address(&turn, "/release"), &json!({})).await?;
                out!("released {turn}");
            }
            Self::Move { turn, to } => {
                let to = match to.before {
                    Some(other) => json!({ "before": other }),
                    None if to.first => json!("first"),
                    None => json!("last"),
                };
                let moved = client.post(&address(&turn, "/move"), &json!({ "to": to })).await?;
                out!("moved {turn}; {} before it", moved["position"].as_u64().unwrap_or(0));
            }
            Self::Edit { turn, text } => {
                let text = text_or_stdin(text)?;
                client.patch(&address(&turn, ""), &json!({ "text": text })).await?;
                out!("edited {turn}");
            }
        }
        Ok(())
    }
}

async fn list(client: &Client, agent: Option<String>, limit: u32, json: bool) -> Result<(), CliError> {
    let names = match &agent {
        Some(name) => vec![name.clone()],
        None => busy(client).await?,
    };
    let mut queues = Vec::new();
    for name in names {
        let path = format!("/api/channels/{}/queue?limit={limit}", segment(&name));
        queues.push(client.get(&path).await?);
    }
    if json {
        output::json(&match agent {
            Some(_) => queues.pop().unwrap_or_default(),
            None => json!({ "queues": queues }),
        });
        return Ok(());
    }
    let rows: Vec<Vec<String>> = queues.iter().flat_map(turns).map(row).collect();
    if rows.is_empty() {
        out!("nothing is in line");
    } else {
        table(
            &[
                "TURN", "AGENT", "STATE", "BEFORE", "SUBJECT", "FROM", "ACCEPTED", "TEXT",
            ],
            &rows,
        );
    }
    for queue in &queues {
        told(queue);
    }
    Ok(())
}

fn turns(queue: &Value) -> impl Iterator<Item = &Value> {
    queue["turns"].as_array().into_iter().flatten()
}

/// What the table does not say of a queue.
fn told(queue: &Value) {
    let name = text(&queue["channel"]);
    let shown = turns(queue).filter(|turn| turn["state"] == "waiting").count() as u64;
    let more = queue["waiting"].as_u64().unwrap_or(0).saturating_sub(shown);
    if more > 0 {
        out!("{more} more wait for {name}");
    }
    if let Some(code) = queue["pause"]["code"].as_str() {
        let reason = one_line(queue["pause"]["reason"].as_str().unwrap_or_default(), 200);
        out!("{name} is paused ({}) {reason}", output::safe(code));
    }
}

/// Agents, and names without one, that have something in line.
async fn busy(client: &Client) -> Result<Vec<String>, CliError> {
    let answer = client.get("/api/agents").await?;
    let agents = answer["agents"].as_array().into_iter().flatten();
    let busy = agents.filter(|agent| agent["waiting"] != 0 || agent["running"].is_object());
    let orphans = answer["waiting"].as_array().into_iter().flatten();
    let mut names: Vec<String> = busy
        .map(|agent| &agent["name"])
        .chain(orphans.map(|orphan| &orphan["channel"]))
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

fn row(turn: &Value) -> Vec<String> {
    let mode = match turn["mode"].as_str() {
        None | Some("followup") => String::new(),
        Some(mode) => format!(" ({})", output::safe(mode)),
    };
    vec![
        short(&turn["turn"]),
        text(&turn["channel"]),
        format!("{}{mode}", standing(turn)),
        turn["position"].to_string(),
        one_line(turn["subject"].as_str().unwrap_or("-"), 20),
        one_line(turn["sender"].as_str().unwrap_or_default(), 20),
        text(&turn["accepted_at"]),
        one_line(turn["text"].as_str().unwrap_or_default(), 60),
    ]
}
