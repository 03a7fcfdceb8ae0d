//! `reveille trigger …`

use clap::Subcommand;
use serde_json::{Value, json};

use super::CliError;
use super::client::{Client, segment};
use super::output::{self, one_line, out, safe, table, text};
use super::vault::or_default;

/// Characters of an error that a line shows.
const ERROR_CHARS: usize = 80;

/// Whom a vault tells of writes, and what it has left to tell.
#[derive(Debug, Subcommand)]
pub(super) enum Trigger {
    /// All of them, with what waits and what was given up
    #[command(after_help = "Example: reveille trigger list")]
    List {
        #[command(flatten)]
        at: At,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// One of them, as JSON without its secrets
    #[command(after_help = "Example: reveille trigger show channel_inbound")]
    Show {
        /// Its name
        name: String,
        #[command(flatten)]
        at: At,
    },
    /// What became of its deliveries, the newest first
    #[command(after_help = "Example: reveille trigger deliveries channel_inbound --state dead")]
    Deliveries {
        /// Its name
        name: String,
        /// Only those: waiting, delivered or dead
        #[arg(long)]
        state: Option<String>,
        /// Most entries
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Go on after an earlier page: its `next`
        #[arg(long)]
        before: Option<u64>,
        #[command(flatten)]
        at: At,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Deliver again now what was given up or waits for its next attempt
    #[command(after_help = "Example: reveille trigger redrive channel_inbound")]
    Redrive {
        /// Its name
        name: String,
        /// Only these deliveries
        ids: Vec<String>,
        #[command(flatten)]
        at: At,
    },
    /// Let its deliveries wait
    #[command(after_help = "Example: reveille trigger pause channel_inbound")]
    Pause {
        /// Its name
        name: String,
        #[command(flatten)]
        at: At,
    },
    /// Deliver again, after a pause or when its receiver is back
    #[command(after_help = "Example: reveille trigger resume channel_inbound")]
    Resume {
        /// Its name
        name: String,
        #[command(flatten)]
        at: At,
    },
    /// Remove it, and what it has left to tell
    #[command(after_help = "Example: reveille trigger rm channel_inbound")]
    Rm {
        /// Its name
        name: String,
        #[command(flatten)]
        at: At,
    },
}

/// Where the triggers are.
#[derive(Debug, clap::Args)]
pub(super) struct At {
    /// The vault; the first of the configuration otherwise
    #[arg(long)]
    vault: Option<String>,
}

impl At {
    async fn all(self, client: &Client) -> Result<String, CliError> {
        let vault = or_default(client, self.vault).await?;
        Ok(format!("/vault/{}/api/triggers", segment(&vault)))
    }

    async fn one(self, client: &Client, name: &str) -> Result<String, CliError> {
        Ok(format!("{}/{}", self.all(client).await?, segment(name)))
    }
}

impl Trigger {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::List { at, json } => {
                let answer = client.get(&at.all(client).await?).await?;
                if json {
                    output::json(&answer);
                } else {
                    print(&answer);
                }
            }
            Self::Show { name, at } => output::json(&client.get(&at.one(client, &name).await?).await?),
            Self::Deliveries {
                name,
                state,
                limit,
                before,
                at,
                json,
            } => {
                let state = state.map_or_else(String::new, |state| format!("&state={}", segment(&state)));
                let before = before.map_or_else(String::new, |before| format!("&before={before}"));
                let path = format!(
                    "{}/deliveries?limit={limit}{state}{before}",
                    at.one(client, &name).await?
                );
                let page = client.get(&path).await?;
                if json {
                    output::json(&page);
                } else {
                    print_deliveries(&page);
                }
            }
            Self::Redrive { name, ids, at } => {
                let asked = if ids.is_empty() {
                    json!({})
                } else {
                    json!({ "ids": ids })
                };
                let answer = client
                    .post(&format!("{}/redrive", at.one(client, &name).await?), &asked)
                    .await?;
                match answer["redriven"].as_u64() {
                    Some(0) | None => out!("nothing to deliver again"),
                    Some(count) => out!(
                        "delivered again now: {count}; see `reveille trigger deliveries {}`",
                        safe(&name)
                    ),
                }
            }
            Self::Pause { name, at } => enable(client, at, &name, false).await?,
            Self::Resume { name, at } => enable(client, at, &name, true).await?,
            Self::Rm { name, at } => {
                client.delete(&at.one(client, &name).await?).await?;
                out!("removed {}", safe(&name));
            }
        }
        Ok(())
    }
}

async fn enable(client: &Client, at: At, name: &str, enabled: bool) -> Result<(), CliError> {
    let answer = client
        .patch(&at.one(client, name).await?, &json!({ "enabled": enabled }))
        .await?;
    out!(
        "{} is {}; {} wait",
        safe(name),
        text(&answer["state"]),
        answer["waiting"]
    );
    Ok(())
}

fn print(answer: &Value) {
    let rows: Vec<Vec<String>> = answer["triggers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| {
            let events: Vec<String> = one["events"].as_array().into_iter().flatten().map(text).collect();
            vec![
                text(&one["name"]),
                text(&one["state"]),
                events.join(","),
                one["waiting"].to_string(),
                one["dead"].to_string(),
                text(&one["action"]["webhook"]),
            ]
        })
        .collect();
    if rows.is_empty() {
        out!("no triggers");
        return;
    }
    table(&["NAME", "STATE", "EVENTS", "WAITING", "DEAD", "WEBHOOK"], &rows);
}

fn print_deliveries(page: &Value) {
    let rows: Vec<Vec<String>> = page["deliveries"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| {
            let said = one["error"].as_str().or(one["remark"].as_str()).unwrap_or_default();
            vec![
                text(&one["createdAt"]),
                text(&one["event"]),
                text(&one["noteId"]),
                text(&one["state"]),
                one["attempts"].to_string(),
                text(&one["nextAt"]),
                text(&one["id"]),
                one_line(said, ERROR_CHARS),
            ]
        })
        .collect();
    if rows.is_empty() {
        out!("no deliveries");
        return;
    }
    table(
        &[
            "SINCE",
            "EVENT",
            "NOTE",
            "STATE",
            "TRIES",
            "NEXT TRY",
            "DELIVERY",
            "LAST WORD",
        ],
        &rows,
    );
    if let Some(next) = page["next"].as_u64() {
        out!("go on with --before {next}");
    }
}
