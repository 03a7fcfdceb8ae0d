//! Files on this machine: those that are fetched into the inbox, and those that may be sent.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags};

/// Makes the inbox, for its owner alone.
pub(super) fn make_inbox(inbox: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(inbox)?;
    std::fs::set_permissions(inbox, PermissionsExt::from_mode(0o700))
}

/// The ending of a remote file, if it is one: letters and digits behind the last dot of its last segment.
pub(super) fn ending(remote: &str) -> Option<String> {
    let name = remote.rsplit('/').next()?;
    let (_, ending) = name.rsplit_once('.')?;
    let ending = ending.to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    ((1..=8).contains(&ending.len()) && ending.bytes().all(plain)).then_some(ending)
}

/// What may stand in the name of a file: the last segment, without what has a meaning anywhere, at most 200 characters.
pub(super) fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let fits = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    let plain: String = last
        .chars()
        .filter(|&character| character != '\0')
        .map(|character| if fits(character) { character } else { '_' })
        .take(200)
        .collect();
    match plain.trim_start_matches('.') {
        "" => "file".into(),
        plain => plain.to_owned(),
    }
}

/// Keeps a file in the inbox (mode 0600) and returns where. `mark` tells it from others of the same millisecond.
pub(super) fn keep(inbox: &Path, mark: &str, remote: &str, content: &[u8]) -> io::Result<PathBuf> {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_err(io::Error::other)?;
    let tail: Vec<char> = mark.chars().rev().take(10).collect();
    let mark = plain_name(&tail.into_iter().rev().collect::<String>());
    let ending = ending(remote).unwrap_or_else(|| "bin".into());
    for now in now.as_millis().. {
        let path = inbox.join(format!("{now}-{mark}.{ending}"));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        match file {
            Ok(mut file) => {
                if let Err(error) = file.write_all(content) {
                    std::fs::remove_file(&path)?;
                    return Err(error);
                }
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("no free name"))
}

/// Removes what is in the inbox for longer than this. Returns how many files went.
pub(super) fn sweep(inbox: &Path, retention: Duration) -> io::Result<usize> {
    let mut gone = 0;
    for entry in std::fs::read_dir(inbox)? {
        let entry = entry?;
        let about = entry.metadata()?;
        let age = about.modified()?.elapsed().unwrap_or_default(); // silent-ok: a time to come is no age
        if about.is_file() && age > retention {
            std::fs::remove_file(entry.path())?;
            gone += 1;
        }
    }
    Ok(gone)
}

/// Reads a file that may be sent: an ordinary one under one of the roots, of at most so many bytes. No link leads out of them,
/// however quickly it is put there.
///
/// # Errors
/// Why not, with the path.
pub(super) fn allowed(path: &Path, roots: &[PathBuf], most: u64) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let no = |why: &str| format!("{shown} is not sent: {why}");
    let real = path.canonicalize().map_err(|error| no(&error.to_string()))?;
    let roots = roots.iter().filter_map(|root| root.canonicalize().ok()); // silent-ok: what is not there holds no file
    let within = roots.filter_map(|root| {
        real.strip_prefix(&root)
            .ok()
            .map(|inner| (root.clone(), inner.to_owned()))
    });
    let (root, inner) = within
        .reduce(|_, last| last)
        .ok_or_else(|| no("it is outside the directories from which files may be sent"))?;
    let file = open_below(&root, &inner).map_err(|error| no(&error.to_string()))?;
    let about = file.metadata().map_err(|error| no(&error.to_string()))?;
    if !about.is_file() {
        return Err(no("it is no ordinary file"));
    }
    let mut content = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut content)
        .map_err(|error| no(&error.to_string()))?;
    if content.len() as u64 > most {
        return Err(no(&format!("it has more than {most} bytes")));
    }
    Ok(content)
}

/// Opens step by step, through no link.
fn open_below(root: &Path, inner: &Path) -> io::Result<File> {
    let mut at = File::open(root)?;
    let mut parts = inner.components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else {
            return Err(io::Error::other("it is not below the directory"));
        };
        let kind = if parts.peek().is_some() {
            OFlags::DIRECTORY
        } else {
            OFlags::NONBLOCK
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | kind;
        at = rustix::fs::openat(&at, name, flags, Mode::empty())?.into();
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn an_ending_is_short_and_plain() {
        assert_eq!(ending("photos/file_1.JPG").as_deref(), Some("jpg"));
        for remote in [
            "photos/file",
            "a.b/c",
            "x.",
            "x.ninechars",
            "x.p/h",
            "x.j pg",
            "x.jp\u{e9}g",
            "",
        ] {
            assert_eq!(ending(remote), None, "{remote}");
        }
        for (name, plain) in [
            ("../../tmp/pwned.sh", "pwned.sh"),
            (".hidden", "hidden"),
            ("a b.png", "a_b.png"),
            ("/", "file"),
            ("..", "file"),
        ] {
            assert_eq!(plain_name(name), plain);
        }
    }

    #[test]
    fn the_inbox_is_private_and_old_files_go() {
        let dir = tempfile::tempdir().unwrap();
        let inbox = dir.path().join("inbox");
        std::fs::create_dir(&inbox).unwrap();
        make_inbox(&inbox).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&inbox), 0o700);
        let first = keep(&inbox, "AgAD/../1234567890", "documents/file_7.PDF", b"x").unwrap();
        let second = keep(&inbox, "AgAD/../1234567890", "noending", b"y").unwrap();
        let name = first.file_name().unwrap().to_str().unwrap();
        assert!(
            name.ends_with("-1234567890.pdf") && second.extension().unwrap() == "bin",
            "{name}"
        );
        assert_eq!((mode(&first), std::fs::read(&second).unwrap()), (0o600, b"y".to_vec()));
        assert_eq!(sweep(&inbox, Duration::from_secs(60)).unwrap(), 0);
        let old = SystemTime::now() - Duration::from_secs(120);
        File::options()
            .write(true)
            .open(&first)
            .unwrap()
            .set_modified(old)
            .unwrap();
        assert_eq!(sweep(&inbox, Duration::from_secs(60)).unwrap(), 1);
        assert!(!first.exists() && second.exists());
    }

    #[test]
    fn only_files_under_the_roots_are_sent() {
        let dir = tempfile::tempdir().unwrap();
        let (root, secret) = (dir.path().join("root"), dir.path().join("operator.token"));
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::write(&secret, "secret").unwrap();
        std::fs::write(root.join("sub/a.txt"), "hello").unwrap();
        std::os::unix::fs::symlink(&secret, root.join("link")).unwrap();
        std::os::unix::fs::symlink("sub/a.txt", root.join("inner")).unwrap();
        let roots = [dir.path().join("gone"), root.clone()];
        let read = |path: &str| allowed(&root.join(path), &roots, 5);
        assert_eq!(read("sub/a.txt").unwrap(), b"hello");
        // A link that stays inside is what it points to.
        assert_eq!(read("inner").unwrap(), b"hello");
        for path in ["link", "../operator.token", "sub", "gone", "/etc/passwd"] {
            let error = read(path).unwrap_err();
            assert!(error.contains("is not sent"), "{error}");
        }
        std::fs::write(root.join("sub/a.txt"), "hello!").unwrap();
        assert!(read("sub/a.txt").unwrap_err().contains("more than 5 bytes"));
        // A link that is put in between afterwards is not followed.
        assert!(open_below(&root, Path::new("link")).is_err());
    }
}
