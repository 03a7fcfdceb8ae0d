//! Notes as a Parachute vault writes them. Readers are tolerant: what is there was written by many hands.

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::embedded::rules;
use crate::note::{Metadata, Note, NoteId, millis};

/// A note as it is there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Raw {
    /// As everybody else sees it: tags bare. Without its text when it comes from a listing.
    pub(super) note: Note,
    /// `updatedAt` as the peer writes it, which compares it as text.
    pub(super) updated_at: String,
    /// Its tags as the peer has them.
    pub(super) tags: Vec<String>,
    /// Tells whether anything of it has changed, the marks of triggers aside.
    pub(super) stamp: String,
}

/// Names what [`Raw::stamp`] is made of.
const STAMPS: Uuid = Uuid::from_u128(0x7d0f_5c38_3f0e_4b52_9a51_0b0e_6d1c_5a07);

/// Endings of the metadata keys in which the peer's triggers keep their books.
const MARKS: [&str; 3] = ["_pending_at", "_rendered_at", "_skipped_reason"];

/// Whether a metadata key belongs to the peer's triggers. Their writes are no changes of the note.
fn is_mark(key: &str) -> bool {
    MARKS.iter().any(|mark| key.ends_with(mark))
}

/// Metadata without the marks of triggers, and without blank texts: those stand for a key that was taken away, or are
/// defaults that the peer adds after it has answered.
pub(super) fn unmarked(metadata: &Metadata) -> Metadata {
    let kept = metadata
        .iter()
        .filter(|(key, value)| !is_mark(key) && value.as_str() != Some(""));
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The note in an answer: bare, in an envelope `{"note": …}`, or as the one element of a list.
pub(super) fn one(answer: Value) -> Result<Raw, String> {
    match answer {
        Value::Object(mut fields) => match fields.remove("note") {
            Some(Value::Object(inner)) if !fields.contains_key("id") => note(inner),
            _ => note(fields),
        },
        Value::Array(mut list) if list.len() == 1 => list.pop().map_or_else(|| Err("no note".into()), one),
        _ => Err("it answered no note".into()),
    }
}

/// The notes in the answer to a listing, and how many it held: those that cannot be addressed are left out.
pub(super) fn many(answer: Value) -> Result<(Vec<Raw>, usize), String> {
    let list = match answer {
        Value::Array(list) => list,
        Value::Object(mut fields) => match fields.remove("notes") {
            Some(Value::Array(list)) => list,
            _ => return Err("it answered no list of notes".into()),
        },
        _ => return Err("it answered no list of notes".into()),
    };
    let count = list.len();
    let mut notes = Vec::with_capacity(count);
    for element in list {
        match one(element) {
            Ok(raw) => notes.push(raw),
            Err(reason) => tracing::warn!(reason, "a note of the vault is left out"),
        }
    }
    Ok((notes, count))
}

fn note(mut fields: Map<String, Value>) -> Result<Raw, String> {
    let mut take = |keys: &[&str]| keys.iter().find_map(|key| fields.remove(*key));
    let id = take(&["id"]).as_ref().and_then(Value::as_str).map(NoteId::new);
    let id = match id {
        Some(Ok(id)) => id,
        Some(Err(error)) => return Err(error.to_string()),
        None => return Err("it answered a note without an id".into()),
    };
    let text = |value: Option<Value>| match value {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let path = Some(text(take(&["path"]))).filter(|path| !path.is_empty());
    let content = take(&["content"]);
    let size = take(&["byteSize"]).and_then(|size| size.as_u64());
    let tags: Vec<String> = match take(&["tags"]) {
        Some(Value::Array(tags)) => tags
            .into_iter()
            .map(|tag| text(Some(tag)))
            .filter(|t| !t.is_empty())
            .collect(),
        _ => Vec::new(),
    };
    let metadata = match take(&["metadata"]) {
        Some(Value::Object(metadata)) => metadata,
        _ => Metadata::new(),
    };
    let created = text(take(&["createdAt", "created_at"]));
    let updated = text(take(&["updatedAt", "updated_at"]));
    // Neither is checked by the peer when a client sets it.
    let updated_at = millis::parse(&updated).or_else(|_| millis::parse(&created));
    let updated_at = updated_at.unwrap_or(Timestamp::UNIX_EPOCH);
    let mut bare: Vec<String> = tags.iter().map(|tag| rules::bare(tag).to_owned()).collect();
    bare.retain(|tag| !tag.is_empty());
    bare.sort_unstable();
    bare.dedup();
    let content = text(content);
    let bytes = size.unwrap_or(content.len() as u64);
    let stamp = stamp(&path, &bare, &metadata, &[&created, &updated], bytes);
    let note = Note {
        id,
        path,
        content,
        tags: bare,
        metadata,
        created_at: millis::parse(&created).unwrap_or(updated_at),
        updated_at,
    };
    Ok(Raw {
        note,
        updated_at: updated,
        tags,
        stamp,
    })
}

fn stamp(path: &Option<String>, tags: &[String], metadata: &Metadata, times: &[&str], bytes: u64) -> String {
    let parts = serde_json::json!([path, tags, unmarked(metadata), times, bytes]);
    Uuid::new_v5(&STAMPS, parts.to_string().as_bytes()).simple().to_string()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn full() -> Value {
        json!({"id": "n", "content": "hé", "path": "p", "tags": ["#b", "a", " a ", "#"], "metadata": {"k": 1},
               "createdAt": "2026-01-02T03:04:05.006Z", "updatedAt": "2026-01-02T03:04:05.007Z"})
    }

    fn with(key: &str, value: Value) -> Value {
        let mut note = full();
        note[key] = value;
        note
    }

    #[test]
    fn a_listing_and_a_note_have_one_stamp() {
        let whole = one(full()).unwrap();
        assert_eq!(whole.note.tags, ["a", "b"]);
        assert_eq!(whole.tags, ["#b", "a", " a ", "#"]);
        let mut lean = with("byteSize", json!(3));
        lean.as_object_mut().unwrap().remove("content");
        assert_eq!(one(lean).unwrap().stamp, whole.stamp);
        let marked = with(
            "metadata",
            json!({"k": 1, "x_pending_at": "now", "x_rendered_at": "now", "default": ""}),
        );
        assert_eq!(one(marked).unwrap().stamp, whole.stamp);
        for (key, value) in [
            ("path", json!("q")),
            ("metadata", json!({"k": "1"})),
            ("tags", json!(["b"])),
            ("updatedAt", json!("2026-01-02T03:04:05.008Z")),
            ("content", json!("h")),
        ] {
            assert_ne!(one(with(key, value)).unwrap().stamp, whole.stamp, "{key}");
        }
    }

    #[test]
    fn envelopes_and_odd_values_are_read() {
        let plain = one(full()).unwrap();
        assert_eq!(one(json!({"note": full()})).unwrap(), plain);
        assert_eq!(one(json!([full()])).unwrap(), plain);
        assert_eq!(many(json!({"notes": [full()]})).unwrap().1, 1);
        let odd = one(json!({"id": "n", "metadata": [1], "tags": "abc", "createdAt": "yesterday"})).unwrap();
        assert_eq!((odd.note.metadata.len(), odd.note.tags.len()), (0, 0));
        assert_eq!(odd.note.created_at, Timestamp::UNIX_EPOCH);
        let snake = one(json!({"id": "n", "updated_at": "2026-01-02T03:04:05.007Z"})).unwrap();
        assert_eq!(snake.note.updated_at, plain.note.updated_at);
        for wrong in [json!(null), json!({}), json!({"id": "a/b"}), json!([full(), full()])] {
            assert!(one(wrong.clone()).is_err(), "{wrong}");
        }
        assert_eq!(many(json!([full(), {"id": "a/b"}])).unwrap(), (vec![plain], 2));
        assert!(many(json!({"error": "no"})).is_err());
    }
}
