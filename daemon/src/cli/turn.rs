//! `reveille turn …`

use clap::Subcommand;
use serde_json::{Value, json};

use super::CliError;
use super::agent::text_or_stdin;
use super::client::{Client, segment};
use super::output::{self, one_line, out, short, table, text};

/// Turns.
#[derive(Debug, Subcommand)]
pub(super) enum Turn {
    /// Turns of an agent: those in line, then the ended ones, newest first
    #[command(after_help = "Example: reveille turn list scribe --state error")]
    List {
        /// Name of the agent
        agent: String,
        /// Only those that stand so
        #[arg(long, value_parser = STATES)]
        state: Option<String>,
        /// Most turns
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// How a turn stands
    #[command(after_help = "Example: reveille turn show 6f20a7c0")]
    Show {
        /// Its identity, or the end of it
        turn: String,
    },
    /// Stop a running turn
    #[command(after_help = "Example: reveille turn stop 6f20a7c0")]
    Stop {
        /// Its identity, or the end of it
        turn: String,
    },
    /// Send the message of a turn that has ended once more
    #[command(after_help = "Example: reveille turn resend 6f20a7c0 --text 'Once more, with the new figures.'")]
    Resend {
        /// Its identity, or the end of it
        turn: String,
        /// Another text; `-` reads it from stdin
        #[arg(long, value_name = "TEXT")]
        text: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

const STATES: [&str; 7] = [
    "waiting",
    "working",
    "joined",
    "ok",
    "error",
    "cancelled",
    "interrupted",
];

/// Where a turn is asked about.
pub(super) fn address(turn: &str, what: &str) -> String {
    format!("/api/turns/{}{what}", segment(turn))
}

impl Turn {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::List {
                agent,
                state,
                limit,
                json,
            } => {
                let state = state.map(|state| format!("&state={state}")).unwrap_or_default();
                let path = format!("/api/turns?channel={}&limit={limit}{state}", segment(&agent));
                list(&client.get(&path).await?, json);
            }
            Self::Show { turn } => output::json(&client.get(&address(&turn, "")).await?),
            Self::Stop { turn } => {
                client.post(&address(&turn, "/stop"), &json!({})).await?;
                out!("stopping {turn}");
            }
            Self::Resend {
                turn,
                text: new,
                json: as_json,
            } => {
                let new = new.map(text_or_stdin).transpose()?;
                let sent = client.post(&address(&turn, "/resend"), &json!({ "text": new })).await?;
                match as_json {
                    true => output::json(&sent),
                    false => out!("sent: {}", text(&sent["id"])),
                }
            }
        }
        Ok(())
    }
}

fn list(answer: &Value, json: bool) {
    if json {
        return output::json(answer);
    }
    let rows: Vec<Vec<String>> = answer["turns"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|turn| {
            let ended = match turn["settled_at"].as_str() {
                Some(_) => text(&turn["settled_at"]),
                None => "-".into(),
            };
            vec![
                short(&turn["turn"]),
                standing(turn),
                text(&turn["accepted_at"]),
                ended,
                format!("${:.4}", turn["cost_usd"].as_f64().unwrap_or(0.0)),
                one_line(turn["text"].as_str().unwrap_or_default(), 60),
            ]
        })
        .collect();
    table(&["TURN", "STATE", "ACCEPTED", "ENDED", "COST", "TEXT"], &rows);
}

/// How a turn stands, in a word or two.
pub(super) fn standing(turn: &Value) -> String {
    match (turn["state"].as_str(), turn["error"]["code"].as_str()) {
        (Some("waiting"), _) if turn["held"] == Value::Bool(true) => "held".into(),
        (Some("error"), Some(code)) => output::safe(code),
        _ => text(&turn["state"]),
    }
}
