//! Looking at the whole folder, and when it must not be believed.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Folder;
use super::disk::{self, Look, Meta};
use super::moved::Marks;
use super::paths;
use super::stamp::Stamp;
use super::state::Part;
use super::watch::Hint;
use crate::embedded::mirror::Source;
use crate::store::VaultError;

/// A file that was changed more recently than this may still be being written.
pub(super) const QUIET: Duration = Duration::from_millis(60);

/// A file that is missing for less than this may be being replaced by an editor.
pub(super) const GONE: Duration = Duration::from_millis(250);

/// Files that are read while writers wait, and are in memory at one time.
const CHUNK: usize = 256;

/// The same in bytes; a larger file is a chunk of its own.
const CHUNK_BYTES: u64 = 4 << 20;

/// How often a file that is being written is looked at again before the scan goes on without it.
const PATIENCE: u32 = 20;

/// Fewer notes than this may vanish at once: a person can have removed them.
const FEW: usize = 10;

/// Where the folder was found, kept in the index.
const IDENTITY: &str = "folder identity";

/// What a walk has met.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) files: HashMap<String, Meta>,
    /// Directories that could not be read, as prefixes of sources: nothing is known of what is in them.
    unknown: Vec<String>,
    told: Vec<(String, String)>,
    temporaries: Vec<PathBuf>,
    /// A directory could not be watched.
    blind: bool,
}

