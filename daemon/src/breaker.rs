//! Breakers: a peer that does not answer is left alone for a while, then asked once, and again left alone for longer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::attempts::chance;

/// The first pause.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// Share of a pause that chance may take off, so that many who wait for one peer do not come back together.
const JITTER: f64 = 0.2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    Probing,
}

/// How a peer may be asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As usual.
    Free,
    /// One request, which shows whether it answers again.
    Probe,
    /// Not before that moment.
    Never(Instant),
}

/// The breaker of one peer. Pure: told the time and the chance.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: State,
    /// The next pause, before chance.
    pause: Duration,
    last_error: Option<String>,
}

impl Breaker {
    /// Closed: the peer answers.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self {
            state: State::Closed,
            pause: FIRST,
            last_error: None,
        }
    }

    /// How the peer may be asked.
    #[must_use]
    pub(crate) fn pace(&self, now: Instant) -> Pace {
        match self.state {
            State::Closed => Pace::Free,
            State::Open { until } if until > now => Pace::Never(until),
            State::Open { .. } | State::Probing => Pace::Probe,
        }
    }

    /// The one request is under way.
    pub(crate) fn probe(&mut self) {
        if self.state != State::Closed {
            self.state = State::Probing;
        }
    }

    /// The peer answered, whatever it said. True when it had not before.
    pub(crate) fn answered(&mut self) -> bool {
        let was_closed = self.state == State::Closed;
        *self = Self::new();
        !was_closed
    }

    /// The peer did not answer. `chance` is between 0 and 1.
    pub(crate) fn failed(&mut self, now: Instant, chance: f64, error: String) {
        let pause = self.pause.mul_f64(1.0 - JITTER * chance.clamp(0.0, 1.0));
        self.state = State::Open { until: now + pause };
        self.pause = (self.pause * 2).min(LONGEST);
        self.last_error = Some(error);
    }

    /// A person wants to know: the pause ends now. The next one is as long as it would have been.
    pub(crate) fn hasten(&mut self, now: Instant) {
        if let State::Open { until } = &mut self.state {
            *until = now.min(*until);
        }
    }
}

/// How a breaker stands, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = VaultDeliveries)]
pub(crate) struct View {
    /// The peer.
    #[serde(skip)]
    pub(crate) vault: String,
    /// `closed`, `open` or `probing`.
    pub(crate) state: &'static str,
    /// End of the pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until_at: Option<Timestamp>,
    /// Why it is not closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<String>,
}

/// The peers that are left alone now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Their names.
    pub(crate) names: Vec<String>,
    /// When the first pause ends.
    pub(crate) until: Option<Instant>,
}

/// A breaker for each peer, on the clock of the runtime. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Breakers {
    all: Arc<Mutex<BTreeMap<String, Breaker>>>,
}

