//! One thread that writes, with group commit: what waits while a commit is being synced goes into the next one together.

use std::sync::{Arc, mpsc};
use std::thread;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::Fault;
use super::counts::Counts;

/// Most jobs of one commit: bounds the time that the first of them waits.
const GROUP_MAX: usize = 512;

/// One asker's work in a group.
trait Job: Send {
    /// Does the work on the open transaction; an error undoes this job alone.
    fn run(&mut self, connection: &Connection) -> Result<(), Fault>;
    /// Whether what it did makes work for somebody.
    fn wakes(&self) -> bool;
    /// What its asker waits for, and what it leaves alone.
    fn how(&self) -> How;
    /// Tells the asker, once the commit is known.
    fn answer(self: Box<Self>, outcome: Result<(), Fault>);
}

/// What a write outlives once it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasting {
    /// A loss of power: it is synced.
    Synced,
    /// The end of the process, by whatever signal. A loss of power may undo it, with all that is not synced after it: for what
    /// is found out or done again by the next start.
    Written,
}

/// How a write is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct How {
    pub(super) lasting: Lasting,
    /// Whether the [`Counts`] are as true afterwards as before: it leaves the lines alone, or sees to them itself.
    pub(super) counted: bool,
}

impl How {
    /// What changes the lines in any way.
    const USUAL: Self = Self {
        lasting: Lasting::Synced,
        counted: false,
    };
    /// Synced, and the lines are counted.
    pub(super) const COUNTED: Self = Self {
        lasting: Lasting::Synced,
        counted: true,
    };
    /// Written, and the lines are counted.
    pub(super) const LIGHT: Self = Self {
        lasting: Lasting::Written,
        counted: true,
    };
}

struct Task<T, W> {
    work: Option<W>,
    how: How,
    wakes: fn(&T) -> bool,
    result: Option<Result<T, Fault>>,
    asker: oneshot::Sender<Result<T, Fault>>,
}

impl<T, W> Job for Task<T, W>
where
    T: Send,
    W: FnOnce(&Connection) -> Result<T, Fault> + Send,
{
    fn run(&mut self, connection: &Connection) -> Result<(), Fault> {
        self.result = self.work.take().map(|work| work(connection));
        match &self.result {
            Some(Err(fault)) => Err(fault.clone()),
            _ => Ok(()),
        }
    }

    fn wakes(&self) -> bool {
        matches!(&self.result, Some(Ok(value)) if (self.wakes)(value))
    }

    fn how(&self) -> How {
        self.how
    }

    fn answer(self: Box<Self>, outcome: Result<(), Fault>) {
        let result = match (self.result, outcome) {
            (Some(result), Ok(())) | (Some(result @ Err(_)), Err(_)) => result,
            (_, Err(fault)) => Err(fault),
            (None, Ok(())) => Err(Fault::Unavailable("the queue's writer did not run the request".into())),
        };
        // silent-ok: the asker went away; the write stands or fell all the same.
        let _ = self.asker.send(result);
    }
}

/// Handle of the writer thread, which ends when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
    refuse: Option<Refuse>,
}

/// Whether the next write is refused unseen.
type Refuse = Arc<dyn Fn() -> bool + Send + Sync>;

impl Writer {
    /// Starts the thread, which keeps `counts` true. `wake` is called after each commit that makes work, before the askers are answered.
    pub(super) fn spawn(
        connection: Connection,
        counts: Counts,
        refuse: Option<Refuse>,
        wake: impl Fn() + Send + 'static,
    ) -> Result<Self, Fault> {
        let (jobs, inbox) = mpsc::channel::<Box<dyn Job>>();
        let serve = move || {
            let mut now = Lasting::Synced;
            while let Ok(first) = inbox.recv() {
                let mut group: Vec<_> = std::iter::once(first)
                    .chain(inbox.try_iter().take(GROUP_MAX - 1))
                    .collect();
                let outcome = commit(&connection, &mut group, &mut now, &counts);
                if outcome.is_ok() && group.iter().any(|job| job.wakes()) {
                    wake();
                }
                for job in group {
                    job.answer(outcome.clone());
                }
            }
        };
        thread::Builder::new()
            .name("queue-writer".into())
            .spawn(serve)
            .map_err(|error| Fault::Unavailable(format!("no thread for the queue's writer: {error}")))?;
        Ok(Self { jobs, refuse })
    }

