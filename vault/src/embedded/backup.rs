//! A copy of the vault while it is in use: one state of its notes, and the files that belong to them. And the way back.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::fault::{Fault, Place};
use super::files::FileDir;
use super::{EmbeddedVault, schema};
use crate::store::{Backup, VaultError};

/// What is not whole yet. Dropped before [`Unfinished::finish`]: nothing of it is kept.
struct Unfinished {
    paths: Vec<PathBuf>,
}

impl Unfinished {
    fn finish(mut self) {
        self.paths.clear();
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        for path in &self.paths {
            let gone = match path.is_dir() {
                true => std::fs::remove_dir_all(path),
                false => std::fs::remove_file(path),
            };
            if let Err(error) = gone
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, path = %path.display(), "a part of a copy that was given up is still there");
            }
        }
    }
}

impl EmbeddedVault {
    /// Copies the vault into a directory while it is in use: see [`crate::Vault::back_up`].
    pub(crate) async fn copy_into(&self, dir: &Path, replace: bool) -> Result<Backup, VaultError> {
        let from = self.dir.clone();
        let own = self.place.file.clone();
        let dir = dir.to_owned();
        self.readers
            .run(move |conn| {
                let _hold = from.hold();
                copy(conn, &from, &own, &dir, replace)
            })
            .await
    }

    /// Copies the vault in `file` into a directory without opening it as a vault; no daemon needs to run. Otherwise as
    /// [`crate::Vault::back_up`]. Blocks until it is done.
    ///
    /// # Errors
    /// As there.
    pub fn back_up_file(name: &str, file: &Path, dir: &Path, replace: bool) -> Result<Backup, VaultError> {
        let copied = opened(file).and_then(|conn| copy(&conn, &FileDir::beside(file), file, dir, replace));
        copied.map_err(|fault| Place::new(name, file).error(fault))
    }

    /// Puts a copy, the file of a [`Backup`], into the directory of a vault that nobody has open. With `replace` what is there
    /// under that name is given up. A kill in the middle leaves the one or the other, whole. Blocks until it is done.
    ///
    /// # Errors
    /// As [`EmbeddedVault::back_up_file`].
    pub fn restore_file(name: &str, copied: &Path, dir: &Path, replace: bool) -> Result<Backup, VaultError> {
        let there = dir.join(copied.file_name().unwrap_or_default());
        let put = || {
            let conn = opened(copied)?;
            verify(copied)?;
            if replace && there.exists() {
                end_log_of(&there).map_err(|error| refused(&there, error))?;
            }
            copy(&conn, &FileDir::beside(copied), copied, dir, replace)
        };
        put().map_err(|fault| Place::new(name, copied).error(fault))
    }
}

fn opened(file: &Path) -> Result<Connection, Fault> {
    if !file.is_file() {
        return Err(Fault::Unusable(format!(
            "{} is not there; nothing was copied",
            file.display()
        )));
    }
    schema::open_reader(file)
}

/// What the log beside a vault holds is in the vault, and the log is gone: it must not be taken for that of another file. Of a
/// vault that cannot be read it goes all the same.
fn end_log_of(file: &Path) -> io::Result<()> {
    let ended = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .and_then(|conn| conn.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(())));
    if let Err(error) = ended {
        tracing::debug!(%error, "the vault that is replaced cannot be read");
    }
    for suffix in ["-wal", "-shm"] {
        match std::fs::remove_file(beside(file, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

pub(crate) fn refused(what: &Path, error: impl std::fmt::Display) -> Fault {
    let message = format!("{} cannot be written ({error}); nothing was copied", what.display());
    VaultError::Invalid(message).into()
}

fn copy(conn: &Connection, from: &FileDir, own: &Path, dir: &Path, replace: bool) -> Result<Backup, Fault> {
    let target = dir.join(own.file_name().unwrap_or_default());
    private_dir(dir)?;
    let files = FileDir::beside(&target);
    let files_dir = files.place_of("");
    check_place(own, &target, &files_dir, replace)?;
    let part = dir.join(format!(".{}.part", uuid::Uuid::now_v7()));
    let mut unfinished = Unfinished {
        paths: vec![part.clone()],
    };
    copy_notes(conn, &part)?;
    let (notes, ids) = verify(&part)?;
    if !files_dir.exists() {
        unfinished.paths.push(files_dir.clone());
        private_dir(&files_dir)?;
    }
    let mut bytes = std::fs::metadata(&part).map_err(|error| refused(&part, error))?.len();
    for id in &ids {
        let (to, new) = (files.place_of(id), files.place_of(&format!(".{id}.part")));
        unfinished.paths.push(new.clone());
        if !to.exists() {
            unfinished.paths.push(to.clone());
        }
        // A file never changes. One of an earlier copy may be damaged.
        bytes += copy_file(&from.place_of(id), &new)?;
        std::fs::rename(&new, &to).map_err(|error| refused(&to, error))?;
    }
    for path in [&part, &files_dir] {
        sync(path)?;
    }
    // The database comes last, in one step: where it is, everything is.
    std::fs::rename(&part, &target).map_err(|error| refused(&target, error))?;
    unfinished.finish();
    sync(dir)?;
    remove_others(&files_dir, &ids);
    Ok(Backup {
        file: target,
        folder: None,
        notes,
        files: u64::try_from(ids.len()).unwrap_or(u64::MAX),
        bytes,
    })
}

/// Makes a directory (0700) when it is not there.
pub(crate) fn private_dir(dir: &Path) -> Result<(), Fault> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(dir).map_err(|error| refused(dir, error))
}

pub(crate) fn sync(path: &Path) -> Result<(), Fault> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|error| refused(path, error))
}

