//! Delivers what the triggers of a vault ask for: to each receiver by lanes of its own, so that a slow one holds nobody else
//! up, and in order for each note.
//!
//! What is to be delivered stands in the vault. It waits there until its outcome is written, so a daemon that dies between
//! the two tells it again, under the same id. Receivers know by the id what they have already.

pub(crate) mod address;
pub(crate) mod answer;
pub(crate) mod client;
mod send;
mod settings;
mod sign;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reveille_vault::triggers::{Due, Outcome};
use reveille_vault::{Vault, VaultError};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::send::Sender;
pub(crate) use self::settings::Triggers as Settings;
pub(crate) use self::sign::fresh_secret;
use crate::crash;

/// How long what is under way may take when the daemon stops. What is left is told again at the next start.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// How often what nobody needs any more is removed.
const PRUNE: Duration = Duration::from_secs(60);

/// Longest time without a look at the clock on the wall, which may have been set.
const LOOK: Duration = Duration::from_secs(60);

/// Pause after the vault could not be read or written.
const VAULT_PAUSE: Duration = Duration::from_secs(1);

/// Makes deliverers.
pub(crate) struct Deliverers {
    sender: Sender,
    pauses: Arc<[Duration]>,
    at_once: usize,
}

impl Deliverers {
    /// With these settings.
    #[must_use]
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            sender: Sender::default(),
            pauses: settings.retry_pauses.iter().map(|pause| pause.0).collect(),
            at_once: settings.at_once.max(1),
        }
    }

    /// One for a vault, if it has triggers.
    #[must_use]
    pub(crate) fn of(&self, vault: &Arc<dyn Vault>) -> Option<Deliverer> {
        vault.capabilities().triggers.then(|| Deliverer {
            vault: Arc::clone(vault),
            sender: self.sender.clone(),
            pauses: Arc::clone(&self.pauses),
            at_once: self.at_once,
        })
    }
}

/// Delivers for one vault.
pub(crate) struct Deliverer {
    vault: Arc<dyn Vault>,
    sender: Sender,
    pauses: Arc<[Duration]>,
    at_once: usize,
}

impl Deliverer {
    /// Delivers until `drain`.
    pub(crate) async fn run(self, drain: CancellationToken) {
        let mut wake = match self.vault.triggers() {
            Ok(triggers) => triggers.wake(),
            Err(error) => return tracing::error!(%error, "a vault that says that it has triggers has none"),
        };
        let mut under_way = UnderWay::default();
        let mut prune = tokio::time::interval(PRUNE);
        let mut readable = true;
        loop {
            wake.borrow_and_update();
            let due = self.start_due(&mut under_way, &drain).await;
            if let Err(error) = &due
                && readable
            {
                tracing::warn!(%error, "what triggers ask for cannot be read; it is tried again");
            }
            readable = due.is_ok();
            let pause = due.map_or(VAULT_PAUSE, |next| next.map_or(LOOK, until).min(LOOK));
            tokio::select! {
                () = drain.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
                changed = wake.changed() => if changed.is_err() { break },
                Some(ended) = under_way.tasks.join_next_with_id() => under_way.forget(ended),
                _ = prune.tick(), if readable => self.prune().await,
            }
        }
        under_way.stop().await;
    }

    /// Begins what is due and has a lane. Answers when something else falls due.
    async fn start_due(
        &self,
        under_way: &mut UnderWay,
        drain: &CancellationToken,
    ) -> Result<Option<Timestamp>, VaultError> {
        let busy = under_way.busy.values().cloned().collect();
        let now = self.vault.triggers()?.due(self.at_once, busy).await?;
        for due in now.ready {
            let names = (due.id.clone(), due.trigger.clone());
            let attempt = Attempt {
                vault: Arc::clone(&self.vault),
                sender: self.sender.clone(),
                pauses: Arc::clone(&self.pauses),
            };
            let task = under_way.tasks.spawn(attempt.run(due, drain.clone()));
            under_way.busy.insert(task.id(), names);
        }
        Ok(now.next)
    }

    async fn prune(&self) {
        let pruned = match self.vault.triggers() {
            Ok(triggers) => triggers.prune().await,
            Err(error) => Err(error),
        };
        match pruned {
            Ok(0) => {}
            Ok(removed) => tracing::info!(vault = self.vault.name(), removed, "old deliveries were removed"),
            Err(error) => tracing::warn!(%error, "old deliveries could not be removed; it is tried again"),
        }
    }
}

fn until(at: Timestamp) -> Duration {
    let pause = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO);
    pause.max(Duration::from_millis(10))
}

/// What is being told.
#[derive(Default)]
struct UnderWay {
    tasks: JoinSet<()>,
    /// The delivery and the trigger of each task.
    busy: HashMap<Id, (String, String)>,
}

impl UnderWay {
    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                tracing::error!(%error, "an attempt at a delivery failed; it is made again");
                error.id()
            }
        };
        self.busy.remove(&id);
    }

    async fn stop(mut self) {
        let ends = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_PATIENCE, ends).await.is_err() {
            tracing::info!(
                left = self.tasks.len(),
                "some receivers have not answered; they are told again at the next start"
            );
            self.tasks.shutdown().await;
        }
    }
}

/// What one attempt needs.
struct Attempt {
    vault: Arc<dyn Vault>,
    sender: Sender,
    pauses: Arc<[Duration]>,
}

impl Attempt {
    async fn run(self, due: Due, drain: CancellationToken) {
        let ending = self.sender.attempt(self.vault.name(), &due).await;
        crash::point("triggers.told");
        let attempt = due.attempts.saturating_add(1);
        let outcome = ending.outcome(attempt, &self.pauses, jitter(), Timestamp::now());
        log(self.vault.name(), &due, attempt, &outcome);
        // As long as this goes on the receiver is not told again.
        while let Err(error) = self.settle(&due.id, outcome.clone()).await {
            tracing::warn!(%error, delivery = due.id, "the outcome of a delivery cannot be written; it is tried again");
            tokio::select! {
                () = drain.cancelled() => return,
                () = tokio::time::sleep(VAULT_PAUSE) => {}
            }
        }
    }

    async fn settle(&self, id: &str, outcome: Outcome) -> Result<(), VaultError> {
        self.vault.triggers()?.settle(id, outcome).await
    }
}

fn log(vault: &str, due: &Due, attempt: u32, outcome: &Outcome) {
    let (trigger, delivery) = (&due.trigger, &due.id);
    match outcome {
        Outcome::Delivered { .. } => tracing::debug!(vault, trigger, delivery, attempt, "delivered"),
        Outcome::Failed { error, next_at, .. } => {
            tracing::info!(vault, trigger, delivery, attempt, error, %next_at, "a delivery failed; it is tried again");
        }
        Outcome::Dead { error, .. } => {
            tracing::warn!(
                vault,
                trigger,
                delivery,
                attempt,
                error,
                "a delivery was given up: `reveille trigger redrive`"
            );
        }
        Outcome::Gone { error, .. } => {
            tracing::warn!(vault, trigger, delivery, error, "the receiver of a trigger is gone");
        }
    }
}

/// Evenly from 0 to 1.
fn jitter() -> f64 {
    let (_, random) = Uuid::new_v4().as_u64_pair();
    // The upper bits of the lower half say which kind of UUID it is.
    f64::from(u32::try_from(random & u64::from(u32::MAX)).unwrap_or(0)) / f64::from(u32::MAX)
}
