//! Other names of the same files: a part of a file system can be mounted in several places.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// Something that is mounted.
#[derive(Debug, PartialEq, Eq)]
struct Mounted {
    /// Which file system it is of.
    device: Vec<u8>,
    /// What of it.
    root: PathBuf,
    /// Where.
    at: PathBuf,
}

/// What is mounted, in the order in which it was.
#[derive(Debug)]
pub(super) struct Mountinfo(Vec<Mounted>);

impl Mountinfo {
    /// As this process sees it.
    ///
    /// # Errors
    /// The kernel does not say.
    pub(super) fn read() -> io::Result<Self> {
        std::fs::read("/proc/self/mountinfo").map(|text| Self::parse(&text))
    }

    /// Each line: two numbers, the file system, what of it, where, and more.
    fn parse(text: &[u8]) -> Self {
        let line = |line: &[u8]| {
            let mut fields = line.split(|&byte| byte == b' ').skip(2);
            Some(Mounted {
                device: fields.next()?.to_owned(),
                root: plain(fields.next()?),
                at: plain(fields.next()?),
            })
        };
        Self(text.split(|&byte| byte == b'\n').filter_map(line).collect())
    }

    /// The other places where a path, free of links, can be seen, or a part of what is below it.
    pub(super) fn aliases(&self, path: &Path) -> Vec<PathBuf> {
        // Of those on its way the longest counts, and of the same length the last, which covers the others.
        let on_its_way = self.0.iter().filter(|one| path.starts_with(&one.at));
        let Some(own) = on_its_way.max_by_key(|one| one.at.components().count()) else {
            return Vec::new();
        };
        let Ok(rest) = path.strip_prefix(&own.at) else {
            return Vec::new();
        };
        let within = own.root.join(rest);
        let elsewhere = self.0.iter().filter(|one| one.device == own.device).filter_map(|one| {
            match within.strip_prefix(&one.root) {
                Ok(rest) if rest.as_os_str().is_empty() => Some(one.at.clone()),
                Ok(rest) => Some(one.at.join(rest)),
                Err(_) => one.root.starts_with(&within).then(|| one.at.clone()),
            }
        });
        // What is mounted below the path is hidden with it.
        elsewhere.filter(|alias| !alias.starts_with(path)).collect()
    }
}

/// A field: blanks and the like are written as the three digits of their octal numbers after a backslash.
fn plain(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, more @ ..] = rest {
        rest = more;
        match more {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] if *first == b'\\' => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_path_is_found_wherever_its_file_system_is_mounted() {
        let info = Mountinfo::parse(
            br"1 0 8:1 / / rw shared:1 - ext4 /dev/a rw
2 1 8:1 /home/me/state /srv/alias\0401 rw - ext4 /dev/a rw
3 1 8:1 /home /var/home rw - ext4 /dev/a rw
4 1 8:1 /home/me/state/work /work rw - ext4 /dev/a rw
5 1 0:9 / /tmp rw - tmpfs none rw
6 1 0:31 /@data /data rw - btrfs /dev/b rw
7 1 0:31 / /mnt/b rw - btrfs /dev/b rw
8 1 8:1 /opt/x /home/me/state/x rw - ext4 /dev/a rw
",
        );
        let aliases = |path: &str| info.aliases(Path::new(path));
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        let state = paths(&["/srv/alias 1", "/var/home/me/state", "/work"]);
        assert_eq!(aliases("/home/me/state"), state);
        assert_eq!(
            aliases("/home/me/state/token"),
            paths(&["/srv/alias 1/token", "/var/home/me/state/token"])
        );
        assert_eq!(
            aliases("/var/home/me/state"),
            paths(&["/home/me/state", "/srv/alias 1", "/work"])
        );
        assert_eq!(aliases("/data/key"), paths(&["/mnt/b/@data/key"]));
        assert_eq!(aliases("/tmp/key"), paths(&[]));
        assert_eq!(aliases("/etc/key"), paths(&[]));
    }
}
