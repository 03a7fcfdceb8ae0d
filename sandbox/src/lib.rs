//! From a policy to a confined command. Owns the decision what a child process may reach, the program that carries it out
//! inside the sandbox ([`shim`]), and the only way out of it ([`egress`]). Must never start a process itself.
//!
//! On Linux a child runs in bubblewrap with namespaces of its own, and below that in Landlock and seccomp filters that the
//! shim sets. On macOS it runs in `sandbox-exec` (untested: that has never run on a Mac). Whatever fails on the way is a [`SandboxError`], and the command must then not be run: there is no lesser
//! confinement that would be taken instead.
#![deny(unsafe_code)]

mod absent;
pub mod egress;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod environment;
mod groups;
mod guard;
#[cfg(target_os = "linux")]
mod linux;
// On Linux for the tests of what it says.
#[cfg(any(target_os = "macos", test))]
mod macos;
#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod paths;
mod policy;
mod probe;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod programs;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod services;
pub mod shim;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use groups::{Exceeded, Grouped, Groups};
pub use guard::Guard;
#[cfg(target_os = "linux")]
pub use linux::{Control, Ends, Launched, Program};
#[cfg(not(target_os = "linux"))]
pub use other::{Control, Ends, Launched, Program};
pub use policy::{Filesystem, Handler, Limits, Loopback, Network, Policy, Target};
pub use probe::{Check, ProbeReport, Ran, probe};
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub use programs::{Origin, origins};

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
    /// What leads from its start to the confined program. With one, the process gets [`Control::child_ends`] as its stdin and
    /// stderr, and [`Control::complete`] must succeed before anything else is done with it.
    pub control: Option<Control>,
    /// What must live as long as the process.
    pub guard: Guard,
}

impl Confined {
    /// A command that is run as it is.
    #[must_use]
    pub fn plain(command: Command) -> Self {
        Self {
            command,
            control: None,
            guard: Guard::default(),
        }
    }
}

/// The command could not be confined, so it must not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the sandbox cannot start: {reason}. {mend}")]
pub struct SandboxError {
    /// What is missing or refused.
    pub reason: String,
    /// What the operator can do.
    pub mend: String,
}

impl SandboxError {
    /// An error; neither text ends with a full stop.
    pub fn new(reason: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            mend: mend.into(),
        }
    }
}

/// A policy.
pub trait Sandbox: Send + Sync + 'static {
    /// What it keeps a child from.
    fn summary(&self) -> Summary;

    /// The command that runs `command` confined. Must be called within a runtime of tokio: what serves the child's connections
    /// runs there.
    ///
    /// # Errors
    /// The policy cannot be kept on this machine; the caller must not run the command.
    fn confine(&self, command: Command, policy: &Policy) -> Result<Confined, SandboxError>;

    /// The program that makes the sandbox, if there is one.
    fn tool(&self) -> Option<&Path> {
        None
    }
}

/// What a sandbox is made from.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Our own executable: it answers the subcommands of [`shim`].
    pub program: PathBuf,
    /// Value of `PATH`, where the tools are looked up, and the interpreters of programs that are scripts.
    pub search_path: OsString,
    /// The proxy that the daemon itself goes through, and what is reached without it.
    pub parent_proxy: Option<Arc<egress::ParentProxy>>,
    /// A directory for copies of the system's settings, which are not secret. Others must not be able to change what is in it.
    pub scratch: PathBuf,
}

/// The sandbox of this machine. Where there is none, every [`Sandbox::confine`] is an error that says what to do.
#[must_use]
pub fn detect(setup: &Setup) -> Arc<dyn Sandbox> {
    #[cfg(target_os = "linux")]
    return linux::detect(setup);
    #[cfg(target_os = "macos")]
    return macos::detect(setup);
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    other::detect(setup)
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
        Ok(Confined::plain(command))
    }
}
