//! The settings of the system that agents see. What would be two dozen files to make at each start is made once, in a
//! directory of the daemon's, and mounted as a whole until one of them changes.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::Version;
use super::mounts::Mounts;

/// Where they are.
pub(super) const PLACE: &str = "/etc";
/// Directories that are kept for the next start: agents may differ in what is hidden from them.
const KEPT: usize = 8;

/// What is at a place below [`PLACE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// What a file holds outside, as it was when it was looked at.
    Copy(Version),
    /// A link; holds where it leads.
    Link(PathBuf),
    /// Where a directory is mounted.
    Directory,
    /// Where a file is mounted.
    File,
}

/// What is below [`PLACE`], by whole paths.
pub(super) type Entries = BTreeMap<PathBuf, Entry>;

/// The directories that were made.
#[derive(Debug)]
pub(super) struct Settings {
    scratch: PathBuf,
    made: Mutex<VecDeque<Arc<Made>>>,
}

/// A directory that goes with its last user.
#[derive(Debug)]
pub(super) struct Made {
    dir: tempfile::TempDir,
    entries: Entries,
}

impl Settings {
    /// None yet; they will be made in `scratch`.
    pub(super) fn new(scratch: PathBuf) -> Self {
        Self {
            scratch,
            made: Mutex::default(),
        }
    }

    /// Takes what can be copied out of `mounts`, and mounts a directory with all of it instead. `None` when there is nothing.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub(super) fn gather(&self, mounts: &mut Mounts) -> io::Result<Option<Arc<Made>>> {
        let entries = mounts.take_settings();
        if entries.is_empty() {
            return Ok(None);
        }
        let made = self.with(entries)?;
        mounts.put_settings(made.dir.path());
        Ok(Some(made))
    }

    fn with(&self, entries: Entries) -> io::Result<Arc<Made>> {
        let mut all = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().position(|made| made.entries == entries);
        let made = match known.and_then(|at| all.remove(at)) {
            Some(made) if made.dir.path().is_dir() => made,
            _ => Arc::new(Made::make(&self.scratch, entries)?),
        };
        all.truncate(KEPT - 1);
        all.push_front(Arc::clone(&made));
        Ok(made)
    }
}

impl Made {
    fn make(scratch: &Path, entries: Entries) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("etc-").tempdir_in(scratch)?;
        for (path, entry) in &entries {
            // All are below it; see `Mounts::take_settings`.
            let Ok(inside) = path.strip_prefix(PLACE) else { continue };
            let to = dir.path().join(inside);
            if let Some(above) = to.parent() {
                fs::create_dir_all(above)?;
            }
            match entry {
                Entry::Copy(_) => {
                    fs::write(&to, fs::read(path)?)?;
                    fs::set_permissions(&to, fs::Permissions::from_mode(0o444))?;
                }
                Entry::Link(target) => symlink(target, &to)?,
                Entry::Directory => fs::create_dir_all(&to)?,
                Entry::File => fs::write(&to, "")?,
            }
        }
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        Ok(Self { dir, entries })
    }

    /// The files that were copied.
    pub(super) fn copies(&self) -> impl Iterator<Item = &PathBuf> {
        let is_copy = |entry: &Entry| matches!(entry, Entry::Copy(_));
        self.entries
            .iter()
            .filter(move |(_, entry)| is_copy(entry))
            .map(|(path, _)| path)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn entries(version: u64) -> Entries {
        let at = |name: &str| Path::new(PLACE).join(name);
        BTreeMap::from([
            (at("passwd"), Entry::Copy(Version(0, 0, version, 0, 0))),
            (at("deep/link"), Entry::Link("../passwd".into())),
            (at("certs"), Entry::Directory),
            (at("one/file"), Entry::File),
        ])
    }

    #[test]
    fn a_directory_is_made_once_and_again_after_a_change_and_goes_with_its_last_user() {
        let scratch = tempfile::tempdir().unwrap();
        let settings = Settings::new(scratch.path().into());
        let first = settings.with(entries(1)).unwrap();
        let path = first.dir.path().to_owned();
        let text = fs::read(path.join("deep/link")).unwrap();
        assert_eq!(text, fs::read("/etc/passwd").unwrap());
        assert!(path.join("certs").is_dir() && path.join("one/file").is_file());
        assert!(Arc::ptr_eq(&first, &settings.with(entries(1)).unwrap()));
        for version in 2..=(KEPT as u64 + 1) {
            let other = settings.with(entries(version)).unwrap();
            assert!(!Arc::ptr_eq(&first, &other));
        }
        // Nobody keeps it for another start, but a program still sees it.
        assert!(path.is_dir());
        drop(first);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), KEPT);
        // Somebody has tidied up.
        let last = settings.with(entries(2)).unwrap();
        fs::remove_dir_all(last.dir.path()).unwrap();
        let again = settings.with(entries(2)).unwrap();
        assert!(again.dir.path().join("passwd").is_file());
        drop(settings);
        drop((last, again));
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    }
}
