//! `reveille secret …`

use std::io::{IsTerminal as _, Read as _};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Client, segment};
use super::output::{self, note, out, safe, table};
use super::{CliError, Global, secret};
use crate::credentials::{Credentials, CredentialsError};
use crate::layout;

/// Secrets of turns, and what signs Claude Code in. They are read from the terminal or stdin, and never shown again.
#[derive(Debug, Subcommand)]
pub(super) enum Secret {
    /// Set a variable for turns, or the credential of Claude Code
    #[command(after_help = "Example: reveille secret set GH_TOKEN\n\
        Example: reveille secret set --agent scribe DATABASE_URL < url.txt\n\
        Example: claude setup-token, then: reveille secret set --claude\n\n\
        The value is asked for on the terminal, or read from stdin; without a terminal the end of its last line is no part of \
        it. It counts from the next turn on. Works with a daemon and without one.")]
    Set(Which),
    /// The names of what is stored, and for whom
    #[command(after_help = "Example: reveille secret list --json")]
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove one; turns that run keep it until they end
    #[command(after_help = "Example: reveille secret rm GH_TOKEN\nExample: reveille secret rm --claude --agent scribe")]
    Rm(Which),
}

#[derive(Debug, Args)]
pub(super) struct Which {
    /// Name of the variable
    #[arg(required_unless_present = "claude", conflicts_with = "claude")]
    name: Option<String>,
    /// The credential of Claude Code: a token of `claude setup-token`, or an API key
    #[arg(long)]
    claude: bool,
    /// For this agent alone, before what is for all
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
}

/// Where the secrets are reached.
enum Door {
    /// A daemon has them.
    Daemon(Client),
    /// No daemon runs, so the file is changed here.
    File(Credentials),
}

impl Door {
    fn find(global: &Global) -> Result<Self, CliError> {
        match global.client() {
            Ok(client) => Ok(Self::Daemon(client)),
            // No daemon runs here, and none elsewhere was asked for.
            Err(CliError::Unreachable(_)) => {
                let dir = global.state_dir();
                layout::look(&dir).map_err(|error| CliError::Failed(error.to_string()))?;
                Ok(Self::File(Credentials::in_dir(&dir)))
            }
            Err(error) => Err(error),
        }
    }
}

