//! Which places of the disk a child may use, free of links: the kernel asks a profile about those alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::system::{DATA, OWN, PROGRAMS, SETTINGS};
use crate::paths::resolve;
use crate::programs::{Homes, Surroundings};
use crate::{Filesystem, Policy, SandboxError};

/// What holds for a place and what is below it, up to the next place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Write,
    Read,
    /// A secret.
    Nothing,
}

/// All places. What is said about a longer path holds against what is said about those above it.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) filesystem: Filesystem,
    pub(super) places: BTreeMap<PathBuf, Use>,
    /// Links on the way to them.
    pub(super) links: BTreeSet<PathBuf>,
}

impl Layout {
    /// Looks at the disk.
    ///
    /// # Errors
    /// What may be written is not there, or something must not be given to an agent.
    pub(super) fn of(policy: &Policy, search_path: &Path, homes: &Homes, program: &Path) -> Result<Self, SandboxError> {
        let mut layout = Self {
            filesystem: policy.filesystem,
            ..Self::default()
        };
        for path in &policy.readable {
            match layout.resolve(path) {
                Ok(real) => layout.give(path, real, Use::Read)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unusable(path, &error)),
            }
        }
        for path in &policy.writable {
            let real = layout.resolve(path).map_err(|error| unusable(path, &error))?;
            layout.give(path, real, Use::Write)?;
        }
        let masked: Vec<PathBuf> = policy.masked.iter().map(|path| real_or_to_be(path)).collect();
        for path in &masked {
            layout.places.insert(path.clone(), Use::Nothing);
        }
        let surroundings = Surroundings {
            search_path: search_path.as_os_str(),
            homes,
            masked: &masked,
        };
        let programs = std::iter::once(program).chain(policy.programs.iter().map(PathBuf::as_path));
        for path in programs.flat_map(|program| surroundings.of(program)) {
            // silent-ok: what is not there any more is not needed.
            if let Ok(real) = layout.resolve(&path)
                && !layout.is_read(&real)
            {
                layout.places.entry(real).or_insert(Use::Read);
            }
        }
        Ok(layout)
    }

    /// Where a path leads; the links on the way are kept.
    fn resolve(&mut self, path: &Path) -> io::Result<PathBuf> {
        self.links.extend(resolve(path)?.links.into_iter().map(|(at, _)| at));
        // The same once more, in the letters that the disk has: it may not tell large ones from small ones.
        Ok(of_data(path.canonicalize()?))
    }

    fn give(&mut self, path: &Path, real: PathBuf, to: Use) -> Result<(), SandboxError> {
        let is_own = OWN
            .iter()
            .any(|own| real.starts_with(own) || Path::new(own).starts_with(&real));
        if is_own {
            return Err(SandboxError::new(
                format!("{} cannot be given to an agent", path.display()),
                "Name the directory that it needs; to let it read everything, use filesystem: full",
            ));
        }
        self.places.insert(real, to);
        Ok(())
    }

    fn is_read(&self, path: &Path) -> bool {
        match path.ancestors().find_map(|at| self.places.get(at)) {
            Some(Use::Nothing) => false,
            Some(Use::Read | Use::Write) => true,
            None => {
                let mut shown = PROGRAMS.iter().chain(SETTINGS);
                self.filesystem == Filesystem::Full || shown.any(|above| path.starts_with(above))
            }
        }
    }

    /// What must stay where it is. A rule is about a path, and would not hold any more for what was moved away from it, nor
    /// mean what was put there instead.
    pub(super) fn fixed(&self) -> BTreeSet<&Path> {
        let above = self.places.keys().flat_map(|path| path.ancestors());
        above.filter(|path| path.parent().is_some()).collect()
    }

    /// Directories on the way to places below a secret.
    pub(super) fn passages(&self) -> BTreeSet<&Path> {
        let shown = self.places.iter().filter(|(_, to)| **to != Use::Nothing);
        let above = shown.flat_map(|(path, _)| path.ancestors().skip(1));
        let is_hidden = |path: &&Path| path.ancestors().find_map(|at| self.places.get(at)) == Some(&Use::Nothing);
        above.filter(is_hidden).collect()
    }
}

/// Where a path leads, or will when it is made.
fn real_or_to_be(path: &Path) -> PathBuf {
    // silent-ok: then it is the next one above that is there.
    let found = path
        .ancestors()
        .find_map(|above| Some((above, above.canonicalize().ok()?)));
    let real = match found {
        // silent-ok: an ancestor is a prefix.
        Some((above, real)) => path.strip_prefix(above).map(|rest| real.join(rest)).ok(),
        None => None,
    };
    of_data(real.unwrap_or_else(|| path.to_owned()))
}

/// The name by which the kernel knows a file of the data volume.
fn of_data(path: PathBuf) -> PathBuf {
    match path.strip_prefix(DATA) {
        Ok(rest) => Path::new("/").join(rest),
        Err(_elsewhere) => path,
    }
}

fn unusable(path: &Path, error: &io::Error) -> SandboxError {
    SandboxError::new(
        format!("{}, which the agent may use, cannot be used: {error}", path.display()),
        "Make it, or take it out of the agent's settings",
    )
}
