//! Named tokens with scopes: who gets one sees and writes as far as its scopes and tags reach, until it ends or is revoked.
//! Only digests are stored, and the answer that makes a token is the only place where it can be read.

mod files;
mod graph;
mod loan;
mod scope;
mod store;
mod vault;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use reveille_vault::{Vault, VaultError};
use tokio_util::sync::CancellationToken;

pub(crate) use loan::Loan;
use loan::Terms;
pub(crate) use scope::{Scope, Verb};
pub(crate) use store::{Checked, TABLES, Tokens, TokensError};
use vault::ScopedVault;

use crate::delegation::MarkingVault;

/// How often it is looked whether the time of a token is over that is in use.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// How every token begins.
const PREFIX: &str = "pvt_";

/// What a token is to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewGrant {
    /// What a person calls it.
    pub(crate) label: Option<String>,
    /// What it is good for.
    pub(crate) scopes: Vec<Scope>,
    /// Root tags that it is limited to; empty: no limit.
    pub(crate) tags: Vec<String>,
    /// When it ends; `None`: never by itself.
    pub(crate) expires_at: Option<Timestamp>,
}

/// What a token is good for. The token itself is nowhere in it.
#[derive(Debug)]
pub(crate) struct Grant {
    /// `t_` and 12 hexadecimal digits; no secret.
    pub(crate) id: String,
    /// As asked for.
    pub(crate) new: NewGrant,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// The token that it was made with, and is revoked with; `None`: the operator made it.
    pub(crate) made_by: Option<String>,
    /// Cancelled when it is revoked.
    over: CancellationToken,
    /// Of one that is lent to a turn.
    terms: Option<Terms>,
    /// Whom a hub calls so, of one that a hub has issued. It is stored nowhere.
    hub_subject: Option<String>,
    /// Milliseconds; 0: never.
    used: AtomicI64,
    /// The same as it is stored.
    stored_used: AtomicI64,
}

impl Grant {
    /// Of a token that the hub has issued, under its `jti`.
    pub(crate) fn of_hub(jti: String, subject: String, scopes: Vec<Scope>, expires_at: Option<Timestamp>) -> Self {
        Self {
            id: jti,
            new: NewGrant {
                label: Some(subject.clone()),
                scopes,
                tags: Vec::new(),
                expires_at,
            },
            created_at: Timestamp::now(),
            made_by: None,
            over: CancellationToken::new(),
            terms: None,
            hub_subject: Some(subject),
            used: AtomicI64::new(0),
            stored_used: AtomicI64::new(0),
        }
    }

    /// Whether a hub has issued it: what is revoked there is in no list of ours.
    pub(crate) fn is_of_hub(&self) -> bool {
        self.hub_subject.is_some()
    }

    /// Whether it is good for what needs `needed`.
    pub(crate) fn covers(&self, needed: &Scope) -> bool {
        self.new.scopes.iter().any(|scope| scope.covers(needed))
    }

    /// Whether it may look into a vault.
    pub(crate) fn reads(&self, vault: &str) -> bool {
        self.covers(&Scope::vault(vault, Verb::Read))
    }

    /// Whether it is good for this vault and for nothing else.
    pub(crate) fn is_of(&self, vault: &str) -> bool {
        let within = |scope: &Scope| scope.area == scope::Area::Vault(vault.to_owned());
        self.new.scopes.iter().all(within)
    }

    /// When it was last used; at the latest a minute after a crash this is a minute too early.
    pub(crate) fn last_used_at(&self) -> Option<Timestamp> {
        let used = self.used.load(Ordering::Relaxed);
        (used != 0).then(|| Timestamp::from_millisecond(used).ok()).flatten() // silent-ok: it was a time when it was stored
    }

    /// Who holds it, by a name that is no secret and the same for each request.
    pub(crate) fn subject(&self) -> String {
        match (&self.terms, &self.hub_subject) {
            (Some(terms), _) => format!("turn:{}", terms.origin.turn),
            (None, Some(subject)) => format!("hub:{subject}"),
            (None, None) => format!("token:{}", self.id),
        }
    }

    /// Waits until it does not hold any more: its time is over, or somebody has taken it away.
    pub(crate) async fn ended(&self) {
        let time = async {
            let Some(end) = self.new.expires_at else {
                return std::future::pending().await;
            };
            // In steps: a clock that is put right meanwhile counts.
            while !self.is_over(store::now()) {
                let left = end.duration_since(Timestamp::now());
                let left = left.try_into().unwrap_or(LOOK_AGAIN); // silent-ok: it is over with the next look
                tokio::time::sleep(LOOK_AGAIN.min(left)).await;
            }
        };
        let lent = async {
            match &self.terms {
                Some(terms) => terms.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.over.cancelled() => {}
            () = lent => {}
            () = time => {}
        }
    }

    /// Whether it still holds.
    pub(crate) fn holds(&self) -> bool {
        let lent = self.terms.as_ref().is_none_or(Terms::hold);
        lent && !self.over.is_cancelled() && !self.is_over(store::now())
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.new.expires_at.is_some_and(|end| end <= now)
    }

    /// The vault as it is for who holds the token: what is not seen is not there. The door decides what may be asked; this
    /// holds whatever the door has let in.
    ///
    /// # Errors
    /// [`VaultError::Forbidden`] when the token is not for this vault.
    pub(crate) fn open(&self, vault: Arc<dyn Vault>) -> Result<Arc<dyn Vault>, VaultError> {
        let name = vault.name();
        if !self.reads(name) {
            return Err(VaultError::Forbidden("this token is not for this vault".into()));
        }
        let writes = self.covers(&Scope::vault(name, Verb::Write));
        let vault = match writes && self.new.tags.is_empty() {
            true => vault,
            false => Arc::new(ScopedVault::new(vault, writes, self.new.tags.clone())),
        };
        // Whichever vault a turn reaches, what it hands on there belongs to its chain.
        Ok(match &self.terms {
            Some(terms) => Arc::new(MarkingVault::new(vault, Arc::clone(&terms.origin))),
            None => vault,
        })
    }
}
