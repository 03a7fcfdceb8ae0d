//! The one thread that writes. What waits while a commit runs is committed together by the next one.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};

use super::fault::{Fault, Place};
use super::triggers::{Known, Tx};
use super::{links, read};
use crate::store::{Cursor, VaultError};

/// Requests that wait before callers are held back.
const QUEUE: usize = 256;

/// Most requests in one commit, so that the first of them does not wait for ever.
const BATCH: usize = 256;

enum Message {
    Write(Box<dyn Job>),
    Stop,
}

/// Handle of the writer thread. The thread ends after [`Writer::close`] or when the handle is dropped.
pub(super) struct Writer {
    place: Arc<Place>,
    /// `None` while the file is not open.
    running: Mutex<Option<Running>>,
}

struct Running {
    queue: mpsc::Sender<Message>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Of a file that is not open yet.
    pub(super) fn new(place: Arc<Place>) -> Self {
        Self {
            place,
            running: Mutex::default(),
        }
    }

    /// Starts the thread. `newest` is told the newest cursor after each commit, `deliveries` when something may be due.
    pub(super) fn start(
        &self,
        conn: Connection,
        newest: watch::Sender<Cursor>,
        deliveries: watch::Sender<u64>,
    ) -> Result<(), VaultError> {
        let place = Arc::clone(&self.place);
        let (queue, requests) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new()
            .name("vault-writer".into())
            .spawn(move || serve(conn, requests, &place, &newest, &Known::new(deliveries)))
            .map_err(|error| {
                self.place
                    .unavailable(format!("its writer thread could not be started ({error})"))
            })?;
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(Running { queue, thread });
        Ok(())
    }

    fn queue(&self) -> Option<mpsc::Sender<Message>> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().map(|running| running.queue.clone())
    }

    /// Runs `work` in a savepoint and answers once it is durable. When the caller gives up waiting, the work is done all
    /// the same.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, VaultError> {
        let (reply, answer) = oneshot::channel();
        let request = Request {
            work: Some(work),
            outcome: None,
            reply,
        };
        let sent = match self.queue() {
            Some(queue) => queue.send(Message::Write(Box::new(request))).await.is_ok(),
            None => false,
        };
        if !sent {
            return Err(self.place.closed());
        }
        match answer.await {
            Ok(outcome) => outcome,
            Err(_gone) => Err(self.place.closed()),
        }
    }

    /// Commits what waits, refuses what comes later, ends the thread. It may be started again.
    pub(super) async fn close(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Running { queue, thread }) = running else {
            return;
        };
        // silent-ok: it fails only when the thread has ended
        let _ = queue.send(Message::Stop).await;
        match tokio::task::spawn_blocking(move || thread.join()).await {
            Ok(Ok(())) => {}
            Ok(Err(_panic)) => tracing::error!(vault = self.place.vault, "the vault's writer panicked"),
            Err(error) => tracing::warn!(vault = self.place.vault, %error, "the vault's writer was not waited for"),
        }
    }
}

