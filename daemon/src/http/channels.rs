//! Channels: sending to an agent, and what was said.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use axum::{Extension, Json};
use http::{HeaderMap, HeaderValue, StatusCode};
use reveille_queue::{ChannelName, QueueError, Turn};
use reveille_transports::{Incoming, Intake as _, Link, Refusal, Taken};
use reveille_vault::agent::{MessageMode, Outbound, tag};
use reveille_vault::note::millis;
use reveille_vault::{Key, Note, NoteId, Query, Vault};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{ApiError, Body, Segment};
use super::pauses;
use super::turns::usd;
use super::{Api, Caller};
use crate::limits::{DEPTH_MAX, TOO_DEEP};

/// Messages of a transcript unless asked otherwise, and at most.
const MESSAGES: u32 = 200;
const MESSAGES_MAX: u32 = 1000;

/// A message as its sender words it.
#[derive(Deserialize)]
pub(super) struct Send {
    pub(super) text: String,
    pub(super) sender: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) thread: Option<String>,
    pub(super) mode: Option<String>,
    pub(super) reply_to: Option<String>,
    pub(super) correlation_id: Option<String>,
    /// Goes on with this chain. A turn cannot choose: its own counts.
    pub(super) chain_id: Option<String>,
    /// Paths of files that were uploaded to the agent's vault.
    pub(super) attachments: Option<Vec<String>>,
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::UnknownAgent { .. } => Self::new(StatusCode::NOT_FOUND, "unknown_agent", message)
                .then("Nothing was sent. Make the agent with `reveille agent new`, or correct the name."),
            Refusal::BrokenAgent { .. } => Self::new(StatusCode::CONFLICT, "broken_agent", message)
                .then("Nothing was sent. Correct the agent's definition note, then send it again."),
            Refusal::Blank => {
                Self::new(StatusCode::BAD_REQUEST, "blank_text", message).then("Write what you want done.")
            }
            Refusal::KeyReused => Self::new(StatusCode::CONFLICT, "idempotency_key_reused", message)
                .then("Nothing was sent. Take a fresh key for a new message."),
            Refusal::Full { .. } => Self::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message).then(
                "Nothing was stored. Send it again later, cancel what is not needed (`reveille queue list`), or raise `[queue] max_waiting`.",
            ),
            Refusal::Invalid(_) => Self::new(StatusCode::BAD_REQUEST, "invalid_message", message),
            Refusal::Unavailable(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "vault_unavailable", message)
                .then("Nothing was stored. Try again, and see `reveille doctor`."),
            Refusal::Unknown(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "outcome_unknown", message).then(
                "Look at the agent's messages before you send it again; with the same Idempotency-Key it is safe to send it again at once.",
            ),
        }
    }
}

fn message_mode(word: Option<String>) -> Result<Option<String>, ApiError> {
    match word.as_deref().map(MessageMode::parse) {
        Some(None) => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "invalid_message",
            "The mode of a message is one of: followup, collect, interrupt.",
        )
        .then("Nothing was sent. Correct it and send it again.")),
        _ => Ok(word),
    }
}

/// `POST /api/channels/{channel}/send`
pub(super) async fn send(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Segment(channel): Segment,
    headers: HeaderMap,
    Body(send): Body<Send>,
) -> Result<Json<Value>, ApiError> {
    let key = idempotency_key(&headers)?;
    Ok(Json(deliver(&api, &caller, channel, send, key).await?))
}

/// Stores a message of a caller for an agent; what the caller is told. The one road for all doors.
pub(super) async fn deliver(
    api: &Api,
    caller: &Caller,
    channel: String,
    send: Send,
    key: Option<&str>,
) -> Result<Value, ApiError> {
    let some = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let reply_to = some(send.reply_to);
    if let Caller::Turn(origin) = caller
        && origin.defines_agents
        && let Some(vault) = api.vaults.get(&origin.vault)
        && api.registry.get(&channel).is_none()
    {
        // It has perhaps just written the definition. When that is not taken in time, the agent is not known.
        api.inbox.caught_up(&*vault).await;
    }
    if let Some(requester) = reply_to.as_ref().filter(|name| api.registry.get(name).is_none()) {
        let mut refusal = api.no_agent(requester);
        if refusal.status == StatusCode::NOT_FOUND {
            refusal.message = format!("reply_to names {requester:?}, but there is no such agent.");
            refusal = refusal.then("Nothing was sent. Correct the name.");
        }
        return Err(refusal);
    }
    let (sender, link) = match caller {
        Caller::Operator => {
            let link = some(send.chain_id).map(|chain| Link {
                chain,
                depth: 0,
                turn: None,
            });
            (some(send.sender).unwrap_or_else(|| "operator".into()), link)
        }
        Caller::Turn(origin) if origin.is_exhausted() => return Err(too_deep()),
        Caller::Turn(origin) => (origin.sender(), Some(origin.link())),
        // Whoever holds it does not pass for somebody else.
        Caller::Token(grant) => (format!("token:{}", grant.id), None),
    };
    let incoming = Incoming {
        agent: channel,
        text: send.text,
        sender,
        subject: some(send.subject).or_else(|| some(send.thread)),
        mode: message_mode(some(send.mode))?,
        reply_to,
        correlation_id: some(send.correlation_id),
        attachments: send.attachments.unwrap_or_default(),
        idempotency_key: key.map(str::to_owned),
        link,
    };
    let name = incoming.agent.clone();
    let Json(mut told) = answer(&api.inbox.take(incoming).await?);
    // Stored it is either way; the sender should not wonder why nothing happens.
    match pause_of(api, &name).await {
        Ok(pause) => told["paused"] = json!(pause),
        Err(error) => tracing::warn!(%error, "it is not known whether the agent is paused"),
    }
    Ok(told)
}

