//! `reveille vault …`

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::CliError;
use super::client::{Client, segment};
use super::output::{self, one_line, out, table};

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
    /// Copy vaults into a directory while they are in use
    #[command(
        after_help = "Example: reveille vault backup ~/backups/today\nTo restore one, put NAME.db and NAME.db-files back into STATE/vaults, and remove NAME.db-wal and NAME.db-shm there."
    )]
    Backup {
        /// Where; it is made when it is missing
        directory: PathBuf,
        /// Only this one
        #[arg(long)]
        vault: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// The vaults as the daemon tells of them.
async fn all(client: &Client) -> Result<Vec<Value>, CliError> {
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
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::List { json } => list(client, json).await,
            Self::Add {
                name,
                server,
                token_file,
                json,
            } => add(client, name, server, token_file, json).await,
            Self::Remove { name, json } => remove(client, &name, json).await,
            Self::Backup { directory, vault, json } => backup(client, directory, vault, json).await,
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

async fn backup(client: &Client, directory: PathBuf, vault: Option<String>, json: bool) -> Result<(), CliError> {
    let directory = std::path::absolute(&directory)
        .map_err(|error| CliError::Failed(format!("{} is no path: {error}", directory.display())))?;
    let vaults = match vault {
        Some(name) => vec![name],
        None => {
            let embedded = all(client)
                .await?
                .into_iter()
                .filter(|vault| vault["kind"] == "embedded");
            embedded
                .filter_map(|vault| vault["name"].as_str().map(str::to_owned))
                .collect()
        }
    };
    if vaults.is_empty() {
        return Err(CliError::Failed(
            "there is no embedded vault; the notes of others are elsewhere".into(),
        ));
    }
    let mut made = Vec::new();
    for name in vaults {
        let address = format!("/api/vaults/{}/backup", segment(&name));
        let backup = client.post(&address, &json!({ "directory": directory })).await?;
        if !json {
            out!(
                "{name}: {} notes and {} files in {}",
                backup["notes"],
                backup["files"],
                output::safe(backup["file"].as_str().unwrap_or_default())
            );
        }
        made.push(backup);
    }
    if json {
        output::json(&json!({ "backups": made }));
    }
    Ok(())
}
