//! An agent as it is answered: what its definition says, and what its line has done.

use std::collections::HashMap;

use jiff::Timestamp;
use reveille_queue::{DayTotals, Overview, Pause, Turn};
use reveille_vault::NoteId;
use reveille_vault::agent::Definition;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Api;
use super::agent_settings::{problems, warnings};
use super::channels::channel_name;
use super::error::{ApiError, Flaw};
use super::pauses::{self, Paused};
use super::turns::usd;
use super::wire::TurnState;
use crate::inbox::shown;
use crate::registry::{Connection, Listed};
use crate::sandboxing::Lowered;
use crate::worker::LiveTurn;

/// Characters of the role that a list shows.
const PREVIEW_CHARS: usize = 200;

/// What the queue and the workers say, by channel.
#[derive(Default)]
pub(super) struct Activity {
    pub(super) overviews: HashMap<String, Overview>,
    pauses: HashMap<String, Pause>,
    today: HashMap<String, DayTotals>,
    live: HashMap<String, Vec<(uuid::Uuid, LiveTurn)>>,
    /// What sessions have taken.
    taken: HashMap<String, Vec<Turn>>,
}

/// What they say now, of all channels or of one.
pub(super) async fn activity(api: &Api, channel: Option<&str>) -> Result<Activity, ApiError> {
    let channel = match channel.map(channel_name) {
        None => None,
        Some(Ok(channel)) => Some(channel),
        // silent-ok: nothing can have happened there.
        Some(Err(_)) => return Ok(Activity::default()),
    };
    let channel = channel.as_ref();
    let overviews = api.queue.overview(channel).await?;
    let mut live: HashMap<String, Vec<_>> = HashMap::new();
    for (turn, running) in api.workers.live() {
        live.entry(running.lane.channel.to_string())
            .or_default()
            .push((turn, running));
    }
    live.values_mut().for_each(|turns| turns.sort_by_key(|(turn, _)| *turn));
    let mut taken: HashMap<String, Vec<Turn>> = HashMap::new();
    for turn in api.queue.taken().await? {
        let channel = turn.message.lane.channel.to_string();
        taken.entry(channel).or_default().push(turn);
    }
    let pauses = api.queue.pauses().await?.into_iter();
    let today = api.queue.today(jiff::Timestamp::now(), channel).await?.into_iter();
    Ok(Activity {
        overviews: overviews
            .into_iter()
            .map(|one| (one.channel.to_string(), one))
            .collect(),
        pauses: pauses.map(|(channel, pause)| (channel.to_string(), pause)).collect(),
        today: today.map(|(channel, totals)| (channel.to_string(), totals)).collect(),
        live,
        taken,
    })
}

/// The beginning of a role.
pub(super) fn preview(definition: &Definition) -> String {
    shown(definition.prompt.as_deref().unwrap_or_default(), PREVIEW_CHARS)
}

/// How an agent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AgentStatus)]
pub(super) enum Status {
    /// Nothing to do.
    Idle,
    /// Messages wait.
    Queued,
    /// A turn runs, or a session has taken a message.
    Working,
    /// Its messages wait until it is resumed.
    Paused,
    /// Its definition was written, and has not been read yet.
    Pending,
    /// Its definition does not hold together; what it was before may still count.
    Error,
}

/// The turn of an agent that was settled last.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LastTurn {
    turn: Uuid,
    outcome: TurnState,
    ended_at: Timestamp,
}

/// A turn that runs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunningTurn {
    turn: Uuid,
    since_at: Timestamp,
    /// The note of its message.
    message: String,
}

/// A message that a session has taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClaimedTurn {
    turn: Uuid,
    /// The note of its message.
    message: String,
    /// Who has it: `operator`, or `token:` with the token's id.
    by: String,
    #[schema(required)]
    since_at: Option<Timestamp>,
    /// When the claim ends unless it is renewed.
    #[schema(required)]
    ends_at: Option<Timestamp>,
}

impl ClaimedTurn {
    fn of(turn: &Turn) -> Self {
        Self {
            turn: turn.id,
            message: turn.message.note.clone(),
            by: turn.claimed_by.clone().unwrap_or_default(),
            since_at: turn.claimed_at,
            ends_at: turn.claim_ends,
        }
    }
}

