//! Agents: what the definitions amount to, and writing definitions.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use reveille_vault::agent::{Definition, Problem, tag};
use reveille_vault::{Key, Metadata, NewNote, Note, NoteId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::agent_settings::{Setting, settings};
use super::agent_view::{Activity, Agent, activity, view};
use super::channels::channel_name;
use super::error::{ApiError, Body, Segment};
use super::step_up::Proof;
use super::{Api, Caller};
use crate::crash;
use crate::registry::Listed;
use crate::sandboxing;

/// The agent as it is now.
pub(super) async fn now(api: &Api, name: &str) -> Result<Agent, ApiError> {
    let listed = find(api, name)?;
    Ok(view(api, &listed, &activity(api, Some(name)).await?))
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
    let activity = activity(&api, None).await?;
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

/// How many messages are in line there.
async fn depth(api: &Api, name: &str) -> Result<u64, ApiError> {
    let overview = api.queue.overview(Some(&channel_name(name)?)).await?;
    Ok(overview.first().map_or(0, |one| one.waiting))
}

/// What the registry knows under a name.
pub(super) fn find(api: &Api, name: &str) -> Result<Listed, ApiError> {
    api.registry
        .named(name)
        .into_iter()
        .next()
        .ok_or_else(|| api.no_agent(name))
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
    let agent = view(&api, &listed, &activity(&api, Some(&name)).await?);
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
#[schema(example = json!({ "name": "scribe", "prompt": "You write minutes.", "metadata": { "mode": "multi-threaded" } }))]
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

/// Where the note of a new agent is.
pub(super) fn place_of(name: &str) -> String {
    format!("Agents/{}", name.trim())
}

/// A definition that is not written yet.
pub(super) fn check(draft: &Note) -> Result<Definition, ApiError> {
    sandboxing::parse(draft).map_err(|problems| ApiError::invalid("invalid_definition", problems))
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
        path: Some(place_of(&agent.name)),
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
    let activity = activity(&api, Some(&name)).await.unwrap_or_else(|error| {
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
    let waiting = match depth(&api, &name).await {
        Ok(waiting) => waiting,
        Err(error) => {
            tracing::warn!(?error, "the messages of a removed agent cannot be counted");
            0
        }
    };
    Ok(Json(AgentRemoved { removed: true, waiting }))
}
