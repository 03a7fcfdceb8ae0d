//! Agents: what the definitions amount to, and writing definitions.

use std::collections::HashMap;

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use reveille_queue::{DayTotals, Overview, Pause};
use reveille_vault::agent::{BackendKind, DEFINED_BY, DEFINES_AGENTS, Definition, Problem, tag};
use reveille_vault::{Key, Metadata, NewNote, Note, NoteId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::agent_settings::{problems, settings, warnings};
use super::error::{ApiError, Body, Segment};
use super::pauses;
use super::turns::usd;
use super::{Api, Caller};
use crate::crash;
use crate::inbox::shown;
use crate::registry::Listed;
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
    })
}

/// The beginning of a role.
pub(super) fn preview(definition: &Definition) -> String {
    shown(definition.prompt.as_deref().unwrap_or_default(), PREVIEW_CHARS)
}

fn view(api: &Api, listed: &Listed, activity: &Activity) -> Value {
    let connections = listed.live.then(|| api.registry.connections(&listed.name));
    let mut view = json!({
        "name": listed.name,
        "vault": listed.vault,
        "note_id": listed.note,
        "status": "error",
        "waiting": 0,
        "cost_usd": 0.0,
        "cost_today_usd": activity.today.get(&listed.name).map_or(0.0, |today| usd(today.nano_usd)),
        "prompt_preview": "",
        "problems": problems(listed),
        "warnings": warnings(listed),
        "connections": connections.unwrap_or_default(),
    });
    if let Some(definition) = &listed.definition {
        view["prompt_preview"] = preview(definition).into();
        view["mode"] = definition.mode.as_str().into();
        if let Some(model) = &definition.model {
            view["model"] = model.as_str().into();
        }
        if definition.defines_agents {
            view[DEFINES_AGENTS] = true.into();
        }
        if let Some(by) = &definition.defined_by {
            view[DEFINED_BY] = by.as_str().into();
        }
    }
    if !listed.stamp.detail.is_empty() {
        view["status_detail"] = listed.stamp.detail.as_str().into();
    }
    if !listed.live {
        return view;
    }
    view["status"] = "idle".into();
    if let Some(overview) = activity.overviews.get(&listed.name) {
        view["waiting"] = overview.waiting.into();
        view["cost_usd"] = usd(overview.spend.nano_usd).into();
        view["turns"] = overview.turns.into();
        if overview.waiting > 0 {
            view["status"] = "queued".into();
        }
        if let Some((turn, outcome, ended_at)) = &overview.last {
            view["last_turn"] = json!({ "turn": turn, "outcome": outcome, "ended_at": ended_at });
        }
    }
    if listed
        .definition
        .as_ref()
        .is_some_and(|one| one.backend == BackendKind::Attached)
    {
        view["status"] = "pending".into();
    }
    if let Some((turn, live)) = activity.live.get(&listed.name).and_then(|turns| turns.first()) {
        view["status"] = "working".into();
        view["running"] = json!({ "turn": turn, "since_at": live.since, "message": live.note });
    }
    // A turn that runs goes on to its end; nothing follows it.
    if let Some(paused) = pauses::of(listed.definition.as_deref(), activity.pauses.get(&listed.name)) {
        view["status"] = "paused".into();
        view["status_detail"] = paused.detail().into();
        view["pause"] = json!(paused);
    }
    // It goes on as it was, but not as the note says.
    if listed.stamp.status == "error" {
        view["status"] = "error".into();
        view["status_detail"] = listed.stamp.detail.as_str().into();
    }
    view
}

/// The agent as it is now.
pub(super) async fn now(api: &Api, name: &str) -> Result<Value, ApiError> {
    Ok(view(api, &find(api, name)?, &activity(api).await?))
}

/// What turns are not shown: their business is to reach the others.
const NOT_FOR_TURNS: [&str; 1] = ["connections"];

/// `GET /api/agents`
pub(super) async fn list(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, ApiError> {
    let activity = activity(&api).await?;
    let listed = api.registry.list();
    let mut agents: Vec<Value> = listed.iter().map(|one| view(&api, one, &activity)).collect();
    if let Caller::Turn(_) = caller {
        let views = agents.iter_mut().filter_map(Value::as_object_mut);
        views.for_each(|view| view.retain(|key, _| !NOT_FOR_TURNS.contains(&key.as_str())));
    }
    let mut waiting: Vec<_> = activity
        .overviews
        .values()
        .filter(|overview| overview.waiting > 0 && api.registry.get(overview.channel.as_str()).is_none())
        .map(|overview| json!({ "channel": overview.channel, "messages": overview.waiting }))
        .collect();
    waiting.sort_by_key(ToString::to_string);
    Ok(Json(json!({ "agents": agents, "waiting": waiting })))
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

/// `GET /api/agents/{name}`
pub(super) async fn show(State(api): State<Api>, Segment(name): Segment) -> Result<Json<Value>, ApiError> {
    let listed = find(&api, &name)?;
    let mut view = view(&api, &listed, &activity(&api).await?);
    if let Some(definition) = &listed.definition {
        view["prompt"] = definition.prompt.as_deref().into();
        view["path"] = definition.path.as_deref().into();
        view["settings"] = settings(definition, api.claude.config());
    }
    Ok(Json(view))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAgent {
    name: String,
    #[serde(default)]
    prompt: String,
    model: Option<String>,
    #[serde(default)]
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

/// `POST /api/agents`: checked before anything is written.
pub(super) async fn create(
    State(api): State<Api>,
    Body(agent): Body<NewAgent>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
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
        Err(_) => json!({ "name": name, "vault": vault.name(), "note_id": note.id, "status": "pending" }),
    };
    Ok((StatusCode::CREATED, Json(made)))
}

/// `DELETE /api/agents/{name}`: removes the definition note. What is in line waits for an agent of that name.
pub(super) async fn remove(State(api): State<Api>, Segment(name): Segment) -> Result<Json<Value>, ApiError> {
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
    Ok(Json(json!({ "removed": true, "waiting": waiting })))
}
