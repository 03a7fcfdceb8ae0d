//! Bringing the index up to what is on the disk: of which note a file is, and what the note says.
//!
//! The identity of a note is the `id` in its front matter. A file without one keeps the note that it had, also under another
//! name; a new one gets an id that is made of its path. A file that claims the id of another is a copy: it is a note of its
//! own, and its tags under `agent/` do not count, so that a copy neither wakes an agent nor defines one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::Folder;
use super::disk::{self, Look, Meta, Unread};
use super::document::Document;
use super::paths;
use super::scan::QUIET;
use super::stamp::{self, Stamp};
use super::watch::Hint;
use crate::embedded::mirror::{Seen, Source};
use crate::embedded::rules;
use crate::note::{Note, NoteId, millis};
use crate::store::{Key, VaultError};

/// On copies, in the place of the tags that do not count.
pub(super) const COPY: &str = "conflict-copy";

/// Names the ids that are made of paths.
const IDS: Uuid = Uuid::from_u128(0x3b0f_5a86_2c64_4b1d_9a56_7f0b_6a1e_90c4);

/// A file that was read.
#[derive(Debug)]
struct Fresh {
    source: String,
    meta: Meta,
    hash: String,
    document: Document,
    known: Option<Source>,
}

/// What is on the disk under the names that were looked at.
#[derive(Default)]
struct Findings {
    fresh: Vec<Fresh>,
    missing: Vec<String>,
    /// Still being written.
    later: Vec<String>,
    /// Files that are not read, with the reason, or none when all is well.
    told: Vec<(String, Option<String>)>,
}

/// Whose a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    id: NoteId,
    /// The id in its front matter when that is another file's.
    claim: Option<NoteId>,
}

impl Folder {
    /// Takes over what is on the disk under these names. Answers those that are still being written. The caller holds the
    /// order. `whole`: nothing else is about to be taken over, so that a note whose file is another note's now is gone; else
    /// it may turn up under another name.
    pub(super) async fn take(self: &Arc<Self>, names: Vec<String>, whole: bool) -> Result<Vec<String>, VaultError> {
        let known = self.index.sources_named(names.clone()).await?;
        let this = Arc::clone(self);
        let names: Vec<_> = names.into_iter().zip(known).collect();
        let mut found = self.blocking(move || Ok(this.look_at(names))).await?;
        for (source, reason) in found.told {
            self.place.state.file(&source, reason);
        }
        let identities = self.identify(&found.fresh).await?;
        let displaced = found.fresh.iter().any(|fresh| {
            let identity = identities.get(&fresh.source);
            fresh
                .known
                .as_ref()
                .is_some_and(|known| identity.is_some_and(|identity| identity.id != known.note))
        });
        let mut freed: Vec<NoteId> = Vec::new();
        // What came first is told first.
        found
            .fresh
            .sort_by_key(|fresh| fresh.document.created.unwrap_or_else(|| fresh.meta.born_at()));
        let mut seen = Vec::with_capacity(found.fresh.len() + found.missing.len());
        for fresh in found.fresh {
            let Some(identity) = identities.get(&fresh.source) else {
                continue;
            };
            freed.extend(
                fresh
                    .known
                    .iter()
                    .map(|known| known.note.clone())
                    .filter(|id| *id != identity.id),
            );
            seen.extend(self.seen(fresh, identity).await?);
        }
        for name in found.missing {
            freed.extend(
                self.index
                    .sources_named(vec![name.clone()])
                    .await?
                    .into_iter()
                    .flatten()
                    .map(|known| known.note),
            );
            seen.push(Seen::Gone { source: name });
        }
        if !seen.is_empty() {
            self.index.mirror_with(seen, whole && displaced).await?;
        }
        self.settle_claims(freed).await?;
        Ok(found.later)
    }

    /// Copies of notes that are gone are looked at again: one of them is the note now.
    async fn settle_claims(&self, freed: Vec<NoteId>) -> Result<(), VaultError> {
        for id in freed {
            if self.index.source_of(&id).await?.is_none() {
                for copy in self.index.sources_stamped(Stamp::claim_end(&id)).await? {
                    self.place.hint(Hint::Anew(copy.name));
                }
            }
        }
        Ok(())
    }

