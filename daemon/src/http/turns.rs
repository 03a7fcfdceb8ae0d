//! Turns: how they stand, and stopping them.

use std::collections::HashSet;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use axum::{Extension, Json};
use http::StatusCode;
use jiff::Timestamp;
use reveille_queue::{ChannelName, Spend, State as Standing, ThreadKey, Turn};
use reveille_vault::agent::Inbound;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::channels::channel_name;
use super::error::{ApiError, Segment};
use super::turn_links::{Child, Parent, children, duration_ms, parent};
use super::wire::{Mode, TurnState};
use super::{Api, Caller};
use crate::inbox::shown;
use crate::record::{FailureRecord, TurnRecord};
use crate::sandboxing::Refused;
use crate::worker::{BEGINS_POLL, BEGINS_WITHIN};

/// Turns of a listing unless asked otherwise, and at most.
const TURNS: u32 = 50;
const TURNS_MAX: u32 = 1000;
/// Characters of a message that a listing shows.
const BRIEF_CHARS: usize = 500;
/// Fewest digits that call a turn.
const PART_MIN: usize = 6;

/// US dollars of a sum kept in billionths.
#[expect(
    clippy::cast_precision_loss,
    reason = "for display; the exact number is kept in billionths"
)]
pub(super) fn usd(nano_usd: u64) -> f64 {
    nano_usd as f64 / 1e9
}

/// What a turn took.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TurnUsage)]
pub(super) struct Usage {
    /// Cache not counted.
    input_tokens: u64,
    output_tokens: u64,
    cache_read_tokens: u64,
    cache_write_tokens: u64,
}

impl From<Spend> for Usage {
    fn from(spend: Spend) -> Self {
        Self {
            input_tokens: spend.input_tokens,
            output_tokens: spend.output_tokens,
            cache_read_tokens: spend.cache_read_tokens,
            cache_write_tokens: spend.cache_write_tokens,
        }
    }
}

/// A turn as listings show it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Turn)]
pub(super) struct Brief {
    turn: Uuid,
    channel: String,
    /// Its conversation.
    thread: Uuid,
    /// What the conversation is called, when it has a name.
    #[schema(required)]
    subject: Option<String>,
    vault: String,
    /// The note of its message.
    message: String,
    /// What the message says; a listing has its beginning. Null when it cannot be read.
    #[schema(required)]
    text: Option<String>,
    /// Who wrote it.
    #[schema(required)]
    sender: Option<String>,
    state: TurnState,
    /// A person holds it back.
    held: bool,
    mode: Mode,
    /// The turn that its message became a part of.
    #[schema(required)]
    part_of: Option<Uuid>,
    /// The first message of all that led here.
    chain: String,
    /// How often the work was handed on before.
    #[schema(required)]
    delegation_depth: Option<u32>,
    /// How often it was begun and cut off.
    interruptions: u32,
    accepted_at: Timestamp,
    #[schema(required)]
    claimed_at: Option<Timestamp>,
    /// Who has taken it from outside.
    #[schema(required)]
    claimed_by: Option<String>,
    /// When that ends unless it is renewed.
    #[schema(required)]
    claim_ends_at: Option<Timestamp>,
    #[schema(required)]
    settled_at: Option<Timestamp>,
    cost_usd: f64,
    usage: Usage,
    /// From its last claim to its end.
    #[schema(required)]
    duration_ms: Option<u64>,
    /// The model of its conversation.
    #[schema(required)]
    model: Option<String>,
    /// The turn that handed this work on.
    #[schema(required)]
    delegated_by: Option<Parent>,
    /// What it has handed on itself. In answers to changes of the line there is nothing.
    pub(super) children: Vec<Child>,
    /// What a person should know, such as a lost session.
    #[serde(skip_serializing_if = "Option::is_none")]
    notices: Option<Vec<String>>,
    /// What it has tried to reach through the daemon, which counts this where the agent has a network of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    egress: Option<Vec<Refused>>,
    /// Who ended it before its turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<String>,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<FailureRecord>,
    /// Turns that go before it in its conversation, in answers about the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) position: Option<usize>,
}

