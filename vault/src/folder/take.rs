//! Bringing the index up to what is on the disk: of which note a file is, and what the note says.
//!
//! The identity of a note is the `id` in its front matter. A file without one keeps the note that it had, also under another
//! name; a new one gets an id that is made of its path. A file that claims the id of another is a copy: it is a note of its
//! own, and its tags under `agent/` do not count, so that a copy neither wakes an agent nor defines one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::Folder;
use super::disk::{self, Look, Meta, Unread};
use super::document::Document;
use super::moved::Moved;
use super::paths;
use super::scan::QUIET;
use super::stamp::{self, Stamp};
use super::watch::Hint;
use crate::embedded::Fault;
use crate::embedded::mirror::{Seen, Source};
use crate::embedded::reading::Reading;
use crate::embedded::rules;
use crate::note::{Note, NoteId, millis};
use crate::store::VaultError;

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
    missing: Vec<Source>,
    /// Still being written.
    later: Vec<String>,
    /// Files that are not read, with the reason, or none when all is well.
    told: Vec<(String, Option<String>)>,
}

/// What the index is to be told.
#[derive(Default)]
struct Taken {
    seen: Vec<Seen>,
    /// Notes that may have lost their file.
    freed: HashSet<NoteId>,
    /// A file is another note's now.
    displaced: bool,
    /// Still being written.
    later: Vec<String>,
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
        let this = Arc::clone(self);
        let taken = self.index.reading(move |index| this.compare(names, index)).await?;
        if !taken.seen.is_empty() {
            self.index.mirror_with(taken.seen, whole && taken.displaced).await?;
        }
        self.settle_claims(taken.freed).await?;
        Ok(taken.later)
    }

    /// Reads what is on the disk under these names, and says what of it the index does not know. Blocks.
    fn compare(&self, names: Vec<String>, index: &Reading<'_>) -> Result<Taken, Fault> {
        let known = names.into_iter().map(|name| {
            let source = index.source(&name)?;
            Ok((name, source))
        });
        let mut found = self.look_at(known.collect::<Result<_, Fault>>()?);
        for (source, reason) in found.told {
            self.place.state.file(&source, reason);
        }
        let identities = self.identify(&found.fresh, index)?;
        // What came first is told first.
        found
            .fresh
            .sort_by_key(|fresh| fresh.document.created.unwrap_or_else(|| fresh.meta.born_at()));
        let mut taken = Taken {
            later: found.later,
            ..Taken::default()
        };
        for fresh in found.fresh {
            let Some(identity) = identities.get(&fresh.source) else {
                continue;
            };
            if let Some(known) = fresh.known.as_ref().filter(|known| known.note != identity.id) {
                taken.displaced = true;
                taken.freed.insert(known.note.clone());
            }
            taken.seen.extend(self.seen(fresh, identity, index)?);
        }
        for gone in found.missing {
            taken.freed.insert(gone.note);
            taken.seen.push(Seen::Gone { source: gone.name });
        }
        Ok(taken)
    }

    /// Copies of notes that are gone are looked at again: one of them is the note now.
    pub(super) async fn settle_claims(&self, freed: HashSet<NoteId>) -> Result<(), VaultError> {
        if freed.is_empty() {
            return Ok(());
        }
        let copies = self.index.reading(move |index| {
            let mut gone = HashSet::new();
            for id in freed {
                if index.source_of(&id)?.is_none() {
                    gone.insert(id);
                }
            }
            if gone.is_empty() {
                return Ok(Vec::new());
            }
            let mut copies = index.stamped(Stamp::CLAIM)?;
            copies.retain(|copy| {
                let claim = Stamp::parse(&copy.stamp).and_then(|stamp| stamp.claim);
                claim.is_some_and(|claim| gone.contains(&claim))
            });
            Ok(copies)
        });
        for copy in copies.await? {
            self.place.hint(Hint::Anew(copy.name));
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
                    found.missing.extend(known);
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
    fn seen(&self, fresh: Fresh, identity: &Identity, index: &Reading<'_>) -> Result<Option<Seen>, Fault> {
        let before = index.note(&identity.id)?;
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
        self.place.marks().add(&stamp);
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
    index: &'f Reading<'f>,
    fresh: HashMap<&'f str, &'f Fresh>,
    /// Ids with the sources that have them from now on.
    given: HashMap<NoteId, String>,
    found: BTreeMap<String, Identity>,
}

impl Folder {
    fn identify<'f>(&'f self, fresh: &'f [Fresh], index: &'f Reading<'f>) -> Result<BTreeMap<String, Identity>, Fault> {
        let mut identities = Identities {
            folder: self,
            index,
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
            identities.explicit(fresh)?;
        }
        let marks = self.place.marks();
        let unknown = |fresh: &&&Fresh| {
            let is_new = fresh.document.id.is_none() && fresh.known.is_none();
            is_new && marks.may_know(&fresh.meta, &fresh.hash)
        };
        let renamed: Vec<_> = order.iter().filter(unknown).collect();
        drop(marks);
        if !renamed.is_empty() {
            let sources = index.sources()?;
            let mut moved = Moved::new(&sources);
            for fresh in renamed {
                identities.moved(fresh, &mut moved);
            }
        }
        for fresh in order {
            if !identities.found.contains_key(&fresh.source) {
                identities.rest(fresh)?;
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
    fn explicit(&mut self, fresh: &Fresh) -> Result<(), Fault> {
        let Some(id) = fresh.document.id.clone() else {
            return Ok(());
        };
        let free = match self.given.get(&id) {
            Some(_) => false,
            None => match self.index.source_of(&id)? {
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
            _ => self.derived(fresh)?,
        };
        self.give(&fresh.source, own, Some(id));
        Ok(())
    }

    /// Whether `holder` is still the file of note `id`, seen from another file that says it is.
    fn holds(&self, holder: &Source, id: &NoteId, other: &Fresh) -> bool {
        if let Some(fresh) = self.fresh.get(holder.name.as_str()) {
            return fresh.document.id.as_ref().is_none_or(|now| now == id);
        }
        self.folder.is_there(&holder.name, &other.source, &other.meta)
    }

    /// Without an id: perhaps it was under another name before.
    fn moved(&mut self, fresh: &Fresh, moved: &mut Moved<'_>) {
        let is_free = |from: &Source| !self.given.contains_key(&from.note);
        let file = (fresh.source.as_str(), &fresh.meta, fresh.hash.as_str());
        if let Some(from) = moved.from(self.folder, file, is_free) {
            self.give(&fresh.source, from.note.clone(), None);
        }
    }

    fn rest(&mut self, fresh: &Fresh) -> Result<(), Fault> {
        let id = match &fresh.known {
            Some(known) if !self.given.contains_key(&known.note) => known.note.clone(),
            _ => self.derived(fresh)?,
        };
        self.give(&fresh.source, id, None);
        Ok(())
    }

    /// An id that is made of the path: the same one again when the index is lost, and another one when a note at that path
    /// was removed. Who uses a name again writes another message; one that says the same was only away.
    fn derived(&self, fresh: &Fresh) -> Result<NoteId, Fault> {
        let source = fresh.source.as_str();
        for attempt in 0_u32.. {
            let text = if attempt == 0 {
                source.to_owned()
            } else {
                format!("{source}\n{attempt}")
            };
            let uuid = Uuid::new_v5(&IDS, paths::composed(&text).as_bytes());
            let id = NoteId::new(uuid.to_string()).map_err(|error| VaultError::Invalid(error.to_string()))?;
            let holder = self.index.source_of(&id)?;
            let was = self.index.gone(&id)?.and_then(|stamp| Stamp::parse(&stamp));
            if !self.given.contains_key(&id)
                && holder.is_none_or(|holder| holder.name == source)
                && was.is_none_or(|was| was.hash == fresh.hash)
            {
                return Ok(id);
            }
        }
        Ok(NoteId::generate())
    }
}
