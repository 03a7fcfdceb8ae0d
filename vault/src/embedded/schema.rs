//! The database file: how it is made, opened and brought up to date.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::fault::Fault;

/// Marks the file as a vault of this program ("Rvlt"), so that another program's database is never migrated.
const APPLICATION_ID: i32 = 0x5276_6c74;

/// Step `n` leads from schema version `n` to `n + 1`. Steps are only ever added.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_notes.sql"),
    include_str!("migrations/0002_attachments.sql"),
    include_str!("migrations/0003_mirror.sql"),
    include_str!("migrations/0004_search.sql"),
    include_str!("migrations/0005_tags_links.sql"),
    include_str!("migrations/0006_triggers.sql"),
    include_str!("migrations/0007_log.sql"),
    include_str!("migrations/0008_counts.sql"),
];

/// How long a connection waits for another process that holds the file, a backup for instance.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Page cache of the writer, in KiB. SQLite's default is 2 MiB for each connection.
const WRITER_CACHE_KIB: i32 = 512;

/// Page cache of each reader, in KiB.
const READER_CACHE_KIB: i32 = 256;

/// Prepared statements that the writer keeps: more than all that one note takes, of which none shall be made anew each time.
const WRITER_STATEMENTS: usize = 128;

/// Prepared statements that each reader keeps.
const READER_STATEMENTS: usize = 32;

/// The log file is cut back to this many bytes after a checkpoint, so that one large batch does not keep the space.
const WAL_LIMIT_BYTES: i32 = 8 * 1024 * 1024;

/// Opens the file for writing; makes it and brings its schema up to date when needed.
pub(super) fn open_writer(file: &Path) -> Result<Connection, Fault> {
    make_private(file).map_err(|error| {
        Fault::Unusable(format!(
            "{} cannot be made or opened ({error}); check its directory",
            file.display()
        ))
    })?;
    let mut conn = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    configure(&conn, WRITER_CACHE_KIB, WRITER_STATEMENTS)?;
    check_version(&conn, file)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "journal_size_limit", WAL_LIMIT_BYTES)?;
    migrate(&mut conn)?;
    // What a write may have to take back is a few pages, and a file for it costs more than it. Migrations are larger.
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(conn)
}

/// Opens the file for reading. The writer has made it.
pub(super) fn open_reader(file: &Path) -> Result<Connection, Fault> {
    let conn = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    configure(&conn, READER_CACHE_KIB, READER_STATEMENTS)?;
    Ok(conn)
}

/// Sets the largest size of the file, in pages.
pub(super) fn limit_pages(conn: &Connection, pages: u32) -> Result<(), Fault> {
    conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| {
        row.get::<_, i64>(0)
    })?;
    Ok(())
}

fn configure(conn: &Connection, cache_kib: i32, statements: usize) -> Result<(), Fault> {
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(statements);
    // A statement with a parameter that its plan could depend on, such as a limit, would be prepared anew for each use.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // A negative size is in KiB.
    conn.pragma_update(None, "cache_size", -cache_kib)?;
    Ok(())
}

