//! The note: what a vault stores.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Metadata of a note: a JSON object. Value types survive storage.
pub type Metadata = Map<String, Value>;

/// Opaque identity of a note. Never parsed, never sorted by. Cheap to clone: of thousands of notes many parts remember the id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NoteId(Arc<str>);

impl NoteId {
    /// Takes any non-empty text without `/` (an id with a slash could not be addressed in a URL).
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, InvalidName> {
        let text = text.into();
        if text.is_empty() || text.contains('/') || text.chars().any(char::is_control) || text.len() > 256 {
            return Err(InvalidName {
                what: "note id",
                rule: "1 to 256 characters, without `/` and control characters",
                text: shown(&text),
            });
        }
        Ok(Self(text))
    }

    /// A fresh id, in order of creation (UUID version 7).
    #[must_use]
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().to_string().into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name that breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} {text:?}: {rule}")]
pub struct InvalidName {
    /// What kind of name it is.
    pub what: &'static str,
    /// The rule, for a person.
    pub rule: &'static str,
    /// The offending text, or its beginning.
    pub text: String,
}

/// Characters of a text that a message repeats.
const SHOWN: usize = 80;

/// The beginning of a text for a message: what was sent may be very long.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A tag without its optional leading `#`: `#agent/message` and `agent/message` are the same tag.
#[must_use]
pub fn bare_tag(tag: &str) -> &str {
    tag.strip_prefix('#').unwrap_or(tag)
}

/// Normalises a path as the vault contract has it, in this order: trim, `\` to `/`, one trailing `.md` off,
/// `//` to `/`, one leading and one trailing `/` off. `None` when nothing is left.
#[must_use]
pub fn normalise_path(path: &str) -> Option<String> {
    let path = path.trim().replace('\\', "/");
    let cut = path.len().saturating_sub(3);
    let path = match path.get(cut..) {
        Some(end) if end.eq_ignore_ascii_case(".md") => &path[..cut],
        _ => &path,
    };
    let path = path.replace("//", "/");
    let path = path.strip_prefix('/').unwrap_or(&path);
    let path = path.strip_suffix('/').unwrap_or(path);
    (!path.is_empty()).then(|| path.to_owned())
}

/// One note. On the wire (`/vault/<name>/api`) its keys are camelCase, and `path` and `metadata` are left out when empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// Opaque identity.
    pub id: NoteId,
    /// Unique when set; case-sensitive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The body, Markdown by habit.
    #[serde(default)]
    pub content: String,
    /// Bare, sorted, without duplicates.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Free JSON object.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Metadata,
    /// Time of creation, UTC, millisecond precision.
    #[serde(alias = "created_at", with = "millis")]
    pub created_at: Timestamp,
    /// Time of the last change; strictly grows with every change of a note.
    #[serde(alias = "updated_at", with = "millis")]
    pub updated_at: Timestamp,
}

impl Note {
    /// Whether the note carries `tag` (a leading `#` on either side does not matter).
    #[must_use]
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|t| bare_tag(t) == bare_tag(tag))
    }

    /// A metadata value as trimmed text; `None` when absent, blank, null, or neither text, number nor boolean.
    /// Old vaults write everything as strings, so numbers and booleans read as text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        match self.metadata.get(key)? {
            Value::String(s) if !s.trim().is_empty() => Some(s.trim().to_owned()),
            Value::Number(n) => Some(n.to_string()),
            Value::Bool(b) => Some(b.to_string()),
            _ => None,
        }
    }
}

/// Timestamps as RFC 3339 UTC with exactly three decimals, the form that every vault client compares as text.
pub mod millis {
    use jiff::{Timestamp, Unit};
    use serde::{Deserialize, Deserializer, Serializer};

    /// The text form.
    #[must_use]
    pub fn format(at: Timestamp) -> String {
        format!("{at:.3}")
    }

    /// Cuts to whole milliseconds.
    #[must_use]
    pub fn truncate(at: Timestamp) -> Timestamp {
        Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
    }

    /// Reads an RFC 3339 time and cuts it to milliseconds.
    ///
    /// # Errors
    /// The text is no time.
    pub fn parse(text: &str) -> Result<Timestamp, jiff::Error> {
        let at: Timestamp = text.parse()?;
        at.round(Unit::Millisecond).map(truncate)
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format(*at))
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// The value is no RFC 3339 text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_in_the_contract_s_order() {
        for (given, expected) in [
            (" a/b.md ", Some("a/b")),
            ("a.MD", Some("a")),
            ("a\\b", Some("a/b")),
            ("/a//b/", Some("a/b")),
            ("a.md/", Some("a.md")),
            ("/", None),
            ("  ", None),
            ("ü.md", Some("ü")),
        ] {
            assert_eq!(normalise_path(given).as_deref(), expected, "{given:?}");
        }
    }

    #[test]
    fn a_refusal_repeats_the_beginning_only() {
        assert_eq!(NoteId::new("a/b").unwrap_err().text, "a/b");
        let told = NoteId::new("ä".repeat(100_000)).unwrap_err().to_string();
        assert!(told.len() < 300 && told.contains("ää…\": 1 to 256"), "{told}");
    }

    #[test]
    fn times_keep_three_decimals() {
        let at = millis::parse("2026-07-02T10:00:00Z").unwrap();
        assert_eq!(millis::format(at), "2026-07-02T10:00:00.000Z");
        let at = millis::parse("2026-07-02T10:00:00.123456Z").unwrap();
        assert_eq!(millis::format(at), "2026-07-02T10:00:00.123Z");
    }
}
