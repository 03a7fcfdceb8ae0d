//! A vault is removed: its agents are gone at once, what runs in it ends by itself. Nothing of what was accepted is lost: it
//! waits in line, and the feed's cursor stays, until the vault is added again.

use std::sync::Arc;
use std::time::Duration;

use reveille_vault::Vault;

use super::{ChangeError, Removal, Roster};

/// Pause between two looks at what still runs.
const LOOK: Duration = Duration::from_millis(250);
/// How long the last replies may take. What is left waits until the vault is there again.
const PATIENCE: Duration = Duration::from_secs(30);

impl Roster {
    /// Removes an added vault. Who asks may go away meanwhile.
    ///
    /// # Errors
    /// Nothing was removed.
    pub(crate) async fn remove(&self, name: &str) -> Result<Removal, ChangeError> {
        let task = tokio::spawn(self.clone().remove_now(name.to_owned()));
        task.await
            .unwrap_or_else(|broken| Err(ChangeError::Broken(broken.to_string())))
    }

    async fn remove_now(self, name: String) -> Result<Removal, ChangeError> {
        let shared = &*self.shared;
        let mut book = shared.book.lock().await;
        let Some(vault) = shared.vaults.get(&name) else {
            return Ok(Removal {
                removed: false,
                running: 0,
            });
        };
        if shared.vaults.names().len() == 1 {
            return Err(ChangeError::Last(name));
        }
        let Some(place) = book.entries.iter().position(|entry| entry.added.vault == name) else {
            let place = shared.place.clone();
            return Err(ChangeError::Configured { name, place });
        };
        let mut contents = book.contents.clone();
        contents.vaults.retain(|added| added.vault != name);
        self.write_down(&mut book, contents)?;
        book.entries.remove(place).stop.cancel();
        self.set_trouble(&name, None);
        shared.webhooks.set(&name, None);

        shared.residents.remove(&name).await;
        let names = shared.inbox.registry.remove_vault(&vault);
        shared.inbox.jobs.closed(&name);
        shared.vaults.leave(&name);
        shared.inbox.progress.forget(&name);
        // Others may have claimed the names.
        if let Err(error) = shared.inbox.adopt(&names).await {
            tracing::warn!(%error, ?names, "whose names these are now is settled at the next start; agents that have got one wait until then");
        }
        let running = self.running(&name).await;
        tracing::info!(
            vault = name,
            running,
            "a vault was removed; what was in line for its agents waits"
        );
        shared.inbox.workers.spawn(self.clone().see_off(vault));
        Ok(Removal { removed: true, running })
    }

    /// Lets what runs in the vault end, then closes it.
    async fn see_off(self, vault: Arc<dyn Vault>) {
        let gone = async {
            self.has_ended(vault.name()).await;
            if tokio::time::timeout(PATIENCE, self.has_gone_out(vault.name()))
                .await
                .is_err()
            {
                let vault = vault.name();
                tracing::warn!(vault, "replies for the removed vault are kept until it is added again");
            }
        };
        // `None`: the daemon ends, and closes all vaults.
        if self.shared.drain.run_until_cancelled(gone).await.is_some() {
            self.shared.vaults.forget(vault.name());
            vault.close().await;
            tracing::info!(vault = vault.name(), "the removed vault is closed");
        }
    }

    async fn has_ended(&self, vault: &str) {
        // Twice in a row: a claim may have been on its way.
        let mut quiet = 0;
        while quiet < 2 {
            tokio::time::sleep(LOOK).await;
            quiet = if self.running(vault).await == 0 { quiet + 1 } else { 0 };
        }
    }

    async fn has_gone_out(&self, vault: &str) {
        loop {
            match self.shared.outbox.owes(vault).await {
                Ok(false) => return,
                Ok(true) => {}
                Err(error) => tracing::warn!(%error, "the outbox cannot be read"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Turns that run in a vault. What cannot be looked up counts.
    async fn running(&self, vault: &str) -> usize {
        let inbox = &self.shared.inbox;
        let mut running = 0;
        for turn in inbox.workers.live().into_keys() {
            match inbox.queue.turn(turn).await {
                Ok(Some(turn)) if turn.message.vault != vault => {}
                Ok(_) => running += 1,
                Err(error) => {
                    tracing::warn!(%error, %turn, "it is not known where a turn runs");
                    running += 1;
                }
            }
        }
        running
    }
}
