//! Roles: notes that stand before a definition in the system prompt of a thread, and what they want for its turns.

use reveille_vault::Note;
use reveille_vault::agent::{WANTS, Want, slug, tag};

/// Who asks for what a role wants. Of the first vault it is the key that other daemons of the ecosystem use; roles of other
/// vaults have the vault in it, so that what is approved for one is not had by another of the same path.
#[must_use]
pub(crate) fn holder(path: &str, vault: &str, first: &str) -> String {
    match vault == first {
        true => format!("role--{}", slug(path)),
        false => format!("role--{}@{vault}", slug(path)),
    }
}

/// The holder of a role note.
#[must_use]
pub(crate) fn holder_of(note: &Note, vault: &str, first: &str) -> String {
    holder(note.path.as_deref().unwrap_or(note.id.as_str()), vault, first)
}

/// What a role wants. `None`: the note is no role.
pub(crate) fn wants_of(note: &Note) -> Option<Result<Vec<Want>, String>> {
    let wants = note.metadata.get(WANTS);
    note.has_tag(tag::ROLE)
        .then(|| wants.map_or(Ok(Vec::new()), Want::parse_list))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use reveille_vault::NoteId;
    use serde_json::json;

    use super::*;

    fn note(tags: &[&str], path: Option<&str>, wants: &str) -> Note {
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        Note {
            id: NoteId::new("n1").unwrap(),
            path: path.map(str::to_owned),
            content: String::new(),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            metadata: [(WANTS.to_owned(), json!(wants))].into_iter().collect(),
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn r_grant_23_only_notes_tagged_exactly_so_are_roles() {
        for (tags, expected) in [
            (&["agent/role"][..], true),
            (&["x", "#agent/role"], true),
            (&["agent/roles"], false),
            (&["agent/role/sub"], false),
            (&["agent"], false),
            (&[], false),
        ] {
            assert_eq!(
                wants_of(&note(tags, None, "env:github")).is_some(),
                expected,
                "{tags:?}"
            );
        }
    }

    #[test]
    fn r_grant_23_keys_of_roles() {
        for (path, key) in [
            (Some("Uni/Roles/github"), "role--Uni-Roles-github"),
            (Some("Roles/Read.ai"), "role--Roles-Read-ai"),
            (None, "role--n1"),
        ] {
            assert_eq!(holder_of(&note(&[], path, ""), "default", "default"), key);
        }
        assert_eq!(holder("Roles/x", "work", "default"), "role--Roles-x@work");
    }

    #[test]
    fn what_a_role_wants() {
        let wants = wants_of(&note(&["agent/role"], None, "env:github, vault:a:read"));
        let keys = wants.map(|wants| wants.map(|wants| wants.iter().map(Want::key).collect::<Vec<_>>()));
        assert_eq!(keys, Some(Ok(vec!["env:github".into(), "vault:a:read".into()])));
        assert!(matches!(wants_of(&note(&["agent/role"], None, "github")), Some(Err(_))));
    }
}