    fn look_at(&self, names: Vec<(String, Option<Source>)>) -> Findings {
        let mut found = Findings::default();
        let reread = self.take_reread(&names);
        for (source, known) in names {
            let stamp = known.as_ref().and_then(|known| Stamp::parse(&known.stamp));
            let meta = match paths::checked(&self.place.root, &source).map(|path| disk::look(&path)) {
                Ok(Ok(Look::File(meta))) => meta,
                Ok(Err(error)) => {
                    found
                        .told
                        .push((source, Some(format!("it cannot be looked at ({error})"))));
                    continue;
                }
                // A link, or nothing, or something that is no file.
                Ok(Ok(_)) | Err(_) => {
                    found.told.push((source.clone(), None));
                    if known.is_some() {
                        found.missing.push(source);
                    }
                    continue;
                }
            };
            if stamp.is_some_and(|stamp| stamp.meta == meta) && !reread.contains(&source) {
                continue;
            }
            if meta.quiet_for() < QUIET {
                found.later.push(source);
                continue;
            }
            self.read_into(&mut found, source, known);
        }
        found
    }

    fn read_into(&self, found: &mut Findings, source: String, known: Option<Source>) {
        let reason = match disk::read(&self.place.root.join(&source), self.place.max_bytes) {
            Ok((meta, text)) => {
                if let Err(reason) = paths::of_source(&source) {
                    found.told.push((source, Some(format!("it is not a note: {reason}"))));
                    return;
                }
                let document = Document::parse(&text);
                let reason = document.trouble.as_ref().map(|trouble| {
                    let kept = if known.is_some() {
                        "the note stays as it was"
                    } else {
                        "its tags and fields are unknown"
                    };
                    format!("its front matter cannot be read ({trouble}); {kept} until it is mended")
                });
                found.told.push((source.clone(), reason));
                found.fresh.push(Fresh {
                    source,
                    meta,
                    hash: stamp::hash(&text),
                    document,
                    known,
                });
                return;
            }
            Err(Unread::Changing) => {
                found.later.push(source);
                return;
            }
            Err(Unread::TooLarge) => format!("it is larger than {} bytes and was not read", self.place.max_bytes),
            Err(Unread::NoText) => "it is not UTF-8 and was not read".into(),
            Err(Unread::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                found.later.push(source);
                return;
            }
            Err(Unread::Io(error)) => format!("it could not be read ({error})"),
        };
        found.told.push((source, Some(reason)));
    }

    /// What the index shall hold of a file.
    async fn seen(&self, fresh: Fresh, identity: &Identity) -> Result<Option<Seen>, VaultError> {
        let before = crate::Vault::get(&*self.index, &Key::Id(identity.id.clone())).await?;
        let Ok(path) = paths::of_source(&fresh.source) else {
            return Ok(None);
        };
        let mut stamp = Stamp {
            meta: fresh.meta,
            hash: fresh.hash,
            unreadable: fresh.document.trouble.is_some(),
            // Known once the note is.
            created: 0,
            claim: identity.claim.clone(),
        };
        let note = match before.clone() {
            // An editor has saved in the middle of a thought: an agent does not end over that.
            Some(before) if stamp.unreadable => Note {
                path: Some(path),
                ..before
            },
            before => {
                let modified = millis::truncate(fresh.meta.modified_at().min((self.clock)()));
                let born = before.as_ref().map_or(fresh.meta.born_at(), |before| before.created_at);
                let is_copy = identity.claim.is_some() || paths::is_conflict_copy(&fresh.source);
                Note {
                    id: identity.id.clone(),
                    path: Some(path),
                    tags: counting_tags(fresh.document.tags, is_copy),
                    metadata: fresh.document.metadata,
                    content: fresh.document.content,
                    created_at: millis::truncate(fresh.document.created.unwrap_or(born)),
                    updated_at: before.map_or(modified, |before| before.updated_at),
                }
            }
        };
        stamp.created = note.created_at.as_millisecond();
        let changed = before.filter(|before| *before != note);
        let updated_at = changed.map_or(note.updated_at, |before| {
            rules::later(fresh.meta.modified_at().min((self.clock)()), before.updated_at)
        });
        Ok(Some(Seen::Note {
            source: fresh.source,
            stamp: stamp.text(),
            note: Note { updated_at, ..note },
        }))
    }
}

