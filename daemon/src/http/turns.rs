//! Turns: how they stand, and stopping them.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use http::StatusCode;
use reveille_queue::{Spend, State as TurnState, ThreadKey, Turn};
use reveille_vault::agent::Inbound;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Api;
use super::channels::channel_name;
use super::error::{ApiError, Segment};
use crate::inbox::shown;
use crate::record::TurnRecord;

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

fn usage(spend: Spend) -> Value {
    json!({
        "input_tokens": spend.input_tokens,
        "output_tokens": spend.output_tokens,
        "cache_read_tokens": spend.cache_read_tokens,
        "cache_write_tokens": spend.cache_write_tokens,
    })
}

/// What a listing tells of a turn. One that cannot be read is listed all the same: it has to be possible to get rid of it.
pub(super) fn brief(turn: &Turn) -> Value {
    // silent-ok: the turn itself says what is unreadable
    let message = serde_json::from_value::<Inbound>(turn.message.body.clone()).ok();
    let lane = &turn.message.lane;
    let subject = match &lane.thread {
        ThreadKey::Subject(subject) => Some(subject),
        ThreadKey::Main | ThreadKey::Single(_) => None,
    };
    let mut brief = json!({
        "turn": turn.id,
        "channel": lane.channel,
        "thread": turn.conversation,
        "subject": subject,
        "vault": turn.message.vault,
        "message": turn.message.note,
        "text": message.as_ref().map(|message| shown(&message.text, BRIEF_CHARS)),
        "sender": message.as_ref().map(|message| &message.sender),
        "state": turn.state,
        "held": turn.held,
        "mode": turn.message.mode,
        "part_of": turn.leader,
        "chain": turn.message.chain,
        "delegation_depth": message.as_ref().map(|message| message.delegation_depth),
        "interruptions": turn.interruptions,
        "accepted_at": turn.accepted_at,
        "claimed_at": turn.claimed_at,
        "settled_at": turn.settled_at,
        "cost_usd": usd(turn.spend.nano_usd),
    });
    let record = turn.record.clone().map(serde_json::from_value::<TurnRecord>);
    if let Some(Ok(record)) = record {
        brief["notices"] = json!(record.notices);
        if let Some(by) = record.ended_by {
            brief["ended_by"] = by.into();
        }
        if let Some(failure) = record.failure {
            brief["error"] = json!(failure);
        }
    }
    brief
}

/// A turn as JSON.
pub(super) fn view(turn: &Turn) -> Result<Value, ApiError> {
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
    let mut view = brief(turn);
    view["text"] = message.text.into();
    view["usage"] = usage(turn.spend);
    view["session"] = record.session.into();
    view["models"] = record.models.into();
    view["notices"] = record.notices.into();
    view["note"] = record.note.into();
    if let Some(reply) = record.reply {
        view["reply"] = reply.into();
    }
    Ok(view)
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    channel: String,
    state: Option<TurnState>,
    limit: Option<u32>,
}

/// `GET /api/turns?channel=&state=&limit=`: the open turns of a channel in their order, then the ended ones, newest first.
pub(super) async fn list(
    State(api): State<Api>,
    which: Result<Parameters<Which>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Parameters(which) =
        which.map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", error.body_text()))?;
    let channel = channel_name(&which.channel)?;
    let limit = which.limit.unwrap_or(TURNS).clamp(1, TURNS_MAX);
    // The queue knows no states: enough is taken to find some of the asked one.
    let taken = which.state.map_or(limit, |_| TURNS_MAX);
    let mut turns = api.queue.open_turns(&channel, taken).await?;
    turns.extend(api.queue.settled(&channel, taken).await?);
    if turns.is_empty()
        && api.registry.get(channel.as_str()).is_none()
        && api.queue.conversations(&channel).await?.is_empty()
    {
        return Err(api.no_agent(channel.as_str()));
    }
    let wanted = turns
        .iter()
        .filter(|turn| which.state.is_none_or(|state| turn.state == state));
    let views: Vec<Value> = wanted.take(limit as usize).map(brief).collect();
    Ok(Json(json!({ "turns": views })))
}

/// `GET /api/turns/{turn}`
pub(super) async fn show(State(api): State<Api>, Segment(turn): Segment) -> Result<Json<Value>, ApiError> {
    let found = find(&api, &turn).await?;
    let mut view = view(&found)?;
    // What it has left to do and the vault has not taken yet; one that joined another turn has its reply from that.
    let left = api.queue.left(found.leader.unwrap_or(found.id)).await?;
    view["undelivered"] = (left > 0).into();
    Ok(Json(view))
}

/// `POST /api/turns/{turn}/stop`
pub(super) async fn stop(State(api): State<Api>, Segment(turn): Segment) -> Result<Json<Value>, ApiError> {
    let found = find(&api, &turn).await?;
    // A settled turn is still at work for a moment, until the vault has its reply: too late to stop it.
    if !found.state.is_terminal() && api.workers.stop(found.id) {
        return Ok(Json(json!({ "stopping": true })));
    }
    let state = found.state.as_str();
    let message = format!("The turn does not run; it is {state}.");
    let refusal = ApiError::new(StatusCode::CONFLICT, "not_running", message);
    Err(match found.state {
        TurnState::Waiting => refusal.then("Cancel it with `reveille queue cancel`, or POST /api/turns/{turn}/cancel."),
        TurnState::Joined => refusal.then("Its message is part of another turn, named part_of: stop that one."),
        _ => refusal,
    })
}
