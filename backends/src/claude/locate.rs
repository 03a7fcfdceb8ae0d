//! Finding the CLI and asking it what it is.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use reveille_sandbox::{Command, Network, Policy, Sandbox, SandboxError};
use rustix::fs::Access;
use tokio::time::Instant;

use super::options::base_env;
use crate::confined::run_captured;

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
        /// What it said instead.
        status: String,
    },
    /// It is asked in the sandbox, which could not be made.
    #[error("{program} was not asked for its version: {error}")]
    Sandbox {
        /// Path.
        program: String,
        /// Why, and the mend.
        error: SandboxError,
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

/// Asks a program for its version and its options, at most 20 s. It gets [`base_env`] of this process. Confined, it reaches
/// nothing and writes nowhere: who replaced its file must not get beyond the sandbox by that.
///
/// # Errors
/// The program cannot be started, does not answer, or answers with an error.
pub async fn probe(program: &Path, prefix_args: &[OsString], sandbox: &dyn Sandbox) -> Result<Probe, ProbeError> {
    let (version, help) = tokio::try_join!(
        ask(program, prefix_args, "--version", sandbox),
        ask(program, prefix_args, "--help", sandbox)
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

/// A program that is only asked.
fn question(program: &Path, prefix_args: &[OsString], flag: &str, is_confined: bool) -> Command {
    let mut env = base_env(std::env::vars_os());
    if is_confined {
        // The user's own cannot be seen there.
        env.retain(|(name, _)| name != "HOME");
        env.push(("HOME".into(), std::env::temp_dir().into()));
    }
    let fixed = [
        ("TERM", "dumb"),
        ("DISABLE_AUTOUPDATER", "1"),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ];
    env.extend(fixed.map(|(name, value)| (name.into(), value.into())));
    Command {
        program: program.to_owned(),
        args: prefix_args.iter().cloned().chain([flag.into()]).collect(),
        env,
        cwd: "/".into(),
    }
}

async fn ask(
    program: &Path,
    prefix_args: &[OsString],
    flag: &'static str,
    sandbox: &dyn Sandbox,
) -> Result<String, ProbeError> {
    let name = || program.display().to_string();
    if !program.exists() {
        let reason = "it is not there".into();
        return Err(ProbeError::Start {
            program: name(),
            reason,
        });
    }
    let command = question(program, prefix_args, flag, sandbox.summary().confined);
    let policy = Policy {
        network: Network::Restricted,
        ..Policy::default()
    };
    let broken = |error| ProbeError::Sandbox { program: name(), error };
    let confined = sandbox.confine(command, &policy).map_err(broken)?;
    let is_plain = confined.control.is_none();
    let ran = tokio::time::timeout(PROBE_LIMIT, run_captured(confined, PROBE_LIMIT))
        .await
        .map_err(|_elapsed| ProbeError::Silent { program: name(), flag })?
        .map_err(|error| match is_plain {
            true => ProbeError::Start {
                program: name(),
                reason: error.reason,
            },
            false => broken(error),
        })?;
    if !ran.success {
        let said = String::from_utf8_lossy(&ran.stderr);
        let status = said
            .trim()
            .lines()
            .last()
            .unwrap_or("no text")
            .chars()
            .take(200)
            .collect();
        return Err(ProbeError::Refused {
            program: name(),
            flag,
            status,
        });
    }
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
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
    pub(super) async fn get(
        &self,
        program: &Path,
        prefix_args: &[OsString],
        sandbox: &dyn Sandbox,
    ) -> Result<Probe, ProbeError> {
        // silent-ok: a missing file is reported by the probe itself.
        let modified = std::fs::metadata(program).and_then(|meta| meta.modified()).ok();
        let mut last = self.last.lock().await;
        if let Some(asked) = &*last
            && asked.modified == modified
            && (asked.answer.is_ok() || asked.at.elapsed() < FAILURE_LIFE)
        {
            return asked.answer.clone();
        }
        let answer = probe(program, prefix_args, sandbox).await;
        *last = Some(Asked {
            modified,
            at: Instant::now(),
            answer: answer.clone(),
        });
        answer
    }
}
