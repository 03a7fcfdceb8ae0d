//! Runs the jobs when they are due. One task at most is at a job at any time; what a task was at when the daemon died is found
//! again from the horizon, the ledger and the notes.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reveille_vault::{Key, VaultError};
use tokio::task::JoinSet;

use super::fire::{Letter, Sent, message_of};
use super::ledger::{self, KEPT, LedgerError, OpenRun};
use super::model::{Code, Horizon, JobKey, Run, RunKind, RunState};
use super::plan::{self, Known, Plan, Step};
use super::state::Snapshot;
use super::{Inner, tell};
use crate::crash;

/// Longest sleep: the clock of the machine may be put forward meanwhile.
const LOOK: Duration = Duration::from_secs(30);

/// How soon a note is asked for again that could not be read.
const ASKED_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// How long a stop waits for what has begun.
const LAST: Duration = Duration::from_secs(2);

/// Runs them.
pub(crate) struct Runner {
    inner: Arc<Inner>,
    /// Those that are at a job.
    pub(super) tasks: JoinSet<()>,
    /// When it last looked.
    last: Timestamp,
}

impl Runner {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        let last = *inner.served_since();
        Self {
            last,
            inner,
            tasks: JoinSet::new(),
        }
    }

    /// Runs jobs until it is told to end; what has begun then is brought to its end.
    pub(crate) async fn run(mut self) {
        let drain = self.inner.drain.clone();
        let ends = tokio::spawn(tell::follow_turns(Arc::clone(&self.inner), drain.clone()));
        while !drain.is_cancelled() {
            let next = self.look();
            let sleep = next.map_or(LOOK, |at| {
                let ahead = at.duration_since(self.last);
                Duration::try_from(ahead).unwrap_or_default().min(LOOK)
            });
            tokio::select! {
                () = drain.cancelled() => {}
                () = self.inner.bell.notified() => {}
                () = tokio::time::sleep(sleep) => {}
                Some(ended) = self.tasks.join_next() => told(ended),
            }
        }
        // What is cut off is found again by the next start.
        if tokio::time::timeout(LAST, self.settle()).await.is_err() {
            tracing::warn!("some jobs were not brought to an end; the next start finds out what came of them");
        }
        told(ends.await);
    }

    /// Begins everything that is due. Answers when something else will be.
    pub(super) fn look(&mut self) -> Option<Timestamp> {
        let now = self.inner.clock.now();
        let (due, vanished, next) = {
            let mut state = self.inner.state();
            if now < self.last {
                state.look_at_all();
                let mut since = self.inner.served_since();
                *since = now.min(*since);
            }
            let due = state.take(now);
            let vanished = match state.ask_at {
                Some(at) if at > now && at <= now + ASKED_AGAIN => Vec::new(),
                _ => {
                    state.ask_at = None;
                    std::mem::take(&mut state.vanished)
                }
            };
            let next = [state.next_due(), state.ask_at].into_iter().flatten().min();
            (due, vanished, next)
        };
        self.last = now;
        for (vault, key) in vanished {
            let inner = Arc::clone(&self.inner);
            self.tasks.spawn(async move { inner.ask_for(&vault, &key).await });
        }
        for key in due {
            let inner = Arc::clone(&self.inner);
            self.tasks.spawn(async move { inner.attend(&key).await });
        }
        while let Some(ended) = self.tasks.try_join_next() {
            told(ended);
        }
        next
    }

    /// Waits for everything that has begun.
    pub(super) async fn settle(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            told(ended);
        }
    }
}

fn told(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a task of the schedule failed");
    }
}

/// Why a job has to be looked at again after a pause.
type Later = String;

impl Inner {
    /// Does for a job what is to be done now.
    async fn attend(&self, key: &JobKey) {
        let done = {
            let _permit = self.permit(&key.vault).await;
            self.bring_up_to_date(key).await
        };
        let trouble = match done {
            Ok(()) => tell::tell(self, key).await.err(),
            Err(trouble) => Some(trouble),
        };
        if let Some(trouble) = &trouble {
            let known = self.state().snapshot(key).is_some_and(|job| job.trouble.is_some());
            match known {
                true => tracing::debug!(job = %key, trouble, "a job still has to wait"),
                false => {
                    tracing::warn!(job = %key, trouble, "a job has to wait; nothing of it is lost, it is tried again");
                }
            }
        }
        let again = self.state().release(key, self.clock.now(), trouble);
        if again {
            self.bell.notify_one();
        }
    }

