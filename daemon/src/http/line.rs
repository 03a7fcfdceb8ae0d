//! The line of a channel, and a person's hand on it: cancel, hold, release, move, edit.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use http::StatusCode;
use reveille_queue::{ControlError, Position, State as TurnState, Turn};
use reveille_vault::agent::Inbound;
use reveille_vault::{ContentChange, Key, Note, NoteId, Patch, Precondition, Vault};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Api;
use super::channels::{Limit, channel_name, limit_of};
use super::error::{ApiError, Body, OptionalBody, Segment};
use super::pauses::{self, Paused};
use super::turns::{Brief, brief, find, unknown, with_children};
use crate::inbox::shown;
use crate::live::{Happening, Milestone, Subject};
use crate::withdraw::{Desk, Withdrawal};

/// Turns of a line unless asked otherwise, and at most.
const TURNS: u32 = 100;
const TURNS_MAX: u32 = 1000;
/// Waiting messages are counted up to this number.
const COUNTED_MAX: u32 = 1_000_000;
/// Characters of a message that the live view shows.
const SHOWN_CHARS: usize = 2000;

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        let conflict = |code, message: String| Self::new(StatusCode::CONFLICT, code, message);
        match error {
            ControlError::Unknown { turn } => unknown(&turn.to_string()),
            ControlError::NotWaiting {
                state: TurnState::Working,
                ..
            } => conflict("running", "The turn runs already; nothing was changed.".into())
                .then("Stop it with `reveille turn stop`, or POST /api/turns/{turn}/stop."),
            ControlError::NotWaiting {
                state: TurnState::Joined,
                ..
            } => conflict(
                "running",
                "The message is part of a turn that runs already; nothing was changed.".into(),
            )
            .then("`reveille turn show` names that turn as part_of; stop that one with `reveille turn stop`."),
            ControlError::NotWaiting { state, .. } => conflict(
                "settled",
                format!("The turn has ended already ({}); nothing was changed.", state.as_str()),
            )
            .then("To have it done again, use `reveille turn resend`, or POST /api/turns/{turn}/resend."),
            ControlError::OtherLine { turn, other } => conflict(
                "other_line",
                format!("The turn {other} does not wait in the conversation of turn {turn}; nothing was moved."),
            )
            .then("Name a turn that waits in the same conversation, or move it to `first` or `last`."),
            ControlError::Queue(error) => error.into(),
        }
    }
}

/// The line of an agent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queue)]
pub(super) struct Line {
    channel: String,
    /// Messages that wait, also those that are not shown.
    waiting: u64,
    /// Why they all wait.
    #[schema(required)]
    pause: Option<Paused>,
    /// Those that run, then those that wait, in order.
    turns: Vec<Brief>,
}

/// The open turns of an agent in order.
#[utoipa::path(
    get, path = "/api/channels/{channel}/queue", operation_id = "getQueue", tag = "turns",
    params(("channel" = String, Path, description = "The agent."), Limit),
    responses(
        (status = 200, description = "The line: 100 turns when nothing is said, 1000 at most.", body = Line),
        (status = 404, description = "There is no such agent: `unknown_agent`."),
    ),
)]
pub(super) async fn list(
    State(api): State<Api>,
    Segment(channel): Segment,
    limit: Result<Parameters<Limit>, QueryRejection>,
) -> Result<Json<Line>, ApiError> {
    let name = channel_name(&channel)?;
    let limit = limit_of(limit, TURNS, TURNS_MAX)?;
    let known = api.knows(&name).await?;
    let turns = api.queue.open_turns(&name, limit).await?;
    if turns.is_empty() && !known {
        return Err(api.no_agent(&channel));
    }
    let agent = api.registry.get(&channel);
    // Where all are there, they are counted: a message that comes meanwhile is neither listed nor counted.
    let waiting = match turns.len() < limit as usize {
        true => turns.iter().filter(|turn| turn.state == TurnState::Waiting).count() as u64,
        false => api.queue.waiting(&name, COUNTED_MAX).await?,
    };
    let views = (0..turns.len()).map(|at| {
        let mut view = brief(&turns[at]);
        view.position = Some(position(&turns, at));
        view
    });
    let views = with_children(&api, views.collect()).await?;
    let pause = api
        .queue
        .pauses()
        .await?
        .into_iter()
        .find(|(paused, _)| *paused == name);
    let pause = pauses::of(
        agent.as_ref().map(|agent| &*agent.definition),
        pause.as_ref().map(|(_, pause)| pause),
    );
    Ok(Json(Line {
        channel: name.to_string(),
        waiting,
        pause,
        turns: views,
    }))
}

