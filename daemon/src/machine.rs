//! The sandbox of this machine.

use std::path::PathBuf;
use std::sync::Arc;

use reveille_sandbox::egress::ParentProxy;
use reveille_sandbox::{Sandbox, Setup, Unconfined, detect};

use crate::config::SandboxMode;

/// The sandbox that the configuration asks for, with a directory of our own for what it needs; see [`Setup`].
///
/// # Errors
/// A sentence: our own file cannot be found, or a variable for proxies is unusable.
pub(crate) fn sandbox(mode: SandboxMode, scratch: PathBuf) -> anyhow::Result<Arc<dyn Sandbox>> {
    Ok(match mode {
        SandboxMode::None => Arc::new(Unconfined),
        SandboxMode::Auto => detect(&setup(scratch)?),
    })
}

/// What a sandbox is made from.
pub(crate) fn setup(scratch: PathBuf) -> anyhow::Result<Setup> {
    Ok(Setup {
        program: own_file()?,
        search_path: std::env::var_os("PATH").unwrap_or_default(),
        parent_proxy: ParentProxy::from_env(|name| std::env::var(name).ok())?.map(Arc::new),
        scratch,
    })
}

/// Our own executable.
pub(crate) fn own_file() -> anyhow::Result<PathBuf> {
    use anyhow::Context as _;
    std::env::current_exe().context("the file of this program cannot be found")
}
