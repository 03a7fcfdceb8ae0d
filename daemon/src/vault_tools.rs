//! The tools of the vault as a turn gets them: the CLI is told where they are, and the model that they are there.

use std::io;
use std::path::Path;

use reveille_backends::AgentDir;
use reveille_vault::agent::Definition;
use serde_json::{Map, Value, json};

use crate::delegation::{HOW_TO_DEFINE, HOW_TO_SCHEDULE};

/// Name of the server in the CLI; its tools are called `mcp__reveille__<tool>`.
const SERVER: &str = "reveille";

/// Where the CLI looks for its servers.
pub(crate) const FILE: &str = "mcp.json";

/// For the system prompt.
const WORDS: &str = "# Reveille\n\n\
     The tools mcp__reveille__* read and write the notes of your vault (query-notes, create-note, update-note) and reach the other agents (list-agents, send-message).\n\
     To hand work on, use send-message with all that the other agent needs and reply: true, then end your turn: the outcome wakes you as a message of its own.\n\
     To send a file along with your answer, have it in your working directory and show it in the answer: ![[report.pdf]]";

/// What the system prompt says of them.
#[must_use]
pub(crate) fn words(definition: &Definition) -> String {
    match definition.defines_agents {
        true => format!("{WORDS}\n{HOW_TO_SCHEDULE}\n{HOW_TO_DEFINE}"),
        false => format!("{WORDS}\n{HOW_TO_SCHEDULE}"),
    }
}

/// Writes the file by which the CLI finds its servers: the vault's tools, when there are any, and those that were granted.
/// No token is in the file: the CLI takes them from its environment.
///
/// # Errors
/// Those of the file system.
pub(crate) fn offer(ctl: &Path, vault: Option<&str>, granted: &Map<String, Value>) -> io::Result<()> {
    let mut servers = match vault {
        Some(vault) => json!({ SERVER: {
            "type": "http",
            "url": format!("${{REVEILLE_URL}}/vault/{vault}/mcp"),
            "headers": { "Authorization": "Bearer ${REVEILLE_TOKEN}" },
            // Otherwise the CLI may begin before it knows them, or hide them from the model until it searches for them.
            "alwaysLoad": true,
        } }),
        None => json!({}),
    };
    for (name, server) in granted {
        servers[name] = server.clone();
    }
    let config = json!({ "mcpServers": servers }).to_string();
    let ctl = AgentDir::open(ctl)?;
    let same = ctl
        .read(FILE, u64::try_from(config.len()).unwrap_or(u64::MAX))?
        .is_some_and(|there| there == config.as_bytes());
    if same {
        Ok(())
    } else {
        ctl.write(FILE, config.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn the_file_names_the_vault_and_holds_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mcp.json");
        let read = || serde_json::from_str::<Value>(&fs::read_to_string(&file).unwrap()).unwrap();
        offer(dir.path(), Some("home"), &Map::new()).unwrap();
        let meta = fs::metadata(&file).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
        let server = json!({
            "type": "http", "url": "${REVEILLE_URL}/vault/home/mcp", "alwaysLoad": true,
            "headers": { "Authorization": "Bearer ${REVEILLE_TOKEN}" },
        });
        assert_eq!(read(), json!({ "mcpServers": { "reveille": server } }));
        // Nothing is written when nothing changes.
        offer(dir.path(), Some("home"), &Map::new()).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().ino(), meta.ino());
        let granted = Map::from_iter([("grant-mcp-1".to_owned(), json!({ "type": "http", "url": "https://x" }))]);
        offer(dir.path(), None, &granted).unwrap();
        assert_eq!(read(), json!({ "mcpServers": granted }));
        offer(dir.path(), None, &Map::new()).unwrap();
        assert_eq!(read(), json!({ "mcpServers": {} }));
    }

    #[test]
    fn a_link_in_its_place_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let (file, elsewhere) = (dir.path().join("mcp.json"), dir.path().join("elsewhere"));
        fs::write(&elsewhere, "mine").unwrap();
        symlink(&elsewhere, &file).unwrap();
        offer(dir.path(), Some("home"), &Map::new()).unwrap();
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "mine");
        assert!(fs::symlink_metadata(&file).unwrap().is_file());
    }
}
