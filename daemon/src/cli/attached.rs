//! `reveille attached …`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::CliError;
use super::agent::text_or_stdin;
use super::client::{Client, segment};
use super::output::{self, note, one_line, out, safe, table, text};

/// Seconds that one request waits; then it is asked again.
const WAIT: u64 = 30;

/// The messages of an attached agent, which a session takes and answers.
#[derive(Debug, Subcommand)]
pub(super) enum Attached {
    /// What waits, in order
    #[command(after_help = "Example: reveille attached list eng")]
    List {
        /// Name of the agent
        agent: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Take the first message; its text goes to stdout, how to answer it to stderr
    #[command(after_help = "Example: reveille attached next eng --wait")]
    Next {
        /// Name of the agent
        agent: String,
        /// Wait until there is one
        #[arg(long)]
        wait: bool,
        /// As JSON, with the role of the agent
        #[arg(long)]
        json: bool,
    },
    /// Answer a message that was taken
    #[command(after_help = "Example: reveille attached reply eng --to 6f20a7c0-… 'It is built.'")]
    Reply {
        /// Name of the agent
        agent: String,
        /// The text; `-` reads it from stdin
        #[arg(default_value = "-", hide_default_value = true)]
        text: String,
        /// Identity of the message; without it the text answers nothing
        #[arg(long, value_name = "MESSAGE")]
        to: Option<String>,
        /// The claim that came with it: then only that one counts
        #[arg(long)]
        claim: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Give a message back; it waits again
    #[command(after_help = "Example: reveille attached release eng 6f20a7c0-…")]
    Release(Which),
    /// Hold a message for another while
    #[command(after_help = "Example: reveille attached renew eng 6f20a7c0-…")]
    Renew(Which),
}

/// A message that was taken.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Name of the agent
    agent: String,
    /// Identity of the message
    message: String,
    /// The claim that came with it: then only that one counts
    #[arg(long)]
    claim: Option<String>,
}

fn address(agent: &str, what: &str) -> String {
    format!("/api/channels/{}/{what}", segment(agent))
}

impl Attached {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::List { agent, json } => list(client, &agent, json).await,
            Self::Next { agent, wait, json } => next(client, &agent, wait, json).await,
            Self::Reply {
                agent,
                text,
                to,
                claim,
                json,
            } => {
                let body = json!({ "text": text_or_stdin(text)?, "in_reply_to": to, "claim": claim });
                let replied = client.post(&address(&agent, "reply"), &body).await?;
                if json {
                    output::json(&replied);
                    return Ok(());
                }
                out!("replied: {}", text_of(&replied, "id"));
                if replied["undelivered"] == true {
                    note("· the reply is kept, and the vault has not taken it yet");
                }
                Ok(())
            }
            Self::Release(which) => {
                which.post(client, "release").await?;
                out!("released {}", which.message);
                Ok(())
            }
            Self::Renew(which) => {
                let renewed = which.post(client, "renew").await?;
                out!("held until {}", text_of(&renewed, "ends_at"));
                Ok(())
            }
        }
    }
}

impl Which {
    async fn post(&self, client: &Client, what: &str) -> Result<Value, CliError> {
        let body = json!({ "id": self.message, "claim": self.claim });
        client.post(&address(&self.agent, what), &body).await
    }
}

fn text_of(value: &Value, key: &str) -> String {
    text(&value[key])
}

async fn list(client: &Client, agent: &str, json: bool) -> Result<(), CliError> {
    let pending = client.get(&address(agent, "pending")).await?;
    if json {
        output::json(&pending);
        return Ok(());
    }
    let items = pending["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |item: &Value| {
        let preview = one_line(item["preview"].as_str().unwrap_or_default(), 80);
        vec![
            text_of(item, "id"),
            text_of(item, "sender"),
            text_of(item, "at"),
            preview,
        ]
    };
    if items.is_empty() {
        out!("nothing waits");
    } else {
        let rows: Vec<Vec<String>> = items.iter().map(row).collect();
        table(&["MESSAGE", "FROM", "ACCEPTED", "TEXT"], &rows);
    }
    let more = pending["count"]
        .as_u64()
        .unwrap_or(0)
        .saturating_sub(items.len() as u64);
    if more > 0 {
        out!("{more} more wait");
    }
    if let Some(pause) = pending["pause"].as_str() {
        out!("none is given now: {}", one_line(pause, 200));
    }
    Ok(())
}

async fn next(client: &Client, agent: &str, wait: bool, json: bool) -> Result<(), CliError> {
    let body = json!({ "wait": if wait { WAIT } else { 0 } });
    let taken = loop {
        let taken = client.post(&address(agent, "next"), &body).await?;
        if !wait || taken["id"].is_string() {
            break taken;
        }
    };
    if json {
        output::json(&taken);
        return Ok(());
    }
    let Some(id) = taken["id"].as_str() else {
        note(&format!("· {}", text_of(&taken, "note")));
        return Ok(());
    };
    for notice in taken["notices"].as_array().into_iter().flatten() {
        note(&format!("· {}", text(notice)));
    }
    for file in taken["attachments"].as_array().into_iter().flatten() {
        note(&format!("· file {}: {}", text_of(file, "name"), text_of(file, "url")));
    }
    note(&format!(
        "· from {}, yours until {}; answer with: reveille attached reply {} --to {} --claim {}",
        text_of(&taken, "sender"),
        text_of(&taken, "ends_at"),
        agent,
        safe(id),
        text_of(&taken, "claim"),
    ));
    out!("{}", safe(taken["text"].as_str().unwrap_or_default()));
    Ok(())
}