/// What a listing tells of a turn. One that cannot be read is listed all the same: it has to be possible to get rid of it.
pub(super) fn brief(turn: &Turn) -> Brief {
    // silent-ok: the turn itself says what is unreadable
    let message = serde_json::from_value::<Inbound>(turn.message.body.clone()).ok();
    let lane = &turn.message.lane;
    let subject = match &lane.thread {
        ThreadKey::Subject(subject) => Some(subject.clone()),
        ThreadKey::Main | ThreadKey::Single(_) => None,
    };
    let record = turn.record.clone().map(serde_json::from_value::<TurnRecord>);
    let record = record.and_then(Result::ok); // silent-ok: the same
    let model = record.as_ref().and_then(|record| record.models.first().cloned());
    let (notices, ended_by, error) = record.map_or((None, None, None), |record| {
        (Some(record.told()), record.ended_by, record.failure)
    });
    Brief {
        turn: turn.id,
        channel: lane.channel.to_string(),
        thread: turn.conversation,
        subject,
        vault: turn.message.vault.clone(),
        message: turn.message.note.clone(),
        text: message.as_ref().map(|message| shown(&message.text, BRIEF_CHARS)),
        sender: message.as_ref().map(|message| message.sender.clone()),
        state: turn.state.into(),
        held: turn.held,
        mode: turn.message.mode.into(),
        part_of: turn.leader,
        chain: turn.message.chain.clone(),
        delegation_depth: message.as_ref().map(|message| message.delegation_depth),
        interruptions: turn.interruptions,
        accepted_at: turn.accepted_at,
        claimed_at: turn.claimed_at,
        claimed_by: turn.claimed_by.clone(),
        claim_ends_at: turn.claim_ends,
        settled_at: turn.settled_at,
        cost_usd: usd(turn.spend.nano_usd),
        usage: turn.spend.into(),
        duration_ms: duration_ms(turn),
        model,
        delegated_by: message.as_ref().and_then(parent),
        children: Vec::new(),
        notices,
        egress: None,
        ended_by,
        error,
        position: None,
    }
}

/// A turn with everything that is kept of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TurnDetail {
    #[serde(flatten)]
    brief: Brief,
    /// The session that it ran in.
    #[schema(required)]
    session: Option<String>,
    /// The models that it used.
    models: Vec<String>,
    /// The note of its answer.
    #[schema(required)]
    note: Option<String>,
    /// The answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<String>,
    /// It has something left to do that the vault has not taken yet.
    undelivered: bool,
}

impl TurnDetail {
    pub(super) fn of(turn: &Turn, undelivered: bool) -> Result<Self, ApiError> {
        let unreadable = |error: serde_json::Error| {
            ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "unreadable_turn",
                format!("The stored turn is unreadable: {error}."),
            )
        };
        let message: Inbound = serde_json::from_value(turn.message.body.clone()).map_err(unreadable)?;
        let record: TurnRecord = match &turn.record {
            Some(record) => serde_json::from_value(record.clone()).map_err(unreadable)?,
            None => TurnRecord::default(),
        };
        Ok(Self {
            brief: Brief {
                text: Some(message.text),
                notices: Some(record.told()),
                egress: Some(record.egress).filter(|all| !all.is_empty()),
                ..brief(turn)
            },
            session: record.session,
            models: record.models,
            note: record.note,
            reply: record.reply,
            undelivered,
        })
    }
}

pub(super) fn unknown(turn: &str) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "unknown_turn",
        format!("There is no turn {turn:?}."),
    )
    .then("List the turns with `reveille turn list`, and those in line with `reveille queue list`.")
}

/// A turn by its identity, or by the beginning or end of it where only one is called so.
pub(super) async fn find(api: &Api, turn: &str) -> Result<Turn, ApiError> {
    let id = match turn.parse::<Uuid>() {
        Ok(id) => id,
        Err(_) => called(api, turn).await?,
    };
    api.queue.turn(id).await?.ok_or_else(|| unknown(turn))
}

