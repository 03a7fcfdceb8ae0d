//! `GET /api/agents/{name}/sandbox/policy`: what a turn of an agent may reach, whole, so that a command can be run like it.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use reveille_vault::agent::{BackendKind, Want};

use super::Api;
use super::agent_sandbox::{defined, look};
use super::error::{ApiError, Segment};
use crate::grants::{GrantStatus, addresses_of};
use crate::sandboxing::{Reach, Rehearsal, Surroundings};

/// What a turn of an agent may reach, with everything that is hidden.
///
/// For `reveille sandbox run --agent`, which confines a command like it: it is of use on the daemon's own machine. There is no
/// secret in it.
#[utoipa::path(
    get, path = "/api/agents/{name}/sandbox/policy", operation_id = "getAgentSandboxPolicy", tag = "agents",
    params(("name" = String, Path, description = "The agent.")),
    responses(
        (status = 200, description = "What counts for the next turn.", body = Rehearsal),
        (status = 404, description = "There is no such agent: `unknown_agent`."),
        (status = 409, description = "Its definition does not hold together and never did: `no_definition`; the daemon runs no \
            turns of it: `attached`; turns are confined nowhere here: `not_confined`."),
    ),
)]
pub(super) async fn show(State(api): State<Api>, Segment(name): Segment) -> Result<Json<Rehearsal>, ApiError> {
    let (definition, trusted) = defined(&api, &name)?;
    if definition.backend != BackendKind::Programmatic {
        let message =
            format!("{name} is attached: its turns run in a session of yours, which the daemon does not confine.");
        return Err(ApiError::new(StatusCode::CONFLICT, "attached", message)
            .then("Nothing was run. What such a session may reach is what its own user may."));
    }
    if !api.sandbox.confined {
        let message = "Turns are not confined here: `mode = \"none\"` under [sandbox] in the configuration.";
        return Err(ApiError::new(StatusCode::CONFLICT, "not_confined", message)
            .then("Nothing was run. What turns may do is what a shell of the daemon's user may do."));
    }
    let granted = match trusted {
        true => Granted::of(&api, &name),
        false => Granted::default(),
    };
    let variables = match api.sandboxing.shields(&name, trusted) {
        // Then the daemon asks in the turn's place.
        true => Vec::new(),
        false => api_address(&api, &name, trusted)?,
    };
    let (policy, workspace) = look(&api, move |sandboxing| {
        let effective = sandboxing.effective_of(&definition, trusted);
        let mut policy = sandboxing.standing(&effective);
        granted.reach.open(&mut policy);
        let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        sandboxing.follow_variables(&mut policy, variables);
        policy.writable.extend(effective.workspace.clone());
        ((policy, granted.left_out), effective.workspace)
    })
    .await?;
    let (policy, left_out) = policy;
    let around = Surroundings {
        program: api.claude.program(),
        base_env: api.claude.base_env(),
        url: api.url.to_string(),
        left_out,
    };
    Ok(Json(Rehearsal::new(policy, workspace, around)))
}

/// The variables that say where the agent's program is sent.
fn api_address(api: &Api, name: &str, trusted: bool) -> Result<Vec<(String, String)>, ApiError> {
    let mut all = api.claude.config().env.clone();
    let contents = api.credentials.read()?;
    let stored = match trusted {
        true => contents.variables(name),
        false => contents.variables_of_all(),
    };
    all.extend(stored.set.into_iter().map(|(name, (_, value))| (name, value)));
    Ok(all.into_iter().collect())
}

/// What an agent was granted.
#[derive(Default)]
struct Granted {
    reach: Reach,
    left_out: Vec<String>,
}

impl Granted {
    /// As it is known without asking anybody. What roles bring is known only when a turn has read them.
    fn of(api: &Api, agent: &str) -> Self {
        let mut granted = Self::default();
        let all = api.grants.all().into_iter();
        let own = all.filter(|(holder, of_agent, _)| *of_agent && holder == agent);
        for known in own.flat_map(|(_, _, known)| known) {
            if known.status != GrantStatus::Approved {
                continue;
            }
            match &known.want {
                Want::Vault { name, .. } if api.vaults.get(name).is_some() => {}
                want => match addresses_of(want) {
                    Some(urls) => urls.into_iter().for_each(|url| granted.add(url, want)),
                    None => granted.left_out.push(want.key()),
                },
            }
        }
        granted
    }

    fn add(&mut self, url: &str, want: &Want) {
        if let Err(error) = self.reach.grant(url) {
            tracing::debug!(%error, "the address of something that was granted names no host");
            self.left_out.push(want.key());
        }
    }
}
