//! Systems on which a child is confined, if at all, by its command alone.

use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::{Guard, SandboxError};

/// There is none on this system.
#[derive(Debug)]
pub enum Control {}

impl Control {
    /// Never called.
    pub fn child_ends(&mut self) -> Option<Ends> {
        match *self {}
    }

    /// Never called.
    pub async fn complete(self, _stdin: OwnedFd, _timeout: Duration) -> Result<Launched, SandboxError> {
        match self {}
    }
}

/// What the process that is spawned must get; there is none on this system.
#[derive(Debug)]
pub struct Ends {
    /// Its stdin.
    pub stdin: OwnedFd,
    /// Its stderr.
    pub stderr: OwnedFd,
}

/// A confined program that runs; there is none on this system.
#[derive(Debug)]
pub struct Launched {
    /// The program itself.
    pub program: Program,
    /// What it writes to stderr.
    pub stderr: tokio::net::unix::pipe::Receiver,
    /// What must live as long as the process.
    pub guard: Guard,
}

/// A process inside; there is none on this system.
#[derive(Debug)]
pub enum Program {}

impl Program {
    /// Never called.
    #[must_use]
    pub fn pid(&self) -> i32 {
        match *self {}
    }

    /// Never called.
    pub fn interrupt(&self) -> std::io::Result<()> {
        match *self {}
    }
}

#[cfg(not(target_os = "macos"))]
pub(crate) fn detect(_setup: &crate::Setup) -> std::sync::Arc<dyn crate::Sandbox> {
    std::sync::Arc::new(crate::absent::Absent(SandboxError::new(
        "there is no sandbox for this system",
        "Run the daemon on Linux, or accept the risk with sandbox.mode = \"none\"",
    )))
}
