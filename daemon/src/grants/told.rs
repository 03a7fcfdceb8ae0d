//! What is known of the wishes of an agent, as the registry shows it.

use super::ledger::Known;
use crate::registry::{Connection, Registry};

/// Tells it.
pub(super) fn tell(registry: &Registry, agent: &str, known: &[Known]) {
    registry.connect(agent, known.iter().map(connection).collect());
}

fn connection(known: &Known) -> Connection {
    Connection {
        key: known.want.key(),
        kind: known.want.kind(),
        target: known.want.target().to_owned(),
        status: known.status.as_str().to_owned(),
        grant_id: known.grant_id.clone(),
        reason: known.reason.clone(),
    }
}
