//! How long a task leaves the hub alone after it failed.

use std::time::Duration;

/// The first pause, and the longest. A hub that was restarted is found soon; one that is away costs two requests an hour.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// Share of a pause that chance takes off, so that many daemons do not come back together.
const JITTER: f64 = 0.2;

/// Pauses that double.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// The pause after another failure. `chance` is between 0 and 1.
    #[must_use]
    pub(crate) fn failed(&mut self, chance: f64) -> Duration {
        let pause = self.next.mul_f64(1.0 - JITTER * chance.clamp(0.0, 1.0));
        self.next = (self.next * 2).min(LONGEST);
        pause
    }

    /// It worked: the next pause is the first one.
    pub(crate) fn worked(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn pauses_double_up_to_half_an_hour_and_chance_takes_a_fifth() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u64> = (0..11).map(|_| backoff.failed(0.0).as_secs()).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800]);
        assert_eq!(backoff.failed(1.0), Duration::from_secs(1440));
        backoff.worked();
        assert_eq!(backoff.failed(1.0), Duration::from_secs(4));
    }
}
