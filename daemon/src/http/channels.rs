//! Channels: sending to an agent, and its conversations.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use axum::{Extension, Json};
use http::{HeaderMap, HeaderValue, StatusCode};
use reveille_queue::{ChannelName, QueueError};
use reveille_transports::{Incoming, Link, Refusal, Taken};
use reveille_vault::agent::MessageMode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::error::{ApiError, Body, Segment};
use super::pauses;
use super::threads::{Conversation, views};
use super::turns::invalid_cursor;
use super::{Api, Caller, ui_send};
use crate::delegation::Origin;
use crate::limits::{DEPTH_MAX, TOO_DEEP};
use crate::traces::TraceParent;

/// Conversations of a page at most.
const THREADS_MAX: u32 = 1000;

/// A message as its sender words it.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewMessage, example = json!({ "text": "Look at this.", "subject": "order 17" }))]
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

/// The trace that a message is a part of.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes what is read from the headers")]
pub(super) struct TraceHeader {
    /// The trace and the span of the sender, as W3C Trace Context has them: what the message leads to is a part of that trace.
    /// One that cannot be read counts for nothing.
    #[param(
        rename = "traceparent",
        example = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    )]
    traceparent: Option<String>,
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
    /// How many sessions got it, on an http-ui channel without an agent: then it is kept nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<usize>,
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
            told: None,
            paused: None,
        }
    }

    /// Of a message that was pushed to so many sessions.
    pub(super) fn pushed(told: usize) -> Self {
        Self {
            ok: true,
            id: Uuid::new_v4().to_string(),
            vault: String::new(),
            turn: None,
            told: Some(told),
            paused: None,
        }
    }
}

/// Sends a message to an agent. It is durable when this is answered.
#[utoipa::path(
    post, path = "/api/channels/{channel}/send", operation_id = "sendMessage", tag = "channels",
    params(("channel" = String, Path, description = "The agent."), IdempotencyKey, TraceHeader),
    request_body = Send,
    responses(
        (status = 200, description = "The message is stored.", body = Sent),
        (status = 403, description = "A turn sends to an agent of another vault: `other_vault`."),
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
    // silent-ok: what cannot be read counts for nothing, as its recommendation wants it
    let parent = headers
        .get("traceparent")
        .and_then(|value| TraceParent::parse(value.to_str().ok()?));
    if api.bridges.ui(&channel).is_some() {
        return ui_send::send(&api, &caller, channel, send, (key, parent)).await;
    }
    let sent = deliver(&api, &caller, (channel, BTreeMap::new()), send, (key, parent)).await?;
    Ok(Json(sent))
}

/// Stores a message of a caller for an agent, with where it came from; what the caller is told. The one road for all doors. With
/// the sender's own identity of the message, and the trace that it is to be a part of.
pub(super) async fn deliver(
    api: &Api,
    caller: &Caller,
    (channel, origin): (String, BTreeMap<String, String>),
    send: Send,
    (key, parent): (Option<&str>, Option<TraceParent>),
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
    if let Caller::Turn(origin) = caller
        && !api.workers.context().limits.across_vaults
    {
        for name in std::iter::once(&channel).chain(&reply_to) {
            within_vault(api, origin, name)?;
        }
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
        origin,
    };
    let name = incoming.agent.clone();
    let taken = api.inbox.take_traced(incoming, parent).await;
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

/// A vault is a border, also for agents: what stands in a shared one could otherwise set those of another to work.
fn within_vault(api: &Api, origin: &Origin, agent: &str) -> Result<(), ApiError> {
    let Some(home) = api.registry.home(agent).filter(|home| *home != origin.vault) else {
        return Ok(());
    };
    let message = format!(
        "The agent {agent:?} lives in the vault {home:?}, and a turn in the vault {:?} does not wake agents of another one",
        origin.vault
    );
    Err(ApiError::new(StatusCode::FORBIDDEN, "other_vault", message).then(
        "Nothing was sent. Say in the answer what is to be done there: a person can send it. To allow it for all agents, the \
         operator sets `across_vaults = true` under [limits].",
    ))
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

/// Conversations of an agent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ThreadList {
    threads: Vec<Conversation>,
    /// For `cursor`; null on the last page.
    #[schema(required)]
    next_cursor: Option<Uuid>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ThreadPage {
    /// How many at most.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The conversations of an agent, oldest first.
#[utoipa::path(
    get, path = "/api/channels/{channel}/threads", operation_id = "listThreads", tag = "channels",
    params(("channel" = String, Path, description = "The agent."), ThreadPage),
    responses(
        (status = 200, description = "The conversations; all of them unless a limit is given.", body = ThreadList),
        (status = 404, description = "There is no such agent: `unknown_agent`."),
    ),
)]
pub(super) async fn threads(
    State(api): State<Api>,
    Segment(channel): Segment,
    page: Result<Parameters<ThreadPage>, QueryRejection>,
) -> Result<Json<ThreadList>, ApiError> {
    let Parameters(page) =
        page.map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", error.body_text()))?;
    let name = channel_name(&channel)?;
    let after = match &page.cursor {
        Some(cursor) => Some(cursor.parse::<Uuid>().map_err(|_| invalid_cursor())?),
        None => None,
    };
    let limit = page.limit.map(|limit| limit.clamp(1, THREADS_MAX));
    let asked = limit.map_or(u32::MAX, |limit| limit + 1);
    let found = api.queue.some_conversations(&name, after, asked).await?;
    let mut conversations = match found {
        Some(found) => found,
        None if !api.knows(&name).await? => {
            return Err(api.no_agent(&channel));
        }
        None => return Err(invalid_cursor()),
    };
    if conversations.is_empty() && after.is_none() && api.registry.get(&channel).is_none() {
        return Err(api.no_agent(&channel));
    }
    let limit = limit.map_or(usize::MAX, |limit| limit as usize);
    let more = conversations.len() > limit;
    conversations.truncate(limit);
    let next_cursor = conversations.last().filter(|_| more).map(|last| last.id);
    let ids: Vec<Uuid> = conversations.iter().map(|one| one.id).collect();
    let places: HashMap<Uuid, usize> = ids.iter().copied().zip(0..).collect();
    let mut listed = api.queue.listed(ids).await?;
    listed.sort_by_key(|one| places.get(&one.conversation.id).copied());
    let threads = views(&api, listed).await;
    Ok(Json(ThreadList { threads, next_cursor }))
}
