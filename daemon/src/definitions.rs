//! All definitions of a vault as they are when somebody begins to follow it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context as _;
use futures_util::{StreamExt as _, stream};
use reveille_vault::agent::tag;
use reveille_vault::{Key, Note, NoteId, Query, Vault, VaultError};
use serde_json::Value;

use crate::inbox::Inbox;
use crate::registry::STAMPED;

/// Notes that are asked for one by one at once.
const AT_ONCE: usize = 8;

/// Tells the registry. Answers what has to be kept otherwise than it is.
///
/// # Errors
/// The vault or the queue cannot be read; then nobody was taken for removed.
pub(crate) async fn read(vault: &Arc<dyn Vault>, inbox: &Inbox) -> anyhow::Result<BTreeMap<NoteId, Option<Note>>> {
    let registry = &inbox.registry;
    let all = Query {
        tags: registry.discovery().tags().iter().map(|&tag| tag.to_owned()).collect(),
        exact_tags: true,
        ..Query::default()
    };
    let mut notes = vault.query(&all).await?.notes;
    let earlier = earlier(&**vault, inbox).await;
    let listed: BTreeSet<NoteId> = notes.iter().map(|note| note.id.clone()).collect();
    let known = registry.notes_of(vault.name()).into_iter();
    let known = known
        .chain(earlier.keys().cloned())
        .chain(bound(&**vault, inbox).await?);
    let missing: BTreeSet<NoteId> = known.filter(|id| !listed.contains(id)).collect();
    // A listing of a peer may leave notes out. That one is gone is believed of itself only.
    let (found, damaged) = look_after(&**vault, &missing).await?;
    notes.extend(found);
    for id in missing.iter().filter(|id| !damaged.contains(id)) {
        if !notes.iter().any(|note| note.id == *id) {
            registry.apply(vault, id, None);
        }
    }
    for id in &damaged {
        tracing::warn!(vault = vault.name(), note = %id, "a definition cannot be read; its agent goes on as it was, if that is known");
        if let Some(before) = earlier.get(id).filter(|_| !registry.knows(vault.name(), id)) {
            registry.apply(vault, id, Some(before));
        }
    }
    let mut keep = BTreeMap::new();
    for note in &notes {
        let before = earlier
            .get(&note.id)
            .filter(|_| !registry.knows(vault.name(), &note.id));
        // The usual case, and reading each of them twice would take half of the start.
        let same = before.is_some_and(|before| says_the_same(before, note));
        if let Some(before) = before.filter(|_| !same) {
            registry.apply(vault, &note.id, Some(before));
        }
        inbox.grants.foresee(vault.name(), note);
        let effect = registry.apply(vault, &note.id, Some(note));
        if effect.keep && !same {
            keep.insert(note.id.clone(), Some(note.clone()));
        }
    }
    for id in earlier.into_keys() {
        if !registry.knows(vault.name(), &id) {
            keep.insert(id, None);
        }
    }
    Ok(keep)
}

/// Whether two states of a definition differ in nothing but what the daemon writes on it.
fn says_the_same(one: &Note, other: &Note) -> bool {
    fn own(note: &Note) -> impl Iterator<Item = (&String, &Value)> {
        note.metadata.iter().filter(|(key, _)| !STAMPED.contains(&key.as_str()))
    }
    one.has_tag(tag::DEFINITION)
        && one.created_at == other.created_at
        && (&one.path, &one.content, &one.tags) == (&other.path, &other.content, &other.tags)
        && own(one).eq(own(other))
}

/// The definitions when they last held together. Without them everything else goes on.
async fn earlier(vault: &dyn Vault, inbox: &Inbox) -> BTreeMap<NoteId, Note> {
    match inbox.kept.of(vault.name()).await {
        Ok(notes) => notes.into_iter().map(|note| (note.id.clone(), note)).collect(),
        Err(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                vault = vault.name(),
                "earlier versions of definitions are not known; agents whose definition is broken wait for its mend"
            );
            BTreeMap::new()
        }
    }
}

/// The notes that define the channels of the queue.
async fn bound(vault: &dyn Vault, inbox: &Inbox) -> anyhow::Result<Vec<NoteId>> {
    let bindings = inbox.queue.bindings().await?;
    let ours = bindings.into_iter().filter(|binding| binding.vault == vault.name());
    Ok(ours
        .filter_map(|binding| NoteId::new(binding.note).ok()) // silent-ok: only ids are bound
        .collect())
}

/// Of notes that are asked for one by one: those that are there, and those that are there and cannot be read. One of these must
/// not keep anybody from following the vault.
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
        }
        // What stands on threads is somebody else's word.
        assert!(!says_the_same(&thread, &thread));
    }
}
