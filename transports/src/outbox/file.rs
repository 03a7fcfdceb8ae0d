//! The file, its tables, and how it fails.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::OutboxError;

/// `MIGRATIONS[n]` leads from `user_version` n to n + 1. Never edit one that was released; append.
const MIGRATIONS: &[&str] = &["
CREATE TABLE entries (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of acceptance
    bridge     TEXT NOT NULL,
    id         TEXT NOT NULL,
    lane       TEXT NOT NULL,
    state      TEXT NOT NULL DEFAULT 'waiting',    -- waiting, delivered, undelivered
    head       INTEGER NOT NULL DEFAULT 0,         -- the oldest that waits in its lane
    fleeting   INTEGER NOT NULL DEFAULT 0,
    payload    TEXT,                               -- gone once it is delivered
    bytes      INTEGER NOT NULL,
    number     INTEGER,
    attempts   INTEGER NOT NULL DEFAULT 0,
    due_at     INTEGER NOT NULL,                   -- all times: milliseconds since 1970 UTC
    error      TEXT,
    created_at INTEGER NOT NULL,
    since      INTEGER NOT NULL,                   -- when it began to wait: made, or sent again by a person
    settled_at INTEGER,
    UNIQUE (bridge, id)
);
-- Unique: a lane has one head, whatever the code does. What waits behind it costs nothing until its turn comes.
CREATE UNIQUE INDEX entries_head ON entries (bridge, lane) WHERE head = 1;
CREATE INDEX entries_due ON entries (bridge, due_at, seq) WHERE head = 1;
CREATE INDEX entries_waiting ON entries (bridge, lane, seq) WHERE state = 'waiting';
CREATE INDEX entries_fleeting ON entries (bridge, seq, bytes) WHERE state = 'waiting' AND fleeting = 1;
CREATE INDEX entries_state ON entries (bridge, state, seq);
CREATE INDEX entries_settled ON entries (state, settled_at) WHERE settled_at IS NOT NULL;
CREATE TABLE lanes (
    bridge  TEXT NOT NULL,
    lane    TEXT NOT NULL,
    number  INTEGER NOT NULL DEFAULT 0,            -- the last that was given
    shed    INTEGER NOT NULL DEFAULT 0,            -- how many fleeting entries were given up
    used_at INTEGER NOT NULL,
    PRIMARY KEY (bridge, lane)
) WITHOUT ROWID;
CREATE INDEX lanes_used ON lanes (used_at);
CREATE TABLE kept (
    bridge TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  TEXT NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (bridge, key)
) WITHOUT ROWID;
"];

/// A file up to this size is looked through when it is opened; a larger one would hold the start up.
const CHECK_BYTES: u64 = 64 << 20;

/// Opens the file, makes it when it is not there (mode 0600), and brings it to the present layout.
pub(super) fn open(path: &Path) -> Result<Connection, OutboxError> {
    let size = private(path).map_err(|error| {
        OutboxError::Unavailable(format!(
            "{} cannot be opened: {error}; check the permissions of the state directory",
            path.display()
        ))
    })?;
    let fault = |error| OutboxError::of(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(fault)?;
    connection.set_prepared_statement_cache_capacity(64);
    if size == 0 {
        // Takes effect in an empty file alone: what a long outage had piled up is given back to the disk.
        connection
            .pragma_update(None, "auto_vacuum", "INCREMENTAL")
            .map_err(fault)?;
    }
    let version: usize = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(fault)?;
    if version > MIGRATIONS.len() {
        return Err(OutboxError::Newer(format!(
            "a newer version of Reveille wrote {} (layout {version}, this one knows up to {}), and it was left as it is: start that \
             version again",
            path.display(),
            MIGRATIONS.len()
        )));
    }
    // 2 MiB: what is due is few rows, whatever waits behind them.
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -2048; PRAGMA temp_store = MEMORY;")
        .map_err(fault)?;
    if size > 0 && size <= CHECK_BYTES {
        let found: String = connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(fault)?;
        if found != "ok" {
            return Err(OutboxError::damaged(path, &found));
        }
    }
    for (from, script) in MIGRATIONS.iter().enumerate().skip(version) {
        connection
            .execute_batch(&format!(
                "BEGIN IMMEDIATE; {script} PRAGMA user_version = {}; COMMIT",
                from + 1
            ))
            .map_err(fault)?;
    }
    Ok(connection)
}

/// Makes the file when it is not there; answers its size in bytes.
fn private(path: &Path) -> std::io::Result<u64> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    Ok(options.open(path)?.metadata()?.len())
}

impl OutboxError {
    fn damaged(path: &Path, what: &str) -> Self {
        Self::Damaged(format!(
            "{0} is damaged ({what}) and was left as it is; restore it from a backup, or move it away: then what waited in it for \
             bridges and webhooks is not sent",
            path.display()
        ))
    }

    pub(super) fn of(path: &Path, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let path_shown = path.display();
        let mend = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => "the disk is full; free some space, nothing else is needed".to_owned(),
            // A quota says EFBIG or EDQUOT, which SQLite calls an I/O error.
            Some(ErrorCode::SystemIoFailure) => {
                "the disk refused; check its health, its free space and the quotas".to_owned()
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                format!("{path_shown} cannot be written; check the permissions of the state directory")
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                format!("another process holds {path_shown}")
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                return Self::damaged(path, &error.to_string());
            }
            _ => return Self::Unavailable(error.to_string()),
        };
        Self::Unavailable(format!("{mend} ({error})"))
    }
}
