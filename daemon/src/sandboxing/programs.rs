//! From where the daemon starts programs. Who can write there would run outside of every sandbox, as the daemon's user.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use reveille_backends::find_program;
use reveille_sandbox::origins;

use super::follow;
use super::places::Disk;
use crate::claude::STAND_IN;

/// A directory of programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// With all links followed.
    pub(crate) dir: PathBuf,
    /// Whether what lies below it counts as well.
    pub(crate) deep: bool,
    /// What is started from there.
    pub(crate) what: &'static str,
}

/// The programs. Where they are is looked up each time: they are installed and replaced while the daemon runs.
pub(super) struct Programs {
    claude: String,
    /// Value of `PATH` of the daemon.
    path: OsString,
    /// Those that are found once.
    found: Vec<(PathBuf, &'static str)>,
}

impl Programs {
    /// `environment` is the daemon's own.
    pub(super) fn new(claude: &str, environment: &[(OsString, OsString)], own: &Path, sandbox: Option<&Path>) -> Self {
        let path = environment.iter().find(|(name, _)| name == "PATH");
        let sandbox = sandbox.map(|tool| (tool.to_owned(), "the program of the sandbox"));
        Self {
            claude: claude.to_owned(),
            path: path.map(|(_, value)| value.clone()).unwrap_or_default(),
            found: [(own.to_owned(), "Reveille itself")]
                .into_iter()
                .chain(sandbox)
                .collect(),
        }
    }

    /// All directories, as they are now.
    pub(super) fn sources(&self) -> Vec<Source> {
        let of = |program: &Path, path: &OsStr, what| {
            let found = origins(program, path).into_iter();
            found.map(move |one| Source {
                dir: one.dir,
                deep: one.deep,
                what,
            })
        };
        let mut all: Vec<Source> = Vec::new();
        for (program, what) in &self.found {
            all.extend(of(program, &self.path, *what));
        }
        if self.claude != STAND_IN
            && let Some(claude) = find_program(&self.claude, &self.path)
        {
            all.extend(of(&claude, &self.path, "Claude Code"));
        }
        let disk = Disk {
            follow: &follow,
            masked: &|| &[],
            sources: &|| &[],
        };
        for entry in std::env::split_paths(&self.path).filter(|entry| entry.is_absolute()) {
            all.extend(of(&entry, OsStr::new(""), IN_PATH));
            // One that is not there yet could be made.
            let dir = disk.real(&entry).unwrap_or(entry);
            all.push(Source {
                dir,
                deep: true,
                what: IN_PATH,
            });
        }
        // Everything lies in that one.
        all.retain(|one| !one.deep || one.dir.parent().is_some());
        all
    }
}

const IN_PATH: &str = "what is found by its PATH";
