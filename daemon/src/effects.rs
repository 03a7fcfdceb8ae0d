//! What must happen because a turn has ended: the rows of the outbox, and how each is done. Each can be repeated: ids and
//! paths derive from the turn, numbers are totals.

use jiff::Timestamp;
use reveille_queue::NewEffect;
use reveille_transports::{Kind, Outgoing};
use reveille_vault::agent::{Inbound, Outbound, OutboundKind, ThreadRecord};
use reveille_vault::{Key, NewNote, NoteId, Precondition, Vault, VaultError, Write};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::bridges::BRIDGE;
use crate::bridges::webhooks::Settled;
use crate::sent::{self, SentFile};

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
        /// Where the thread note is, if not under the conversation's identity.
        #[serde(default)]
        thread_path: Option<String>,
    },
    /// A file of the reply, which is attached to its note.
    File {
        /// Its vault.
        vault: String,
        /// The agent.
        agent: String,
        /// The note of the reply.
        note: NoteId,
        /// The file.
        file: SentFile,
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
        /// Where the thread note is, if not under the conversation's identity.
        #[serde(default)]
        thread_path: Option<String>,
    },
    /// What a bridge gets to send: the reply or failure note of a message that it brought.
    Bridge {
        /// The bridge.
        bridge: String,
        /// The note.
        note: Outgoing,
    },
    /// The end of the turn, for who has a webhook.
    Webhook {
        /// The end.
        end: Settled,
    },
}

/// What the bridges get of a note that answers these messages: each of their conversations once, as the answer to its first
/// message among them.
pub(crate) fn to_bridges<'a>(
    messages: impl IntoIterator<Item = &'a Inbound>,
    note: &Outbound,
    files: &[SentFile],
) -> Vec<Effect> {
    let mut effects: Vec<Effect> = Vec::new();
    for message in messages {
        let Some(bridge) = message.origin.get(BRIDGE) else {
            continue;
        };
        let chat = message.origin.get("chat_id");
        let is_told = |effect: &Effect| matches!(effect, Effect::Bridge { bridge: other, note } if other == bridge && note.origin.get("chat_id") == chat);
        if effects.iter().any(is_told) {
            continue;
        }
        let id = match effects.len() {
            0 => note.id.to_string(),
            others => format!("{}-{others}", note.id),
        };
        let outgoing = Outgoing {
            id,
            agent: note.agent.clone(),
            turn: Some(note.turn.clone()),
            text: note.text.clone(),
            files: files.iter().map(|file| file.path.clone()).collect(),
            origin: message.origin.clone(),
            kind: match (note.kind, &message.callback) {
                (OutboundKind::Failure, _) => Kind::Failure,
                (OutboundKind::Reply, Some(_)) => Kind::Callback,
                (OutboundKind::Reply, None) => Kind::Reply,
            },
            created_at: note.at,
        };
        effects.push(Effect::Bridge {
            bridge: bridge.clone(),
            note: outgoing,
        });
    }
    effects
}

impl Effect {
    /// The vault that it goes to; `None`: a bridge, or webhooks.
    #[must_use]
    pub(crate) fn vault(&self) -> Option<&str> {
        match self {
            Self::Thread { vault, .. }
            | Self::Outbound { vault, .. }
            | Self::File { vault, .. }
            | Self::Callback { vault, .. } => Some(vault),
            Self::Bridge { .. } | Self::Webhook { .. } => None,
        }
    }

    /// The channel of the turn that it follows from.
    #[must_use]
    pub(crate) fn channel(&self) -> &str {
        match self {
            Self::Thread { record, .. } => &record.agent,
            Self::Outbound { note, .. } => &note.agent,
            Self::File { agent, .. } => agent,
            Self::Callback { message, .. } => {
                let callback = message.callback.as_ref();
                callback.map_or(&message.sender, |callback| &callback.source_channel)
            }
            Self::Bridge { note, .. } => &note.agent,
            Self::Webhook { end } => &end.agent,
        }
    }

    /// The note by which the agent that asked is woken.
    #[must_use]
    pub(crate) fn callback_note(&self) -> Option<String> {
        match self {
            Self::Callback { id, .. } => Some(id.to_string()),
            Self::Thread { .. }
            | Self::Outbound { .. }
            | Self::File { .. }
            | Self::Bridge { .. }
            | Self::Webhook { .. } => None,
        }
    }

