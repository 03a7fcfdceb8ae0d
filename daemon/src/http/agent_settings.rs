//! What the daemon understood of a definition: every setting with its value and where that comes from.

use std::collections::BTreeMap;
use std::time::Duration;

use reveille_vault::agent::{DEFINES_AGENTS, Definition, Inject, KeepWarm, Mount, Problem, SETTINGS, Want};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::error::Flaw;
use crate::config;
use crate::registry::Listed;

/// Problems or warnings, as the API shows them.
pub(super) fn told(problems: &[Problem]) -> Vec<Flaw> {
    problems.iter().map(Flaw::from).collect()
}

/// What keeps a note from counting as it is.
pub(super) fn problems(listed: &Listed) -> Vec<Flaw> {
    let detail = &listed.stamp.detail;
    match detail.split_once(": ") {
        // It holds together, and another one has its name.
        Some((key, message)) if listed.problems.is_empty() && listed.stamp.status == "error" => {
            told(&[Problem::new(key.to_owned(), message)])
        }
        _ => told(&listed.problems),
    }
}

/// What looks wrong with a note that counts.
pub(super) fn warnings(listed: &Listed) -> Vec<Flaw> {
    match &listed.definition {
        Some(definition) if listed.problems.is_empty() => told(&definition.warnings),
        _ => told(&[]),
    }
}

/// A time span as it is written in a note.
fn span(span: Duration) -> String {
    jiff::SignedDuration::try_from(span).map_or_else(|_| format!("{}s", span.as_secs()), |span| format!("{span:#}"))
}

fn mount(mount: &Mount) -> Value {
    let mut view = json!({ "hostPath": mount.host_path, "mountPath": mount.mount_path, "mode": mount.mode.as_str() });
    if let Some(shared) = &mount.shared {
        view["shared"] = shared.as_str().into();
    }
    view
}

/// What an agent wants, as it is written in a note.
pub(super) fn entries(wants: &[Want]) -> Vec<String> {
    let one = |want: &Want| match want {
        Want::Service { name, inject } => {
            let entry = |inject: &Inject| format!("{}:{name}", inject.as_str());
            inject.iter().map(entry).collect()
        }
        other => vec![other.key()],
    };
    wants.iter().flat_map(one).collect()
}

/// A value that the note need not give, and what takes its place.
struct Effective {
    value: Value,
    /// Where it comes from when not from the note.
    otherwise: &'static str,
    /// Of a time span.
    seconds: Option<u64>,
}

impl From<Value> for Effective {
    fn from(value: Value) -> Self {
        Self {
            value,
            otherwise: "default",
            seconds: None,
        }
    }
}

fn timeout(own: Option<Duration>, configured: Duration) -> Effective {
    let counts = own.unwrap_or(configured);
    Effective {
        value: span(counts).into(),
        otherwise: "configuration",
        seconds: Some(counts.as_secs()),
    }
}

fn model(own: Option<&String>, configured: Option<&String>) -> Effective {
    Effective {
        value: json!(own.or(configured)),
        otherwise: if configured.is_some() {
            "configuration"
        } else {
            "default"
        },
        seconds: None,
    }
}

fn keep_warm(own: Option<KeepWarm>) -> Value {
    match own {
        None => Value::Null,
        Some(KeepWarm::Never) => false.into(),
        Some(KeepWarm::AsConfigured) => true.into(),
        Some(KeepWarm::For(time)) => span(time).into(),
    }
}

/// What counts under a key; `None`: there is no such setting.
fn effective(key: &str, definition: &Definition, config: &config::Claude) -> Option<Effective> {
    let value = match key {
        "name" => json!(definition.name),
        "backend" => definition.backend.as_str().into(),
        "mode" => definition.mode.as_str().into(),
        "systemPromptMode" => definition.prompt_mode.as_str().into(),
        "model" => return Some(model(definition.model.as_ref(), config.model.as_ref())),
        "workspace" => json!(definition.workspace),
        "filesystem" => definition.filesystem.as_str().into(),
        "network" => definition.network.as_str().into(),
        "egress" => json!(definition.egress),
        "mounts" => definition.mounts.iter().map(mount).collect(),
        "wants" => json!(entries(&definition.wants)),
        "uses" => json!(definition.uses),
        "timeout_idle" => return Some(timeout(definition.timeout_idle, config.timeout_idle.0)),
        "timeout_wall" => return Some(timeout(definition.timeout_wall, config.timeout_wall.0)),
        "max_turns" => json!(definition.max_turns),
        "budget_turn_usd" => json!(definition.budget_turn_usd),
        "budget_day_usd" => json!(definition.budget_day_usd),
        "keep_warm" => keep_warm(definition.keep_warm),
        "message_mode" => definition.message_mode.as_str().into(),
        "on_interrupt" => definition.on_interrupt.as_str().into(),
        "paused" => definition.paused.into(),
        "pause_reason" => json!(definition.pause_reason),
        "vault_tools" => definition.vault_tools.into(),
        DEFINES_AGENTS => definition.defines_agents.into(),
        _ => return None,
    };
    Some(value.into())
}

