//! What a person does with a subscription, while the rest goes on.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::call::Caller;
use super::event::{Kind, Report};
use super::subscription::{Subscription, SubscriptionError, bridge};
use super::{PublishError, Webhooks, worker};
use crate::outbox::{OutboxError, Which};

/// What a receiver made of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tested {
    /// Its `webhook-id`.
    pub id: String,
    /// It was taken.
    pub delivered: bool,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// What the receiver said, or why it could not be asked; for a person, without secrets.
    pub said: String,
    /// From the call to the answer.
    pub took: Duration,
}

/// What went with a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// Events that it had not been told of. `None`: they could not be removed now, and are at the next start.
    pub dropped: Option<u64>,
}

impl Webhooks {
    /// Makes a subscription, which is told of everything from now on.
    ///
    /// # Errors
    /// [`SubscriptionError`]; then nothing is changed.
    pub async fn create(&self, new: Subscription) -> Result<(), SubscriptionError> {
        let shared = &self.shared;
        let _writing = shared.writing.lock().await;
        let all = shared.options.subscriptions.clone();
        if all.leftovers().contains(&new.name) {
            self.clear(&new.name).await?;
        }
        blocking(move || all.create(new)).await
    }

    /// Changes one that was made; its name stays.
    ///
    /// # Errors
    /// [`SubscriptionError`]; then nothing is changed.
    pub async fn change(
        &self,
        name: &str,
        change: impl FnOnce(&mut Subscription) + Send + 'static,
    ) -> Result<(), SubscriptionError> {
        let (all, name) = (self.subscriptions().clone(), name.to_owned());
        blocking(move || all.change(&name, change)).await
    }

    /// Removes one that was made, with what it has to tell.
    ///
    /// # Errors
    /// [`SubscriptionError`]; then nothing is changed.
    pub async fn remove(&self, name: &str) -> Result<Removed, SubscriptionError> {
        // Nobody writes for it meanwhile.
        let _writing = self.shared.writing.lock().await;
        let (all, gone) = (self.subscriptions().clone(), name.to_owned());
        blocking(move || all.remove(&gone)).await?;
        let dropped = match self.clear(name).await {
            Ok(dropped) => Some(dropped),
            Err(error) => {
                tracing::warn!(%error, webhook = name, "what a webhook that was removed had to tell is removed at the next start");
                None
            }
        };
        Ok(Removed { dropped })
    }

    /// Removes what subscriptions had to tell that are gone, where that was cut off.
    pub(super) async fn clear_leftovers(&self) {
        let _writing = self.shared.writing.lock().await;
        for name in self.subscriptions().leftovers() {
            if let Err(error) = self.clear(&name).await {
                tracing::warn!(%error, webhook = name, "what a webhook that was removed had to tell is removed at the next start");
            }
        }
    }

    async fn clear(&self, name: &str) -> Result<u64, OutboxError> {
        let (outbox, bridge) = (&self.shared.options.outbox, bridge(name));
        let counts = outbox.counts().await?;
        let count = counts.iter().find(|count| count.bridge == bridge);
        outbox.remove(&bridge).await?;
        self.shared
            .status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
        let (all, gone) = (self.subscriptions().clone(), name.to_owned());
        if let Err(error) = blocking(move || all.forget(&gone)).await {
            tracing::warn!(%error, webhook = name, "it is looked once more at the next start whether a webhook has something to tell");
        }
        Ok(count.map_or(0, |count| count.waiting + count.undelivered))
    }

    /// Calls the receiver of one subscription alone, to see whether it works. Nothing depends on it: it goes past what waits,
    /// also to one that is paused or has refused.
    ///
    /// # Errors
    /// [`PublishError::Unknown`].
    pub async fn test(&self, name: &str) -> Result<Tested, PublishError> {
        let options = &self.shared.options;
        let all = options.subscriptions.list();
        let subscription = all.iter().find(|each| each.name == name);
        let subscription = subscription.ok_or_else(|| PublishError::Unknown(name.to_owned()))?;
        let id = format!("test_{}", (options.ids)());
        let report = Report {
            kind: Kind::WebhookTest,
            at: (options.clock)(),
            agent: None,
            turn: None,
            body: serde_json::value::to_raw_value(&serde_json::json!({})).ok(), // silent-ok: always JSON
            events: Vec::new(),
            snapshot: None,
            session: None,
            part: 0,
            most: None,
        };
        Ok(match Caller::new(&self.shared, &Arc::new(subscription.clone())) {
            Ok(caller) => caller.test(&report, &id).await,
            Err(said) => Tested {
                id,
                delivered: false,
                status: None,
                said,
                took: Duration::ZERO,
            },
        })
    }

    /// Lets everything that one has to tell wait.
    ///
    /// # Errors
    /// [`SubscriptionError`]; then nothing is changed.
    pub async fn pause(&self, name: &str) -> Result<(), SubscriptionError> {
        self.change(name, |each| each.paused = true).await
    }

    /// Sends again, after a pause or to a receiver that had refused. What waits is as patient as if it had come now.
    ///
    /// # Errors
    /// [`SubscriptionError`]; then it stays as it was.
    pub async fn resume(&self, name: &str) -> Result<(), SubscriptionError> {
        let all = self.subscriptions().list();
        let Some(one) = all.iter().find(|each| each.name == name) else {
            return Err(SubscriptionError::Unknown(name.to_owned()));
        };
        let outbox = &self.shared.options.outbox;
        outbox.renew(&bridge(name)).await?;
        outbox.keep(&bridge(name), worker::REFUSED, None).await?;
        self.shared.set(name, |status| status.refused = None);
        if one.paused {
            return self.change(name, |each| each.paused = false).await;
        }
        self.shared
            .again
            .send_modify(|counts| *counts.entry(name.to_owned()).or_default() += 1);
        Ok(())
    }

    /// Sends again what was given up. Answers how many.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub async fn redrive(&self, name: &str, which: Which) -> Result<u64, OutboxError> {
        self.shared.options.outbox.redrive(&bridge(name), which).await
    }
}

/// The file of subscriptions is written to the disk, which may take a while.
async fn blocking(
    work: impl FnOnce() -> Result<(), SubscriptionError> + Send + 'static,
) -> Result<(), SubscriptionError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(SubscriptionError::Unavailable(format!("nothing is changed: {error}"))))
}