/// The tags of a note, sorted; those of a copy without what would wake or define something.
pub(super) fn counting_tags(mut tags: Vec<String>, is_copy: bool) -> Vec<String> {
    if is_copy {
        let before = tags.len();
        tags.retain(|tag| tag != "agent" && !tag.starts_with("agent/"));
        if tags.len() < before {
            tags.push(COPY.to_owned());
        }
    }
    tags.sort_unstable();
    tags.dedup();
    tags
}

/// Finds out whose files are.
struct Identities<'f> {
    folder: &'f Folder,
    fresh: HashMap<&'f str, &'f Fresh>,
    /// Ids with the sources that have them from now on.
    given: HashMap<NoteId, String>,
    found: BTreeMap<String, Identity>,
}

impl Folder {
    async fn identify(&self, fresh: &[Fresh]) -> Result<BTreeMap<String, Identity>, VaultError> {
        let mut identities = Identities {
            folder: self,
            fresh: fresh.iter().map(|fresh| (fresh.source.as_str(), fresh)).collect(),
            given: HashMap::new(),
            found: BTreeMap::new(),
        };
        // An original before its copies: the names of copies are longer, or say what they are.
        let mut order: Vec<&Fresh> = fresh.iter().collect();
        order.sort_by_key(|fresh| {
            let copy = paths::is_conflict_copy(&fresh.source);
            (copy, fresh.meta.born_at(), fresh.source.len(), fresh.source.clone())
        });
        for fresh in order.iter().filter(|fresh| fresh.document.id.is_some()) {
            identities.explicit(fresh).await?;
        }
        let unknown = |fresh: &&&Fresh| fresh.document.id.is_none() && fresh.known.is_none();
        if order.iter().any(|fresh| unknown(&fresh)) {
            let sources = self.index.sources().await?;
            let moved = Moved::new(&sources);
            for fresh in order.iter().filter(unknown) {
                identities.moved(fresh, &moved);
            }
        }
        for fresh in order {
            if !identities.found.contains_key(&fresh.source) {
                identities.rest(fresh).await?;
            }
        }
        Ok(identities.found)
    }
}

