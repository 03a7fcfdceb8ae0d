//! What a child has tried to reach.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// Destinations that one log tells apart; further ones are counted together.
const DESTINATIONS_MAX: usize = 200;

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// A rule names it.
    Allowed,
    /// No rule names it.
    Refused,
    /// A rule names it, but its name leads to an address that must not be reached.
    RefusedAddress,
    /// It was allowed and could not be reached.
    Failed,
}

/// A destination with what became of the connections to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// Name or address as the child gave it, canonical. `*` counts all that came after the log was full.
    pub host: String,
    /// Port.
    pub port: u16,
    /// What became of them.
    pub decision: Decision,
    /// How many.
    pub count: u64,
}

/// Collects what the children of one turn have tried to reach. Cheap to clone; all clones are one log.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Connection>>>);

impl Log {
    /// Counts a connection. Returns whether it is the first of its kind.
    pub fn record(&self, host: &str, port: u16, decision: Decision) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same =
            |one: &Connection, host: &str, port| one.host == host && one.port == port && one.decision == decision;
        let full = all.len() >= DESTINATIONS_MAX;
        if let Some(known) = all.iter_mut().find(|one| same(one, host, port)) {
            known.count += 1;
            return false;
        }
        let (host, port) = if full { ("*", 0) } else { (host, port) };
        if let Some(rest) = all.iter_mut().find(|one| full && same(one, host, port)) {
            rest.count += 1;
            return false;
        }
        all.push(Connection {
            host: host.to_owned(),
            port,
            decision,
            count: 1,
        });
        true
    }

    /// Takes what it holds into a log of its own, and goes on empty: one child may serve several turns.
    #[must_use]
    pub fn split_off(&self) -> Self {
        let held = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        Self(Arc::new(Mutex::new(held)))
    }

    /// All destinations until now, in the order of their first connection.
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn what_is_split_off_is_no_longer_there_and_does_not_grow() {
        let log = Log::default();
        let held_by_the_proxy = log.clone();
        held_by_the_proxy.record("first", 443, Decision::Allowed);
        let first = log.split_off();
        assert!(held_by_the_proxy.record("second", 443, Decision::Refused));
        let hosts = |log: &Log| -> Vec<String> { log.connections().into_iter().map(|one| one.host).collect() };
        assert_eq!(
            (hosts(&first), hosts(&log)),
            (vec!["first".to_owned()], vec!["second".to_owned()])
        );
    }

    #[test]
    fn a_full_log_goes_on_counting() {
        let log = Log::default();
        for _ in 0..2 {
            for port in 0..u16::try_from(DESTINATIONS_MAX).unwrap() + 2 {
                log.clone().record("host", port, Decision::Refused);
            }
        }
        let all = log.connections();
        assert_eq!(all.len(), DESTINATIONS_MAX + 1);
        assert_eq!(
            all.iter().map(|one| one.count).sum::<u64>(),
            2 * (DESTINATIONS_MAX as u64 + 2)
        );
        let rest = all.last().map(|one| (one.host.as_str(), one.port, one.count));
        assert_eq!(rest, Some(("*", 0, 4)));
    }
}
