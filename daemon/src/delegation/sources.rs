//! Where threads define agents, a thread note is as good as a definition: a turn makes none that would be one.

use reveille_vault::agent::defined_by_thread;
use reveille_vault::{Note, VaultError};

/// Refuses a note by which a thread would define an agent, or another one than before.
pub(super) fn refuse(before: Option<&Note>, after: &Note) -> Result<(), VaultError> {
    let now = defined_by_thread(after);
    if now.is_none() || before.is_some_and(|before| defined_by_thread(before) == now) {
        return Ok(());
    }
    Err(VaultError::Forbidden(
        "a turn may not write a thread note that could define an agent; nothing was written. Leave the tag agent/thread to the \
         daemon's records"
            .into(),
    ))
}

#[cfg(test)]
mod tests {
    use reveille_vault::NewNote;
    use reveille_vault::agent::tag;
    use serde_json::{Value, json};

    use super::*;

    fn thread(content: &str, metadata: Value) -> Note {
        let note = NewNote {
            id: Some(reveille_vault::NoteId::new("t").unwrap()),
            path: Some("Threads/t".into()),
            content: content.into(),
            tags: vec![tag::THREAD.into()],
            metadata: serde_json::from_value(metadata).unwrap(),
            ..NewNote::default()
        };
        note.preview().unwrap()
    }

    #[test]
    fn a_turn_makes_no_agent_of_a_thread() {
        let record = thread("", json!({"agent": "eng", "definition": "d"}));
        let source = thread("", json!({"agent": "eng"}));
        refuse(None, &record).unwrap();
        refuse(
            Some(&source),
            &thread("What we said.", json!({"agent": "eng", "status": "ok"})),
        )
        .unwrap();
        for (before, after) in [
            (None, &source),
            (Some(&record), &source),
            (Some(&source), &thread("", json!({"agent": "eng", "workspace": "/"}))),
        ] {
            let refused = refuse(before, after);
            assert!(matches!(refused, Err(VaultError::Forbidden(_))), "{refused:?}");
        }
    }
}
