//! Where a path really leads.

use std::io;
use std::path::{Component, Path, PathBuf};

/// Links that one path may go through (the kernel's own limit).
const LINKS_MAX: usize = 40;

/// A path with every link on its way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Resolved {
    /// Where it leads: absolute, without links.
    pub(crate) real: PathBuf,
    /// The links, each with its place (free of links itself) and what it holds.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
}

/// Follows an absolute path to what is there.
///
/// # Errors
/// Something on the way is not there or must not be looked at.
pub(crate) fn resolve(path: &Path) -> io::Result<Resolved> {
    follow(path, |_| false)
}

/// Where a path leads, or will once all of it is there: what is not there yet, or is closed to this user, counts as no link.
///
/// # Errors
/// It leads through too many links, or something on the way is not what it must be.
pub(crate) fn resolve_ahead(path: &Path) -> io::Result<PathBuf> {
    let plain = [
        io::ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::NotADirectory,
    ];
    Ok(follow(path, |error| plain.contains(&error.kind()))?.real)
}

/// `counts_as_plain` says of what cannot be looked at whether it is taken for no link.
fn follow(path: &Path, counts_as_plain: impl Fn(&io::Error) -> bool) -> io::Result<Resolved> {
    if !path.is_absolute() {
        return Err(io::Error::other(format!("{} is not absolute", path.display())));
    }
    let mut links = Vec::new();
    let mut real = PathBuf::from("/");
    // The components to come, the next one last.
    let mut rest: Vec<PathBuf> = parts(path);
    while let Some(part) = rest.pop() {
        if part.as_os_str() == ".." {
            real.pop();
            continue;
        }
        let next = real.join(&part);
        let is_link = match std::fs::symlink_metadata(&next) {
            Ok(meta) => meta.is_symlink(),
            Err(error) if counts_as_plain(&error) => false,
            Err(error) => return Err(error),
        };
        if !is_link {
            real = next;
            continue;
        }
        if links.len() == LINKS_MAX {
            return Err(io::Error::other(format!(
                "{} leads through too many links",
                path.display()
            )));
        }
        let target = std::fs::read_link(&next)?;
        if target.is_absolute() {
            real = PathBuf::from("/");
        }
        rest.extend(parts(&target));
        links.push((next, target));
    }
    Ok(Resolved { real, links })
}

/// The name of a path in its directory: only the links on the way to that are followed.
///
/// # Errors
/// As [`resolve_ahead`].
pub(crate) fn resolve_above(path: &Path) -> io::Result<PathBuf> {
    match (path.parent(), path.file_name()) {
        (Some(above), Some(name)) => Ok(resolve_ahead(above)?.join(name)),
        _ => resolve_ahead(path),
    }
}

fn parts(path: &Path) -> Vec<PathBuf> {
    let named = |part| match part {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("..")),
        _ => None,
    };
    path.components().rev().filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn each_link_on_the_way_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(dir.join("a/b")).unwrap();
        std::fs::write(dir.join("a/b/file"), "").unwrap();
        symlink("b", dir.join("a/c")).unwrap();
        symlink(dir.join("a"), dir.join("d")).unwrap();
        symlink("../d/c/./file", dir.join("a/last")).unwrap();
        let found = resolve(&dir.join("d/last")).unwrap();
        assert_eq!(found.real, dir.join("a/b/file"));
        let links: Vec<_> = found
            .links
            .iter()
            .map(|(at, _)| at.strip_prefix(&dir).unwrap())
            .collect();
        assert_eq!(links, ["d", "a/last", "d", "a/c"].map(Path::new));
        symlink("loop", dir.join("loop")).unwrap();
        resolve(&dir.join("loop")).unwrap_err();
        resolve(&dir.join("none")).unwrap_err();
        resolve(Path::new("relative")).unwrap_err();
    }

    #[test]
    fn a_path_leads_somewhere_before_all_of_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        std::fs::create_dir(dir.join("a")).unwrap();
        std::fs::write(dir.join("file"), "").unwrap();
        symlink("a", dir.join("b")).unwrap();
        symlink("../none/there", dir.join("a/link")).unwrap();
        symlink("loop", dir.join("loop")).unwrap();
        for (path, ahead, above) in [
            ("b/x/y", "a/x/y", "a/x/y"),
            ("b/link", "none/there", "a/link"),
            ("b/link/z", "none/there/z", "none/there/z"),
            ("file/x", "file/x", "file/x"),
        ] {
            assert_eq!(resolve_ahead(&dir.join(path)).unwrap(), dir.join(ahead), "{path}");
            assert_eq!(resolve_above(&dir.join(path)).unwrap(), dir.join(above), "{path}");
        }
        resolve_ahead(&dir.join("loop")).unwrap_err();
        resolve_ahead(Path::new("relative")).unwrap_err();
    }
}
