//! Grants: what agents and roles get of what they want. A note asks; the operator, here or at a hub, decides; each turn gets
//! what is approved at that moment, and nothing of it is ever written on a note, into a log or into a file.

mod ask;
pub(crate) mod askpass;
mod give;
mod ledger;
mod local;
mod look;
pub(crate) mod role;
mod service;
mod state;
mod store;
mod told;

use std::fmt;
use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use reveille_vault::agent::{Access, Inject, Want};
use tokio_util::sync::CancellationToken;

pub(crate) use give::{Asking, Given, addresses_of};
pub(crate) use ledger::Known;
pub(crate) use local::{Approval, Local, LocalError};
pub(crate) use service::{Grants, Options};
pub(crate) use store::{Store, TABLES};

use crate::config;
use crate::hub::Hub;
use crate::vaults::Vaults;

/// What became of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GrantStatus {
    /// Nobody has decided yet.
    Pending,
    /// Turns get it.
    Approved,
    /// It was approved and is not any more.
    Revoked,
    /// Somebody has to sign in somewhere first.
    NeedsConsent,
    /// It cannot be had.
    Error,
}

impl GrantStatus {
    const ALL: [Self; 5] = [
        Self::Pending,
        Self::Approved,
        Self::Revoked,
        Self::NeedsConsent,
        Self::Error,
    ];

    /// The word in the API.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Revoked => "revoked",
            Self::NeedsConsent => "needs_consent",
            Self::Error => "error",
        }
    }

    /// Reads the word. One that is not known approves nothing.
    #[must_use]
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// A wish of a holder, as the backend has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Opaque; of the backend.
    pub(crate) id: String,
    /// Name of the agent, or the key of a role.
    pub(crate) holder: String,
    /// What is wanted.
    pub(crate) want: Want,
    /// What became of it.
    pub(crate) status: GrantStatus,
    /// Why, for a person.
    pub(crate) reason: Option<String>,
}

/// What a turn gets for an approved grant. Its tokens are shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Material {
    /// A vault of this daemon: each turn gets a token of its own, which ends with the turn or with the grant.
    Own {
        /// Its name.
        vault: String,
        /// How far.
        access: Access,
        /// Only notes with one of these tags, bare; empty: all.
        tags: Vec<String>,
        /// Cancelled when the grant ends.
        ends: CancellationToken,
    },
    /// A vault elsewhere.
    Vault {
        /// For its MCP door.
        token: String,
        /// Address of that door.
        url: String,
    },
    /// A service.
    Service {
        /// Its token.
        token: String,
        /// How it reaches the turn.
        inject: Vec<Inject>,
    },
    /// A repository.
    Surface {
        /// For Git over HTTP.
        token: String,
        /// Address of the repository.
        remote_url: String,
    },
    /// An MCP server.
    Mcp {
        /// `None`: it asks for none.
        token: Option<String>,
        /// Its address.
        url: String,
    },
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own { vault, .. } => f.debug_struct("Own").field("vault", vault).finish_non_exhaustive(),
            Self::Vault { url, .. } => f.debug_struct("Vault").field("url", url).finish_non_exhaustive(),
            Self::Service { inject, .. } => f
                .debug_struct("Service")
                .field("inject", inject)
                .finish_non_exhaustive(),
            Self::Surface { remote_url, .. } => f
                .debug_struct("Surface")
                .field("remote_url", remote_url)
                .finish_non_exhaustive(),
            Self::Mcp { url, .. } => f.debug_struct("Mcp").field("url", url).finish_non_exhaustive(),
        }
    }
}

/// Who keeps the grants, as it is configured; and the same once more when the operator of this machine decides.
///
/// # Errors
/// That cannot be had.
pub(crate) fn backend(
    kind: config::GrantsBackend,
    store: &Store,
    vaults: &Vaults,
    hub: Option<&Hub>,
) -> anyhow::Result<(Arc<dyn GrantBackend>, Option<Local>)> {
    match kind {
        config::GrantsBackend::Local => {
            let vaults = vaults.clone();
            let local = Local::new(store.clone(), move |name| vaults.get(name).is_some());
            Ok((Arc::new(local.clone()), Some(local)))
        }
        config::GrantsBackend::Hub => {
            let hub = hub.context(
                "[grants] backend = \"hub\" needs what lets the daemon into the hub: set `token_file` or `token` in [hub]",
            )?;
            Ok((Arc::new(hub.clone()), None))
        }
    }
}

/// The MCP server of a service, where it is known.
#[must_use]
pub(crate) fn service_url(service: &str) -> Option<&'static str> {
    (service == "github").then_some("https://api.githubcopilot.com/mcp/")
}

/// A backend could not do what was asked. No text holds a token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrantError {
    /// It may answer later.
    #[error("{0}")]
    Unavailable(String),
    /// It will not, as things are.
    #[error("{0}")]
    Refused(String),
}

/// Who keeps the grants. Nothing here is waited for by a feed or a start; callers set the time limits.
#[async_trait]
pub(crate) trait GrantBackend: Send + Sync {
    /// Whether it is the daemon itself: asking it costs nobody anything, and makes nothing that is not asked for again.
    fn is_own(&self) -> bool {
        false
    }

    /// `local` or `hub`.
    fn kind(&self) -> &'static str;

    /// Where people decide, when that is not here.
    fn place(&self) -> Option<&str> {
        None
    }

    /// Asks for what a holder wants. The same wish again is the same grant, whatever became of it.
    ///
    /// # Errors
    /// [`GrantError`]; then nothing has changed.
    async fn register(&self, holder: &str, want: &Want) -> Result<Grant, GrantError>;

    /// All grants of a holder.
    ///
    /// # Errors
    /// [`GrantError`]
    async fn list(&self, holder: &str) -> Result<Vec<Grant>, GrantError>;

    /// What an approved grant is good for, now. `None`: nothing, as after a revocation.
    ///
    /// # Errors
    /// [`GrantError`]
    async fn material(&self, grant: &Grant) -> Result<Option<Material>, GrantError>;

    /// Drops the grants of a holder that are not among the live wishes; answers how many.
    ///
    /// # Errors
    /// [`GrantError`]; then some may be left.
    async fn reconcile(&self, holder: &str, live: &[Want]) -> Result<u64, GrantError>;
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn no_material_shows_its_token() {
        let token = || "hunter2hunter2".to_owned();
        for material in [
            Material::Vault {
                token: token(),
                url: "https://host/mcp".into(),
            },
            Material::Service {
                token: token(),
                inject: vec![Inject::Env],
            },
            Material::Surface {
                token: token(),
                remote_url: "https://host/x".into(),
            },
            Material::Mcp {
                token: Some(token()),
                url: "https://host/mcp".into(),
            },
        ] {
            assert!(!format!("{material:?} {material:#?}").contains("hunter2"));
        }
    }

    #[test]
    fn only_known_words_are_a_status() {
        for status in GrantStatus::ALL {
            assert_eq!(GrantStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(GrantStatus::parse("Approved"), None);
    }
}
