//! Files of the folder: how they are told apart, read, and replaced whole.
//!
//! A write goes to a file of its own in the same directory, is synced, and takes the place of the note's file in one step. So
//! a crash leaves the old file or the new one, and whoever watches the folder never sees a half. What is replaced is looked at
//! once more after it was swapped out: an edit that nobody has read yet is put back.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use rustix::fs::{CWD, OFlags, RenameFlags};
use rustix::io::Errno;

/// Names of files that are being written: hidden, so that nobody takes them for notes.
const TEMPORARY: (&str, &str) = (".reveille-", ".tmp");

/// What tells two states of a file apart without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) inode: u64,
    pub(super) size: u64,
    /// Nanoseconds since 1970, as the others.
    pub(super) modified: i64,
    /// Of anything, the name included.
    pub(super) changed: i64,
    /// 0 where the file system does not keep it.
    pub(super) born: i64,
}

impl Meta {
    fn of(meta: &fs::Metadata) -> Self {
        // silent-ok: not every file system knows when a file was made
        let born = meta.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let ns = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            inode: meta.ino(),
            size: meta.len(),
            modified: ns(meta.mtime(), meta.mtime_nsec()),
            changed: ns(meta.ctime(), meta.ctime_nsec()),
            born: born.map_or(0, |born| i64::try_from(born.as_nanos()).unwrap_or(0)),
        }
    }

    /// The same bytes as far as can be told: a rename changes nothing of this.
    pub(super) fn same_bytes(&self, other: &Self) -> bool {
        (self.inode, self.size, self.modified) == (other.inode, other.size, other.modified)
    }

    /// The same file, whatever it is called and whatever is in it. Inodes are used again, times of birth are not.
    pub(super) fn same_file(&self, other: &Self) -> bool {
        self.inode == other.inode && self.born == other.born && self.born != 0
    }

    /// When it was changed last.
    pub(super) fn modified_at(&self) -> Timestamp {
        time(self.modified)
    }

    /// When it was made, or changed first as far as is known.
    pub(super) fn born_at(&self) -> Timestamp {
        time(if self.born == 0 {
            self.modified
        } else {
            self.born.min(self.modified)
        })
    }

    /// Since how long it has been as it is. A time in the future counts as long ago: the clock that made it was another one.
    pub(super) fn quiet_for(&self) -> Duration {
        let modified = u64::try_from(self.modified).map_or(UNIX_EPOCH, |ns| UNIX_EPOCH + Duration::from_nanos(ns));
        SystemTime::now().duration_since(modified).unwrap_or(Duration::MAX)
    }
}

fn time(ns: i64) -> Timestamp {
    Timestamp::from_nanosecond(ns.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// What is under a name.
#[derive(Debug)]
pub(super) enum Look {
    Missing,
    File(Meta),
    Dir,
    Link,
    /// A pipe, a device.
    Other,
}

/// Looks without following a link.
pub(super) fn look(path: &Path) -> io::Result<Look> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => Ok(Look::File(Meta::of(&meta))),
        Ok(meta) if meta.is_dir() => Ok(Look::Dir),
        Ok(meta) if meta.is_symlink() => Ok(Look::Link),
        Ok(_) => Ok(Look::Other),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Look::Missing)
        }
        Err(error) => Err(error),
    }
}

/// Why a file was not read.
#[derive(Debug)]
pub(super) enum Unread {
    /// It was written while it was read.
    Changing,
    /// More bytes than a note may have.
    TooLarge,
    /// Not UTF-8.
    NoText,
    Io(io::Error),
}

/// Reads a file whole.
pub(super) fn read(path: &Path, max: u64) -> Result<(Meta, String), Unread> {
    let io = Unread::Io;
    let no_follow = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(no_follow)
        .open(path)
        .map_err(io)?;
    let before = Meta::of(&file.metadata().map_err(io)?);
    if before.size > max {
        return Err(Unread::TooLarge);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.size).unwrap_or(0));
    (&file).take(max + 1).read_to_end(&mut bytes).map_err(io)?;
    let after = Meta::of(&file.metadata().map_err(io)?);
    if after != before || bytes.len() as u64 != after.size {
        return Err(Unread::Changing);
    }
    String::from_utf8(bytes)
        .map(|text| (after, text))
        .map_err(|_bytes| Unread::NoText)
}

/// A file that is written and synced under a name of its own. Dropped: it is gone.
pub(super) struct Temporary {
    path: PathBuf,
    file: File,
    /// Its time of change, as it was set.
    modified: SystemTime,
    size: u64,
    /// It has taken its place.
    placed: bool,
}

