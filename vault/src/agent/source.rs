//! Agents that are defined by a thread note, for those who keep them so: the record of a conversation names the agent, and its
//! metadata has the settings. It has no role: the body of a thread is people's.

use serde_json::Value;

use super::{Definition, Problem, tag};
use crate::note::Note;

/// Metadata of a thread note that says what its agent is for the daemon; only `disabled` means something.
pub const AGENT_STATUS: &str = "agent_status";

/// What a definition cannot get from a thread note: there these keys are of the conversation.
const OTHERS: [&str; 4] = ["name", "status", "status_detail", "pending"];

/// The definition that a thread note stands for; `None` when it stands for none.
///
/// A thread note whose `definition` names another note is the record of that agent's conversation and defines nothing, whether
/// or not the other note is still there: an agent that was removed does not come back because it has talked.
#[must_use]
pub fn defined_by_thread(note: &Note) -> Option<Result<Definition, Vec<Problem>>> {
    if !note.has_tag(tag::THREAD) || note.text(AGENT_STATUS).as_deref() == Some("disabled") {
        return None;
    }
    if note.text("definition").is_some_and(|of| of != note.id.as_str()) {
        return None;
    }
    let mut metadata = note.metadata.clone();
    for key in OTHERS {
        metadata.remove(key);
    }
    if let Some(name) = note.text("agent") {
        metadata.insert("name".to_owned(), Value::String(name));
    }
    let written_out = Note {
        content: String::new(),
        metadata,
        ..note.clone()
    };
    let parsed = Definition::parse(&written_out).map(|definition| Definition {
        // Most of its keys are of the conversation.
        warnings: Vec::new(),
        ..definition
    });
    Some(parsed.map_err(|problems| problems.into_iter().map(of_thread).collect()))
}

fn of_thread(problem: Problem) -> Problem {
    match &*problem.key {
        "name" => Problem::new("agent", problem.message),
        _ => problem,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::super::{BackendKind, Mode};
    use super::*;
    use crate::note::NoteId;

    fn thread(metadata: Value) -> Note {
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        Note {
            id: NoteId::new("t1").unwrap(),
            path: Some("Threads/eng".into()),
            content: "What we talked about.".into(),
            tags: vec![tag::THREAD.into()],
            metadata: serde_json::from_value(metadata).unwrap(),
            created_at: at,
            updated_at: at,
        }
    }

    fn parsed(metadata: Value) -> Definition {
        defined_by_thread(&thread(metadata)).unwrap().unwrap()
    }

    #[test]
    fn ac_160_161_the_agent_gives_the_name_and_the_body_is_no_role() {
        let bare = parsed(json!({"agent": "eng"}));
        assert_eq!((bare.name.as_str(), bare.prompt.as_deref()), ("eng", None));
        assert_eq!((bare.note.as_str(), bare.path.as_deref()), ("t1", Some("Threads/eng")));
        assert_eq!(
            (bare.backend, bare.mode, bare.model),
            (BackendKind::Programmatic, Mode::SingleThreaded, None)
        );
        let more = parsed(
            json!({"agent": "eng", "model": "sonnet", "backend": "channel", "mode": "multi-threaded",
            "status": "error", "definition": "t1", "session": "s", "turn_count": "3"}),
        );
        assert_eq!(
            (more.model.as_deref(), more.backend, more.mode, more.warnings.len()),
            (Some("sonnet"), BackendKind::Attached, Mode::MultiThreaded, 0)
        );
    }

    #[test]
    fn ac_163_only_the_word_disabled_takes_it_away() {
        assert!(
            defined_by_thread(&thread(
                json!({"agent": "eng", "agent_status": "disabled", "status": "ok"})
            ))
            .is_none()
        );
        for status in ["enabled", "off", "Disabled"] {
            assert_eq!(parsed(json!({"agent": "eng", "agent_status": status})).name, "eng");
        }
    }

    #[test]
    fn ac_164_what_is_wrong_is_told_by_the_keys_of_the_thread() {
        for (metadata, key) in [
            (json!({}), "agent"),
            (json!({"name": "eng"}), "agent"),
            (json!({"agent": "two words"}), "agent"),
            (json!({"agent": "eng", "backend": "magic"}), "backend"),
        ] {
            let problems = defined_by_thread(&thread(metadata)).unwrap().unwrap_err();
            assert_eq!(problems[0].key, key);
        }
    }

    #[test]
    fn ac_155_the_record_of_a_conversation_defines_nothing() {
        assert!(defined_by_thread(&thread(json!({"agent": "eng", "definition": "d1"}))).is_none());
        let other = Note {
            tags: vec!["idea".into()],
            ..thread(json!({"agent": "eng"}))
        };
        assert!(defined_by_thread(&other).is_none());
    }
}
