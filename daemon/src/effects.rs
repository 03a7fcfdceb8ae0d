//! What must happen because a turn has ended: the rows of the outbox, and how each is done. Each can be repeated: ids and
//! paths derive from the turn, numbers are totals.

use jiff::Timestamp;
use reveille_queue::NewEffect;
use reveille_vault::agent::{Inbound, Outbound, ThreadRecord};
use reveille_vault::{Key, NewNote, NoteId, Precondition, Vault, VaultError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

/// Namespace of the notes that derive from a turn.
const NAMESPACE: Uuid = Uuid::from_u128(0x7f0d_6b0c_5d7e_4b0a_9e0a_52e1_5c1e_0a11);

/// The note that a turn makes for a purpose: always the same one.
#[must_use]
pub(crate) fn derived(turn: Uuid, purpose: &str) -> NoteId {
    let name = [turn.as_bytes(), purpose.as_bytes()].concat();
    let text = Uuid::new_v5(&NAMESPACE, &name).to_string();
    NoteId::new(text).unwrap_or_else(|_| NoteId::generate()) // a UUID is always a valid id
}

/// One effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Effect {
    /// The thread note.
    Thread {
        /// Its vault.
        vault: String,
        /// Its state.
        record: ThreadRecord,
    },
    /// The reply or failure note.
    Outbound {
        /// Its vault.
        vault: String,
        /// The note.
        note: Outbound,
    },
    /// The word to the agent that asked.
    Callback {
        /// Its vault.
        vault: String,
        /// The note's identity.
        id: NoteId,
        /// When the turn ended.
        at: Timestamp,
        /// The message.
        message: Inbound,
    },
}

impl Effect {
    /// The vault that it goes to.
    #[must_use]
    pub(crate) fn vault(&self) -> &str {
        match self {
            Self::Thread { vault, .. } | Self::Outbound { vault, .. } | Self::Callback { vault, .. } => vault,
        }
    }

    /// As a row of the outbox. Effects of one conversation stay in order.
    #[must_use]
    pub(crate) fn row(&self, conversation: Uuid) -> NewEffect {
        NewEffect {
            target: conversation.to_string(),
            body: json!(self),
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: later again. Anything else will not get better by itself.
    pub(crate) async fn deliver(&self, vault: &dyn Vault) -> Result<(), VaultError> {
        match self {
            Self::Thread { record, .. } => {
                // By identity first: a person may have moved the note.
                let (patch, note) = record.render();
                match vault
                    .patch(&Key::Id(record.id.clone()), patch.clone(), Precondition::Force)
                    .await
                {
                    Err(VaultError::NotFound { .. }) => vault.upsert(&record.path, patch, note).await.map(drop),
                    other => other.map(drop),
                }
            }
            Self::Outbound { note, .. } => create_once(vault, note.render()).await,
            Self::Callback { id, at, message, .. } => create_once(vault, message.render(id.clone(), *at)).await,
        }
    }
}

/// Creates a note whose identity says that it is the same one when it exists already.
async fn create_once(vault: &dyn Vault, note: NewNote) -> Result<(), VaultError> {
    let id = note.id.clone();
    match vault.create(note.clone()).await {
        Ok(_) | Err(VaultError::IdTaken { .. }) => Ok(()),
        Err(VaultError::PathTaken { path }) => {
            // Ours from an earlier try, or somebody else's note in our place: then ours goes without a path.
            match vault.get(&Key::Path(path)).await? {
                Some(there) if Some(&there.id) == id.as_ref() => Ok(()),
                _ => match vault.create(NewNote { path: None, ..note }).await {
                    Ok(_) | Err(VaultError::IdTaken { .. }) => Ok(()),
                    Err(error) => Err(error),
                },
            }
        }
        Err(error) => Err(error),
    }
}