    /// What it is, in one word.
    #[must_use]
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Thread { .. } => "thread",
            Self::Outbound { note, .. } if note.kind == OutboundKind::Failure => "failure",
            Self::Outbound { .. } => "reply",
            Self::File { .. } => "file",
            Self::Callback { .. } => "callback",
            Self::Bridge { .. } => "bridge",
            Self::Webhook { .. } => "webhook",
        }
    }

    /// As a row of the outbox. Effects of one conversation stay in order; those of one vault can be held back together, and
    /// what goes to a bridge or to webhooks waits for no vault.
    #[must_use]
    pub(crate) fn row(&self, conversation: Uuid) -> NewEffect {
        let target = match self {
            Self::Thread { vault, .. }
            | Self::Outbound { vault, .. }
            | Self::File { vault, .. }
            | Self::Callback { vault, .. } => format!("{vault}/{conversation}"),
            // No vault is called so.
            Self::Bridge { bridge, .. } => format!("@{bridge}/{conversation}"),
            // And no bridge so.
            Self::Webhook { .. } => format!("@@webhook/{conversation}"),
        };
        NewEffect {
            target,
            body: json!(self),
        }
    }

    /// As a write that can be made together with others of its turn, the first of which changes the note `thread`: it is there
    /// then, and is the one that this one names. `None`: this one has to look, or to go by itself.
    #[must_use]
    pub(crate) fn beside(&self, thread: &NoteId) -> Option<Write> {
        match self {
            Self::Thread { record, .. } => (record.id == *thread).then(|| {
                let (patch, _) = record.render();
                Write::Patch(record.id.clone(), patch)
            }),
            Self::Outbound { note, .. } => (note.thread == thread.as_str()).then(|| Write::Create(note.render())),
            Self::Callback { id, at, message, .. } => {
                let named = message
                    .callback
                    .as_ref()
                    .and_then(|callback| callback.source_thread.as_deref());
                let ours = named.is_none_or(|named| named == thread.as_str());
                ours.then(|| Write::Create(message.render(id.clone(), *at)))
            }
            Self::File { .. } | Self::Bridge { .. } | Self::Webhook { .. } => None,
        }
    }

    /// Writes it to its vault. `late`: a newer one of its conversation may have gone before it.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: later again. Most others will not get better by themselves.
    pub(crate) async fn write(&self, vault: &dyn Vault, late: bool) -> Result<(), VaultError> {
        match self {
            Self::Thread { record, .. } => {
                if late && is_outdated(vault, record).await? {
                    return Ok(());
                }
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
            Self::Outbound { note, thread_path, .. } => {
                let mut note = note.clone();
                note.thread = thread_note(vault, note.thread, thread_path.as_deref()).await?;
                create_once(vault, note.render()).await
            }
            Self::Callback {
                id,
                at,
                message,
                thread_path,
                ..
            } => {
                let mut message = message.clone();
                if let Some(callback) = &mut message.callback
                    && let Some(thread) = callback.source_thread.take()
                {
                    callback.source_thread = Some(thread_note(vault, thread, thread_path.as_deref()).await?);
                }
                create_once(vault, message.render(id.clone(), *at)).await
            }
            Self::File { note, file, .. } => sent::attach(vault, note, file).await,
            Self::Bridge { bridge, .. } => Err(VaultError::Invalid(format!("this is for the bridge {bridge:?}"))),
            Self::Webhook { .. } => Err(VaultError::Invalid("this is for webhooks".into())),
        }
    }
}

/// Whether the note knows of more turns than the record: a parked record that is tried again must not take it back.
async fn is_outdated(vault: &dyn Vault, record: &ThreadRecord) -> Result<bool, VaultError> {
    let note = match vault.get(&Key::Id(record.id.clone())).await? {
        None => vault.get(&Key::Path(record.path.clone())).await?,
        found => found,
    };
    let count = note.and_then(|note| note.text("turn_count")?.parse::<u64>().ok()); // silent-ok: then it is written anew
    Ok(count.is_some_and(|count| count > record.turn_count))
}

/// The identity of a conversation's note. It is the conversation's own, unless a person had made a note at its path before
/// the first turn: then it is that one's.
async fn thread_note(vault: &dyn Vault, conversation: String, path: Option<&str>) -> Result<String, VaultError> {
    let (Some(path), Ok(id)) = (path, NoteId::new(conversation.as_str())) else {
        return Ok(conversation);
    };
    if vault.get(&Key::Id(id)).await?.is_some() {
        return Ok(conversation);
    }
    let adopted = vault.get(&Key::Path(path.to_owned())).await?;
    Ok(adopted.map_or(conversation, |note| note.id.to_string()))
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
