//! What may be changed, and why it was not.

use std::fmt;
use std::io;
use std::path::PathBuf;

use reveille_vault::{Kind, VaultError};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::hub::HubError;

/// Why the vaults are as they were.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// That cannot be a vault.
    #[error("{0}")]
    Invalid(String),
    /// It is there already.
    #[error("there is a vault {0:?} already; names must differ in more than case")]
    There(String),
    /// It was removed, and its last turns run.
    #[error("the vault {0:?} was removed, and what ran in it has not ended yet")]
    Leaving(String),
    /// Nothing was handed in that lets us in, and nobody can be asked for it.
    #[error("there is no token for the vault {0:?}, and no hub is configured that could mint one")]
    NoHub(String),
    /// Whoever runs that server would have a token of the hub in hand.
    #[error("the server {0} is not the hub's, so the hub is asked for no token that would be sent there")]
    Foreign(String),
    /// The hub made none.
    #[error("the hub did not mint a token for the vault {0:?}: {1}")]
    Mint(String, HubError),
    /// It cannot be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// It cannot be written down.
    #[error("the file {path} of added vaults cannot be written: {source}")]
    NotKept {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Only who writes the configuration can remove it.
    #[error("the vault {name:?} stands in {place}")]
    Configured {
        /// Its name.
        name: String,
        /// Where it is configured.
        place: String,
    },
    /// Without it there is none.
    #[error("the vault {0:?} is the last one")]
    Last(String),
    /// A mistake of ours.
    #[error("the change was begun and did not end: {0}")]
    Broken(String),
}

/// A vault that somebody wants to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAgentVault)]
pub(crate) struct NewVault {
    /// Its name, here and there.
    pub(crate) vault: String,
    /// Address of its server.
    pub(crate) url: Option<String>,
    /// What lets us in; without it the hub is asked for something.
    #[schema(value_type = Option<String>)]
    pub(crate) token: Option<Handed>,
    /// What its server shows with a hint that something was written there.
    #[schema(value_type = Option<String>)]
    pub(crate) webhook_secret: Option<Handed>,
}

/// A secret that somebody hands in. Shown nowhere.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Handed(String);

impl fmt::Debug for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handed(…)")
    }
}

/// A vault as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its name.
    pub(crate) name: String,
    /// Where its notes are.
    pub(crate) kind: Kind,
    /// Address of its server; `None`: this daemon.
    pub(crate) url: Option<String>,
    /// There is something that lets us in.
    pub(crate) has_token: bool,
    /// It was added while a daemon ran; else it is configured.
    pub(crate) added: bool,
}

/// What came of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Removal {
    /// False: there was no such vault.
    pub(crate) removed: bool,
    /// Turns that still run in it.
    pub(crate) running: usize,
}

impl Handed {
    /// Its text.
    ///
    /// # Errors
    /// It can be none.
    pub(super) fn checked(self, key: &str) -> Result<String, ChangeError> {
        let text = self.0.trim();
        if text.is_empty() || text.contains(char::is_control) {
            let what =
                format!("`{key}` is blank or holds characters that no secret has; leave it out if there is none");
            return Err(ChangeError::Invalid(what));
        }
        Ok(text.to_owned())
    }
}