impl Folder {
    /// Walks a part of the folder and watches its directories. `from`: a source without the last name, empty for all of it.
    pub(super) fn walk(&self, from: &str) -> Walk {
        let mut walk = Walk::default();
        let mut dirs = vec![from.to_owned()];
        while let Some(dir) = dirs.pop() {
            let path = self.place.root.join(&dir);
            // Before it is read: what comes in between is told by the watcher.
            if let Some(reason) = self.watch.dir(&path) {
                self.place.state.set(Part::Watching, reason);
                walk.blind = true;
            }
            let entries = match std::fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => {
                    walk.told.push((
                        format!("{dir}/"),
                        format!("the directory cannot be read ({error}); its notes stay as they were"),
                    ));
                    walk.unknown.push(if dir.is_empty() { dir } else { format!("{dir}/") });
                    continue;
                }
            };
            for entry in entries {
                match entry {
                    Ok(entry) => self.meet(&mut walk, &mut dirs, &dir, &entry.file_name()),
                    Err(error) => {
                        walk.told.push((
                            format!("{dir}/"),
                            format!("the directory cannot be read to its end ({error})"),
                        ));
                        walk.unknown.push(if dir.is_empty() {
                            String::new()
                        } else {
                            format!("{dir}/")
                        });
                        break;
                    }
                }
            }
        }
        walk
    }

    fn meet(&self, walk: &mut Walk, dirs: &mut Vec<String>, dir: &str, name: &std::ffi::OsStr) {
        let path = self.place.root.join(dir).join(name);
        let Some(name) = name.to_str() else {
            let shown = paths::joined(dir, &name.to_string_lossy());
            if paths::is_note(&shown) {
                walk.told
                    .push((shown, "its name is not UTF-8 and it was not read; rename it".into()));
            }
            return;
        };
        if disk::is_temporary(name) {
            walk.temporaries.push(path.clone());
        }
        if paths::is_hidden(name) {
            return;
        }
        let source = paths::joined(dir, name);
        match disk::look(&path) {
            Ok(Look::Dir) => dirs.push(source),
            Ok(Look::File(meta)) if paths::is_note(name) => {
                walk.files.insert(source, meta);
            }
            Ok(Look::Link) if paths::is_note(name) || path.is_dir() => {
                tracing::debug!(vault = self.place.name, file = source, "links are not followed");
            }
            Ok(_) => {}
            Err(error) => {
                walk.unknown.push(source.clone());
                walk.told.push((source, format!("it cannot be looked at ({error})")));
            }
        }
    }

    /// Looks at everything. Afterwards the index is as the folder is, apart from files that are still being written and from
    /// files that have just vanished; those follow. `patient`: it waits for them, a while.
    pub(super) async fn scan(self: &Arc<Self>, first: bool, patient: bool) -> Result<(), VaultError> {
        // Two at once would only do the same.
        let _one = self.scanning.lock().await;
        let this = Arc::clone(self);
        let found = self
            .blocking(move || {
                Ok(disk::identity(&this.place.root).and_then(|before| {
                    let walk = this.walk("");
                    // A disk that is unmounted meanwhile shows less and less.
                    let after = disk::identity(&this.place.root)?;
                    let moved = || std::io::Error::other("it was changed for another one while it was read");
                    (before == after).then_some((after, walk)).ok_or_else(moved)
                }))
            })
            .await?;
        let (identity, walk) = match found {
            Ok(found) => found,
            Err(error) => {
                let reason = format!(
                    "the folder {} is not there ({error}); its notes are kept as they were last seen: mount or restore it",
                    self.place.root.display()
                );
                self.place.state.set(Part::Folder, reason.clone());
                return Err(self.place.state.unavailable(reason));
            }
        };
        let known = {
            let _order = self.order.lock().await;
            let known = self.index.sources().await?;
            *self.place.marks() = Marks::of(&known);
            known
        };
        let stored = self.index.memo(IDENTITY).await?;
        let here = format!("{} {}", identity.0, identity.1);
        if let Some(reason) = self.unbelievable(&walk, &known, stored.as_deref() == Some(&here)) {
            self.place.state.set(Part::Folder, reason.clone());
            return Err(self.place.state.unavailable(reason));
        }
        self.place.accept(identity);
        self.place.state.clear(Part::Folder);
        if !walk.blind && self.watch.is_on() {
            self.place.state.clear(Part::Watching);
        }
        self.probe_writing();
        self.remove_temporaries(&walk, first);
        self.tell(&walk, &known);
        self.take_differences(walk, known, patient).await?;
        // Notes whose files are other notes now, and that did not turn up elsewhere.
        {
            let _order = self.order.lock().await;
            self.index.mirror_with(Vec::new(), true).await?;
        }
        if stored.as_deref() != Some(&here) {
            self.index.set_memo(IDENTITY, here).await?;
        }
        self.place.state.clear(Part::Index);
        self.index.is_made();
        Ok(())
    }

    /// Why what was found cannot be the folder: an unmounted disk leaves an empty directory.
    fn unbelievable(&self, walk: &Walk, known: &[Source], same_place: bool) -> Option<String> {
        let still = known
            .iter()
            .filter(|source| walk.files.contains_key(&source.name))
            .count();
        if walk.unknown.iter().any(String::is_empty) {
            let folder = self.place.root.display();
            return Some(format!(
                "the folder {folder} cannot be read; its notes are kept as they were last seen: check its permissions"
            ));
        }
        let lost = known.len() - still;
        let empty = still == 0 && known.len() >= FEW;
        let other = !same_place && lost > still && known.len() >= FEW;
        (empty || other).then(|| {
            format!(
                "of the {} notes in {} only {still} are there; that looks like a disk that is not mounted, so nothing was \
                 removed: mount it. If the notes are gone for good, stop the daemon and remove {}",
                known.len(),
                self.place.root.display(),
                self.index_file.display()
            )
        })
    }

    fn tell(&self, walk: &Walk, known: &[Source]) {
        let told: HashSet<&str> = walk.told.iter().map(|(source, _)| source.as_str()).collect();
        self.place
            .state
            .retain_files(|source| told.contains(source) || walk.files.contains_key(source));
        for (source, reason) in &walk.told {
            self.place.state.file(source, Some(reason.clone()));
        }
        // What an earlier run has found out and this one does not read again.
        for source in known
            .iter()
            .filter(|source| Stamp::parse(&source.stamp).is_some_and(|stamp| stamp.unreadable))
        {
            let reason = "its front matter cannot be read; the note stays as it was until it is mended";
            self.place.state.file(&source.name, Some(reason.into()));
        }
    }

    /// What a crash has left.
    fn remove_temporaries(&self, walk: &Walk, first: bool) {
        for path in walk.temporaries.iter().filter(|_| first) {
            if let Err(error) = std::fs::remove_file(path) {
                tracing::warn!(%error, file = %path.display(), "a temporary file of an earlier run stays");
            }
        }
    }

    async fn take_differences(
        self: &Arc<Self>,
        walk: Walk,
        known: Vec<Source>,
        patient: bool,
    ) -> Result<(), VaultError> {
        let stamps: HashMap<&str, Option<Stamp>> = known
            .iter()
            .map(|source| (source.name.as_str(), Stamp::parse(&source.stamp)))
            .collect();
        let mut differing: Vec<(&String, &Meta)> = walk
            .files
            .iter()
            .filter(|(name, meta)| {
                let stamp = stamps.get(name.as_str()).and_then(Option::as_ref);
                stamp.is_none_or(|stamp| stamp.meta != **meta)
            })
            .collect();
        // Older files first: what came first is told first, and a copy is younger than its original.
        differing.sort_by_key(|(name, meta)| (paths::is_conflict_copy(name), meta.born_at(), name.len(), *name));
        let mut later = Vec::new();
        let mut rest = differing.as_slice();
        while !rest.is_empty() {
            let (chunk, more) = rest.split_at(chunk_len(rest.iter().map(|(_, meta)| meta.size)));
            rest = more;
            let names = chunk.iter().map(|(name, _)| (*name).clone()).collect();
            let _order = self.order.lock().await;
            later.extend(self.take(names, false).await?);
        }
        for _ in 0..PATIENCE {
            if later.is_empty() || !patient {
                break;
            }
            tokio::time::sleep(QUIET / 2).await;
            let _order = self.order.lock().await;
            later = self.take(later, false).await?;
        }
        later.into_iter().for_each(|name| self.place.hint(Hint::Looked(name)));
        let is_unknown = |name: &str| walk.unknown.iter().any(|prefix| name.starts_with(prefix.as_str()));
        let names = known.into_iter().map(|source| source.name);
        let missing: Vec<String> = names
            .filter(|name| !walk.files.contains_key(name) && !is_unknown(name))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        if patient {
            tokio::time::sleep(GONE).await;
            let _order = self.order.lock().await;
            self.take(missing, false).await?;
        } else {
            missing.into_iter().for_each(|name| self.place.hint(Hint::Looked(name)));
        }
        Ok(())
    }

    /// Whether the folder can be written, as far as its permissions tell.
    pub(super) fn probe_writing(&self) {
        match disk::may_write(&self.place.root) {
            Ok(()) => self.place.state.clear(Part::Writing),
            Err(error) => drop(self.place.not_written(&error.into())),
        }
    }
}

/// How many files of these sizes are read at one time.
fn chunk_len(sizes: impl Iterator<Item = u64>) -> usize {
    let mut bytes = 0_u64;
    let fitting = sizes.take(CHUNK).take_while(|size| {
        bytes = bytes.saturating_add(*size);
        bytes <= CHUNK_BYTES
    });
    fitting.count().max(1)
}

/// Whether two directories are the same place.
pub(super) fn is_same(root: &Path, accepted: Option<(u64, u64)>) -> bool {
    disk::identity(root).is_ok_and(|now| Some(now) == accepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_bounded_in_files_and_in_bytes() {
        let len = |sizes: &[u64]| chunk_len(sizes.iter().copied());
        assert_eq!(len(&[1; CHUNK + 1]), CHUNK);
        assert_eq!(len(&[1, CHUNK_BYTES - 1, 1]), 2);
        assert_eq!(len(&[CHUNK_BYTES + 1, 1]), 1);
        assert_eq!(len(&[u64::MAX, u64::MAX]), 1);
        assert_eq!(len(&[0]), 1);
    }
}
