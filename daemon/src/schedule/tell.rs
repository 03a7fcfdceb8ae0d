//! What the note of a job tells: what is wrong with it, and how its last run went. Written when that is something else than the
//! note says, and at no other time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reveille_queue::{State, Turn};
use reveille_vault::note::millis;
use reveille_vault::{Key, Metadata, Note, Patch, Precondition, VaultError};
use tokio_util::sync::CancellationToken;

use super::Inner;
use super::fire::{PATIENCE, silence};
use super::ledger::Numbered;
use super::model::{JobKey, RunState};
use super::state::{Parsed, Snapshot};
use crate::inbox::shown;
use crate::record::TurnRecord;

/// When the last run began whose end is known.
pub(crate) const LAST_RUN_AT: &str = "lastRunAt";
/// How the last run went.
pub(crate) const LAST_STATUS: &str = "lastStatus";
/// Word on a note that does not hold together.
const ERROR: &str = "error";
/// Characters of a reason that go on the note.
const REASON_CHARS: usize = 300;
/// Turns that end together are looked at together.
const TOGETHER: Duration = Duration::from_millis(200);
/// Longest time between two looks.
const LOOK: Duration = Duration::from_secs(30);

/// Makes the note of a job tell what it should. `Err`: it cannot be written now.
pub(super) async fn tell(inner: &Inner, key: &JobKey) -> Result<(), String> {
    let asked = |job: &Snapshot| (job.owes || job.owes_run) && !job.removed;
    let Some(job) = inner.state().snapshot(key).filter(asked) else {
        return Ok(());
    };
    inner
        .state()
        .with(key, |entry| (entry.owes, entry.owes_run) = (false, false));
    let told = write(inner, key, &job).await;
    if told.is_err() {
        inner.state().with(key, |entry| {
            (entry.owes, entry.owes_run) = (true, job.owes_run || entry.owes_run);
        });
    }
    told
}

async fn write(inner: &Inner, key: &JobKey, job: &Snapshot) -> Result<(), String> {
    let mut metadata = Metadata::new();
    if job.owes {
        metadata = status(inner, key, &job.parsed, &job.note);
    }
    if job.owes_run {
        let runs = inner.ledger.runs(key).await.map_err(|error| error.to_string())?;
        let (at, status) = last_run(&runs);
        for (name, text) in [(LAST_RUN_AT, &at), (LAST_STATUS, &status)] {
            if let Some(text) = text {
                put(&mut metadata, &job.note, name, text);
            }
        }
        inner.state().with(key, |entry| {
            entry.last.0 = at.or(entry.last.0.take());
            entry.last.1 = status.or(entry.last.1.take());
        });
    }
    if metadata.is_empty() {
        return Ok(());
    }
    let patch = Patch {
        metadata,
        ..Patch::default()
    };
    let id = Key::Id(key.note.clone());
    let written = tokio::time::timeout(PATIENCE, job.vault.patch(&id, patch, Precondition::Force)).await;
    match written.map_err(|_| silence(&*job.vault))? {
        Ok(note) => inner.read_back(key, &job.vault, &note),
        Err(VaultError::NotFound { .. }) => {}
        Err(error @ (VaultError::Unavailable { .. } | VaultError::Conflict { .. })) => return Err(error.to_string()),
        Err(error) => {
            tracing::warn!(%error, job = %key, "the note of a job cannot say what became of it; the job runs all the same");
        }
    }
    Ok(())
}

fn put(metadata: &mut Metadata, note: &Note, key: &str, value: &str) {
    if note.text(key).unwrap_or_default() != value {
        metadata.insert(key.to_owned(), value.into());
    }
}

/// What is wrong with the job. Another word than ours on a note that is well stays.
fn status(inner: &Inner, key: &JobKey, parsed: &Parsed, note: &Note) -> Metadata {
    let detail = match parsed {
        Err(problems) => Some(super::told(problems)),
        Ok(job) => inner.no_agent(key, job),
    };
    let mut metadata = Metadata::new();
    if let Some(detail) = detail {
        put(&mut metadata, note, "status", ERROR);
        put(&mut metadata, note, "status_detail", &detail);
    } else if note.text("status").as_deref() == Some(ERROR) {
        put(&mut metadata, note, "status", "");
        put(&mut metadata, note, "status_detail", "");
    }
    metadata
}

/// How the last run went: of those whose end is known, and of those that were to run and did not.
fn last_run(runs: &[Numbered]) -> (Option<String>, Option<String>) {
    let ended = runs.iter().find(|(_, run)| run.outcome.is_some());
    let last = runs.iter().find_map(|(_, run)| {
        let reason = run.reason.as_deref().unwrap_or_default();
        match run.state {
            RunState::Pending => None,
            RunState::Fired => run.outcome.clone(),
            RunState::Failed => Some(format!("error: {reason}")),
            RunState::Skipped if !run.code.is_some_and(super::model::Code::is_news) => None,
            RunState::Skipped if run.count > 1 => Some(format!("error: skipped {} runs: {reason}", run.count)),
            RunState::Skipped => Some(format!("error: skipped: {reason}")),
        }
    });
    (
        ended.map(|(_, run)| millis::format(run.at)),
        last.map(|last| shown(&last, REASON_CHARS)),
    )
}

/// How a turn ended, in a line.
fn outcome(turn: &Turn) -> String {
    if turn.state == State::Ok {
        return "ok".into();
    }
    let record = turn.record.clone().unwrap_or_default();
    // silent-ok: a record of another version tells less
    let record: TurnRecord = serde_json::from_value(record).unwrap_or_default();
    match record.failure {
        Some(failure) => shown(&format!("error: {}: {}", failure.code, failure.message), REASON_CHARS),
        None => format!("error: {}", turn.state.as_str()),
    }
}

/// Finds out how the turns of runs end, until `drain`.
pub(super) async fn follow_turns(inner: Arc<Inner>, drain: CancellationToken) {
    let mut changes = inner.queue.watch();
    loop {
        changes.borrow_and_update();
        if let Err(error) = look_at_turns(&inner).await {
            tracing::warn!(error, "how the turns of jobs have ended is not known yet");
        }
        tokio::select! {
            () = drain.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK) => {}
        }
        tokio::select! {
            () = drain.cancelled() => return,
            () = tokio::time::sleep(TOGETHER) => {}
        }
    }
}

/// Looks at every run whose end is not known.
pub(super) async fn look_at_turns(inner: &Inner) -> Result<(), String> {
    let open: Vec<_> = inner.open_runs().iter().filter(|run| !run.pending).cloned().collect();
    let mut touched = BTreeSet::new();
    for run in open {
        let turn = inner.queue.turn_of(&run.job.vault, run.message.as_str()).await;
        let turn = turn.map_err(|error| error.to_string())?;
        let Some(turn) = turn.filter(|turn| turn.state.is_terminal()) else {
            continue;
        };
        let ended = inner.ledger.ended(run.id, outcome(&turn)).await;
        ended.map_err(|error| error.to_string())?;
        inner.open_runs().retain(|open| open.id != run.id);
        touched.insert(run.job);
    }
    for job in touched {
        inner.state().with(&job, |entry| entry.owes_run = true);
        if let Err(error) = tell(inner, &job).await {
            tracing::debug!(error, %job, "the note of a job cannot say yet how its run went");
            inner.state().touch(&job);
            inner.bell.notify_one();
        }
    }
    Ok(())
}