/// One request with its answer, whatever their types.
trait Job: Send {
    /// Does the work, with others or `alone`: then an error undoes the whole transaction. `Some`: the storage failed, for this
    /// reason.
    fn run(&mut self, tx: &mut Transaction<'_>, alone: bool, place: &Place, known: &Known) -> Option<String>;

    /// Whether the storage has done what it was asked.
    fn has_written(&self) -> bool;

    /// Tells the caller. `committed` is the error of the whole batch, if any.
    fn settle(self: Box<Self>, committed: Result<(), &str>, place: &Place);
}

struct Request<T, F> {
    work: Option<F>,
    outcome: Option<Result<T, VaultError>>,
    reply: oneshot::Sender<Result<T, VaultError>>,
}

impl<T, F> Job for Request<T, F>
where
    T: Send,
    F: FnOnce(&Tx<'_>) -> Result<T, Fault> + Send,
{
    fn run(&mut self, tx: &mut Transaction<'_>, alone: bool, place: &Place, known: &Known) -> Option<String> {
        let work = self.work.take()?;
        let outcome = match alone {
            true => in_transaction(tx, known, work),
            false => in_savepoint(tx, known, work),
        };
        let outcome = outcome.map_err(|fault| {
            known.forget();
            place.write_error(fault)
        });
        let failure = match &outcome {
            Err(VaultError::Unavailable { reason, .. }) => Some(reason.clone()),
            _ => None,
        };
        self.outcome = Some(outcome);
        failure
    }

    fn has_written(&self) -> bool {
        matches!(self.outcome, Some(Ok(_)))
    }

    fn settle(self: Box<Self>, committed: Result<(), &str>, place: &Place) {
        let outcome = match (committed, self.outcome) {
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(place.unavailable("the write was not run; try again")),
            (Err(reason), _) => Err(place.unavailable(reason)),
        };
        // silent-ok: the caller has gone; what it asked for is done
        let _ = self.reply.send(outcome);
    }
}

/// Undone when `work` fails, so that the other requests of the batch are not touched.
fn in_savepoint<T>(
    tx: &mut Transaction<'_>,
    known: &Known,
    work: impl FnOnce(&Tx<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let savepoint = tx.savepoint()?;
    let value = work(&Tx::new(&savepoint, known))?;
    savepoint.commit()?;
    Ok(value)
}

/// The same for the only request of a transaction. For a savepoint SQLite would copy each page that is changed.
fn in_transaction<T>(
    tx: &mut Transaction<'_>,
    known: &Known,
    work: impl FnOnce(&Tx<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let outcome = work(&Tx::new(tx, known));
    // SQLite may have undone it itself.
    if outcome.is_err() && !tx.is_autocommit() {
        tx.execute_batch("ROLLBACK")?;
    }
    outcome
}

fn serve(
    mut conn: Connection,
    mut requests: mpsc::Receiver<Message>,
    place: &Place,
    newest: &watch::Sender<Cursor>,
    known: &Known,
) {
    let mut behind = true;
    while let Some(first) = next(&mut conn, &mut requests, place, &mut behind) {
        let mut jobs = Vec::new();
        let mut message = Some(first);
        while let Some(next) = message.take() {
            match next {
                Message::Write(job) => jobs.push(job),
                // What was accepted before the end is still given out by the channel.
                Message::Stop => requests.close(),
            }
            if jobs.len() < BATCH {
                message = requests.try_recv().ok();
            }
        }
        commit(&mut conn, jobs, place, newest, known);
    }
    if let Err((_conn, error)) = conn.close() {
        tracing::warn!(vault = place.vault, %error, "the vault's file was not closed cleanly");
    }
}

/// The next message; `None` at the end. `behind`: whether an older version may have left something undone; that is done while
/// nobody waits.
fn next(
    conn: &mut Connection,
    requests: &mut mpsc::Receiver<Message>,
    place: &Place,
    behind: &mut bool,
) -> Option<Message> {
    while *behind {
        match requests.try_recv() {
            Ok(message) => return Some(message),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => {}
        }
        *behind = links::read_some(conn).unwrap_or_else(|fault| {
            let error = place.error(fault);
            tracing::warn!(%error, "links of older notes are not known yet; the next start reads them");
            false
        });
    }
    requests.blocking_recv()
}

/// Runs the jobs in one transaction, then answers all of them.
fn commit(
    conn: &mut Connection,
    mut jobs: Vec<Box<dyn Job>>,
    place: &Place,
    newest: &watch::Sender<Cursor>,
    known: &Known,
) {
    let failed_before = place.health.has_failed().1;
    let committed = run_all(conn, &mut jobs, place, known);
    if committed.is_ok() && failed_before && jobs.iter().any(|job| job.has_written()) {
        place.health.has_written();
        tracing::info!(vault = place.vault, "the vault can write again");
    }
    known.after(committed.is_ok());
    if let Ok(cursor) = committed {
        // Before the answers: whoever has one finds its change announced.
        newest.send_if_modified(|known| std::mem::replace(known, cursor) != cursor);
    }
    let committed = committed.as_ref().map(|_cursor| ()).map_err(String::as_str);
    for job in jobs {
        job.settle(committed, place);
    }
}

/// The newest cursor after the commit, or the reason why nothing was written.
fn run_all(conn: &mut Connection, jobs: &mut [Box<dyn Job>], place: &Place, known: &Known) -> Result<Cursor, String> {
    let reason = |fault: Fault| match place.write_error(fault) {
        VaultError::Unavailable { reason, .. } => reason,
        other => other.to_string(),
    };
    let begun = conn.transaction_with_behavior(TransactionBehavior::Immediate);
    let mut tx = begun.map_err(|error| reason(error.into()))?;
    let alone = jobs.len() == 1;
    for job in jobs {
        if let Some(failure) = job.run(&mut tx, alone, place, known)
            // SQLite rolls the whole transaction back after some errors, a full disk among them.
            && tx.is_autocommit()
        {
            return Err(failure);
        }
    }
    let cursor = read::newest_cursor(&tx).map_err(reason)?;
    if !tx.is_autocommit() {
        tx.commit().map_err(|error| reason(error.into()))?;
    }
    Ok(cursor)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::embedded::schema;

    const INSERT: &str = "INSERT INTO changes (note_id, kind) VALUES ('n', 'created')";

    type Answer = oneshot::Receiver<Result<(), VaultError>>;

    fn request(sql: &'static str) -> (Box<dyn Job>, Answer) {
        let (reply, answer) = oneshot::channel();
        let work = move |tx: &Tx<'_>| Ok(tx.execute_batch(sql)?);
        (
            Box::new(Request {
                work: Some(work),
                outcome: None,
                reply,
            }),
            answer,
        )
    }

    fn run(conn: &mut Connection, newest: &watch::Sender<Cursor>, sql: &[&'static str]) -> Vec<Result<(), String>> {
        let place = Place::new("v", Path::new("v.db"));
        let (jobs, answers): (Vec<_>, Vec<_>) = sql.iter().copied().map(request).unzip();
        commit(conn, jobs, &place, newest, &Known::new(watch::Sender::new(0)));
        let text = |error: VaultError| error.to_string();
        answers
            .into_iter()
            .map(|answer| answer.blocking_recv().unwrap().map_err(text))
            .collect()
    }

    fn rows(conn: &Connection) -> i64 {
        conn.query_row("SELECT count(*) FROM changes", [], |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn a_failing_request_does_not_touch_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = schema::open_writer(&dir.path().join("v.db")).unwrap();
        let newest = watch::Sender::new(0);
        let half_done = "INSERT INTO changes (note_id, kind) VALUES ('half', 'created'); SELECT nonsense";
        let answers = run(&mut conn, &newest, &[INSERT, half_done, INSERT]);
        assert_eq!(
            answers.iter().map(Result::is_ok).collect::<Vec<_>>(),
            [true, false, true]
        );
        assert_eq!((rows(&conn), *newest.borrow()), (2, 2));
    }

    #[test]
    fn a_failing_commit_fails_every_request_and_the_writer_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = schema::open_writer(&dir.path().join("v.db")).unwrap();
        let newest = watch::Sender::new(0);
        // A broken reference that SQLite looks at only when it commits.
        let poison = "PRAGMA defer_foreign_keys = 1; INSERT INTO note_tags (tag, created_at, note) VALUES ('t', 0, 99)";
        let answers = run(&mut conn, &newest, &[INSERT, poison, INSERT]);
        assert!(
            answers
                .iter()
                .all(|answer| answer.as_ref().is_err_and(|text| text.contains("not usable now"))),
            "{answers:?}"
        );
        assert_eq!((rows(&conn), *newest.borrow()), (0, 0));

        assert_eq!(run(&mut conn, &newest, &[INSERT]), [Ok(())]);
        assert_eq!((rows(&conn), *newest.borrow()), (1, 1));
    }
}
