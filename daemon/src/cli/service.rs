//! `reveille service …`

use std::process::Stdio;

use clap::Subcommand;
use serde_json::json;
use tokio::process::Command;

use super::output::{self, note, out};
use super::{CliError, Global};
use crate::machine;
use crate::module::start_command;
use crate::state_dir::running_daemon;
use crate::stopping::Budget;
use crate::supervision::{self, FileError, Installed, Manager, Plan};

/// The daemon as a service of this machine, for the user who says so.
#[derive(Debug, Subcommand)]
pub(super) enum Service {
    /// Start the daemon now and with each login
    #[command(
        after_help = "Example: reveille service install\nExample: reveille --state-dir /srv/reveille service install --print\nIt takes the state directory and the configuration file of this command line, and PATH as it is now. Variables such as REVEILLE_SERVER__BIND are not taken: write them into the configuration.\nWithout a login of yours it ends with the last one, unless `loginctl enable-linger` keeps it."
    )]
    Install {
        /// Only show the file
        #[arg(long)]
        print: bool,
        /// Also when it has been changed by hand
        #[arg(long)]
        force: bool,
        /// Only write the file
        #[arg(long)]
        no_start: bool,
        /// For this service manager instead of this machine's
        #[arg(long, value_name = "MANAGER", requires = "print")]
        r#for: Option<Manager>,
    },
    /// Stop the daemon and start it no more; nothing else is removed
    #[command(after_help = "Example: reveille service uninstall")]
    Uninstall {
        /// Also when the file has been changed by hand
        #[arg(long)]
        force: bool,
    },
    /// Whether it is installed, as it would be now, and runs
    #[command(after_help = "Example: reveille service status --json\nExit codes: 0 it runs, 1 it does not.")]
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

impl From<FileError> for CliError {
    fn from(error: FileError) -> Self {
        Self::Failed(error.to_string())
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn plan(global: &Global) -> Result<Plan, CliError> {
    let config = global.config()?;
    let state_dir = global.state_dir();
    let program = machine::own_file()?;
    // The manager gives no port of a hub's supervisor.
    let stop = Budget::of(config.server.drain.map(|drain| drain.0), &[]).whole();
    Ok(Plan {
        command: start_command(&program, &state_dir, config.file.as_deref()),
        path: variable("PATH").unwrap_or_default(),
        state_dir,
        stop: stop.saturating_add(std::time::Duration::from_secs(10)),
    })
}

impl Service {
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        let manager = Manager::here();
        match self {
            Self::Install { print: true, r#for, .. } => {
                let manager = r#for.unwrap_or(manager);
                out!("{}", manager.text(&plan(global)?).trim_end());
                Ok(())
            }
            Self::Install { force, no_start, .. } => install(global, manager, force, no_start).await,
            Self::Uninstall { force } => uninstall(global, manager, force).await,
            Self::Status { json } => status(global, manager, json).await,
        }
    }
}

async fn install(global: &Global, manager: Manager, force: bool, no_start: bool) -> Result<(), CliError> {
    let file = manager.file(variable);
    let written = supervision::install(manager, &file, &manager.text(&plan(global)?), force)?;
    match written {
        true => out!("{} is written", file.display()),
        false => out!("{} is there as it would be written", file.display()),
    }
    if no_start {
        return Ok(());
    }
    for command in manager.starts(&file) {
        told(&command).await?;
    }
    out!("the daemon runs, and is started with each login; `reveille service status` says how it stands");
    if written {
        note("a daemon that ran as this service before goes on as it was until it is started again");
    }
    Ok(())
}

async fn uninstall(global: &Global, manager: Manager, force: bool) -> Result<(), CliError> {
    let file = manager.file(variable);
    match supervision::look(manager, &file, &manager.text(&plan(global)?))? {
        Installed::No => {
            out!("it is not installed");
            return Ok(());
        }
        Installed::Changed if !force => return Err(FileError::Changed(file).into()),
        Installed::Same | Installed::Older | Installed::Changed => {}
    }
    for command in manager.ends(&file) {
        // Nothing of it is lost when it runs on.
        if let Err(error) = told(&command).await {
            note(&format!("{error}; the file is removed all the same"));
        }
    }
    supervision::remove(&file)?;
    for command in manager.forgets() {
        if let Err(error) = told(&command).await {
            note(&error.to_string());
        }
    }
    out!("{} is removed; the state directory and the vaults stay", file.display());
    Ok(())
}

async fn status(global: &Global, manager: Manager, json: bool) -> Result<(), CliError> {
    let file = manager.file(variable);
    let installed = supervision::look(manager, &file, &manager.text(&plan(global)?))?;
    let state = match installed {
        Installed::No => "not_installed",
        Installed::Same => "installed",
        Installed::Older => "outdated",
        Installed::Changed => "changed",
    };
    let active = installed != Installed::No && asked(&manager.asks()).await;
    let daemon = running_daemon(&global.state_dir());
    if json {
        output::json(&json!({
            "file": file, "state": state, "active": active,
            "daemon": daemon.map(|daemon| json!({ "url": daemon.url, "pid": daemon.pid, "version": daemon.version })),
        }));
    } else {
        let words = match installed {
            Installed::No => "is not there: `reveille service install` writes it",
            Installed::Same => "is as it would be written now",
            Installed::Older => {
                "is of another program, configuration or version: `reveille service install` writes it anew"
            }
            Installed::Changed => "has been changed by hand",
        };
        out!("{} {words}", file.display());
        out!("the service {}", if active { "runs" } else { "does not run" });
        match daemon {
            Some(daemon) => out!("a daemon serves at {} (process {})", daemon.url, daemon.pid),
            None => out!("no daemon runs for {}", global.state_dir().display()),
        }
    }
    match active {
        true => Ok(()),
        // What is wrong has been told.
        false => Err(CliError::Ended(1)),
    }
}

/// Runs a command of the service manager.
async fn told(command: &[String]) -> Result<(), CliError> {
    let shown = command.join(" ");
    let hint = "the file is written; run that by hand where the service manager of your user can be reached";
    let (program, args) = command
        .split_first()
        .ok_or_else(|| CliError::Failed("no command".into()))?;
    let ran = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| CliError::Failed(format!("`{shown}` cannot be run: {error}; {hint}")))?;
    if ran.status.success() {
        return Ok(());
    }
    let said = output::safe(String::from_utf8_lossy(&ran.stderr).trim());
    Err(CliError::Failed(format!("`{shown}` failed ({said}); {hint}")))
}

/// Whether a command says yes.
async fn asked(command: &[String]) -> bool {
    let Some((program, args)) = command.split_first() else {
        return false;
    };
    let ran = Command::new(program).args(args).stdin(Stdio::null()).output().await;
    // silent-ok: where there is no service manager nothing runs as a service
    ran.is_ok_and(|ran| ran.status.success())
}
