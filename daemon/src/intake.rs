//! Messages from outside the vault become inbound notes.

use async_trait::async_trait;
use jiff::Timestamp;
use reveille_queue::{ChannelName, InvalidName};
use reveille_transports::{Incoming, Intake, Refusal, Taken};
use reveille_vault::agent::{Inbound, MessageMode};
use reveille_vault::{Key, NewAttachment, NewNote, NoteId, Vault, VaultError};
use uuid::Uuid;

use crate::crash;
use crate::inbox::Inbox;
use crate::registry::Agent;
use crate::traces::TraceParent;

/// Namespace of notes that are named by their sender's idempotency key.
const NAMESPACE: Uuid = Uuid::from_u128(0x2b1f_9a64_7c3d_4e55_8d0e_6f20_9b7c_4d02);

#[async_trait]
impl Intake for Inbox {
    async fn take(&self, message: Incoming) -> Result<Taken, Refusal> {
        self.take_traced(message, None).await
    }
}

impl Inbox {
    /// [`Intake::take`] of a message that is to be a part of its sender's trace.
    pub(crate) async fn take_traced(&self, message: Incoming, parent: Option<TraceParent>) -> Result<Taken, Refusal> {
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
            origin: message.origin,
            traceparent: parent.map(|parent| parent.to_string()),
            ..Inbound::blank(message.agent)
        };
        let files = message.attachments.into_iter().map(NewAttachment::of).collect();
        self.put(&inbound, files, message.idempotency_key.as_deref(), None)
            .await
    }

    /// Stores a message durably as an inbound note with these files. `resend_of` is the note that it repeats.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing is stored.
    pub(crate) async fn put(
        &self,
        message: &Inbound,
        attachments: Vec<NewAttachment>,
        key: Option<&str>,
        resend_of: Option<&str>,
    ) -> Result<Taken, Refusal> {
        if message.text.trim().is_empty() {
            return Err(Refusal::Blank);
        }
        let agent = self.agent(&message.agent)?;
        let id = match key {
            Some(key) => {
                let name = format!("{}\n{key}", message.agent);
                NoteId::new(Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string())
                    .map_err(|error| Refusal::Invalid(error.to_string()))?
            }
            None => NoteId::generate(),
        };
        self.make_room(&*agent.vault, &message.agent, key.map(|_| &id)).await?;
        let vault = agent.vault.name().to_owned();
        // One write: the message is never there without its files.
        let mut sealed = message.clone();
        self.seals.seal(id.as_str(), &mut sealed.origin);
        let mut note = NewNote {
            attachments,
            ..sealed.render(id.clone(), Timestamp::now())
        };
        if let Some(original) = resend_of {
            note.metadata.insert("resend_of".into(), original.into());
        }
        match agent.vault.create(note).await {
            Ok(_) => {}
            // The same key again is the same message. Its path holds its id, so a vault may complain of that first.
            Err(VaultError::IdTaken { .. } | VaultError::PathTaken { .. }) => {
                same_message(&*agent.vault, &id, message).await?;
            }
            Err(error @ VaultError::Unavailable { .. }) => after_failure(&*agent.vault, &id, &error).await?,
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

    /// The agent of that name, if it can be woken.
    ///
    /// # Errors
    /// [`Refusal`]
    pub(crate) fn agent(&self, name: &str) -> Result<Agent, Refusal> {
        if let Some(agent) = self.registry.get(name) {
            return Ok(agent);
        }
        let listed = self.registry.named(name);
        match (listed, self.progress.unread()) {
            (Some(listed), _) => Err(Refusal::BrokenAgent {
                agent: name.to_owned(),
                problems: listed.stamp.detail,
            }),
            (None, Some((vault, reason))) => Err(Refusal::Unavailable(format!(
                "there is no agent {name:?} in the vaults that can be read, and the vault {vault:?} cannot be read now: {reason}"
            ))),
            (None, None) => Err(Refusal::UnknownAgent {
                agent: name.to_owned(),
                agents: self.registry.names(),
            }),
        }
    }

    /// Refuses a message whose agent has too many waiting. One that is stored already, under its key, needs no room.
    async fn make_room(&self, vault: &dyn Vault, agent: &str, known: Option<&NoteId>) -> Result<(), Refusal> {
        let channel: ChannelName = agent
            .parse()
            .map_err(|error: InvalidName| Refusal::Invalid(error.to_string()))?;
        let waiting = match self.queue.waiting(&channel, self.max_waiting).await {
            Ok(waiting) => waiting,
            // It is stored in the vault then, and the queue takes it when it can.
            Err(error) => {
                tracing::warn!(%error, agent, "the waiting messages cannot be counted");
                return Ok(());
            }
        };
        if waiting < u64::from(self.max_waiting) {
            return Ok(());
        }
        if let Some(id) = known {
            let stored = vault.get(&Key::Id(id.clone())).await;
            let stored = stored.map_err(|error| Refusal::Unavailable(error.to_string()))?;
            if stored.is_some() {
                return Ok(());
            }
        }
        Err(Refusal::Full {
            agent: agent.to_owned(),
            waiting,
        })
    }

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

/// A vault can write a note and lose the answer: what it holds decides.
async fn after_failure(vault: &dyn Vault, id: &NoteId, failure: &VaultError) -> Result<(), Refusal> {
    match vault.get(&Key::Id(id.clone())).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(Refusal::Unavailable(failure.to_string())),
        Err(_) => Err(Refusal::Unknown(failure.to_string())), // silent-ok: the first failure says why
    }
}

/// Whether the note that was stored under an idempotency key says what is sent now.
async fn same_message(vault: &dyn Vault, id: &NoteId, message: &Inbound) -> Result<(), Refusal> {
    let stored = vault.get(&Key::Id(id.clone())).await;
    let stored = stored.map_err(|error| Refusal::Unavailable(error.to_string()))?;
    match stored.as_ref().map(Inbound::parse) {
        Some(Ok(stored)) if asks_the_same(&stored, message) => Ok(()),
        _ => Err(Refusal::KeyReused),
    }
}

/// Everything that the sender chose. What the daemon adds may differ: another turn can send the same.
fn asks_the_same(stored: &Inbound, sent: &Inbound) -> bool {
    let chosen = |message: &Inbound| {
        let conversation = message.subject.as_deref().map(|subject| subject.trim().to_owned());
        let report = (message.reply_to.clone(), message.correlation_id.clone());
        (message.text.trim().to_owned(), conversation, message.mode, report)
    };
    chosen(stored) == chosen(sent)
}
