//! All definitions of a vault as they are when somebody begins to follow it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use anyhow::Context as _;
use futures_util::{StreamExt as _, stream};
use reveille_queue::Binding;
use reveille_vault::agent::tag;
use reveille_vault::{Key, Kind, Note, NoteId, Page, Query, Vault, VaultError};
use serde::Serialize;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::inbox::Inbox;
use crate::kept::{Keep, Mark};
use crate::registry::{Discovery, Registry, STAMPED};

/// Notes that are asked for one by one at once.
const AT_ONCE: usize = 8;
/// Definitions that are in memory at once.
const PAGE: u32 = 256;

/// What is to be kept of definitions from now on, by their notes; `None`: nothing.
pub(crate) type Changes = BTreeMap<NoteId, Option<Keep>>;

/// Tells the registry. Answers what has to be kept otherwise than it is. `bound`: the notes that define the channels of the
/// queue.
///
/// # Errors
/// The vault cannot be read; then nobody was taken for removed.
pub(crate) async fn read(vault: &Arc<dyn Vault>, inbox: &Inbox, bound: &[Binding]) -> anyhow::Result<Changes> {
    let registry = &inbox.registry;
    let mut reading = Reading {
        vault,
        inbox,
        earlier: earlier(vault.name(), inbox).await,
        keep: BTreeMap::new(),
    };
    let known = registry.notes_of(vault.name());
    // Where the agents are known already, those that are gone make room first.
    let (is_first, mut held) = (known.is_empty(), Vec::new());
    let mut listed: HashSet<NoteId> = HashSet::new();
    let mut coming = Some(page(vault, registry.discovery(), None));
    while let Some(part) = coming.take() {
        let part = part.await.context("the definitions were not read to their end")??;
        // It is read while this one is worked on.
        coming = part.next.map(|after| page(vault, registry.discovery(), Some(after)));
        listed.extend(part.notes.iter().map(|note| note.id.clone()));
        match is_first {
            true => reading.take(part.notes).await,
            false => held.extend(part.notes),
        }
    }
    let ours = bound.iter().filter(|binding| binding.vault == vault.name());
    let bound = ours.filter_map(|binding| NoteId::new(binding.note.as_str()).ok()); // silent-ok: only ids are bound
    let known = known.into_iter().chain(reading.earlier.keys().cloned()).chain(bound);
    let missing: BTreeSet<NoteId> = known.filter(|id| !listed.contains(id)).collect();
    // A listing of a peer may leave notes out. That one is gone is believed of itself only.
    let (found, damaged) = look_after(&**vault, &missing).await?;
    for id in missing.iter().filter(|id| !damaged.contains(id)) {
        if !found.iter().any(|note| note.id == *id) {
            registry.apply(vault, id, None);
        }
    }
    reading.bear_with(&damaged).await;
    reading.take(held).await;
    reading.take(found).await;
    Ok(reading.done())
}

/// Asks for a page of the definitions, the first one or the one after another.
fn page(vault: &Arc<dyn Vault>, discovery: Discovery, after: Option<String>) -> JoinHandle<Result<Page, VaultError>> {
    let part = Query {
        tags: discovery.tags().iter().map(|&tag| tag.to_owned()).collect(),
        exact_tags: true,
        // A peer is not asked more often than has to be.
        limit: (vault.kind() != Kind::Parachute).then_some(PAGE),
        after,
        ..Query::default()
    };
    let vault = Arc::clone(vault);
    tokio::spawn(async move { vault.query(&part).await })
}

struct Reading<'a> {
    vault: &'a Arc<dyn Vault>,
    inbox: &'a Inbox,
    /// What the definitions said when they last held together.
    earlier: BTreeMap<NoteId, Option<Mark>>,
    keep: Changes,
}

impl Reading<'_> {
    fn knows(&self, id: &NoteId) -> bool {
        self.inbox.registry.knows(self.vault.name(), id)
    }

    /// Earlier versions of notes that the registry does not know yet.
    async fn before(&self, ids: Vec<NoteId>) -> BTreeMap<NoteId, Note> {
        match self.inbox.kept.of(self.vault.name(), ids).await {
            Ok(notes) => notes.into_iter().map(|note| (note.id.clone(), note)).collect(),
            Err(error) => {
                unknown(self.vault.name(), &error);
                BTreeMap::new()
            }
        }
    }

    /// Notes that are there and cannot be read.
    async fn bear_with(&self, damaged: &BTreeSet<NoteId>) {
        for id in damaged {
            tracing::warn!(vault = self.vault.name(), note = %id, "a definition cannot be read; its agent goes on as it was, if that is known");
        }
        let new = damaged.iter().filter(|id| !self.knows(id)).cloned();
        for (id, before) in self.before(new.collect()).await {
            self.inbox.registry.apply(self.vault, &id, Some(&before));
        }
    }

    async fn take(&mut self, notes: Vec<Note>) {
        let marks: Vec<Option<Mark>> = notes.iter().map(mark).collect();
        let stored = |id: &NoteId| self.earlier.get(id).filter(|_| !self.knows(id));
        // The usual case, and reading each of them twice would take half of the start.
        let same: Vec<bool> = (notes.iter().zip(&marks))
            .map(|(note, mark)| mark.is_some() && stored(&note.id) == Some(mark))
            .collect();
        let others = notes
            .iter()
            .zip(&same)
            .filter(|(note, same)| !**same && stored(&note.id).is_some());
        let before = self.before(others.map(|(note, _)| note.id.clone()).collect()).await;
        let (vault, registry) = (self.vault, &self.inbox.registry);
        for ((note, mark), same) in notes.into_iter().zip(marks).zip(same) {
            if let Some(before) = before.get(&note.id).filter(|before| !says_the_same(before, &note)) {
                registry.apply(vault, &note.id, Some(before));
            }
            self.inbox.grants.foresee(vault.name(), &note);
            let effect = registry.apply(vault, &note.id, Some(&note));
            if effect.keep && !same {
                self.keep.insert(note.id.clone(), Some(Keep { note, mark }));
            }
        }
    }

    fn done(mut self) -> Changes {
        for id in std::mem::take(&mut self.earlier).into_keys() {
            if !self.knows(&id) {
                self.keep.insert(id, None);
            }
        }
        self.keep
    }
}

