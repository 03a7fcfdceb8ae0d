//! The daemon under the service manager of its machine: the file that tells the manager of it, and what the manager is told
//! while it runs.

mod file;
mod launchd;
mod notify;
mod systemd;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use self::file::{FileError, Installed, install, look, remove};
pub(crate) use self::notify::Notifier;

/// Which service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Manager {
    /// That of most Linux systems, for one user.
    Systemd,
    /// That of macOS. Untested: it has never run on a Mac.
    Launchd,
}

impl Manager {
    /// That of this machine.
    #[must_use]
    pub(crate) fn here() -> Self {
        match cfg!(target_os = "macos") {
            true => Self::Launchd,
            false => Self::Systemd,
        }
    }

    /// Where it looks for the file. `variable`: the environment.
    #[must_use]
    pub(crate) fn file(self, variable: impl Fn(&str) -> Option<String>) -> PathBuf {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = || set("HOME").unwrap_or_else(|| PathBuf::from("/"));
        match self {
            Self::Systemd => set("XDG_CONFIG_HOME")
                .unwrap_or_else(|| home().join(".config"))
                .join("systemd/user")
                .join(systemd::UNIT),
            Self::Launchd => home()
                .join("Library/LaunchAgents")
                .join(format!("{}.plist", launchd::LABEL)),
        }
    }

    /// The text of the file.
    #[must_use]
    pub(crate) fn text(self, plan: &Plan) -> String {
        match self {
            Self::Systemd => systemd::unit(plan),
            Self::Launchd => launchd::plist(plan),
        }
    }

    /// The commands that start the daemon, now and with each login, once the file is there.
    #[must_use]
    pub(crate) fn starts(self, file: &Path) -> Vec<Vec<String>> {
        match self {
            Self::Systemd => systemd::commands(&[&["daemon-reload"], &["enable", "--now", systemd::UNIT]]),
            Self::Launchd => launchd::commands("bootstrap", file),
        }
    }

    /// The commands that stop it for good.
    #[must_use]
    pub(crate) fn ends(self, file: &Path) -> Vec<Vec<String>> {
        match self {
            Self::Systemd => systemd::commands(&[&["disable", "--now", systemd::UNIT]]),
            Self::Launchd => launchd::commands("bootout", file),
        }
    }

    /// The commands behind the removal of the file.
    #[must_use]
    pub(crate) fn forgets(self) -> Vec<Vec<String>> {
        match self {
            Self::Systemd => systemd::commands(&[&["daemon-reload"]]),
            Self::Launchd => Vec::new(),
        }
    }

    /// The command that says whether it runs, by its exit code.
    #[must_use]
    pub(crate) fn asks(self) -> Vec<String> {
        match self {
            Self::Systemd => systemd::commands(&[&["is-active", "--quiet", systemd::UNIT]]).remove(0),
            Self::Launchd => ["launchctl", "list", launchd::LABEL].map(str::to_owned).to_vec(),
        }
    }
}

/// What the file says.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The program and what it is given.
    pub(crate) command: Vec<String>,
    /// Where programs are found, Claude Code among them: the manager has few places of its own.
    pub(crate) path: String,
    /// Where the daemon keeps what outlives it.
    pub(crate) state_dir: PathBuf,
    /// How long a stop may take.
    pub(crate) stop: Duration,
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn plan() -> Plan {
        let command = [
            "/opt/my tools/reveille",
            "serve",
            "--state-dir",
            "/home/a/100% \"state\"$",
        ];
        Plan {
            command: command.map(str::to_owned).to_vec(),
            path: "/home/a/.local/bin:/usr/bin".into(),
            state_dir: "/home/a/<state> & more".into(),
            stop: Duration::from_secs(340),
        }
    }

    /// Written by `UPDATE_GOLDEN=1 cargo test`, and read by people.
    fn golden(name: &str, text: &str) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/supervision/golden")
            .join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(file).unwrap());
    }

    #[test]
    fn the_files_are_as_people_have_read_them() {
        golden("reveille.service", &Manager::Systemd.text(&plan()));
        golden("reveille.plist", &Manager::Launchd.text(&plan()));
    }

    #[test]
    fn the_files_are_where_the_managers_look() {
        let at = |manager: Manager, pairs: &[(&str, &str)]| {
            let variable = |name: &str| {
                pairs
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).to_owned())
            };
            manager.file(variable).display().to_string()
        };
        let home = ("HOME", "/h");
        assert_eq!(
            at(Manager::Systemd, &[home]),
            "/h/.config/systemd/user/reveille.service"
        );
        assert_eq!(
            at(Manager::Systemd, &[home, ("XDG_CONFIG_HOME", "/c")]),
            "/c/systemd/user/reveille.service"
        );
        assert_eq!(
            at(Manager::Launchd, &[home]),
            "/h/Library/LaunchAgents/org.reveille.daemon.plist"
        );
    }
}
