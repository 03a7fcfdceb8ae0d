//! What time it is: injected, so that a test can live through a year in seconds.

use jiff::Timestamp;
use reveille_vault::note::millis;

/// A clock that may be put forward and back.
pub(crate) trait Clock: Send + Sync + 'static {
    /// The time, in whole milliseconds as everything that is stored.
    fn now(&self) -> Timestamp;
}

/// That of the machine.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        millis::truncate(Timestamp::now())
    }
}