/// Why an agent's messages wait, in a line.
async fn pause_of(api: &Api, name: &str) -> Result<Option<String>, QueueError> {
    let pauses = api.queue.pauses().await?;
    let own = pauses.iter().find(|(channel, _)| channel.as_str() == name);
    let agent = api.registry.get(name);
    let definition = agent.as_ref().map(|agent| &*agent.definition);
    Ok(pauses::of(definition, own.map(|(_, pause)| pause)).map(|paused| paused.detail()))
}

/// The sender's own identity of a message.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let key = headers.get("idempotency-key").map(HeaderValue::to_str).transpose();
    key.map_err(|_| Refusal::Invalid("the Idempotency-Key is no plain text".into()))
}

/// What the sender of a message is told.
pub(super) fn answer(taken: &Taken) -> Json<Value> {
    Json(json!({ "ok": true, "id": taken.note, "vault": taken.vault, "turn": taken.turn }))
}

fn too_deep() -> ApiError {
    let message = format!("This work was handed on {DEPTH_MAX} times in a row, which is the limit");
    ApiError::new(StatusCode::CONFLICT, TOO_DEEP, message).then(
        "Nothing was sent. Do what is left in this turn, or say in the answer what is missing: a person can send it anew.",
    )
}

#[derive(Deserialize)]
pub(super) struct Limit {
    limit: Option<u32>,
}

/// The asked limit, within what is allowed.
pub(super) fn limit_of(
    limit: Result<Parameters<Limit>, QueryRejection>,
    usual: u32,
    most: u32,
) -> Result<u32, ApiError> {
    let Parameters(Limit { limit }) =
        limit.map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", error.body_text()))?;
    Ok(limit.unwrap_or(usual).clamp(1, most))
}

pub(super) fn channel_name(text: &str) -> Result<ChannelName, ApiError> {
    text.parse().map_err(|_| ApiError::unknown_agent(text))
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

/// `GET /api/channels/{channel}/messages`
pub(super) async fn messages(
    State(api): State<Api>,
    Segment(channel): Segment,
    limit: Result<Parameters<Limit>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let name = channel_name(&channel)?;
    let limit = limit_of(limit, MESSAGES, MESSAGES_MAX)?;
    let query = Query {
        tags: vec![tag::MESSAGE.into(), tag::INBOUND.into(), tag::OUTBOUND.into()],
        exact_tags: true,
        metadata: vec![("agent".into(), channel.clone())],
        descending: true,
        limit: Some(limit),
        ..Query::default()
    };
    let vault = vault_of(&api, &name).await?;
    let mut notes = vault.query(&query).await?.notes;
    if notes.is_empty() && api.registry.get(&channel).is_none() && api.queue.conversations(&name).await?.is_empty() {
        return Err(api.no_agent(&channel));
    }
    notes.reverse();
    let mut turns = HashMap::new();
    for turn in api
        .queue
        .settled(&name, limit)
        .await?
        .into_iter()
        .chain(api.queue.open_turns(&name, limit).await?)
    {
        turns.insert(turn.message.note.clone(), turn);
    }
    add_by_turn(&mut notes, &turns, &*vault, limit as usize).await?;
    let kept = kept_replies(&api, &notes, &turns).await?;
    let messages: Vec<Value> = notes
        .iter()
        .map(|note| {
            let mut view = message(note, &turns);
            if let Some(turn) = kept.get(note.id.as_str()).and_then(|note| turns.get(*note)) {
                add_kept(&mut view, turn);
            }
            view
        })
        .collect();
    Ok(Json(json!({ "messages": messages })))
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

/// Adds what the turn has to say to its message: the vault has no note of it yet.
fn add_kept(view: &mut Value, turn: &Turn) {
    view["undelivered"] = true.into();
    view["ended_at"] = json!(turn.settled_at);
    let record = turn.record.as_ref();
    for (key, named) in [("reply", "reply"), ("failure", "error")] {
        if let Some(words) = record
            .and_then(|record| record.get(key))
            .filter(|words| !words.is_null())
        {
            view[named] = words.clone();
        }
    }
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

fn message(note: &Note, turns: &HashMap<String, Turn>) -> Value {
    let outbound = Outbound::is(note);
    let at = note.text("ts").unwrap_or_else(|| millis::format(note.created_at));
    let mut view = json!({
        "id": note.id,
        "text": note.content,
        "direction": if outbound { "outbound" } else { "inbound" },
        "sender": note.text("sender").unwrap_or_default(),
        "at": at,
    });
    for key in [
        "in_reply_to",
        "turn",
        "kind",
        "code",
        "next_step",
        "subject",
        "reply_to",
    ] {
        if let Some(text) = note.text(key) {
            view[key] = text.into();
        }
    }
    if !outbound && let Some(turn) = turns.get(note.id.as_str()) {
        view["turn"] = json!(turn.id);
        view["state"] = json!(turn.state);
    }
    view
}

/// `GET /api/channels/{channel}/threads`
pub(super) async fn threads(State(api): State<Api>, Segment(channel): Segment) -> Result<Json<Value>, ApiError> {
    let conversations = api.queue.conversations(&channel_name(&channel)?).await?;
    if conversations.is_empty() && api.registry.get(&channel).is_none() {
        return Err(api.no_agent(&channel));
    }
    let threads: Vec<Value> = conversations
        .iter()
        .map(|one| {
            json!({
                "thread": one.id,
                "key": one.lane.thread,
                "turns": one.turns,
                "session": one.session.as_ref().map(|(id, _)| id),
                "started_at": one.started_at,
                "cost_usd": usd(one.spend.nano_usd),
            })
        })
        .collect();
    Ok(Json(json!({ "threads": threads })))
}
