//! Files that go with a message.

use std::path::{Path, PathBuf};

use super::CliError;
use super::client::{Client, segment};

/// Uploads files to the vault of an agent and answers their paths there. Everything that can be known is checked before the
/// first byte is sent. What is uploaded for a message that is not sent in the end goes by itself after a day.
pub(super) async fn upload(client: &Client, agent: &str, files: &[PathBuf]) -> Result<Vec<String>, CliError> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let sizes: Vec<u64> = files.iter().map(|file| size(file)).collect::<Result<_, _>>()?;
    let vault = vault_of(client, agent).await?;
    let limit = client.get(&format!("/vault/{}", segment(&vault))).await?["maxAttachment"].as_u64();
    for (file, size) in files.iter().zip(&sizes) {
        if let Some(limit) = limit.filter(|limit| size > limit) {
            let message = format!(
                "{} has {size} bytes, the vault {vault} takes {limit} ([vault] max_attachment). Nothing was sent.",
                file.display()
            );
            return Err(CliError::Refused { message });
        }
    }
    let mut paths = Vec::new();
    for (file, size) in files.iter().zip(sizes) {
        let stored = client.upload(&vault, file, size).await.map_err(|error| match error {
            CliError::Refused { message } => CliError::Refused {
                message: format!("{}: {message}. The message was not sent.", file.display()),
            },
            other => other,
        })?;
        let path = stored["path"].as_str();
        let path = path.ok_or_else(|| CliError::Failed("the daemon did not say where the file is".into()))?;
        paths.push(path.to_owned());
    }
    Ok(paths)
}

/// From the list of all agents: a turn may ask for nothing else.
async fn vault_of(client: &Client, agent: &str) -> Result<String, CliError> {
    let listed = client.get("/api/agents").await?;
    let mut agents = listed["agents"].as_array().into_iter().flatten();
    let known = agents.find(|one| one["name"] == agent);
    let vault = known.and_then(|one| one["vault"].as_str());
    vault.map(str::to_owned).ok_or_else(|| CliError::Refused {
        message: format!(
            "there is no agent {agent:?}. Nothing was sent. `reveille agent list` shows those that there are."
        ),
    })
}

fn size(file: &Path) -> Result<u64, CliError> {
    let unusable = |why: String| CliError::Usage(format!("{} cannot be attached: {why}", file.display()));
    let meta = file.metadata().map_err(|error| unusable(error.to_string()))?;
    if meta.is_file() {
        Ok(meta.len())
    } else {
        Err(unusable("it is no file".into()))
    }
}
