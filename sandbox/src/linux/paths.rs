//! Where a path really leads.

use std::io;
use std::path::{Component, Path, PathBuf};

/// Links that one path may go through (the kernel's own limit).
const LINKS_MAX: usize = 40;

/// A path with every link on its way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Resolved {
    /// Where it leads: absolute, without links.
    pub(super) real: PathBuf,
    /// The links, each with its place (free of links itself) and what it holds.
    pub(super) links: Vec<(PathBuf, PathBuf)>,
}

/// Follows an absolute path to what is there.
///
/// # Errors
/// Something on the way is not there or must not be looked at.
pub(super) fn resolve(path: &Path) -> io::Result<Resolved> {
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
        if !std::fs::symlink_metadata(&next)?.is_symlink() {
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

/// A path with the links on its way followed, but for its own last name; nothing of it need be there.
pub(super) fn resolve_above(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?;
    let above = path.parent()?;
    match resolve(above) {
        Ok(found) => Some(found.real.join(name)),
        Err(_) => Some(resolve_above(above)?.join(name)),
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
}
