//! A few read-only connections, opened when first needed.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::fault::{Fault, Place};
use super::{damage, schema};
use crate::store::VaultError;

/// Most reads at one time. More would cost memory without being faster on the small machines that this runs on.
const CONNECTIONS: u32 = 3;

/// Runs reads on threads that may block.
pub(super) struct Readers {
    place: Arc<Place>,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(place: Arc<Place>) -> Self {
        Self {
            place,
            permits: Arc::new(Semaphore::new(CONNECTIONS as usize)),
            idle: Arc::default(),
        }
    }

    /// Runs `work` on a connection that no other work uses.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, VaultError> {
        // The only error there is: the semaphore has been closed.
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_closed| self.place.closed())?;
        let (place, idle) = (Arc::clone(&self.place), Arc::clone(&self.idle));
        let task = tokio::task::spawn_blocking(move || {
            let pooled = lock(&idle).pop();
            let outcome = match pooled.map_or_else(|| open(&place), Ok) {
                Ok(conn) => read(&place, &idle, conn, work),
                Err(error) => Err(error),
            };
            // The connection is back before the next reader may look for one.
            drop(permit);
            outcome
        });
        match task.await {
            Ok(outcome) => outcome,
            Err(error) => Err(self.place.unavailable(format!("a read was given up ({error})"))),
        }
    }

    /// The same for a few rows that are found by an index. It is done where it is asked for, which costs less than to have it
    /// done elsewhere, when there is a connection for it.
    pub(super) async fn glance<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, VaultError> {
        if let Ok(permit) = self.permits.try_acquire() {
            let pooled = lock(&self.idle).pop();
            if let Some(conn) = pooled {
                let outcome = read(&self.place, &self.idle, conn, work);
                drop(permit);
                return outcome;
            }
        }
        self.run(work).await
    }

    /// Waits for the running reads and closes the connections. `meanwhile` runs while there is none.
    pub(super) async fn pause<T>(&self, meanwhile: impl Future<Output = T>) -> Result<T, VaultError> {
        let all = self.permits.acquire_many(CONNECTIONS).await;
        let all = all.map_err(|_closed| self.place.closed())?;
        lock(&self.idle).clear();
        let outcome = meanwhile.await;
        drop(all);
        Ok(outcome)
    }

    /// Waits for the running reads, refuses new ones, closes the connections.
    pub(super) async fn close(&self) {
        // silent-ok: it fails only when the vault has been closed before
        if let Ok(all) = self.permits.acquire_many(CONNECTIONS).await {
            self.permits.close();
            drop(all);
        }
        lock(&self.idle).clear();
    }
}

fn open(place: &Place) -> Result<Connection, VaultError> {
    if place.health.why_shut().is_some() {
        return Err(place.closed());
    }
    schema::open_reader(&place.file).map_err(|fault| place.read_error(fault))
}

/// Reads, and puts the connection back.
fn read<T>(
    place: &Place,
    idle: &Mutex<Vec<Connection>>,
    conn: Connection,
    work: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, VaultError> {
    if place.health.why_shut().is_some() {
        return Err(place.closed());
    }
    let (outcome, left_out) = damage::watched(|| work(&conn));
    place.left_out(&left_out);
    // After a storage error a fresh connection is the better start.
    if !matches!(outcome, Err(Fault::Storage(_))) {
        place.health.has_read();
        lock(idle).push(conn);
    }
    outcome.map_err(|fault| place.read_error(fault))
}

/// A panic while the list was locked cannot have left it half-changed.
fn lock(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
