//! `reveille sandbox run --agent NAME`: a command as a turn of an agent would be confined, by what its daemon says of it.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Context as _;
use reveille_backends::base_env;
use reveille_sandbox::{Command, Policy};
use tempfile::TempDir;

use super::client::{Client, segment};
use super::output::{note, safe};
use super::{CliError, Global};
use crate::sandboxing::Rehearsal;
use crate::state_dir::running_daemon;

/// What a turn would have, with directories like those of a conversation. These go when it is dropped.
pub(super) struct Stage {
    told: Rehearsal,
    dirs: TempDir,
}

impl Stage {
    /// Asks the daemon of this machine, and makes the directories.
    pub(super) async fn set(global: &Global, agent: &str) -> Result<Self, CliError> {
        let told = ask(global, agent).await?;
        let own = rustix::process::geteuid().as_raw();
        if told.uid != own {
            return Err(CliError::Failed(format!(
                "the daemon, and so each turn, runs as the user {} and you are {own}, who may reach other things; run this as \
                 that user, for example with `sudo -u '#{}'`",
                told.uid, told.uid
            )));
        }
        for one in &told.left_out {
            note(&format!(
                "reveille: {} was granted to the agent, but where that leads is only known to a turn: it is not reached here",
                safe(one)
            ));
        }
        let dirs = tempfile::Builder::new().prefix("reveille-run-").tempdir();
        let dirs = dirs.context("no directory for the command")?;
        for name in ["home", "tmp", "work"] {
            std::fs::create_dir(dirs.path().join(name)).context("no directory for the command")?;
        }
        Ok(Self { told, dirs })
    }

    fn at(&self, name: &str) -> PathBuf {
        // The shell's own path must not lead through a link: some programs compare it.
        let dir = self.dirs.path().canonicalize();
        dir.unwrap_or_else(|_| self.dirs.path().to_owned()).join(name) // silent-ok: then it is named as it was made
    }

    /// As for a turn.
    pub(super) fn policy(&self) -> Result<Policy, CliError> {
        let policy = self.told.policy();
        let mut policy = policy.map_err(|error| CliError::Failed(format!("the daemon is another version: {error}")))?;
        policy
            .writable
            .extend(["home", "tmp", "work"].map(|name| self.at(name)));
        Ok(policy)
    }

    /// A command with the environment of a turn, and `set` besides. A shell of the system looks for it inside: what only you
    /// see is not found.
    pub(super) fn command(&self, command: &[OsString], set: impl Iterator<Item = (OsString, OsString)>) -> Command {
        let is_proxy = |name: &OsString| name.to_string_lossy().to_ascii_uppercase().ends_with("_PROXY");
        let mut env: Vec<(OsString, OsString)> = base_env(std::env::vars_os());
        // The daemon does not tell its own: they may hold a password.
        env.retain(|(name, _)| is_proxy(name));
        let told = &self.told.environment;
        env.extend(told.iter().map(|(name, value)| (name.into(), value.into())));
        let home = self.at("home");
        let own = [
            ("CLAUDE_CONFIG_DIR", home.join(".claude")),
            ("HOME", home),
            ("TMPDIR", self.at("tmp")),
            ("CLAUDE_CODE_TMPDIR", self.at("tmp")),
        ];
        let own = own.map(|(name, value)| (name.into(), value.into_os_string()));
        let term = std::env::var_os("TERM").map(|term| (OsString::from("TERM"), term));
        for (name, value) in own.into_iter().chain(term).chain(set) {
            env.retain(|(known, _)| *known != name);
            env.push((name, value));
        }
        let mut args: Vec<OsString> = ["-c", "exec \"$@\"", "sh"].map(OsString::from).into();
        args.extend_from_slice(command);
        Command {
            program: "/bin/sh".into(),
            args,
            env,
            cwd: self.told.workspace.clone().unwrap_or_else(|| self.at("work")),
        }
    }
}

async fn ask(global: &Global, agent: &str) -> Result<Rehearsal, CliError> {
    let state_dir = global.state_dir();
    let Some(running) = running_daemon(&state_dir) else {
        return Err(CliError::Unreachable(format!(
            "what a turn of {agent:?} may reach is known to the daemon of this machine, and none runs for the state directory \
             {}: start it with `reveille serve`, or name its directory with --state-dir; without a daemon say what may be \
             reached with --filesystem, --network, --write and so on",
            state_dir.display()
        )));
    };
    let trimmed = |url: &str| url.trim_end_matches('/').to_owned();
    if let Some(url) = global
        .url
        .as_deref()
        .filter(|url| trimmed(url) != trimmed(&running.url))
    {
        return Err(CliError::Usage(format!(
            "a command can only be confined like the turns of this machine's own daemon, and {url} is not that of {}",
            state_dir.display()
        )));
    }
    let client = Client::find(Some(&running.url), &state_dir)?;
    let told = client
        .get(&format!("/api/agents/{}/sandbox/policy", segment(agent)))
        .await?;
    serde_json::from_value(told).map_err(|error| {
        CliError::Failed(format!(
            "the daemon is another version than this program: {error}; restart it"
        ))
    })
}