async fn called(api: &Api, turn: &str) -> Result<Uuid, ApiError> {
    let digits = turn.replace('-', "");
    if digits.len() < PART_MIN {
        return Err(unknown(turn));
    }
    match api.queue.turns_called(&digits, 2).await?.as_slice() {
        [] => Err(unknown(turn)),
        [one] => Ok(*one),
        _ => {
            let message = format!("More than one turn begins or ends with {turn:?}; nothing was done.");
            Err(ApiError::new(StatusCode::CONFLICT, "ambiguous_turn", message)
                .then("Give more of its identity; the last digits tell turns apart best."))
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// The agent.
    channel: Option<String>,
    /// The chain of hand-overs.
    chain: Option<String>,
    /// The conversation.
    thread: Option<Uuid>,
    /// Only those.
    state: Option<TurnState>,
    /// How many at most; 50 when nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Turns of an agent, a chain or a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TurnList {
    turns: Vec<Brief>,
    /// For `cursor`; null on the last page. A page can be short or empty and not the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Where a page of turns begins, as text `open:TURN`, `settled:TURN` or `all:TURN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cursor {
    /// Behind this one of the open turns.
    Open(Uuid),
    /// Behind this one of the ended turns.
    Settled(Uuid),
    /// Behind this one of all.
    All(Uuid),
}

impl Cursor {
    /// Behind a turn that was shown as it is here.
    fn behind(turn: &Turn) -> Self {
        match turn.settled_at {
            None => Self::Open(turn.id),
            Some(_) => Self::Settled(turn.id),
        }
    }

    fn parse(text: &str) -> Result<Self, ApiError> {
        let parts = text.split_once(':').and_then(|(kind, id)| match kind {
            "open" => Uuid::try_parse(id).ok().map(Self::Open), // silent-ok: told below
            "settled" => Uuid::try_parse(id).ok().map(Self::Settled), // silent-ok: the same
            "all" => Uuid::try_parse(id).ok().map(Self::All),   // silent-ok: the same
            _ => None,
        });
        parts.ok_or_else(invalid_cursor)
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open(turn) => write!(f, "open:{turn}"),
            Self::Settled(turn) => write!(f, "settled:{turn}"),
            Self::All(turn) => write!(f, "all:{turn}"),
        }
    }
}

/// A cursor that no page has given.
pub(super) fn invalid_cursor() -> ApiError {
    let message = "The cursor is none that a page of this listing has given.";
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_cursor", message)
        .then("Begin again without one, then take each as it is given.")
}

/// So many turns of a channel behind a place. One that was open and is not any more: the open ones from the beginning, so
/// that some come twice and none is left out.
async fn turns_behind(
    api: &Api,
    channel: &ChannelName,
    cursor: Option<Cursor>,
    most: u32,
) -> Result<Vec<Turn>, ApiError> {
    match cursor {
        Some(Cursor::Settled(last)) => return Ok(api.queue.settled_before(channel, last, most).await?),
        Some(Cursor::All(_)) => return Err(invalid_cursor()),
        Some(Cursor::Open(_)) | None => {}
    }
    let mut turns = api.queue.open_turns(channel, u32::MAX).await?;
    if let Some(Cursor::Open(last)) = cursor
        && let Some(at) = turns.iter().position(|turn| turn.id == last)
    {
        turns.drain(..=at);
    }
    if turns.len() < most as usize {
        // Those that have ended between the two looks are in both.
        let ended = api.queue.settled(channel, most).await?;
        let ids: HashSet<Uuid> = ended.iter().map(|turn| turn.id).collect();
        turns.retain(|turn| !ids.contains(&turn.id));
        turns.extend(ended);
    }
    turns.truncate(most as usize);
    Ok(turns)
}

/// Turns of a chain in the order in which their messages came, or of a conversation, the newest first.
async fn turns_of(api: &Api, which: &Which, cursor: Option<Cursor>, most: u32) -> Result<Vec<Turn>, ApiError> {
    let behind = match cursor {
        None => None,
        Some(Cursor::All(turn)) => Some(turn),
        Some(_) => return Err(invalid_cursor()),
    };
    Ok(match (&which.chain, which.thread) {
        (Some(chain), _) => api.queue.chain(chain, behind, most).await?,
        (None, Some(thread)) => api.queue.turns_in(thread, behind, most).await?,
        (None, None) => Vec::new(),
    })
}

/// Turns as they are listed, each with what it has led to.
pub(super) async fn with_children(api: &Api, mut briefs: Vec<Brief>) -> Result<Vec<Brief>, ApiError> {
    let mut all = children(api, briefs.iter().map(|brief| brief.chain.clone())).await?;
    for brief in &mut briefs {
        brief.children = all.remove(&brief.turn).unwrap_or_default();
    }
    Ok(briefs)
}

/// Turns of an agent, of a chain of hand-overs or of a conversation: one of the three is to be named.
///
/// Of an agent the open ones in their order, then the ended ones, newest first; of a chain in the order in which their messages
/// came; of a conversation the newest first.
#[utoipa::path(
    get, path = "/api/turns", operation_id = "listTurns", tag = "turns", params(Which),
    responses(
        (status = 200, description = "The turns.", body = TurnList),
        (status = 404, description = "There is no such agent: `unknown_agent`."),
    ),
)]
pub(super) async fn list(
    State(api): State<Api>,
    which: Result<Parameters<Which>, QueryRejection>,
) -> Result<Json<TurnList>, ApiError> {
    let Parameters(which) =
        which.map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", error.body_text()))?;
    let channel = which.channel.as_deref().map(channel_name).transpose()?;
    let limit = which.limit.unwrap_or(TURNS).clamp(1, TURNS_MAX);
    let cursor = which.cursor.as_deref().map(Cursor::parse).transpose()?;
    // The queue knows no states: enough is taken to find some of the asked one.
    let taken = which.state.map_or(limit, |_| TURNS_MAX);
    let narrowed = which.chain.is_some() || which.thread.is_some();
    let taken = if narrowed { TURNS_MAX } else { taken };
    let known = match &channel {
        Some(channel) => api.knows(channel).await?,
        None => true,
    };
    let found = match &channel {
        _ if narrowed => turns_of(&api, &which, cursor, taken).await?,
        Some(channel) => turns_behind(&api, channel, cursor, taken).await?,
        None => {
            let message = "Name the agent, the chain or the conversation whose turns you want.";
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", message)
                .then("Add ?channel=…, ?chain=… or ?thread=…."));
        }
    };
    if let Some(channel) = &channel
        && found.is_empty()
        && !known
    {
        return Err(api.no_agent(channel.as_str()));
    }
    let is_asked = |turn: &&Turn| {
        which.state.is_none_or(|state| TurnState::from(turn.state) == state)
            && which.thread.is_none_or(|thread| turn.conversation == thread)
            && channel.as_ref().is_none_or(|name| turn.message.lane.channel == *name)
    };
    let shown: Vec<&Turn> = found.iter().filter(is_asked).take(limit as usize).collect();
    let last = match shown.len() < limit as usize {
        // All that were found are looked through.
        true => found.last().filter(|_| found.len() >= taken as usize),
        false => shown.last().copied(),
    };
    let next_cursor = last.map(|turn| match narrowed {
        true => Cursor::All(turn.id).to_string(),
        false => Cursor::behind(turn).to_string(),
    });
    let turns = with_children(&api, shown.into_iter().map(brief).collect()).await?;
    Ok(Json(TurnList { turns, next_cursor }))
}