    /// Runs `work` inside a transaction and returns when it is on disk. `wakes` tells of its result whether it makes work.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
        wakes: fn(&T) -> bool,
    ) -> Result<T, Fault> {
        self.write_as(How::USUAL, work, wakes).await
    }

    /// The same in another way.
    pub(super) async fn write_as<T: Send + 'static>(
        &self,
        how: How,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
        wakes: fn(&T) -> bool,
    ) -> Result<T, Fault> {
        if self.refuse.as_ref().is_some_and(|refuse| refuse()) {
            return Err(Fault::Unavailable("the write was refused as a test had asked".into()));
        }
        let (asker, answer) = oneshot::channel();
        let gone = || Fault::Unavailable("the queue's writer has ended".into());
        self.jobs
            .send(Box::new(Task {
                work: Some(work),
                how,
                wakes,
                result: None,
                asker,
            }))
            .map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// One transaction for the group. A job that fails is undone alone; a commit that fails undoes them all. `now` is how the
/// connection syncs.
fn commit(
    connection: &Connection,
    group: &mut [Box<dyn Job>],
    now: &mut Lasting,
    counts: &Counts,
) -> Result<(), Fault> {
    undo(connection)?;
    let synced = group.iter().any(|job| job.how().lasting == Lasting::Synced);
    let needed = if synced { Lasting::Synced } else { Lasting::Written };
    if *now != needed {
        // A sync of the write-ahead log covers everything that was written to it before.
        connection.execute_batch(match needed {
            Lasting::Synced => "PRAGMA synchronous = FULL",
            Lasting::Written => "PRAGMA synchronous = NORMAL",
        })?;
        *now = needed;
    }
    execute(connection, "BEGIN IMMEDIATE")?;
    let ran = match group {
        // Nobody else's work has to be kept: no savepoint, for which SQLite copies each page that the job changes.
        [only] => run_alone(connection, only.as_mut(), counts),
        many => many
            .iter_mut()
            .try_for_each(|job| run(connection, job.as_mut(), counts)),
    };
    let outcome = match connection.is_autocommit() {
        false => ran.and_then(|()| execute(connection, "COMMIT")),
        true => ran,
    };
    if outcome.is_err() {
        counts.forget();
    }
    // The askers are told the first fault; the next group begins with another try to undo.
    if outcome.is_err()
        && let Err(fault) = undo(connection)
    {
        tracing::error!(%fault, "a failed write of the queue is not undone yet");
    }
    outcome
}

/// Prepared once.
fn execute(connection: &Connection, sql: &str) -> Result<(), Fault> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

/// The only job of its transaction, which ends with it when it fails.
fn run_alone(connection: &Connection, job: &mut dyn Job, counts: &Counts) -> Result<(), Fault> {
    if !job.how().counted {
        counts.forget();
    }
    if job.run(connection).is_err() {
        counts.forget();
        // Its asker is told its own fault.
        undo(connection)?;
    }
    Ok(())
}

/// One job, inside a savepoint. An error is one of the whole transaction.
fn run(connection: &Connection, job: &mut dyn Job, counts: &Counts) -> Result<(), Fault> {
    if !job.how().counted {
        counts.forget();
    }
    execute(connection, "SAVEPOINT job")?;
    let Err(fault) = job.run(connection) else {
        return execute(connection, "RELEASE job");
    };
    counts.forget();
    // A full disk makes SQLite undo the transaction by itself: then the others failed for the same reason.
    if connection.is_autocommit() {
        return Err(fault);
    }
    Ok(connection.execute_batch("ROLLBACK TO job; RELEASE job")?)
}

/// Ends a transaction that is still open, also one that could not be undone when it failed.
fn undo(connection: &Connection) -> Result<(), Fault> {
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::file::connect;
    use super::*;

    #[tokio::test]
    async fn what_must_outlast_a_loss_of_power_is_synced_whatever_was_written_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let connection = connect(&dir.path().join("queue.db"), false).unwrap();
        let writer = Writer::spawn(connection, Counts::default(), None, || {}).unwrap();
        let how = |lasting| How { lasting, counted: true };
        // 1: NORMAL, 2: FULL.
        let level = |connection: &Connection| -> Result<i64, Fault> {
            Ok(connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?)
        };
        for (lasting, expected) in [
            (Lasting::Synced, 2),
            (Lasting::Written, 1),
            (Lasting::Written, 1),
            (Lasting::Synced, 2),
        ] {
            let found = writer.write_as(how(lasting), level, |_| false).await.unwrap();
            assert_eq!(found, expected, "{lasting:?}");
        }
        // In one commit with others.
        let (hold, held) = mpsc::channel::<()>();
        let wait = move |_: &Connection| Ok(held.recv().is_err());
        let first = writer.write_as(how(Lasting::Written), wait, |_| false);
        let mixed = async {
            let both = async {
                tokio::join!(
                    writer.write_as(how(Lasting::Written), level, |_| false),
                    writer.write_as(how(Lasting::Synced), level, |_| false),
                )
            };
            let release = async {
                tokio::task::yield_now().await;
                drop(hold);
            };
            tokio::join!(both, release).0
        };
        let (first, (written, synced)) = tokio::join!(first, mixed);
        assert!(first.unwrap());
        assert_eq!((written.unwrap(), synced.unwrap()), (2, 2));
    }
}