/// What somebody has written in a definition, without what the daemon writes on it.
#[derive(PartialEq, Serialize)]
struct Words<'a> {
    path: Option<&'a str>,
    content: &'a str,
    tags: &'a [String],
    created_at: i64,
    metadata: Vec<(&'a str, &'a Value)>,
}

impl<'a> Words<'a> {
    fn of(note: &'a Note) -> Self {
        let own = note.metadata.iter().filter(|(key, _)| !STAMPED.contains(&key.as_str()));
        Self {
            path: note.path.as_deref(),
            content: &note.content,
            tags: &note.tags,
            created_at: note.created_at.as_millisecond(),
            metadata: own.map(|(key, value)| (key.as_str(), value)).collect(),
        }
    }
}

/// What a definition says. `None`: it is none, and what stands on it may be somebody else's word.
pub(crate) fn mark(note: &Note) -> Option<Mark> {
    let words = note
        .has_tag(tag::DEFINITION)
        .then(|| serde_json::to_vec(&Words::of(note)))?;
    Some(Mark::of(&words.ok()?)) // silent-ok: it is compared as a whole then
}

/// Whether two states of a definition differ in nothing but what the daemon writes on it.
fn says_the_same(one: &Note, other: &Note) -> bool {
    one.has_tag(tag::DEFINITION) && Words::of(one) == Words::of(other)
}

/// The definitions when they last held together. Without them everything else goes on.
async fn earlier(vault: &str, inbox: &Inbox) -> BTreeMap<NoteId, Option<Mark>> {
    inbox.kept.marks(vault).await.unwrap_or_else(|error| {
        unknown(vault, &error);
        BTreeMap::new()
    })
}

fn unknown(vault: &str, error: &anyhow::Error) {
    tracing::warn!(
        error = format!("{error:#}"),
        vault,
        "earlier versions of definitions are not known; agents whose definition is broken wait for its mend"
    );
}

/// Of notes that are asked for one by one: those that are there, and those that are there and cannot be read. One of these must
/// not keep anybody from following the vault.
/// Notes that define something as far as the registry knows, and are not there any more.
///
/// # Errors
/// The vault cannot be read.
pub(crate) async fn gone(vault: &Arc<dyn Vault>, registry: &Registry) -> anyhow::Result<Vec<NoteId>> {
    let mut missing: BTreeSet<NoteId> = registry.notes_of(vault.name()).into_iter().collect();
    let mut coming = Some(page(vault, registry.discovery(), None));
    while let Some(part) = coming.take() {
        let part = part.await.context("the definitions were not read to their end")??;
        coming = part.next.map(|after| page(vault, registry.discovery(), Some(after)));
        for note in &part.notes {
            missing.remove(&note.id);
        }
    }
    let (found, damaged) = look_after(&**vault, &missing).await?;
    missing.retain(|id| !damaged.contains(id) && found.iter().all(|note| note.id != *id));
    Ok(missing.into_iter().collect())
}

async fn look_after(vault: &dyn Vault, missing: &BTreeSet<NoteId>) -> anyhow::Result<(Vec<Note>, BTreeSet<NoteId>)> {
    let mut asked = stream::iter(missing.iter().cloned())
        .map(|id| async move { (vault.get(&Key::Id(id.clone())).await, id) })
        .buffer_unordered(AT_ONCE);
    let (mut found, mut damaged) = (Vec::new(), BTreeSet::new());
    while let Some((answer, id)) = asked.next().await {
        match answer {
            Ok(note) => found.extend(note),
            Err(VaultError::Damaged { .. }) => drop(damaged.insert(id)),
            Err(error) => return Err(error).context("a definition that is not listed"),
        }
    }
    Ok((found, damaged))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn note(metadata: Value, second: i64) -> Note {
        let at = |second| Timestamp::from_second(second).unwrap();
        Note {
            id: NoteId::new("one").unwrap(),
            path: Some("Agents/one".into()),
            content: "You work.".into(),
            tags: vec![tag::DEFINITION.into()],
            metadata: serde_json::from_value(metadata).unwrap(),
            created_at: at(7),
            updated_at: at(second),
        }
    }

    #[test]
    fn what_the_daemon_writes_on_a_definition_makes_it_no_other_one() {
        let before = note(json!({"name": "a", "model": "opus"}), 7);
        let stamped = json!({"name": "a", "model": "opus", "status": "enabled", "status_detail": "", "pending": ""});
        assert!(says_the_same(&before, &note(stamped.clone(), 8)));
        assert_eq!(mark(&before), mark(&note(stamped.clone(), 8)));
        let mut text = note(stamped.clone(), 8);
        text.content.push('!');
        let mut thread = note(stamped, 8);
        thread.tags = vec![tag::THREAD.into()];
        for other in [
            note(json!({"name": "a", "model": "haiku", "status": "enabled"}), 8),
            note(json!({"name": "a"}), 8),
            text,
            thread.clone(),
        ] {
            assert!(!says_the_same(&before, &other), "{other:?}");
            assert_ne!(mark(&before), mark(&other), "{other:?}");
        }
        // What stands on threads is somebody else's word.
        assert!(!says_the_same(&thread, &thread));
        assert_eq!(mark(&thread), None);
    }
}
