//! What tells the rows of a figure apart.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use http::Method;
use prometheus_client::encoding::EncodeLabelSet;

use super::AGENTS_MAX;

/// What all agents are called that have no row of their own.
pub(super) const OTHER: &str = "other";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfAgent {
    pub(super) agent: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Turn {
    pub(super) agent: String,
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Tokens {
    pub(super) agent: String,
    pub(super) kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Code {
    pub(super) code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfStage {
    pub(super) stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Decision {
    pub(super) decision: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfDenial {
    pub(super) kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) route: String,
    pub(super) status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfVault {
    pub(super) vault: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Breaker {
    pub(super) vault: String,
    pub(super) state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfBridge {
    pub(super) bridge: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BridgeState {
    pub(super) bridge: String,
    pub(super) state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Stream {
    pub(super) stream: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Trace {
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Build {
    pub(super) version: &'static str,
}

/// What the sandbox keeps a turn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    /// A connection.
    Egress,
    /// Memory: a process was ended.
    Memory,
    /// Another process or thread.
    Processes,
}

impl Denial {
    pub(super) const ALL: [Self; 3] = [Self::Egress, Self::Memory, Self::Processes];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Egress => "egress",
            Self::Memory => "memory",
            Self::Processes => "processes",
        }
    }
}

/// What becomes of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TraceOutcome {
    /// The collector has it.
    Exported,
    /// The collector does not want it.
    Rejected,
    /// It did not get to the collector.
    Failed,
    /// It was left out: there was no room, or what it is made from could not be read.
    Dropped,
}

impl TraceOutcome {
    pub(super) const ALL: [Self; 4] = [Self::Exported, Self::Rejected, Self::Failed, Self::Dropped];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// A stage of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// From the acceptance of the message to the claim, of turns that were not begun before.
    Wait,
    /// From the claim to the prompt: the child has started.
    Start,
    /// From the prompt to the result, further attempts included.
    Run,
    /// From the result to the reply note, and whatever else is left, in the vault; not of those that the vault takes later.
    Deliver,
}

impl Stage {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Start => "start",
            Self::Run => "run",
            Self::Deliver => "deliver",
        }
    }
}

/// Agents that have rows of their own.
pub(super) struct Agents(pub(super) RwLock<HashSet<String>>);

impl Agents {
    /// The name of an agent's row.
    pub(super) fn row(&self, agent: &str) -> String {
        if self.0.read().unwrap_or_else(PoisonError::into_inner).contains(agent) {
            return agent.to_owned();
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= AGENTS_MAX && !known.contains(agent) {
            return OTHER.to_owned();
        }
        known.insert(agent.to_owned());
        agent.to_owned()
    }
}

/// Clients may make up methods; those do not have rows.
pub(super) fn method_word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn agents_do_not_make_rows_without_end() {
        let agents = Agents(RwLock::default());
        let rows: HashSet<String> = (0..10 * AGENTS_MAX).map(|n| agents.row(&format!("a{n}"))).collect();
        assert_eq!(rows.len(), AGENTS_MAX + 1);
        assert!(rows.contains(OTHER));
        assert_eq!(agents.row("a0"), "a0");
    }
}
