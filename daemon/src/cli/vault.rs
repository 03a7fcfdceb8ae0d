//! `reveille vault …`

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Client, segment};
use super::output::{self, one_line, out, table};
use super::vault_copies::Copies;
use super::{CliError, Global};

/// Vaults.
#[derive(Debug, Subcommand)]
pub(super) enum Vault {
    /// All vaults, and how each stands; the first is the default one
    #[command(after_help = "Example: reveille vault list --json")]
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Add a Parachute vault while the daemon runs
    #[command(
        after_help = "Example: reveille vault add notes --server http://127.0.0.1:1940 --token-file ~/notes.token\nWithout a token the hub of the configuration is asked to mint one. The vault is kept in STATE/agent-vaults.json."
    )]
    Add {
        /// Name of the vault, here and on its server
        name: String,
        /// Address of its server; http://127.0.0.1:1940 unless said otherwise
        #[arg(long, value_name = "URL")]
        server: Option<String>,
        /// File with a token of that vault; `-` reads stdin
        #[arg(long, value_name = "FILE")]
        token_file: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a vault that was added; its notes stay where they are
    #[command(
        after_help = "Example: reveille vault remove notes\nIts agents are gone until it is added again; what is in line for them waits."
    )]
    Remove {
        /// Name of the vault
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Copy vaults into a directory, whether or not the daemon runs
    #[command(
        after_help = "Example: reveille vault backup ~/backups/today\nNothing that is there is overwritten without --force. `reveille vault restore` puts them back."
    )]
    Backup(Copies),
    /// Put copies of vaults back while no daemon runs
    #[command(
        after_help = "Example: reveille vault restore ~/backups/today\nA vault that is there is given up only with --force; a folder with notes must be moved away first."
    )]
    Restore(Copies),
}

/// The vaults as the daemon tells of them.
pub(super) async fn all(client: &Client) -> Result<Vec<Value>, CliError> {
    let health = client.get("/health").await?;
    match &health["vaults"] {
        Value::Array(vaults) => Ok(vaults.clone()),
        _ => Err(CliError::Failed(
            "the daemon does not tell its vaults to this token".into(),
        )),
    }
}

/// The vault that counts where none is named: the first of the configuration.
pub(super) async fn or_default(client: &Client, named: Option<String>) -> Result<String, CliError> {
    if let Some(name) = named {
        return Ok(name);
    }
    // In the order of the configuration, as far as the token may look into them.
    let vaults = client.get("/vaults").await?;
    let first = vaults["vaults"][0]["name"].as_str();
    first
        .map(str::to_owned)
        .ok_or_else(|| CliError::Failed("this token may look into no vault".into()))
}

impl Vault {
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        let client = &match self {
            Self::Backup(copies) => return copies.back_up(global).await,
            Self::Restore(copies) => return copies.restore(global).await,
            _ => global.client()?,
        };
        match self {
            Self::List { json } => list(client, json).await,
            Self::Add {
                name,
                server,
                token_file,
                json,
            } => add(client, name, server, token_file, json).await,
            Self::Remove { name, json } => remove(client, &name, json).await,
            Self::Backup(_) | Self::Restore(_) => Ok(()),
        }
    }
}

async fn list(client: &Client, json: bool) -> Result<(), CliError> {
    let vaults = all(client).await?;
    if json {
        output::json(&json!({ "vaults": vaults }));
        return Ok(());
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |vault: &Value| {
        vec![
            text(&vault["name"]),
            text(&vault["kind"]),
            text(&vault["state"]),
            one_line(vault["reason"].as_str().unwrap_or_default(), 100),
        ]
    };
    table(
        &["NAME", "KIND", "STATE", ""],
        &vaults.iter().map(row).collect::<Vec<_>>(),
    );
    Ok(())
}

/// A token is never an argument: everybody on the machine can see those.
fn read_token(file: &str) -> Result<String, CliError> {
    let text = match file {
        "-" => std::io::read_to_string(std::io::stdin()),
        file => std::fs::read_to_string(file),
    };
    let text = text.map_err(|error| CliError::Failed(format!("the token cannot be read from {file}: {error}")))?;
    match text.trim() {
        "" => Err(CliError::Failed(format!("there is no token in {file}"))),
        token => Ok(token.to_owned()),
    }
}

async fn add(
    client: &Client,
    name: String,
    url: Option<String>,
    token_file: Option<String>,
    json: bool,
) -> Result<(), CliError> {
    let token = token_file.as_deref().map(read_token).transpose()?;
    let asked = json!({ "vault": name, "url": url, "token": token });
    let made = client.post("/api/agent-vaults", &asked).await?;
    if json {
        output::json(&made);
        return Ok(());
    }
    let url = output::safe(made["vault"]["url"].as_str().unwrap_or_default());
    out!("{name} at {url} is added; `reveille vault list` says how it stands");
    Ok(())
}

async fn remove(client: &Client, name: &str, json: bool) -> Result<(), CliError> {
    let answer = client.delete(&format!("/api/agent-vaults/{}", segment(name))).await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    match (answer["removed"].as_bool(), answer["running"].as_u64()) {
        (Some(true), Some(running)) if running > 0 => {
            out!("{name} is removed; {running} turns that run there end by themselves");
        }
        (Some(true), _) => out!("{name} is removed; its notes stay where they are"),
        _ => out!("there was no vault {name}"),
    }
    Ok(())
}
