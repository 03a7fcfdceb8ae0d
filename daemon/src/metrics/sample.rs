//! What is so at the moment when somebody asks.

use std::collections::BTreeMap;

use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::labels::{Breaker, BridgeState, Build, OfAgent, OfBridge, OfVault, Stream};

/// The states of a breaker.
const BREAKER_STATES: [&str; 3] = ["closed", "open", "probing"];

/// How the vault of that name stands.
pub(crate) struct VaultSample {
    /// Its name.
    pub(crate) name: String,
    /// Whether it reads and writes.
    pub(crate) is_ready: bool,
    /// The state of its breaker.
    pub(crate) breaker: &'static str,
}

/// The states of a bridge.
const BRIDGE_STATES: [&str; 5] = ["starting", "up", "retrying", "stopped", "refused"];

/// How the bridge of that name does.
pub(crate) struct BridgeSample {
    /// Its name.
    pub(crate) name: String,
    /// How it does, in one word.
    pub(crate) state: &'static str,
    /// What waits in its outbox, if it has one.
    pub(crate) waiting: Option<u64>,
    /// What was given up.
    pub(crate) undelivered: Option<u64>,
}

/// What was looked up.
#[derive(Default)]
pub(crate) struct Sample {
    /// All is well.
    pub(crate) is_well: bool,
    /// Agents that can be woken.
    pub(crate) agents: u64,
    /// Turns in line, by agent.
    pub(crate) waiting: Vec<(String, u64)>,
    /// Age of the oldest of them, in seconds.
    pub(crate) oldest_waiting: f64,
    /// Turns that run.
    pub(crate) running: u64,
    /// Turns that sessions have taken.
    pub(crate) taken: u64,
    /// Effects that are not delivered.
    pub(crate) effects: u64,
    /// Age of the oldest of them, in seconds.
    pub(crate) oldest_effect: f64,
    /// Those that should have been delivered by now.
    pub(crate) overdue: u64,
    /// The vaults.
    pub(crate) vaults: Vec<VaultSample>,
    /// The bridges.
    pub(crate) bridges: Vec<BridgeSample>,
    /// Who watches everything or several agents.
    pub(crate) watchers_of_all: u64,
    /// Who watches one agent.
    pub(crate) watchers_of_one: u64,
}

fn count(count: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX))
}

impl Sample {
    /// As figures. `row`: the name of an agent's row.
    pub(super) fn registry(self, row: impl Fn(&str) -> String) -> Registry {
        let mut all = Registry::with_prefix("reveille");
        let build = Build {
            version: env!("CARGO_PKG_VERSION"),
        };
        all.register("build", "Which Reveille this is", Info::new(build));
        all.register(
            "healthy",
            "1 when all is well, as /health says",
            count(self.is_well.into()),
        );
        all.register("agents", "Agents that can be woken", count(self.agents));
        let waiting = Family::<OfAgent, Gauge>::default();
        let mut rows = BTreeMap::<String, u64>::new();
        for (agent, turns) in &self.waiting {
            *rows.entry(row(agent)).or_default() += turns;
        }
        for (agent, turns) in rows {
            let turns = i64::try_from(turns).unwrap_or(i64::MAX);
            waiting.get_or_create(&OfAgent { agent }).set(turns);
        }
        all.register("queue_waiting", "Turns in line, by agent", waiting);
        let age = ConstGauge::new(self.oldest_waiting);
        all.register(
            "queue_oldest_seconds",
            "Age of the oldest turn in line, 0 without any",
            age,
        );
        all.register("turns_running", "Turns that run", count(self.running));
        all.register("turns_taken", "Turns that sessions have taken", count(self.taken));
        all.register(
            "outbox_effects",
            "Notes that are to be written yet, counted up to 100 000",
            count(self.effects),
        );
        let age = ConstGauge::new(self.oldest_effect);
        all.register("outbox_oldest_seconds", "Age of the oldest of them, 0 without any", age);
        all.register(
            "outbox_overdue",
            "Those of them that should have been written by now",
            count(self.overdue),
        );
        all.register(
            "log_lines_left_out",
            "Lines of the log that were left out because their place had said enough",
            ConstCounter::new(crate::logging::left_out()),
        );
        self.vaults(&mut all);
        self.bridges(&mut all);
        self.watchers(&mut all);
        all
    }

    fn vaults(&self, all: &mut Registry) {
        let (ready, breakers) = (Family::<OfVault, Gauge>::default(), Family::<Breaker, Gauge>::default());
        for vault in &self.vaults {
            let of = OfVault {
                vault: vault.name.clone(),
            };
            ready.get_or_create(&of).set(vault.is_ready.into());
            for state in BREAKER_STATES {
                let of = Breaker {
                    vault: vault.name.clone(),
                    state,
                };
                breakers.get_or_create(&of).set((vault.breaker == state).into());
            }
        }
        all.register("vault_ready", "1 when the vault reads and writes", ready);
        all.register(
            "vault_breaker",
            "1 for the state of the breaker before the vault, 0 for the others",
            breakers,
        );
    }

    fn bridges(&self, all: &mut Registry) {
        let states = Family::<BridgeState, Gauge>::default();
        let (waiting, given_up) = (
            Family::<OfBridge, Gauge>::default(),
            Family::<OfBridge, Gauge>::default(),
        );
        for one in &self.bridges {
            for state in BRIDGE_STATES {
                let of = BridgeState {
                    bridge: one.name.clone(),
                    state,
                };
                states.get_or_create(&of).set((one.state == state).into());
            }
            for (family, count) in [(&waiting, one.waiting), (&given_up, one.undelivered)] {
                if let Some(count) = count {
                    let of = OfBridge {
                        bridge: one.name.clone(),
                    };
                    family.get_or_create(&of).set(i64::try_from(count).unwrap_or(i64::MAX));
                }
            }
        }
        all.register("bridge_waiting", "Messages in the outbox of the bridge", waiting);
        all.register("bridge_undelivered", "Messages that the bridge has given up", given_up);
        all.register(
            "bridge_state",
            "1 for the state of the bridge, 0 for the others",
            states,
        );
    }

    fn watchers(&self, all: &mut Registry) {
        let watchers = Family::<Stream, Gauge>::default();
        for (stream, count) in [("all", self.watchers_of_all), ("agent", self.watchers_of_one)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            watchers.get_or_create(&Stream { stream }).set(count);
        }
        all.register(
            "watchers",
            "Open streams of live events, of all or several agents and of one",
            watchers,
        );
    }
}