/// Notes are private: the directory 0700 when it is made here, the file 0600 always. SQLite gives its `-wal` and `-shm`
/// files the permissions of the database.
fn make_private(file: &Path) -> io::Result<()> {
    if let Some(dir) = file.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(file)?;
    if opened.metadata()?.permissions().mode() & 0o777 != 0o600 {
        opened.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// Refuses, before anything is written, a file of another program and one of a newer version.
fn check_version(conn: &Connection, file: &Path) -> Result<(), Fault> {
    let application: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version = version(conn)?;
    if application != APPLICATION_ID {
        let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if application == 0 && version == 0 && tables == 0 {
            return Ok(());
        }
        return Err(Fault::Unusable(format!(
            "{} is a database of another program; it was left as it is: choose another file for the vault",
            file.display()
        )));
    }
    if version > MIGRATIONS.len() {
        return Err(Fault::Unusable(format!(
            "{} has schema version {version}, this program knows versions up to {}; it was left as it is: use the newer \
             program that wrote it, or restore a backup made before the upgrade",
            file.display(),
            MIGRATIONS.len()
        )));
    }
    Ok(())
}

fn migrate(conn: &mut Connection) -> Result<(), Fault> {
    if version(conn)? == MIGRATIONS.len() {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again under the lock: another process may have been faster.
    for (done, step) in MIGRATIONS.iter().enumerate().skip(version(&tx)?) {
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", i64::try_from(done + 1).unwrap_or(i64::MAX))?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.commit()?;
    Ok(())
}

fn version(conn: &Connection) -> Result<usize, Fault> {
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    usize::try_from(version).map_err(|error| Fault::damaged("schema version", error))
}

/// A file as the version with the first `steps` left it.
#[cfg(test)]
pub(super) fn made_by_older(file: &Path, steps: usize) -> Connection {
    let old = Connection::open(file).unwrap();
    for step in &MIGRATIONS[..steps] {
        old.execute_batch(step).unwrap();
    }
    old.pragma_update(None, "user_version", i64::try_from(steps).unwrap())
        .unwrap();
    old.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
    old
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn refusal(file: &Path) -> String {
        match open_writer(file).unwrap_err() {
            Fault::Unusable(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_new_file_gets_the_newest_schema_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("new/vault.db");
        let conn = open_writer(&file).unwrap();
        assert_eq!(version(&conn).unwrap(), MIGRATIONS.len());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir.path().join("new")), mode(&file)), (0o700, 0o600));
        assert_eq!(mode(&dir.path().join("new/vault.db-wal")), 0o600);
    }

    #[test]
    fn an_older_file_keeps_its_notes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("vault.db");
        let old = made_by_older(&file, 1);
        let note = "INSERT INTO notes (id, created_at, updated_at, tags, metadata, content) VALUES ('n', 1, 1, '[]', '{}', 'x')";
        old.execute_batch(note).unwrap();
        drop(old);
        let conn = open_writer(&file).unwrap();
        assert_eq!(version(&conn).unwrap(), MIGRATIONS.len());
        let found = conn.query_row(
            "SELECT id || (SELECT count(*) FROM attachments) FROM notes",
            [],
            |row| row.get::<_, String>(0),
        );
        assert_eq!(found.unwrap(), "n0");
        let searched = conn.query_row("SELECT rowid FROM notes_fts WHERE notes_fts MATCH 'x'", [], |row| {
            row.get::<_, i64>(0)
        });
        assert_eq!(searched.unwrap(), 1);
    }

    #[test]
    fn tags_are_counted_beforehand_and_the_count_follows() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("vault.db");
        let old = made_by_older(&file, 7);
        let notes = "INSERT INTO notes (id, created_at, updated_at, tags, metadata, content) \
                         VALUES ('n', 1, 1, '[]', '{}', ''), ('m', 1, 1, '[]', '{}', ''); \
                     INSERT INTO note_tags (tag, created_at, note) VALUES ('a', 1, 1), ('a', 1, 2), ('b', 1, 1)";
        old.execute_batch(notes).unwrap();
        drop(old);
        let conn = open_writer(&file).unwrap();
        let counts = || -> String {
            let sql = "SELECT group_concat(tag || notes) FROM (SELECT * FROM tag_counts ORDER BY tag)";
            conn.query_row(sql, [], |row| row.get(0)).unwrap()
        };
        assert_eq!(counts(), "a2,b1");
        conn.execute_batch("INSERT INTO note_tags (tag, created_at, note) VALUES ('c', 1, 2)")
            .unwrap();
        conn.execute_batch("DELETE FROM note_tags WHERE tag = 'b'").unwrap();
        assert_eq!(counts(), "a2,b0,c1");
        // With the note goes what it carries.
        conn.execute_batch("DELETE FROM notes WHERE id = 'm'").unwrap();
        assert_eq!(counts(), "a1,b0,c0");
    }

    #[test]
    fn a_statement_is_prepared_once_whatever_its_limit_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("vault.db");
        for conn in [open_writer(&file).unwrap(), open_reader(&file).unwrap()] {
            let mut anew = Vec::new();
            for limit in 0..3 {
                let mut statement = conn
                    .prepare_cached("SELECT cursor FROM changes ORDER BY cursor LIMIT ?")
                    .unwrap();
                assert!(!statement.exists([limit]).unwrap());
                anew.push(statement.get_status(rusqlite::StatementStatus::RePrepare));
            }
            assert_eq!(anew, [0, 0, 0]);
        }
    }

    #[test]
    fn what_is_committed_is_synced() {
        let dir = tempfile::tempdir().unwrap();
        let conn = open_writer(&dir.path().join("vault.db")).unwrap();
        let pragma = |name: &str| -> String {
            let sql = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
            conn.query_row(&sql, [], |row| row.get(0)).unwrap()
        };
        // Synchronous 2 is FULL: a commit survives a loss of power.
        let values = ["journal_mode", "synchronous", "foreign_keys"].map(pragma);
        assert_eq!(values, ["wal", "2", "1"]);
    }

    #[test]
    fn a_file_that_others_may_read_is_made_private() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("vault.db");
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        drop(open_writer(&file).unwrap());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("vault.db");
        open_writer(&file)
            .unwrap()
            .pragma_update(None, "user_version", 99)
            .unwrap();
        let before = std::fs::read(&file).unwrap();
        let reason = refusal(&file);
        assert!(
            reason.contains("schema version 99") && reason.contains(&format!("up to {}", MIGRATIONS.len())),
            "{reason}"
        );
        assert_eq!(std::fs::read(&file).unwrap(), before);
    }

    #[test]
    fn another_program_s_database_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("other.db");
        Connection::open(&file)
            .unwrap()
            .execute_batch("CREATE TABLE theirs (x)")
            .unwrap();
        let before = std::fs::read(&file).unwrap();
        let reason = refusal(&file);
        assert!(reason.contains("another program"), "{reason}");
        assert_eq!(std::fs::read(&file).unwrap(), before);
    }
}
