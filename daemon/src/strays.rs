//! Messages that are in another vault than the agent that they name. A vault is a border: who may write in one does not wake
//! the agents of another.

use reveille_backends::Remedy;

use crate::record::FailureRecord;
use crate::registry::{Agent, Registry};

/// Code of the failure.
pub(crate) const OTHER_VAULT: &str = "other_vault";

/// What is said on a message in `vault` whose agent lives elsewhere; `None` when it does not.
#[must_use]
pub(crate) fn word(registry: &Registry, vault: &str, agent: &str) -> Option<String> {
    let home = registry.get(agent)?.vault;
    (home.name() != vault).then(|| {
        format!(
            "the agent {agent:?} lives in the vault {:?} and is not woken from this one; write the message there, or send it \
             with `reveille send`",
            home.name()
        )
    })
}

/// Why a turn cannot go on that belongs to a note which has its name no longer.
#[must_use]
pub(crate) fn former(agent: &str) -> FailureRecord {
    FailureRecord {
        code: "agent_replaced".into(),
        message: format!("The work was cut off, and meanwhile another definition has the name {agent:?}."),
        next_step: "Send it again if the agent that has the name now should do it: it begins anew.".into(),
        remedy: Remedy::Permanent,
    }
}

/// Why a message that is in line already cannot be worked on: its agent was found in another vault later.
#[must_use]
pub(crate) fn failure(agent: &Agent, vault: &str) -> Option<FailureRecord> {
    let home = agent.vault.name();
    (home != vault).then(|| FailureRecord {
        code: OTHER_VAULT.into(),
        message: format!(
            "The message is in the vault {vault:?}, and the agent {:?} lives in the vault {home:?}.",
            agent.definition.name
        ),
        next_step: "Send it again: then it is written where the agent lives.".into(),
        remedy: Remedy::Permanent,
    })
}