    async fn bring_up_to_date(&self, key: &JobKey) -> Result<(), Later> {
        loop {
            let Some(job) = self.state().snapshot(key) else {
                return Ok(());
            };
            if job.forget {
                self.ledger.forget(key).await.map_err(|error| later(&error))?;
                self.open_runs().retain(|run| run.job != *key);
                if self.state().forgotten(key) {
                    return Ok(());
                }
                continue;
            }
            self.resolve_pending(key, &job).await?;
            let now = self.clock.now();
            let quiet = |stored: &Horizon| plan::is_quiet(stored, &job.spec(), now);
            if job.horizon.as_ref().is_some_and(quiet) {
                return Ok(());
            }
            let plan = self.plan(key, &job, now).await.map_err(|error| later(&error))?;
            let Some(horizon) = plan.horizon else {
                return Ok(());
            };
            match plan.step {
                Step::Rest => return Ok(()),
                Step::Check(occurrence) => self.check(key, &job, horizon, occurrence).await?,
                Step::Fire(occurrence, kind) => self.fire(key, &job, horizon, occurrence, kind).await?,
            }
        }
    }

    /// Makes the plan, and writes down what it decides.
    async fn plan(&self, key: &JobKey, job: &Snapshot, now: Timestamp) -> Result<Plan, LedgerError> {
        let (stored, note_changed) = (job.horizon.clone(), job.note.updated_at);
        let (parsed, trouble, unsure) = (job.parsed.as_ref().ok().cloned(), job.trouble.clone(), job.unsure); // silent-ok: told elsewhere
        let (host, owner, served_since) = (self.zone.clone(), key.clone(), *self.served_since());
        let plan = self
            .ledger
            .with(move |db| {
                let fired = ledger::fired(db, &owner)?;
                let spec = super::model::Spec {
                    job: parsed.as_deref(),
                    changed_at: note_changed,
                };
                let known = Known {
                    host: &host,
                    fired: &fired,
                    unsure,
                    served_since,
                    trouble: trouble.as_deref(),
                };
                let plan = plan::plan(stored.as_ref(), &spec, now, &known);
                if plan.horizon != stored || !plan.runs.is_empty() {
                    ledger::commit(db, &owner, plan.horizon.as_ref(), &plan.runs)?;
                }
                Ok(plan)
            })
            .await?;
        for run in &plan.runs {
            let (count, reason) = (run.count, run.reason.as_deref().unwrap_or_default());
            tracing::info!(job = %key, occurrence = %run.occurrence_at, count, reason, "skipped");
        }
        self.state().with(key, |entry| {
            entry.horizon.clone_from(&plan.horizon);
            if !plan.runs.is_empty() {
                entry.owes_run = true;
            }
        });
        Ok(plan)
    }

    /// Finds out whether an occurrence has run without anybody having written it down.
    async fn check(
        &self,
        key: &JobKey,
        job: &Snapshot,
        mut horizon: Horizon,
        occurrence: Timestamp,
    ) -> Result<(), Later> {
        let Some(message) = message_of(&key.note, occurrence) else {
            return Ok(());
        };
        if let Some(at) = self.has_run(&*job.vault, &message).await? {
            let schedule = horizon.schedule.read(&self.zone);
            horizon.next = schedule.and_then(|schedule| schedule.next(occurrence));
            let kind = match at.duration_since(occurrence) <= plan::ON_TIME {
                true => RunKind::Scheduled,
                false => RunKind::CatchUp,
            };
            let run = Run::fired(occurrence, at, kind, message);
            tracing::info!(job = %key, %occurrence, "an occurrence had run, and is written down now");
            self.commit(key, horizon, Some(run))
                .await
                .map_err(|error| later(&error))?;
        }
        self.state().with(key, |entry| entry.unsure = false);
        Ok(())
    }

    async fn fire(
        &self,
        key: &JobKey,
        snapshot: &Snapshot,
        mut horizon: Horizon,
        occurrence: Timestamp,
        kind: RunKind,
    ) -> Result<(), Later> {
        let (Ok(job), Some(message)) = (&snapshot.parsed, message_of(&key.note, occurrence)) else {
            return Ok(());
        };
        let letter = Letter {
            key,
            note: &snapshot.note,
            job,
            vault: &snapshot.vault,
            message: message.clone(),
            occurrence: Some(occurrence),
            now: self.clock.now(),
        };
        // Until it is written down, the note may be there and nobody knows.
        self.state().with(key, |entry| entry.unsure = true);
        let run = match self.send(&letter).await {
            Sent::Done => Some(Run::fired(occurrence, letter.now, kind, message)),
            // It was written down then, longer ago than the history reaches.
            Sent::Before => None,
            Sent::Not(code, reason) => Some(Run::skipped(occurrence, letter.now, code, reason)),
            Sent::Refused(reason) => Some(Run {
                state: RunState::Failed,
                ..Run::skipped(occurrence, letter.now, Code::Refused, reason)
            }),
            Sent::Unknown(reason) => return Err(reason),
        };
        horizon.next = job.schedule.next(occurrence);
        self.commit(key, horizon, run).await.map_err(|error| later(&error))?;
        self.state().with(key, |entry| {
            entry.unsure = false;
            entry.trouble = None;
        });
        crash::point("job.logged");
        Ok(())
    }

