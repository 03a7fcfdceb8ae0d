//! The definition notes, as they are listed.

use std::sync::Arc;

use reveille_vault::NoteId;
use reveille_vault::agent::{Definition, Problem};

use super::{Known, Registry, Stamp};
use crate::sandboxing::Lowered;

/// One definition note as the registry sees it.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// The note.
    pub(crate) note: NoteId,
    /// The vault.
    pub(crate) vault: String,
    /// The agent's name, or what the note calls itself when that is no valid name.
    pub(crate) name: String,
    /// What counts: the note, or what it was before an edit broke it.
    pub(crate) definition: Option<Arc<Definition>>,
    /// What is wrong with the note as it is.
    pub(crate) problems: Vec<Problem>,
    /// What it asks for and does not get.
    pub(crate) lowered: Vec<Lowered>,
    /// It holds its name: messages reach the agent.
    pub(crate) live: bool,
    /// It is a thread that names an agent.
    pub(crate) is_thread: bool,
    /// What to show.
    pub(crate) stamp: Stamp,
}

/// The same in brief.
pub(crate) struct Outline {
    /// The vault.
    pub(crate) vault: Arc<str>,
    /// The note.
    pub(crate) note: NoteId,
    /// What counts.
    pub(crate) definition: Option<Arc<Definition>>,
    /// The note as it is has nothing that is wrong.
    pub(crate) holds_together: bool,
    /// It holds its name.
    pub(crate) live: bool,
}

impl Registry {
    /// Every definition note, by name.
    #[must_use]
    pub(crate) fn list(&self) -> Vec<Listed> {
        self.list_of(|_| true)
    }

    /// The definition notes of one name: the one that holds it comes before others that only claim it.
    #[must_use]
    pub(crate) fn named(&self, name: &str) -> Vec<Listed> {
        let mut named = self.list_of(|one| one == name);
        named.sort_by_key(|listed| !listed.live);
        named
    }

    fn list_of(&self, wanted: impl Fn(&str) -> bool) -> Vec<Listed> {
        let inner = self.read();
        let wanted = inner.notes.iter().filter(|(_, _, known)| wanted(known.name()));
        let one = |(vault, note, known): (&Arc<str>, &NoteId, &Known)| {
            let key = (Arc::clone(vault), note.clone());
            Listed {
                vault: vault.to_string(),
                name: known.name().to_owned(),
                definition: known.definition.clone(),
                problems: known.problems.clone(),
                lowered: known.lowered.clone(),
                live: inner.holds(&key, known),
                is_thread: known.is_thread,
                stamp: inner.stamp(&key, known),
                note: key.1,
            }
        };
        let mut list: Vec<Listed> = wanted.map(one).collect();
        list.sort_by(|a, b| (&a.name, &a.vault, &a.note).cmp(&(&b.name, &b.vault, &b.note)));
        list
    }

    /// Every definition note, without what is shown of it.
    #[must_use]
    pub(crate) fn outline(&self) -> Vec<Outline> {
        let inner = self.read();
        let one = |(vault, note, known): (&Arc<str>, &NoteId, &Known)| {
            let key = (Arc::clone(vault), note.clone());
            Outline {
                definition: known.definition.clone(),
                holds_together: known.problems.is_empty(),
                live: inner.holds(&key, known),
                vault: key.0,
                note: key.1,
            }
        };
        inner.notes.iter().map(one).collect()
    }
}
