//! Jobs: messages that the clock sends. The contract: *every occurrence either runs once, or it is written down why it did not*.
//!
//! A job is a note; how far it has come (its *horizon*, the first occurrence that is not accounted for) and what became of its
//! occurrences (the *ledger*) are kept beside it and change together. The message of an occurrence has an identity that is made
//! of the job and the instant: whatever is repeated, after whatever crash or change of the clock, it is the same message. The
//! feeds hand over what happens to the notes and wait for nothing here.

mod clock;
mod fire;
mod ledger;
mod model;
mod plan;
mod runner;
#[cfg(test)]
mod simulation;
mod state;
mod tell;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use reveille_queue::Queue;
use reveille_vault::agent::{Job, Problem};
use reveille_vault::{Note, NoteId, Vault};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use self::fire::{Letter, Sent};
use self::ledger::{Ledger, OpenRun};
use self::model::{Horizon, Standing};
use self::state::{Entry, State};
use crate::inbox::shown;
use crate::registry::Registry;

pub(crate) use self::clock::{Clock, SystemClock};
pub(crate) use self::ledger::{LedgerError, Numbered, TABLES};
pub(crate) use self::model::{Code, JobKey, Run, RunKind, RunState};
pub(crate) use self::runner::Runner;
use self::tell::{LAST_RUN_AT, LAST_STATUS};

/// How long who looks at jobs waits for what has just ended.
const PATIENCE: Duration = Duration::from_secs(1);
/// Characters of a problem that are told.
pub(crate) const PROBLEM_CHARS: usize = 300;
/// Jobs of one vault that are attended to at once.
const AT_ONCE: usize = 16;

/// Problems in a line. What somebody wrote may be of any length.
fn told(problems: &[Problem]) -> String {
    let told = problems
        .iter()
        .map(|problem| shown(&problem.to_string(), PROBLEM_CHARS));
    told.collect::<Vec<_>>().join("; ")
}

/// What the schedule is built from.
pub(crate) struct Options {
    /// The ledger.
    pub(crate) file: PathBuf,
    /// Whose clock counts for jobs that name no zone.
    pub(crate) zone: TimeZone,
    /// Where messages wait.
    pub(crate) queue: Arc<dyn Queue>,
    /// Who there is.
    pub(crate) registry: Registry,
    /// Most messages that may wait for one agent.
    pub(crate) max_waiting: u32,
    /// What time it is.
    pub(crate) clock: Arc<dyn Clock>,
    /// Until when jobs run.
    pub(crate) drain: CancellationToken,
}

/// What everything here shares.
struct Inner {
    zone: TimeZone,
    ledger: Ledger,
    queue: Arc<dyn Queue>,
    registry: Registry,
    max_waiting: u32,
    clock: Arc<dyn Clock>,
    /// When this run of the daemon began, by the clock as it is now.
    served_since: Mutex<Timestamp>,
    state: Mutex<State>,
    /// Runs whose end is not known, the oldest first.
    open: Mutex<Vec<OpenRun>>,
    /// Pending runs that somebody is at.
    in_hand: Mutex<HashSet<i64>>,
    /// There is something to do.
    bell: Notify,
    drain: CancellationToken,
    /// By vault: one that hangs holds up its own jobs only.
    permits: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Options {
    /// Opens the ledger. Nothing runs yet.
    ///
    /// # Errors
    /// It cannot be read, with the mend.
    pub(crate) async fn open(self) -> anyhow::Result<(Handle, Runner)> {
        let ledger = Ledger::open(&self.file)?;
        let state = State::of(ledger.horizons().await?, ledger.with_history().await?);
        let open = ledger.open_runs().await?;
        let inner = Arc::new(Inner {
            zone: self.zone,
            ledger,
            queue: self.queue,
            registry: self.registry,
            max_waiting: self.max_waiting,
            served_since: Mutex::new(self.clock.now()),
            clock: self.clock,
            state: Mutex::new(state),
            open: Mutex::new(open),
            in_hand: Mutex::default(),
            bell: Notify::new(),
            drain: self.drain,
            permits: Mutex::default(),
        });
        let runner = Runner::new(Arc::clone(&inner));
        Ok((Handle { inner }, runner))
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_runs(&self) -> MutexGuard<'_, Vec<OpenRun>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn served_since(&self) -> MutexGuard<'_, Timestamp> {
        self.served_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_hand(&self) -> MutexGuard<'_, HashSet<i64>> {
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A note as it is after a write of ours. It may hold what somebody else has written meanwhile; the feed may have brought
    /// a newer one already.
    fn read_back(&self, key: &JobKey, vault: &Arc<dyn Vault>, note: &Note) {
        let mut state = self.state();
        let known = state.entries.get(key);
        if known.is_some_and(|entry| entry.note.updated_at < note.updated_at)
            && state.learn(vault, &key.note, Some(note), &self.zone)
        {
            self.bell.notify_one();
        }
    }

    /// Leave to attend to a job of a vault.
    async fn permit(&self, vault: &str) -> Option<OwnedSemaphorePermit> {
        let permits = {
            let mut all = self.permits.lock().unwrap_or_else(PoisonError::into_inner);
            let of_vault = all.entry(vault.to_owned());
            Arc::clone(of_vault.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))))
        };
        permits.acquire_owned().await.ok() // silent-ok: it is never closed
    }

