//! Finding the CLI and asking it what it is.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use rustix::fs::Access;
use tokio::process::Command;
use tokio::time::Instant;

use super::options::base_env;

/// For one question. A cold start takes half a second on an idle machine.
const PROBE_LIMIT: Duration = Duration::from_secs(20);
/// How long a failed probe counts, so that a program that hangs does not slow every turn.
const FAILURE_LIFE: Duration = Duration::from_secs(60);

/// What a program said about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Probe {
    /// The first word of `--version`, such as `2.1.197`.
    pub version: String,
    /// Whether `--help` lists `--system-prompt-snapshot`. Such a version records the first system prompt of a session and
    /// passes over a changed one, unless the option turns that off.
    pub supports_prompt_snapshot: bool,
}

/// The program did not say what it is.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ProbeError {
    /// It could not be started.
    #[error("{program} cannot be started: {reason}. Check that the file is there and may be run")]
    Start {
        /// Path.
        program: String,
        /// The system's reason.
        reason: String,
    },
    /// It did not end in time.
    #[error("{program} {flag} gave no answer in {} s. Try it by hand", PROBE_LIMIT.as_secs())]
    Silent {
        /// Path.
        program: String,
        /// What it was asked.
        flag: &'static str,
    },
    /// It ended with an error, or said nothing.
    #[error("{program} {flag} did not work ({status}). Check that it is Claude Code")]
    Refused {
        /// Path.
        program: String,
        /// What it was asked.
        flag: &'static str,
        /// Its exit status.
        status: String,
    },
}

/// Looks a program up: a name in the directories of `path` (the value of `PATH`), or a path, which is made absolute.
/// `None` when there is no executable file.
#[must_use]
pub fn find_program(name_or_path: impl AsRef<OsStr>, path: &OsStr) -> Option<PathBuf> {
    let wanted = Path::new(name_or_path.as_ref());
    if wanted.components().count() > 1 || wanted.is_absolute() {
        // silent-ok: without a working directory a relative path leads nowhere.
        return std::path::absolute(wanted).ok().filter(|found| is_executable(found));
    }
    std::env::split_paths(path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(wanted))
        .find(|found| is_executable(found))
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok()
}

/// Asks a program for its version and its options, at most 20 s. It gets [`base_env`] of this process.
///
/// # Errors
/// The program cannot be started, does not answer, or answers with an error.
pub async fn probe(program: &Path, prefix_args: &[OsString]) -> Result<Probe, ProbeError> {
    let (version, help) = tokio::try_join!(
        ask(program, prefix_args, "--version"),
        ask(program, prefix_args, "--help")
    )?;
    let version = version.split_whitespace().next().unwrap_or_default().to_owned();
    if version.is_empty() {
        let (program, status) = (program.display().to_string(), "no text".to_owned());
        return Err(ProbeError::Refused {
            program,
            flag: "--version",
            status,
        });
    }
    Ok(Probe {
        version,
        supports_prompt_snapshot: help.contains("--system-prompt-snapshot"),
    })
}

async fn ask(program: &Path, prefix_args: &[OsString], flag: &'static str) -> Result<String, ProbeError> {
    let name = || program.display().to_string();
    let child = Command::new(program)
        .args(prefix_args)
        .arg(flag)
        .env_clear()
        .envs(base_env(std::env::vars_os()))
        .envs([
            ("TERM", "dumb"),
            ("DISABLE_AUTOUPDATER", "1"),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| ProbeError::Start {
            program: name(),
            reason: error.to_string(),
        })?;
    let output = tokio::time::timeout(PROBE_LIMIT, child.wait_with_output())
        .await
        .map_err(|_elapsed| ProbeError::Silent { program: name(), flag })?
        .map_err(|error| ProbeError::Start {
            program: name(),
            reason: error.to_string(),
        })?;
    if !output.status.success() {
        return Err(ProbeError::Refused {
            program: name(),
            flag,
            status: output.status.to_string(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The answers of one program, asked again when its file changes.
#[derive(Default)]
pub(super) struct ProbeCache {
    last: tokio::sync::Mutex<Option<Asked>>,
}

struct Asked {
    modified: Option<SystemTime>,
    at: Instant,
    answer: Result<Probe, ProbeError>,
}

impl ProbeCache {
    pub(super) async fn get(&self, program: &Path, prefix_args: &[OsString]) -> Result<Probe, ProbeError> {
        // silent-ok: a missing file is reported by the probe itself.
        let modified = std::fs::metadata(program).and_then(|meta| meta.modified()).ok();
        let mut last = self.last.lock().await;
        if let Some(asked) = &*last
            && asked.modified == modified
            && (asked.answer.is_ok() || asked.at.elapsed() < FAILURE_LIFE)
        {
            return asked.answer.clone();
        }
        let answer = probe(program, prefix_args).await;
        *last = Some(Asked {
            modified,
            at: Instant::now(),
            answer: answer.clone(),
        });
        answer
    }
}
