//! Whether the sandbox of this machine keeps what it promises.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Confined, Sandbox, SandboxError};

/// What a probe found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// Whether turns may run in it.
    pub ok: bool,
    /// Version of bubblewrap, such as `0.8.0`.
    pub bwrap: Option<String>,
    /// Whether an unprivileged user can make namespaces.
    pub userns: bool,
    /// Version of the kernel's Landlock interface; 0 when there is none.
    pub landlock_abi: u32,
    /// Whether the filter of system calls is in force.
    pub seccomp: bool,
    /// What was tried.
    pub checks: Vec<Check>,
    /// What the operator can do, when it is not ok.
    pub mend: Option<String>,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name, such as `read-deny`.
    pub name: String,
    /// Whether it came out as it must.
    pub ok: bool,
    /// What happened, for people.
    pub detail: String,
}

/// How a process ended that the probe asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ran {
    /// Whether its exit status was 0.
    pub success: bool,
    /// What it wrote.
    pub stdout: Vec<u8>,
    /// What it complained of.
    pub stderr: Vec<u8>,
}

/// Tries the sandbox out: starts a confined program that attempts what must not be possible, beside things that must be.
/// `program` is our own executable, `scratch` an empty directory of the daemon's own, `spawn` runs a process to its end.
pub async fn probe<S, F>(sandbox: &dyn Sandbox, program: &Path, scratch: &Path, spawn: S) -> ProbeReport
where
    S: Fn(Confined) -> F,
    F: Future<Output = Result<Ran, SandboxError>>,
{
    let _unused = (sandbox, program, scratch, spawn);
    ProbeReport::default()
}
