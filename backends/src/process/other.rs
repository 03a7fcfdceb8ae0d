//! Systems without `/proc`: only the process group of a turn can be ended.

use std::io;

use rustix::process::{Pid, Signal, kill_process_group};

use super::{Census, SweepReport};

/// Nobody gets orphans here.
///
/// # Errors
/// Always.
pub fn adopt_orphans() -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// A process is being started.
pub(crate) fn starting() {}

/// A process that was started.
pub(crate) struct Own;

impl Own {
    pub(crate) fn enter(id: Option<u32>) -> Option<Self> {
        id.map(|_| Self)
    }
}

/// A search for the processes of one turn.
pub(crate) struct Hunt {
    group: Option<Pid>,
}

impl Hunt {
    pub(crate) fn new(_key: &str, _value: &str) -> Self {
        Self { group: None }
    }

    /// Nobody is asked here.
    pub(crate) fn since(self, _root: i32) -> Self {
        self
    }

    /// Another search for the same.
    pub(crate) fn again(&self) -> Self {
        Self { group: self.group }
    }

    /// They cannot be told apart here.
    ///
    /// # Errors
    /// Always.
    pub(crate) fn census(&self, _root: i32, _program: i32) -> io::Result<Census> {
        Err(io::Error::other("processes cannot be counted on this system"))
    }

    /// Remembers the group that `root` leads.
    pub(crate) fn note_descendants(&mut self, root: i32) -> io::Result<()> {
        self.group = Pid::from_raw(root);
        Ok(())
    }

    /// Kills the group.
    pub(crate) fn strike(&mut self) -> io::Result<()> {
        match self.group.map(|group| kill_process_group(group, Signal::KILL)) {
            Some(Err(error)) if error != rustix::io::Errno::SRCH => Err(error.into()),
            _ => Ok(()),
        }
    }

    pub(super) fn run(mut self) -> SweepReport {
        let problem = match (self.group, self.strike()) {
            (_, Err(error)) => Some(format!("the process group cannot be ended: {error}")),
            (None, Ok(())) => Some("processes cannot be found by their environment on this system".to_owned()),
            (Some(_), Ok(())) => None,
        };
        SweepReport {
            problem,
            ..SweepReport::default()
        }
    }

    pub(crate) fn run_unseen(self) {
        let report = self.run();
        if report.problem.is_some() {
            tracing::warn!(?report, "processes of an abandoned turn may be left");
        }
    }
}
