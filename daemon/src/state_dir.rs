//! The state directory: everything that outlives the process, with one owner at a time.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use uuid::Uuid;

use crate::layout::{self, LayoutError};

/// Why a state directory cannot be used, with the mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateDirError {
    /// It cannot be made or written.
    #[error(
        "the state directory {path} cannot be used: {source}; choose another one with --state-dir or mend its permissions"
    )]
    Unusable {
        /// The directory or a file in it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another daemon works in it.
    #[error(
        "another reveille daemon{holder} works in {path}; stop that one, or choose another directory with --state-dir"
    )]
    Taken {
        /// The directory.
        path: PathBuf,
        /// Its process, when known.
        holder: String,
    },
    /// It is not as this version knows it.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// See [`StateDir::sandbox`].
const SANDBOX: &str = "sandbox";

/// How long a start waits for the last process of an earlier daemon, and the pause between two looks. Such a process needs
/// some microseconds, and seconds only where a machine has far too much to do.
const PATIENCE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(5);

/// What a running daemon tells about itself in `daemon.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DaemonFile {
    /// Where it serves.
    pub(crate) url: String,
    /// Its process.
    pub(crate) pid: u32,
    /// Its version.
    pub(crate) version: String,
    /// Since when.
    pub(crate) started_at: Timestamp,
}

/// Finds the state directory: the option, then `REVEILLE_STATE_DIR`, `PARACHUTE_AGENT_STATE_DIR` and its older name, the home of
/// the hub where that is said (what works beside one hub keeps off another one), the XDG state directory, and
/// `~/.local/state/reveille`.
#[must_use]
pub(crate) fn locate(option: Option<&Path>, variable: impl Fn(&str) -> Option<String>) -> PathBuf {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let chosen = option
        .map(Path::to_owned)
        .or_else(|| set("REVEILLE_STATE_DIR"))
        .or_else(|| set("PARACHUTE_AGENT_STATE_DIR"))
        .or_else(|| set("PARACHUTE_CHANNEL_STATE_DIR"))
        .or_else(|| set("PARACHUTE_HOME").map(|dir| dir.join("reveille")))
        .or_else(|| set("XDG_STATE_HOME").map(|dir| dir.join("reveille")))
        .unwrap_or_else(|| {
            set("HOME")
                .unwrap_or_else(|| PathBuf::from("/"))
                .join(".local/state/reveille")
        });
    std::path::absolute(&chosen).unwrap_or(chosen)
}

/// Makes a directory with mode 0700, parents included.
///
/// # Errors
/// Those of the file system.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file with mode 0600 so that a reader sees the old or the new content, never a part.
///
/// # Errors
/// Those of the file system.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let file = private_beside(dir, content)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(dir)?.sync_all()
}

fn private_beside(dir: &Path, content: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(dir)?;
    file.write_all(content)?;
    Ok(file)
}

/// 256 random bits as text.
#[must_use]
pub(crate) fn secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// 32 random bytes.
#[must_use]
pub(crate) fn random_bytes() -> [u8; 32] {
    // The digest of more than 256 random bits is as good as as many random ones.
    Sha256::digest(format!("{}{}", secret(), Uuid::new_v4().simple())).into()
}

/// 32 random bytes in 43 characters of base64url.
#[must_use]
pub(crate) fn secret_bytes() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes())
}

/// A state directory that this process owns until it ends.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    instance: String,
    token: String,
    /// Holds the lock.
    _lock: File,
}

impl StateDir {
    /// Takes the directory: makes it, locks it, brings it to the present layout, and makes the admin token and the instance's
    /// name when they are not there.
    ///
    /// # Errors
    /// [`StateDirError`].
    pub(crate) async fn take(path: &Path) -> Result<Self, StateDirError> {
        let unusable = |at: &Path| {
            let at = at.to_owned();
            move |source| StateDirError::Unusable { path: at, source }
        };
        private_dir(path).map_err(unusable(path))?;
        let lock_path = path.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(unusable(&lock_path))?;
        own(&lock, path, &lock_path).await?;
        // Before anything in it is touched.
        layout::bring_forward(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(unusable(path))?;
        private_dir(&path.join("conversations")).map_err(unusable(path))?;
        private_dir(&path.join("vaults")).map_err(unusable(path))?;
        // What an earlier daemon has left there serves nobody any more.
        let sandbox = path.join(SANDBOX);
        match fs::remove_dir_all(&sandbox) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(&sandbox)(error)),
            _ => private_dir(&sandbox).map_err(unusable(&sandbox))?,
        }
        let token = stored(&path.join("token"), secret).map_err(unusable(&path.join("token")))?;
        // Bound to the directory itself: the children of a copy are not ours.
        let own = fs::metadata(path).map_err(unusable(path))?;
        let instance =
            stored(&path.join("instance"), || Uuid::new_v4().to_string()).map_err(unusable(&path.join("instance")))?;
        Ok(Self {
            path: path.to_owned(),
            instance: format!("{instance}.{:x}.{:x}", own.dev(), own.ino()),
            token,
            _lock: lock,
        })
    }

    /// The directory.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// For what sandboxes need of ours while the daemon runs; empty when it starts.
    #[must_use]
    pub(crate) fn sandbox(&self) -> PathBuf {
        self.path.join(SANDBOX)
    }

    /// Marks the children of this state directory's daemons, whichever process runs them.
    #[must_use]
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    /// The admin token.
    #[must_use]
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Tells where this daemon serves.
    ///
    /// # Errors
    /// [`StateDirError::Unusable`].
    pub(crate) fn announce(&self, daemon: &DaemonFile) -> Result<(), StateDirError> {
        let path = self.path.join("daemon.json");
        let text = serde_json::to_vec_pretty(daemon).unwrap_or_default(); // silent-ok: four plain fields always serialise
        // Not for good: after a crash of the machine nobody serves there, whatever has come of the file.
        let written = private_beside(&self.path, &text)
            .and_then(|file| file.persist(&path).map(drop).map_err(|error| error.error));
        written.map_err(|source| StateDirError::Unusable { path, source })
    }

    /// Takes the announcement back.
    pub(crate) fn withdraw(&self) {
        if let Err(error) = fs::remove_file(self.path.join("daemon.json")) {
            tracing::debug!(%error, "daemon.json was gone already");
        }
    }
}

