//! Where it is kept how far each job has come and what became of its occurrences: `schedule.db` in the state directory. What
//! belongs together changes in one transaction, and is on the disk when a call returns.

use std::collections::{BTreeSet, HashMap};
use std::fs::{File, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use reveille_vault::NoteId;
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params};

use super::model::{Code, Horizon, JobKey, Run, RunKind, RunState, Standing, Written};
use crate::layout;

/// Entries of the history that each job keeps.
pub(crate) const KEPT: u32 = 50;
/// How long a write waits for another program that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The newest version of the tables that this program knows.
pub(crate) const TABLES: usize = MIGRATIONS.len();
/// `MIGRATIONS[n]` leads from `user_version` n to n + 1. Never edit one that was released; append.
const MIGRATIONS: [&str; 1] = ["
CREATE TABLE horizons (
    vault       TEXT NOT NULL,
    note        TEXT NOT NULL,
    fingerprint TEXT NOT NULL,     -- of the schedule
    due         TEXT NOT NULL,     -- the expression or the time
    zone        TEXT NOT NULL,
    standing    TEXT NOT NULL,
    next_at     INTEGER,           -- all times: milliseconds since 1970 UTC
    changed_at  INTEGER NOT NULL,
    PRIMARY KEY (vault, note)
) STRICT, WITHOUT ROWID;
CREATE TABLE runs (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    vault         TEXT NOT NULL,
    note          TEXT NOT NULL,
    occurrence_at INTEGER NOT NULL,
    until_at      INTEGER,
    count         INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    kind          TEXT NOT NULL,
    state         TEXT NOT NULL,
    code          TEXT,
    reason        TEXT,
    message       TEXT,            -- the inbound note
    outcome       TEXT             -- of its turn; NULL until it has ended
) STRICT;
CREATE INDEX runs_of_job ON runs (vault, note, id);
CREATE INDEX runs_open ON runs (id) WHERE outcome IS NULL AND state IN ('pending', 'fired');
"];

const RUN: &str = "id, occurrence_at, until_at, count, at, kind, state, code, reason, message, outcome";

/// The storage failed; nothing of the call was written.
#[derive(Debug, thiserror::Error)]
#[error("the schedule's file cannot be used: {0}")]
pub(crate) struct LedgerError(#[from] rusqlite::Error);

/// An entry of the history, by its number.
pub(crate) type Numbered = (i64, Run);

/// A run whose end is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpenRun {
    pub(super) id: i64,
    pub(super) job: JobKey,
    pub(super) message: NoteId,
    /// It may not have been sent.
    pub(super) pending: bool,
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub(super) struct Ledger {
    pub(super) db: Arc<Mutex<Connection>>,
}

impl Ledger {
    /// Opens or makes the file, readable for its owner only.
    ///
    /// # Errors
    /// What is wrong with the file, and the mend.
    pub(super) fn open(file: &Path) -> anyhow::Result<Self> {
        let db = open(file).with_context(|| {
            let file = file.display();
            format!(
                "how far the jobs have come, in {file}, cannot be read; mend it, or move the file away: then every job goes on \
                 from now"
            )
        })?;
        Ok(Self {
            db: Arc::new(Mutex::new(db)),
        })
    }

    /// Runs to its end on a thread that may wait for the disk, also when who asks goes away.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let db = Arc::clone(&self.db);
        let ran = tokio::task::spawn_blocking(move || work(&mut db.lock().unwrap_or_else(PoisonError::into_inner)));
        let done = ran.await.unwrap_or_else(|error| {
            tracing::error!(%error, "work on the schedule's file failed");
            Err(rusqlite::Error::InvalidQuery)
        });
        Ok(done?)
    }

    /// How far every job has come.
    pub(super) async fn horizons(&self) -> Result<HashMap<JobKey, Horizon>, LedgerError> {
        self.with(|db| {
            let sql = "SELECT vault, note, fingerprint, due, zone, standing, next_at, changed_at FROM horizons";
            let mut statement = db.prepare(sql)?;
            let rows = statement.query_map([], |row| Ok((key(row, 0)?, horizon(row)?)))?;
            rows.collect()
        })
        .await
    }

    /// Jobs of which there is a history.
    pub(super) async fn with_history(&self) -> Result<BTreeSet<JobKey>, LedgerError> {
        self.with(|db| {
            let mut statement = db.prepare("SELECT DISTINCT vault, note FROM runs")?;
            let rows = statement.query_map([], |row| key(row, 0))?;
            rows.collect()
        })
        .await
    }

    /// Runs whose end is not known, the oldest first.
    pub(super) async fn open_runs(&self) -> Result<Vec<OpenRun>, LedgerError> {
        self.with(|db| {
            let sql = "SELECT vault, note, id, message, state FROM runs \
                       WHERE outcome IS NULL AND state IN ('pending', 'fired') AND message IS NOT NULL ORDER BY id";
            let mut statement = db.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                Ok(OpenRun {
                    job: key(row, 0)?,
                    id: row.get(2)?,
                    message: note_id(row, 3)?,
                    pending: row.get::<_, String>(4)? == RunState::Pending.as_str(),
                })
            })?;
            rows.collect()
        })
        .await
    }

    /// The history of a job, the newest first.
    pub(super) async fn runs(&self, job: &JobKey) -> Result<Vec<Numbered>, LedgerError> {
        let job = job.clone();
        self.with(move |db| runs(db, &job)).await
    }

    /// Every entry with a larger number, in order.
    #[cfg(test)]
    pub(super) async fn since(&self, id: i64) -> Vec<(JobKey, i64, Run)> {
        let rows = self.with(move |db| {
            let sql = format!("SELECT {RUN}, vault, note FROM runs WHERE id > ?1 ORDER BY id");
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement.query_map([id], |row| {
                let (id, run) = run(row)?;
                Ok((key(row, 11)?, id, run))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        });
        rows.await.unwrap()
    }

    /// Writes down how far a job has come together with what became of its occurrences. Answers the numbers of the entries.
    pub(super) async fn commit(
        &self,
        job: &JobKey,
        horizon: Option<Horizon>,
        runs: Vec<Run>,
    ) -> Result<Vec<i64>, LedgerError> {
        let job = job.clone();
        self.with(move |db| commit(db, &job, horizon.as_ref(), &runs)).await
    }

    /// What became of a run that was pending.
    pub(super) async fn amend(&self, id: i64, state: RunState, why: Option<(Code, String)>) -> Result<(), LedgerError> {
        self.with(move |db| {
            let (code, reason) = why.map(|(code, reason)| (code.as_str(), reason)).unzip();
            let sql = "UPDATE runs SET state = ?2, code = ?3, reason = ?4 WHERE id = ?1";
            db.prepare_cached(sql)?
                .execute(params![id, state.as_str(), code, reason])?;
            Ok(())
        })
        .await
    }

    /// How the turn of a run has ended.
    pub(super) async fn ended(&self, id: i64, outcome: String) -> Result<(), LedgerError> {
        self.with(move |db| {
            let sql = "UPDATE runs SET outcome = ?2 WHERE id = ?1";
            db.prepare_cached(sql)?.execute(params![id, outcome])?;
            Ok(())
        })
        .await
    }

    /// The job is gone.
    pub(super) async fn forget(&self, job: &JobKey) -> Result<(), LedgerError> {
        let job = job.clone();
        self.with(move |db| {
            let transaction = db.transaction()?;
            for table in ["horizons", "runs"] {
                let sql = format!("DELETE FROM {table} WHERE vault = ?1 AND note = ?2");
                transaction
                    .prepare_cached(&sql)?
                    .execute(params![job.vault, job.note.as_str()])?;
            }
            transaction.commit()
        })
        .await
    }
}

/// Occurrences of a job that have run, as far back as they are kept.
pub(super) fn fired(db: &Connection, job: &JobKey) -> rusqlite::Result<BTreeSet<Timestamp>> {
    let sql = "SELECT occurrence_at FROM runs WHERE vault = ?1 AND note = ?2 AND state = 'fired' AND kind <> 'manual'";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params![job.vault, job.note.as_str()], |row| time(row, 0))?;
    rows.collect()
}

