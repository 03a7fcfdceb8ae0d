//! Services of this machine that the daemon shows a token without TLS. An agent with the open network is on the same loopback:
//! it can listen there while such a service is down, and be shown the token in its place.

use super::{Check, Level, check};
use crate::config::{Config, Place, SandboxMode};
use crate::sandboxing::plain_on_loopback;

pub(super) fn checks(config: &Config) -> Option<Check> {
    if config.sandbox.mode == SandboxMode::None || !config.sandbox.lets_someone_reach_everything() {
        return None;
    }
    let hub = config.hub.token.is_some().then_some(config.hub.origin.as_str());
    let vaults = config.vaults.all().filter_map(|vault| match &vault.place {
        Place::Parachute(peer) => Some(peer.url.as_str()),
        Place::Embedded | Place::Folder(_) => None,
    });
    let plain: Vec<&str> = hub
        .into_iter()
        .chain(vaults)
        .filter(|url| plain_on_loopback(url))
        .collect();
    let mend = Some(
        "set `[sandbox] network = \"proxied\"` (and `open` only for agents that need it), or reach these \
         services by https",
    );
    (!plain.is_empty()).then(|| {
        let detail = format!(
            "agents may have the open network, and with it the ports of this machine: while a service is down, one of them \
             could answer in its place and be shown the daemon's token ({})",
            plain.join(", ")
        );
        check("loopback", Level::Warning, detail, mend)
    })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    /// What is warned of with these settings.
    fn warned(text: &str) -> Option<Level> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("reveille.toml");
        std::fs::write(&file, text).unwrap();
        let config = Config::load(Some(&file), true, []).unwrap();
        checks(&config).map(|check| check.level)
    }

    #[test]
    fn tokens_on_loopback_are_warned_of_where_agents_are_on_it_too() {
        let vault = |url: &str| format!("[vault]\nkind = \"parachute\"\nurl = \"{url}\"\nvault = \"v\"\n");
        let plain = vault("http://127.0.0.1:1940");
        assert_eq!(warned(&plain), Some(Level::Warning));
        for sandbox in ["network = \"proxied\"", "network = \"restricted\"", "mode = \"none\""] {
            assert_eq!(warned(&format!("{plain}[sandbox]\n{sandbox}\n")), None, "{sandbox}");
        }
        let one = format!("{plain}[sandbox]\nnetwork = \"proxied\"\n[sandbox.agents.eng]\nnetwork = \"open\"\n");
        assert_eq!(warned(&one), Some(Level::Warning));
        assert_eq!(warned(&vault("https://127.0.0.1:1940")), None);
        assert_eq!(warned(&vault("http://vault.example:1940")), None);
        assert_eq!(warned(""), None);
    }
}
