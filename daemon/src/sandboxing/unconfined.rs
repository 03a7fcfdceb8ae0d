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
    use reveille_vault::{Note, NoteId};
    use serde_json::{Value, json};

    use super::*;

    fn keys(settings: Value) -> Vec<String> {
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut metadata: reveille_vault::Metadata = serde_json::from_value(settings).unwrap();
        metadata.insert("name".into(), "eng".into());
        let note = Note {
            id: NoteId::new("n1").unwrap(),
            path: None,
            content: String::new(),
            tags: vec!["agent/definition".into()],
            metadata,
            created_at: at,
            updated_at: at,
        };
        let told = not_kept(&Definition::parse(&note).unwrap());
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