fn runs(db: &Connection, job: &JobKey) -> rusqlite::Result<Vec<Numbered>> {
    let sql = format!("SELECT {RUN} FROM runs WHERE vault = ?1 AND note = ?2 ORDER BY id DESC LIMIT {KEPT}");
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params![job.vault, job.note.as_str()], run)?;
    rows.collect()
}

/// See [`Ledger::commit`].
pub(super) fn commit(
    db: &mut Connection,
    job: &JobKey,
    horizon: Option<&Horizon>,
    runs: &[Run],
) -> rusqlite::Result<Vec<i64>> {
    let transaction = db.transaction()?;
    if let Some(horizon) = horizon {
        let sql = "INSERT OR REPLACE INTO horizons (vault, note, fingerprint, due, zone, standing, next_at, changed_at) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        transaction.prepare_cached(sql)?.execute(params![
            job.vault,
            job.note.as_str(),
            horizon.schedule.fingerprint,
            horizon.schedule.when,
            horizon.schedule.zone,
            horizon.standing.as_str(),
            horizon.next.map(Timestamp::as_millisecond),
            horizon.changed_at.as_millisecond(),
        ])?;
    }
    let mut ids = Vec::with_capacity(runs.len());
    for run in runs {
        let sql = "INSERT INTO runs (vault, note, occurrence_at, until_at, count, at, kind, state, code, reason, message, outcome) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        transaction.prepare_cached(sql)?.execute(params![
            job.vault,
            job.note.as_str(),
            run.occurrence_at.as_millisecond(),
            run.until_at.map(Timestamp::as_millisecond),
            run.count,
            run.at.as_millisecond(),
            run.kind.as_str(),
            run.state.as_str(),
            run.code.map(Code::as_str),
            run.reason,
            run.message.as_ref().map(NoteId::as_str),
            run.outcome,
        ])?;
        ids.push(transaction.last_insert_rowid());
    }
    if !runs.is_empty() {
        let oldest = "SELECT id FROM runs WHERE vault = ?1 AND note = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3";
        let oldest: Option<i64> = transaction
            .prepare_cached(oldest)?
            .query_row(params![job.vault, job.note.as_str(), KEPT], |row| row.get(0))
            .optional()?;
        if let Some(oldest) = oldest {
            let sql = "DELETE FROM runs WHERE vault = ?1 AND note = ?2 AND id <= ?3";
            transaction
                .prepare_cached(sql)?
                .execute(params![job.vault, job.note.as_str(), oldest])?;
        }
    }
    transaction.commit()?;
    Ok(ids)
}

