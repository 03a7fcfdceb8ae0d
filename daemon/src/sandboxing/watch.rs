//! What turns try to reach beyond their machine: of each agent the turns that run, and the last that did.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use reveille_sandbox::egress::{Connection, Decision, Log};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Turns that are remembered of one agent, and agents.
const TURNS_MAX: usize = 5;
const AGENTS_MAX: usize = 1000;
/// Destinations that one notice names.
const NAMED_MAX: usize = 8;

/// A destination with what became of the connections to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = EgressCount)]
pub(crate) struct Refused {
    /// Name or address as the agent gave it; `*` counts those that came after too many.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
    /// `allowed`, `refused`, `refused_address` (a name that leads into the machine's own networks) or `failed`.
    pub(crate) decision: String,
    /// How many connections.
    pub(crate) count: u64,
}

impl Refused {
    /// The sandbox does not let it through. One that failed was let through, and came to nothing.
    pub(crate) fn is_denied(&self) -> bool {
        [Decision::Refused, Decision::RefusedAddress]
            .map(word)
            .contains(&self.decision.as_str())
    }
}

impl From<Connection> for Refused {
    fn from(connection: Connection) -> Self {
        Self {
            host: connection.host,
            port: connection.port,
            decision: word(connection.decision).to_owned(),
            count: connection.count,
        }
    }
}

fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Allowed => "allowed",
        Decision::Refused => "refused",
        Decision::RefusedAddress => "refused_address",
        Decision::Failed => "failed",
    }
}

/// One turn.
#[derive(Debug, Clone)]
pub(crate) struct WatchedTurn {
    /// The turn.
    pub(crate) turn: Uuid,
    /// Since when.
    pub(crate) since: Timestamp,
    /// What it has tried.
    log: Log,
}

impl WatchedTurn {
    /// Where it is written down.
    #[must_use]
    pub(crate) fn log(&self) -> Log {
        self.log.clone()
    }

    /// What it has tried until now.
    #[must_use]
    pub(crate) fn counts(&self) -> Vec<Refused> {
        self.log.connections().into_iter().map(Refused::from).collect()
    }

    /// What a person should know of it; `None`: nothing was refused.
    #[must_use]
    pub(crate) fn notice(&self, agent: &str) -> Option<String> {
        notice(&self.log.connections(), agent)
    }
}

/// Turns by agent. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch(Arc<Mutex<HashMap<String, Vec<WatchedTurn>>>>);

impl Watch {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<WatchedTurn>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An attempt at a turn begins. The same turn may begin again.
    pub(crate) fn begin(&self, agent: &str, turn: Uuid, since: Timestamp, log: Log) -> WatchedTurn {
        let watched = WatchedTurn { turn, since, log };
        let mut all = self.lock();
        if all.len() >= AGENTS_MAX && !all.contains_key(agent) {
            all.clear();
        }
        let turns = all.entry(agent.to_owned()).or_default();
        turns.retain(|known| known.turn != turn);
        turns.insert(0, watched.clone());
        turns.truncate(TURNS_MAX);
        watched
    }

    /// A turn is over: what it has tried stays as it is, whatever its process does in the next one.
    pub(crate) fn end(&self, agent: &str, running: &WatchedTurn) -> WatchedTurn {
        let ended = WatchedTurn {
            log: running.log.split_off(),
            ..running.clone()
        };
        let mut all = self.lock();
        let turns = all.get_mut(agent).map(Vec::as_mut_slice).unwrap_or_default();
        if let Some(known) = turns.iter_mut().find(|known| known.turn == running.turn) {
            *known = ended.clone();
        }
        ended
    }

    /// The last turns of an agent, the latest first.
    #[must_use]
    pub(crate) fn of(&self, agent: &str) -> Vec<WatchedTurn> {
        self.lock().get(agent).cloned().unwrap_or_default()
    }
}

