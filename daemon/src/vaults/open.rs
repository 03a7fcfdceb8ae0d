//! Opens vaults by kind.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reveille_vault::{EmbeddedVault, FolderVault, ParachuteVault, Vault, VaultError, folder, parachute};

use super::file::Added;
use super::token::Token;
use crate::config::{self, Place, Secret};
use crate::registry::Discovery;

/// Opens one vault of the configuration. It need not be usable: a kind that reaches elsewhere answers before it has been
/// there, and says in its state how it stands. `state` is the state directory; what a kind keeps for itself is in
/// `<state>/vaults`, in files that begin with the vault's name.
///
/// # Errors
/// [`VaultError::Unavailable`]: it cannot be opened now.
pub(super) async fn configured(config: &config::Vault, state: &Path) -> Result<Arc<dyn Vault>, VaultError> {
    match &config.place {
        Place::Embedded => Ok(EmbeddedVault::open_late(&config.name, &embedded(state, &config.name))),
        Place::Parachute(peer) => {
            let token = peer.token.clone();
            let token = parachute::Token::read_by(move || token.as_ref().map(Secret::reveal).transpose());
            let options = parachute::Options {
                poll: peer.poll,
                first_connect: peer.first_connect,
                follow_threads: peer.follow_threads,
                ..parachute::Options::new(&peer.url, &peer.vault, token, index(state, &config.name))
            };
            Ok(ParachuteVault::open(&config.name, options)?)
        }
        Place::Folder(folder) => Ok(FolderVault::open(
            &config.name,
            folder_options(state, &config.name, folder),
        )?),
    }
}

/// Opens one that was added, as [`configured`] opens one of its kind.
///
/// # Errors
/// As there.
pub(super) fn added(
    added: &Added,
    token: &Token,
    state: &Path,
    discovery: Discovery,
) -> Result<Arc<dyn Vault>, VaultError> {
    let options = parachute::Options {
        poll: config::POLL,
        follow_threads: discovery != Discovery::Definitions,
        ..parachute::Options::new(added.url(), &added.vault, token.reader(), index(state, &added.vault))
    };
    Ok(ParachuteVault::open(&added.vault, options)?)
}

/// The file of an embedded vault.
pub(crate) fn embedded(state: &Path, name: &str) -> PathBuf {
    state.join("vaults").join(format!("{name}.db"))
}

/// Where a vault in a folder is, and its index.
pub(crate) fn folder_options(state: &Path, name: &str, folder: &Path) -> folder::Options {
    folder::Options::new(folder, state.join("vaults").join(format!("{name}.folder.db")))
}

fn index(state: &Path, name: &str) -> PathBuf {
    state.join("vaults").join(format!("{name}.parachute.db"))
}