impl From<CredentialsError> for CliError {
    fn from(error: CredentialsError) -> Self {
        match error {
            CredentialsError::Wrong(why) => Self::Usage(format!("{why}; nothing was stored or removed")),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl Secret {
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        let door = Door::find(global)?;
        match self {
            Self::Set(which) => which.set(&door).await?,
            Self::Rm(which) => which.remove(&door).await?,
            Self::List { json } => {
                let all = list(&door).await?;
                match json {
                    true => output::json(&all),
                    false => print(&all),
                }
                return Ok(());
            }
        }
        if let Door::File(credentials) = &door {
            note(&format!(
                "no daemon runs; this was done in {}",
                credentials.path().display()
            ));
        }
        Ok(())
    }
}

impl Which {
    /// For people.
    fn whose(&self) -> String {
        let what = self.name.as_deref().unwrap_or("the credential of Claude Code");
        match &self.agent {
            Some(agent) => safe(&format!("{what} of {agent}")),
            None => safe(&format!("{what} of all agents")),
        }
    }

    /// Whoever writes `NAME=VALUE` has shown the value already; it goes no further.
    fn check(&self) -> Result<(), CliError> {
        match self.name.as_deref().is_some_and(|name| name.contains('=')) {
            true => Err(CliError::Usage(
                "give the name alone: the value is asked for, so that it stands in no list of processes and no history"
                    .into(),
            )),
            false => Ok(()),
        }
    }

    async fn set(&self, door: &Door) -> Result<(), CliError> {
        self.check()?;
        let value = value(&format!("{}: ", self.whose()))?;
        let agent = self.agent.as_deref();
        let answer = match (door, self.name.as_deref()) {
            (Door::Daemon(client), None) => client.post(&self.claude_path(), &json!({ "token": value })).await?,
            (Door::Daemon(client), Some(name)) => {
                let mut body = json!({ "name": name, "value": value });
                if let Some(agent) = agent {
                    body["channel"] = agent.into();
                }
                client.post("/api/credentials/env", &body).await?
            }
            (Door::File(credentials), name) => {
                match name {
                    None => credentials.set_claude(agent, &value).await?,
                    Some(name) => credentials.set_env(agent, name, &value).await?,
                }
                Value::Null
            }
        };
        out!("{} is set; it counts from the next turn on", self.whose());
        if let Some(text) = answer["note"].as_str() {
            note(&safe(text));
        }
        Ok(())
    }

    async fn remove(&self, door: &Door) -> Result<(), CliError> {
        self.check()?;
        let agent = self.agent.as_deref();
        let removed = match (door, self.name.as_deref()) {
            (Door::Daemon(client), None) => client.delete(&self.claude_path()).await?["removed"] == true,
            (Door::Daemon(client), Some(name)) => {
                let mut path = format!("/api/credentials/env?name={}", segment(name));
                if let Some(agent) = agent {
                    path.push_str(&format!("&channel={}", segment(agent)));
                }
                client.delete(&path).await?["removed"] == true
            }
            (Door::File(credentials), None) => credentials.remove_claude(agent).await?,
            (Door::File(credentials), Some(name)) => credentials.remove_env(agent, name).await?,
        };
        match removed {
            true => out!("{} is removed", self.whose()),
            false => {
                let message = format!("{} is not stored; `reveille secret list` shows what is", self.whose());
                return Err(CliError::Failed(message));
            }
        }
        Ok(())
    }

    fn claude_path(&self) -> String {
        let path = "/api/credentials/claude";
        match &self.agent {
            Some(agent) => format!("{path}/{}", segment(agent)),
            None => path.to_owned(),
        }
    }
}

/// From the terminal, unseen, or all of stdin.
pub(super) fn value(prompt: &str) -> Result<String, CliError> {
    if std::io::stdin().is_terminal() {
        return secret::ask(prompt);
    }
    let mut value = String::new();
    let read = std::io::stdin().read_to_string(&mut value);
    // What came is not told: it may be the secret.
    read.map_err(|error| CliError::Failed(format!("stdin cannot be read as text: {}", error.kind())))?;
    let line = value.strip_suffix('\n').unwrap_or(&value);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(CliError::Usage(
            "there is no terminal to ask for the value, and nothing of it on stdin; nothing was stored".into(),
        ));
    }
    Ok(line.to_owned())
}

async fn list(door: &Door) -> Result<Value, CliError> {
    Ok(match door {
        Door::Daemon(client) => json!({
            "claude": client.get("/api/credentials/claude").await?,
            "env": client.get("/api/credentials/env").await?,
        }),
        Door::File(credentials) => {
            let contents = credentials.read()?;
            json!({
                "claude": { "defaultSet": contents.claude_of(None).is_some(), "channels": contents.claude_channels() },
                "env": { "default": contents.env_names(None), "channels": contents.env_channels() },
            })
        }
    })
}

fn print(all: &Value) {
    const CLAUDE: &str = "(Claude Code)";
    let row = |name: &str, agent: &str| vec![safe(name), safe(agent)];
    let texts = |list: &Value| -> Vec<String> {
        let texts = list.as_array().into_iter().flatten();
        texts.filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let (claude, env) = (&all["claude"], &all["env"]);
    let mut rows = Vec::new();
    if claude["defaultSet"] == true {
        rows.push(row(CLAUDE, "all"));
    }
    rows.extend(texts(&claude["channels"]).iter().map(|agent| row(CLAUDE, agent)));
    rows.extend(texts(&env["default"]).iter().map(|name| row(name, "all")));
    for (agent, names) in env["channels"].as_object().into_iter().flatten() {
        rows.extend(texts(names).iter().map(|name| row(name, agent)));
    }
    match rows.is_empty() {
        true => out!("nothing is stored; `reveille secret set NAME` stores a variable for turns"),
        false => table(&["NAME", "AGENT"], &rows),
    }
}
