//! What is counted of processes that wait for the next message of their conversation.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Why a turn whose process may stay has not found one that had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Miss {
    /// None waited: it is the first message for a while, or others needed the place.
    None,
    /// It would be started otherwise now.
    Changed,
    /// It did not take the message.
    Unfit,
}

/// What becomes of a process that is started for a turn that may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// It came up and waits.
    Started,
    /// It did not come up.
    Failed,
    /// The turn came and ran in it.
    Used,
    /// It ended without a turn.
    Wasted,
}

impl Ahead {
    const ALL: [Self; 4] = [Self::Started, Self::Failed, Self::Used, Self::Wasted];

    fn outcome(self) -> Outcome {
        let outcome = match self {
            Self::Started => "started",
            Self::Failed => "failed",
            Self::Used => "used",
            Self::Wasted => "wasted",
        };
        Outcome { outcome }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// Figures of processes that wait. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct WarmFigures {
    hits: Counter,
    misses: Family<Reason, Counter>,
    processes: Gauge,
    ahead: Family<Outcome, Counter>,
}

/// A process that waits. Dropping it says that it does no longer.
pub(crate) struct Waiting(Gauge);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Miss {
    const ALL: [Self; 3] = [Self::None, Self::Changed, Self::Unfit];

    fn reason(self) -> Reason {
        let reason = match self {
            Self::None => "none",
            Self::Changed => "changed",
            Self::Unfit => "unfit",
        };
        Reason { reason }
    }
}

impl WarmFigures {
    pub(super) fn register(&self, registry: &mut Registry) {
        for miss in Miss::ALL {
            drop(self.misses.get_or_create(&miss.reason()));
        }
        for ahead in Ahead::ALL {
            drop(self.ahead.get_or_create(&ahead.outcome()));
        }
        registry.register(
            "prewarmed_processes",
            "Processes that were started for a turn before it had its place, by what became of them",
            self.ahead.clone(),
        );
        registry.register(
            "warm_hits",
            "Turns that ran in a process which had waited for them",
            self.hits.clone(),
        );
        registry.register(
            "warm_misses",
            "Turns that could have, and did not, by the reason",
            self.misses.clone(),
        );
        registry.register(
            "warm_processes",
            "Processes that wait for the next message of their conversation",
            self.processes.clone(),
        );
    }

    /// A turn ran in a process that had waited.
    pub(crate) fn hit(&self) {
        self.hits.inc();
    }

    /// A turn that could have did not.
    pub(crate) fn missed(&self, why: Miss) {
        self.misses.get_or_create(&why.reason()).inc();
    }

    /// A process was started for a turn that may come.
    pub(crate) fn ahead(&self, what: Ahead) {
        self.ahead.get_or_create(&what.outcome()).inc();
    }

    /// A process begins to wait.
    pub(crate) fn waits(&self) -> Waiting {
        self.processes.inc();
        Waiting(self.processes.clone())
    }
}
