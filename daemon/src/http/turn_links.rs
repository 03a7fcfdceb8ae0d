//! Where the work of a turn came from, and what it led to.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use reveille_queue::Turn;
use reveille_vault::agent::Inbound;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Api;
use super::error::ApiError;
use super::turns::usd;
use super::wire::TurnState;

/// Turns of chains that are looked through for one answer.
const LOOKED_AT: u32 = 5000;
/// Begins the sender of what a turn has written.
const AGENT: &str = "agent:";

/// The turn that handed the work on.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = TurnParent)]
pub(super) struct Parent {
    agent: String,
    turn: Uuid,
}

/// A turn that was handed work by another one.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = TurnChild)]
pub(super) struct Child {
    agent: String,
    turn: Uuid,
    state: TurnState,
    cost_usd: f64,
}

/// The turn that a message is from.
pub(super) fn parent(message: &Inbound) -> Option<Parent> {
    // silent-ok: the daemon writes nothing else there; what is no turn has none.
    let turn = message.delegated_by.as_ref()?.parse().ok()?;
    let agent = message.sender.strip_prefix(AGENT)?.to_owned();
    Some(Parent { agent, turn })
}

/// How long a turn took, from its last claim to its end.
pub(super) fn duration_ms(turn: &Turn) -> Option<u64> {
    let span = |from: Timestamp, to: Timestamp| to.duration_since(from).as_millis();
    let took = span(turn.claimed_at?, turn.settled_at?);
    Some(u64::try_from(took).unwrap_or(0))
}

/// What turns of these chains have led to, by the turn that handed on.
pub(super) async fn children(
    api: &Api,
    chains: impl IntoIterator<Item = String>,
) -> Result<HashMap<Uuid, Vec<Child>>, ApiError> {
    let chains: BTreeSet<String> = chains.into_iter().collect();
    let mut children: HashMap<Uuid, Vec<Child>> = HashMap::new();
    if chains.is_empty() {
        return Ok(children);
    }
    for turn in api.queue.descendants(chains.into_iter().collect(), LOOKED_AT).await? {
        // silent-ok: a turn that cannot be read says so itself
        let message = serde_json::from_value::<Inbound>(turn.message.body.clone()).ok();
        let Some(parent) = message.as_ref().and_then(parent) else {
            continue;
        };
        children.entry(parent.turn).or_default().push(Child {
            agent: turn.message.lane.channel.to_string(),
            turn: turn.id,
            state: turn.state.into(),
            cost_usd: usd(turn.spend.nano_usd),
        });
    }
    Ok(children)
}
