//! How long a stop may take, and what happens when it takes longer.
//!
//! Running turns get some time to end, then they are ended and go back in line. Whatever clients and programs do, the
//! process is gone at the end of its time: what was not finished then is dealt with by the next start, as after a crash.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use reveille_backends::sweep;
use tokio_util::sync::CancellationToken;

/// For running turns, when nothing else is said.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// To end what still runs then, deliver the last replies, and say goodbye to clients.
const ENDING: Duration = Duration::from_secs(30);
/// The supervisor of a hub kills five seconds after it asked for a stop. This leaves some of it.
const SUPERVISED: Duration = Duration::from_millis(4500);
/// What running turns get of that.
const SUPERVISED_PATIENCE: Duration = Duration::from_secs(1);
/// Clients are told that long before the end, also when turns still run.
const GOODBYE: Duration = Duration::from_secs(1);
/// To end the programs of turns when the time is over.
const SWEEP: Duration = Duration::from_millis(300);
/// What the supervisor of a hub gives to the programs that it starts, both of them.
const SUPERVISOR: [&str; 2] = ["PORT", "PARACHUTE_HUB_ORIGIN"];

/// The time of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    /// For running turns to end by themselves.
    pub(crate) patience: Duration,
    /// For everything.
    whole: Duration,
}

impl Budget {
    /// As the operator said, else as short as a hub's supervisor wants it, else long.
    #[must_use]
    pub(crate) fn of(drain: Option<Duration>, environment: &[(OsString, OsString)]) -> Self {
        let set = |name: &str| {
            let mut all = environment.iter();
            all.any(|(key, value)| key == OsStr::new(name) && !value.is_empty())
        };
        match drain {
            None if SUPERVISOR.into_iter().all(set) => Self {
                patience: SUPERVISED_PATIENCE,
                whole: SUPERVISED,
            },
            drain => {
                let patience = drain.unwrap_or(PATIENCE);
                Self {
                    patience,
                    whole: patience.saturating_add(ENDING),
                }
            }
        }
    }

    /// For everything.
    #[must_use]
    pub(crate) fn whole(self) -> Duration {
        self.whole
    }

    /// Waits until the time of a stop is over that began with `drain`; a moment before, `closing` tells the clients.
    pub(crate) async fn is_over(self, drain: CancellationToken, closing: CancellationToken) {
        drain.cancelled().await;
        tokio::time::sleep(self.whole.saturating_sub(GOODBYE)).await;
        closing.cancel();
        tokio::time::sleep(GOODBYE).await;
    }
}

/// Ends what is left when the time is over.
pub(crate) async fn give_up(instance: &str) {
    tracing::error!(
        "the stop took too long: what still runs is killed, and the next start deals with it as after a crash"
    );
    match tokio::time::timeout(SWEEP, sweep("REVEILLE_INSTANCE", instance)).await {
        Ok(swept) if swept.left.is_empty() => {}
        _ => tracing::error!("programs of turns may still run; the next start ends them"),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn budget(drain: Option<u64>, environment: &[(&str, &str)]) -> (u64, u128) {
        let pairs = environment.iter();
        let environment: Vec<_> = pairs.map(|(name, value)| (name.into(), value.into())).collect();
        let budget = Budget::of(drain.map(Duration::from_secs), &environment);
        (budget.patience.as_secs(), budget.whole.as_millis())
    }

    #[test]
    fn a_supervisor_has_little_time_and_an_operator_the_last_word() {
        let hub = [("PORT", "1"), ("PARACHUTE_HUB_ORIGIN", "http://h")];
        for (drain, environment, expected) in [
            (None, &[][..], (300, 330_000)),
            (None, &hub[..], (1, 4500)),
            (None, &hub[..1], (300, 330_000)),
            (None, &hub[1..], (300, 330_000)),
            (None, &[("PORT", ""), hub[1]], (300, 330_000)),
            (Some(10), &[], (10, 40_000)),
            (Some(10), &hub, (10, 40_000)),
        ] {
            assert_eq!(budget(drain, environment), expected, "{drain:?} {environment:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn clients_are_told_before_the_end() {
        let (drain, closing) = (CancellationToken::new(), CancellationToken::new());
        let budget = Budget::of(Some(Duration::from_secs(10)), &[]);
        let over = tokio::spawn(budget.is_over(drain.clone(), closing.clone()));
        drain.cancel();
        let begun = tokio::time::Instant::now();
        closing.cancelled().await;
        assert_eq!((begun.elapsed(), over.is_finished()), (Duration::from_secs(39), false));
        over.await.unwrap();
        assert_eq!(begun.elapsed(), Duration::from_secs(40));
    }
}
