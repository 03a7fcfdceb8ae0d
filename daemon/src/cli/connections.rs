//! `reveille agent connections|approve|revoke`: what agents and roles want, and what they get of it.

use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use reveille_vault::agent::slug;
use reveille_vault::note::normalise_path;
use serde_json::{Value, json};

use super::CliError;
use super::client::Client;
use super::output::{self, note, one_line, out, table, text};
use super::secret;

/// Characters of a reason that a line shows.
const REASON_CHARS: usize = 200;

/// What agents want besides their own vault, and the operator's word on it.
#[derive(Debug, Subcommand)]
pub(super) enum Connections {
    /// What agents and roles want (`wants` in their notes), and what became of it
    #[command(name = "connections", after_help = "Example: reveille agent connections scribe")]
    List {
        /// Name of the agent; without it, everything that anybody wants
        #[arg(conflicts_with = "role")]
        name: Option<String>,
        /// Path of a role note instead of an agent
        #[arg(long, value_name = "PATH")]
        role: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Let an agent or a role have something that it wants; turns get it from the next one on
    #[command(
        after_help = "Example: reveille agent approve scribe vault:notes:read\nExample: reveille agent approve scribe env:github --token-file ~/.github-token\nExample: reveille agent approve --role Roles/github env:github\n\nA token is never an argument: it is asked for, or read from stdin or a file."
    )]
    Approve {
        #[command(flatten)]
        whose: Whose,
        /// Read the token from stdin
        #[arg(long)]
        token_stdin: bool,
        /// File with the token
        #[arg(long, value_name = "FILE", conflicts_with = "token_stdin")]
        token_file: Option<PathBuf>,
        /// Where it is: the MCP door of a vault elsewhere, or a Git repository
        #[arg(long)]
        url: Option<String>,
    },
    /// Take something away that was approved; turns do not get it any more, and its token is forgotten
    #[command(after_help = "Example: reveille agent revoke scribe env:github")]
    Revoke {
        #[command(flatten)]
        whose: Whose,
    },
}

#[derive(Debug, Args)]
pub(super) struct Whose {
    /// Name of the agent and what it wants, as `reveille agent connections` shows it; with --role only the latter
    #[arg(value_names = ["NAME", "KEY"], num_args = 1..=2, required = true)]
    what: Vec<String>,
    /// Path of a role note instead of an agent
    #[arg(long, value_name = "PATH")]
    role: Option<String>,
    /// The vault of that role; the first of the configuration otherwise
    #[arg(long, requires = "role")]
    vault: Option<String>,
}

impl Whose {
    /// What the daemon is asked for, and how people call it.
    fn body(&self) -> Result<(Value, String, String), CliError> {
        match (self.what.as_slice(), &self.role) {
            ([name, key], None) => Ok((json!({ "holder": name, "key": key }), name.clone(), key.clone())),
            ([key], Some(role)) => {
                let body = json!({ "role": role, "vault": self.vault, "key": key });
                Ok((body, role.clone(), key.clone()))
            }
            (_, None) => Err(CliError::Usage("give the name of an agent and what it wants".into())),
            (_, Some(_)) => Err(CliError::Usage(
                "with --role give only what it wants, and no agent".into(),
            )),
        }
    }
}

impl Connections {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::List { name, role, json } => list(client, name.as_deref(), role.as_deref(), json).await,
            Self::Approve {
                whose,
                token_stdin,
                token_file,
                url,
            } => {
                let (mut body, who, key) = whose.body()?;
                let token = match (token_stdin, token_file) {
                    (true, _) => Some(from_stdin()?),
                    (false, Some(file)) => Some(from_file(&file)?),
                    (false, None) => asked_for(&key, url.is_some())?,
                };
                body["token"] = token.into();
                body["url"] = url.into();
                client.post("/api/connections/approve", &body).await?;
                out!("{who} has {key} from the next turn on");
                Ok(())
            }
            Self::Revoke { whose } => {
                let (body, who, key) = whose.body()?;
                client.post("/api/connections/revoke", &body).await?;
                out!("{who} does not have {key} any more; what a running turn has already read it may still know");
                Ok(())
            }
        }
    }
}

/// Asks a person, where there is one. What needs none, or may do without, is not asked for when nobody is there.
fn asked_for(key: &str, has_url: bool) -> Result<Option<String>, CliError> {
    // A vault of this daemon needs none: only one elsewhere has an address.
    if key.starts_with("vault:") && !has_url {
        return Ok(None);
    }
    let optional = key.starts_with("mcp:http") || key.starts_with("mcp:HTTP");
    if !std::io::stdin().is_terminal() {
        return match optional {
            true => Ok(None),
            false => Err(CliError::Usage(format!(
                "{key} needs a token, and there is no terminal to ask for it; give --token-stdin or --token-file FILE"
            ))),
        };
    }
    let prompt = match optional {
        true => format!("Token for {key} (nothing, if it needs none): "),
        false => format!("Token for {key}: "),
    };
    let token = secret::ask(&prompt)?;
    Ok(Some(token).filter(|token| !token.trim().is_empty() || !optional))
}

pub(super) fn from_stdin() -> Result<String, CliError> {
    let mut token = String::new();
    let read = std::io::stdin().read_to_string(&mut token);
    read.map_err(|error| CliError::Failed(format!("stdin cannot be read: {error}")))?;
    Ok(token)
}

pub(super) fn from_file(file: &std::path::Path) -> Result<String, CliError> {
    let read = std::fs::read_to_string(file);
    read.map_err(|error| CliError::Failed(format!("{} cannot be read: {error}", file.display())))
}

async fn list(client: &Client, name: Option<&str>, role: Option<&str>, json: bool) -> Result<(), CliError> {
    let mut answer = client.get("/api/connections").await?;
    let role = role.map(|role| format!("role--{}", slug(&normalise_path(role).unwrap_or_default())));
    let wanted = |one: &Value| {
        let holder = one["holder"].as_str().unwrap_or_default();
        let of_role = |role: &String| holder == role || holder.strip_prefix(role).is_some_and(|r| r.starts_with('@'));
        name.is_none_or(|name| holder == name) && role.as_ref().is_none_or(of_role)
    };
    if let Some(all) = answer["connections"].as_array_mut() {
        all.retain(wanted);
    }
    if json {
        output::json(&answer);
        return Ok(());
    }
    let all = answer["connections"].as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        if let Some(name) = name {
            // To tell an agent that wants nothing from one that is not there.
            client
                .get(&format!("/api/agents/{}", super::client::segment(name)))
                .await?;
        }
        out!("nothing is wanted; a definition or a role asks with `wants`, such as env:github or vault:notes:read");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|one| {
            let reason = one_line(one["reason"].as_str().unwrap_or_default(), REASON_CHARS);
            vec![
                text(&one["holder"]),
                text(&one["key"]),
                text(&one["status"]),
                text(&one["env"]),
                reason,
            ]
        })
        .collect();
    table(&["HOLDER", "KEY", "STATUS", "VARIABLE", "REASON"], &rows);
    let local = answer["backend"] == "local";
    if all.iter().any(|one| one["status"] != "approved") {
        match local {
            true => note("approve with `reveille agent approve NAME KEY` (`--role PATH KEY` for a role)"),
            false => note("connections are approved at the hub"),
        }
    }
    Ok(())
}
