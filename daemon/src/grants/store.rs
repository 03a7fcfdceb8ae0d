//! `grants.db` in the state directory: what the operator has approved here, and what was known last of every grant.

use std::fs::{File, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use rusqlite::{Connection, OpenFlags};

use crate::layout;

/// How long a write waits for another program that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The newest version of the tables that this program knows.
pub(crate) const TABLES: usize = MIGRATIONS.len();
/// `MIGRATIONS[n]` leads from `user_version` n to n + 1. Never edit one that was released; append.
const MIGRATIONS: [&str; 1] = ["
-- What is approved here. Empty when grants are kept by a hub.
CREATE TABLE grants (
    id         TEXT PRIMARY KEY,
    holder     TEXT NOT NULL,      -- name of an agent, or key of a role
    key        TEXT NOT NULL,      -- what tells the wish from the others of its holder
    want       TEXT NOT NULL,      -- the wish, as a hub would be told of it
    status     TEXT NOT NULL,      -- pending, approved, revoked
    token      TEXT,               -- a secret; only of what is approved
    url        TEXT,
    changed_at INTEGER NOT NULL,   -- milliseconds since 1970 UTC
    UNIQUE (holder, key)
) STRICT;
-- The notes that wanted something when they were last read, so that one that goes while nobody looks is found missing.
CREATE TABLE sources (
    role   INTEGER NOT NULL,       -- 1: a role, 0: a definition
    vault  TEXT NOT NULL,
    note   TEXT NOT NULL,
    holder TEXT NOT NULL,
    PRIMARY KEY (role, vault, note)
) STRICT;
-- What was last known of the wishes of each holder: what a start tells before anybody could be asked.
CREATE TABLE known (
    holder   TEXT NOT NULL,
    place    INTEGER NOT NULL,
    want     TEXT NOT NULL,
    status   TEXT NOT NULL,
    grant_id TEXT,
    reason   TEXT,
    PRIMARY KEY (holder, place)
) STRICT;
"];

/// The file. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    db: Arc<Mutex<Connection>>,
}

impl Store {
    /// Opens or makes the file, readable for its owner only.
    ///
    /// # Errors
    /// What is wrong with the file, and the mend.
    pub(crate) fn open(file: &Path) -> anyhow::Result<Self> {
        let opened = open(file).with_context(|| {
            let file = file.display();
            format!("the grants in {file} cannot be read; mend it, or move the file away to approve everything anew")
        })?;
        let db = Arc::new(Mutex::new(opened));
        Ok(Self { db })
    }

    /// Runs something at once, on this thread.
    pub(super) fn now<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        work(&mut self.db.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs something to its end on a thread that may wait for the disk, also when nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> rusqlite::Result<T> {
        let store = self.clone();
        let ran = tokio::task::spawn_blocking(move || store.now(work));
        ran.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the grants could not be read or written");
            Err(rusqlite::Error::InvalidQuery)
        })
    }
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
    db.pragma_update(None, "synchronous", "FULL")?;
    // A token that was taken away is not in the file any more.
    db.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))?;
    layout::bring_database_forward(&mut db, &MIGRATIONS)?;
    Ok(db)
}