    /// Writes down how far a job has come, and a run.
    async fn commit(&self, key: &JobKey, horizon: Horizon, run: Option<Run>) -> Result<(), LedgerError> {
        let runs: Vec<Run> = run.into_iter().collect();
        let ids = self.ledger.commit(key, Some(horizon.clone()), runs.clone()).await?;
        for (id, run) in ids.into_iter().zip(&runs) {
            let state = run.state.as_str();
            tracing::info!(job = %key, occurrence = %run.occurrence_at, state, reason = run.reason, "a job was due");
            self.opened(key, id, run);
        }
        self.state().with(key, |entry| {
            entry.horizon = Some(horizon);
            if !runs.is_empty() {
                entry.owes_run = true;
            }
        });
        Ok(())
    }

    /// Remembers a run whose turn has to end.
    pub(super) fn opened(&self, key: &JobKey, id: i64, run: &Run) {
        let open = matches!(run.state, RunState::Fired | RunState::Pending);
        let Some(message) = run.message.clone().filter(|_| open) else {
            return;
        };
        let mut all = self.open_runs();
        // No more than the history has.
        if all.iter().filter(|run| run.job == *key).count() >= KEPT as usize
            && let Some(oldest) = all.iter().position(|run| run.job == *key)
        {
            all.remove(oldest);
        }
        all.push(OpenRun {
            id,
            job: key.clone(),
            message,
            pending: run.state == RunState::Pending,
        });
    }

    /// Finds out about runs that a person started and of which nobody knows what came of them.
    async fn resolve_pending(&self, key: &JobKey, job: &Snapshot) -> Result<(), Later> {
        let pending: Vec<OpenRun> = {
            let manual = self.in_hand();
            let open = self.open_runs_of(key).into_iter();
            open.filter(|run| run.pending && !manual.contains(&run.id)).collect()
        };
        for run in pending {
            let there = self.has_run(&*job.vault, &run.message).await?.is_some();
            let lost = || {
                let why = "the daemon was stopped before the message was written";
                (RunState::Failed, Some((Code::Refused, why.to_owned())))
            };
            let (state, why) = if there { (RunState::Fired, None) } else { lost() };
            self.settle_pending(run.id, state, why)
                .await
                .map_err(|error| later(&error))?;
        }
        Ok(())
    }

    /// Writes down what became of a pending run.
    pub(super) async fn settle_pending(
        &self,
        id: i64,
        state: RunState,
        why: Option<(Code, String)>,
    ) -> Result<(), LedgerError> {
        self.ledger.amend(id, state, why).await?;
        let mut open = self.open_runs();
        match state {
            RunState::Fired => open
                .iter_mut()
                .filter(|run| run.id == id)
                .for_each(|run| run.pending = false),
            _ => open.retain(|run| run.id != id),
        }
        Ok(())
    }

    /// Asks for a note that a listing of its vault did not have: what cannot be read is not gone.
    async fn ask_for(&self, vault: &Arc<dyn reveille_vault::Vault>, key: &JobKey) {
        match vault.get(&Key::Id(key.note.clone())).await {
            Ok(note) => {
                let stored_only = {
                    let mut state = self.state();
                    state.learn(vault, &key.note, note.as_ref(), &self.zone);
                    !state.entries.contains_key(key) && state.stored.remove(key).is_some()
                };
                if stored_only && let Err(error) = self.ledger.forget(key).await {
                    tracing::warn!(%error, job = %key, "what is kept of a job that is gone stays for now");
                }
                self.bell.notify_one();
            }
            Err(VaultError::Damaged { .. }) => {
                tracing::warn!(job = %key, "the note of a job cannot be read; what is kept of the job stays");
            }
            Err(error) => {
                let mut state = self.state();
                // One that goes on, and not of a vault that was closed meanwhile.
                let goes_on = state
                    .entries
                    .get(key)
                    .is_some_and(|entry| Arc::ptr_eq(&entry.vault, vault));
                let is_away = matches!(error, VaultError::Unavailable { .. });
                tracing::warn!(%error, job = %key, again = goes_on && is_away, "whether a job is gone is not known; it stays for now");
                if goes_on && is_away {
                    state.vanished.retain(|(_, other)| other != key);
                    state.vanished.push((Arc::clone(vault), key.clone()));
                    state.ask_at = Some(self.clock.now() + ASKED_AGAIN);
                    self.bell.notify_one();
                }
            }
        }
    }
}

fn later(error: &LedgerError) -> Later {
    error.to_string()
}
