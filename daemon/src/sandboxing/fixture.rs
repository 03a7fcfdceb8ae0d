//! A definition for tests.

use reveille_vault::agent::Definition;
use reveille_vault::{Metadata, Note, NoteId};
use serde_json::Value;

/// That of the agent `eng`, with these settings.
pub(super) fn definition(settings: Value) -> Definition {
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut metadata: Metadata = serde_json::from_value(settings).unwrap();
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
    Definition::parse(&note).unwrap()
}
