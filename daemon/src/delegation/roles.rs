//! Roles in the hands of a turn. What a role wants reaches every turn whose thread lists it. So what roles want, where they
//! are, and which threads list them is the operator's; their text is anybody's.

use reveille_vault::agent::{WANTS, tag};
use reveille_vault::{Note, VaultError};
use serde_json::Value;
use uuid::Uuid;

/// Metadata of a thread note that lists its roles.
const ROLES: &str = "roles";
/// Where the daemon writes thread notes, and looks for those of conversations that are yet to begin.
const THREADS: &str = "threads/";

fn forbidden<T>(what: &str) -> Result<T, VaultError> {
    Err(VaultError::Forbidden(format!(
        "{what}; nothing was written. Ask the operator to do it"
    )))
}

/// Whether a change reaches for connections by way of roles. `before`: `None` for a new note. `is_named`: its identity was
/// chosen, and may be that of a conversation.
pub(super) fn refuse_note(before: Option<&Note>, after: &Note, is_named: bool) -> Result<(), VaultError> {
    let role = before.and_then(role_of);
    if role_of(after) != role {
        return forbidden("a turn may not write or move roles that want connections");
    }
    // A conversation knows its note by the identity, whatever tags it has and wherever it is: what is none today could list
    // roles unseen, and be one again with the next turn.
    if before.is_some_and(|before| before.has_tag(tag::THREAD)) && !after.has_tag(tag::THREAD) {
        return forbidden("a turn may not take the tag agent/thread off a note");
    }
    if is_named && Uuid::try_parse(after.id.as_str()).is_ok() {
        return forbidden("a turn may not give a note a UUID as its id, which may be that of a conversation");
    }
    let threads = |note: &Note| note.has_tag(tag::THREAD) || is_named || path_of(note).starts_with(THREADS);
    // With the path: at another one it may be the note of another conversation.
    let listed = |note: &Note| {
        let lists = said(note, ROLES).filter(|_| threads(note))?;
        Some((note.path.clone(), lists))
    };
    let lists = listed(after);
    if lists.is_some() && lists != before.and_then(listed) {
        return forbidden("a turn may not say which roles a thread has, nor move a thread that has some");
    }
    Ok(())
}

fn path_of(note: &Note) -> String {
    note.path.as_deref().unwrap_or_default().to_ascii_lowercase()
}

/// Where a role is and what it wants; `None` for one that wants nothing.
fn role_of(note: &Note) -> Option<(String, Value)> {
    let wants = Some(note)
        .filter(|note| note.has_tag(tag::ROLE))
        .and_then(|note| said(note, WANTS))?;
    Some((note.path.clone().unwrap_or_default(), wants))
}

/// A value that says something.
fn said(note: &Note, key: &str) -> Option<Value> {
    let value = note.metadata.get(key)?;
    let blank = match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    (!blank).then(|| value.clone())
}

#[cfg(test)]
mod tests {
    use reveille_vault::NoteId;
    use serde_json::json;

    use super::*;

    fn note(path: &str, tags: &[&str], metadata: Value) -> Note {
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        let Value::Object(metadata) = metadata else {
            panic!("metadata is an object")
        };
        Note {
            id: NoteId::new("n1").unwrap(),
            path: Some(path.into()),
            content: "text".into(),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            metadata,
            created_at: at,
            updated_at: at,
        }
    }

    fn role(path: &str, wants: &str) -> Note {
        note(path, &["agent/role"], json!({ "wants": wants }))
    }

    fn thread(path: &str, tags: &[&str], roles: &Value) -> Note {
        note(path, tags, json!({ "roles": roles }))
    }

    #[test]
    fn a_turn_does_not_reach_for_connections_by_way_of_roles() {
        let plain = note("Roles/x", &["agent/role"], json!({}));
        let wanting = role("Roles/x", "env:github");
        let listing = thread("Threads/a/b", &["agent/thread"], &json!(["Roles/x"]));
        for (before, after) in [
            (None, wanting.clone()),
            (Some(plain.clone()), wanting.clone()),
            (Some(wanting.clone()), role("Roles/x", "env:github, env:other")),
            (Some(wanting.clone()), role("Roles/y", "env:github")),
            (
                Some(wanting.clone()),
                note("Roles/x", &[], json!({ "wants": "env:github" })),
            ),
            (
                Some(note("Roles/x", &[], json!({ "wants": "env:github" }))),
                wanting.clone(),
            ),
            (None, listing.clone()),
            (None, thread("threads/a/c", &[], &json!("Roles/x"))),
            (
                Some(thread("Threads/a/b", &["agent/thread"], &json!([]))),
                listing.clone(),
            ),
            (
                Some(thread("Elsewhere", &[], &json!(["Roles/x"]))),
                thread("Threads/z", &[], &json!(["Roles/x"])),
            ),
        ] {
            let refused = refuse_note(before.as_ref(), &after, false);
            assert!(matches!(refused, Err(VaultError::Forbidden(_))), "{before:?} {after:?}");
        }
        let named = thread("Anywhere", &[], &json!(["Roles/x"]));
        assert!(refuse_note(None, &named, true).is_err());
    }

    #[test]
    fn what_a_thread_lists_stays_with_that_thread() {
        let listing = thread("Threads/ops/ops", &["agent/thread"], &json!(["Roles/x"]));
        let plain = note("Threads/a/a", &["agent/thread"], json!({ "agent": "a" }));
        for (before, after) in [
            // The conversation is found by the identity of its note, and gets the tag again.
            (&plain, note("Elsewhere", &[], json!({ "agent": "a" }))),
            (&plain, thread("Elsewhere", &[], &json!(["Roles/x"]))),
            // A conversation that is yet to begin takes the note at its path.
            (
                &listing,
                thread("Threads/a/a--new", &["agent/thread"], &json!(["Roles/x"])),
            ),
        ] {
            let refused = refuse_note(Some(before), &after, false);
            assert!(matches!(refused, Err(VaultError::Forbidden(_))), "{before:?} {after:?}");
        }
        // It could list roles later.
        let mut named = note("Anywhere", &[], json!({}));
        assert!(refuse_note(None, &named, true).is_ok());
        named.id = NoteId::generate();
        assert!(refuse_note(None, &named, true).is_err());
        assert!(refuse_note(None, &named, false).is_ok());
        // A thread that lists nothing may be moved.
        let moved = note("Archive/a", &["agent/thread"], json!({ "agent": "a" }));
        assert!(refuse_note(Some(&plain), &moved, false).is_ok());
    }

    #[test]
    fn everything_else_is_as_before() {
        let wanting = role("Roles/x", "env:github");
        let mut edited = wanting.clone();
        edited.content = "other".into();
        let listing = thread("Threads/a/b", &["agent/thread"], &json!(["Roles/x"]));
        let mut noted = listing.clone();
        noted.metadata.insert("seen".into(), json!(true));
        for (before, after) in [
            (None, note("Roles/x", &["agent/role"], json!({ "wants": " " }))),
            (None, note("Wishes", &[], json!({ "wants": "a bicycle" }))),
            (None, thread("People/ann", &[], &json!(["author"]))),
            (Some(wanting), edited),
            (Some(listing.clone()), noted),
            (Some(listing), thread("Threads/a/b", &["agent/thread"], &json!(null))),
        ] {
            assert!(
                refuse_note(before.as_ref(), &after, false).is_ok(),
                "{before:?} {after:?}"
            );
        }
    }
}
