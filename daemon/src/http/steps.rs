//! What a turn did: while it runs so far, afterwards as it is kept.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use reveille_backends::{Event, Usage};
use reveille_queue::{State as Standing, Turn};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Api;
use super::error::{ApiError, Segment};
use super::turns::{find, usd};
use crate::live::{Happening, Milestone, Story, Subject};
use crate::record::TurnRecord;
use crate::steps::{Kept, Place};

/// Characters that an event shows of an input or answer, and the sign that there is more.
const SHOWN: usize = 2001;
const MORE: char = '…';

/// What a turn did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TurnSteps)]
pub(super) struct StepList {
    /// The turn; of a message that shares the turn of another one, that one.
    turn: Uuid,
    /// It has ended.
    complete: bool,
    /// Something in the middle was left out because it was too much.
    cut: bool,
    /// What live events have told, in their order: each has `kind` and `at`, and while the turn runs `seq`. Pieces of a text
    /// are put together, or left out once the whole text has come.
    #[schema(value_type = Vec<HashMap<String, Value>>)]
    events: Vec<Value>,
}

/// A tool call as it was.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TurnStep)]
pub(super) struct Step {
    /// Its identity, as in the events.
    id: String,
    /// The tool.
    name: String,
    /// What it was given; text when it is not whole, null when there was nothing.
    #[schema(required, value_type = Option<Value>)]
    input: Value,
    /// What it answered; null when it has not, or nothing.
    #[schema(required)]
    output: Option<String>,
    /// There was more than is kept.
    input_cut: bool,
    /// The same of the answer.
    output_cut: bool,
}

fn gone(turn: Uuid) -> ApiError {
    let message = format!("What the turn {turn} did is not kept any more; its message and its answer are.");
    ApiError::new(StatusCode::NOT_FOUND, "steps_gone", message)
        .then("`[retention] steps` in the configuration says how long it is kept. What was going on when the daemon was killed is lost.")
}

fn unreadable(turn: &Turn, error: &std::io::Error) -> ApiError {
    tracing::error!(%error, turn = %turn.id, channel = %turn.message.lane.channel, "what is kept of a turn cannot be read");
    let message = "What is kept of this turn cannot be read now; nothing was changed.";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "steps_unreadable", message)
        .then("Look into the daemon's log and at the directory `steps` of its state, then try again.")
}

fn subject_of(turn: &Turn) -> Subject {
    Subject {
        channel: turn.message.lane.channel.to_string(),
        turn: turn.id,
        thread: turn.conversation,
        message: turn.message.note.clone(),
    }
}

/// An event as it was told.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    subject: &'a Subject,
    at: Timestamp,
    #[serde(flatten)]
    happening: &'a Happening,
}

fn told(subject: &Subject, at: Timestamp, happening: &Happening) -> Result<Value, ApiError> {
    let event = Told { subject, at, happening };
    serde_json::to_value(event).map_err(|error| {
        tracing::error!(%error, "an event could not be serialised");
        ApiError::internal()
    })
}

pub(super) fn record_of(turn: &Turn) -> TurnRecord {
    let record = turn.record.clone().map(serde_json::from_value::<TurnRecord>);
    record.and_then(Result::ok).unwrap_or_default() // silent-ok: `GET /api/turns/{turn}` says that it is unreadable
}

