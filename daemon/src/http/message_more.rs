//! What a message of a transcript says besides its words: its files, where it came from, and what its turn took.

use std::collections::HashMap;

use futures_util::future::join_all;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reveille_queue::Turn;
use reveille_vault::agent::{Inbound, Outbound};
use reveille_vault::{Attachment, Key, Note, Vault, VaultError};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Api;
use super::error::ApiError;
use super::turn_links::duration_ms;
use super::turns::{Usage, usd};

/// Notes whose files are asked for at one time: a vault may be on another machine.
const AT_ONCE: usize = 16;

/// A file of a message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessageFile)]
pub(super) struct File {
    id: String,
    name: String,
    /// Media type.
    mime: String,
    size_bytes: u64,
    /// Where it is, from the daemon's base on: below its mount.
    url: String,
}

/// The turn that wrote a message.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = MessageParent)]
pub(super) struct Writer {
    agent: String,
    turn: Uuid,
    /// The note of its message.
    message: String,
}

/// It.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = MessageMore)]
pub(super) struct More {
    attachments: Vec<File>,
    /// The chain of hand-overs that it belongs to; null when its turn is not known.
    #[schema(required)]
    chain: Option<String>,
    /// The turn that wrote it to this agent.
    #[schema(required)]
    delegated_by: Option<Writer>,
    /// It tells the agent of the end of what it had handed on.
    callback: bool,
    /// What its turn took, on the message and on its answer, once it has ended. Null for what shared the turn of another one.
    #[schema(required)]
    usage: Option<Usage>,
    /// The same in US dollars.
    #[schema(required)]
    cost_usd: Option<f64>,
    /// How long that turn took, without waiting.
    #[schema(required)]
    duration_ms: Option<u64>,
}

impl More {
    fn of(turn: Option<&Turn>) -> Self {
        let ended = turn.filter(|turn| turn.state.is_terminal() && turn.claimed_at.is_some() && turn.leader.is_none());
        Self {
            chain: turn.map(|turn| turn.message.chain.clone()),
            usage: ended.map(|turn| turn.spend.into()),
            cost_usd: ended.map(|turn| usd(turn.spend.nano_usd)),
            duration_ms: ended.and_then(duration_ms),
            ..Self::default()
        }
    }
}

/// Turns by their identity; each is asked for once.
struct Known<'a> {
    api: &'a Api,
    turns: HashMap<Uuid, Option<Turn>>,
}

impl Known<'_> {
    async fn get(&mut self, id: &str) -> Result<Option<&Turn>, ApiError> {
        let Ok(id) = id.parse::<Uuid>() else {
            return Ok(None);
        };
        if !self.turns.contains_key(&id) {
            let found = self.api.queue.turn(id).await?;
            self.turns.insert(id, found);
        }
        Ok(self.turns.get(&id).and_then(Option::as_ref))
    }
}

/// The same of each of these notes. `turns`: those that are known, by the notes of their messages.
pub(super) async fn gather(
    api: &Api,
    vault: &dyn Vault,
    notes: &[Note],
    turns: &HashMap<String, Turn>,
) -> Result<Vec<More>, ApiError> {
    let mut all_files = Vec::with_capacity(notes.len());
    for part in notes.chunks(AT_ONCE) {
        all_files.extend(join_all(part.iter().map(|note| files(vault, note))).await);
    }
    let turns_by_id = turns.values().map(|turn| (turn.id, Some(turn.clone())));
    let mut known = Known {
        api,
        turns: turns_by_id.collect(),
    };
    let mut all = Vec::with_capacity(notes.len());
    for (note, attachments) in notes.iter().zip(all_files) {
        let mut more = match Outbound::is(note) {
            true => More::of(known.get(&note.text("turn").unwrap_or_default()).await?),
            false => inbound(note, turns.get(note.id.as_str()), &mut known).await?,
        };
        more.attachments = attachments;
        all.push(more);
    }
    Ok(all)
}

async fn inbound(note: &Note, turn: Option<&Turn>, known: &mut Known<'_>) -> Result<More, ApiError> {
    let mut more = More::of(turn);
    // silent-ok: it names no agent, and so nobody else.
    let Ok(message) = Inbound::parse(note) else {
        return Ok(more);
    };
    more.callback = message.callback.is_some();
    if let Some(by) = &message.delegated_by {
        more.delegated_by = known.get(by).await?.map(|turn| Writer {
            agent: turn.message.lane.channel.to_string(),
            turn: turn.id,
            message: turn.message.note.clone(),
        });
    }
    Ok(more)
}

/// The files of a note. Without them a message still says what it says.
async fn files(vault: &dyn Vault, note: &Note) -> Vec<File> {
    match vault.files().attachments(&Key::Id(note.id.clone())).await {
        Ok(attachments) => attachments.into_iter().map(|file| shown(vault.name(), file)).collect(),
        Err(VaultError::NotFound { .. } | VaultError::Unsupported { .. }) => Vec::new(),
        Err(error) => {
            tracing::warn!(%error, note = %note.id, "the files of a message are not shown");
            Vec::new()
        }
    }
}

fn shown(vault: &str, file: Attachment) -> File {
    let segment = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    File {
        url: format!("vault/{}/api/storage/{}", segment(vault), segment(&file.path)),
        id: file.id,
        name: file.filename,
        mime: file.mime_type,
        size_bytes: file.size,
    }
}
