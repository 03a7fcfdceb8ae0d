//! Messages from outside the vault become inbound notes.

use async_trait::async_trait;
use jiff::Timestamp;
use reveille_transports::{Incoming, Intake, Refusal, Taken};
use reveille_vault::agent::{Inbound, MessageMode};
use reveille_vault::{Key, NewAttachment, NewNote, NoteId, Vault, VaultError};
use uuid::Uuid;

use crate::crash;
use crate::inbox::Inbox;

/// Namespace of notes that are named by their sender's idempotency key.
const NAMESPACE: Uuid = Uuid::from_u128(0x2b1f_9a64_7c3d_4e55_8d0e_6f20_9b7c_4d02);

#[async_trait]
impl Intake for Inbox {
    async fn take(&self, message: Incoming) -> Result<Taken, Refusal> {
        if message.text.trim().is_empty() {
            return Err(Refusal::Blank);
        }
        let Some(agent) = self.registry.get(&message.agent) else {
            let listed = self
                .registry
                .list()
                .into_iter()
                .find(|listed| listed.name == message.agent);
            if let Some(listed) = listed {
                return Err(Refusal::BrokenAgent {
                    agent: message.agent,
                    problems: listed.stamp.detail,
                });
            }
            return Err(Refusal::UnknownAgent {
                agent: message.agent,
                agents: self.registry.names(),
            });
        };
        let id = match &message.idempotency_key {
            Some(key) => {
                let name = format!("{}\n{key}", message.agent);
                NoteId::new(Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string())
                    .map_err(|error| Refusal::Invalid(error.to_string()))?
            }
            None => NoteId::generate(),
        };
        let link = message.link;
        let inbound = Inbound {
            text: message.text,
            sender: message.sender,
            subject: message.subject,
            mode: message.mode.as_deref().and_then(MessageMode::parse),
            reply_to: message.reply_to,
            correlation_id: message.correlation_id,
            delegation_depth: link.as_ref().map_or(0, |link| link.depth),
            chain: link.as_ref().map(|link| link.chain.clone()),
            delegated_by: link.and_then(|link| link.turn),
            ..Inbound::blank(message.agent)
        };
        let vault = agent.vault.name().to_owned();
        // One write: the message is never there without its files.
        let note = NewNote {
            attachments: message.attachments.into_iter().map(NewAttachment::of).collect(),
            ..inbound.render(id.clone(), Timestamp::now())
        };
        match agent.vault.create(note).await {
            Ok(_) => {}
            // The same key again is the same message.
            Err(VaultError::IdTaken { .. }) => same_message(&*agent.vault, &id, &inbound).await?,
            Err(error @ VaultError::Unavailable { .. }) => return Err(Refusal::Unavailable(error.to_string())),
            Err(error) => return Err(Refusal::Invalid(error.to_string())),
        }
        crash::point("intake.created");
        let turn = self.turn_of(&*agent.vault, &id).await;
        crash::point("intake.accepted");
        Ok(Taken {
            vault,
            note: id.to_string(),
            turn,
        })
    }
}

impl Inbox {
    /// The turn of a message that has just been written, once the feed has taken it. The feed is the one road into the queue:
    /// whoever writes two messages gets them worked on in that order, by whichever door each of them came.
    async fn turn_of(&self, vault: &dyn Vault, note: &NoteId) -> Option<String> {
        if !self.caught_up(vault).await {
            tracing::warn!(%note, "the message is stored; the queue takes it when it can");
            return None;
        }
        match self.queue.turn_of(vault.name(), note.as_str()).await {
            Ok(turn) => turn.map(|turn| turn.id.to_string()),
            Err(error) => {
                tracing::warn!(%error, %note, "the message is accepted, but its turn cannot be told");
                None
            }
        }
    }
}

/// Whether the note that was stored under an idempotency key says what is sent now.
async fn same_message(vault: &dyn Vault, id: &NoteId, message: &Inbound) -> Result<(), Refusal> {
    let stored = vault.get(&Key::Id(id.clone())).await;
    let stored = stored.map_err(|error| Refusal::Unavailable(error.to_string()))?;
    match stored {
        Some(note) if note.content == message.text => Ok(()),
        _ => Err(Refusal::KeyReused),
    }
}
