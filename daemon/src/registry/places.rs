//! The vaults of the agents, which come and go.

use std::sync::{Arc, PoisonError};

use reveille_vault::Vault;

use super::Registry;

impl Registry {
    /// A vault is there; its agents come behind those of all others where they claim one name.
    pub(crate) fn add_vault(&self, vault: &str) {
        let mut ranks = self.ranks.write().unwrap_or_else(PoisonError::into_inner);
        // Places are never given again: what is there keeps its order when a vault goes.
        let next = ranks.values().max().map_or(0, |last| last + 1);
        ranks.insert(vault.to_owned(), next);
    }

    /// A vault is not there any more, nor are its agents. Answers whose names are free or have gone to others.
    pub(crate) fn remove_vault(&self, vault: &Arc<dyn Vault>) -> Vec<String> {
        let notes = self.notes_of(vault.name());
        let mut names: Vec<String> = notes
            .iter()
            .flat_map(|note| self.apply(vault, note, None).woken)
            .collect();
        names.extend(self.release(vault.name()));
        names.sort();
        names.dedup();
        let mut ranks = self.ranks.write().unwrap_or_else(PoisonError::into_inner);
        ranks.remove(vault.name());
        names
    }

    /// Names of the agents of a vault that can be woken.
    #[must_use]
    pub(crate) fn names_in(&self, vault: &str) -> Vec<String> {
        let inner = self.read();
        let held = inner.names.keys().filter(|name| {
            let holder = inner.holder(name);
            holder.is_some_and(|claim| *claim.key.0 == *vault)
        });
        held.map(ToString::to_string).collect()
    }

    pub(super) fn rank(&self, vault: &str) -> usize {
        let ranks = self.ranks.read().unwrap_or_else(PoisonError::into_inner);
        ranks.get(vault).copied().unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_vault_that_comes_stands_behind_those_that_are_there_whoever_has_gone() {
        let registry = Registry::new(&["a".into(), "b".into()], super::super::Discovery::default());
        registry.add_vault("c");
        registry.ranks.write().unwrap().remove("b");
        registry.add_vault("d");
        registry.add_vault("b");
        let mut names = ["d", "a", "x", "b", "c"];
        names.sort_by_key(|name| registry.rank(name));
        assert_eq!(names, ["a", "c", "d", "b", "x"]);
    }
}