/// What a turn that is told of by its record alone did before its end.
fn plain(turn: &Turn, record: &TurnRecord) -> Result<Vec<Value>, ApiError> {
    let subject = subject_of(turn);
    let Some(begin) = turn.claimed_at else {
        return Ok(Vec::new());
    };
    let start = Milestone::Started {
        attempt: 1,
        by: turn.claimed_by.clone(),
        ends_at: None,
    };
    let mut all = vec![(begin, Happening::About(start))];
    let notices = record.notices.iter().cloned();
    all.extend(notices.map(|text| (begin, Happening::Turn(Event::Notice { text }))));
    // silent-ok: sessions are UUIDs; another one would have no event.
    if let Some(session) = record.session.as_ref().and_then(|session| session.parse().ok()) {
        let init = Event::Init {
            session,
            model: record.models.first().cloned(),
            version: None,
        };
        all.push((begin, Happening::Turn(init)));
    }
    if let Some(text) = record.reply.clone().filter(|reply| !reply.is_empty()) {
        let text = Event::Text { text, parent: None };
        all.push((turn.settled_at.unwrap_or(begin), Happening::Turn(text)));
    }
    let events = all.iter().map(|(at, happening)| told(&subject, *at, happening));
    events.collect()
}

/// The event that ended a turn.
async fn end_of(api: &Api, turn: &Turn, record: &TurnRecord) -> Result<Value, ApiError> {
    // Until its end is told, delivery is on its way. Asked first: what is left afterwards is what that end told of.
    let is_told = api.hub.story(turn.message.lane.channel.as_str(), turn.id).is_none();
    let left = api.queue.left(turn.id).await? > 0;
    let undelivered = left && is_told;
    let spend = turn.spend;
    let milestone = match (turn.state, &record.failure) {
        (Standing::Cancelled, None) => Milestone::Stopped {},
        (_, Some(failure)) => Milestone::Error {
            error: failure.message.clone(),
            code: failure.code.clone(),
            next_step: failure.next_step.clone(),
            undelivered,
        },
        _ => Milestone::Done {
            reply: record.reply.clone().unwrap_or_default(),
            usage: Usage {
                input_tokens: spend.input_tokens,
                output_tokens: spend.output_tokens,
                cache_read_tokens: spend.cache_read_tokens,
                cache_write_tokens: spend.cache_write_tokens,
            },
            cost_usd: usd(spend.nano_usd),
            note: record.note.clone().filter(|_| !left),
            undelivered,
        },
    };
    let at = turn.settled_at.unwrap_or(turn.accepted_at);
    told(&subject_of(turn), at, &Happening::About(milestone))
}

/// What a running turn has told, behind what earlier attempts have left.
fn add_story(kept: &mut Kept, story: &Story) {
    let (head, tail) = story.events();
    let events: Vec<Value> = head
        .iter()
        .chain(&tail)
        .filter_map(|event| serde_json::from_slice(event).ok()) // silent-ok: they were made as JSON
        .collect();
    let begin = events.first().map(|first| (&first["kind"], &first["at"]));
    // It has just been written, and its end is not told yet.
    if kept
        .events
        .iter()
        .any(|event| Some((&event["kind"], &event["at"])) == begin)
    {
        return;
    }
    kept.cut |= story.is_cut();
    kept.events.extend(events);
}

/// What is there of a turn, and whether it is all.
async fn gather(api: &Api, asked: &str) -> Result<(Turn, Kept), ApiError> {
    let mut turn = find(api, asked).await?;
    if let Some(leader) = turn.leader {
        turn = find(api, &leader.to_string()).await?;
    }
    let place = |turn: &Turn| Place {
        thread: turn.conversation,
        turn: turn.id,
    };
    if !turn.state.is_terminal() {
        let story = api.hub.story(turn.message.lane.channel.as_str(), turn.id);
        if let Some(story) = &story {
            api.steps.settled().await;
            let before = api.steps.read(place(&turn)).await;
            let mut kept = before.map_err(|error| unreadable(&turn, &error))?.unwrap_or_default();
            add_story(&mut kept, story);
            return Ok((turn, kept));
        }
        // It may have ended meanwhile.
        turn = find(api, &turn.id.to_string()).await?;
    }
    api.steps.settled().await;
    let kept = api.steps.read(place(&turn)).await;
    let kept = kept.map_err(|error| unreadable(&turn, &error))?;
    if !turn.state.is_terminal() {
        return Ok((turn, kept.unwrap_or_default()));
    }
    let record = record_of(&turn);
    let mut kept = match kept {
        _ if record.plain => Kept {
            events: plain(&turn, &record)?,
            cut: false,
        },
        Some(kept) => kept,
        None => return Err(gone(turn.id)),
    };
    kept.events.push(end_of(api, &turn, &record).await?);
    Ok((turn, kept))
}