/// An agent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Agent {
    name: String,
    /// Where its notes are.
    vault: String,
    /// The note that defines it.
    note_id: String,
    pub(super) status: Status,
    /// More on the status, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_detail: Option<String>,
    /// Messages in line.
    waiting: u64,
    /// What its turns have cost.
    cost_usd: f64,
    /// The same since midnight (UTC).
    cost_today_usd: f64,
    /// The beginning of its role.
    prompt_preview: String,
    /// What keeps the note from counting as it is.
    problems: Vec<Flaw>,
    /// What looks wrong with a note that counts.
    warnings: Vec<Flaw>,
    /// What its definition asks for and does not get.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    lowered: Vec<Lowered>,
    /// What was given to its name for another note, and what it does not get before it is trusted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    withheld: Vec<String>,
    /// What it wants beyond its own tools. Turns are not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connections: Option<Vec<Connection>>,
    /// Who runs its turns: `programmatic`, the daemon; `attached`, a session that takes its messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<&'static str>,
    /// `single-threaded` or `multi-threaded`.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// Its turns may write definitions of agents.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    defines_agents: bool,
    /// The agent that wrote its definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    defined_by: Option<String>,
    /// Settled turns.
    #[serde(skip_serializing_if = "Option::is_none")]
    turns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_turn: Option<LastTurn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<RunningTurn>,
    /// What sessions have taken of an attached agent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    claimed: Vec<ClaimedTurn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pause: Option<Paused>,
}

impl Agent {
    /// What is known of an agent whose definition was written and has not been read yet.
    pub(super) fn pending(name: &str, vault: &str, note: &NoteId) -> Self {
        Self {
            name: name.to_owned(),
            vault: vault.to_owned(),
            note_id: note.to_string(),
            status: Status::Pending,
            status_detail: None,
            waiting: 0,
            cost_usd: 0.0,
            cost_today_usd: 0.0,
            prompt_preview: String::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
            lowered: Vec::new(),
            withheld: Vec::new(),
            connections: Some(Vec::new()),
            backend: None,
            mode: None,
            model: None,
            defines_agents: false,
            defined_by: None,
            turns: None,
            last_turn: None,
            running: None,
            claimed: Vec::new(),
            pause: None,
        }
    }

    /// What its definition says.
    fn define(&mut self, definition: &Definition) {
        self.prompt_preview = preview(definition);
        self.backend = Some(definition.backend.as_str());
        self.mode = Some(definition.mode.as_str());
        self.model.clone_from(&definition.model);
        self.defines_agents = definition.defines_agents;
        self.defined_by.clone_from(&definition.defined_by);
    }

    /// What its line has done.
    fn sum_up(&mut self, overview: &Overview) {
        self.waiting = overview.waiting;
        self.cost_usd = usd(overview.spend.nano_usd);
        self.turns = Some(overview.turns);
        if overview.waiting > 0 {
            self.status = Status::Queued;
        }
        self.last_turn = overview.last.map(|(turn, outcome, ended_at)| LastTurn {
            turn,
            outcome: outcome.into(),
            ended_at,
        });
    }
}

/// An agent with what its line has done.
pub(super) fn view(api: &Api, listed: &Listed, activity: &Activity) -> Agent {
    let detail = Some(listed.stamp.detail.clone()).filter(|detail| !detail.is_empty());
    let today = activity.today.get(&listed.name);
    let mut view = Agent {
        status: Status::Error,
        status_detail: detail.clone(),
        cost_today_usd: today.map_or(0.0, |today| usd(today.nano_usd)),
        problems: problems(listed),
        warnings: warnings(listed),
        lowered: listed.lowered.clone(),
        ..Agent::pending(&listed.name, &listed.vault, &listed.note)
    };
    if let Some(definition) = &listed.definition {
        view.define(definition);
    }
    if !listed.live {
        return view;
    }
    view.connections = Some(api.registry.connections(&listed.name));
    view.withheld = api.registry.withheld(&listed.name);
    view.status = Status::Idle;
    if let Some(overview) = activity.overviews.get(&listed.name) {
        view.sum_up(overview);
    }
    if let Some(taken) = activity.taken.get(&listed.name) {
        view.status = Status::Working;
        view.claimed = taken.iter().map(ClaimedTurn::of).collect();
    }
    if let Some((turn, live)) = activity.live.get(&listed.name).and_then(|turns| turns.first()) {
        view.status = Status::Working;
        view.running = Some(RunningTurn {
            turn: *turn,
            since_at: live.since,
            message: live.note.clone(),
        });
    }
    // A turn that runs goes on to its end; nothing follows it.
    if let Some(paused) = pauses::of(listed.definition.as_deref(), activity.pauses.get(&listed.name)) {
        view.status = Status::Paused;
        view.status_detail = Some(paused.detail());
        view.pause = Some(paused);
    }
    // It goes on as it was, but not as the note says.
    if listed.stamp.status == "error" {
        view.status = Status::Error;
        view.status_detail = Some(listed.stamp.detail.clone());
    }
    view
}
