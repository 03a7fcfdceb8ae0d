//! From a policy to a confined command. Owns the decision what a child process may reach. Must never start a process itself.
//!
//! At present the only policy is [`Unconfined`]: it confines nothing and says so wherever the policy is shown.
#![forbid(unsafe_code)]

pub mod egress;
mod policy;

use std::ffi::OsString;
use std::path::PathBuf;

pub use policy::{Filesystem, Handler, Limits, Loopback, Network, Policy, Target};

/// A command as the sandbox takes and gives it. The environment is complete: nothing is inherited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Arguments after the program.
    pub args: Vec<OsString>,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// Working directory, absolute.
    pub cwd: PathBuf,
}

/// What a policy keeps a child from, for people: shown in the log, `/health` and `doctor`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Name of the policy: `none` confines nothing.
    pub mode: &'static str,
    /// Whether a child is kept from anything at all.
    pub confined: bool,
    /// One sentence that says what a child can do.
    pub detail: String,
}

/// A command that may be run.
#[derive(Debug)]
pub struct Confined {
    /// What to start.
    pub command: Command,
}

/// The command could not be confined, so it must not run.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox cannot start: {reason}. {mend}")]
pub struct SandboxError {
    /// What is missing or refused.
    pub reason: String,
    /// What the operator can do.
    pub mend: String,
}

/// A policy.
pub trait Sandbox: Send + Sync + 'static {
    /// What it keeps a child from.
    fn summary(&self) -> Summary;

    /// The command that runs `command` confined.
    ///
    /// # Errors
    /// The policy cannot be kept on this machine; the caller must not run the command.
    fn confine(&self, command: Command, policy: &Policy) -> Result<Confined, SandboxError>;
}

/// No confinement: a child can do everything that the daemon's user can do.
#[derive(Debug, Clone, Copy)]
pub struct Unconfined;

impl Sandbox for Unconfined {
    fn summary(&self) -> Summary {
        Summary {
            mode: "none",
            confined: false,
            detail: "agents are NOT confined: they can read, write and reach everything that this user can".into(),
        }
    }

    fn confine(&self, command: Command, _policy: &Policy) -> Result<Confined, SandboxError> {
        Ok(Confined { command })
    }
}
