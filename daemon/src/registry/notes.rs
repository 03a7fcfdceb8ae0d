//! The definition notes by vault and id. Of thousands of notes each name of a vault is in memory once.

use std::collections::HashMap;
use std::sync::Arc;

use reveille_vault::NoteId;

use super::Known;

/// A note of a vault. Cheap to clone.
pub(super) type NoteKey = (Arc<str>, NoteId);

/// What is known of each note.
#[derive(Default)]
pub(super) struct Notes {
    /// Boxed: a table has room for more than it holds.
    by_vault: HashMap<Arc<str>, HashMap<NoteId, Box<Known>>>,
}

impl Notes {
    /// How a note is called here.
    pub(super) fn key(&self, vault: &str, note: &NoteId) -> NoteKey {
        let known = self.by_vault.get_key_value(vault);
        let vault = known.map_or_else(|| vault.into(), |(vault, _)| Arc::clone(vault));
        (vault, note.clone())
    }

    pub(super) fn at(&self, vault: &str, note: &NoteId) -> Option<&Known> {
        self.by_vault.get(vault)?.get(note).map(|known| &**known)
    }

    pub(super) fn get(&self, (vault, note): &NoteKey) -> Option<&Known> {
        self.at(vault, note)
    }

    pub(super) fn get_mut(&mut self, vault: &str, note: &NoteId) -> Option<&mut Known> {
        self.by_vault.get_mut(vault)?.get_mut(note).map(|known| &mut **known)
    }

    pub(super) fn insert(&mut self, (vault, note): NoteKey, known: Known) {
        self.by_vault.entry(vault).or_default().insert(note, Box::new(known));
    }

    pub(super) fn remove(&mut self, (vault, note): &NoteKey) -> Option<Known> {
        let notes = self.by_vault.get_mut(vault)?;
        let removed = notes.remove(note);
        if notes.is_empty() {
            self.by_vault.remove(vault);
        }
        removed.map(|known| *known)
    }

    /// The notes of a vault.
    pub(super) fn of(&self, vault: &str) -> impl Iterator<Item = &NoteId> {
        self.by_vault.get(vault).into_iter().flat_map(HashMap::keys)
    }

    /// All of them: vault, note, what is known.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &NoteId, &Known)> {
        self.by_vault
            .iter()
            .flat_map(|(vault, notes)| notes.iter().map(move |(note, known)| (vault, note, &**known)))
    }
}
