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