impl Temporary {
    /// Writes `text` into a new file in `dir`. `like`: the file whose permissions it shall have.
    pub(super) fn write(dir: &Path, text: &str, modified: Timestamp, like: Option<&Path>) -> io::Result<Self> {
        let (before, after) = TEMPORARY;
        let path = dir.join(format!("{before}{}{after}", uuid::Uuid::now_v7()));
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        let temporary = Self {
            path,
            file,
            modified: SystemTime::from(modified),
            size: text.len() as u64,
            placed: false,
        };
        (&temporary.file).write_all(text.as_bytes())?;
        if let Some(like) = like {
            let mode = fs::metadata(like)?.permissions().mode() & 0o777;
            temporary.file.set_permissions(fs::Permissions::from_mode(mode))?;
        }
        temporary
            .file
            .set_times(FileTimes::new().set_modified(temporary.modified))?;
        temporary.file.sync_all()?;
        Ok(temporary)
    }

    /// Where it is until it has taken its place.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it a name that must be free. `false`: it is not, and nothing has happened.
    pub(super) fn place(&mut self, target: &Path) -> io::Result<bool> {
        let placed = rename_to_free(&self.path, target)?;
        self.placed |= placed;
        Ok(placed)
    }

    /// Takes the place of the file `target` when that is still as in `expected`. `false`: it is not, and it was left so.
    pub(super) fn replace(&mut self, target: &Path, expected: &Meta) -> io::Result<bool> {
        match look(target)? {
            Look::File(meta) if meta == *expected => {}
            _ => return Ok(false),
        }
        match exchange(&self.path, target) {
            Ok(()) => {}
            // Without the swap there is a moment between the look and the rename, too short for an editor.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                fs::rename(&self.path, target)?;
                self.placed = true;
                return Ok(true);
            }
            Err(Errno::NOENT) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        // The old file has our name now.
        if matches!(look(&self.path)?, Look::File(old) if old.same_bytes(expected)) {
            fs::remove_file(&self.path)?;
            self.placed = true;
            return Ok(true);
        }
        // Somebody was faster: his goes back.
        exchange(&self.path, target)?;
        if !matches!(look(&self.path)?, Look::File(meta) if meta.inode == self.meta()?.inode) {
            // And somebody was faster again. Whatever that is, it is kept beside.
            keep_beside(&self.path, target)?;
            self.placed = true;
        }
        Ok(false)
    }

    /// How it stands on the disk. `None`: somebody has written to it already.
    pub(super) fn untouched(&self) -> io::Result<Option<Meta>> {
        let meta = self.meta()?;
        let set = SystemTime::from(time(meta.modified));
        Ok((set == self.modified && meta.size == self.size).then_some(meta))
    }

    fn meta(&self) -> io::Result<Meta> {
        Ok(Meta::of(&self.file.metadata()?))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.placed
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(%error, file = %self.path.display(), "a temporary file stays until the next start");
        }
    }
}

/// Renames to a name that must be free. `false`: it is taken.
pub(super) fn rename_to_free(from: &Path, to: &Path) -> io::Result<bool> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => return Ok(true),
        Err(Errno::EXIST) => return Ok(false),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        Err(error) => return Err(error.into()),
    }
    // A file system that cannot do that in one step: the name is taken first.
    match OpenOptions::new().write(true).create_new(true).open(to) {
        Ok(_) => fs::rename(from, to).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn exchange(one: &Path, other: &Path) -> Result<(), Errno> {
    rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)
}

/// Gives a file its name, or one beside it when that is taken.
pub(super) fn place_beside(file: &Path, target: &Path) -> io::Result<()> {
    if rename_to_free(file, target)? {
        Ok(())
    } else {
        keep_beside(file, target)
    }
}

/// Gives a file a free name beside `target`.
fn keep_beside(file: &Path, target: &Path) -> io::Result<()> {
    let stem = target.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let now = Timestamp::now().strftime("%Y-%m-%d %H%M%S").to_string();
    for number in 1..1_000 {
        let name = target.with_file_name(format!("{stem} (conflict {now} {number}).md"));
        if rename_to_free(file, &name)? {
            tracing::warn!(file = %name.display(), "an edit that came at the moment of a write was kept beside the note");
            return Ok(());
        }
    }
    Err(io::Error::other("no name is free"))
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Whether a name is one of a file that was being written.
pub(super) fn is_temporary(name: &str) -> bool {
    let (before, after) = TEMPORARY;
    let id = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    id.is_some_and(|id| uuid::Uuid::try_parse(id).is_ok())
}

/// Whether the program may make files in a directory.
pub(super) fn may_write(dir: &Path) -> Result<(), Errno> {
    rustix::fs::access(dir, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
}

/// Which directory a path leads to, whatever it is called.
pub(super) fn identity(dir: &Path) -> io::Result<(u64, u64)> {
    let meta = fs::metadata(dir)?;
    if meta.is_dir() {
        Ok((meta.dev(), meta.ino()))
    } else {
        Err(io::Error::new(io::ErrorKind::NotADirectory, "it is no directory"))
    }
}
