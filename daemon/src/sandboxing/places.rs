//! Paths as they are on the disk: a link leads where it leads, whatever its own name says.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::programs::Source;

/// What has to be known of the disk.
pub(crate) struct Disk<'a> {
    /// Follows all links of a path that is there: see [`std::fs::canonicalize`].
    pub(crate) follow: &'a dyn Fn(&Path) -> io::Result<PathBuf>,
    /// What agents never see, with all links followed. Asked for only where a definition names directories, as is the next one:
    /// the disk is looked at for that.
    pub(crate) masked: &'a dyn Fn() -> &'a [PathBuf],
    /// From where the daemon starts programs.
    pub(crate) sources: &'a dyn Fn() -> &'a [Source],
}

impl Disk<'_> {
    /// A path with all links followed, as far as it is there.
    ///
    /// # Errors
    /// Why it cannot be told where it leads.
    pub(crate) fn real(&self, path: &Path) -> Result<PathBuf, String> {
        if !path.is_absolute() {
            return Err("it is no absolute path".into());
        }
        let mut there = path;
        loop {
            match (self.follow)(there) {
                Ok(real) => {
                    let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
                    if rest.as_os_str().is_empty() {
                        // Nothing is joined: a file with a slash behind it is not found.
                        return Ok(real);
                    }
                    return match rest.components().all(|part| matches!(part, Component::Normal(_))) {
                        true => Ok(real.join(rest)),
                        false => Err("it leads back through a directory that is not there".into()),
                    };
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("it cannot be told where it leads: {error}")),
            }
            // A link that leads nowhere is not there for `follow`, and is a name of its directory all the same.
            match there.parent() {
                Some(parent) => there = parent,
                None => return Err("it cannot be told where it leads".into()),
            }
        }
    }

    /// Why a directory cannot be given to an agent; `None`: it can. It is to have all links followed.
    pub(crate) fn why_masked(&self, real: &Path) -> Option<String> {
        let masked = (self.masked)().iter().find_map(|masked| {
            let what = match (real.starts_with(masked), masked.starts_with(real)) {
                (true, true) => "it is",
                (true, false) => "it lies in",
                (false, true) => "it holds",
                (false, false) => return None,
            };
            Some((what, masked))
        });
        let (what, masked) = masked?;
        Some(format!(
            "{what} {}, which no agent may see; name a directory apart from that",
            masked.display()
        ))
    }
}

impl Disk<'_> {
    /// Why an agent may not write in a directory that it may read; `None`: it may. It is to have all links followed.
    pub(crate) fn why_not_writable(&self, real: &Path) -> Option<String> {
        // Of one that is not there the sandbox tells.
        if real.metadata().is_ok_and(|meta| !meta.is_dir()) {
            return Some("it is no directory, and only directories can be written; name the one that it is in".into());
        }
        (self.sources)().iter().find_map(|source| {
            let Source { dir, deep, what } = source;
            let how = match (dir.starts_with(real), real.starts_with(dir)) {
                (true, true) => "it is",
                (true, false) => "it holds",
                (false, true) if *deep => "it lies in",
                _ => return None,
            };
            Some(format!(
                "{how} {}, from where the daemon starts {what}: who writes there runs outside of the sandbox; name a directory \
                 apart from that, or move the program",
                dir.display()
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn links_are_followed_as_far_as_the_path_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("a/b")).unwrap();
        symlink(base.join("a"), base.join("link")).unwrap();
        symlink("loop", base.join("loop")).unwrap();
        std::fs::write(base.join("file"), "").unwrap();
        let disk = Disk {
            follow: &|path| path.canonicalize(),
            masked: &|| &[],
            sources: &|| &[],
        };
        let real = |path: &str| disk.real(&base.join(path));
        assert_eq!(real("link/b"), Ok(base.join("a/b")));
        assert_eq!(real("link/b/new/er"), Ok(base.join("a/b/new/er")));
        assert_eq!(real("link/../a"), Ok(base.join("a")));
        for path in ["new/../a", "new/../../etc"] {
            assert!(real(path).unwrap_err().contains("leads back"), "{path}");
        }
        for path in ["loop/x", "file/x"] {
            assert!(real(path).unwrap_err().contains("where it leads"), "{path}");
        }
        assert!(disk.real(Path::new("a")).unwrap_err().contains("absolute"));
    }

    #[test]
    fn nothing_that_is_or_holds_or_lies_in_what_is_masked_can_be_given() {
        let masked = [PathBuf::from("/home/me/state")];
        let disk = Disk {
            follow: &|path| Ok(path.to_owned()),
            masked: &|| &masked,
            sources: &|| &[],
        };
        let why = |path: &str| disk.why_masked(Path::new(path));
        for (path, word) in [
            ("/home/me/state", "it is /home"),
            ("/home/me/state/x", "it lies in"),
            ("/home/me", "it holds"),
            ("/", "it holds"),
        ] {
            let why = why(path).unwrap();
            assert!(why.starts_with(word), "{path}: {why}");
        }
        assert_eq!(why("/home/me/stately"), None);
        assert_eq!(why("/home/me/other"), None);
    }

    #[test]
    fn nothing_that_holds_or_is_a_directory_of_programs_can_be_written() {
        let source = |dir: &str, deep| Source {
            dir: dir.into(),
            deep,
            what: "it",
        };
        let sources = [source("/home/me/.local/bin", true), source("/srv/reveille", false)];
        let disk = Disk {
            follow: &|path| Ok(path.to_owned()),
            masked: &|| &[],
            sources: &|| &sources,
        };
        let why = |path: &str| disk.why_not_writable(Path::new(path));
        for (path, word) in [
            ("/home/me/.local/bin", "it is /home/me/.local/bin"),
            ("/home/me/.local/bin/x", "it lies in"),
            ("/home/me", "it holds"),
            ("/srv/reveille", "it is /srv"),
            ("/", "it holds"),
        ] {
            let why = why(path).unwrap();
            assert!(why.starts_with(word), "{path}: {why}");
        }
        // Beside a single file there is nothing that would be run.
        for path in ["/srv/reveille/work", "/srv/other", "/home/me/.local/binary"] {
            assert_eq!(why(path), None, "{path}");
        }
    }
}