impl Identities<'_> {
    fn give(&mut self, source: &str, id: NoteId, claim: Option<NoteId>) {
        self.given.insert(id.clone(), source.to_owned());
        self.found.insert(source.to_owned(), Identity { id, claim });
    }

    /// The file says whose it is. That holds when no other file has that id.
    async fn explicit(&mut self, fresh: &Fresh) -> Result<(), VaultError> {
        let Some(id) = fresh.document.id.clone() else {
            return Ok(());
        };
        let free = match self.given.get(&id) {
            Some(_) => false,
            None => match self.folder.index.source_of(&id).await? {
                // Its name says that it is a copy, whichever was seen first.
                Some(holder) if paths::is_conflict_copy(&holder.name) && !paths::is_conflict_copy(&fresh.source) => {
                    self.folder.place.hint(Hint::Name(holder.name));
                    true
                }
                Some(holder) if holder.name != fresh.source => !self.holds(&holder, &id, fresh),
                _ => true,
            },
        };
        if free {
            self.give(&fresh.source, id, None);
            return Ok(());
        }
        tracing::warn!(
            vault = self.folder.place.name,
            file = fresh.source,
            id = id.as_str(),
            "the file has the id of another note: it is a copy, and its agent tags do not count; take the line `id` out of it to \
             make it a note of its own"
        );
        let own = match &fresh.known {
            Some(known) if known.note != id && !self.given.contains_key(&known.note) => known.note.clone(),
            _ => self.derived(&fresh.source).await?,
        };
        self.give(&fresh.source, own, Some(id));
        Ok(())
    }

    /// Whether `holder` is still the file of note `id`, seen from another file that says it is.
    fn holds(&self, holder: &Source, id: &NoteId, other: &Fresh) -> bool {
        if let Some(fresh) = self.fresh.get(holder.name.as_str()) {
            return fresh.document.id.as_ref().is_none_or(|now| now == id);
        }
        self.folder.is_there(&holder.name, other)
    }

    /// Without an id: perhaps it was under another name before.
    fn moved(&mut self, fresh: &Fresh, moved: &Moved<'_>) {
        let gone = |candidate: &&(Stamp, &Source)| {
            !self.given.contains_key(&candidate.1.note) && !self.folder.is_there(&candidate.1.name, fresh)
        };
        let same_file = moved.by_inode.get(&fresh.meta.inode).into_iter().flatten();
        let mut same_file = same_file
            .filter(|(stamp, _)| stamp.meta.same_file(&fresh.meta))
            .filter(gone);
        let same_bytes = moved.by_hash.get(fresh.hash.as_str()).into_iter().flatten();
        let mut same_bytes = same_bytes.filter(|_| fresh.meta.size > 0).filter(gone);
        let from = match (same_file.next(), same_bytes.next(), same_bytes.next()) {
            (Some((_, source)), ..) | (None, Some((_, source)), None) => source,
            _ => return,
        };
        let id = from.note.clone();
        self.give(&fresh.source, id, None);
    }

    async fn rest(&mut self, fresh: &Fresh) -> Result<(), VaultError> {
        let id = match &fresh.known {
            Some(known) if !self.given.contains_key(&known.note) => known.note.clone(),
            _ => self.derived(&fresh.source).await?,
        };
        self.give(&fresh.source, id, None);
        Ok(())
    }

    /// An id that is made of the path: the same one again when the index is lost.
    async fn derived(&self, source: &str) -> Result<NoteId, VaultError> {
        for attempt in 0_u32.. {
            let text = if attempt == 0 {
                source.to_owned()
            } else {
                format!("{source}\n{attempt}")
            };
            let uuid = Uuid::new_v5(&IDS, paths::composed(&text).as_bytes());
            let id = NoteId::new(uuid.to_string()).map_err(|error| VaultError::Invalid(error.to_string()))?;
            let holder = self.folder.index.source_of(&id).await?;
            if !self.given.contains_key(&id) && holder.is_none_or(|holder| holder.name == source) {
                return Ok(id);
            }
        }
        Ok(NoteId::generate())
    }
}

/// Known files by what tells them again under another name.
struct Moved<'s> {
    by_inode: HashMap<u64, Vec<(Stamp, &'s Source)>>,
    by_hash: HashMap<String, Vec<(Stamp, &'s Source)>>,
}

impl<'s> Moved<'s> {
    fn new(sources: &'s [Source]) -> Self {
        let (mut by_inode, mut by_hash) = (HashMap::new(), HashMap::new());
        for source in sources {
            let Some(stamp) = Stamp::parse(&source.stamp) else {
                continue;
            };
            let inode: &mut Vec<_> = by_inode.entry(stamp.meta.inode).or_default();
            inode.push((stamp.clone(), source));
            let hash: &mut Vec<_> = by_hash.entry(stamp.hash.clone()).or_default();
            hash.push((stamp, source));
        }
        Self { by_inode, by_hash }
    }
}

impl Folder {
    /// Whether `source` is a file of its own beside `other`: on a file system that does not tell capitals apart, or forms of
    /// Unicode, one file answers to several names.
    fn is_there(&self, source: &str, other: &Fresh) -> bool {
        let fold = |text: &str| paths::composed(text).to_lowercase();
        match disk::look(&self.place.root.join(source)) {
            Ok(Look::File(meta)) => !(meta.inode == other.meta.inode && fold(source) == fold(&other.source)),
            Ok(_) => false,
            // It cannot be told: nothing is taken from it.
            Err(_) => true,
        }
    }
}
