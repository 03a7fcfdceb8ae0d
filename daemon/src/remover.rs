//! Removes what an agent has left, however deep it has nested it: with two open directories and no recursion.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, open, openat, renameat, unlinkat};
use rustix::io::Errno;
use uuid::Uuid;

/// Never through a link.
const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Names that are held at a time.
const BATCH: usize = 10_000;
/// Entries that one call looks at: somebody may make them as fast as they go.
const ENTRIES_MAX: usize = 10_000_000;

/// Removes a directory with all that is in it; links go themselves. The directory above must be out of the reach of agents.
///
/// # Errors
/// Those of the file system. What is left is whole, and can be removed another time.
pub(crate) fn remove_tree(dir: &Path) -> io::Result<()> {
    let top = open(dir, DIRECTORY, Mode::empty())?;
    let mut left = ENTRIES_MAX;
    loop {
        let names = names(&top)?;
        if names.is_empty() {
            break;
        }
        for name in &names {
            if !unlink(&top, name)? {
                flatten(&top, name, &mut left)?;
            }
            spend(&mut left)?;
        }
    }
    std::fs::remove_dir(dir)
}

fn spend(left: &mut usize) -> io::Result<()> {
    *left = left
        .checked_sub(1)
        .ok_or_else(|| io::Error::other("there is too much in it for one time"))?;
    Ok(())
}

/// Removes a directory in `top`. Directories in it are moved to `top` itself, where their time comes.
fn flatten(top: &OwnedFd, name: &OsStr, left: &mut usize) -> io::Result<()> {
    let dir = match openat(top, name, DIRECTORY, Mode::empty()) {
        Ok(dir) => dir,
        // It has become something else; the next look sees what.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::MLINK) => return Ok(()),
        Err(errno) => return Err(errno.into()),
    };
    loop {
        let names = names(&dir)?;
        if names.is_empty() {
            break;
        }
        for inner in &names {
            if !unlink(&dir, inner)? {
                renameat(&dir, inner, top, Uuid::new_v4().simple().to_string())?;
            }
            spend(left)?;
        }
    }
    match unlinkat(top, name, AtFlags::REMOVEDIR) {
        // Somebody writes there still; the next look sees what.
        Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Removes what is no directory. `false`: it is one.
fn unlink(dir: &OwnedFd, name: &OsStr) -> io::Result<bool> {
    match unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        // The second is what some systems say of a directory.
        Err(errno @ (Errno::ISDIR | Errno::PERM)) => match openat(dir, name, DIRECTORY, Mode::empty()) {
            Ok(_) => Ok(false),
            Err(_) if errno == Errno::ISDIR => Ok(false), // silent-ok: it is told when it is to be looked into
            Err(_) => Err(errno.into()),
        },
        Err(errno) => Err(errno.into()),
    }
}

/// Some names in a directory; none: it is empty.
fn names(dir: impl AsFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = CString::from(entry?.file_name());
        if ![b".".as_slice(), b".."].contains(&name.as_bytes()) {
            names.push(OsStr::from_bytes(name.as_bytes()).to_owned());
        }
        if names.len() == BATCH {
            break;
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::mkdirat;

    use super::*;

    /// Nests directories so deep that nothing can hold them all open, and no stack has room for them.
    fn nest(dir: &Path, depth: usize) {
        let mut at = open(dir, DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..depth {
            mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = openat(&at, "d", DIRECTORY, Mode::empty()).unwrap();
        }
        mkdirat(&at, "leaf", Mode::RWXU).unwrap();
    }

    #[test]
    fn no_depth_is_too_deep() {
        let dir = tempfile::tempdir().unwrap();
        let old = dir.path().join("old");
        std::fs::create_dir(&old).unwrap();
        nest(&old, 20_000);
        remove_tree(&old).unwrap();
        assert!(!old.exists());
    }

    #[test]
    fn links_go_themselves_and_what_they_lead_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("old/a/b")).unwrap();
        std::fs::create_dir_all(at("own")).unwrap();
        for file in ["own/kept", "old/f", "old/a/f", "old/a/b/f"] {
            std::fs::write(at(file), "").unwrap();
        }
        for link in ["old/link", "old/a/link", "old/a/b/link"] {
            symlink(at("own"), at(link)).unwrap();
        }
        symlink(at("own"), at("itself")).unwrap();
        remove_tree(&at("old")).unwrap();
        assert!(!at("old").exists() && at("own/kept").exists());
        assert!(remove_tree(&at("itself")).is_err() && at("own/kept").exists());
        assert!(remove_tree(&at("none")).is_err());
    }
}
