//! A copy of the vault while it is in use: one state of its notes, and the files that belong to them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::EmbeddedVault;
use super::fault::Fault;
use super::files::FileDir;
use crate::store::VaultError;

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The copy of the database. The copies of the files are beside it, in `<file>-files`.
    pub file: PathBuf,
    /// Notes in it.
    pub notes: u64,
    /// Files of notes in it.
    pub files: u64,
    /// Size of all.
    pub bytes: u64,
}

/// A copy that is not whole yet. Dropped before [`Unfinished::finish`]: nothing of it is kept.
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
    /// Copies the vault into a directory (0700, made when it is missing) while it is in use, looks whether the copy can be
    /// read, and leaves nothing behind when it cannot be made. Put back in the place of the vault's file and of its directory
    /// of files, the copy is the vault as it was at one moment.
    ///
    /// # Errors
    /// [`VaultError::Invalid`]: there is a copy already, or the directory cannot be written; [`VaultError::Unavailable`]: the
    /// vault cannot be read.
    pub async fn back_up(&self, dir: &Path) -> Result<Backup, VaultError> {
        let name = self.place.file.file_name().unwrap_or_default();
        let target = dir.join(name);
        let from = self.dir.clone();
        self.readers
            .run(move |conn| {
                let _hold = from.hold();
                copy(conn, &from, &target)
            })
            .await
    }
}

fn refused(what: &Path, error: impl std::fmt::Display) -> Fault {
    let message = format!("{} cannot be written ({error}); nothing was copied", what.display());
    VaultError::Invalid(message).into()
}

fn copy(conn: &Connection, from: &FileDir, target: &Path) -> Result<Backup, Fault> {
    let dir = target.parent().unwrap_or(target);
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(dir).map_err(|error| refused(dir, error))?;
    let files = FileDir::beside(target);
    for there in [target, &files.place_of("")] {
        if there.exists() {
            let message = format!("{} is there already; choose another directory", there.display());
            return Err(VaultError::Invalid(message).into());
        }
    }
    let part = dir.join(format!(".{}.part", uuid::Uuid::now_v7()));
    let unfinished = Unfinished {
        paths: vec![part.clone(), files.place_of("")],
    };
    copy_notes(conn, &part)?;
    let (notes, ids) = verify(&part)?;
    builder
        .create(files.place_of(""))
        .map_err(|error| refused(dir, error))?;
    let mut bytes = std::fs::metadata(&part).map_err(|error| refused(&part, error))?.len();
    for id in &ids {
        let to = files.place_of(id);
        bytes += copy_file(&from.place_of(id), &to).map_err(|error| refused(&to, error))?;
    }
    // The database comes last: where it is, everything is.
    std::fs::rename(&part, target).map_err(|error| refused(target, error))?;
    for path in [target, &files.place_of(""), dir] {
        let synced = File::open(path).and_then(|file| file.sync_all());
        synced.map_err(|error| refused(path, error))?;
    }
    unfinished.finish();
    Ok(Backup {
        file: target.to_owned(),
        notes,
        files: u64::try_from(ids.len()).unwrap_or(u64::MAX),
        bytes,
    })
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

fn copy_file(from: &Path, to: &Path) -> io::Result<u64> {
    let mut from = File::open(from)?;
    let mut options = OpenOptions::new();
    let mut to = options.write(true).create_new(true).mode(0o600).open(to)?;
    let bytes = io::copy(&mut from, &mut to)?;
    to.sync_all()?;
    Ok(bytes)
}
