//! `reveille agent edit|pause|resume|reset`

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::CliError;
use super::agent::{pair, role};
use super::agent_file;
use super::client::{Client, segment};
use super::output::{note, out, text};

/// A person's hand on an agent.
#[derive(Debug, Subcommand)]
pub(super) enum Control {
    /// Change an agent's role or settings; they count from the next turn on. Without one, in your editor
    #[command(after_help = "Example: reveille agent edit scribe\n\
        Example: reveille agent edit scribe --meta model=opus --unset timeout_wall")]
    Edit {
        /// Name of the agent
        name: String,
        /// Its role; `-` reads it from stdin
        #[arg(long, value_name = "TEXT", conflicts_with = "prompt_file")]
        prompt: Option<String>,
        /// File with its role
        #[arg(long, value_name = "FILE")]
        prompt_file: Option<PathBuf>,
        /// A setting of the definition; may be given several times
        #[arg(long = "meta", visible_alias = "set", value_name = "KEY=VALUE")]
        metadata: Vec<String>,
        /// A setting to take away; may be given several times
        #[arg(long, value_name = "KEY")]
        unset: Vec<String>,
        /// A text as the editor has it, with settings and role; `-` reads it from stdin
        #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt", "prompt_file", "metadata", "unset"])]
        from: Option<PathBuf>,
    },
    /// Let an agent's messages wait; a turn that runs goes on to its end
    #[command(after_help = "Example: reveille agent pause scribe --reason 'Until the minutes are signed.'")]
    Pause {
        /// Name of the agent
        name: String,
        /// Why, for whoever looks at the agent
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let a paused agent work again, whoever or whatever paused it
    #[command(after_help = "Example: reveille agent resume scribe")]
    Resume {
        /// Name of the agent
        name: String,
    },
    /// Let an agent have what was given to its name for another note: secrets, grants, its table in the configuration
    #[command(after_help = "Example: reveille agent trust scribe")]
    Trust {
        /// Name of the agent
        name: String,
    },
    /// Begin an agent's conversations anew: the next turn knows nothing of the former ones
    #[command(after_help = "Example: reveille agent reset scribe --subject launch")]
    Reset {
        /// Name of the agent
        name: String,
        /// Only the conversation of this subject
        #[arg(long, visible_alias = "thread", conflicts_with = "main")]
        subject: Option<String>,
        /// Only the main conversation
        #[arg(long)]
        main: bool,
    },
}

fn address(name: &str, what: &str) -> String {
    format!("/api/agents/{}{what}", segment(name))
}

impl Control {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::Edit {
                name,
                prompt,
                prompt_file,
                metadata,
                unset,
                from,
            } => {
                if let Some(file) = from {
                    return agent_file::edit_from(client, &name, &file).await;
                }
                let mut settings: Map<String, Value> =
                    metadata.iter().map(|setting| pair(setting)).collect::<Result<_, _>>()?;
                settings.extend(unset.into_iter().map(|key| (key, Value::Null)));
                let prompt = role(prompt, prompt_file)?;
                if prompt.is_none() && settings.is_empty() {
                    return agent_file::edit_in_editor(client, &name).await;
                }
                let mut body = json!({ "metadata": settings });
                if let Some(prompt) = prompt {
                    body["prompt"] = prompt.into();
                }
                let agent = client.patch(&address(&name, ""), &body).await?;
                out!("{} is changed; it counts from the next turn on", text(&agent["name"]));
            }
            Self::Pause { name, reason } => {
                let agent = client
                    .post(&address(&name, "/pause"), &json!({ "reason": reason }))
                    .await?;
                out!("{name} is paused; its messages wait until `reveille agent resume {name}`");
                if agent["running"].is_object() {
                    note("a turn runs and goes on to its end; stop it with `reveille turn stop`");
                }
            }
            Self::Resume { name } => {
                client.post(&address(&name, "/resume"), &json!({})).await?;
                out!("{name} works again");
            }
            Self::Trust { name } => {
                client.post(&address(&name, "/trust"), &json!({})).await?;
                out!("{name} gets what was given to its name, from its next turn on");
            }
            Self::Reset { name, subject, main } => {
                let thread = match (subject, main) {
                    (Some(subject), _) => json!({ "subject": subject }),
                    (None, true) => json!("main"),
                    (None, false) => Value::Null,
                };
                let answer = client
                    .post(&address(&name, "/reset"), &json!({ "thread": thread }))
                    .await?;
                match answer["conversations"].as_u64() {
                    Some(1) => out!("{name}: 1 conversation begins anew"),
                    count => out!("{name}: {} conversations begin anew", count.unwrap_or(0)),
                }
                if let Some(warning) = answer["warning"].as_str() {
                    note(&super::output::safe(warning));
                }
            }
        }
        Ok(())
    }
}