/// A turn with its answer and what it took.
#[utoipa::path(
    get, path = "/api/turns/{turn}", operation_id = "getTurn", tag = "turns",
    params(("turn" = String, Path, description = "The turn: its identity, or six digits and more of its beginning or end.")),
    responses(
        (status = 200, description = "The turn.", body = TurnDetail),
        (status = 404, description = "There is no such turn: `unknown_turn`."),
        (status = 409, description = "Several turns are called so: `ambiguous_turn`."),
    ),
)]
pub(super) async fn show(State(api): State<Api>, Segment(turn): Segment) -> Result<Json<TurnDetail>, ApiError> {
    let found = find(&api, &turn).await?;
    // What it has left to do and the vault has not taken yet; one that joined another turn has its reply from that.
    let left = api.queue.left(found.leader.unwrap_or(found.id)).await?;
    let mut detail = TurnDetail::of(&found, left > 0)?;
    let mut all = children(&api, [found.message.chain.clone()]).await?;
    detail.brief.children = all.remove(&found.id).unwrap_or_default();
    Ok(Json(detail))
}

/// That a turn is going to end.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TurnStopping)]
pub(super) struct Stopping {
    stopping: bool,
}

/// Stops a turn that runs. What it has done so far stays done.
#[utoipa::path(
    post, path = "/api/turns/{turn}/stop", operation_id = "stopTurn", tag = "turns",
    params(("turn" = String, Path, description = "The turn: its identity, or six digits and more of its beginning or end.")),
    responses(
        (status = 200, description = "It is being stopped.", body = Stopping),
        (status = 404, description = "There is no such turn: `unknown_turn`."),
        (status = 409, description = "It does not run, or several are called so: `not_running`, `ambiguous_turn`."),
    ),
)]
pub(super) async fn stop(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Segment(turn): Segment,
) -> Result<Json<Stopping>, ApiError> {
    let mut found = find(&api, &turn).await?;
    let until = Instant::now() + BEGINS_WITHIN;
    loop {
        // A settled turn is still at work for a moment, until the vault has its reply: too late to stop it.
        if !found.state.is_terminal() && api.workers.stop(found.id) {
            return Ok(Json(Stopping { stopping: true }));
        }
        if api.attached.stop(&found, &caller).await? {
            return Ok(Json(Stopping { stopping: true }));
        }
        // It was claimed just now, or goes back in line.
        if found.state != Standing::Working || found.claimed_by.is_some() || Instant::now() >= until {
            break;
        }
        tokio::time::sleep(BEGINS_POLL).await;
        found = find(&api, &turn).await?;
    }
    let state = found.state.as_str();
    let message = format!("The turn does not run; it is {state}.");
    let refusal = ApiError::new(StatusCode::CONFLICT, "not_running", message);
    Err(match found.state {
        Standing::Waiting => refusal.then("Cancel it with `reveille queue cancel`, or POST /api/turns/{turn}/cancel."),
        Standing::Joined => refusal.then("Its message is part of another turn, named part_of: stop that one."),
        _ => refusal,
    })
}
