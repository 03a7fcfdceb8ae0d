//! The tables of single agents in `[sandbox.agents]`.

use super::{Check, Health, Level, check};
use crate::config::Config;

const NAME: &str = "sandbox tables";

/// Tables of agents that are not there, or those that give less than all agents have.
pub(super) fn checks(config: &Config, health: &Health) -> Option<Check> {
    let idle = idle(health);
    if !idle.is_empty() {
        let detail = format!("there are no agents for the tables {}", in_words(&idle));
        let mend = "correct the names (`reveille agent list`), or remove the tables";
        return Some(check(NAME, Level::Warning, detail, Some(mend)));
    }
    let tighter = config.sandbox.tighter_tables();
    if tighter.is_empty() {
        return None;
    }
    let all = tighter
        .iter()
        .map(|(name, keys)| format!("[sandbox.agents.{name}] ({})", keys.join(", ")));
    let detail = format!(
        "these allow less than [sandbox], and whoever may write the note of such an agent can give it another name: {}",
        all.collect::<Vec<_>>().join(", ")
    );
    let mend = "write what binds all under [sandbox], and in the tables of agents only what they have beyond it";
    Some(check(NAME, Level::Warning, detail, Some(mend)))
}

/// What the daemon says of tables without an agent.
fn idle(health: &Health) -> Vec<String> {
    let Health::Told(health) = health else {
        return Vec::new();
    };
    let tables = health["sandbox"]["idle_tables"].as_array();
    let names = tables.into_iter().flatten().filter_map(|name| name.as_str());
    names.map(str::to_owned).collect()
}

fn in_words(names: &[String]) -> String {
    let names = names.iter().map(|name| format!("[sandbox.agents.{name}]"));
    names.collect::<Vec<_>>().join(", ")
}
