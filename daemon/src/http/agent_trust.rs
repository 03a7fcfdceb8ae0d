//! What the operator has given to a name is meant for one note. Another one that has the name now gets it by a word from here.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::Api;
use super::agent_view::Agent;
use super::agents::{find, now};
use super::error::{ApiError, Segment};
use super::step_up::Sure;
use crate::registry;

/// Lets an agent have what was given to its name for another note: secrets, grants, and its table in the configuration.
#[utoipa::path(
    post, path = "/api/agents/{name}/trust", operation_id = "trustAgent", tag = "agents",
    params(("name" = String, Path, description = "The agent.")),
    responses(
        (status = 200, description = "The agent as it is now.", body = Agent),
        (status = 403, description = "It needs the PIN: `step_up_required`."),
        (status = 404, description = "There is no such agent: `unknown_agent`."),
    ),
)]
pub(super) async fn trust(State(api): State<Api>, _: Sure, Segment(name): Segment) -> Result<Json<Agent>, ApiError> {
    // Also one that waits for its name is told how it stands.
    find(&api, &name)?;
    if let Some(agent) = api.registry.get(&name) {
        give(&api, &agent)?;
    }
    Ok(Json(now(&api, &name).await?))
}

fn give(api: &Api, agent: &registry::Agent) -> Result<(), ApiError> {
    let (trust, name) = (&api.workers.context().trust, &agent.definition.name);
    trust.give(agent.vault.name(), &agent.definition).map_err(|error| {
        let message = format!("It cannot be written down that {name} is trusted ({error})");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "trust_unavailable", message)
            .then("Nothing has changed for the agent. See `reveille doctor`, then try again.")
    })?;
    tracing::info!(name, note = %agent.definition.note, "what is given to a name is meant for the note that has it");
    api.inbox.look_at_trust(std::slice::from_ref(name));
    Ok(())
}

/// Whether something may be given to a name. Where something older is kept from the agent that has it, that is decided first.
///
/// # Errors
/// 409; nothing was given.
pub(super) fn may_give(api: &Api, name: &str) -> Result<(), ApiError> {
    api.inbox.look_at_trust(&[name.to_owned()]);
    let withheld = api.registry.withheld(name);
    if withheld.is_empty() {
        return Ok(());
    }
    let message = format!(
        "What was given to the name {name} before was for another note, and the agent that has the name now does not get it: {}",
        withheld.join(", ")
    );
    Err(ApiError::new(StatusCode::CONFLICT, "name_withheld", message).then(
        "Nothing was stored. Let the agent have all of it with `reveille agent trust NAME`, or take the old ones away first.",
    ))
}

/// Something was given to a name: it is for the agent that has it.
///
/// # Errors
/// That cannot be written down. What was given is stored all the same.
pub(super) fn given(api: &Api, name: &str) -> Result<(), ApiError> {
    match api.registry.get(name) {
        Some(agent) => give(api, &agent),
        None => Ok(()),
    }
}

/// Something was taken from a name.
pub(super) fn taken(api: &Api, name: Option<&str>) {
    if let Some(name) = name {
        api.inbox.look_at_trust(&[name.to_owned()]);
    }
}
