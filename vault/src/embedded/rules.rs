//! What a new note and a patch come to. Pure: no storage, no clock.

use std::borrow::Cow;
use std::collections::HashSet;

use jiff::{Timestamp, ToSpan};
use serde_json::Value;

use crate::note::{Note, NoteId, millis, normalise_path, shown};
use crate::store::{ContentChange, NewNote, Patch, Precondition, VaultError};

/// Longest tag and longest path, in bytes. Both are keys of indexes.
const TAG_BYTES: usize = 256;
const PATH_BYTES: usize = 1024;

/// The note that `new` asks for.
pub(crate) fn created(new: NewNote, now: Timestamp) -> Result<Note, VaultError> {
    let note = Note {
        id: new.id.unwrap_or_else(NoteId::generate),
        path: new.path.as_deref().map(checked_path).transpose()?.flatten(),
        content: new.content,
        tags: checked_tags(&new.tags)?,
        metadata: new.metadata,
        created_at: millis::truncate(new.created_at.unwrap_or(now)),
        updated_at: millis::truncate(now),
    };
    not_empty(&note)?;
    Ok(note)
}

/// The note after `patch`, or `None` when the patch changes nothing.
pub(crate) fn patched(
    note: &Note,
    patch: Patch,
    precondition: Precondition,
    now: Timestamp,
) -> Result<Option<Note>, VaultError> {
    if let Precondition::UpdatedAt(expected) = precondition
        && millis::truncate(expected) != note.updated_at
    {
        return Err(VaultError::Conflict {
            id: note.id.clone(),
            path: note.path.clone(),
            current: note.updated_at,
            expected,
        });
    }
    let mut after = note.clone();
    after.content = changed_content(&note.content, patch.content)?;
    if let Some(path) = patch.path {
        after.path = path.as_deref().map(checked_path).transpose()?.flatten();
    }
    after.metadata.extend(patch.metadata);
    for key in &patch.remove_metadata {
        after.metadata.remove(key);
    }
    after.tags.extend(checked_tags(&patch.add_tags)?);
    let removed: HashSet<&str> = patch.remove_tags.iter().map(|tag| bare(tag)).collect();
    after.tags.retain(|tag| !removed.contains(tag.as_str()));
    after.tags.sort_unstable();
    after.tags.dedup();
    if let Some(created_at) = patch.created_at {
        after.created_at = millis::truncate(created_at);
    }
    if after == *note {
        return Ok(None);
    }
    not_empty(&after)?;
    after.updated_at = later(now, note.updated_at);
    Ok(Some(after))
}

/// Now, or a millisecond after the last change when the clock has not moved on (or went back).
pub(crate) fn later(now: Timestamp, last: Timestamp) -> Timestamp {
    // The sum overflows in the year 9999 only.
    let next = last.checked_add(1.millisecond()).unwrap_or(last);
    millis::truncate(now).max(next)
}

fn not_empty(note: &Note) -> Result<(), VaultError> {
    if note.path.is_none() && note.content.trim().is_empty() {
        Err(VaultError::Empty)
    } else {
        Ok(())
    }
}

fn changed_content(content: &str, change: ContentChange) -> Result<String, VaultError> {
    match change {
        ContentChange::Keep => Ok(content.to_owned()),
        ContentChange::Replace(text) => Ok(text),
        ContentChange::Extend { prepend, append } => {
            let (front, body) = content.split_at(front_matter_end(content));
            // Without it the text would become part of the closing `---`.
            let newline = if front.is_empty() || front.ends_with('\n') || prepend.is_empty() {
                ""
            } else {
                "\n"
            };
            Ok([front, newline, &prepend, body, &append].concat())
        }
        ContentChange::Edit { old, .. } if old.is_empty() => {
            Err(VaultError::Invalid("the text to replace must not be empty".into()))
        }
        ContentChange::Edit { old, new } => match occurrences(content, &old) {
            0 => Err(VaultError::EditNotFound),
            1 => Ok(content.replacen(&old, &new, 1)),
            count => Err(VaultError::EditAmbiguous { count }),
        },
    }
}

/// Places where `part` stands; `part` is not empty. Those that overlap count only as far as it takes to know whether there is
/// one: to count half a text of one letter in all of it would take hours.
fn occurrences(text: &str, part: &str) -> usize {
    let apart = text.matches(part).count();
    let step = part.chars().next().map_or(1, char::len_utf8);
    let overlaps = || text.find(part).is_some_and(|first| text[first + step..].contains(part));
    if apart == 1 && overlaps() { 2 } else { apart }
}

