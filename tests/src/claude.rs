//! Where the real Claude Code CLI of the tests is.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::daemon::workspace_target;

/// The program named by `REVEILLE_TEST_CLAUDE`, else the one that `tests/run` installs under `target/claude-cli`.
///
/// # Errors
/// When there is none: a test that needs the real CLI fails rather than pass unseen.
pub fn program() -> Result<PathBuf> {
    let program = match std::env::var_os("REVEILLE_TEST_CLAUDE") {
        Some(path) => PathBuf::from(path),
        None => {
            let packages = workspace_target().join("claude-cli/node_modules/@anthropic-ai");
            packages.join(format!("claude-code-{}", platform())).join("claude")
        }
    };
    ensure!(
        program.is_file(),
        "{} is missing: run tests/run once, it installs the CLI",
        program.display()
    );
    Ok(program)
}

/// The suffix of the CLI's platform packages on npm.
fn platform() -> String {
    let os = if cfg!(target_os = "macos") {
        "darwin"
    } else {
        std::env::consts::OS
    };
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let libc = if cfg!(target_env = "musl") { "-musl" } else { "" };
    format!("{os}-{arch}{libc}")
}
