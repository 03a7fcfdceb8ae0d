//! What is stored for agents.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{Check, Level, check};
use crate::credentials::{Contents, Credentials};

const NAME: &str = "credentials";

/// Whether the file can be used, and what is in it by name.
pub(super) fn check_file(state_dir: &Path) -> Check {
    let credentials = Credentials::in_dir(state_dir);
    let contents = match credentials.read() {
        Ok(contents) => contents,
        Err(error) => {
            let mend = Some("until then turns fail; nothing of the file is lost");
            return check(NAME, Level::Error, error.to_string(), mend);
        }
    };
    let path = credentials.path().display();
    if std::fs::metadata(credentials.path()).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0) {
        let mend = format!("chmod 600 {path}");
        return check(NAME, Level::Warning, format!("others may read {path}"), Some(&mend));
    }
    let refused = refused(&contents);
    if !refused.is_empty() {
        let detail = format!("{path} has variables that no turn gets: {}", refused.join(", "));
        return check(
            NAME,
            Level::Warning,
            detail,
            Some("remove them with `reveille secret rm`"),
        );
    }
    check(NAME, Level::Ok, told(&contents), None)
}

fn refused(contents: &Contents) -> Vec<String> {
    // Of no agent: those of all.
    let agents = contents.env_channels().into_keys().chain([String::new()]);
    let mut names: Vec<String> = agents.flat_map(|agent| contents.variables(&agent).refused).collect();
    names.sort();
    names.dedup();
    names
}

fn told(contents: &Contents) -> String {
    let mut parts = Vec::new();
    let (own, all, of) = (
        contents.claude_channels(),
        contents.env_names(None),
        contents.env_channels(),
    );
    if !own.is_empty() {
        parts.push(format!("agents with a credential of their own: {}", own.join(", ")));
    }
    if !all.is_empty() {
        parts.push(format!("secrets for all agents: {}", all.join(", ")));
    }
    for (agent, names) in of {
        parts.push(format!("for {agent}: {}", names.join(", ")));
    }
    match parts.is_empty() {
        true => "no secrets of turns are stored".to_owned(),
        false => parts.join("; "),
    }
}
