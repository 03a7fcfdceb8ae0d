//! The file, and connections to it.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
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
    // A statement with a parameter that its plan could depend on, such as a limit, would be prepared anew for each use.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
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

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_statement_is_prepared_once_whatever_its_limit_is() {
        let dir = tempfile::tempdir().unwrap();
        let connection = connect(&dir.path().join("queue.db"), false).unwrap();
        connection
            .execute_batch("CREATE TABLE t (a INTEGER PRIMARY KEY)")
            .unwrap();
        let mut anew = Vec::new();
        for limit in 0..3 {
            let mut statement = connection.prepare_cached("SELECT a FROM t ORDER BY a LIMIT ?").unwrap();
            assert!(!statement.exists([limit]).unwrap());
            anew.push(statement.get_status(StatementStatus::RePrepare));
        }
        assert_eq!(anew, [0, 0, 0]);
    }
}
