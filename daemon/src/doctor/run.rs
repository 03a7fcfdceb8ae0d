//! The daemon looks at itself: one look at a time, beside everything else, and not for ever.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use jiff::Timestamp;
use serde::Serialize;
use tokio::runtime::Handle;
use utoipa::ToSchema;

use super::{Check, Ground, Health, Level, check, configuration_check};
use crate::claude::Claude;
use crate::config::Config;

/// How long a look may take. What it waits for longest has limits of its own that are shorter.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was found.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DoctorReport)]
pub(crate) struct Report {
    /// One after the other, as `reveille doctor` shows them.
    pub(crate) checks: Vec<Check>,
    /// When the look began.
    pub(crate) ran_at: Timestamp,
}

type Look = Shared<BoxFuture<'static, Arc<Report>>>;

struct Inner {
    config: Config,
    state_dir: PathBuf,
    claude: Arc<Claude>,
    url: String,
    /// The last look, which may be under way.
    look: Mutex<Option<Look>>,
}

/// Looks at this daemon. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Doctor(Arc<Inner>);

impl Doctor {
    /// Of the daemon with that configuration, which answers at `url`.
    #[must_use]
    pub(crate) fn new(config: Config, state_dir: PathBuf, claude: Arc<Claude>, url: String) -> Self {
        Self(Arc::new(Inner {
            config,
            state_dir,
            claude,
            url,
            look: Mutex::new(None),
        }))
    }

    /// What is found now. Who asks while a look is under way gets what that one finds.
    pub(crate) async fn look(&self, health: Health) -> Arc<Report> {
        let look = {
            let mut last = self.0.look.lock().unwrap_or_else(PoisonError::into_inner);
            match &*last {
                Some(look) if look.peek().is_none() => look.clone(),
                _ => {
                    let look = self.begin(health);
                    *last = Some(look.clone());
                    look
                }
            }
        };
        look.await
    }

    /// It goes on to its end also when who asked goes away.
    fn begin(&self, health: Health) -> Look {
        let (doctor, runtime) = (self.clone(), Handle::current());
        let ran_at = Timestamp::now();
        // Files are looked at: no thread of the runtime waits for them.
        let work = tokio::task::spawn_blocking(move || {
            runtime.block_on(async { tokio::time::timeout(PATIENCE, doctor.checks(health)).await })
        });
        let report = async move {
            let why = match work.await {
                Ok(Ok(checks)) => return Arc::new(Report { checks, ran_at }),
                Ok(Err(_)) => format!("they have not come to an end within {} seconds", PATIENCE.as_secs()),
                Err(error) => {
                    tracing::error!(%error, "the checks of this daemon failed");
                    "they failed themselves; the log of the daemon says why".to_owned()
                }
            };
            let mend = Some("run `reveille doctor` on the machine of the daemon");
            let checks = vec![check("checks", Level::Error, why, mend)];
            Arc::new(Report { checks, ran_at })
        };
        let look = report.boxed().shared();
        // A shared future stands still unless somebody waits for it, and a look that is over by now must not be what the next
        // one gets who asks.
        tokio::spawn(look.clone());
        look
    }

    async fn checks(&self, health: Health) -> Vec<Check> {
        let ground = Ground {
            config: &self.0.config,
            state_dir: &self.0.state_dir,
            health,
            claude: &self.0.claude,
            own: Some(&self.0.url),
        };
        let mut checks = vec![configuration_check(None)];
        checks.extend(ground.checks().await);
        checks
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::doctor::claude_of;

    #[test]
    fn a_look_comes_to_its_end_when_who_asked_has_gone() {
        // Both threads of files are busy until who asked has gone.
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.enable_all().worker_threads(2).max_blocking_threads(2).build();
        runtime.unwrap().block_on(nobody_waits());
    }

    async fn nobody_waits() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.claude.program = "/nowhere/claude".into();
        config.sandbox.mode = crate::config::SandboxMode::None;
        let claude = Arc::new(claude_of(&config, dir.path()));
        let doctor = Doctor::new(config, dir.path().to_owned(), claude, "http://127.0.0.1:1".into());
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock().unwrap();
        for _ in 0..2 {
            let gate = Arc::clone(&gate);
            tokio::task::spawn_blocking(move || drop(gate.lock().unwrap()));
        }
        assert!(doctor.look(Health::NoDaemon).now_or_never().is_none());
        drop(closed);
        let begun = Timestamp::now();
        let is_over = || {
            doctor
                .0
                .look
                .lock()
                .unwrap()
                .as_ref()
                .is_some_and(|look| look.peek().is_some())
        };
        let limit = Instant::now() + PATIENCE;
        while !is_over() {
            assert!(Instant::now() < limit, "nobody drives it");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let next = doctor.look(Health::NoDaemon).await;
        assert!(next.ran_at > begun, "{} is not after {begun}", next.ran_at);
    }
}
