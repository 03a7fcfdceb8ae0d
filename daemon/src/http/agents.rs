//! Agents: what the definitions amount to, and writing definitions.

use std::collections::{BTreeMap, HashMap};

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use jiff::Timestamp;
use reveille_queue::{DayTotals, Overview, Pause, Turn};
use reveille_vault::agent::{Definition, Problem, tag};
use reveille_vault::{Key, Metadata, NewNote, Note, NoteId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::agent_settings::{Setting, problems, settings, warnings};
use super::error::{ApiError, Body, Flaw, Segment};
use super::pauses::{self, Paused};
use super::step_up::Proof;
use super::turns::usd;
use super::wire::TurnState;
use super::{Api, Caller};
use crate::crash;
use crate::inbox::shown;
use crate::registry::{Connection, Listed};
use crate::worker::LiveTurn;

/// Characters of the role that a list shows.
const PREVIEW_CHARS: usize = 200;

/// What the queue and the workers say, by channel.
#[derive(Default)]
struct Activity {
    overviews: HashMap<String, Overview>,
    pauses: HashMap<String, Pause>,
    today: HashMap<String, DayTotals>,
    live: HashMap<String, Vec<(uuid::Uuid, LiveTurn)>>,
    /// What sessions have taken.
    taken: HashMap<String, Vec<Turn>>,
}

async fn activity(api: &Api) -> Result<Activity, ApiError> {
    let overviews = api.queue.overview().await?;
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
    let today = api.queue.today(jiff::Timestamp::now()).await?.into_iter();
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
    /// What it wants beyond its own tools. Turns are not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<Vec<Connection>>,
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

fn view(api: &Api, listed: &Listed, activity: &Activity) -> Agent {
    let detail = Some(listed.stamp.detail.clone()).filter(|detail| !detail.is_empty());
    let today = activity.today.get(&listed.name);
    let mut view = Agent {
        status: Status::Error,
        status_detail: detail.clone(),
        cost_today_usd: today.map_or(0.0, |today| usd(today.nano_usd)),
        problems: problems(listed),
        warnings: warnings(listed),
        ..Agent::pending(&listed.name, &listed.vault, &listed.note)
    };
    if let Some(definition) = &listed.definition {
        view.define(definition);
    }
    if !listed.live {
        return view;
    }
    view.connections = Some(api.registry.connections(&listed.name));
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

/// The agent as it is now.
pub(super) async fn now(api: &Api, name: &str) -> Result<Agent, ApiError> {
    Ok(view(api, &find(api, name)?, &activity(api).await?))
}

/// Messages for a name that no agent has.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WaitingMessages {
    channel: String,
    messages: u64,
}

/// All agents.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentList {
    agents: Vec<Agent>,
    /// What waits for agents that nobody has defined.
    waiting: Vec<WaitingMessages>,
}

/// The agents, and what waits for agents that are not there.
#[utoipa::path(
    get, path = "/api/agents", operation_id = "listAgents", tag = "agents",
    responses((status = 200, description = "All agents, also those whose definition does not hold together.", body = AgentList)),
)]
pub(super) async fn list(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<AgentList>, ApiError> {
    let activity = activity(&api).await?;
    let listed = api.registry.list();
    let mut agents: Vec<Agent> = listed.iter().map(|one| view(&api, one, &activity)).collect();
    if let Caller::Turn(_) = caller {
        // The business of a turn is to reach the others.
        agents.iter_mut().for_each(|agent| agent.connections = None);
    }
    let mut waiting: Vec<_> = activity
        .overviews
        .values()
        .filter(|overview| overview.waiting > 0 && api.registry.get(overview.channel.as_str()).is_none())
        .map(|overview| WaitingMessages {
            channel: overview.channel.to_string(),
            messages: overview.waiting,
        })
        .collect();
    waiting.sort_by(|one, other| one.channel.cmp(&other.channel));
    Ok(Json(AgentList { agents, waiting }))
}

/// What the registry knows under a name.
pub(super) fn find(api: &Api, name: &str) -> Result<Listed, ApiError> {
    let mut named: Vec<Listed> = api
        .registry
        .list()
        .into_iter()
        .filter(|listed| listed.name == name)
        .collect();
    // The holder of the name before others that only claim it.
    named.sort_by_key(|listed| !listed.live);
    named.into_iter().next().ok_or_else(|| api.no_agent(name))
}

/// An agent with its whole definition.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentDetail {
    #[serde(flatten)]
    agent: Agent,
    /// Its role.
    prompt: Option<String>,
    /// Where its note is.
    path: Option<String>,
    /// Every setting that counts for the next turn, by its key.
    settings: BTreeMap<String, Setting>,
}

/// An agent with its role and every setting that counts.
#[utoipa::path(
    get, path = "/api/agents/{name}", operation_id = "getAgent", tag = "agents",
    params(("name" = String, Path, description = "The agent.")),
    responses(
        (status = 200, description = "The agent.", body = AgentDetail),
        (status = 404, description = "There is no such agent: `unknown_agent`."),
    ),
)]
pub(super) async fn show(State(api): State<Api>, Segment(name): Segment) -> Result<Json<AgentDetail>, ApiError> {
    let listed = find(&api, &name)?;
    let agent = view(&api, &listed, &activity(&api).await?);
    let definition = listed.definition.as_deref();
    Ok(Json(AgentDetail {
        agent,
        prompt: definition.and_then(|definition| definition.prompt.clone()),
        path: definition.and_then(|definition| definition.path.clone()),
        settings: definition.map_or_else(BTreeMap::new, |one| settings(one, api.claude.config())),
    }))
}

