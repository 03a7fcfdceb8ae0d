//! Directories that an agent can write in. Whatever it has put in the place of a file there, the daemon neither follows it out,
//! nor waits for it, nor reads without end.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, chmodat, fchmod, fstat, fsync, mkdirat, open, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use uuid::Uuid;

/// Never through a link.
const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// A pipe without a writer must not hold anybody up.
const READ: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const NEW: OFlags = OFlags::CREATE
    .union(OFlags::EXCL)
    .union(OFlags::WRONLY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// An open directory. Names are those of its entries, never paths.
#[derive(Debug)]
pub struct AgentDir(OwnedFd);

/// What `open` says when a link, a socket, or a file where a directory is wanted is in the place.
fn is_something_else(errno: Errno) -> bool {
    [Errno::LOOP, Errno::MLINK, Errno::NOTDIR, Errno::NXIO].contains(&errno)
}

impl AgentDir {
    /// The directory at a path, whose parent must be out of the reach of agents.
    ///
    /// # Errors
    /// Those of the file system; a link is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(open(path, DIRECTORY, Mode::empty())?))
    }

    /// A directory in it; `None` when there is no directory of this name.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn existing(&self, name: impl AsRef<OsStr>) -> io::Result<Option<Self>> {
        match openat(&self.0, name.as_ref(), DIRECTORY, Mode::empty()) {
            Ok(dir) => Ok(Some(Self(dir))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) if is_something_else(errno) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// A directory in it, made (0700) when it is not there. What is there instead goes aside, and one whose mode keeps its owner
    /// out is opened again.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn make(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        let name = name.as_ref();
        for _ in 0..2 {
            match mkdirat(&self.0, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
            match openat(&self.0, name, DIRECTORY, Mode::empty()) {
                Ok(dir) => return Self(dir).with_access(),
                // Its own mode forbids it, and it belongs to us.
                Err(Errno::ACCESS) if self.kind(name)? == Some(FileType::Directory) => {
                    chmodat(&self.0, name, Mode::RWXU, AtFlags::empty())?;
                }
                Err(errno) if is_something_else(errno) => self.put_aside(name)?,
                Err(errno) => return Err(errno.into()),
            }
        }
        Self(openat(&self.0, name, DIRECTORY, Mode::empty())?).with_access()
    }

    /// For its owner. Who is root gets in anyway, but its children do not.
    fn with_access(self) -> io::Result<Self> {
        let mode = Mode::from_raw_mode(fstat(&self.0)?.st_mode);
        if !mode.contains(Mode::RWXU) {
            fchmod(&self.0, mode | Mode::RWXU)?;
        }
        Ok(self)
    }

    /// Names in it, `most` at most.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn names(&self, most: usize) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if names.len() == most {
                break;
            }
            names.push(OsStr::from_bytes(name).to_owned());
        }
        Ok(names)
    }

    fn kind(&self, name: &OsStr) -> io::Result<Option<FileType>> {
        match statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether anything has this name, also a link that leads nowhere.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn has(&self, name: impl AsRef<OsStr>) -> io::Result<bool> {
        Ok(self.kind(name.as_ref())?.is_some())
    }

    /// Bytes of a file; `None` when there is no file of this name.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn size(&self, name: impl AsRef<OsStr>) -> io::Result<Option<u64>> {
        match statat(&self.0, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                Ok(u64::try_from(stat.st_size).ok()) // silent-ok: no file has fewer than no bytes
            }
            Ok(_) | Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// A file, to be read; `None` when there is no file of this name.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn file(&self, name: impl AsRef<OsStr>) -> io::Result<Option<File>> {
        let file = match openat(&self.0, name.as_ref(), READ, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) if is_something_else(errno) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        Ok(file.metadata()?.is_file().then_some(file))
    }

    /// What is in a file; `None` when there is no file of this name, or one of more than `most` bytes.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn read(&self, name: impl AsRef<OsStr>, most: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.file(name)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        let read = file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(u64::try_from(read).is_ok_and(|read| read <= most).then_some(bytes))
    }

    /// Puts a file (0600) in the place of whatever has this name, whole or not at all; it is on disk when this returns.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> io::Result<()> {
        let name = name.as_ref();
        let new = format!(".new-{}", Uuid::new_v4().simple());
        let written = self.write_new(&new, bytes).and_then(|()| self.take_place(&new, name));
        if written.is_err() {
            // silent-ok: what matters has failed already.
            let _ = unlinkat(&self.0, &new, AtFlags::empty());
        }
        written
    }

    /// A new file (0600), to be written, in the place of whatever has this name. Nothing of it is on disk yet.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let name = name.as_ref();
        self.remove(name)?;
        Ok(File::from(openat(&self.0, name, NEW, Mode::RUSR | Mode::WUSR)?))
    }

    /// Which names there are in it is on disk when this returns.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn sync(&self) -> io::Result<()> {
        Ok(fsync(&self.0)?)
    }

    fn write_new(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.create(name)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn take_place(&self, new: &str, name: &OsStr) -> io::Result<()> {
        match renameat(&self.0, new, &self.0, name) {
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
                self.put_aside(name)?;
                renameat(&self.0, new, &self.0, name)?;
            }
            renamed => renamed?,
        }
        Ok(fsync(&self.0)?)
    }

    /// Removes a file, or what is there instead of one; a directory goes aside.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remove(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        let name = name.as_ref();
        match unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            // The second is what some systems say of a directory.
            Err(Errno::ISDIR | Errno::PERM) if self.kind(name)? == Some(FileType::Directory) => self.put_aside(name),
            Err(errno) => Err(errno.into()),
        }
    }

    /// What is in the way gets another name: it is the agent's, and nobody else looks at it.
    fn put_aside(&self, name: &OsStr) -> io::Result<()> {
        let aside = format!(".put-aside-{}", Uuid::new_v4().simple());
        tracing::warn!(?name, aside, "something that is no file of ours was in its place");
        Ok(renameat(&self.0, name, &self.0, &aside)?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use pretty_assertions::assert_eq;
    use rustix::fs::{CWD, mknodat};

    use super::*;

    /// A directory with one of everything that an agent can plant, and the names of those that are no files.
    fn planted(dir: &Path) -> [&'static str; 6] {
        let own = dir.join("dir");
        std::fs::create_dir(&own).unwrap();
        std::fs::write(dir.join("secret"), "secret").unwrap();
        symlink(dir.join("secret"), own.join("link")).unwrap();
        symlink("nowhere", own.join("dangling")).unwrap();
        symlink("..", own.join("up")).unwrap();
        mknodat(CWD, own.join("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        std::fs::create_dir(own.join("full")).unwrap();
        std::fs::write(own.join("full/x"), "x").unwrap();
        std::os::unix::net::UnixListener::bind(own.join("socket")).unwrap();
        ["link", "dangling", "up", "pipe", "full", "socket"]
    }

    #[test]
    fn w_3_what_is_no_file_is_not_read_and_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let names = planted(dir.path());
        let own = AgentDir::open(&dir.path().join("dir")).unwrap();
        for name in names {
            assert!(own.file(name).unwrap().is_none(), "{name}");
            assert_eq!(own.read(name, 100).unwrap(), None, "{name}");
            assert_eq!(own.size(name).unwrap(), None, "{name}");
            assert_eq!(own.existing(name).unwrap().is_some(), name == "full", "{name}");
        }
        own.write("good", b"good").unwrap();
        assert_eq!(own.read("good", 4).unwrap().unwrap(), b"good");
        assert_eq!(own.read("good", 3).unwrap(), None);
        assert_eq!(own.size("good").unwrap(), Some(4));
        assert_eq!(own.read("none", 3).unwrap(), None);
        assert!(AgentDir::open(&dir.path().join("dir/up")).is_err());
    }

    #[test]
    fn w_3_a_file_takes_the_place_of_whatever_was_planted() {
        let dir = tempfile::tempdir().unwrap();
        let names = planted(dir.path());
        let path = dir.path().join("dir");
        let own = AgentDir::open(&path).unwrap();
        std::fs::hard_link(dir.path().join("secret"), path.join("hard")).unwrap();
        for name in names.into_iter().chain(["hard"]) {
            own.write(name, b"mine").unwrap();
            let meta = path.join(name).symlink_metadata().unwrap();
            assert!(meta.is_file() && meta.permissions().mode() & 0o777 == 0o600, "{name}");
            assert_eq!(own.read(name, 10).unwrap().unwrap(), b"mine", "{name}");
        }
        assert_eq!(std::fs::read(dir.path().join("secret")).unwrap(), b"secret");
    }

    #[test]
    fn w_3_a_directory_takes_the_place_of_whatever_was_planted() {
        let dir = tempfile::tempdir().unwrap();
        let names = planted(dir.path());
        let path = dir.path().join("dir");
        let own = AgentDir::open(&path).unwrap();
        std::fs::write(path.join("file"), "").unwrap();
        std::fs::create_dir(path.join("closed")).unwrap();
        std::fs::set_permissions(path.join("closed"), std::fs::Permissions::from_mode(0o0)).unwrap();
        for name in names.into_iter().chain(["file", "closed", "new"]) {
            own.make(name).unwrap().write("x", b"x").unwrap();
            let meta = path.join(name).symlink_metadata().unwrap();
            assert!(meta.is_dir() && meta.permissions().mode() & 0o700 == 0o700, "{name}");
        }
        assert!(!dir.path().join("x").exists());
    }

    #[test]
    fn w_3_what_is_removed_is_the_name_and_not_where_it_leads() {
        let dir = tempfile::tempdir().unwrap();
        let names = planted(dir.path());
        let own = AgentDir::open(&dir.path().join("dir")).unwrap();
        for name in names.into_iter().chain(["none"]) {
            own.remove(name).unwrap();
            assert_eq!(own.kind(name.as_ref()).unwrap(), None, "{name}");
        }
        assert!(dir.path().join("secret").exists());
        let left = own.names(10).unwrap();
        assert_eq!(left.len(), 1, "the directory went aside: {left:?}");
    }
}
