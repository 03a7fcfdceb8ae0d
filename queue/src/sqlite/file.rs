//! The file, and connections to it.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::Fault;

pub(super) fn connect(path: &Path, read_only: bool) -> Result<Connection, Fault> {
    if !read_only {
        private_file(path)
            .map_err(|error| Fault::Unavailable(format!("{} cannot be opened: {error}", path.display())))?;
    }
    let flags = match read_only {
        true => OpenFlags::SQLITE_OPEN_READ_ONLY,
        false => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    // More than there are statements, so that none is made anew each time.
    connection.set_prepared_statement_cache_capacity(128);
    if !read_only {
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
    }
    // 1 MiB each: the open turns are few, the history is hardly read.
    connection.execute_batch("PRAGMA cache_size = -1024;")?;
    Ok(connection)
}

#[cfg(unix)]
fn private_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map(drop)
}

#[cfg(not(unix))]
fn private_file(path: &Path) -> std::io::Result<()> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map(drop)
}
