//! Threads with a running turn: their notes say so. That word is no effect of the outbox, because the end of the turn writes
//! everything again; but an end that is delivered late must not hide the turn that runs by then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reveille_vault::Vault;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::effects::Effect;
use crate::vaults::ByName;

/// By the conversation; the number is of the mark that put it there.
type Notes = BTreeMap<String, (u64, Effect)>;

/// The notes that say `working`. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Working {
    notes: Arc<Mutex<Notes>>,
    /// The number of the last mark.
    last: Arc<AtomicU64>,
}

/// A thread that works, until this is dropped.
pub(crate) struct Shown {
    working: Working,
    conversation: String,
    number: u64,
    task: Option<JoinHandle<()>>,
}

impl Working {
    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks the thread as working, beside whatever else goes on. `vault` is `None` while it is left alone: then the mark
    /// comes when it answers again.
    pub(super) fn show(&self, conversation: String, effect: Effect, vault: Option<Arc<dyn Vault>>) -> Shown {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.lock().insert(conversation.clone(), (number, effect.clone()));
        let task = vault.map(|vault| {
            let mark = async move {
                if let Err(error) = effect.write(&*vault, false).await {
                    tracing::warn!(%error, "the thread could not be marked as working");
                }
            };
            tokio::spawn(mark.in_current_span())
        });
        Shown {
            working: self.clone(),
            conversation,
            number,
            task,
        }
    }

    /// Marks threads again: those of vaults that have come `back`, and conversations of which an earlier end was just
    /// written.
    pub(super) async fn show_again(&self, vaults: &ByName, back: &BTreeSet<String>, written: &BTreeSet<String>) {
        let asked = |(conversation, (_, effect)): &(&String, &(u64, Effect))| {
            effect.vault().is_some_and(|vault| back.contains(vault)) || written.contains(conversation.as_str())
        };
        let effects: Vec<Effect> = self
            .lock()
            .iter()
            .filter(asked)
            .map(|(_, (_, effect))| effect.clone())
            .collect();
        for effect in effects {
            let Some(vault) = effect.vault().and_then(|name| vaults.get(name)) else {
                continue;
            };
            if let Err(error) = effect.write(&*vault, false).await {
                let turn = match &effect {
                    Effect::Thread { record, .. } => Some(record.turn.as_str()),
                    _ => None,
                };
                let channel = effect.channel();
                tracing::warn!(%error, turn, channel, "a thread could not be marked as working again");
            }
        }
    }
}

impl Shown {
    /// The turn has ended: nothing marks its thread any more when this returns.
    pub(crate) async fn end(mut self) {
        if let Some(task) = self.task.take()
            && let Err(error) = task.await
        {
            tracing::warn!(%error, "the task that marks the thread as working failed");
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let mut notes = self.working.lock();
        // Another turn may be shown there by now.
        if notes
            .get(&self.conversation)
            .is_some_and(|(number, _)| *number == self.number)
        {
            notes.remove(&self.conversation);
        }
    }
}