/// Length of a leading front-matter block with its closing line: from a first line `---` to the next such line.
fn front_matter_end(content: &str) -> usize {
    let mut lines = content.split_inclusive('\n');
    let Some(first) = lines.next().filter(|line| line.trim_end() == "---") else {
        return 0;
    };
    let mut end = first.len();
    for line in lines {
        end += line.len();
        if line.trim_end() == "---" {
            return end;
        }
    }
    0
}

/// A tag as it is stored and compared: trimmed, without leading `#`, also where blanks stand between several.
pub(crate) fn bare(tag: &str) -> &str {
    tag.trim_start_matches(|c: char| c == '#' || c.is_whitespace())
        .trim_end()
}

/// Tags as they are stored: bare, sorted, each once.
pub(crate) fn checked_tags(tags: &[String]) -> Result<Vec<String>, VaultError> {
    let mut bare_tags = Vec::with_capacity(tags.len());
    for tag in tags {
        let bare = bare(tag);
        let wrong = if bare.is_empty() {
            "it is blank"
        } else if bare.contains(',') {
            "a comma separates tags in queries"
        } else if bare.chars().any(char::is_control) {
            "it contains a control character"
        } else if bare.len() > TAG_BYTES {
            "it is longer than 256 bytes"
        } else {
            bare_tags.push(bare.to_owned());
            continue;
        };
        return Err(VaultError::Invalid(format!("invalid tag {:?}: {wrong}", shown(tag))));
    }
    bare_tags.sort_unstable();
    bare_tags.dedup();
    Ok(bare_tags)
}

/// One tag as it is stored.
pub(super) fn checked_tag(tag: &str) -> Result<String, VaultError> {
    let mut tags = checked_tags(&[tag.to_owned()])?;
    tags.pop().ok_or_else(|| VaultError::Invalid("a tag is missing".into()))
}

/// A normalised path; `None` when nothing is left of it.
pub(crate) fn checked_path(path: &str) -> Result<Option<String>, VaultError> {
    let path = normalise_path(path);
    let wrong = match &path {
        Some(path) if path.chars().any(char::is_control) => "it contains a control character",
        Some(path) if path.len() > PATH_BYTES => "it is longer than 1024 bytes",
        _ => return Ok(path),
    };
    Err(VaultError::Invalid(format!(
        "invalid path {:?}: {wrong}",
        shown(&path.unwrap_or_default())
    )))
}

/// A metadata value as the text that [`crate::Query::metadata`] compares; `None` for null, arrays and objects.
pub(crate) fn comparable(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_bare_tag_stays_as_it_is() {
        for (tag, expected) in [
            ("#a", "a"),
            (" ## a b ", "a b"),
            ("# # a#b #", "a#b #"),
            ("#\n#", ""),
            ("\n\n#\n#x", "x"),
        ] {
            assert_eq!((bare(tag), bare(bare(tag))), (expected, expected), "{tag:?}");
        }
        assert!(checked_tags(&["#\n#".into()]).is_err());
    }

    fn extended(content: &str) -> String {
        let change = ContentChange::Extend {
            prepend: "<".into(),
            append: ">".into(),
        };
        changed_content(content, change).unwrap()
    }

    #[test]
    fn text_is_put_behind_front_matter() {
        for (content, expected) in [
            ("body", "<body>"),
            ("---\na: 1\n---\nbody", "---\na: 1\n---\n<body>"),
            ("---\r\na: 1\r\n---\r\nbody", "---\r\na: 1\r\n---\r\n<body>"),
            ("---\na: 1\n---", "---\na: 1\n---\n<>"),
            ("---\nnever closed", "<---\nnever closed>"),
            ("text\n---\n", "<text\n---\n>"),
            ("", "<>"),
        ] {
            assert_eq!(extended(content), expected, "{content:?}");
        }
    }

    #[test]
    fn occurrences_overlap() {
        assert_eq!(occurrences("aaa", "aa"), 2);
        assert_eq!(occurrences("ababab", "ab"), 3);
        assert_eq!(occurrences(&"a".repeat(4_000_000), &"a".repeat(3_000_000)), 2);
        assert_eq!(occurrences("äbä", "ä"), 2);
        assert_eq!(occurrences("abc", "x"), 0);
    }

    #[test]
    fn tags_are_bare_sorted_and_unique() {
        let tags = [
            "#b".to_owned(),
            " a ".to_owned(),
            "b".to_owned(),
            "agent/message".to_owned(),
        ];
        assert_eq!(checked_tags(&tags).unwrap(), ["a", "agent/message", "b"]);
        for wrong in ["", " ", "#", "a,b", "a\u{0}", &"x".repeat(257)] {
            assert!(
                matches!(checked_tags(&[wrong.to_owned()]), Err(VaultError::Invalid(_))),
                "{wrong:?}"
            );
        }
    }
}
