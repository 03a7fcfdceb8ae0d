use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;
use tokio::sync::OnceCell;

/// The build directory of the workspace.
pub(crate) fn workspace_target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => PathBuf::from(target),
        None => workspace().join("target"),
    }
}

/// The daemon's program: `REVEILLE_BIN`, else a debug build that is made once by each test process.
pub(crate) async fn reveille() -> Result<PathBuf> {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_try_init(build).await.cloned()
}

async fn build() -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("REVEILLE_BIN") {
        let program = std::path::absolute(program)?;
        ensure!(
            program.is_file(),
            "REVEILLE_BIN names {}, which is no file",
            program.display()
        );
        return Ok(program);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "-p", "reveille", "--bin", "reveille"])
        .current_dir(workspace());
    let status = command.status().await.context("run cargo build")?;
    ensure!(status.success(), "cargo build -p reveille: {status}");
    Ok(workspace_target().join("debug/reveille"))
}

fn workspace() -> &'static Path {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir.parent().unwrap_or(crate_dir)
}
