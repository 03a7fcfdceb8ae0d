//! The daemon's side of a start.

use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::net::unix::pipe;

use crate::{Guard, SandboxError};

/// What leads from a spawned process to the confined program.
#[derive(Debug)]
pub struct Control {
    child: Option<OwnedFd>,
}

impl Control {
    /// What the spawned process must get as its stderr. `None` when it was taken before.
    pub fn child_end(&mut self) -> Option<OwnedFd> {
        self.child.take()
    }

    /// Waits until the program runs confined. Call it once the process was spawned and this process has closed its copy of
    /// [`child_end`](Self::child_end). When it fails, or is dropped, the process must be killed.
    ///
    /// # Errors
    /// The sandbox could not be made, the program could not be started in it, or it took longer than `timeout`.
    pub async fn complete(self, _timeout: Duration) -> Result<Launched, SandboxError> {
        Err(SandboxError::new("not yet", "Wait"))
    }
}

/// A confined program that runs.
#[derive(Debug)]
pub struct Launched {
    /// Its id, as this process sees it.
    pub pid: i32,
    /// What it writes to stderr.
    pub stderr: pipe::Receiver,
    /// What must live as long as the process.
    pub guard: Guard,
}

impl Launched {
    /// Sends SIGINT to the program.
    ///
    /// # Errors
    /// It has ended.
    pub fn interrupt(&self) -> std::io::Result<()> {
        Ok(())
    }
}
