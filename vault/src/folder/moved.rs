//! Telling files again under another name.

use std::collections::{HashMap, HashSet};

use super::Folder;
use super::disk::{self, Look, Meta};
use super::paths;
use super::stamp::Stamp;
use crate::embedded::mirror::Source;

/// The beginning of a hash: enough to pass over most files.
type Beginning = Option<[u8; 16]>;

/// By what known files are told again. It can hold more than the index, never less: a new file that has nothing of it was not
/// known before, and the index need not be read to say so.
#[derive(Default)]
pub(super) struct Marks {
    inodes: HashSet<u64>,
    hashes: HashSet<Beginning>,
}

fn beginning(hash: &str) -> Beginning {
    hash.as_bytes().first_chunk().copied()
}

impl Marks {
    /// Of all known files.
    pub(super) fn of(sources: &[Source]) -> Self {
        let mut marks = Self::default();
        for stamp in sources.iter().filter_map(|source| Stamp::parse(&source.stamp)) {
            marks.add(&stamp);
        }
        marks
    }

    /// A file that the index is about to know.
    pub(super) fn add(&mut self, stamp: &Stamp) {
        self.inodes.insert(stamp.meta.inode);
        self.hashes.insert(beginning(&stamp.hash));
    }

    /// Whether a file may have been known.
    pub(super) fn may_know(&self, meta: &Meta, hash: &str) -> bool {
        self.inodes.contains(&meta.inode) || (meta.size > 0 && self.hashes.contains(&beginning(hash)))
    }
}

/// Known files by what tells them again.
pub(super) struct Moved<'s> {
    by_inode: HashMap<u64, Vec<(Stamp, &'s Source)>>,
    by_hash: HashMap<String, Alike<'s>>,
}

/// Known files of the same bytes.
#[derive(Default)]
struct Alike<'s> {
    all: Vec<&'s Source>,
    /// Made when first asked for: thousands of files may be alike.
    sorted: Option<Sorted<'s>>,
}

/// Files by what is under their names now.
#[derive(Default)]
struct Sorted<'s> {
    gone: Vec<&'s Source>,
    /// By inode.
    there: HashMap<u64, Vec<&'s Source>>,
}

impl<'s> Moved<'s> {
    pub(super) fn new(sources: &'s [Source]) -> Self {
        let mut by_inode: HashMap<_, Vec<_>> = HashMap::new();
        let mut by_hash: HashMap<_, Alike<'_>> = HashMap::new();
        for source in sources {
            let Some(stamp) = Stamp::parse(&source.stamp) else {
                continue;
            };
            by_hash.entry(stamp.hash.clone()).or_default().all.push(source);
            by_inode.entry(stamp.meta.inode).or_default().push((stamp, source));
        }
        Self { by_inode, by_hash }
    }

    /// What the file `source` was before; `is_free` tells which notes have no other file yet.
    pub(super) fn from(
        &mut self,
        folder: &Folder,
        (source, meta, hash): (&str, &Meta, &str),
        is_free: impl Fn(&Source) -> bool,
    ) -> Option<&'s Source> {
        let same_file = self.by_inode.get(&meta.inode).into_iter().flatten();
        let mut same_file = same_file.filter(|(stamp, _)| stamp.meta.same_file(meta));
        let found = same_file.find(|(_, from)| is_free(from) && !folder.is_there(&from.name, source, meta));
        if let Some((_, from)) = found {
            return Some(from);
        }
        let alike = self.by_hash.get_mut(hash).filter(|_| meta.size > 0)?;
        let sorted = alike.sorted.get_or_insert_with(|| Sorted::of(folder, &alike.all));
        let other_name = sorted.there.get(&meta.inode).into_iter().flatten();
        let other_name = other_name.filter(|from| is_one_name(&from.name, source));
        let mut same_bytes = sorted.gone.iter().chain(other_name).filter(|from| is_free(from));
        match (same_bytes.next(), same_bytes.next()) {
            (Some(from), None) => Some(from),
            _ => None,
        }
    }
}

impl<'s> Sorted<'s> {
    fn of(folder: &Folder, all: &[&'s Source]) -> Self {
        let mut sorted = Self::default();
        for &source in all {
            match disk::look(&folder.place.root.join(&source.name)) {
                Ok(Look::File(meta)) => sorted.there.entry(meta.inode).or_default().push(source),
                Ok(_) => sorted.gone.push(source),
                // It cannot be told: nothing is taken from it.
                Err(_) => {}
            }
        }
        sorted
    }
}

/// Whether a file system that does not tell capitals apart, or forms of Unicode, takes these for one name.
fn is_one_name(one: &str, other: &str) -> bool {
    let fold = |text: &str| paths::composed(text).to_lowercase();
    fold(one) == fold(other)
}

impl Folder {
    /// Whether `source` is a file of its own beside `other`: on some file systems one file answers to several names.
    pub(super) fn is_there(&self, source: &str, other: &str, meta: &Meta) -> bool {
        match disk::look(&self.place.root.join(source)) {
            Ok(Look::File(found)) => !(found.inode == meta.inode && is_one_name(source, other)),
            Ok(_) => false,
            // It cannot be told: nothing is taken from it.
            Err(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::NoteId;

    #[test]
    fn what_has_nothing_of_a_known_file_was_not_known() {
        let meta = |inode, size| Meta {
            inode,
            size,
            modified: 1,
            changed: 1,
            born: 1,
        };
        let stamp = Stamp {
            meta: meta(7, 3),
            hash: super::super::stamp::hash("one"),
            unreadable: false,
            created: 0,
            claim: None,
        };
        let source = Source {
            name: "a.md".into(),
            note: NoteId::new("a").unwrap(),
            stamp: stamp.text(),
        };
        let marks = Marks::of(&[source]);
        let other = super::super::stamp::hash("two");
        assert!(marks.may_know(&meta(7, 3), &other));
        assert!(marks.may_know(&meta(8, 3), &stamp.hash));
        assert!(!marks.may_know(&meta(8, 3), &other));
        // All empty files are alike, and none is told again by that.
        assert!(!marks.may_know(&meta(8, 0), &stamp.hash));
        assert!(!Marks::default().may_know(&meta(7, 3), &stamp.hash));
    }
}