fn wrong(column: usize, what: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.to_owned().into())
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let at: i64 = row.get(column)?;
    Timestamp::from_millisecond(at).map_err(|_| FromSqlError::OutOfRange(at).into())
}

fn time_or_none(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    match row.get::<_, Option<i64>>(column)? {
        Some(_) => time(row, column).map(Some),
        None => Ok(None),
    }
}

fn word<T>(row: &Row<'_>, column: usize, parse: impl Fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| wrong(column, &format!("{text:?} is not known")))
}

fn note_id(row: &Row<'_>, column: usize) -> rusqlite::Result<NoteId> {
    NoteId::new(row.get::<_, String>(column)?).map_err(|error| wrong(column, &error.to_string()))
}

fn key(row: &Row<'_>, column: usize) -> rusqlite::Result<JobKey> {
    Ok(JobKey {
        vault: row.get(column)?,
        note: note_id(row, column + 1)?,
    })
}

fn horizon(row: &Row<'_>) -> rusqlite::Result<Horizon> {
    Ok(Horizon {
        schedule: Written {
            fingerprint: row.get(2)?,
            when: row.get(3)?,
            zone: row.get(4)?,
        },
        standing: word(row, 5, Standing::parse)?,
        next: time_or_none(row, 6)?,
        changed_at: time(row, 7)?,
    })
}

fn run(row: &Row<'_>) -> rusqlite::Result<Numbered> {
    let code: Option<String> = row.get(7)?;
    let message: Option<String> = row.get(9)?;
    let run = Run {
        occurrence_at: time(row, 1)?,
        until_at: time_or_none(row, 2)?,
        count: row.get(3)?,
        at: time(row, 4)?,
        kind: word(row, 5, RunKind::parse)?,
        state: word(row, 6, RunState::parse)?,
        code: code.as_deref().and_then(Code::parse),
        reason: row.get(8)?,
        message: message.map(|_| note_id(row, 9)).transpose()?,
        outcome: row.get(10)?,
    };
    Ok((row.get(0)?, run))
}

fn open(file: &Path) -> anyhow::Result<Connection> {
    // Before SQLite has it: it gives its journal the permissions of the file.
    let made = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(file)?;
    made.set_permissions(Permissions::from_mode(0o600))?;
    let mut db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    layout::bring_database_forward(&mut db, &MIGRATIONS)?;
    Ok(db)
}

#[cfg(test)]
mod tests;