/// What a turn did: while it runs so far, afterwards as it is kept.
#[utoipa::path(
    get, path = "/api/turns/{turn}/steps", operation_id = "listSteps", tag = "turns",
    params(("turn" = String, Path, description = "The turn: its identity, or six digits and more of its beginning or end.")),
    responses(
        (status = 200, description = "What it did.", body = StepList),
        (status = 404, description = "There is no such turn, or that is not kept any more: `unknown_turn`, `steps_gone`."),
        (status = 409, description = "Several turns are called so: `ambiguous_turn`."),
    ),
)]
pub(super) async fn list(State(api): State<Api>, Segment(turn): Segment) -> Result<Json<StepList>, ApiError> {
    let (turn, kept) = gather(&api, &turn).await?;
    Ok(Json(StepList {
        turn: turn.id,
        complete: turn.state.is_terminal(),
        cut: kept.cut,
        events: kept.events,
    }))
}

/// A tool call of a turn, whole up to 1 MiB of its input and of its answer.
#[utoipa::path(
    get, path = "/api/turns/{turn}/steps/{step}", operation_id = "getStep", tag = "turns",
    params(
        ("turn" = String, Path, description = "The turn: its identity, or six digits and more of its beginning or end."),
        ("step" = String, Path, description = "`id` of the call in the turn's events."),
    ),
    responses(
        (status = 200, description = "The call.", body = Step),
        (status = 404, description = "There is no such turn or call, or that is not kept any more: `unknown_turn`, `unknown_step`, `steps_gone`."),
        (status = 409, description = "Several turns are called so: `ambiguous_turn`."),
    ),
)]
pub(super) async fn show(
    State(api): State<Api>,
    Segment([turn, step]): Segment<[String; 2]>,
) -> Result<Json<Step>, ApiError> {
    let (turn, kept) = gather(&api, &turn).await?;
    let place = Place {
        thread: turn.conversation,
        turn: turn.id,
    };
    let whole = api.steps.call(place, &step).await;
    let [input, output] = whole.map_err(|error| unreadable(&turn, &error))?;
    let event = |kind: &str| {
        let mut all = kept.events.iter();
        all.find(|event| event["kind"] == kind && event["id"] == step.as_str())
    };
    let text = |kind: &str, key: &str| event(kind).and_then(|event| event[key].as_str()).map(str::to_owned);
    let shown = (text("tool", "input"), text("tool_result", "preview"));
    let named = text("tool", "tool").or_else(|| text("tool_result", "tool"));
    let name = [&input, &output]
        .into_iter()
        .flatten()
        .find_map(|found| found.tool.clone());
    if name.is_none() && event("tool").is_none() && event("tool_result").is_none() {
        let message = format!("The turn has no step {step:?}, or it was left out because there was too much.");
        return Err(ApiError::new(StatusCode::NOT_FOUND, "unknown_step", message)
            .then("Take the id of a tool call from GET /api/turns/{turn}/steps."));
    }
    let either = |found: Option<crate::steps::Found>, shown: Option<String>| match found {
        Some(found) => (Some(found.text), found.cut),
        None => {
            let more = shown
                .as_ref()
                .is_some_and(|text| text.ends_with(MORE) && text.chars().count() == SHOWN);
            (shown, more)
        }
    };
    let (input, input_cut) = either(input, shown.0);
    let (output, output_cut) = either(output, shown.1);
    let as_json = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Json(Step {
        id: step,
        name: name.or(named).unwrap_or_default(),
        input: input.map_or(Value::Null, as_json),
        output,
        input_cut,
        output_cut,
    }))
}
