//! What is mounted where, and the arguments of bubblewrap that do it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::Version;
use super::settings::{self, Entries, Entry};
use crate::paths::{Resolved, resolve};

/// Bytes that one scratch directory in memory may take. Builds have a `TMPDIR` on disk.
const SCRATCH_BYTES: u64 = 512 * 1024 * 1024;

/// What is at a place inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mount {
    /// The same as outside.
    Host {
        /// Whether it can be written.
        writable: bool,
    },
    /// A link; holds where it leads.
    Link(PathBuf),
    /// An empty directory that can be written.
    Scratch,
    /// An empty directory that cannot.
    Empty,
    /// A secret: an empty directory, or a file that cannot be opened.
    Masked {
        /// Which of the two.
        directory: bool,
    },
    /// The sandbox's own processes.
    Proc,
    /// Harmless devices.
    Dev,
    /// A file of ours that is elsewhere outside.
    Other(PathBuf),
    /// A small file with what it holds outside. It goes into the directory of [`settings`].
    Copy(Version),
}

/// All mounts. A path is made after those that it is below, so that the longer one wins.
#[derive(Debug, Default)]
pub(super) struct Mounts(BTreeMap<PathBuf, Mount>);

impl Mounts {
    /// Puts something at a place, whatever was to be there.
    pub(super) fn put(&mut self, path: impl Into<PathBuf>, mount: Mount) {
        self.0.insert(path.into(), mount);
    }

    /// Shows what is there outside, with the links that lead there.
    pub(super) fn show(&mut self, found: Resolved, writable: bool) {
        let known = self.0.get(&found.real);
        if writable || !matches!(known, Some(Mount::Host { writable: true })) {
            self.put(found.real, Mount::Host { writable });
        }
        self.links(found.links);
    }

    /// The same, unless it can be seen already.
    pub(super) fn show_hidden(&mut self, found: Resolved) {
        if self.sees(&found.real) {
            self.links(found.links);
        } else {
            self.show(found, false);
        }
    }

    /// The same for a path that may not be there.
    pub(super) fn show_if_there(&mut self, path: &Path) {
        // silent-ok: what is not there for the daemon is not there for its children.
        if let Ok(found) = resolve(path) {
            self.show_hidden(found);
        }
    }

    /// The same for a file or directory of the system, of which a copy is as good.
    pub(super) fn show_copy(&mut self, path: &Path, masked: &[PathBuf]) {
        // silent-ok: as above.
        let Ok(found) = resolve(path) else { return };
        if masked.iter().any(|hidden| found.real.starts_with(hidden)) {
            return;
        }
        match small_file(&found.real) {
            Some(version) if !self.sees(&found.real) => {
                self.0.entry(found.real).or_insert(Mount::Copy(version));
                self.links(found.links);
            }
            _ => self.show_hidden(found),
        }
    }

    /// Takes out what is a copy or a link below the place of the settings, and tells with it where other mounts there will
    /// be: nothing can be made there afterwards. Nothing when there is no copy.
    pub(super) fn take_settings(&mut self) -> Entries {
        let below = |path: &Path| path.starts_with(settings::PLACE) && path != Path::new(settings::PLACE);
        if !self.0.values().any(|mount| matches!(mount, Mount::Copy(_))) {
            return Entries::new();
        }
        let entry = |path: &Path, mount: &Mount| match mount {
            Mount::Copy(version) => Entry::Copy(version.clone()),
            Mount::Link(target) => Entry::Link(target.clone()),
            Mount::Masked { directory: false } => Entry::File,
            Mount::Host { .. } if !path.is_dir() => Entry::File,
            Mount::Other(source) if !source.is_dir() => Entry::File,
            _ => Entry::Directory,
        };
        let found = self.0.iter().filter(|(path, _)| below(path));
        let entries = found.map(|(path, mount)| (path.clone(), entry(path, mount))).collect();
        self.0
            .retain(|path, mount| !below(path) || !matches!(mount, Mount::Copy(_) | Mount::Link(_)));
        entries
    }

    /// Mounts a directory with all of that.
    pub(super) fn put_settings(&mut self, dir: &Path) {
        self.put(settings::PLACE, Mount::Other(dir.to_owned()));
    }

    fn links(&mut self, links: Vec<(PathBuf, PathBuf)>) {
        for (at, target) in links {
            if !self.sees(&at) {
                self.0.entry(at).or_insert(Mount::Link(target));
            }
        }
    }

