//! `reveille agent …`

use std::io::Read as _;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::CliError;
use super::agent_control::Control;
use super::client::{Client, segment};
use super::connections::Connections;
use super::output::out;
use super::{agent_file, agent_show};

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
    /// One agent: its role, its settings and where they come from, what is wrong, its connections and jobs
    #[command(after_help = "Example: reveille agent show scribe")]
    Show {
        /// Name of the agent
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make an agent by writing its definition note; without a role, in your editor
    #[command(after_help = "Example: reveille agent new scribe\n\
        Example: reveille agent new scribe --prompt 'You keep the minutes.' --model sonnet --set timeout_wall=10m\n\n\
        Without --prompt and the like, $VISUAL or $EDITOR opens a text with every setting; what the daemon refuses is opened \
        again with what is wrong.")]
    New(New),
    #[command(flatten)]
    Control(Control),
    #[command(flatten)]
    Connections(Connections),
    /// Remove an agent by deleting its definition note; its threads and messages stay
    #[command(after_help = "Example: reveille agent rm scribe")]
    Rm {
        /// Name of the agent
        name: String,
    },
}

/// An agent that is to be made.
#[derive(Debug, clap::Args)]
pub(super) struct New {
    /// 1 to 64 letters, digits, `_` and `-`
    name: Option<String>,
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
    /// A text as the template has it, with settings and role; `-` reads it from stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "prompt", "prompt_file", "model", "settings"])]
    from: Option<PathBuf>,
    /// Print the text that the editor would open
    #[arg(long, conflicts_with_all = ["prompt", "prompt_file", "model", "settings", "from", "vault"])]
    template: bool,
    /// Where its notes are to live; the first vault of the configuration otherwise
    #[arg(long)]
    vault: Option<String>,
}

impl New {
    async fn run(self, client: impl FnOnce() -> Result<Client, CliError>) -> Result<(), CliError> {
        if self.template {
            let name = self.name.into_iter().map(|name| ("name".to_owned(), name.into()));
            out!("{}", agent_file::template(&name.collect()).trim_end());
            return Ok(());
        }
        let client = client()?;
        if let Some(file) = &self.from {
            return agent_file::new_from(&client, file, self.vault.as_deref()).await;
        }
        let given = self.prompt.is_some() || self.prompt_file.is_some() || self.model.is_some();
        let name = match self.name {
            Some(name) if given || !self.settings.is_empty() => name,
            name => return agent_file::new_in_editor(&client, name.as_deref(), self.vault.as_deref()).await,
        };
        let prompt = role(self.prompt, self.prompt_file)?.unwrap_or_default();
        let settings = self.settings.iter().map(|setting| pair(setting));
        let metadata: serde_json::Map<_, _> = settings.collect::<Result<_, _>>()?;
        let body = json!({
            "name": name, "prompt": prompt, "model": self.model, "metadata": metadata, "vault": self.vault,
        });
        client.post("/api/agents", &body).await?;
        out!("{name} is ready; send it something: reveille send {name} 'Hello' --wait");
        Ok(())
    }
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
    pub(super) async fn run(self, client: impl FnOnce() -> Result<Client, CliError>) -> Result<(), CliError> {
        match self {
            Self::New(new) => new.run(client).await,
            Self::List { json } => agent_show::list(&client()?, json).await,
            Self::Show { name, json } => agent_show::show(&client()?, &name, json).await,
            Self::Control(control) => control.run(&client()?).await,
            Self::Connections(connections) => connections.run(&client()?).await,
            Self::Rm { name } => {
                let client = client()?;
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