    fn open_runs_of(&self, key: &JobKey) -> Vec<OpenRun> {
        self.open_runs().iter().filter(|run| run.job == *key).cloned().collect()
    }
}

/// A job as people see it.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// Which one.
    pub(crate) key: JobKey,
    /// The note.
    pub(crate) note: Arc<Note>,
    /// What it amounts to, or what is wrong with it.
    pub(crate) parsed: Result<Arc<Job>, Vec<Problem>>,
    /// `enabled`, `paused`, `done` or `error`.
    pub(crate) status: &'static str,
    /// Why, where that is not plain.
    pub(crate) detail: String,
    /// When it runs next; only of one that does.
    pub(crate) next_run_at: Option<Timestamp>,
    /// When the last run began.
    pub(crate) last_run_at: Option<String>,
    /// How it went: `ok`, or `error: …`.
    pub(crate) last_status: Option<String>,
}

impl Listed {
    /// What people call it.
    pub(crate) fn id(&self) -> String {
        match &self.parsed {
            Ok(job) => job.id.clone(),
            Err(_) => self.note.text("jobId").unwrap_or_else(|| self.key.note.to_string()),
        }
    }

    /// The agent that it is for.
    pub(crate) fn channel(&self) -> String {
        let named = || self.note.text("agent").or_else(|| self.note.text("channel"));
        match &self.parsed {
            Ok(job) => job.agent.clone(),
            Err(_) => named().unwrap_or_default(),
        }
    }
}

/// What came of a run that a person started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    /// `ok`, or `error: …`.
    pub(crate) status: String,
    /// The message, when there is one.
    pub(crate) message: Option<NoteId>,
}

/// Why a job cannot be run at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// It is not there.
    #[error("there is no such job")]
    Unknown,
    /// Its note does not hold together.
    #[error("the job has errors: {}", told(.0))]
    Broken(Vec<Problem>),
    /// It could not be written down.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The schedule. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Handle {
    inner: Arc<Inner>,
}

impl Handle {
    /// A note has changed; `None`: it is gone. Answers at once; with what the job is called that it is or was.
    pub(crate) fn note_changed(&self, vault: &Arc<dyn Vault>, id: &NoteId, note: Option<&Note>) -> Option<String> {
        let key = JobKey {
            vault: vault.name().to_owned(),
            note: id.clone(),
        };
        let mut state = self.inner.state();
        let known = state.entries.get(&key).filter(|entry| !entry.removed);
        let before = known.map(|entry| Arc::clone(&entry.note));
        if state.learn(vault, id, note, &self.inner.zone) {
            self.inner.bell.notify_one();
        }
        let job = note.filter(|note| Job::is(note)).or(before.as_deref())?;
        Some(job.text("jobId").unwrap_or_else(|| id.to_string()))
    }

