//! Tokens that the hub has made end, or are taken back. The hub is asked for another one before the first and after the second.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use reveille_vault::{Vault, VaultState};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Entry, Roster, Token};
use crate::attempts::chance;
use crate::hub::{Backoff, Hub, Minted};

/// A token is replaced this long before it ends; one that lives shorter, after half of its life.
const AHEAD: Duration = Duration::from_secs(24 * 60 * 60);
/// One that was good for so long was no failure of the hub's.
const GOOD: Duration = Duration::from_secs(60 * 60);

/// When to replace a token that ends then.
fn due(expires_at: Timestamp) -> Instant {
    let left = Duration::try_from(expires_at.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO);
    Instant::now() + left.saturating_sub(AHEAD).max(left / 2)
}

/// Looks after one token.
struct Renewal {
    roster: Roster,
    hub: Hub,
    vault: Arc<dyn Vault>,
    token: Token,
    due: Option<Instant>,
    stop: CancellationToken,
}

impl Roster {
    /// Sees to it that a vault has a token, if the hub makes it.
    pub(super) fn look_after_token(&self, entry: &Entry) {
        if entry.looked_after.swap(true, Ordering::Relaxed) {
            return;
        }
        let vault = self.shared.vaults.get(&entry.added.vault);
        let (Some(hub), Some(vault), false) = (&self.shared.hub, vault, entry.added.given) else {
            return;
        };
        // Also of what an earlier version or another program wrote down.
        if !self.mints_for(&entry.added) {
            let (vault, url) = (vault.name(), entry.added.url());
            let trouble = format!("the server {url} is not the hub's, so its token is not renewed; hand one in");
            tracing::warn!(vault, url, "{trouble}");
            self.set_trouble(vault, Some(trouble));
            return;
        }
        let renewal = Renewal {
            roster: self.clone(),
            hub: hub.clone(),
            vault,
            token: entry.token.clone(),
            due: entry.added.expires_at.map(due),
            stop: entry.stop.clone(),
        };
        let (stop, drain) = (entry.stop.clone(), self.shared.drain.clone());
        self.shared.inbox.workers.spawn(async move {
            tokio::select! {
                () = drain.cancelled() => {}
                () = stop.cancelled() => {}
                () = renewal.run() => {}
            }
        });
    }

    /// Writes a new token down. It counts even where that fails: then the next start asks for another one.
    async fn keep(&self, vault: &str, token: &Token, minted: Minted, stop: &CancellationToken) {
        let mut book = self.shared.book.lock().await;
        if stop.is_cancelled() {
            return;
        }
        token.set(Some(minted.token.clone()));
        let renew = |added: &mut super::Added| {
            if added.vault == vault {
                (added.token, added.expires_at) = (Some(minted.token.clone()), minted.expires_at);
            }
        };
        book.entries.iter_mut().for_each(|entry| renew(&mut entry.added));
        let mut contents = book.contents.clone();
        contents.vaults.iter_mut().for_each(renew);
        if let Err(error) = self.write_down(&mut book, contents) {
            tracing::warn!(vault, %error, "a new token is used and not kept; the next start asks the hub again");
        }
    }
}

impl Renewal {
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut made: Option<Instant> = None;
        loop {
            self.needed().await;
            // One that was made just now and is not taken is no better than the next.
            match made {
                Some(at) if at.elapsed() < GOOD => {
                    tokio::time::sleep(backoff.failed(chance())).await;
                    if !self.is_needed() {
                        continue;
                    }
                }
                Some(_) => backoff.worked(),
                None => {}
            }
            let vault = self.vault.name();
            match self.hub.mint(vault, "write", &[]).await {
                Ok(minted) => {
                    tracing::info!(
                        vault,
                        jti = minted.jti,
                        scope = minted.scope,
                        "the hub made a new token for the vault"
                    );
                    self.due = minted.expires_at.map(due);
                    self.roster.keep(vault, &self.token, minted, &self.stop).await;
                    self.roster.set_trouble(vault, None);
                    made = Some(Instant::now());
                }
                Err(error) => {
                    let pause = backoff.failed(chance());
                    tracing::warn!(vault, %error, ?pause, "there is no new token for the vault; the hub is asked again");
                    let trouble = format!("a new token was asked for, and {error}");
                    self.roster.set_trouble(vault, Some(trouble));
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Resolves when another token is needed.
    async fn needed(&self) {
        let end = async {
            match self.due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.token.refused() => {}
            () = end => {}
        }
    }

    /// Whether it is still so. An answer to the token before may have come late.
    fn is_needed(&self) -> bool {
        let ends = self.due.is_some_and(|due| due <= Instant::now());
        let refused = self.token.is_refused() && self.vault.state() != VaultState::Ready;
        if self.token.is_refused() && !refused {
            self.token.is_good();
        }
        ends || refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_replaced_a_day_ahead_or_after_half_of_its_life() {
        let hours = |hours: i64| {
            let due = due(Timestamp::now() + jiff::SignedDuration::from_hours(hours));
            due.saturating_duration_since(Instant::now())
                .as_secs()
                .div_ceil(60 * 60)
        };
        assert_eq!((hours(90 * 24), hours(30), hours(4), hours(-1)), (89 * 24, 15, 2, 0));
    }
}