impl Breakers {
    /// Closed ones for the known peers; others come when they fail.
    #[must_use]
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let all = names
            .into_iter()
            .map(|name| (name.to_owned(), Breaker::new()))
            .collect();
        Self {
            all: Arc::new(Mutex::new(all)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Breaker>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is left alone now.
    #[must_use]
    pub(crate) fn held(&self) -> Held {
        let now = Instant::now();
        let mut held = Held::default();
        for (name, breaker) in &*self.lock() {
            if let Pace::Never(until) = breaker.pace(now) {
                held.names.push(name.clone());
                held.until = Some(held.until.map_or(until, |first| first.min(until)));
            }
        }
        held
    }

    /// Who did not answer when last asked, also while it is being asked again.
    #[must_use]
    pub(crate) fn silent(&self) -> Vec<String> {
        let is_silent = |breaker: &Breaker| breaker.state != State::Closed;
        let all = self.lock();
        let silent = all.iter().filter(|(_, breaker)| is_silent(breaker));
        silent.map(|(name, _)| name.clone()).collect()
    }

    /// How a peer may be asked.
    #[must_use]
    pub(crate) fn pace(&self, name: &str) -> Pace {
        let pace = |breaker: &Breaker| breaker.pace(Instant::now());
        self.lock().get(name).map_or(Pace::Free, pace)
    }

    /// The one request is under way.
    pub(crate) fn probe(&self, name: &str) {
        if let Some(breaker) = self.lock().get_mut(name) {
            breaker.probe();
        }
    }

    /// See [`Breaker::answered`].
    pub(crate) fn answered(&self, name: &str) -> bool {
        self.lock().get_mut(name).is_some_and(Breaker::answered)
    }

    /// See [`Breaker::failed`].
    pub(crate) fn failed(&self, name: &str, error: String) {
        self.lock()
            .entry(name.to_owned())
            .or_insert_with(Breaker::new)
            .failed(Instant::now(), chance(), error);
    }

    /// See [`Breaker::hasten`]; all of them.
    pub(crate) fn hasten(&self) {
        let now = Instant::now();
        self.lock().values_mut().for_each(|breaker| breaker.hasten(now));
    }

    /// All of them by name.
    #[must_use]
    pub(crate) fn views(&self) -> Vec<View> {
        let now = Instant::now();
        let view = |(name, breaker): (&String, &Breaker)| {
            let (state, until) = match breaker.state {
                State::Closed => ("closed", None),
                State::Open { until } => ("open", Some(wall(until, now))),
                State::Probing => ("probing", None),
            };
            View {
                vault: name.clone(),
                state,
                until_at: until,
                last_error: breaker.last_error.clone(),
            }
        };
        self.lock().iter().map(view).collect()
    }
}

/// A moment to come, on the clock on the wall.
pub(crate) fn wall(moment: Instant, now: Instant) -> Timestamp {
    let ahead = moment.saturating_duration_since(now);
    Timestamp::now().saturating_add(ahead).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    /// Fails probe after probe, and gives the pauses in seconds. The clock moves only here.
    fn pauses(chance: f64, count: usize) -> Vec<f64> {
        let mut breaker = Breaker::new();
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..count {
            breaker.failed(now, chance, "down".into());
            let Pace::Never(until) = breaker.pace(now) else {
                panic!("it is not open")
            };
            pauses.push((until - now).as_secs_f64());
            let before = until.checked_sub(Duration::from_millis(1)).unwrap();
            assert_eq!(breaker.pace(before), Pace::Never(until));
            now = until;
            assert_eq!(breaker.pace(now), Pace::Probe);
            breaker.probe();
        }
        pauses
    }

    #[test]
    fn pauses_double_from_a_second_to_five_minutes() {
        let doubled = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0];
        assert_eq!(pauses(0.0, doubled.len()), doubled);
        assert_eq!(pauses(1.0, doubled.len()), doubled.map(|pause| pause * 0.8));
        assert_eq!(pauses(0.5, 2), [0.9, 1.8]);
    }

    #[test]
    fn an_answer_closes_it_and_the_next_outage_begins_small() {
        let mut breaker = Breaker::new();
        assert!(!breaker.answered(), "it was closed");
        let now = Instant::now();
        for _ in 0..3 {
            breaker.failed(now, 0.0, "down".into());
        }
        breaker.probe();
        assert!(breaker.answered());
        assert_eq!(breaker.pace(now), Pace::Free);
        breaker.failed(now, 0.0, "down".into());
        assert_eq!(breaker.pace(now), Pace::Never(now + FIRST));
    }

    #[test]
    fn a_person_need_not_wait_for_the_end_of_the_pause() {
        let mut breaker = Breaker::new();
        let now = Instant::now();
        breaker.hasten(now);
        assert_eq!(breaker.pace(now), Pace::Free);
        for _ in 0..4 {
            breaker.failed(now, 0.0, "down".into());
        }
        assert_eq!(breaker.pace(now), Pace::Never(now + FIRST * 8));
        breaker.hasten(now);
        assert_eq!(breaker.pace(now), Pace::Probe);
        breaker.probe();
        breaker.failed(now, 0.0, "down".into());
        assert_eq!(breaker.pace(now), Pace::Never(now + FIRST * 16));
    }

    #[test]
    fn each_peer_has_its_own() {
        let (home, away) = ("home".to_owned(), "away".to_owned());
        let breakers = Breakers::new([home.as_str()]);
        for _ in 0..8 {
            breakers.failed(&away, "no route".into());
        }
        assert_eq!(breakers.held().names, ["away"]);
        assert_eq!(breakers.pace(&home), Pace::Free);
        let [far, near] = <[View; 2]>::try_from(breakers.views()).unwrap();
        let closed = View {
            vault: home.clone(),
            state: "closed",
            until_at: None,
            last_error: None,
        };
        assert_eq!(near, closed);
        assert_eq!((far.state, far.last_error.as_deref()), ("open", Some("no route")));
        assert!(far.until_at.is_some());
        breakers.hasten();
        assert_eq!(breakers.held(), Held::default());
        assert_eq!(breakers.pace(&away), Pace::Probe);
        breakers.probe(&away);
        assert_eq!(breakers.views()[0].state, "probing");
        assert_eq!(breakers.silent(), ["away"]);
        breakers.answered(&away);
        assert_eq!(
            (breakers.pace(&away), breakers.views()[0].state),
            (Pace::Free, "closed")
        );
    }
}
