//! The file that a service manager reads. Its last line has a digest of the others: what a person has changed is not lost.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::Manager;

/// What stands before the digest.
const MARK: &str = "written by `reveille service install`; sha256:";

/// Why the file was not written or removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// A person has been there.
    #[error(
        "{0} has been changed by hand, and was left as it is. Put what you have changed into a drop-in (`systemctl --user edit \
         reveille`) and say --force, or keep your file"
    )]
    Changed(PathBuf),
    /// The system refuses.
    #[error("{path} cannot be {what}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// `read`, `written`, `removed`.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

/// How the file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Installed {
    /// There is none.
    No,
    /// It is what would be written now.
    Same,
    /// It was written for another program, configuration or version.
    Older,
    /// A person has changed it.
    Changed,
}

fn signed(manager: Manager, text: &str) -> String {
    let digest: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    match manager {
        Manager::Systemd => format!("{text}# {MARK}{digest}\n"),
        Manager::Launchd => format!("{text}<!-- {MARK}{digest} -->\n"),
    }
}

/// Whether nobody has changed it since it was written.
fn is_ours(manager: Manager, there: &str) -> bool {
    let body = there.trim_end().rfind('\n').map_or("", |end| &there[..=end]);
    signed(manager, body) == there
}

fn failed(path: &Path, what: &'static str) -> impl Fn(io::Error) -> FileError {
    move |source| FileError::Io {
        path: path.to_owned(),
        what,
        source,
    }
}

/// How the file stands, compared with `text`.
///
/// # Errors
/// It cannot be read.
pub(crate) fn look(manager: Manager, file: &Path, text: &str) -> Result<Installed, FileError> {
    match fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Installed::No),
        Err(error) => Err(failed(file, "read")(error)),
        Ok(there) => {
            let there = String::from_utf8_lossy(&there);
            Ok(match is_ours(manager, &there) {
                _ if there == signed(manager, text) => Installed::Same,
                true => Installed::Older,
                false => Installed::Changed,
            })
        }
    }
}

/// Writes it whole, or not at all. Answers whether something was to be done.
///
/// # Errors
/// [`FileError`].
pub(crate) fn install(manager: Manager, file: &Path, text: &str, force: bool) -> Result<bool, FileError> {
    match look(manager, file, text)? {
        Installed::Same => return Ok(false),
        Installed::Changed if !force => return Err(FileError::Changed(file.to_owned())),
        Installed::No | Installed::Older | Installed::Changed => {}
    }
    let write = || {
        let dir = file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir)?;
        let mut new = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o644))
            .tempfile_in(dir)?;
        new.write_all(signed(manager, text).as_bytes())?;
        new.as_file().sync_all()?;
        new.persist(file).map_err(|error| error.error)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(failed(file, "written"))?;
    Ok(true)
}

/// Says whether it may be removed, and removes it then. `false`: there was none.
///
/// # Errors
/// [`FileError`].
pub(crate) fn remove(file: &Path) -> Result<bool, FileError> {
    match fs::remove_file(file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(file, "removed")(error)),
    }
}
