//! Tags as such: what they are for, which fields notes with them have, and which tag is a kind of which.

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::note::shown;
use crate::store::VaultError;

/// Types that a field can have.
const TYPES: [&str; 6] = ["string", "number", "integer", "boolean", "array", "object"];

/// Most bytes that a description, and all fields together, may have.
const DESCRIPTION_BYTES: usize = 16 * 1024;
const FIELDS_BYTES: usize = 64 * 1024;

/// Most parents of one tag.
const PARENTS: usize = 100;

/// Longest name of a field, in bytes.
const FIELD_BYTES: usize = 256;

/// A tag.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tag {
    /// Bare, without a leading `#`.
    pub name: String,
    /// Notes that carry it; those with a kind of it do not count.
    pub count: u64,
    /// What it is for.
    pub description: Option<String>,
    /// The fields that notes with it have, by metadata key: objects such as `{"type":"string","indexed":true}`. They say what to
    /// expect; no note is changed or refused because of them.
    pub fields: Option<Map<String, Value>>,
    /// The tags that it is a kind of, sorted. Whoever asks for one of them gets the notes with this one too.
    pub parents: Vec<String>,
}

/// What to change of a tag. `default()` changes nothing, but makes the tag known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TagChange {
    /// New description; a blank one takes it away.
    pub description: Option<String>,
    /// Merged key by key; a null takes the field away.
    pub fields: Map<String, Value>,
    /// All parents from now on.
    pub parents: Option<Vec<String>>,
}

impl TagChange {
    /// The change as it is kept, except for the names of the parents.
    ///
    /// # Errors
    /// [`VaultError::Invalid`] names the field.
    pub(crate) fn checked(mut self) -> Result<Self, VaultError> {
        if let Some(text) = &mut self.description {
            *text = text.trim().to_owned();
            at_most("description", text.len(), DESCRIPTION_BYTES)?;
        }
        for (name, field) in &self.fields {
            if name.trim().is_empty() || name.len() > FIELD_BYTES || name.chars().any(char::is_control) {
                let place = format!("fields.{:?}", shown(name));
                return Err(invalid(&place, "a name has 1 to 256 bytes"));
            }
            check_field(name, field)?;
        }
        at_most(
            "fields",
            Value::from(self.fields.clone()).to_string().len(),
            FIELDS_BYTES,
        )?;
        at_most("parent_names", self.parents.as_ref().map_or(0, Vec::len), PARENTS)?;
        Ok(self)
    }
}

/// What becomes of the fields of a tag.
pub(crate) fn merged(before: Option<Map<String, Value>>, change: Map<String, Value>) -> Option<Map<String, Value>> {
    let mut fields = before.unwrap_or_default();
    for (name, field) in change {
        if field.is_null() {
            fields.remove(&name);
        } else {
            fields.insert(name, field);
        }
    }
    (!fields.is_empty()).then_some(fields)
}

fn check_field(name: &str, field: &Value) -> Result<(), VaultError> {
    let place = |key: &str| format!("fields.{name}.{key}");
    let parts = match field {
        Value::Null => return Ok(()),
        Value::Object(parts) => parts,
        _ => {
            return Err(invalid(
                &format!("fields.{name}"),
                "must be an object such as {\"type\":\"string\"}",
            ));
        }
    };
    match parts.get("type") {
        None => {}
        Some(Value::String(kind)) if TYPES.contains(&kind.as_str()) => {}
        Some(_) => return Err(invalid(&place("type"), &format!("must be one of {}", TYPES.join(", ")))),
    }
    if parts.get("indexed").is_some_and(|indexed| !indexed.is_boolean()) {
        return Err(invalid(&place("indexed"), "must be true or false"));
    }
    if parts
        .get("description")
        .is_some_and(|text| !(text.is_string() || text.is_null()))
    {
        return Err(invalid(&place("description"), "must be text"));
    }
    let is_value = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    match parts.get("enum") {
        None => Ok(()),
        Some(Value::Array(values)) if !values.is_empty() && values.iter().all(is_value) => Ok(()),
        Some(_) => Err(invalid(
            &place("enum"),
            "must be an array of texts, numbers or booleans",
        )),
    }
}

