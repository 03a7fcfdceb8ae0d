//! Webhooks that are made, looked at and changed while the daemon runs.

use std::sync::Arc;

use reveille_transports::webhooks::{
    PublishError, Removed, Status, Subscription, SubscriptionError, Subscriptions, Tested, Webhooks,
};

use super::{Inner, Told};

/// A webhook and how it does.
pub(crate) struct Seen {
    /// With its secrets: it is shown without.
    pub(crate) subscription: Subscription,
    /// It stands in the configuration.
    pub(crate) configured: bool,
    /// Since the start.
    pub(crate) status: Status,
}

impl Told {
    fn inner(&self) -> Result<&Arc<Inner>, SubscriptionError> {
        let none = || SubscriptionError::Unavailable("this daemon tells no webhooks".into());
        self.0.as_ref().ok_or_else(none)
    }

    fn on(&self, name: &str) -> Result<&Webhooks, SubscriptionError> {
        let unknown = || SubscriptionError::Unknown(name.to_owned());
        self.webhooks().ok_or_else(unknown)
    }

    fn subscriptions(&self) -> Option<&Subscriptions> {
        self.0.as_ref().map(|inner| &inner.subscriptions)
    }

    /// All of them, those of the configuration first.
    pub(crate) fn all(&self) -> Vec<Seen> {
        let Some(all) = self.subscriptions() else {
            return Vec::new();
        };
        let figures = self.webhooks().map(Webhooks::figures).unwrap_or_default();
        let list = all.list();
        let seen = list.iter().map(|one| Seen {
            configured: all.is_configured(&one.name),
            status: figures.subscriptions.get(&one.name).cloned().unwrap_or_default(),
            subscription: one.clone(),
        });
        seen.collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// There is none of that name.
    pub(crate) fn one(&self, name: &str) -> Result<Seen, SubscriptionError> {
        let found = self.all().into_iter().find(|one| one.subscription.name == name);
        found.ok_or_else(|| SubscriptionError::Unknown(name.to_owned()))
    }

    /// Makes one, which is told of everything from now on.
    ///
    /// # Errors
    /// [`SubscriptionError`]; then nothing is changed.
    pub(crate) async fn create(&self, new: Subscription) -> Result<(), SubscriptionError> {
        new.check().map_err(SubscriptionError::Invalid)?;
        let inner = Arc::clone(self.inner()?);
        // The first one opens the outbox.
        let opened = tokio::task::spawn_blocking(move || inner.switch_on().cloned()).await;
        let webhooks = opened.map_err(|error| SubscriptionError::Unavailable(error.to_string()))??;
        webhooks.create(new).await?;
        self.touch();
        Ok(())
    }

    /// Changes one that was made.
    ///
    /// # Errors
    /// [`SubscriptionError`]; then nothing is changed.
    pub(crate) async fn change(
        &self,
        name: &str,
        change: impl FnOnce(&mut Subscription) + Send + 'static,
    ) -> Result<(), SubscriptionError> {
        self.on(name)?.change(name, change).await
    }

    /// Removes one that was made, with what it has to tell.
    ///
    /// # Errors
    /// [`SubscriptionError`]; then nothing is changed.
    pub(crate) async fn remove(&self, name: &str) -> Result<Removed, SubscriptionError> {
        let removed = self.on(name)?.remove(name).await?;
        self.touch();
        Ok(removed)
    }

    /// Lets what one that was made has to tell wait.
    ///
    /// # Errors
    /// [`SubscriptionError`]; then nothing is changed.
    pub(crate) async fn pause(&self, name: &str) -> Result<(), SubscriptionError> {
        self.on(name)?.pause(name).await
    }

    /// Sends again, after a pause or to a receiver that had refused.
    ///
    /// # Errors
    /// [`SubscriptionError`]; then it stays as it was.
    pub(crate) async fn resume(&self, name: &str) -> Result<(), SubscriptionError> {
        self.on(name)?.resume(name).await
    }

    /// Calls the receiver, and answers what it said.
    ///
    /// # Errors
    /// There is none of that name.
    pub(crate) async fn test(&self, name: &str) -> Result<Tested, SubscriptionError> {
        let tested = self.on(name)?.test(name).await;
        tested.map_err(|error| match error {
            PublishError::Unknown(name) => SubscriptionError::Unknown(name),
            error => SubscriptionError::Unavailable(error.to_string()),
        })
    }
}
