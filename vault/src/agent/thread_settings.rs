//! What people write on a thread note for the turns of its conversation. The daemon only reads it.

use serde_json::Value;

use crate::note::Note;

/// A conversation's own settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ThreadSettings {
    /// Goes before the definition's model. Not checked: see [`super::is_model`].
    pub model: Option<String>,
    /// Paths of notes that stand before the definition in the system prompt, as listed.
    pub roles: Vec<String>,
    /// Paths of notes that stand at its end, as listed.
    pub loadout: Vec<String>,
}

impl ThreadSettings {
    /// Reads the settings of a thread note. What cannot be read counts as absent.
    #[must_use]
    pub fn of(note: &Note) -> Self {
        Self {
            model: note.text("model"),
            roles: paths(note.metadata.get("roles")),
            loadout: paths(note.metadata.get("loadout")),
        }
    }
}

/// A list of paths: an array, the text of a JSON array, or the text of one path. A comma separates nothing: paths may
/// hold it.
fn paths(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(items)) => texts(items),
        Some(Value::String(text)) => match parsed(text) {
            Some(items) => texts(&items),
            None => trimmed(text).into_iter().collect(),
        },
        _ => Vec::new(),
    }
}

/// The items, when the text is a JSON array. `None` says that it is one path.
fn parsed(text: &str) -> Option<Vec<Value>> {
    serde_json::from_str(text).ok() // silent-ok: see above
}

fn texts(items: &[Value]) -> Vec<String> {
    items.iter().filter_map(Value::as_str).filter_map(trimmed).collect()
}

fn trimmed(text: &str) -> Option<String> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;
    use crate::note::NoteId;

    fn settings(metadata: Value) -> ThreadSettings {
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        let Value::Object(metadata) = metadata else {
            panic!("metadata is an object")
        };
        ThreadSettings::of(&Note {
            id: NoteId::new("t1").unwrap(),
            path: Some("Threads/eng/eng".into()),
            content: String::new(),
            tags: vec!["agent/thread".into()],
            metadata,
            created_at: at,
            updated_at: at,
        })
    }

    #[test]
    fn tc_sp_37_a_list_of_paths_has_three_forms() {
        for (value, expected) in [
            (json!([" a/b ", "", "  ", "c/d"]), vec!["a/b", "c/d"]),
            (json!(["a/b", 42, null, ["x"], {"p": 1}, "c/d"]), vec!["a/b", "c/d"]),
            (json!(r#"["a/b","c/d"]"#), vec!["a/b", "c/d"]),
            (json!(r#" [" a/b ", 1, ""] "#), vec!["a/b"]),
            (json!("[]"), vec![]),
            (json!(" Notes/one, two "), vec!["Notes/one, two"]),
            (json!("[not json"), vec!["[not json"]),
            (json!("[[Roles/linked]]"), vec!["[[Roles/linked]]"]),
            (json!(null), vec![]),
            (json!(""), vec![]),
            (json!("   "), vec![]),
            (json!(42), vec![]),
            (json!({"a": "b"}), vec![]),
        ] {
            let read = settings(json!({"roles": value, "loadout": value}));
            assert_eq!(read.roles, expected, "{value}");
            assert_eq!(read.loadout, expected, "{value}");
        }
        assert_eq!(settings(json!({})), ThreadSettings::default());
    }

    #[test]
    fn tc_th_32_a_thread_may_name_its_model() {
        for (value, expected) in [
            (json!(" sonnet "), Some("sonnet")),
            (json!("  "), None),
            (json!(null), None),
            (json!(["sonnet"]), None),
        ] {
            assert_eq!(settings(json!({"model": value})).model.as_deref(), expected, "{value}");
        }
        // What the daemon writes about the last turn is no wish.
        assert_eq!(
            settings(json!({"last_model": "opus", "mode": "single-threaded"})),
            ThreadSettings::default()
        );
    }
}
