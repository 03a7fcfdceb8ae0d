//! Whether the sandbox of this machine keeps what it promises: tried out at the start, and again when it failed and somebody
//! needs it. Until it does, no turn is run.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reveille_backends::{Failure, FailureCode, Remedy, run_captured};
use reveille_sandbox::{ProbeReport, Sandbox, probe};
use tokio::time::Instant;

/// For one run of a probe's program.
const RUN: Duration = Duration::from_secs(20);
/// How long a failure counts before it is tried again.
const PAUSE: Duration = Duration::from_secs(30);

/// The sandbox, and what is known of it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Readiness(Arc<Inner>);

struct Inner {
    sandbox: Arc<dyn Sandbox>,
    /// Our own executable.
    program: PathBuf,
    /// When it was tried last. Locked while it is tried.
    tried: tokio::sync::Mutex<Option<Instant>>,
    report: RwLock<Option<ProbeReport>>,
}

/// Tries a sandbox out.
pub(crate) async fn try_out(sandbox: &dyn Sandbox, program: &Path) -> ProbeReport {
    match tempfile::tempdir() {
        Ok(scratch) => probe(sandbox, program, scratch.path(), |confined| run_captured(confined, RUN)).await,
        Err(error) => ProbeReport {
            mend: Some(format!(
                "There is no directory for temporary files ({error}); mend that, then try again"
            )),
            ..ProbeReport::default()
        },
    }
}

/// What failed, in a sentence without its end.
pub(crate) fn why(report: &ProbeReport) -> String {
    let failed = report.checks.iter().filter(|check| !check.ok);
    let failed: Vec<String> = failed
        .map(|check| format!("{}: {}", check.name, check.detail))
        .collect();
    match failed.is_empty() {
        true => "it could not be tried out".into(),
        false => failed.join("; "),
    }
}

impl Readiness {
    /// Nothing is tried yet.
    #[must_use]
    pub(crate) fn new(sandbox: Arc<dyn Sandbox>, program: PathBuf) -> Self {
        Self(Arc::new(Inner {
            sandbox,
            program,
            tried: tokio::sync::Mutex::default(),
            report: RwLock::default(),
        }))
    }

    /// Whether turns are confined at all.
    #[must_use]
    pub(crate) fn is_confined(&self) -> bool {
        self.0.sandbox.summary().confined
    }

    /// Whether the program that makes the sandbox is there.
    #[must_use]
    pub(crate) fn has_tool(&self) -> bool {
        self.tool().is_some()
    }

    /// The program that makes the sandbox.
    #[must_use]
    pub(crate) fn tool(&self) -> Option<&Path> {
        self.0.sandbox.tool()
    }

    /// Our own executable.
    #[must_use]
    pub(crate) fn program(&self) -> &Path {
        &self.0.program
    }

    /// What was found last; `None`: it was not tried yet, or nobody is confined.
    #[must_use]
    pub(crate) fn report(&self) -> Option<ProbeReport> {
        self.0.report.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tries it out unless it is known to be good, or was found bad just now.
    pub(crate) async fn look(&self) -> Option<ProbeReport> {
        if !self.is_confined() {
            return None;
        }
        let mut tried = self.0.tried.lock().await;
        if let Some(known) = self.report()
            && (known.ok || tried.is_some_and(|at| at.elapsed() < PAUSE))
        {
            return Some(known);
        }
        let report = try_out(&*self.0.sandbox, &self.0.program).await;
        *tried = Some(Instant::now());
        for warning in &report.warnings {
            tracing::warn!(warning, "the sandbox is weaker than it could be");
        }
        match report.ok {
            true => tracing::info!(
                bwrap = report.bwrap,
                landlock = report.landlock_abi,
                "turns are confined"
            ),
            false => tracing::error!(
                why = why(&report),
                mend = report.mend,
                "the sandbox does not keep what it promises: no turn is run until it does"
            ),
        }
        *self.0.report.write().unwrap_or_else(PoisonError::into_inner) = Some(report.clone());
        Some(report)
    }

    /// Whether a turn can be run.
    ///
    /// # Errors
    /// Why not, and the mend.
    pub(crate) async fn check(&self) -> Result<(), Failure> {
        let Some(report) = self.look().await.filter(|report| !report.ok) else {
            return Ok(());
        };
        let mend = report
            .mend
            .clone()
            .unwrap_or_else(|| "`reveille doctor` tells more".into());
        Err(Failure {
            code: FailureCode::Sandbox,
            message: "The sandbox that agents run in does not work on this machine, so the turn was not begun.".into(),
            next_step: format!(
                "Ask the operator to mend it, then send the message again. {}",
                mend.trim_end_matches('.').to_owned() + "."
            ),
            remedy: Remedy::Operator,
            detail: why(&report),
        })
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use reveille_sandbox::{Command, Confined, Policy, SandboxError, Summary, Unconfined};

    use super::*;

    /// A machine without a sandbox.
    struct None;

    impl Sandbox for None {
        fn summary(&self) -> Summary {
            Summary {
                mode: "absent",
                confined: true,
                detail: String::new(),
            }
        }

        fn confine(&self, _: Command, _: &Policy) -> Result<Confined, SandboxError> {
            Err(SandboxError {
                reason: "there is none".into(),
                mend: "Install it".into(),
            })
        }
    }

    #[tokio::test]
    async fn without_a_sandbox_no_turn_is_run_and_the_mend_is_told() {
        let ready = Readiness::new(Arc::new(None), "/none".into());
        assert_eq!(ready.report(), Option::None);
        let failure = ready.check().await.unwrap_err();
        assert_eq!((failure.code, failure.remedy), (FailureCode::Sandbox, Remedy::Operator));
        assert!(failure.next_step.ends_with('.'), "{}", failure.next_step);
        assert!(ready.report().is_some_and(|report| !report.ok));
    }

    #[tokio::test]
    async fn who_is_not_confined_needs_no_sandbox() {
        let ready = Readiness::new(Arc::new(Unconfined), "/none".into());
        assert_eq!((ready.check().await, ready.report()), (Ok(()), Option::None));
    }
}
