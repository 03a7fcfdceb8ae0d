//! One thread that owns the connection, with group commit: what waits while a commit is being synced goes into the next one
//! together.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::OutboxError;

/// Most jobs of one commit: bounds the time that the first of them waits.
const GROUP_MAX: usize = 256;

/// Whether the next write is refused unseen, as a full disk does it.
pub(super) type Refuse = Arc<dyn Fn() -> bool + Send + Sync>;

/// What a write outlives once it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lasting {
    /// The end of the process, by whatever signal. A loss of power may undo it: for what is only found out again then.
    Written,
    /// A loss of power: it is synced.
    Synced,
}

trait Job: Send {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    fn lasting(&self) -> Lasting;
    /// Tells the asker, once the commit is known.
    fn answer(self: Box<Self>, failed: Option<OutboxError>);
}

struct Task<T, W> {
    work: Option<W>,
    lasting: Lasting,
    done: Option<T>,
    asker: oneshot::Sender<Result<T, OutboxError>>,
}

impl<T: Send, W: FnOnce(&Connection) -> rusqlite::Result<T> + Send> Job for Task<T, W> {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if let Some(work) = self.work.take() {
            self.done = Some(work(connection)?);
        }
        Ok(())
    }

    fn lasting(&self) -> Lasting {
        self.lasting
    }

    fn answer(self: Box<Self>, failed: Option<OutboxError>) {
        let outcome = match (failed, self.done) {
            (Some(error), _) => Err(error),
            (None, Some(done)) => Ok(done),
            (None, None) => Err(OutboxError::Unavailable("the outbox did not run the request".into())),
        };
        // silent-ok: the asker went away; the write stands or fell all the same.
        let _ = self.asker.send(outcome);
    }
}

/// Handle of the thread, which ends when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
    refuse: Option<Refuse>,
}

impl Writer {
    pub(super) fn spawn(connection: Connection, path: PathBuf, refuse: Option<Refuse>) -> Result<Self, OutboxError> {
        let (jobs, inbox) = mpsc::channel::<Box<dyn Job>>();
        let serve = move || {
            while let Ok(first) = inbox.recv() {
                let rest = inbox.try_iter().take(GROUP_MAX - 1);
                commit(&connection, &path, std::iter::once(first).chain(rest).collect());
            }
        };
        thread::Builder::new()
            .name("outbox".into())
            .spawn(serve)
            .map_err(|error| OutboxError::Unavailable(format!("no thread for the outbox: {error}")))?;
        Ok(Self { jobs, refuse })
    }

    /// Runs `work` inside a transaction and returns when it lasts.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        lasting: Lasting,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, OutboxError> {
        if self.refuse.as_ref().is_some_and(|refuse| refuse()) {
            return Err(OutboxError::Unavailable(
                "the disk is full (a test asked for it)".into(),
            ));
        }
        self.read(lasting, work).await
    }

    /// The same for what writes nothing.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        lasting: Lasting,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, OutboxError> {
        let (asker, answer) = oneshot::channel();
        let gone = || OutboxError::Unavailable("the thread of the outbox has ended".into());
        let task = Task {
            work: Some(work),
            lasting,
            done: None,
            asker,
        };
        self.jobs.send(Box::new(task)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// One transaction for the group. A job that fails is undone alone; a commit that fails undoes them all.
fn commit(connection: &Connection, path: &std::path::Path, group: Vec<Box<dyn Job>>) {
    let mut failed: Vec<Option<OutboxError>> = Vec::with_capacity(group.len());
    let mut group = group;
    let outcome = transaction(connection, path, &mut group, &mut failed);
    if let Err(error) = &outcome {
        // The askers are told the first fault; the next group begins with another try to undo.
        if let Err(undo) = undo(connection) {
            tracing::error!(error = %undo, "a failed write of the outbox is not undone yet");
        }
        let error = OutboxError::of(path, error);
        failed = vec![Some(error); group.len()];
    }
    failed.resize(group.len(), None);
    for (job, failed) in group.into_iter().zip(failed) {
        job.answer(failed);
    }
}

fn transaction(
    connection: &Connection,
    path: &std::path::Path,
    group: &mut [Box<dyn Job>],
    failed: &mut Vec<Option<OutboxError>>,
) -> rusqlite::Result<()> {
    undo(connection)?;
    let lasting = group.iter().map(|job| job.lasting()).max();
    // A sync of the write-ahead log covers everything that was written to it before.
    connection.execute_batch(match lasting {
        Some(Lasting::Written) => "PRAGMA synchronous = NORMAL",
        Some(Lasting::Synced) | None => "PRAGMA synchronous = FULL",
    })?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for job in group.iter_mut() {
        connection.execute_batch("SAVEPOINT job")?;
        match job.run(connection) {
            Ok(()) => {
                connection.execute_batch("RELEASE job")?;
                failed.push(None);
            }
            // A full disk makes SQLite undo the transaction by itself: then the others failed for the same reason.
            Err(error) if connection.is_autocommit() => return Err(error),
            Err(error) => {
                connection.execute_batch("ROLLBACK TO job; RELEASE job")?;
                failed.push(Some(OutboxError::of(path, &error)));
            }
        }
    }
    connection.execute_batch("COMMIT")
}

/// Ends a transaction that is still open, also one that could not be undone when it failed.
fn undo(connection: &Connection) -> rusqlite::Result<()> {
    if connection.is_autocommit() {
        return Ok(());
    }
    connection.execute_batch("ROLLBACK")
}
