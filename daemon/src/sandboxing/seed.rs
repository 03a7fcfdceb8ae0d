//! What the CLI finds in the home of a conversation at first: that it has been set up, and how its user likes it to look.
//! Nothing of what the user's own CLI knows besides: it holds keys, servers with their headers, and what was done where.

use std::path::Path;

use reveille_backends::AgentDir;
use serde_json::{Map, Value};

/// The CLI's own notes, in its directory.
const FILE: &str = ".claude.json";
/// The user's own may be large: it lists every project.
const BYTES_MAX: u64 = 64 << 20;
/// Longest text that is taken over.
const TEXT_MAX: usize = 100;
/// What is taken over of the user's own.
const TAKEN: [&str; 4] = ["theme", "editorMode", "lastOnboardingVersion", "hasSeenTasksHint"];
/// How the names of what was converted long ago end: without them the CLI converts anew.
const MIGRATED: [&str; 3] = ["MigrationComplete", "MigrationTimestamp", "MigrationVersion"];

fn is_taken(name: &str, value: &Value) -> bool {
    let named = TAKEN.contains(&name) || MIGRATED.iter().any(|end| name.ends_with(end));
    named
        && match value {
            Value::Bool(_) | Value::Number(_) => true,
            Value::String(text) => text.len() <= TEXT_MAX,
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        }
}

/// The notes of a new home, by the text of the user's own.
fn seed(own: Option<&[u8]>) -> Map<String, Value> {
    // silent-ok: without them the CLI looks as it does to everybody.
    let own: Map<String, Value> = own
        .and_then(|text| serde_json::from_slice(text).ok())
        .unwrap_or_default();
    let taken = own.into_iter().filter(|(name, value)| is_taken(name, value));
    let mut notes: Map<String, Value> = taken.collect();
    notes.insert("hasCompletedOnboarding".into(), true.into());
    notes
}

/// Writes them, unless the CLI has notes there already. `home`: that of the daemon's user.
///
/// # Errors
/// Those of the file system.
pub(crate) fn plant(config: &AgentDir, home: Option<&Path>) -> std::io::Result<()> {
    if config.size(FILE)?.is_some_and(|size| size > 0) {
        return Ok(());
    }
    // silent-ok: see above; it is not ours, and it may be missing.
    let own = home.and_then(|home| AgentDir::open(home).and_then(|home| home.read(FILE, BYTES_MAX)).ok());
    let notes = seed(own.flatten().as_deref());
    config.write(FILE, Value::Object(notes).to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn d_5_w_5_nothing_but_looks_and_conversions_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let own = json!({
            "theme": "dark", "sonnet45MigrationComplete": true, "opusMigrationTimestamp": 17, "numStartups": 9,
            "oauthAccount": {"emailAddress": "canary"}, "primaryApiKey": "canary", "customApiKeyResponses": {"approved": ["canary"]},
            "mcpServers": {"x": {"headers": {"Authorization": "canary"}}}, "projects": {"/canary": {}}, "env": {"KEY": "canary"},
            "editorMode": {"canary": 1}, "lastOnboardingVersion": "canary".repeat(100), "tipsHistory": {"canary": 1},
        });
        std::fs::write(dir.path().join(FILE), own.to_string()).unwrap();
        let config = AgentDir::open(dir.path()).unwrap().make("config").unwrap();
        plant(&config, Some(dir.path())).unwrap();
        let read = || -> Value { serde_json::from_slice(&config.read(FILE, 10_000).unwrap().unwrap()).unwrap() };
        let expected = json!({"theme": "dark", "sonnet45MigrationComplete": true, "opusMigrationTimestamp": 17,
            "hasCompletedOnboarding": true});
        assert_eq!(read(), expected);
        // What the CLI has made of it stays.
        config.write(FILE, br#"{"mine": 1}"#).unwrap();
        plant(&config, Some(dir.path())).unwrap();
        assert_eq!(read(), json!({"mine": 1}));
    }

    #[test]
    fn without_anything_of_the_users_own_there_is_a_minimal_seed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "{").unwrap();
        let least = json!({"hasCompletedOnboarding": true}).to_string();
        for (at, home) in [("a", Some(dir.path())), ("b", Some(Path::new("/nowhere"))), ("c", None)] {
            let config = AgentDir::open(dir.path()).unwrap().make(at).unwrap();
            plant(&config, home).unwrap();
            assert_eq!(config.read(FILE, 1000).unwrap().unwrap(), least.as_bytes(), "{at}");
        }
    }
}