/// An agent that is to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAgent {
    name: String,
    /// Its role.
    #[serde(default)]
    prompt: String,
    model: Option<String>,
    /// Other settings of the definition.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Value>)]
    metadata: Metadata,
    /// Where its notes are to live; the default vault, when absent.
    vault: Option<String>,
}

/// A definition that is not written yet.
pub(super) fn check(draft: &Note) -> Result<Definition, ApiError> {
    Definition::parse(draft).map_err(|problems| ApiError::invalid("invalid_definition", problems))
}

/// Whether a name can be given to another agent.
///
/// # Errors
/// It belongs to one.
pub(super) fn free(api: &Api, name: &str) -> Result<(), ApiError> {
    if api.registry.get(name).is_none() {
        return Ok(());
    }
    let message = format!("There is an agent {name:?} already.");
    let taken = Problem::new(
        "name",
        format!("{name} is the name of another agent; choose another one"),
    );
    let mut error = ApiError::new(StatusCode::CONFLICT, "agent_exists", message)
        .then("Nothing was written. Choose another name, or edit the definition of that agent.");
    error.problems.push(taken);
    Err(error)
}

/// Makes an agent: writes its definition. Checked before anything is written.
#[utoipa::path(
    post, path = "/api/agents", operation_id = "createAgent", tag = "agents", request_body = NewAgent,
    responses(
        (status = 201, description = "The agent. Its status is `pending` when its note has not been read yet.", body = Agent),
        (status = 404, description = "There is no such vault: `unknown_vault`."),
        (status = 409, description = "The name, the path or the identity is taken: `agent_exists`, `path_conflict`."),
    ),
)]
pub(super) async fn create(
    State(api): State<Api>,
    proof: Proof,
    Body(agent): Body<NewAgent>,
) -> Result<(StatusCode, Json<Agent>), ApiError> {
    let vault = match &agent.vault {
        Some(name) => api
            .vaults
            .get(name)
            .ok_or_else(|| ApiError::unknown_vault(name, &api.vaults))?,
        None => api.vaults.default(),
    };
    let mut metadata = agent.metadata;
    metadata.insert("name".into(), agent.name.trim().into());
    if let Some(model) = agent.model.filter(|model| !model.trim().is_empty()) {
        metadata.insert("model".into(), model.trim().into());
    }
    let id = NoteId::generate();
    let draft = Note {
        id: id.clone(),
        path: Some(format!("Agents/{}", agent.name.trim())),
        content: agent.prompt,
        tags: vec![tag::DEFINITION.into()],
        metadata,
        created_at: jiff::Timestamp::now(),
        updated_at: jiff::Timestamp::now(),
    };
    let definition = check(&draft)?;
    proof.check_definition(&api.step_up, &definition)?;
    let name = definition.name;
    free(&api, &name)?;
    let new = NewNote {
        id: Some(id),
        path: draft.path,
        content: draft.content,
        tags: draft.tags,
        metadata: draft.metadata,
        created_at: None,
        attachments: Vec::new(),
        links: Vec::new(),
    };
    let note = vault.create(new).await?;
    crash::point("agent.created");
    // The feed alone says who there is: an edit that comes meanwhile is not rolled back by what was written here.
    api.inbox.caught_up(&*vault).await;
    // The agent is there, whether or not its activity can be told.
    let activity = activity(&api).await.unwrap_or_else(|error| {
        tracing::warn!(?error, "the activity of a new agent is not known");
        Activity::default()
    });
    let made = match find(&api, &name) {
        Ok(listed) => view(&api, &listed, &activity),
        Err(_) => Agent::pending(&name, vault.name(), &note.id),
    };
    Ok((StatusCode::CREATED, Json(made)))
}

/// What became of an agent that was to be removed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentRemoved {
    removed: bool,
    /// Messages in line, which wait for an agent of that name.
    waiting: u64,
}

/// Removes an agent: its definition note. What is in line waits for an agent of that name.
#[utoipa::path(
    delete, path = "/api/agents/{name}", operation_id = "removeAgent", tag = "agents",
    params(("name" = String, Path, description = "The agent.")),
    responses(
        (status = 200, description = "It is gone.", body = AgentRemoved),
        (status = 404, description = "There is no such agent: `unknown_agent`, `unknown_note`."),
    ),
)]
pub(super) async fn remove(State(api): State<Api>, Segment(name): Segment) -> Result<Json<AgentRemoved>, ApiError> {
    let listed = find(&api, &name)?;
    let vault = api
        .vaults
        .get(&listed.vault)
        .ok_or_else(|| ApiError::unknown_agent(&name))?;
    vault.delete(&Key::Id(listed.note.clone())).await?;
    api.inbox.caught_up(&*vault).await;
    let waiting = match api.queue.overview().await {
        Ok(channels) => channels
            .iter()
            .find(|one| one.channel.as_str() == name)
            .map_or(0, |one| one.waiting),
        Err(error) => {
            tracing::warn!(%error, "the messages of a removed agent cannot be counted");
            0
        }
    };
    Ok(Json(AgentRemoved { removed: true, waiting }))
}