/// Turns that go before the one at `at` in its conversation, as [`reveille_queue::Place`] counts them.
fn position(turns: &[Turn], at: usize) -> usize {
    if turns[at].state != TurnState::Waiting {
        return 0;
    }
    let before = |turn: &&Turn| {
        turn.conversation == turns[at].conversation
            && (turn.state == TurnState::Working || (turn.state == TurnState::Waiting && !turn.held))
    };
    turns[..at].iter().filter(before).count()
}

/// Who cancels a message.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CancelRequest)]
pub(super) struct Cancel {
    /// `operator` when nothing is said.
    by: Option<String>,
}

impl Cancel {
    /// Somebody.
    pub(super) fn by(who: String) -> Self {
        Self { by: Some(who) }
    }
}

/// Ends a waiting message; its requester is told.
#[utoipa::path(
    post, path = "/api/turns/{turn}/cancel", operation_id = "cancelTurn", tag = "turns",
    params(("turn" = String, Path, description = "The turn: its identity, or six digits and more of its beginning or end.")),
    request_body = Option<Cancel>,
    responses(
        (status = 200, description = "The turn as it is now.", body = Brief),
        (status = 404, description = "There is no such turn: `unknown_turn`."),
        (status = 409, description = "It does not wait, or several are called so: `running`, `settled`, `ambiguous_turn`."),
    ),
)]
pub(super) async fn cancel(
    State(api): State<Api>,
    Segment(turn): Segment,
    OptionalBody(cancel): OptionalBody<Cancel>,
) -> Result<Json<Brief>, ApiError> {
    let found = find(&api, &turn).await?;
    let by = cancel.by.map(|by| by.trim().to_owned()).filter(|by| !by.is_empty());
    let by = by.unwrap_or_else(|| "operator".into());
    let desk = Desk {
        queue: &*api.queue,
        registry: &api.registry,
        hub: &api.hub,
        vault: &*vault_of(&api, &found)?,
        across_vaults: api.workers.context().limits.across_vaults,
        traces: &api.workers.context().traces,
        metrics: &api.workers.context().metrics,
    };
    let how = Withdrawal {
        state: TurnState::Cancelled,
        reason: &format!("Cancelled by {} while it waited.", shown(&by, 80)),
        failure: None,
        status: TurnState::Cancelled.as_str(),
        by: Some(&by),
    };
    desk.withdraw(&found, how).await?;
    // Messages that had joined it wait again.
    api.workers.wake(&found.message.lane);
    answer(&api, found.id).await
}

/// Holds a waiting message back: the ones behind it pass.
#[utoipa::path(
    post, path = "/api/turns/{turn}/hold", operation_id = "holdTurn", tag = "turns",
    params(("turn" = String, Path, description = "The turn: its identity, or six digits and more of its beginning or end.")),
    responses(
        (status = 200, description = "The turn as it is now.", body = Brief),
        (status = 404, description = "There is no such turn: `unknown_turn`."),
        (status = 409, description = "It does not wait, or several are called so: `running`, `settled`, `ambiguous_turn`."),
    ),
)]
pub(super) async fn hold(State(api): State<Api>, Segment(turn): Segment) -> Result<Json<Brief>, ApiError> {
    let found = find(&api, &turn).await?;
    api.queue.hold(found.id, true).await?;
    changed(&api, found.id).await
}

