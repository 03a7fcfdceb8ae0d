//! What was said to an agent and by it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use http::StatusCode;
use jiff::Timestamp;
use reveille_queue::{ChannelName, Turn};
use reveille_vault::agent::{Outbound, tag};
use reveille_vault::note::millis;
use reveille_vault::{Key, Note, NoteId, Query, Vault, VaultError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::channels::channel_name;
use super::error::{ApiError, Segment};
use super::message_more::{self, More};
use super::turns::invalid_cursor;
use super::wire::TurnState;
use crate::record::FailureRecord;

/// Messages of a page unless asked otherwise, and at most.
const MESSAGES: u32 = 200;
const MESSAGES_MAX: u32 = 1000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// How many at most; 200 when nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the page before: older messages.
    cursor: Option<String>,
}

/// The vault of an agent. Of one that is gone it is the vault of its messages.
async fn vault_of(api: &Api, channel: &ChannelName) -> Result<Arc<dyn Vault>, ApiError> {
    if let Some(agent) = api.registry.get(channel.as_str()) {
        return Ok(agent.vault);
    }
    let last = match api.queue.open_turns(channel, 1).await?.pop() {
        None => api.queue.settled(channel, 1).await?.pop(),
        open => open,
    };
    let vault = last.and_then(|turn| api.vaults.get(&turn.message.vault));
    Ok(vault.unwrap_or_else(|| api.vaults.default()))
}

/// The messages to an agent and its answers, oldest first: the newest ones.
#[utoipa::path(
    get, path = "/api/channels/{channel}/messages", operation_id = "listMessages", tag = "channels",
    params(("channel" = String, Path, description = "The agent."), Page),
    responses(
        (status = 200, description = "The newest messages, or with a cursor those before.", body = MessageList),
        (status = 404, description = "There is no such agent: `unknown_agent`."),
    ),
)]
pub(super) async fn messages(
    State(api): State<Api>,
    Segment(channel): Segment,
    page: Result<Parameters<Page>, QueryRejection>,
) -> Result<Json<MessageList>, ApiError> {
    let Parameters(page) =
        page.map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", error.body_text()))?;
    let name = channel_name(&channel)?;
    let limit = page.limit.unwrap_or(MESSAGES).clamp(1, MESSAGES_MAX);
    let newest = page.cursor.is_none();
    let query = Query {
        tags: vec![tag::MESSAGE.into(), tag::INBOUND.into(), tag::OUTBOUND.into()],
        exact_tags: true,
        metadata: vec![("agent".into(), channel.clone())],
        descending: true,
        limit: Some(limit),
        after: page.cursor,
        ..Query::default()
    };
    let known = api.knows(&name).await?;
    let vault = vault_of(&api, &name).await?;
    let found = match vault.query(&query).await {
        Err(VaultError::Invalid(_)) if !newest => return Err(invalid_cursor()),
        found => found?,
    };
    let (mut notes, next_cursor) = (found.notes, found.next);
    if newest && notes.is_empty() && !known {
        return Err(api.no_agent(&channel));
    }
    notes.reverse();
    let turns = match newest {
        true => newest_turns(&api, &name, limit).await?,
        false => turns_of(&api, &*vault, &notes).await?,
    };
    if newest {
        add_by_turn(&mut notes, &turns, &*vault, limit as usize).await?;
    }
    let kept = kept_replies(&api, &notes, &turns).await?;
    let more = message_more::gather(&api, &*vault, &notes, &turns).await?;
    let messages = notes.iter().zip(more).map(|(note, more)| {
        let mut view = Message::of(note, &turns, more);
        if let Some(turn) = kept.get(note.id.as_str()).and_then(|note| turns.get(*note)) {
            view.add_kept(turn);
        }
        view
    });
    let messages = messages.collect();
    Ok(Json(MessageList { messages, next_cursor }))
}

/// Turns by the notes of their messages: as many as there can be messages.
async fn newest_turns(api: &Api, channel: &ChannelName, limit: u32) -> Result<HashMap<String, Turn>, ApiError> {
    // One that ends between the two looks is in both, and its end counts.
    let open = api.queue.open_turns(channel, limit).await?.into_iter();
    let all = open.chain(api.queue.settled(channel, limit).await?);
    Ok(all.map(|turn| (turn.message.note.clone(), turn)).collect())
}

/// The turns of these messages.
async fn turns_of(api: &Api, vault: &dyn Vault, notes: &[Note]) -> Result<HashMap<String, Turn>, ApiError> {
    let mut turns = HashMap::new();
    for note in notes.iter().filter(|note| !Outbound::is(note)) {
        if let Some(turn) = api.queue.turn_of(vault.name(), note.id.as_str()).await? {
            turns.insert(note.id.to_string(), turn);
        }
    }
    Ok(turns)
}