/// Nothing is in the way, or it may be replaced; and it is not the vault itself.
fn check_place(own: &Path, target: &Path, files_dir: &Path, replace: bool) -> Result<(), Fault> {
    let invalid = |message: String| Err(VaultError::Invalid(message).into());
    let same = |left: &Path, right: &Path| match (left.canonicalize(), right.canonicalize()) {
        (Ok(left), Ok(right)) => left == right,
        _ => false,
    };
    if same(own, target) {
        return invalid(format!(
            "{} is the vault itself; choose another directory",
            target.display()
        ));
    }
    for there in [target, files_dir] {
        if there.exists() && !replace {
            let there = there.display();
            return invalid(format!(
                "{there} is there already; choose another directory, or say that it is to be replaced"
            ));
        }
    }
    let log = beside(target, "-wal");
    if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let log = log.display();
        return invalid(format!(
            "{log} is there: a program has that vault open, or left it so; choose another directory"
        ));
    }
    Ok(())
}

fn copy_notes(conn: &Connection, part: &Path) -> Result<(), Fault> {
    // SQLite writes into an empty file, which nobody else may read.
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(part).map_err(|error| refused(part, error))?;
    let name = part.to_str().ok_or_else(|| refused(part, "its name is no UTF-8"))?;
    match conn.execute("VACUUM INTO ?1", [name]) {
        Ok(_) => Ok(()),
        // The vault itself is fine: it is the other side that is full.
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) => {
            Err(refused(part, "the disk is full"))
        }
        Err(error) => Err(Fault::Unusable(format!(
            "it could not be copied ({error}); nothing was copied"
        ))),
    }
}

/// Opens the copy as any other program would. Answers the number of notes and the names of the files.
fn verify(part: &Path) -> Result<(u64, Vec<String>), Fault> {
    let wrong =
        |error: rusqlite::Error| Fault::Unusable(format!("its copy cannot be read ({error}); nothing was copied"));
    let copy = Connection::open_with_flags(part, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(wrong)?;
    let sound: String = copy
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(wrong)?;
    if sound != "ok" {
        return Err(Fault::Unusable(format!(
            "its copy is damaged ({sound}); nothing was copied"
        )));
    }
    let notes = copy
        .query_row("SELECT count(*) FROM notes", [], |row| row.get(0))
        .map_err(wrong)?;
    let mut statement = copy.prepare("SELECT id FROM files ORDER BY id").map_err(wrong)?;
    let ids = statement.query_map([], |row| row.get(0)).and_then(Iterator::collect);
    Ok((notes, ids.map_err(wrong)?))
}

fn copy_file(from: &Path, to: &Path) -> Result<u64, Fault> {
    let unreadable = |error: io::Error| {
        let from = from.display();
        Fault::Unusable(format!(
            "the bytes of a file, {from}, cannot be read ({error}); nothing was copied"
        ))
    };
    let mut source = File::open(from).map_err(unreadable)?;
    let mut options = OpenOptions::new();
    let copied = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(to)
        .and_then(|mut to| {
            let bytes = io::copy(&mut source, &mut to)?;
            to.sync_all()?;
            Ok(bytes)
        });
    copied.map_err(|error| refused(to, error))
}

/// Removes what an earlier copy has left that this one does not have.
fn remove_others(files_dir: &Path, ids: &[String]) {
    let ids: HashSet<&str> = ids.iter().map(String::as_str).collect();
    let removed = std::fs::read_dir(files_dir).and_then(|entries| {
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_str().is_none_or(|name| !ids.contains(name)) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    });
    if let Err(error) = removed {
        tracing::warn!(%error, dir = %files_dir.display(), "files of an earlier copy are still there");
    }
}
