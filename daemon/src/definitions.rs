//! All definitions of a vault as they are when somebody begins to follow it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reveille_vault::{Key, Note, NoteId, Query, Vault, VaultError};

use crate::inbox::Inbox;

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
    notes.extend(look_after(&**vault, missing.clone()).await?);
    for id in &missing {
        if !notes.iter().any(|note| note.id == *id) {
            registry.apply(vault, id, None);
        }
    }
    let mut keep = BTreeMap::new();
    for note in &notes {
        if let Some(before) = earlier
            .get(&note.id)
            .filter(|_| !registry.knows(vault.name(), &note.id))
        {
            registry.apply(vault, &note.id, Some(before));
        }
        inbox.grants.foresee(vault.name(), note);
        let effect = registry.apply(vault, &note.id, Some(note));
        if effect.keep {
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

async fn look_after(vault: &dyn Vault, missing: BTreeSet<NoteId>) -> anyhow::Result<Vec<Note>> {
    let found = stream::iter(missing)
        .map(|id| async move { vault.get(&Key::Id(id)).await })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<Option<Note>>>();
    let found: Result<_, VaultError> = found.await;
    let found = found.context("a definition that is not listed")?;
    Ok(found.into_iter().flatten().collect())
}