    /// Whether what is at a path outside can be seen inside.
    pub(super) fn sees(&self, path: &Path) -> bool {
        let nearest = path.ancestors().find_map(|at| self.0.get(at));
        matches!(nearest, Some(Mount::Host { .. }))
    }

    /// Puts an empty directory where there is a link and something is to be below it.
    pub(super) fn make_room(&mut self, path: &Path) {
        if matches!(self.0.get(path), Some(Mount::Link(_))) && self.shows_below(path) {
            self.put(path, Mount::Empty);
        }
    }

    fn shows_below(&self, path: &Path) -> bool {
        let after = (Bound::Excluded(path), Bound::Unbounded);
        let next = self.0.range::<Path, _>(after).next();
        next.is_some_and(|(below, _)| below.starts_with(path))
    }

    /// Hides paths. One that is a link leads to another that is hidden, and one that is not there is hidden by the second wall
    /// alone. One that cannot be seen anyway needs nothing, unless something below it is shown: then nothing must be made
    /// beside that.
    pub(super) fn mask(&mut self, paths: &[PathBuf]) {
        // Those above first: what is below a hidden one need not be hidden again.
        let mut sorted: Vec<_> = paths.iter().collect();
        sorted.sort();
        for path in sorted {
            // silent-ok: what cannot be looked at cannot be covered; the second wall hides it as well.
            let Some(meta) = path.symlink_metadata().ok().filter(|meta| !meta.is_symlink()) else {
                continue;
            };
            if self.sees(path) || self.shows_below(path) {
                let directory = meta.is_dir();
                self.put(path.clone(), Mount::Masked { directory });
            }
        }
    }

    /// The places that can be written, for the second wall.
    pub(super) fn writable(&self) -> impl Iterator<Item = &PathBuf> {
        let writable = |mount: &Mount| matches!(mount, Mount::Host { writable: true });
        self.0
            .iter()
            .filter(move |(_, mount)| writable(mount))
            .map(|(path, _)| path)
    }

    /// The places that hold something of the machine's to read.
    pub(super) fn readable(&self) -> impl Iterator<Item = &PathBuf> {
        let holds = |mount: &Mount| matches!(mount, Mount::Host { .. } | Mount::Other(_));
        self.0
            .iter()
            .filter(move |(_, mount)| holds(mount))
            .map(|(path, _)| path)
    }

    /// As arguments of bubblewrap.
    pub(super) fn args(&self) -> Vec<OsString> {
        let mut args = Vec::new();
        for (path, mount) in &self.0 {
            let to = path.as_os_str();
            let mut push = |parts: &[&std::ffi::OsStr]| args.extend(parts.iter().map(OsString::from));
            let size = SCRATCH_BYTES.to_string();
            match mount {
                Mount::Host { writable: true } => push(&["--bind".as_ref(), to, to]),
                Mount::Host { writable: false } => push(&["--ro-bind".as_ref(), to, to]),
                Mount::Other(source) => push(&["--ro-bind".as_ref(), source.as_ref(), to]),
                Mount::Link(target) => push(&["--symlink".as_ref(), target.as_ref(), to]),
                Mount::Proc => push(&["--proc".as_ref(), to]),
                Mount::Dev => push(&["--dev".as_ref(), to]),
                Mount::Masked { directory: false } => push(&["--ro-bind".as_ref(), "/dev/null".as_ref(), to]),
                Mount::Scratch => push(&[
                    "--perms".as_ref(),
                    "1777".as_ref(),
                    "--size".as_ref(),
                    size.as_ref(),
                    "--tmpfs".as_ref(),
                    to,
                ]),
                Mount::Empty | Mount::Masked { directory: true } => push(&["--tmpfs".as_ref(), to]),
                // Taken out before; one that was not is not shown.
                Mount::Copy(_) => {}
            }
        }
        args
    }

    /// What comes last: until here the places of other mounts were made in these.
    pub(super) fn seals(&self) -> Vec<OsString> {
        let sealed = self
            .0
            .iter()
            .filter(|(_, mount)| matches!(mount, Mount::Empty | Mount::Masked { directory: true } | Mount::Dev));
        std::iter::once(Path::new("/"))
            .chain(sealed.map(|(path, _)| path.as_path()))
            .flat_map(|path| ["--remount-ro".into(), path.into()])
            .collect()
    }
}

