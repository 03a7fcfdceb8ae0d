use std::path::Path;

use anyhow::{Context as _, Result};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

/// Read-only connections to the daemon's databases.
#[derive(Debug)]
pub struct StateTables {
    /// `queue.db`.
    pub queue: Connection,
    /// `vaults/default.db`.
    pub vault: Connection,
}

impl StateTables {
    pub(super) fn open(state_dir: &Path) -> Result<Self> {
        let open = |path: &str| {
            let path = state_dir.join(path);
            Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)
                .with_context(|| format!("open {}", path.display()))
        };
        Ok(Self {
            queue: open("queue.db")?,
            vault: open("vaults/default.db")?,
        })
    }
}

/// The rows of a query, for whole-value asserts. Blobs become their length.
///
/// # Errors
/// When the statement or the database is not valid.
pub fn rows(connection: &Connection, sql: &str) -> Result<Vec<Vec<Value>>> {
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let cells = (0..columns).map(|column| {
            Ok(match row.get_ref(column)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => number.into(),
                ValueRef::Real(number) => number.into(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
                ValueRef::Blob(bytes) => bytes.len().into(),
            })
        });
        found.push(cells.collect::<Result<_>>()?);
    }
    Ok(found)
}
