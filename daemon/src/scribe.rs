//! Writes on notes what became of them, beside the feed: a vault that takes no writes now holds no message up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use reveille_vault::{Key, Kind, Note, NoteId, Patch, Precondition, Vault, VaultError};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::crash;
use crate::registry::{Due, Registry};
use crate::stamp;

/// Shortest and longest pause after something could not be written.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// A word for a message that could not be written.
#[derive(Debug, Clone)]
struct Word {
    status: String,
    detail: String,
    /// The state of the note that it is for.
    updated_at: Timestamp,
}

/// What messages of one vault are told. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    unsaid: Arc<Mutex<BTreeMap<NoteId, Word>>>,
    bell: Arc<Notify>,
}

impl Words {
    fn unsaid(&self) -> MutexGuard<'_, BTreeMap<NoteId, Word>> {
        self.unsaid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a message say its status and the detail, unless somebody changes it meanwhile: whoever follows the vault comes to
    /// that change. What cannot be written now is written when it can.
    ///
    /// # Errors
    /// None that waits for the vault to take writes.
    pub(crate) async fn tell(
        &self,
        vault: &dyn Vault,
        note: &Note,
        (status, detail): (&str, &str),
    ) -> Result<(), VaultError> {
        let stands = {
            let mut unsaid = self.unsaid();
            unsaid.remove(&note.id);
            !unsaid.is_empty()
        };
        if !stands {
            match stamp::show_unless_changed(vault, note, status, detail).await {
                Err(VaultError::Unavailable { .. }) => {}
                written => return written,
            }
        }
        let word = Word {
            status: status.to_owned(),
            detail: detail.to_owned(),
            updated_at: note.updated_at,
        };
        self.unsaid().insert(note.id.clone(), word);
        self.bell.notify_one();
        Ok(())
    }
}

/// Why the vault takes no writes.
type Unavailable = String;

/// Writes for one vault.
pub(crate) struct Scribe {
    /// The vault.
    pub(crate) vault: Arc<dyn Vault>,
    /// What definitions are told.
    pub(crate) registry: Registry,
    /// What messages are told.
    pub(crate) words: Words,
}

impl Scribe {
    /// Writes until `drain`. What is not written then is written after the next start, as far as it is about definitions.
    pub(crate) async fn run(self, drain: CancellationToken) {
        let bell = self.registry.stale_bell(self.vault.name());
        let mut pause = Duration::ZERO;
        let mut told = String::new();
        loop {
            let left = tokio::select! {
                () = drain.cancelled() => return,
                left = self.round() => left,
            };
            let Some(left) = left else {
                pause = Duration::ZERO;
                told.clear();
                tokio::select! {
                    () = drain.cancelled() => return,
                    () = bell.notified() => {}
                    () = self.words.bell.notified() => {}
                }
                continue;
            };
            if left != told {
                tracing::warn!(
                    reason = left,
                    vault = self.vault.name(),
                    "notes cannot say what became of them; it is tried again, and everything else goes on"
                );
                told = left;
            }
            pause = (pause * 2).clamp(PAUSES.0, PAUSES.1);
            tokio::select! {
                () = drain.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Writes what is to be written; answers why something is left.
    async fn round(&self) -> Option<Unavailable> {
        let at_once = match self.vault.kind() {
            // What waits while a commit runs is committed together.
            Kind::Embedded => 128,
            Kind::Folder | Kind::Parachute => 4,
        };
        let stale = self.registry.take_stale(self.vault.name());
        let mut left = None;
        let mut again = Vec::new();
        let mut writes = stream::iter(stale)
            .map(|id| async {
                let outcome = self.stamp(&id).await;
                (id, outcome)
            })
            .buffer_unordered(at_once);
        while let Some((id, outcome)) = writes.next().await {
            if let Err(reason) = outcome {
                again.push(id);
                left = Some(reason);
            }
        }
        drop(writes);
        if !again.is_empty() {
            self.registry.restamp(self.vault.name(), again);
        }
        let unsaid = self.words.unsaid().clone();
        for (id, word) in unsaid {
            if let Err(reason) = self.say(&id, &word).await {
                left = Some(reason);
                break;
            }
            // Another one may have come meanwhile, for a later state of the note.
            let mut unsaid = self.words.unsaid();
            if unsaid.get(&id).is_some_and(|now| now.updated_at == word.updated_at) {
                unsaid.remove(&id);
            }
        }
        left
    }

    /// Writes on a definition what became of it, where it does not say so already.
    async fn stamp(&self, id: &NoteId) -> Result<(), Unavailable> {
        let Some(Due { news, updated_at }) = self.registry.due(self.vault.name(), id) else {
            return Ok(());
        };
        crash::point("feed.stamping");
        if let Some(note) = self.write(id, news, updated_at).await? {
            self.registry.wrote(self.vault.name(), &note);
        }
        Ok(())
    }

    async fn say(&self, id: &NoteId, word: &Word) -> Result<(), Unavailable> {
        let news = vec![("status", word.status.clone()), ("status_detail", word.detail.clone())];
        self.write(id, news, word.updated_at).await.map(drop)
    }

    /// `None`: it is not written, and need not be. Where the note is another one than was judged, the feed comes to that.
    async fn write(
        &self,
        id: &NoteId,
        news: Vec<(&'static str, String)>,
        updated_at: Timestamp,
    ) -> Result<Option<Note>, Unavailable> {
        let metadata = news
            .into_iter()
            .map(|(key, value)| (key.to_owned(), Value::String(value)));
        let patch = Patch {
            metadata: metadata.collect(),
            ..Patch::default()
        };
        let as_judged = Precondition::UpdatedAt(updated_at);
        match self.vault.patch(&Key::Id(id.clone()), patch, as_judged).await {
            Ok(note) => Ok(Some(note)),
            Err(VaultError::NotFound { .. } | VaultError::Conflict { .. }) => Ok(None),
            Err(error @ VaultError::Unavailable { .. }) => Err(error.to_string()),
            // Such as a file whose front matter is broken. Nobody else shall wait for it.
            Err(error) => {
                tracing::warn!(%error, vault = self.vault.name(), note = %id, "the note cannot say what became of it; everything else goes on");
                Ok(None)
            }
        }
    }
}
