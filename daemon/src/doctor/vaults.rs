//! Whether each vault of the configuration can be used: as the running daemon says, or by a look at where it is.

use std::path::Path;
use std::time::Duration;

use reveille_vault::EmbeddedVault;
use rustix::fs::{Access, access};
use serde_json::Value;

use super::{Check, Health, Level, check, databases};
use crate::config::{Config, Parachute, Place, Vault};

/// How long a peer may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// One check for each vault.
pub(super) async fn checks(config: &Config, state_dir: &Path, health: &Health) -> Vec<Check> {
    let mut checks = Vec::new();
    for vault in config.vaults.all() {
        let told = match health {
            Health::Told(health) => of_daemon(&vault.name, &health["vaults"]),
            Health::NoDaemon | Health::Silent(_) => None,
        };
        checks.push(match told {
            Some(told) => told,
            None => by_hand(vault, state_dir).await,
        });
    }
    checks
}

/// As the daemon sees it. `None`: it does not know the vault.
fn of_daemon(name: &str, vaults: &Value) -> Option<Check> {
    let one = vaults.as_array()?.iter().find(|one| one["name"] == name)?;
    let detail = |words: &str| format!("{name} ({}) {words}", one["kind"].as_str().unwrap_or_default());
    let reason = one["reason"].as_str().unwrap_or_default();
    Some(match one["state"].as_str()? {
        "ready" => check("vault", Level::Ok, detail("is ready"), None),
        "degraded" => {
            let mend = Some("mend what it names; the daemon goes on by itself");
            check(
                "vault",
                Level::Warning,
                detail(&format!("works in part: {reason}")),
                mend,
            )
        }
        _ => {
            let mend = Some("mend what it names; the daemon tries again by itself");
            check(
                "vault",
                Level::Error,
                detail(&format!("cannot be used: {reason}")),
                mend,
            )
        }
    })
}

async fn by_hand(vault: &Vault, state_dir: &Path) -> Check {
    let name = &vault.name;
    let (kind, problem) = match &vault.place {
        Place::Embedded => ("embedded", embedded(name, state_dir)),
        Place::Folder(path) => ("folder", folder(path)),
        Place::Parachute(peer) => ("parachute", parachute(peer).await),
    };
    match problem {
        None => check("vault", Level::Ok, format!("{name} ({kind}) is there"), None),
        Some((problem, mend)) => {
            let detail = format!("{name} ({kind}): {problem}");
            check("vault", Level::Error, detail, Some(mend))
        }
    }
}

type Problem = Option<(String, &'static str)>;

fn embedded(name: &str, state_dir: &Path) -> Problem {
    let file = state_dir.join("vaults").join(format!("{name}.db"));
    if !file.exists() {
        // The first start makes it.
        return None;
    }
    let beginning = std::fs::File::open(&file).and_then(|mut open| {
        let mut beginning = [0; 16];
        std::io::Read::read(&mut open, &mut beginning).map(|count| (count, beginning))
    });
    let (problem, mend) = match beginning {
        Err(error) => (
            format!("{} cannot be read: {error}", file.display()),
            "mend its permissions",
        ),
        Ok((16, beginning)) if &beginning != b"SQLite format 3\0" => (
            format!("{} is no vault", file.display()),
            "move it away, or restore it from a backup",
        ),
        Ok(_) if let Some(newer) = databases::is_newer(&file, EmbeddedVault::TABLES) => {
            (newer, "use the version that wrote it, or restore it from a backup")
        }
        Ok(_) => {
            let error = access(&file, Access::WRITE_OK).err()?;
            (
                format!("{} cannot be written: {error}", file.display()),
                "mend its permissions",
            )
        }
    };
    Some((problem, mend))
}

fn folder(path: &Path) -> Problem {
    if !path.is_dir() {
        let problem = format!("{} is no directory, or is not mounted", path.display());
        return Some((problem, "mount it, or correct `path` in the configuration"));
    }
    let error = access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).err()?;
    let problem = format!("{} cannot be read and written: {error}", path.display());
    Some((problem, "mend its permissions"))
}

async fn parachute(peer: &Parachute) -> Problem {
    for secret in peer.token.iter().chain(&peer.webhook_secret) {
        if let Err(problem) = secret.reveal() {
            return Some((problem, "mend the file that the configuration names"));
        }
    }
    let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
    let answer = match http {
        Ok(http) => http.get(format!("{}/health", peer.url)).send().await,
        Err(error) => Err(error),
    };
    // The address is in the configuration; the error would tell it again.
    let error = answer.err()?.without_url();
    let problem = format!("{} does not answer: {error}", peer.url);
    Some((
        problem,
        "start the Parachute server, or correct `url` in the configuration",
    ))
}
