//! How the peer stands: a breaker. A peer that does not answer is left alone for a while, then asked once, and left alone for
//! longer.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::store::VaultState;

/// The first pause, and the longest. Short enough that a person who has mended something need not wait for long.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);
/// Share of a pause that chance takes off, so that many who wait for one peer do not come back together.
const JITTER: f64 = 0.2;
/// Failures in a row after which the peer is left alone.
const FAILURES: u32 = 3;

/// What a failure says about the requests that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// This one request may be to blame: a 500, a slow answer.
    Once,
    /// The next one will not fare better: nobody listens, the token is refused.
    Lasting,
}

#[derive(Debug)]
struct Standing {
    /// In a row.
    failures: u32,
    /// Of the last failure; none when the last request was answered.
    reason: Option<String>,
    /// When the failures began; before the first answer, when the vault was opened.
    since: Timestamp,
    /// The peer has answered since the vault was opened.
    known: bool,
    /// Until then it is left alone.
    until: Option<Instant>,
    /// The next pause, before chance.
    pause: Duration,
}

/// The breaker of one peer, on the clock of the runtime.
#[derive(Debug)]
pub(super) struct Health {
    standing: Mutex<Standing>,
}

impl Health {
    /// Of a peer that has not been asked yet.
    pub(super) fn new() -> Self {
        let standing = Standing {
            failures: 0,
            reason: None,
            since: Timestamp::now(),
            known: false,
            until: None,
            pause: FIRST,
        };
        Self {
            standing: Mutex::new(standing),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the peer may be asked now; else the reason why not. After a pause one request may go, and until it is
    /// answered, or `patience` is over, no other.
    ///
    /// # Errors
    /// Why the peer is left alone.
    pub(super) fn admit(&self, patience: Duration) -> Result<(), String> {
        let mut standing = self.lock();
        let now = Instant::now();
        match standing.until {
            Some(until) if until > now => Err(standing.reason.clone().unwrap_or_default()),
            Some(_) => {
                standing.until = Some(now + patience);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The peer answered what can be understood. True when it had not before.
    pub(super) fn answered(&self) -> bool {
        let mut standing = self.lock();
        let back = standing.reason.is_some() || !standing.known;
        standing.failures = 0;
        standing.reason = None;
        standing.known = true;
        standing.until = None;
        standing.pause = FIRST;
        back
    }

    /// The peer did not answer, or nothing that can be used. `chance` is between 0 and 1. True when it is left alone from
    /// now on.
    pub(super) fn failed(&self, severity: Severity, chance: f64, reason: &str) -> bool {
        let mut standing = self.lock();
        if standing.reason.is_none() {
            standing.since = Timestamp::now();
        }
        standing.failures = standing.failures.saturating_add(1);
        standing.reason = Some(reason.to_owned());
        let was_open = standing.until.is_some();
        if severity == Severity::Once && standing.failures < FAILURES && !was_open {
            return false;
        }
        let pause = standing.pause.mul_f64(1.0 - JITTER * chance.clamp(0.0, 1.0));
        standing.until = Some(Instant::now() + pause);
        standing.pause = (standing.pause * 2).min(LONGEST);
        !was_open
    }

    /// How long the peer is left alone.
    pub(super) fn rest(&self) -> Duration {
        let now = Instant::now();
        self.lock()
            .until
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// For people.
    pub(super) fn state(&self) -> VaultState {
        let standing = self.lock();
        let since = standing.since;
        match (&standing.reason, standing.until) {
            (Some(reason), Some(_)) => VaultState::Unavailable {
                reason: reason.clone(),
                since,
            },
            (Some(reason), None) => VaultState::Degraded {
                reason: reason.clone(),
                since,
            },
            (None, _) if standing.known => VaultState::Ready,
            (None, _) => VaultState::Degraded {
                reason: "it has not answered yet since the start; what was known of it is used".into(),
                since,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn kind(health: &Health) -> &'static str {
        match health.state() {
            VaultState::Ready => "ready",
            VaultState::Degraded { .. } => "degraded",
            VaultState::Unavailable { .. } => "unavailable",
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_failure_is_told_and_three_open_it() {
        let health = Health::new();
        assert_eq!(kind(&health), "degraded");
        assert!(health.answered());
        assert_eq!(kind(&health), "ready");
        for expected in ["degraded", "degraded", "unavailable"] {
            assert_eq!(health.admit(PATIENCE), Ok(()));
            health.failed(Severity::Once, 0.0, "no");
            assert_eq!(kind(&health), expected);
        }
        assert_eq!(health.admit(PATIENCE), Err("no".into()));
        tokio::time::advance(FIRST).await;
        // One may ask, and nobody else until that is over.
        assert_eq!(health.admit(PATIENCE), Ok(()));
        assert_eq!(health.admit(PATIENCE), Err("no".into()));
        assert!(health.answered());
        assert_eq!((kind(&health), health.admit(PATIENCE)), ("ready", Ok(())));
        assert!(!health.answered());
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_the_longest() {
        let health = Health::new();
        let mut pauses = Vec::new();
        for _ in 0..9 {
            health.failed(Severity::Lasting, 0.0, "no");
            pauses.push(health.rest().as_millis());
            tokio::time::advance(health.rest()).await;
            assert_eq!(health.admit(PATIENCE), Ok(()));
        }
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        health.failed(Severity::Lasting, 1.0, "no");
        assert_eq!(health.rest(), LONGEST.mul_f64(0.8));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_was_forgotten_does_not_hold_it_open_for_ever() {
        let health = Health::new();
        health.failed(Severity::Lasting, 0.0, "no");
        tokio::time::advance(FIRST).await;
        assert_eq!(health.admit(PATIENCE), Ok(()));
        tokio::time::advance(PATIENCE).await;
        assert_eq!(health.admit(PATIENCE), Ok(()));
    }
}
