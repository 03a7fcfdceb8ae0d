//! A client of a Parachute hub, which issues tokens for vaults and keeps what agents were granted. It asks and is told: what is
//! approved there is approved by the operator of the hub, never by the daemon.
//!
//! Every request is bounded in time and size, none is repeated here. Whoever asks goes on without the hub, and asks again
//! after a pause of [`Backoff`].

mod ask;
mod backoff;
mod grants;
mod jwt;
mod mint;
mod place;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::backoff::Backoff;
pub(crate) use self::jwt::Verifier;
pub(crate) use self::mint::Minted;
pub(crate) use self::place::{Glance, Place};
use crate::config::{self, Secret};
use crate::triggers::client;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the hub did not do, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.told())]
pub(crate) struct HubError {
    /// Of its answer; 0: there was none.
    pub(crate) status: u16,
    /// A word for programs: the hub's own, or one of ours.
    pub(crate) code: String,
    /// For a person. Holds no secret.
    pub(crate) detail: String,
}

impl HubError {
    /// There was no answer.
    fn unreachable(detail: impl Into<String>) -> Self {
        Self {
            status: 0,
            code: "unreachable".into(),
            detail: detail.into(),
        }
    }

    /// The answer is not what a hub says.
    fn garbled(status: u16, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: "invalid_answer".into(),
            detail: detail.into(),
        }
    }

    fn told(&self) -> String {
        match self.status {
            0 => format!("the hub cannot be reached: {}", self.detail),
            status => format!("the hub answered {status} ({}): {}", self.code, self.detail),
        }
    }
}

/// The way to one hub. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hub {
    shared: Arc<Shared>,
}

struct Shared {
    http: client::Client,
    origin: String,
    token: Secret,
    patience: Duration,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("origin", &self.shared.origin)
            .finish_non_exhaustive()
    }
}

impl Hub {
    /// To the hub of the configuration; `None` when it has no token for one. Nothing is asked yet.
    #[must_use]
    pub(crate) fn of(config: &config::Hub) -> Option<Self> {
        let token = config.token.clone()?;
        Some(Self::new(&config.origin, token, PATIENCE))
    }

    /// Its address.
    fn origin(&self) -> &str {
        &self.shared.origin
    }

    fn new(origin: &str, token: Secret, patience: Duration) -> Self {
        Self {
            shared: Arc::new(Shared {
                http: client::Client::default(),
                origin: origin.trim_end_matches('/').to_owned(),
                token,
                patience,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
