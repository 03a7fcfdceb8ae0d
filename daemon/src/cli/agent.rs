//! `reveille agent …`

use std::io::Read as _;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::CliError;
use super::agent_control::Control;
use super::client::{Client, segment};
use super::output::{self, one_line, out, safe, table};

/// Agents.
#[derive(Debug, Subcommand)]
pub(super) enum Agent {
    /// All agents, and what each does now
    #[command(after_help = "Example: reveille agent list")]
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// One agent: its role, its settings and where they come from
    #[command(after_help = "Example: reveille agent show scribe")]
    Show {
        /// Name of the agent
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make an agent by writing its definition note
    #[command(
        after_help = "Example: reveille agent new scribe --prompt 'You keep the minutes.' --model sonnet --set timeout_wall=10m"
    )]
    New {
        /// 1 to 64 letters, digits, `_` and `-`
        name: String,
        /// Its role; `-` reads it from stdin
        #[arg(long, value_name = "TEXT", conflicts_with = "prompt_file")]
        prompt: Option<String>,
        /// File with its role
        #[arg(long, value_name = "FILE")]
        prompt_file: Option<PathBuf>,
        /// Model, such as sonnet or opus
        #[arg(long)]
        model: Option<String>,
        /// Another setting of the definition, such as timeout_wall=10m
        #[arg(long = "set", value_name = "KEY=VALUE")]
        settings: Vec<String>,
        /// Where its notes are to live; the first vault of the configuration otherwise
        #[arg(long)]
        vault: Option<String>,
    },
    #[command(flatten)]
    Control(Control),
    /// Remove an agent by deleting its definition note; its threads and messages stay
    #[command(after_help = "Example: reveille agent rm scribe")]
    Rm {
        /// Name of the agent
        name: String,
    },
}

/// Text of an argument, where `-` means stdin.
pub(super) fn text_or_stdin(text: String) -> Result<String, CliError> {
    if text != "-" {
        return Ok(text);
    }
    let mut read = String::new();
    std::io::stdin()
        .read_to_string(&mut read)
        .map_err(|error| CliError::Failed(format!("stdin cannot be read: {error}")))?;
    Ok(read)
}

/// A role from an argument or a file.
pub(super) fn role(prompt: Option<String>, file: Option<PathBuf>) -> Result<Option<String>, CliError> {
    match (prompt, file) {
        (Some(text), _) => text_or_stdin(text).map(Some),
        (None, Some(file)) => std::fs::read_to_string(&file)
            .map(Some)
            .map_err(|error| CliError::Failed(format!("{} cannot be read: {error}", file.display()))),
        (None, None) => Ok(None),
    }
}

/// Splits `KEY=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, Value), CliError> {
    let (key, value) = text
        .split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or_else(|| CliError::Usage(format!("{text:?} is not KEY=VALUE")))?;
    Ok((key.to_owned(), value.into()))
}

impl Agent {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::List { json } => list(client, json).await,
            Self::Show { name, json } => show(client, &name, json).await,
            Self::New {
                name,
                prompt,
                prompt_file,
                model,
                settings,
                vault,
            } => {
                let prompt = role(prompt, prompt_file)?.unwrap_or_default();
                let metadata: serde_json::Map<_, _> =
                    settings.iter().map(|setting| pair(setting)).collect::<Result<_, _>>()?;
                let body =
                    json!({ "name": name, "prompt": prompt, "model": model, "metadata": metadata, "vault": vault });
                client.post("/api/agents", &body).await?;
                out!("{name} is ready; send it something: reveille send {name} 'Hello' --wait");
                Ok(())
            }
            Self::Control(control) => control.run(client).await,
            Self::Rm { name } => {
                let answer = client.delete(&format!("/api/agents/{}", segment(&name))).await?;
                match answer["waiting"].as_u64() {
                    Some(waiting) if waiting > 0 => {
                        out!("{name} is removed; {waiting} messages wait until there is an agent {name} again");
                    }
                    _ => out!("{name} is removed; its threads and messages stay in the vault"),
                }
                Ok(())
            }
        }
    }
}

async fn list(client: &Client, json: bool) -> Result<(), CliError> {
    let answer = client.get("/api/agents").await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    let text = |value: &Value| safe(value.as_str().unwrap_or_default());
    let rows: Vec<Vec<String>> = answer["agents"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|agent| {
            let detail = match agent["status"].as_str() {
                Some("queued") => format!("{} waiting", agent["waiting"]),
                Some("working") => format!("since {}", text(&agent["running"]["since_at"])),
                _ => text(&agent["status_detail"]),
            };
            let last = match agent["last_turn"]["outcome"].as_str() {
                Some(outcome) => format!("{outcome} {}", text(&agent["last_turn"]["ended_at"])),
                None => "-".into(),
            };
            let cost = format!("${:.4}", agent["cost_usd"].as_f64().unwrap_or(0.0));
            vec![text(&agent["name"]), text(&agent["status"]), cost, last, detail]
        })
        .collect();
    if rows.is_empty() {
        out!("no agents yet; make one: reveille agent new scribe --prompt 'You keep the minutes.'");
    } else {
        table(&["NAME", "STATUS", "COST", "LAST TURN", "DETAIL"], &rows);
    }
    for waiting in answer["waiting"].as_array().into_iter().flatten() {
        out!(
            "{} messages wait for {}, which is not defined",
            waiting["messages"],
            text(&waiting["channel"])
        );
    }
    Ok(())
}

async fn show(client: &Client, name: &str, json: bool) -> Result<(), CliError> {
    let agent = client.get(&format!("/api/agents/{}", segment(name))).await?;
    if json {
        output::json(&agent);
        return Ok(());
    }
    for key in [
        "name",
        "status",
        "status_detail",
        "vault",
        "path",
        "note_id",
        "mode",
        "defines_agents",
        "defined_by",
        "turns",
        "waiting",
        "cost_usd",
    ] {
        match &agent[key] {
            Value::Null => {}
            Value::String(text) => out!("{key:15} {}", one_line(text, 500)),
            other => out!("{key:15} {other}"),
        }
    }
    for (key, setting) in agent["settings"].as_object().into_iter().flatten() {
        let value = match &setting["value"] {
            Value::Null => "(none)".into(),
            Value::String(text) => safe(text),
            other => other.to_string(),
        };
        out!("{key:15} {value}  ({})", setting["from"].as_str().unwrap_or_default());
    }
    if let Some(prompt) = agent["prompt"].as_str() {
        out!("\n{}", safe(prompt));
    }
    Ok(())
}
