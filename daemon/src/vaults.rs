//! The vaults of the configuration: opened by kind, found by name.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reveille_vault::{
    EmbeddedVault, FolderVault, Key, Kind, NewNote, Note, ParachuteVault, Patch, Precondition, Vault, VaultError,
    VaultState, folder, parachute,
};
use tokio_util::sync::CancellationToken;

use crate::config::{self, Place, Secret};
use crate::faults;

/// Pause between two looks at the storage.
const LOOK: Duration = Duration::from_secs(1);

/// Opens one vault. It need not be usable: a kind that reaches elsewhere answers before it has been there, and says in its
/// state how it stands. `state` is the state directory; what a kind keeps for itself is in `<state>/vaults`, in files that
/// begin with the vault's name. One in a file of the daemon is also put into `embedded`.
///
/// # Errors
/// [`VaultError::Unavailable`]: it cannot be opened now.
async fn open(
    config: &config::Vault,
    state: &Path,
    embedded: &mut BTreeMap<String, Arc<EmbeddedVault>>,
) -> Result<Arc<dyn Vault>, VaultError> {
    let own = state.join("vaults").join(format!("{}.db", config.name));
    match &config.place {
        Place::Embedded => {
            let vault = EmbeddedVault::open_late(&config.name, &own);
            embedded.insert(config.name.clone(), Arc::clone(&vault));
            Ok(vault)
        }
        Place::Parachute(peer) => Ok(ParachuteVault::open(&config.name, parachute(config, peer, state))?),
        Place::Folder(folder) => {
            let index = state.join("vaults").join(format!("{}.folder.db", config.name));
            Ok(FolderVault::open(&config.name, folder::Options::new(folder, index))?)
        }
    }
}

fn parachute(config: &config::Vault, peer: &config::Parachute, state: &Path) -> parachute::Options {
    let token = peer.token.clone();
    let token = parachute::Token::read_by(move || token.as_ref().map(Secret::reveal).transpose());
    let index = state.join("vaults").join(format!("{}.parachute.db", config.name));
    parachute::Options {
        poll: peer.poll,
        first_connect: peer.first_connect,
        follow_threads: peer.follow_threads,
        ..parachute::Options::new(&peer.url, &peer.vault, token, index)
    }
}

/// All vaults by name. At least one.
#[derive(Clone)]
pub(crate) struct Vaults {
    by_name: Arc<BTreeMap<String, Arc<dyn Vault>>>,
    /// Those in files of the daemon, as they are.
    embedded: Arc<BTreeMap<String, Arc<EmbeddedVault>>>,
    /// In the order of the configuration.
    order: Arc<[String]>,
    default: Arc<dyn Vault>,
}

impl Vaults {
    /// Opens all of them.
    ///
    /// # Errors
    /// One cannot be opened.
    pub(crate) async fn open(config: &config::Vaults, state: &Path) -> anyhow::Result<Self> {
        let mut embedded = BTreeMap::new();
        let default = faults::vault(open(&config.default, state, &mut embedded).await?)?;
        let mut by_name = BTreeMap::from([(config.default.name.clone(), Arc::clone(&default))]);
        for other in &config.others {
            let vault = open(other, state, &mut embedded).await?;
            by_name.insert(other.name.clone(), faults::vault(vault)?);
        }
        Ok(Self {
            by_name: Arc::new(by_name),
            embedded: Arc::new(embedded),
            order: config.all().map(|vault| vault.name.clone()).collect(),
            default,
        })
    }

    /// The one that counts where none is named: the first of the configuration.
    #[must_use]
    pub(crate) fn default(&self) -> &Arc<dyn Vault> {
        &self.default
    }

    /// The vault of that name.
    #[must_use]
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<dyn Vault>> {
        self.by_name.get(name)
    }

    /// The vault of that name, if it is in a file of the daemon.
    #[must_use]
    pub(crate) fn embedded(&self, name: &str) -> Option<&Arc<EmbeddedVault>> {
        self.embedded.get(name)
    }

    /// Their names, the default one first.
    #[must_use]
    pub(crate) fn names(&self) -> &[String] {
        &self.order
    }

    /// All of them, the default one first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<dyn Vault>> {
        self.order.iter().filter_map(|name| self.by_name.get(name))
    }

    /// By name.
    #[must_use]
    pub(crate) fn by_name(&self) -> &Arc<BTreeMap<String, Arc<dyn Vault>>> {
        &self.by_name
    }

    /// Looks after the storage of those that have it here, and tells when one stands otherwise than before. Until `drain`.
    pub(crate) async fn look_after(self, drain: CancellationToken) {
        let mut told: BTreeMap<&str, String> = BTreeMap::new();
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
                let before = told.insert(vault.name(), now.clone()).unwrap_or_default();
                match now.as_str() {
                    _ if now == before => {}
                    "" => tracing::info!(vault = vault.name(), "the vault is well again"),
                    reason => tracing::warn!(vault = vault.name(), reason, "the vault is not well"),
                }
            }
            tokio::select! {
                () = drain.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Closes all of them.
    pub(crate) async fn close(&self) {
        futures_util::future::join_all(self.all().map(|vault| vault.close())).await;
    }
}

/// How often an upsert is begun again because the note came or went meanwhile.
const TRIES: u32 = 16;

/// [`Vault::upsert`] by the vault's own patch and creation, for vaults that judge both.
///
/// # Errors
/// Those of the two.
pub(crate) async fn upsert_in_steps(
    vault: &dyn Vault,
    path: &str,
    patch: Patch,
    create: NewNote,
) -> Result<(Note, bool), VaultError> {
    let key = Key::Path(path.to_owned());
    let mut tries = 1;
    loop {
        match vault.patch(&key, patch.clone(), Precondition::Force).await {
            Err(VaultError::NotFound { .. }) => {}
            outcome => return outcome.map(|note| (note, false)),
        }
        let new = NewNote {
            path: Some(path.to_owned()),
            ..create.clone()
        };
        match vault.create(new).await {
            Err(VaultError::PathTaken { .. }) if tries < TRIES => tries += 1,
            outcome => return outcome.map(|note| (note, true)),
        }
    }
}