    /// All job notes of a vault, as they are now. Answers at once.
    pub(crate) fn opened(&self, vault: &Arc<dyn Vault>, notes: &[Note]) {
        self.inner.state().learn_all(vault, notes, &self.inner.zone);
        self.inner.bell.notify_one();
    }

    /// Agents came, changed or went: jobs may have one now, or none any more.
    pub(crate) fn agents_changed(&self) {
        self.inner.state().agents_changed = true;
        self.inner.bell.notify_one();
    }

    /// A vault is no longer followed: its jobs rest until it is again. At the end of the daemon everything does.
    pub(crate) fn closed(&self, vault: &str) {
        if !self.inner.drain.is_cancelled() {
            self.inner.state().close(vault);
        }
    }

    /// Whose clock counts for jobs that name no zone.
    pub(crate) fn zone(&self) -> &TimeZone {
        &self.inner.zone
    }

    /// All jobs, by agent and name.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let now = self.inner.clock.now();
        let mut listed: Vec<Listed> = {
            let state = self.inner.state();
            let there = state.entries.iter().filter(|(_, entry)| !entry.removed);
            there.map(|(key, entry)| self.inner.entry(key, entry, now)).collect()
        };
        listed.sort_by_cached_key(|job| (job.channel(), job.id(), job.key.clone()));
        listed
    }

    /// One job.
    pub(crate) fn get(&self, key: &JobKey) -> Option<Listed> {
        let now = self.inner.clock.now();
        let state = self.inner.state();
        let entry = state.entries.get(key).filter(|entry| !entry.removed)?;
        Some(self.inner.entry(key, entry, now))
    }

    /// Finds out how runs have ended, and makes their notes tell, so that who looks sees it. Waits for that, but not long.
    pub(crate) async fn catch_up(&self) {
        if self.inner.open_runs().is_empty() {
            return;
        }
        let inner = Arc::clone(&self.inner);
        let looking = tokio::spawn(async move {
            if let Err(error) = tell::look_at_turns(&inner).await {
                tracing::warn!(error, "how the turns of jobs have ended is not known yet");
            }
        });
        // silent-ok: it goes on, and is told of there
        let _ = tokio::time::timeout(PATIENCE, looking).await;
    }

    /// A note as it would be listed.
    pub(crate) fn preview(&self, key: &JobKey, note: &Note) -> Listed {
        let parsed = Job::parse(note, &self.inner.zone).map(Arc::new);
        let note = Arc::new(note.clone());
        self.inner.listed(key, note, parsed, None, self.inner.clock.now())
    }

    /// The history of a job, the newest first.
    ///
    /// # Errors
    /// It cannot be read now.
    pub(crate) async fn runs(&self, key: &JobKey) -> Result<Vec<Run>, LedgerError> {
        let runs: Vec<Numbered> = self.inner.ledger.runs(key).await?;
        let told = runs.into_iter().map(|(_, run)| run);
        Ok(told.filter(|run| run.state != RunState::Pending).collect())
    }

    /// Runs a job now, whatever its schedule says and also when it is paused. The message is durable when this returns; it goes
    /// on to its end also when who asks goes away.
    ///
    /// # Errors
    /// [`RunError`]; then nothing was sent.
    pub(crate) async fn run_now(&self, key: &JobKey) -> Result<Ran, RunError> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        let ran = tokio::spawn(async move { inner.run_now(&key).await }).await;
        ran.unwrap_or_else(|error| {
            tracing::error!(%error, "a run that a person started failed");
            Err(RunError::Unknown)
        })
    }
}

