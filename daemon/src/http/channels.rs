//! Channels: sending to an agent, and what was said.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use axum::{Extension, Json};
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use reveille_queue::{ChannelName, QueueError, Turn};
use reveille_transports::{Incoming, Intake as _, Link, Refusal, Taken};
use reveille_vault::agent::{MessageMode, Outbound, tag};
use reveille_vault::note::millis;
use reveille_vault::{Key, Note, NoteId, Query, Vault};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::error::{ApiError, Body, Segment};
use super::pauses;
use super::turns::usd;
use super::wire::{Thread, TurnState};
use super::{Api, Caller};
use crate::limits::{DEPTH_MAX, TOO_DEEP};
use crate::record::FailureRecord;

/// Messages of a transcript unless asked otherwise, and at most.
const MESSAGES: u32 = 200;
const MESSAGES_MAX: u32 = 1000;

/// A message as its sender words it.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewMessage)]
pub(super) struct Send {
    /// What is to be done.
    pub(super) text: String,
    /// Who sends it. Only the operator chooses; `operator` when nothing is said.
    pub(super) sender: Option<String>,
    /// The conversation that it belongs to.
    pub(super) subject: Option<String>,
    /// The same by another name.
    pub(super) thread: Option<String>,
    /// What it does to the others of its conversation: `followup`, `collect` or `interrupt`.
    pub(super) mode: Option<String>,
    /// The agent that gets the outcome.
    pub(super) reply_to: Option<String>,
    /// Echoed to it.
    pub(super) correlation_id: Option<String>,
    /// Goes on with this chain. A turn cannot choose: its own counts.
    pub(super) chain_id: Option<String>,
    /// The claim on the message of an attached agent that this one hands on: it belongs to its chain, and is from that agent.
    pub(super) claim: Option<String>,
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

/// The sender's own identity of a message.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes what is read from the headers")]
pub(super) struct IdempotencyKey {
    /// The sender's own identity of this message. Sent again with the same key and the same message, nothing is stored again
    /// and the answer is the first one; with another message it is refused.
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<String>,
}

/// A message that is stored.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SentMessage)]
pub(super) struct Sent {
    ok: bool,
    /// Its note.
    id: String,
    vault: String,
    /// The turn that answers it; null when the queue has not got it yet, which it will.
    #[schema(required)]
    turn: Option<String>,
    /// Why the agent's messages wait, in a line; null when they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<Option<String>>,
}

impl Sent {
    /// What the sender of a message is told.
    pub(super) fn of(taken: &Taken) -> Self {
        Self {
            ok: true,
            id: taken.note.to_string(),
            vault: taken.vault.clone(),
            turn: taken.turn.clone(),
            paused: None,
        }
    }
}

/// Sends a message to an agent. It is durable when this is answered.
#[utoipa::path(
    post, path = "/api/channels/{channel}/send", operation_id = "sendMessage", tag = "channels",
    params(("channel" = String, Path, description = "The agent."), IdempotencyKey),
    request_body = Send,
    responses(
        (status = 200, description = "The message is stored.", body = Sent),
        (status = 404, description = "There is no such agent: `unknown_agent`."),
        (status = 409, description = "The key was used for another message, the agent's definition is broken, or the work was handed on too often: `idempotency_key_reused`, `broken_agent`, `delegation_too_deep`."),
        (status = 429, description = "The line is full: `queue_full`."),
    ),
)]
pub(super) async fn send(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Segment(channel): Segment,
    headers: HeaderMap,
    Body(send): Body<Send>,
) -> Result<Json<Sent>, ApiError> {
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
) -> Result<Sent, ApiError> {
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
    let taken = match (caller, some(send.claim)) {
        (Caller::Turn(_), _) | (_, None) => None,
        (_, Some(claim)) => Some(Caller::Turn(Arc::new(api.attached.origin(caller, &claim).await?))),
    };
    let (sender, link) = match taken.as_ref().unwrap_or(caller) {
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
    let taken = api.inbox.take(incoming).await;
    let mut sent = Sent::of(&taken.map_err(|refusal| told(refusal, caller))?);
    // Stored it is either way; the sender should not wonder why nothing happens.
    match pause_of(api, &name).await {
        Ok(pause) => sent.paused = Some(pause),
        Err(error) => tracing::warn!(%error, "it is not known whether the agent is paused"),
    }
    Ok(sent)
}

/// Who may only send is not told which agents there are.
fn told(refusal: Refusal, caller: &Caller) -> ApiError {
    match refusal {
        Refusal::UnknownAgent { agent, .. } if !caller.sees_agents() => {
            let message = format!("There is no agent {agent:?}");
            ApiError::new(StatusCode::NOT_FOUND, "unknown_agent", message).then("Nothing was sent. Correct the name.")
        }
        refusal => refusal.into(),
    }
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

fn too_deep() -> ApiError {
    let message = format!("This work was handed on {DEPTH_MAX} times in a row, which is the limit");
    ApiError::new(StatusCode::CONFLICT, TOO_DEEP, message).then(
        "Nothing was sent. Do what is left in this turn, or say in the answer what is missing: a person can send it anew.",
    )
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Limit {
    /// How many at most.
    #[param(minimum = 1, maximum = 1000)]
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

/// The messages to an agent and its answers, oldest first: the newest ones.
#[utoipa::path(
    get, path = "/api/channels/{channel}/messages", operation_id = "listMessages", tag = "channels",
    params(("channel" = String, Path, description = "The agent."), Limit),
    responses(
        (status = 200, description = "The messages: 200 when nothing is said, 1000 at most.", body = MessageList),
        (status = 404, description = "There is no such agent: `unknown_agent`."),
    ),
)]
pub(super) async fn messages(
    State(api): State<Api>,
    Segment(channel): Segment,
    limit: Result<Parameters<Limit>, QueryRejection>,
) -> Result<Json<MessageList>, ApiError> {
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
    let messages = notes.iter().map(|note| {
        let mut view = Message::of(note, &turns);
        if let Some(turn) = kept.get(note.id.as_str()).and_then(|note| turns.get(*note)) {
            view.add_kept(turn);
        }
        view
    });
    let messages = messages.collect();
    Ok(Json(MessageList { messages }))
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
}

/// The messages to an agent and its answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MessageList {
    messages: Vec<Message>,
}

impl Message {
    fn of(note: &Note, turns: &HashMap<String, Turn>) -> Self {
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

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Conversation {
    thread: Uuid,
    key: Thread,
    /// Settled turns.
    turns: u64,
    /// The session that its next turn goes on with.
    #[schema(required)]
    session: Option<Uuid>,
    /// When its first turn began.
    #[schema(required)]
    started_at: Option<Timestamp>,
    cost_usd: f64,
}

/// Conversations of an agent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ThreadList {
    threads: Vec<Conversation>,
}

/// The conversations of an agent, oldest first.
#[utoipa::path(
    get, path = "/api/channels/{channel}/threads", operation_id = "listThreads", tag = "channels",
    params(("channel" = String, Path, description = "The agent.")),
    responses(
        (status = 200, description = "The conversations.", body = ThreadList),
        (status = 404, description = "There is no such agent: `unknown_agent`."),
    ),
)]
pub(super) async fn threads(State(api): State<Api>, Segment(channel): Segment) -> Result<Json<ThreadList>, ApiError> {
    let conversations = api.queue.conversations(&channel_name(&channel)?).await?;
    if conversations.is_empty() && api.registry.get(&channel).is_none() {
        return Err(api.no_agent(&channel));
    }
    let threads = conversations.into_iter().map(|one| Conversation {
        thread: one.id,
        key: one.lane.thread.into(),
        turns: one.turns,
        session: one.session.map(|(id, _)| id),
        started_at: one.started_at,
        cost_usd: usd(one.spend.nano_usd),
    });
    let threads = threads.collect();
    Ok(Json(ThreadList { threads }))
}