/// Lets a message that was held back take its turn again.
#[utoipa::path(
    post, path = "/api/turns/{turn}/release", operation_id = "releaseTurn", tag = "turns",
    params(("turn" = String, Path, description = "The turn: its identity, or six digits and more of its beginning or end.")),
    responses(
        (status = 200, description = "The turn as it is now.", body = Brief),
        (status = 404, description = "There is no such turn: `unknown_turn`."),
        (status = 409, description = "It does not wait, or several are called so: `running`, `settled`, `ambiguous_turn`."),
    ),
)]
pub(super) async fn release(State(api): State<Api>, Segment(turn): Segment) -> Result<Json<Brief>, ApiError> {
    let found = find(&api, &turn).await?;
    api.queue.hold(found.id, false).await?;
    changed(&api, found.id).await
}

/// Where a message is to go.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MoveRequest)]
pub(super) struct Move {
    to: To,
}

/// A place in the line of a conversation: `"first"`, `"last"`, or `{"before": "a turn"}`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = QueuePlace)]
pub(super) enum To {
    First,
    Last,
    Before(String),
}

/// Moves a waiting message to another place in its conversation.
#[utoipa::path(
    post, path = "/api/turns/{turn}/move", operation_id = "moveTurn", tag = "turns",
    params(("turn" = String, Path, description = "The turn: its identity, or six digits and more of its beginning or end.")),
    request_body = Move,
    responses(
        (status = 200, description = "The turn as it is now.", body = Brief),
        (status = 404, description = "There is no such turn: `unknown_turn`."),
        (status = 409, description = "It does not wait, or not in that conversation, or several are called so: `running`, `settled`, `other_line`, `ambiguous_turn`."),
    ),
)]
pub(super) async fn reposition(
    State(api): State<Api>,
    Segment(turn): Segment,
    Body(Move { to }): Body<Move>,
) -> Result<Json<Brief>, ApiError> {
    let found = find(&api, &turn).await?;
    let to = match to {
        To::First => Position::First,
        To::Last => Position::Last,
        To::Before(other) => Position::Before(find(&api, &other).await?.id),
    };
    api.queue.reposition(found.id, to).await?;
    changed(&api, found.id).await
}

/// Another text for a message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TurnEdit)]
pub(super) struct Edit {
    text: String,
}

/// Another text for a waiting message. Its note gets it first: the note is what people see.
#[utoipa::path(
    patch, path = "/api/turns/{turn}", operation_id = "editTurn", tag = "turns",
    params(("turn" = String, Path, description = "The turn: its identity, or six digits and more of its beginning or end.")),
    request_body = Edit,
    responses(
        (status = 200, description = "The turn as it is now.", body = Brief),
        (status = 404, description = "There is no such turn, or its note is gone: `unknown_turn`, `unknown_note`."),
        (status = 409, description = "It does not wait, its note has changed or is no message any more, or several are called so: `running`, `settled`, `conflict`, `invalid_message`, `ambiguous_turn`."),
    ),
)]
pub(super) async fn edit(
    State(api): State<Api>,
    Segment(turn): Segment,
    Body(Edit { text }): Body<Edit>,
) -> Result<Json<Brief>, ApiError> {
    if text.trim().is_empty() {
        let message = "A message needs text; nothing was changed.";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "blank_text", message)
            .then("Write what you want done, or cancel the message with `reveille queue cancel`."));
    }
    let found = find(&api, &turn).await?;
    if found.state != TurnState::Waiting {
        return Err(not_waiting(&found).into());
    }
    let vault = vault_of(&api, &found)?;
    let (before, after) = write_text(&*vault, &found, text).await?;
    let mut message = parse(&after)?;
    // As the feed does: where it came from counts as far as it is sealed, whatever the note says.
    message.origin = api
        .inbox
        .origin_of(vault.name(), after.id.as_str(), &mut message)
        .await?;
    let body = json!(message);
    match api.queue.edit(found.id, body.clone()).await {
        Ok(()) => changed(&api, found.id).await,
        Err(refusal) => {
            // The feed may have brought the new text to the queue just before it was claimed.
            let now = api.queue.turn(found.id).await?;
            if now.is_some_and(|now| now.message.body == body) {
                return answer(&api, found.id).await;
            }
            put_back(&*vault, &before, &after).await;
            Err(refusal.into())
        }
    }
}