fn at_most(place: &str, found: usize, most: usize) -> Result<(), VaultError> {
    if found > most {
        return Err(invalid(place, &format!("is too large ({found}, at most {most})")));
    }
    Ok(())
}

fn invalid(place: &str, rule: &str) -> VaultError {
    VaultError::Invalid(format!("{place} {rule}; nothing was written"))
}

/// The tags of a vault. A tag is there from its first use on, also when no note carries it any more.
///
/// Renaming, merging and removing change the notes: each of them stands in the change log.
#[async_trait]
pub trait Tags: Send + Sync {
    /// All tags, by name.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn all_tags(&self) -> Result<Vec<Tag>, VaultError>;

    /// One tag, or `None` when it was never used.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn tag(&self, name: &str) -> Result<Option<Tag>, VaultError>;

    /// Everything that is a kind of one of these tags, each once; not the tags themselves, unless one is a kind of another.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn kinds_of(&self, names: &[String]) -> Result<Vec<String>, VaultError>;

    /// Changes a tag, or makes it. A change that changes nothing writes nothing.
    ///
    /// # Errors
    /// [`VaultError::Invalid`], [`VaultError::Unavailable`].
    async fn put_tag(&self, name: &str, change: TagChange) -> Result<Tag, VaultError>;

    /// Gives a tag another name, with its description, fields, parents and kinds, and on all notes. Answers how many notes that
    /// were. What notes at `_tags/…` say of it stays as it is written there.
    ///
    /// # Errors
    /// [`VaultError::NoTag`], [`VaultError::TagTaken`], [`VaultError::Invalid`], [`VaultError::Unavailable`].
    async fn rename_tag(&self, name: &str, new: &str) -> Result<u64, VaultError>;

    /// Makes one tag of several: notes with one of `sources` carry `target` instead, what is a kind of them is a kind of it, and
    /// what their schemas have and that of the target has not goes over. Answers the number of notes for each source, 0 for
    /// one that is not known.
    ///
    /// # Errors
    /// [`VaultError::Invalid`], [`VaultError::Unavailable`].
    async fn merge_tags(&self, sources: &[String], target: &str) -> Result<Vec<(String, u64)>, VaultError>;

    /// Removes a tag and takes it off all notes. Answers how many notes that were; `None` when there was no such tag.
    ///
    /// # Errors
    /// [`VaultError::Invalid`], [`VaultError::Unavailable`].
    async fn delete_tag(&self, name: &str) -> Result<Option<u64>, VaultError>;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(fields: Value) -> TagChange {
        let Value::Object(fields) = fields else {
            panic!("{fields} is no object")
        };
        TagChange {
            fields,
            ..TagChange::default()
        }
    }

    #[test]
    fn fields_are_checked() {
        for good in [
            json!({}),
            json!({ "a": { "type": "string", "indexed": true, "description": "x", "enum": ["x", 1, true], "more": [] } }),
            json!({ "a": {}, "b": null, "c d": { "type": "boolean" } }),
        ] {
            assert!(change(good.clone()).checked().is_ok(), "{good}");
        }
        for (bad, place) in [
            (json!({ "a": "string" }), "fields.a "),
            (json!({ "a": { "type": "strnig" } }), "fields.a.type"),
            (json!({ "a": { "type": 1 } }), "fields.a.type"),
            (json!({ "a": { "indexed": "yes" } }), "fields.a.indexed"),
            (json!({ "a": { "enum": "x" } }), "fields.a.enum"),
            (json!({ "a": { "enum": [] } }), "fields.a.enum"),
            (json!({ "a": { "enum": [null] } }), "fields.a.enum"),
            (json!({ "a": { "description": 1 } }), "fields.a.description"),
            (json!({ " ": {} }), "fields.\" \""),
            (json!({ "a": { "x": "y".repeat(70_000) } }), "fields is too large"),
        ] {
            let error = change(bad.clone()).checked().unwrap_err().to_string();
            assert!(error.contains(place), "{bad}: {error}");
        }
    }
}
