//! What the double keeps.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::triggers::Trigger;

/// A note as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Place in the order of insertion.
    pub seq: u64,
    /// Opaque.
    pub id: String,
    /// Unique.
    pub path: Option<String>,
    /// The text.
    pub content: String,
    /// Sorted, literal.
    pub tags: Vec<String>,
    /// Any object.
    pub metadata: Map<String, Value>,
    /// Any text, by habit a time.
    pub created_at: String,
    /// A time with three decimals.
    pub updated_at: String,
    /// Rows of attachments.
    pub attachments: Vec<Value>,
}

impl Stored {
    /// As it is answered.
    #[must_use]
    pub fn full(&self) -> Value {
        let mut note = self.bare();
        note["content"] = self.content.clone().into();
        note
    }

    /// As it is listed.
    #[must_use]
    pub fn lean(&self) -> Value {
        let mut note = self.bare();
        let words = self.content.split_whitespace().collect::<Vec<_>>().join(" ");
        note["preview"] = words.chars().take(120).collect::<String>().into();
        note["byteSize"] = self.content.len().into();
        note
    }

    fn bare(&self) -> Value {
        let mut note = json!({
            "id": self.id, "tags": self.tags, "createdAt": self.created_at, "updatedAt": self.updated_at
        });
        if let Some(path) = &self.path {
            note["path"] = path.clone().into();
        }
        if !self.metadata.is_empty() {
            note["metadata"] = self.metadata.clone().into();
        }
        note
    }
}

/// A stored file.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) mime_type: String,
    pub(super) bytes: Vec<u8>,
}

/// Everything.
#[derive(Default)]
pub(super) struct Store {
    notes: BTreeMap<u64, Stored>,
    by_id: HashMap<String, u64>,
    by_path: HashMap<String, u64>,
    next: u64,
    pub(super) files: HashMap<String, File>,
    pub(super) schemas: Map<String, Value>,
    pub(super) description: Option<String>,
    pub(super) triggers: BTreeMap<String, Trigger>,
    /// Webhooks that were to be sent so far.
    pub(super) webhooks: u64,
    /// Listings so far, for their order.
    pub(super) listings: u64,
}

impl Store {
    /// Identity first, then exact path.
    pub(super) fn find(&self, key: &str) -> Option<&Stored> {
        let seq = self.by_id.get(key).or_else(|| self.by_path.get(key))?;
        self.notes.get(seq)
    }

    pub(super) fn has_id(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    pub(super) fn has_path(&self, path: &str) -> bool {
        self.by_path.contains_key(path)
    }

    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = &Stored> {
        self.notes.values()
    }

    pub(super) fn insert(&mut self, mut note: Stored) -> Stored {
        self.next += 1;
        note.seq = self.next;
        self.by_id.insert(note.id.clone(), note.seq);
        if let Some(path) = &note.path {
            self.by_path.insert(path.clone(), note.seq);
        }
        self.notes.insert(note.seq, note.clone());
        note
    }

    pub(super) fn tamper(&mut self, key: &str, change: impl FnOnce(&mut Stored)) {
        let Some(mut note) = self.remove(key) else { return };
        change(&mut note);
        let seq = note.seq;
        self.by_id.insert(note.id.clone(), seq);
        if let Some(path) = &note.path {
            self.by_path.insert(path.clone(), seq);
        }
        self.notes.insert(seq, note);
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Stored> {
        let seq = self.find(key)?.seq;
        let note = self.notes.remove(&seq)?;
        self.by_id.remove(&note.id);
        if let Some(path) = &note.path {
            self.by_path.remove(path);
        }
        Some(note)
    }
}