/// What counts for the next turn.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = AgentSetting)]
pub(super) struct Setting {
    /// As it can be written in the definition.
    value: Value,
    /// Where it comes from: `definition`, `configuration` or `default`.
    from: &'static str,
    /// The value in seconds, of a time span.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u64>,
}

/// What counts for the next turn, by its key in definitions.
pub(super) fn settings(definition: &Definition, config: &config::Claude) -> BTreeMap<String, Setting> {
    let mut settings = BTreeMap::new();
    for key in SETTINGS.iter().map(|setting| setting.key) {
        let Some(one) = effective(key, definition, config) else {
            continue;
        };
        let given = definition.given.contains(&key);
        let setting = Setting {
            value: one.value,
            from: if given { "definition" } else { one.otherwise },
            seconds: one.seconds,
        };
        settings.insert(key.to_owned(), setting);
    }
    settings
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use reveille_vault::{Note, NoteId};

    use super::*;

    fn definition(metadata: Value) -> Definition {
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        let note = Note {
            id: NoteId::new("n1").unwrap(),
            path: None,
            content: "You build.".into(),
            tags: vec!["agent/definition".into()],
            metadata: serde_json::from_value(metadata).unwrap(),
            created_at: at,
            updated_at: at,
        };
        Definition::parse(&note).unwrap()
    }

    #[test]
    fn every_setting_is_shown_with_its_source() {
        let config = config::Claude::default();
        let shown = json!(settings(&definition(json!({"name": "eng"})), &config));
        for setting in SETTINGS {
            let from = &shown[setting.key]["from"];
            let expected = match setting.key {
                "name" => "definition",
                "timeout_idle" | "timeout_wall" => "configuration",
                _ => "default",
            };
            assert_eq!(from, expected, "{}", setting.key);
        }
        assert_eq!(
            shown["timeout_wall"],
            json!({"value": "1h", "seconds": 3600, "from": "configuration"})
        );
        assert_eq!(shown["model"], json!({"value": null, "from": "default"}));
    }

    #[test]
    fn values_are_shown_as_they_can_be_written() {
        let config = config::Claude {
            model: Some("opus".into()),
            ..config::Claude::default()
        };
        let given = json!({"name": "eng", "wants": "env:github mcp:github vault:team:read#a", "timeout_wall": "90m",
            "keep_warm": "90s", "mounts": [{"hostPath": "/a", "mountPath": "/b", "mode": "ro"}], "egress": "a b",
            "budget_day_usd": 5, "paused": true});
        let shown = json!(settings(&definition(given), &config));
        let value = |key: &str| shown[key]["value"].clone();
        assert_eq!(value("wants"), json!(["env:github", "mcp:github", "vault:team:read#a"]));
        assert_eq!(
            value("mounts"),
            json!([{"hostPath": "/a", "mountPath": "/b", "mode": "ro"}])
        );
        assert_eq!(value("egress"), json!(["a", "b"]));
        assert_eq!(value("timeout_wall"), "1h 30m");
        assert_eq!(value("keep_warm"), "1m 30s");
        assert_eq!(value("budget_day_usd"), 5.0);
        assert_eq!(value("paused"), true);
        assert_eq!(shown["model"], json!({"value": "opus", "from": "configuration"}));
        // Whatever is shown reads back as the same.
        let back = json!({"name": "eng", "wants": value("wants"), "timeout_wall": value("timeout_wall"),
            "keep_warm": value("keep_warm"), "mounts": value("mounts"), "egress": value("egress"),
            "budget_day_usd": value("budget_day_usd"), "paused": value("paused")});
        assert_eq!(json!(settings(&definition(back), &config)), shown);
    }
}
