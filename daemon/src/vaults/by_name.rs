//! Vaults by name, which come and go.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use reveille_vault::Vault;

/// Vaults by name. Cheap to clone; all clones see the same.
#[derive(Clone, Default)]
pub(crate) struct ByName(Arc<RwLock<BTreeMap<String, Arc<dyn Vault>>>>);

impl ByName {
    /// The vault of that name, as long as it is there.
    #[must_use]
    pub(crate) fn get(&self, name: &str) -> Option<Arc<dyn Vault>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(name).cloned()
    }

    /// All of them, by name.
    #[must_use]
    pub(crate) fn all(&self) -> Vec<Arc<dyn Vault>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.values().cloned().collect()
    }

    /// Makes it known by its name.
    pub(crate) fn insert(&self, vault: Arc<dyn Vault>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(vault.name().to_owned(), vault);
    }

    pub(super) fn remove(&self, name: &str) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.remove(name);
    }
}

#[cfg(test)]
impl<V: Vault + 'static> From<Arc<V>> for ByName {
    fn from(vault: Arc<V>) -> Self {
        let all = Self::default();
        all.insert(vault);
        all
    }
}
