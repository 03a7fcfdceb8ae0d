//! The vaults: those of the configuration, and behind them those that were added while the daemon ran. Opened by kind, found
//! by name, looked after.

mod by_name;
mod file;
mod open;
mod residents;
mod roster;
mod token;
mod upsert;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::select_all;
use reveille_vault::{Kind, Vault, VaultState};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub(crate) use self::by_name::ByName;
pub(crate) use self::file::AddedFile;
pub(crate) use self::open::{embedded, folder_options};
pub(crate) use self::residents::{Residents, Sudden};
pub(crate) use self::roster::{ChangeError, NewVault, Parts as RosterParts, Roster, Seen};
pub(crate) use self::upsert::upsert_in_steps;
use crate::config;
use crate::faults;

/// Longest pause between two looks at the storage, whatever is told.
const LOOK: Duration = Duration::from_secs(30);

/// All vaults by name. At least one. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Vaults {
    /// Those that there are.
    here: ByName,
    /// Those and the ones that are leaving: their last turns still end.
    reachable: ByName,
    /// In the order of the configuration; behind them, those that were added.
    order: Arc<RwLock<Vec<String>>>,
    /// Rings when one came or went.
    changed: Arc<Notify>,
    default: Arc<dyn Vault>,
}

impl Vaults {
    /// Opens those of the configuration.
    ///
    /// # Errors
    /// One cannot be opened.
    pub(crate) async fn open(config: &config::Vaults, state: &Path) -> anyhow::Result<Self> {
        let default = faults::vault(open::configured(&config.default, state).await?)?;
        let vaults = Self {
            here: ByName::default(),
            reachable: ByName::default(),
            order: Arc::default(),
            changed: Arc::default(),
            default: Arc::clone(&default),
        };
        vaults.add(default);
        for other in &config.others {
            let vault = open::configured(other, state).await?;
            vaults.add(faults::vault(vault)?);
        }
        Ok(vaults)
    }

    /// The one that counts where none is named: the first of the configuration.
    #[must_use]
    pub(crate) fn default(&self) -> Arc<dyn Vault> {
        Arc::clone(&self.default)
    }

    /// The vault of that name.
    #[must_use]
    pub(crate) fn get(&self, name: &str) -> Option<Arc<dyn Vault>> {
        self.here.get(name)
    }

    /// Their names, the default one first.
    #[must_use]
    pub(crate) fn names(&self) -> Vec<String> {
        self.order.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All of them, the default one first.
    #[must_use]
    pub(crate) fn all(&self) -> Vec<Arc<dyn Vault>> {
        self.names().iter().filter_map(|name| self.here.get(name)).collect()
    }

    /// Those that there are, by name.
    #[must_use]
    pub(crate) fn by_name(&self) -> &ByName {
        &self.here
    }

    /// Those that there are and those that are leaving, by name: what a turn needs to end.
    #[must_use]
    pub(crate) fn reachable(&self) -> &ByName {
        &self.reachable
    }

    /// From now on it is there, behind the others.
    fn add(&self, vault: Arc<dyn Vault>) {
        let name = vault.name().to_owned();
        self.reachable.insert(Arc::clone(&vault));
        self.here.insert(vault);
        self.order.write().unwrap_or_else(PoisonError::into_inner).push(name);
        self.changed.notify_one();
    }

    /// From now on it is leaving: what runs in it ends.
    fn leave(&self, name: &str) {
        let mut order = self.order.write().unwrap_or_else(PoisonError::into_inner);
        order.retain(|one| one != name);
        self.here.remove(name);
        self.changed.notify_one();
    }

    /// It has left.
    fn forget(&self, name: &str) {
        self.reachable.remove(name);
    }

    /// Looks after the storage of those that have it here, and tells when one stands otherwise than before. Until `drain`.
    pub(crate) async fn look_after(self, drain: CancellationToken) {
        let mut told: BTreeMap<String, String> = BTreeMap::new();
        loop {
            for vault in self.all() {
                if vault.kind() == Kind::Embedded
                    && let Err(error) = vault.look(None).await
                {
                    tracing::debug!(%error, vault = vault.name(), "the vault is not well yet");
                }
                let now = match vault.state() {
                    VaultState::Ready => String::new(),
                    VaultState::Degraded { reason, .. } | VaultState::Unavailable { reason, .. } => reason,
                };
                let before = told.insert(vault.name().to_owned(), now.clone()).unwrap_or_default();
                match now.as_str() {
                    _ if now == before => {}
                    "" => tracing::info!(vault = vault.name(), "the vault is well again"),
                    reason => tracing::warn!(vault = vault.name(), reason, "the vault is not well"),
                }
            }
            let all = self.all();
            let disturbed = select_all(all.iter().map(|vault| vault.disturbed()));
            tokio::select! {
                () = drain.cancelled() => return,
                () = self.changed.notified() => {}
                _ = disturbed => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Closes all of them.
    pub(crate) async fn close(&self) {
        let all = self.reachable.all();
        futures_util::future::join_all(all.iter().map(|vault| vault.close())).await;
    }
}
