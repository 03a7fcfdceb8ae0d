//! How long the stages of a turn take that its child makes.

use std::sync::{Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use reveille_backends::FailureCode;
use tokio::time::Instant;

use crate::metrics::{Metrics, Stage};
use crate::traces::Attempt;

/// Of one claim.
pub(super) struct Clock {
    metrics: Metrics,
    claimed_at: Timestamp,
    /// When the first child was given the prompt.
    prompted: OnceLock<Instant>,
    /// When the last child gave its result.
    answered: Mutex<Option<(Instant, Timestamp)>>,
    attempt: Attempt,
}

impl Clock {
    /// Of a claim of that time.
    pub(super) fn new(metrics: Metrics, claimed_at: Timestamp, attempt: Attempt) -> Self {
        Self {
            metrics,
            claimed_at,
            prompted: OnceLock::new(),
            answered: Mutex::default(),
            attempt,
        }
    }

    /// A child has started and is about to be given the prompt. Only the first one counts; what another one gave before is not
    /// the result.
    pub(super) fn prompted(&self) {
        self.result(None);
        self.attempt.prompted();
        if self.prompted.set(Instant::now()).is_ok() {
            self.metrics.took_since(Stage::Start, self.claimed_at);
        }
    }

    /// A child says something.
    pub(super) fn spoke(&self) {
        self.attempt.spoke();
    }

    /// A child has given its result. Without a prompt it is none of the message.
    pub(super) fn answered(&self) {
        if self.prompted.get().is_some() {
            self.result(Some((Instant::now(), Timestamp::now())));
        }
    }

    /// Another attempt begins after a failure of the API: what the one before gave is not the result.
    pub(super) fn retried(&self, code: FailureCode) {
        self.metrics.retried();
        self.attempt.retried(code);
        self.result(None);
    }

    /// Puts another result in the place of the one that was there.
    fn result(&self, result: Option<(Instant, Timestamp)>) -> Option<(Instant, Timestamp)> {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *answered, result)
    }

    /// The last child has ended. Answers when it gave its result, if it did.
    pub(super) fn ended(&self) -> Option<Timestamp> {
        let answered = self.result(None);
        let (end, at) = answered.unwrap_or_else(|| (Instant::now(), Timestamp::now()));
        self.attempt.ran(at);
        if let Some(begin) = self.prompted.get() {
            self.metrics.took(Stage::Run, end.saturating_duration_since(*begin));
        }
        answered.map(|(_, at)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_result_is_that_of_the_last_child_that_was_given_the_prompt() {
        let clock = Clock::new(Metrics::new(), Timestamp::now(), Attempt::default());
        // A child that does not know its session says so before it is given anything.
        clock.answered();
        assert_eq!(clock.ended(), None);
        clock.prompted();
        clock.answered();
        let (answered, _) = (clock.ended(), clock.answered());
        assert!(answered.is_some());
        clock.retried(FailureCode::Overloaded);
        assert_eq!(clock.ended(), None);
        clock.answered();
        clock.prompted();
        assert_eq!(clock.ended(), None);
    }
}
