//! `reveille undelivered …`

use clap::Subcommand;
use serde_json::{Value, json};

use super::CliError;
use super::client::{Client, segment};
use super::output::{self, one_line, out, safe, table};

/// Characters of an error that a line shows.
const ERROR_CHARS: usize = 100;

/// Replies, thread notes and callbacks that the vault has not taken yet, and messages that a bridge has not delivered.
#[derive(Debug, Subcommand)]
pub(super) enum Undelivered {
    /// What waits, since when, why, and when it is tried next
    #[command(
        after_help = "Example: reveille undelivered list --json\nExample: reveille undelivered list --bridge telegram"
    )]
    List {
        /// What this bridge has given up, instead
        #[arg(long, value_name = "NAME")]
        bridge: Option<String>,
        /// Most entries
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// Go on after an earlier page: its `next_cursor`
        #[arg(long)]
        cursor: Option<u64>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Try again now what waits or was refused
    #[command(after_help = "Example: reveille undelivered retry\nExample: reveille undelivered retry 0199a7c0-…")]
    Retry {
        /// Only of this turn, or with --bridge only this message
        turn: Option<String>,
        /// What this bridge has given up, instead
        #[arg(long, value_name = "NAME")]
        bridge: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

impl Undelivered {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::List {
                bridge: Some(bridge),
                limit,
                cursor,
                json,
            } => {
                let cursor = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
                let path = format!("/api/bridges/{}/undelivered?limit={limit}{cursor}", segment(&bridge));
                let page = client.get(&path).await?;
                if json {
                    output::json(&page);
                } else {
                    print_messages(&page);
                }
            }
            Self::List {
                bridge: None,
                limit,
                cursor,
                json,
            } => {
                let cursor = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
                let page = client.get(&format!("/api/undelivered?limit={limit}{cursor}")).await?;
                if json {
                    output::json(&page);
                } else {
                    print(&page);
                }
            }
            Self::Retry { turn, bridge, json } => {
                let key = if bridge.is_some() { "id" } else { "turn" };
                let asked = turn.map_or_else(|| json!({}), |which| json!({ key: which }));
                let path = match &bridge {
                    Some(bridge) => format!("/api/bridges/{}/redrive", segment(bridge)),
                    None => "/api/undelivered/retry".to_owned(),
                };
                let answer = client.post(&path, &asked).await?;
                if json {
                    output::json(&answer);
                } else {
                    match answer["retried"].as_u64() {
                        Some(0) | None => out!("nothing waits"),
                        Some(count) => out!("tried again now: {count}; see `reveille undelivered list`"),
                    }
                }
            }
        }
        Ok(())
    }
}

/// What a bridge has given up.
fn print_messages(page: &Value) {
    let text = |value: &Value| safe(value.as_str().unwrap_or_default());
    let row = |one: &Value| {
        vec![
            text(&one["since_at"]),
            text(&one["lane"]),
            text(&one["id"]),
            one["attempts"].to_string(),
            one_line(one["last_error"].as_str().unwrap_or_default(), ERROR_CHARS),
        ]
    };
    let rows: Vec<Vec<String>> = page["messages"].as_array().into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        out!("the bridge has given up nothing");
        return;
    }
    table(&["SINCE", "CONVERSATION", "MESSAGE", "TRIES", "LAST ERROR"], &rows);
    if let Some(cursor) = page["next_cursor"].as_u64() {
        out!("go on with --cursor {cursor}");
    }
}

fn print(page: &Value) {
    let text = |value: &Value| safe(value.as_str().unwrap_or_default());
    let rows: Vec<Vec<String>> = page["undelivered"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| {
            let next = match (one["next_try_at"].as_str(), one["state"].as_str()) {
                (Some(at), _) => safe(at),
                (None, Some("parked")) => "on retry".into(),
                (None, _) => "after the one before it".into(),
            };
            vec![
                text(&one["since_at"]),
                text(&one["channel"]),
                text(&one["kind"]),
                text(&one["turn"]),
                one["attempts"].to_string(),
                next,
                one_line(one["last_error"].as_str().unwrap_or_default(), ERROR_CHARS),
            ]
        })
        .collect();
    if rows.is_empty() {
        out!("everything is delivered");
        return;
    }
    table(
        &["SINCE", "CHANNEL", "KIND", "TURN", "TRIES", "NEXT TRY", "LAST ERROR"],
        &rows,
    );
    if let Some(cursor) = page["next_cursor"].as_u64() {
        out!("{} of {}; go on with --cursor {cursor}", rows.len(), page["total"]);
    }
}
