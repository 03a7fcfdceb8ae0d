//! How long the stages of a turn take that its child makes.

use std::sync::OnceLock;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::metrics::{Metrics, Stage};
use crate::traces::Attempt;

/// Of one claim.
pub(super) struct Clock {
    metrics: Metrics,
    claimed_at: Timestamp,
    /// When the first child was given the prompt.
    prompted: OnceLock<Instant>,
    attempt: Attempt,
}

impl Clock {
    /// Of a claim of that time.
    pub(super) fn new(metrics: Metrics, claimed_at: Timestamp, attempt: Attempt) -> Self {
        Self {
            metrics,
            claimed_at,
            prompted: OnceLock::new(),
            attempt,
        }
    }

    /// A child has started and is about to be given the prompt. Only the first one counts.
    pub(super) fn prompted(&self) {
        self.attempt.prompted();
        if self.prompted.set(Instant::now()).is_ok() {
            self.metrics.took_since(Stage::Start, self.claimed_at);
        }
    }

    /// A child says something.
    pub(super) fn spoke(&self) {
        self.attempt.spoke();
    }

    /// The last child has ended.
    pub(super) fn ended(&self) {
        self.attempt.ran();
        if let Some(begin) = self.prompted.get() {
            self.metrics.took(Stage::Run, begin.elapsed());
        }
    }
}
