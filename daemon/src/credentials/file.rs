//! The file itself: read whole, replaced whole, by one writer at a time.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tokio::time::Instant;

use super::{Contents, CredentialsError};
use crate::state_dir::private_dir;

/// Longest wait for another writer. Each of them takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause between tries for the lock.
const AGAIN: Duration = Duration::from_millis(20);
/// What the name of a file that is being written begins with.
const NEW: &str = ".credentials-";

fn io_error(path: &Path, what: &'static str) -> impl Fn(io::Error) -> CredentialsError {
    move |error| CredentialsError::Io {
        path: path.to_owned(),
        what,
        why: error.to_string(),
    }
}

/// What is in it; nothing when there is none.
pub(super) fn read(path: &Path) -> Result<Contents, CredentialsError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contents::default()),
        Err(error) => return Err(io_error(path, "read")(error)),
    };
    Contents::parse(&text).map_err(|why| CredentialsError::Damaged {
        path: path.to_owned(),
        why,
    })
}

fn dir_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// The lock is a file of its own: the file itself is another one after each write.
fn lock_path(path: &Path) -> PathBuf {
    path.with_extension("lock")
}

/// Waits for its turn to write. The lock ends with the answer.
pub(super) async fn lock(path: &Path) -> Result<File, CredentialsError> {
    let unwritable = io_error(path, "written");
    private_dir(dir_of(path)).map_err(&unwritable)?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(lock_path(path))
        .map_err(&unwritable)?;
    let end = Instant::now() + PATIENCE;
    loop {
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(lock),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) if Instant::now() < end => {
                tokio::time::sleep(AGAIN).await;
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(unwritable(io::Error::other(
                    "another program has been writing it for seconds",
                )));
            }
            Err(errno) => return Err(unwritable(errno.into())),
        }
    }
}

/// Replaces it. Whoever calls holds the lock.
pub(super) fn write(path: &Path, contents: &Contents) -> Result<(), CredentialsError> {
    let unwritable = io_error(path, "written");
    let dir = dir_of(path);
    check_is_no_link(path).map_err(&unwritable)?;
    // Left by a writer that was killed, with secrets in it.
    remove_stale(dir).map_err(&unwritable)?;
    let replace = || -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(NEW)
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(dir)?;
        file.write_all(contents.text()?.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    replace().map_err(&unwritable)?;
    // It counts already, so it has not failed.
    if let Err(error) = File::open(dir).and_then(|dir| dir.sync_all()) {
        let path = path.display();
        tracing::warn!(%error, %path, "the credentials were written, but may be lost if the machine loses its power now");
    }
    Ok(())
}

/// A write would put a file in the place of a link, and leave where that leads as it was, with its secrets.
fn check_is_no_link(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => Err(io::Error::other(
            "it is a link; put the file itself in the place of the link, then try again",
        )),
        _ => Ok(()),
    }
}

fn remove_stale(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        // Nothing else was made by a writer.
        if entry.file_name().to_string_lossy().starts_with(NEW) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes what a killed writer has left, and makes a file that was copied here readable for its owner alone.
/// Whoever calls holds the lock.
pub(super) fn settle(path: &Path) -> Result<(), CredentialsError> {
    let unwritable = io_error(path, "written");
    remove_stale(dir_of(path)).map_err(&unwritable)?;
    match fs::metadata(path) {
        Ok(meta) if meta.permissions().mode() & 0o077 != 0 => {
            fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(&unwritable)
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error(path, "read")(error)),
    }
}
