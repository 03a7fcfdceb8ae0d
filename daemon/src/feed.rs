//! The feed: follows a vault's change log from a stored cursor. A wake is a hint, the cursor is the truth.

use std::sync::Arc;
use std::time::Duration;

use reveille_queue::{FeedCursor, QueueError};
use reveille_vault::agent::{Inbound, tag};
use reveille_vault::{Change, Cursor, Key, Note, NoteId, Patch, Precondition, Query, Vault, VaultError};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::crash;
use crate::inbox::{Arrival, Inbox};
use crate::registry::Effect;

/// Changes taken at once.
const BATCH: u32 = 256;
/// Changes without a message after which the cursor is stored all the same: bounds what a start reads again.
const UNSAVED_MAX: u64 = 1024;
/// Longest pause after a failure of the vault or the queue.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Follows one vault.
pub(crate) struct Feed {
    vault: Arc<dyn Vault>,
    inbox: Inbox,
    /// Everything up to here is dealt with.
    at: Cursor,
    /// Everything up to here is dealt with, durably.
    saved: Cursor,
}

/// Neither side is lost: the batch is read again.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Feed {
    /// Reads the stored cursor, and all definitions as they are now.
    ///
    /// # Errors
    /// The vault or the queue cannot be read.
    pub(crate) async fn open(vault: Arc<dyn Vault>, inbox: Inbox) -> anyhow::Result<Self> {
        let at = inbox.queue.cursor(vault.name()).await?;
        let all = Query {
            tags: vec![tag::DEFINITION.into()],
            ..Query::default()
        };
        let notes = vault.query(&all).await?.notes;
        for note in &notes {
            inbox.registry.apply(&vault, &note.id, Some(note));
        }
        Ok(Self {
            vault,
            inbox,
            at,
            saved: at,
        })
    }

    /// Follows the vault until `drain`.
    pub(crate) async fn run(mut self, drain: CancellationToken) {
        let mut wake = self.vault.watch();
        let mut pause = Duration::ZERO;
        // Definitions whose stamp was lost by a crash between the change and the stamp.
        let vault = self.vault.name().to_owned();
        let stale = self
            .inbox
            .registry
            .list()
            .into_iter()
            .filter(|listed| listed.vault == vault)
            .map(|listed| listed.note);
        let mut restamp: Vec<NoteId> = stale.collect();
        loop {
            wake.borrow_and_update();
            match self.step(&mut restamp).await {
                Ok(0) => {
                    pause = Duration::ZERO;
                    tokio::select! {
                        () = drain.cancelled() => break,
                        changed = wake.changed() => if changed.is_err() { break },
                    }
                }
                Ok(_) => pause = Duration::ZERO,
                Err(error) => {
                    pause = (pause * 2).clamp(Duration::from_millis(250), PAUSE_MAX);
                    tracing::error!(%error, vault = self.vault.name(), ?pause, "the feed stands; nothing is lost, it tries again");
                    tokio::select! {
                        () = drain.cancelled() => break,
                        () = tokio::time::sleep(pause) => {}
                    }
                }
            }
            if drain.is_cancelled() {
                break;
            }
        }
        if self.saved < self.at {
            let cursor = FeedCursor {
                feed: self.vault.name().to_owned(),
                at: self.at,
            };
            if let Err(error) = self.inbox.accept(Vec::new(), Some(cursor)).await {
                tracing::warn!(%error, "the feed's cursor was not stored; the next start reads these changes again");
            }
        }
    }

    /// Takes one batch; answers how many changes it held.
    async fn step(&mut self, restamp: &mut Vec<NoteId>) -> Result<usize, Trouble> {
        let changes = self.vault.changes(self.at, BATCH).await?;
        let mut arrivals = Vec::new();
        let mut unroutable = Vec::new();
        let mut woken = Vec::new();
        for change in &changes {
            let Effect {
                woken: names,
                restamp: notes,
            } = self.define(change);
            woken.extend(names);
            restamp.extend(notes);
            let Some(note) = change.note.as_ref().filter(|note| Inbound::wakes(note)) else {
                continue;
            };
            match Inbound::parse(note) {
                Ok(message) => {
                    arrivals.push(Arrival {
                        vault: self.vault.name().to_owned(),
                        note: note.id.to_string(),
                        message,
                    });
                }
                Err(error) => unroutable.push((note.clone(), error.to_string())),
            }
        }
        crash::point("feed.read");
        if let Some(last) = changes.last() {
            self.accept(arrivals, last.cursor).await?;
        }
        crash::point("feed.accepted");
        for (note, detail) in unroutable {
            self.show(&note, "error", &detail).await?;
        }
        for name in woken {
            self.inbox.workers.wake_channel(&name);
        }
        self.restamp(restamp).await?;
        Ok(changes.len())
    }

    fn define(&self, change: &Change) -> Effect {
        self.inbox.registry.apply(&self.vault, &change.id, change.note.as_ref())
    }

    async fn accept(&mut self, arrivals: Vec<Arrival>, last: Cursor) -> Result<(), Trouble> {
        let must_save = !arrivals.is_empty() || last - self.saved >= UNSAVED_MAX;
        if must_save {
            let orphans: Vec<(String, String)> = arrivals
                .iter()
                .filter(|arrival| self.inbox.registry.get(&arrival.message.agent).is_none())
                .map(|arrival| (arrival.note.clone(), arrival.message.agent.clone()))
                .collect();
            let cursor = FeedCursor {
                feed: self.vault.name().to_owned(),
                at: last,
            };
            let accepted = self.inbox.accept(arrivals, Some(cursor)).await?;
            self.saved = last;
            for (note, agent) in orphans {
                tracing::warn!(note, agent, "a message waits for an agent that is not defined");
                let detail = format!("waits: there is no agent {agent:?} yet; define it, or delete this note");
                self.show_by_id(&note, "waiting", &detail).await?;
            }
            tracing::debug!(count = accepted.len(), cursor = last, "messages accepted");
        }
        self.at = last;
        Ok(())
    }

    /// Writes on each definition note what became of it, where that is not what the note says already.
    async fn restamp(&self, notes: &mut Vec<NoteId>) -> Result<(), Trouble> {
        while let Some(id) = notes.last().cloned() {
            if let Some(stamp) = self.inbox.registry.stamp(self.vault.name(), &id) {
                self.show_by_id(id.as_str(), stamp.status, &stamp.detail).await?;
            }
            notes.pop();
        }
        Ok(())
    }

    async fn show_by_id(&self, id: &str, status: &str, detail: &str) -> Result<(), Trouble> {
        let Ok(id) = NoteId::new(id) else { return Ok(()) };
        match self.vault.get(&Key::Id(id)).await? {
            Some(note) => self.show(&note, status, detail).await,
            None => Ok(()),
        }
    }

    async fn show(&self, note: &Note, status: &str, detail: &str) -> Result<(), Trouble> {
        let says = |key: &str| note.metadata.get(key).and_then(Value::as_str).unwrap_or_default();
        if says("status") == status && says("status_detail") == detail {
            return Ok(());
        }
        let metadata = [("status", status), ("status_detail", detail)];
        let metadata = metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), Value::String(value.to_owned())))
            .collect();
        let patch = Patch {
            metadata,
            ..Patch::default()
        };
        match self
            .vault
            .patch(&Key::Id(note.id.clone()), patch, Precondition::Force)
            .await
        {
            Ok(_) | Err(VaultError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
