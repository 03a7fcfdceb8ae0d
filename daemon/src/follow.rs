//! Follows one vault from the moment at which it can be read: at the start, or whenever it comes.

use std::sync::Arc;
use std::time::Duration;

use reveille_vault::{Kind, Vault};
use tokio_util::sync::CancellationToken;

use crate::feed::{End, Feed};
use crate::inbox::Inbox;
use crate::scribe::{Scribe, Words};

/// How long the start waits for a vault in a file of ours. Later its agents come when they come.
const START_PATIENCE: Duration = Duration::from_secs(5);
/// The same for notes that are elsewhere: a folder is read for the first time, a peer does not answer. Other vaults, and who
/// asks after the daemon's health, do not wait for that.
const ELSEWHERE_PATIENCE: Duration = Duration::from_millis(500);
/// Shortest and longest pause before a vault that cannot be read is asked again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// The feed of one vault, whether or not the vault can be read yet.
pub(crate) struct Follower {
    vault: Arc<dyn Vault>,
    inbox: Inbox,
    words: Words,
    feed: Option<Feed>,
}

impl Follower {
    /// Tries once, so that the agents are known before the first request. A vault that cannot be read holds nothing up.
    pub(crate) async fn start(vault: Arc<dyn Vault>, inbox: Inbox) -> Self {
        inbox.progress.stands(vault.name(), "it has not been read yet");
        let mut follower = Self {
            vault,
            inbox,
            words: Words::default(),
            feed: None,
        };
        let patience = match follower.vault.kind() {
            Kind::Embedded => START_PATIENCE,
            Kind::Folder | Kind::Parachute => ELSEWHERE_PATIENCE,
        };
        let opened = tokio::time::timeout(
            patience,
            Feed::open(
                Arc::clone(&follower.vault),
                follower.inbox.clone(),
                follower.words.clone(),
            ),
        );
        match opened.await {
            Ok(Ok(feed)) => follower.feed = Some(feed),
            Ok(Err(error)) => follower.is_not_read(&error),
            Err(_) => follower.is_not_read(&anyhow::anyhow!("it does not answer")),
        }
        follower
    }

    /// Whom it follows.
    #[must_use]
    pub(crate) fn vault(&self) -> &Arc<dyn Vault> {
        &self.vault
    }

    fn is_not_read(&self, error: &anyhow::Error) {
        let reason = format!("{error:#}");
        if self.inbox.progress.stands(self.vault.name(), &reason) {
            tracing::error!(
                vault = self.vault.name(),
                reason,
                "the vault cannot be read; its agents come when it can, and everything else goes on"
            );
        }
    }

    /// Follows the vault until `drain`, and writes beside it what its notes are told.
    pub(crate) async fn run(self, drain: CancellationToken) {
        let scribe = Scribe {
            vault: Arc::clone(&self.vault),
            registry: self.inbox.registry.clone(),
            words: self.words.clone(),
        };
        tokio::join!(scribe.run(drain.clone()), self.follow(drain));
    }

    async fn follow(mut self, drain: CancellationToken) {
        let mut pause = Duration::ZERO;
        loop {
            let feed = match self.feed.take() {
                Some(feed) => Ok(feed),
                None => Feed::open(Arc::clone(&self.vault), self.inbox.clone(), self.words.clone()).await,
            };
            match feed {
                Ok(feed) => {
                    pause = Duration::ZERO;
                    match feed.run(drain.clone()).await {
                        End::Drained => return,
                        End::OtherLog => continue,
                    }
                }
                Err(error) => self.is_not_read(&error),
            }
            pause = (pause * 2).clamp(PAUSES.0, PAUSES.1);
            tokio::select! {
                () = drain.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}