/// Waits until nobody else has the lock, unless that is a daemon which says that it works here.
///
/// A child has its daemon's open files until it executes its program, the lock among them. When the daemon is killed just
/// then, the child is the last who holds it, and cannot be found by what marks our children before it lets go. So whoever has
/// the lock knows that all children of the daemons before it can be found.
async fn own(lock: &File, path: &Path, lock_path: &Path) -> Result<(), StateDirError> {
    let end = Instant::now() + PATIENCE;
    let mut told = false;
    loop {
        match flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) => {}
            Err(Errno::INTR) => continue,
            Err(errno) => {
                return Err(StateDirError::Unusable {
                    path: lock_path.to_owned(),
                    source: errno.into(),
                });
            }
        }
        // A process in a container may have the very id that the one before it had.
        let holder = running_daemon(path).filter(|daemon| daemon.pid != std::process::id());
        if holder.is_some() || Instant::now() >= end {
            return Err(StateDirError::Taken {
                path: path.to_owned(),
                holder: holder.map_or(String::new(), |daemon| {
                    format!(" (process {}, {})", daemon.pid, daemon.url)
                }),
            });
        }
        if !told {
            tracing::info!(patience = ?PATIENCE, "a process of an earlier daemon is still there; waiting for it");
            told = true;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The content of a one-line file, made when it is not there.
fn stored(path: &Path, make: impl FnOnce() -> String) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Ok(_) => fresh(path, make()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => fresh(path, make()),
        Err(error) => Err(error),
    }
}

fn fresh(path: &Path, text: String) -> io::Result<String> {
    write_private(path, format!("{text}\n").as_bytes())?;
    Ok(text)
}

/// The daemon that runs in a state directory, if it has announced itself and its process is there. A crash leaves the
/// announcement behind; whoever has its port now must not be taken for it.
#[must_use]
pub(crate) fn running_daemon(path: &Path) -> Option<DaemonFile> {
    let text = fs::read(path.join("daemon.json")).ok()?; // silent-ok: no announcement is the answer `None`
    let daemon: DaemonFile = serde_json::from_slice(&text).ok()?; // silent-ok: nor is one that cannot be read
    let pid = Pid::from_raw(i32::try_from(daemon.pid).ok()?)?; // silent-ok: no such process can be
    test_kill_process(pid).is_ok().then_some(daemon)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_found_in_the_documented_order() {
        let all = [
            ("REVEILLE_STATE_DIR", "/a"),
            ("PARACHUTE_AGENT_STATE_DIR", "/b"),
            ("PARACHUTE_CHANNEL_STATE_DIR", "/bc"),
            ("PARACHUTE_HOME", "/bh"),
            ("XDG_STATE_HOME", "/c"),
            ("HOME", "/d"),
        ];
        let find = |from: usize, option: Option<&str>| {
            let variables = &all[from..];
            let variable = |name: &str| variables.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned());
            locate(option.map(Path::new), variable).display().to_string()
        };
        assert_eq!(find(0, Some("/o")), "/o");
        assert_eq!(find(0, None), "/a");
        assert_eq!(find(1, None), "/b");
        assert_eq!(find(2, None), "/bc");
        assert_eq!(find(3, None), "/bh/reveille");
        assert_eq!(find(4, None), "/c/reveille");
        assert_eq!(find(5, None), "/d/.local/state/reveille");
    }

    #[tokio::test]
    async fn a_directory_has_one_owner_and_keeps_its_secrets() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let first = StateDir::take(&path).await.unwrap();
        // Nobody waits for a daemon that is known to live.
        let running = DaemonFile {
            url: "http://127.0.0.1:1".to_owned(),
            pid: std::os::unix::process::parent_id(),
            version: String::new(),
            started_at: Timestamp::UNIX_EPOCH,
        };
        first.announce(&running).unwrap();
        let taken = StateDir::take(&path).await.unwrap_err().to_string();
        let told = format!("another reveille daemon (process {}, http://127.0.0.1:1)", running.pid);
        assert!(taken.contains(&told), "{taken}");
        let (token, instance) = (first.token().to_owned(), first.instance().to_owned());
        drop(first);
        let again = StateDir::take(&path).await.unwrap();
        assert_eq!((again.token(), again.instance()), (token.as_str(), instance.as_str()));
        let mode = |name: &str| fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(""), mode("token"), mode("instance"), mode("lock")),
            (0o700, 0o600, 0o600, 0o600)
        );
    }

    #[tokio::test]
    async fn a_copy_of_a_directory_is_another_instance() {
        let dir = tempfile::tempdir().unwrap();
        let (path, copy) = (dir.path().join("state"), dir.path().join("copy"));
        let original = StateDir::take(&path).await.unwrap();
        private_dir(&copy).unwrap();
        for file in ["instance", "token"] {
            fs::copy(path.join(file), copy.join(file)).unwrap();
        }
        let copied = StateDir::take(&copy).await.unwrap();
        assert_eq!(copied.token(), original.token());
        assert_ne!(copied.instance(), original.instance());
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = StateDir::take(&file.join("state")).await.unwrap_err().to_string();
        assert!(
            error.contains("cannot be used") && error.contains("--state-dir"),
            "{error}"
        );
    }
}
