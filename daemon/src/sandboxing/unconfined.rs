//! What a definition asks of the sandbox and does not get where nobody is confined. Nobody shall believe that an agent is
//! kept from something when it is not.

use reveille_vault::agent::{Definition, Filesystem, Network, Problem};

/// For an agent that is not confined at all: a warning for each setting that counts on it.
#[must_use]
pub(super) fn not_kept(definition: &Definition) -> Vec<Problem> {
    let given = |key: &str| definition.given.contains(&key);
    let full = definition.filesystem == Filesystem::Full;
    let asked = [
        (
            "filesystem",
            given("filesystem") && !full,
            "its turns reach all files that the daemon's user can",
        ),
        (
            "network",
            definition.network != Network::Open,
            "its turns reach every host",
        ),
        ("egress", !definition.egress.is_empty(), "its turns reach every host"),
        (
            "mounts",
            !definition.mounts.is_empty(),
            "its turns reach all files that the daemon's user can, each at its own path",
        ),
    ];
    asked
        .into_iter()
        .filter(|(_, asked, _)| *asked)
        .map(|(key, _, instead)| {
            Problem::new(
                key,
                format!("is not kept: agents are not confined ([sandbox] mode = \"none\"); {instead}"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::*;
    use crate::sandboxing::fixture::definition;

    fn keys(settings: Value) -> Vec<String> {
        let told = not_kept(&definition(settings));
        told.into_iter().map(|one| one.key.into_owned()).collect()
    }

    #[test]
    fn only_what_was_asked_for_is_told() {
        assert_eq!(keys(json!({})), Vec::<String>::new());
        assert_eq!(
            keys(json!({"filesystem": "full", "network": "open", "egress": "", "mounts": []})),
            Vec::<String>::new()
        );
        assert_eq!(keys(json!({"filesystem": "workspace"})), ["filesystem"]);
        assert_eq!(keys(json!({"network": "proxied"})), ["network"]);
        let all = json!({"filesystem": "workspace", "network": "restricted", "egress": "a",
            "mounts": [{"hostPath": "/a", "mountPath": "/b", "mode": "rw"}]});
        assert_eq!(keys(all), ["filesystem", "network", "egress", "mounts"]);
    }
}