fn not_waiting(turn: &Turn) -> ControlError {
    ControlError::NotWaiting {
        turn: turn.id,
        state: turn.state,
    }
}

fn parse(note: &Note) -> Result<Inbound, ApiError> {
    Inbound::parse(note).map_err(|error| {
        ApiError::new(StatusCode::CONFLICT, "invalid_message", error.to_string())
            .then("Nothing was changed. Correct the message's note, then edit it again.")
    })
}

/// The note before and after it got the text.
async fn write_text(vault: &dyn Vault, turn: &Turn, text: String) -> Result<(Note, Note), ApiError> {
    let gone = || {
        let message = "The message's note is gone: it was deleted, and the turn will end without running.";
        ApiError::new(StatusCode::NOT_FOUND, "unknown_note", message)
    };
    let id = NoteId::new(turn.message.note.as_str()).map_err(|_| gone())?;
    let before = vault.get(&Key::Id(id)).await?.ok_or_else(gone)?;
    // Before anything is written: the note must still be a message.
    parse(&before)?;
    let patch = Patch {
        content: ContentChange::Replace(text),
        ..Patch::default()
    };
    let unchanged = Precondition::UpdatedAt(before.updated_at);
    let after = vault.patch(&Key::Id(before.id.clone()), patch, unchanged).await?;
    Ok((before, after))
}

/// The turn runs with the old text: its note says so again, unless somebody has changed it since.
async fn put_back(vault: &dyn Vault, before: &Note, after: &Note) {
    let patch = Patch {
        content: ContentChange::Replace(before.content.clone()),
        ..Patch::default()
    };
    let unchanged = Precondition::UpdatedAt(after.updated_at);
    if let Err(error) = vault.patch(&Key::Id(before.id.clone()), patch, unchanged).await {
        tracing::warn!(%error, note = %before.id, "the note keeps a text that came too late for its turn");
    }
}

/// Where the message's note is.
pub(super) fn vault_of(api: &Api, turn: &Turn) -> Result<std::sync::Arc<dyn Vault>, ApiError> {
    api.vaults.get(&turn.message.vault).ok_or_else(|| {
        let message = format!("The vault {:?} of this message is not configured.", turn.message.vault);
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "vault_unavailable", message)
            .then("Nothing was changed. Add the vault to the configuration again, then start the daemon.")
    })
}

/// Tells who watches that a turn waits otherwise, lets its lane look again, and answers the turn.
async fn changed(api: &Api, turn: Uuid) -> Result<Json<Brief>, ApiError> {
    if let Some(now) = api.queue.turn(turn).await? {
        api.workers.wake(&now.message.lane);
        if now.state == TurnState::Waiting {
            tell(api, &now).await?;
        }
    }
    answer(api, turn).await
}

async fn tell(api: &Api, turn: &Turn) -> Result<(), ApiError> {
    let place = api.queue.place(turn.id).await?;
    let subject = Subject {
        channel: turn.message.lane.channel.to_string(),
        turn: turn.id,
        thread: turn.conversation,
        message: turn.message.note.clone(),
    };
    let waiting = Milestone::Waiting {
        position: place.map_or(0, |place| place.ahead),
        held: turn.held,
        text: shown(turn.message.body["text"].as_str().unwrap_or_default(), SHOWN_CHARS),
        back: None,
    };
    api.hub.tell(&subject, &Happening::About(waiting));
    Ok(())
}

async fn answer(api: &Api, turn: Uuid) -> Result<Json<Brief>, ApiError> {
    let found = api.queue.turn(turn).await?.ok_or_else(|| unknown(&turn.to_string()))?;
    let mut view = brief(&found);
    if let Some(place) = api.queue.place(turn).await? {
        view.position = Some(usize::try_from(place.ahead).unwrap_or(usize::MAX));
    }
    Ok(Json(view))
}
