//! Opening it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::watch;
use uuid::Uuid;

use super::counts::Counts;
use super::fault::Fault;
use super::file::connect;
use super::writer::Writer;
use super::{SqliteQueue, schema};
use crate::queue::QueueError;

/// How to open a [`SqliteQueue`].
#[derive(Clone)]
pub struct Options {
    /// The file; made when it is not there, with mode 0600.
    pub path: PathBuf,
    /// How long a claim holds without a heartbeat.
    pub lease: Duration,
    /// The time.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// New identities, in order of creation.
    pub ids: Arc<dyn Fn() -> Uuid + Send + Sync>,
    /// Asked before each write; `true` refuses it as a full disk does. For tests of what lies above.
    pub refuse: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
}

impl Options {
    /// A lease of one minute, the system's clock, UUIDs of version 7.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            lease: Duration::from_secs(60),
            clock: Arc::new(Timestamp::now),
            ids: Arc::new(Uuid::now_v7),
            refuse: None,
        }
    }

    /// Opens the queue. Reads no rows: its cost does not grow with the history.
    ///
    /// # Errors
    /// [`QueueError`] when the file cannot be opened, was written by a newer version, or is damaged.
    pub fn open(self) -> Result<SqliteQueue, QueueError> {
        let connection = connect(&self.path, false)?;
        schema::migrate(&connection)?;
        // What a write may have to take back is a few pages, and a file for it costs more than it. Migrations are larger.
        connection
            .pragma_update(None, "temp_store", "MEMORY")
            .map_err(Fault::from)?;
        let reader = connect(&self.path, true)?;
        Ok(self.over(connection, reader)?)
    }

    pub(super) fn over(self, connection: Connection, reader: Connection) -> Result<SqliteQueue, Fault> {
        let (version, watched) = watch::channel(0);
        let (owed, owes) = watch::channel(0);
        let has_effects = Arc::new(AtomicBool::new(false));
        let fresh = Arc::clone(&has_effects);
        let wake = move || {
            version.send_modify(|version| *version += 1);
            if fresh.swap(false, Ordering::Relaxed) {
                owed.send_modify(|version| *version += 1);
            }
        };
        let counts = Counts::default();
        let writer = Writer::spawn(connection, counts.clone(), self.refuse.clone(), wake)?;
        Ok(SqliteQueue {
            options: self,
            counts,
            writer,
            reader: Arc::new(Mutex::new(reader)),
            watched,
            owes,
            has_effects,
        })
    }
}