/// Bytes of a file that is copied instead of shown.
const COPY_BYTES: u64 = 128 * 1024;

/// A file that is copied instead of mounted: one that is small, can be read, and lies where the settings are.
fn small_file(path: &Path) -> Option<Version> {
    if !path.starts_with(settings::PLACE) {
        return None;
    }
    // silent-ok: one that cannot be read is no worse off when it is mounted.
    let meta = std::fs::metadata(path).ok()?;
    let small = meta.is_file() && meta.len() <= COPY_BYTES;
    let readable = || access(path, Access::READ_OK).is_ok();
    (small && readable()).then(|| Version::from(&meta))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn found(real: &str) -> Resolved {
        Resolved {
            real: real.into(),
            links: Vec::new(),
        }
    }

    fn at(mounts: &Mounts, path: &str) -> Option<Mount> {
        mounts.0.get(Path::new(path)).cloned()
    }

    #[test]
    fn the_longer_path_is_made_later() {
        let mut mounts = Mounts::default();
        mounts.show(found("/a/b"), true);
        mounts.show(found("/a/b/c"), false);
        mounts.show(found("/a-b"), false);
        mounts.put("/a", Mount::Empty);
        let args = "--tmpfs /a --bind /a/b /a/b --ro-bind /a/b/c /a/b/c --ro-bind /a-b /a-b";
        assert_eq!(mounts.args().join(" ".as_ref()), args);
        assert_eq!(mounts.seals().join(" ".as_ref()), "--remount-ro / --remount-ro /a");
    }

    #[test]
    fn writing_wins_over_reading_whatever_comes_first() {
        for order in [[true, false], [false, true]] {
            let mut mounts = Mounts::default();
            for writable in order {
                mounts.show(found("/a"), writable);
            }
            assert_eq!(at(&mounts, "/a"), Some(Mount::Host { writable: true }));
            assert_eq!(mounts.writable().collect::<Vec<_>>(), [Path::new("/a")]);
        }
    }

    #[test]
    fn a_secret_is_hidden_by_whatever_it_can_be_seen_through() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(dir.join("state/work/deep")).unwrap();
        std::fs::write(dir.join("key"), "").unwrap();
        let path = |name: &str| dir.join(name);
        std::os::unix::fs::symlink("key", dir.join("link")).unwrap();
        let masks = ["state/work/deep", "state", "key", "link", "elsewhere"].map(path);
        // By a directory above, by itself, and by one above that may be written.
        for shown in [vec![""], vec!["state", "key"], vec!["", "state"]] {
            let mut mounts = Mounts::default();
            for name in &shown {
                mounts.show(resolve(&path(name)).unwrap(), true);
            }
            mounts.show(resolve(&path("state/work")).unwrap(), true);
            mounts.mask(&masks);
            let of = |name: &str| mounts.0.get(&path(name)).cloned();
            assert_eq!(of("state"), Some(Mount::Masked { directory: true }), "{shown:?}");
            assert_eq!(of("key"), Some(Mount::Masked { directory: false }), "{shown:?}");
            // There is nothing that a mount could cover.
            assert!([of("link"), of("elsewhere")].iter().all(Option::is_none));
            // What the policy names below it is seen, and what is hidden below that is not.
            assert_eq!(of("state/work"), Some(Mount::Host { writable: true }), "{shown:?}");
            assert_eq!(
                of("state/work/deep"),
                Some(Mount::Masked { directory: true }),
                "{shown:?}"
            );
        }
        // Nothing is made for what cannot be seen, but nothing may be made beside what is seen either.
        let mut mounts = Mounts::default();
        mounts.mask(&masks[1..]);
        assert_eq!(mounts.0.len(), 0);
        mounts.show(resolve(&path("state/work")).unwrap(), true);
        mounts.mask(&masks[1..]);
        assert_eq!(mounts.0.len(), 2);
    }

    #[test]
    fn links_are_made_where_they_cannot_be_seen() {
        let link = |at: &str| (PathBuf::from(at), PathBuf::from("target"));
        let mut mounts = Mounts::default();
        mounts.show(found("/usr"), false);
        mounts.show(
            Resolved {
                real: "/opt/it".into(),
                links: vec![link("/usr/bin/it"), link("/home/u/it")],
            },
            false,
        );
        assert_eq!(at(&mounts, "/usr/bin/it"), None);
        assert_eq!(at(&mounts, "/home/u/it"), Some(Mount::Link("target".into())));
    }
}