/// Messages whose turns have ended with something to say that is in the outbox and not in the vault.
async fn kept_replies<'a>(
    api: &Api,
    notes: &[Note],
    turns: &'a HashMap<String, Turn>,
) -> Result<HashSet<&'a str>, ApiError> {
    let told: HashSet<String> = notes
        .iter()
        .filter(|note| Outbound::is(note))
        .filter_map(|note| note.text("turn"))
        .collect();
    let mut kept = HashSet::new();
    for (note, turn) in turns {
        // One that joined another turn has its reply from that.
        let waits = turn.state.is_terminal() && turn.leader.is_none() && !told.contains(&turn.id.to_string());
        if waits && has_words(turn) && api.queue.left(turn.id).await? > 0 {
            kept.insert(note.as_str());
        }
    }
    Ok(kept)
}

/// Whether the turn's record holds an answer, or why there is none.
fn has_words(turn: &Turn) -> bool {
    let record = turn.record.as_ref();
    record.is_some_and(|record| {
        record["reply"].as_str().is_some_and(|reply| !reply.is_empty()) || record["failure"].is_object()
    })
}

/// Adds the messages that name the agent by the older key `channel`: the query does not find them, but their turns are known.
async fn add_by_turn(
    notes: &mut Vec<Note>,
    turns: &HashMap<String, Turn>,
    vault: &dyn Vault,
    limit: usize,
) -> Result<(), ApiError> {
    let found: HashSet<String> = notes.iter().map(|note| note.id.to_string()).collect();
    // A full page says nothing about what is older than it.
    let since = notes
        .first()
        .filter(|_| notes.len() >= limit)
        .map(|note| note.created_at);
    let missing = turns
        .values()
        .filter(|turn| !found.contains(&turn.message.note) && since.is_none_or(|since| turn.accepted_at >= since));
    for turn in missing {
        let Ok(id) = NoteId::new(turn.message.note.as_str()) else {
            continue;
        };
        notes.extend(vault.get(&Key::Id(id)).await?);
    }
    notes.sort_by_key(|note| note.created_at);
    notes.drain(..notes.len().saturating_sub(limit));
    Ok(())
}

/// Who wrote a message to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Direction {
    /// To the agent.
    Inbound,
    /// By the agent.
    Outbound,
}

/// A message of a transcript.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Message {
    /// Its note.
    id: String,
    text: String,
    direction: Direction,
    /// Who wrote it; empty when nobody said so.
    sender: String,
    /// When it was written, RFC 3339.
    at: String,
    /// The note of the message that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_reply_to: Option<String>,
    /// The turn that answers it, or that it is the answer of.
    #[serde(skip_serializing_if = "Option::is_none")]
    turn: Option<String>,
    /// What kind of answer it is, such as `failure`.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// Code of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// What to do about a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<String>,
    /// The conversation that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// The agent that gets the outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<String>,
    /// How its turn stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<TurnState>,
    /// Its turn has ended, and the vault has not taken the answer yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    undelivered: bool,
    /// When the turn of that answer ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    /// That answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<FailureRecord>)]
    error: Option<Value>,
    #[serde(flatten)]
    more: More,
}

/// The messages to an agent and its answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MessageList {
    /// Oldest first.
    messages: Vec<Message>,
    /// For `cursor`, to get those before; null when there are none.
    #[schema(required)]
    next_cursor: Option<String>,
}

impl Message {
    fn of(note: &Note, turns: &HashMap<String, Turn>, more: More) -> Self {
        let direction = match Outbound::is(note) {
            true => Direction::Outbound,
            false => Direction::Inbound,
        };
        let turn = turns.get(note.id.as_str()).filter(|_| direction == Direction::Inbound);
        Self {
            id: note.id.to_string(),
            text: note.content.clone(),
            direction,
            sender: note.text("sender").unwrap_or_default(),
            at: note.text("ts").unwrap_or_else(|| millis::format(note.created_at)),
            in_reply_to: note.text("in_reply_to"),
            turn: turn.map_or_else(|| note.text("turn"), |turn| Some(turn.id.to_string())),
            kind: note.text("kind"),
            code: note.text("code"),
            next_step: note.text("next_step"),
            subject: note.text("subject"),
            reply_to: note.text("reply_to"),
            state: turn.map(|turn| turn.state.into()),
            undelivered: false,
            ended_at: None,
            reply: None,
            error: None,
            more,
        }
    }

    /// Adds what the turn has to say to its message: the vault has no note of it yet.
    fn add_kept(&mut self, turn: &Turn) {
        self.undelivered = true;
        self.ended_at = turn.settled_at;
        let record = turn.record.as_ref();
        let words = |key: &str| {
            record
                .and_then(|record| record.get(key))
                .filter(|words| !words.is_null())
        };
        self.reply = words("reply").and_then(Value::as_str).map(str::to_owned);
        self.error = words("failure").cloned();
    }
}
