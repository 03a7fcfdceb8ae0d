//! Commands of the command line, run to their end.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::Daemon;

/// For a command of many steps, such as an import of a thousand notes, on a machine that is busy with other tests.
pub const LONGEST: Duration = Duration::from_secs(180);

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Exit code; -1 after a signal.
    pub code: i32,
    /// What a program would read.
    pub stdout: String,
    /// What a person would read.
    pub stderr: String,
}

/// Runs a command to its end, with `input` on stdin.
///
/// # Errors
/// When it cannot be started, has not ended after [`LONGEST`], or writes no UTF-8.
pub async fn run(mut command: Command, input: &str) -> Result<Ran> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let shown = format!("{:?}", command.as_std().get_args().collect::<Vec<_>>());
    let mut child = command
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {shown}"))?;
    let mut stdin = child.stdin.take().context("stdin is a pipe")?;
    let finish = async {
        // silent-ok: a command that does not read its stdin may be gone already.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        child.wait_with_output().await
    };
    let Ok(output) = tokio::time::timeout(LONGEST, finish).await else {
        bail!("{shown} has not ended after {LONGEST:?}");
    };
    let output = output?;
    Ok(Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

impl Daemon {
    /// Runs a command such as `["send", "eng", "hello"]` to its end.
    ///
    /// # Errors
    /// As [`run`].
    pub async fn run<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Ran> {
        run(self.cli(args).await?, "").await
    }
}
