//! `GET /api/agents/{name}/sandbox`: what an agent may reach, who says so, and what its last turns have tried to reach.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use reveille_vault::agent::Definition;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Api;
use super::agents::find;
use super::error::{ApiError, Segment};
use crate::sandboxing::{
    Effective, LimitsView, Lowered, Mount, Refused, Sandboxing, Source, WatchedTurn, filesystem_word, network_word,
};

/// A setting that counts, and who says so.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SandboxSetting)]
pub(super) struct Setting {
    /// `workspace` or `full`; `open`, `proxied` or `restricted`.
    value: &'static str,
    from: Source,
}

/// Whether the credential of Claude Code stays outside.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SandboxShield)]
pub(super) struct ShieldView {
    /// With true, turns have a placeholder, and the daemon adds the credential to their requests.
    value: bool,
    from: Source,
    /// Why turns would be refused now, and what to do: the credential that there is cannot stay outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    problem: Option<String>,
}

impl ShieldView {
    fn of(api: &Api, name: &str, effective: &Effective) -> Self {
        let value = effective.shield.value;
        let problem = value.then(|| api.claude.shield_problem(name)).flatten();
        Self {
            value,
            from: effective.shield.source,
            problem: problem.map(|failure| format!("{} {}", failure.message, failure.next_step)),
        }
    }
}

/// A directory that an agent has besides its own.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SandboxMount)]
pub(super) struct MountView {
    /// With all links followed.
    path: String,
    /// `ro` or `rw`.
    mode: &'static str,
}

impl From<&Mount> for MountView {
    fn from(mount: &Mount) -> Self {
        Self {
            path: mount.path.display().to_string(),
            mode: if mount.writable { "rw" } else { "ro" },
        }
    }
}

/// What one of the last turns has tried to reach through the daemon.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SandboxTurn)]
pub(super) struct TurnView {
    turn: Uuid,
    since_at: Timestamp,
    connections: Vec<Refused>,
}

impl From<&WatchedTurn> for TurnView {
    fn from(watched: &WatchedTurn) -> Self {
        Self {
            turn: watched.turn,
            since_at: watched.since,
            connections: watched.counts(),
        }
    }
}

/// What an agent may reach.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentSandbox {
    /// Name of the confinement: `none` confines nothing, and then nothing below holds.
    mode: &'static str,
    /// Whether turns are kept from anything at all.
    confined: bool,
    /// What they read.
    filesystem: Setting,
    /// What they reach.
    network: Setting,
    /// Where they work, with all links followed; null: in a directory of each conversation.
    #[schema(required)]
    workspace: Option<String>,
    mounts: Vec<MountView>,
    /// Hosts that they may reach besides the model's API, when the network is not open.
    egress: Vec<String>,
    /// What all turns can read besides the system.
    read: Vec<String>,
    shield: ShieldView,
    /// What one turn may take of the machine.
    limits: LimitsView,
    /// What the definition asks for and does not get.
    lowered: Vec<Lowered>,
    /// The last turns of this run of the daemon, the latest first. With an open network nothing is counted but
    /// the requests that the daemon adds a credential to.
    turns: Vec<TurnView>,
}

impl AgentSandbox {
    fn of(api: &Api, name: &str, effective: Effective) -> Self {
        let shield = ShieldView::of(api, name, &effective);
        Self {
            mode: api.sandbox.mode,
            confined: api.sandbox.confined,
            filesystem: Setting {
                value: filesystem_word(effective.filesystem.value),
                from: effective.filesystem.source,
            },
            network: Setting {
                value: network_word(effective.network.value),
                from: effective.network.source,
            },
            workspace: effective.workspace.map(|path| path.display().to_string()),
            mounts: effective.mounts.iter().map(MountView::from).collect(),
            egress: effective.egress.iter().map(ToString::to_string).collect(),
            read: effective.read.iter().map(|path| path.display().to_string()).collect(),
            shield,
            limits: api.sandboxing.limits(),
            lowered: effective.lowered,
            turns: api.sandboxing.watch().of(name).iter().map(TurnView::from).collect(),
        }
    }
}

/// What an agent may reach, who says so, and what its last turns have tried to reach.
#[utoipa::path(
    get, path = "/api/agents/{name}/sandbox", operation_id = "getAgentSandbox", tag = "agents",
    params(("name" = String, Path, description = "The agent.")),
    responses(
        (status = 200, description = "What counts for the next turn.", body = AgentSandbox),
        (status = 404, description = "There is no such agent: `unknown_agent`."),
        (status = 409, description = "Its definition does not hold together and never did: `no_definition`."),
    ),
)]
pub(super) async fn show(State(api): State<Api>, Segment(name): Segment) -> Result<Json<AgentSandbox>, ApiError> {
    let (definition, trusted) = defined(&api, &name)?;
    let effective = look(&api, move |sandboxing| sandboxing.effective_of(&definition, trusted)).await?;
    Ok(Json(AgentSandbox::of(&api, &name, effective)))
}

/// What counts as the agent's definition, and whether what was given to its name is meant for it.
///
/// # Errors
/// There is no such agent, or it never had one that holds together.
pub(super) fn defined(api: &Api, name: &str) -> Result<(Arc<Definition>, bool), ApiError> {
    let listed = find(api, name)?;
    let definition = listed.definition.ok_or_else(|| {
        let message = format!("The definition of {name} does not hold together, so nothing counts for it.");
        ApiError::new(http::StatusCode::CONFLICT, "no_definition", message)
            .then("Mend the note; `reveille agent show` tells what is wrong with it.")
    })?;
    let trusted = api.workers.context().trust.covers(&listed.vault, &definition);
    Ok((definition, trusted))
}

/// Looks at the disk, where links are followed.
///
/// # Errors
/// That is not possible.
pub(super) async fn look<T: Send + 'static>(
    api: &Api,
    work: impl FnOnce(&Sandboxing) -> T + Send + 'static,
) -> Result<T, ApiError> {
    let sandboxing = api.sandboxing.clone();
    tokio::task::spawn_blocking(move || work(&sandboxing))
        .await
        .map_err(|error| {
            tracing::error!(%error, "what an agent may reach could not be looked up");
            ApiError::new(
                http::StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "What the agent may reach could not be looked up.",
            )
        })
}
