//! Names that are kept for agents of vaults that cannot be read yet, and what does not go with a name.

use std::sync::PoisonError;

use reveille_queue::Binding;
use reveille_vault::NoteId;
use reveille_vault::agent::Problem;

use super::{Inner, Registry};

impl Inner {
    /// What was given to a name and is not meant for who has it now. What it is asked for and not granted yet is not among it.
    pub(super) fn withheld_from(&self, name: &str) -> Vec<String> {
        let Some(given) = self.withheld.get(name) else {
            return Vec::new();
        };
        let wanted = self.connections.get(name).into_iter().flatten();
        let granted = wanted.filter(|one| one.is_approved()).map(|one| one.key.clone());
        given.iter().cloned().chain(granted).collect()
    }
}

impl Registry {
    /// Keeps the names that notes of a vault had, until it has been read.
    pub(crate) fn reserve(&self, vault: &str, bindings: &[Binding]) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let theirs = bindings.iter().filter(|binding| binding.vault == vault);
        let names = theirs.map(|binding| (binding.channel.to_string(), vault.to_owned()));
        inner.reserved.extend(names);
    }

    /// Whether a name is kept for an agent of a vault that has not been read yet.
    pub(crate) fn is_reserved(&self, name: &str) -> bool {
        self.read().reserved.contains_key(name)
    }

    /// A vault has been read, or is not there any more: names that it does not give are free. Answers those it had.
    pub(crate) fn release(&self, vault: &str) -> Vec<String> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let kept = inner.reserved.iter().filter(|(_, of)| *of == vault);
        let names: Vec<String> = kept.map(|(name, _)| name.clone()).collect();
        inner.reserved.retain(|_, of| of != vault);
        inner.reserved.shrink_to_fit();
        let claims = names.iter().filter_map(|name| inner.names.get(name.as_str())).flatten();
        let stale = claims
            .map(|claim| claim.key.clone())
            .filter(|key| inner.due(key).is_some());
        let stale: Vec<_> = stale.collect();
        let held = names.iter().filter(|name| inner.holder(name).is_some());
        held.for_each(|name| self.live.agent_changed(name));
        self.live.told().touch();
        drop(inner);
        for (vault, note) in stale {
            self.restamp(&vault, [note]);
        }
        names
    }

    /// Why a note would not get a name that it claims; `None`: nobody else has it.
    #[must_use]
    pub(crate) fn taken_from(&self, name: &str, vault: &str, note: &NoteId) -> Option<Problem> {
        let inner = self.read();
        let message = match (inner.holder(name), inner.reserved.get(name)) {
            (Some(holder), _) if *holder.key.0 == *vault && holder.key.1 == *note => return None,
            (Some(_), _) => format!("{name} is the name of another agent; choose another one"),
            (None, Some(other)) if other != vault => {
                format!("{name} is an agent of the vault {other}, which has not been read yet; choose another one")
            }
            (None, _) => return None,
        };
        Some(Problem::new("name", message))
    }

    /// What was given to a name, besides grants, and is not meant for who has it; `None`: all is.
    pub(crate) fn withhold(&self, name: &str, given: Option<Vec<String>>) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if inner.withheld.get(name) == given.as_ref() {
            return;
        }
        match given {
            Some(given) => drop(inner.withheld.insert(name.to_owned(), given)),
            None => drop(inner.withheld.remove(name)),
        }
        let holder = inner.holder(name).map(|claim| claim.key.clone());
        let stale = holder.filter(|holder| inner.due(holder).is_some());
        self.live.agent_changed(name);
        drop(inner);
        if let Some((vault, note)) = stale {
            self.restamp(&vault, [note]);
        }
    }

    /// What was given to a name and is not meant for who has it now.
    #[must_use]
    pub(crate) fn withheld(&self, name: &str) -> Vec<String> {
        self.read().withheld_from(name)
    }
}