impl Inner {
    fn entry(&self, key: &JobKey, entry: &Entry, now: Timestamp) -> Listed {
        let (note, parsed) = (Arc::clone(&entry.note), entry.parsed.clone());
        let mut listed = self.listed(key, note, parsed, entry.horizon.as_ref(), now);
        let (at, status) = entry.last.clone();
        listed.last_run_at = at.or(listed.last_run_at);
        listed.last_status = status.or(listed.last_status);
        if let Some(trouble) = entry.trouble.as_ref().filter(|_| listed.status == "enabled") {
            listed.detail.clone_from(trouble);
        }
        listed
    }

    fn listed(
        &self,
        key: &JobKey,
        note: Arc<Note>,
        parsed: Result<Arc<Job>, Vec<Problem>>,
        horizon: Option<&Horizon>,
        now: Timestamp,
    ) -> Listed {
        let mut listed = Listed {
            key: key.clone(),
            last_run_at: note.text(LAST_RUN_AT),
            last_status: note.text(LAST_STATUS),
            note,
            parsed,
            status: "error",
            detail: String::new(),
            next_run_at: None,
        };
        let job = match &listed.parsed {
            Ok(job) => job,
            Err(problems) => {
                listed.detail = told(problems);
                return listed;
            }
        };
        let known = horizon.filter(|known| {
            known.standing == Standing::Active && known.schedule.fingerprint == job.schedule.fingerprint()
        });
        let next = known.map_or_else(|| job.schedule.next(now), |known| known.next);
        listed.next_run_at = next.filter(|_| job.enabled);
        if let Some(why) = self.no_agent(key, job) {
            listed.detail = why;
        } else if !job.enabled {
            listed.status = "paused";
            listed.detail = job.pause_reason.clone().unwrap_or_default();
        } else if next.is_none() {
            listed.status = "done";
        } else {
            listed.status = "enabled";
        }
        listed
    }

    async fn run_now(&self, key: &JobKey) -> Result<Ran, RunError> {
        let snapshot = self.state().snapshot(key).filter(|job| !job.removed);
        let snapshot = snapshot.ok_or(RunError::Unknown)?;
        let job = snapshot.parsed.clone().map_err(RunError::Broken)?;
        let (message, now) = (NoteId::generate(), self.clock.now());
        let run = Run {
            state: RunState::Pending,
            ..Run::fired(now, now, RunKind::Manual, message.clone())
        };
        // First: a crash in between leaves a run of which can be found out what came of it.
        let ids = self.ledger.commit(key, None, vec![run.clone()]).await?;
        let Some(id) = ids.first().copied() else {
            return Err(RunError::Unknown);
        };
        self.in_hand().insert(id);
        self.opened(key, id, &run);
        let letter = Letter {
            key,
            note: &snapshot.note,
            job: &job,
            vault: &snapshot.vault,
            message: message.clone(),
            occurrence: None,
            now,
        };
        let sent = self.send(&letter).await;
        let settled = match &sent {
            Sent::Done | Sent::Before => Some((RunState::Fired, None)),
            Sent::Not(code, why) => Some((RunState::Skipped, Some((*code, why.clone())))),
            Sent::Refused(why) => Some((RunState::Failed, Some((model::Code::Refused, why.clone())))),
            // It is found out later.
            Sent::Unknown(_) => None,
        };
        if let Some((state, why)) = settled
            && let Err(error) = self.settle_pending(id, state, why).await
        {
            tracing::warn!(%error, job = %key, "what came of a run is not written down yet; it is found out again");
        }
        self.in_hand().remove(&id);
        if let Sent::Not(_, why) | Sent::Refused(why) | Sent::Unknown(why) = &sent {
            self.state()
                .with(key, |entry| entry.last.1 = Some(format!("error: {why}")));
        }
        self.state().touch(key);
        self.bell.notify_one();
        Ok(match sent {
            Sent::Done | Sent::Before => Ran {
                status: "ok".into(),
                message: Some(message),
            },
            Sent::Not(_, why) | Sent::Refused(why) | Sent::Unknown(why) => Ran {
                status: format!("error: {why}"),
                message: None,
            },
        })
    }
}
