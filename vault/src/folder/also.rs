//! What the index does, and the files follow: tags as such, and triggers.

use async_trait::async_trait;
use tokio::sync::watch;

use super::FolderVault;
use crate::Vault;
use crate::store::VaultError;
use crate::tags::{Tag, TagChange, Tags};
use crate::triggers::{Delivery, DeliveryFilter, DueNow, NewTrigger, Outcome, PutTrigger, Reply, Trigger, Triggers};

/// A change of many notes is not undone in their files when one of them cannot be written: those that were changed before it
/// are as the change wanted them, and the answer is the error.
#[async_trait]
impl Tags for FolderVault {
    async fn all_tags(&self) -> Result<Vec<Tag>, VaultError> {
        self.folder.ready().await;
        self.folder.index.tags()?.all_tags().await
    }

    async fn tag(&self, name: &str) -> Result<Option<Tag>, VaultError> {
        self.folder.ready().await;
        self.folder.index.tags()?.tag(name).await
    }

    async fn kinds_of(&self, names: &[String]) -> Result<Vec<String>, VaultError> {
        self.folder.index.tags()?.kinds_of(names).await
    }

    async fn put_tag(&self, name: &str, change: TagChange) -> Result<Tag, VaultError> {
        self.folder.index.tags()?.put_tag(name, change).await
    }

    async fn rename_tag(&self, name: &str, new: &str) -> Result<u64, VaultError> {
        let tags = self.folder.index.tags()?;
        self.folder.ready().await;
        self.folder.through(name, || tags.rename_tag(name, new)).await
    }

    async fn merge_tags(&self, sources: &[String], target: &str) -> Result<Vec<(String, u64)>, VaultError> {
        let tags = self.folder.index.tags()?;
        self.folder.ready().await;
        self.folder.through(target, || tags.merge_tags(sources, target)).await
    }

    async fn delete_tag(&self, name: &str) -> Result<Option<u64>, VaultError> {
        let tags = self.folder.index.tags()?;
        self.folder.ready().await;
        self.folder.through(name, || tags.delete_tag(name)).await
    }
}

#[async_trait]
impl Triggers for FolderVault {
    async fn put(&self, trigger: NewTrigger) -> Result<PutTrigger, VaultError> {
        self.folder.index.triggers()?.put(trigger).await
    }

    async fn list(&self) -> Result<Vec<Trigger>, VaultError> {
        self.folder.index.triggers()?.list().await
    }

    async fn find(&self, name: &str) -> Result<Option<Trigger>, VaultError> {
        self.folder.index.triggers()?.find(name).await
    }

    async fn enable(&self, name: &str, enabled: bool) -> Result<Option<Trigger>, VaultError> {
        self.folder.index.triggers()?.enable(name, enabled).await
    }

    async fn remove(&self, name: &str) -> Result<bool, VaultError> {
        self.folder.index.triggers()?.remove(name).await
    }

    async fn deliveries(&self, name: &str, filter: DeliveryFilter) -> Result<Vec<Delivery>, VaultError> {
        self.folder.index.triggers()?.deliveries(name, filter).await
    }

    async fn redrive(&self, name: &str, ids: Option<Vec<String>>) -> Result<u64, VaultError> {
        self.folder.index.triggers()?.redrive(name, ids).await
    }

    async fn due(&self, lanes: usize, busy: Vec<(String, String)>) -> Result<DueNow, VaultError> {
        self.folder.index.triggers()?.due(lanes, busy).await
    }

    /// The answer of a receiver may be written on its note. Where the note's file does not take it the receiver has told
    /// enough all the same.
    async fn settle(&self, id: &str, outcome: Outcome) -> Result<(), VaultError> {
        let triggers = self.folder.index.triggers()?;
        self.folder.ready().await;
        let error = match self.folder.through(id, || triggers.settle(id, outcome.clone())).await {
            Err(error) if !matches!(error, VaultError::Unavailable { .. }) => error,
            settled => return settled,
        };
        let Outcome::Delivered { status, remark, .. } = outcome else {
            return Err(error);
        };
        let refused = format!("what it asked to be written was not: {error}");
        let remark = remark.map_or_else(|| refused.clone(), |remark| format!("{remark}; {refused}"));
        let outcome = Outcome::Delivered {
            status,
            reply: Reply::default(),
            remark: Some(remark),
        };
        self.folder.through(id, || triggers.settle(id, outcome.clone())).await
    }

    async fn prune(&self) -> Result<u64, VaultError> {
        self.folder.index.triggers()?.prune().await
    }

    async fn dead(&self) -> Result<u64, VaultError> {
        self.folder.index.triggers()?.dead().await
    }

    fn wake(&self) -> watch::Receiver<u64> {
        // The embedded vault has them always; this is its receiver.
        self.folder.wake.clone()
    }
}