fn list<'a>(connections: impl Iterator<Item = &'a Connection>) -> Option<String> {
    let named: Vec<String> = connections
        .map(|one| match one.host.as_str() {
            "*" => format!("others ×{}", one.count),
            host if host.contains(':') && !host.starts_with('[') => format!("[{host}]:{} ×{}", one.port, one.count),
            host => format!("{host}:{} ×{}", one.port, one.count),
        })
        .collect();
    let more = named.len().saturating_sub(NAMED_MAX);
    let mut text = named.get(..NAMED_MAX).unwrap_or(&named).join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    (!named.is_empty()).then_some(text)
}

/// What a person should know, and what to do.
fn notice(connections: &[Connection], agent: &str) -> Option<String> {
    let of = |decision: Decision| list(connections.iter().filter(move |one| one.decision == decision));
    let refused = of(Decision::Refused).map(|list| {
        format!(
            "Connections were refused: {list}. To allow one, write it under `egress` in the definition of {agent}; see \
             `reveille agent show {agent}`."
        )
    });
    let addresses = of(Decision::RefusedAddress).map(|list| {
        format!(
            "Connections were refused because the name leads to an address of this machine or of its networks: {list}. \
             The operator can allow one under `egress` of [sandbox] or [sandbox.agents.{agent}]."
        )
    });
    let parts: Vec<String> = refused.into_iter().chain(addresses).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn refused_connections_are_told_with_the_mend_and_others_are_not() {
        let log = Log::default();
        let watch = Watch::default();
        let turn = watch.begin("eng", Uuid::nil(), Timestamp::UNIX_EPOCH, log.clone());
        assert_eq!(turn.notice("eng"), None);
        log.record("api.anthropic.com", 443, Decision::Allowed);
        log.record("down.example", 443, Decision::Failed);
        assert_eq!(turn.notice("eng"), None);
        log.record("a.example", 443, Decision::Refused);
        log.record("a.example", 443, Decision::Refused);
        log.record("::1", 80, Decision::Refused);
        log.record("nas.example", 80, Decision::RefusedAddress);
        let told = turn.notice("eng").unwrap();
        assert!(
            told.contains("refused: a.example:443 ×2, [::1]:80 ×1. To allow"),
            "{told}"
        );
        assert!(told.contains("networks: nas.example:80 ×1. The operator"), "{told}");
        for port in 1..20 {
            log.record("many.example", port, Decision::Refused);
        }
        assert!(turn.notice("eng").unwrap().contains(" and 13 more. To"));
        assert_eq!(watch.of("eng")[0].counts()[2].count, 2);
        assert!(watch.of("ops").is_empty());
    }

    #[test]
    fn turns_of_one_process_have_each_their_own() {
        let (watch, log) = (Watch::default(), Log::default());
        let begin = |turn| watch.begin("eng", Uuid::from_u128(turn), Timestamp::UNIX_EPOCH, log.clone());
        let first = begin(1);
        log.record("first", 443, Decision::Refused);
        let ended = watch.end("eng", &first);
        begin(2);
        log.record("second", 443, Decision::Refused);
        let hosts = |turn: &WatchedTurn| turn.counts().into_iter().map(|one| one.host).collect::<Vec<_>>();
        let told: Vec<_> = watch.of("eng").iter().map(hosts).collect();
        assert_eq!(told, [["second"], ["first"]]);
        assert_eq!(hosts(&ended), ["first"]);
    }

    #[test]
    fn a_turn_that_begins_again_counts_anew_and_old_turns_are_forgotten() {
        let watch = Watch::default();
        for turn in [1, 2, 3, 2, 4, 5, 6, 7] {
            watch.begin("eng", Uuid::from_u128(turn), Timestamp::UNIX_EPOCH, Log::default());
        }
        let turns: Vec<u128> = watch.of("eng").iter().map(|one| one.turn.as_u128()).collect();
        assert_eq!(turns, [7, 6, 5, 4, 2]);
    }
}
