//! Links between notes: the model, and what a vault that has them can tell.
//!
//! A link leads from its source to its target and has a relationship. Those with the relationship `wikilink` stand in the
//! body of the source as `[[Target]]` and follow it; the others are given with the note and stay until they are taken away
//! or one of the notes is removed.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::note::{Metadata, NoteId};
use crate::scope::TagScope;
use crate::store::{Key, VaultError};
use crate::wikilink;

/// Longest relationship and longest name of a target, in bytes.
const RELATIONSHIP_BYTES: usize = 256;
const TARGET_BYTES: usize = 1024;

/// A link that a note shall have.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewLink {
    /// Id or path of the target. While there is no such note the link is kept and not told.
    pub target: String,
    /// What it means, such as `answers`. Any text but `wikilink`.
    pub relationship: String,
    /// Free JSON object.
    pub metadata: Metadata,
}

impl NewLink {
    /// The link as it is kept.
    pub(crate) fn checked(mut self) -> Result<Self, VaultError> {
        self.target = self.target.trim().to_owned();
        self.relationship = self.relationship.trim().to_owned();
        let bad = |text: &str, most: usize| text.is_empty() || text.len() > most || text.chars().any(char::is_control);
        let wrong = if bad(&self.target, TARGET_BYTES) {
            "its target must be the id or the path of a note"
        } else if bad(&self.relationship, RELATIONSHIP_BYTES) {
            "its relationship must be a text of 1 to 256 bytes"
        } else if self.relationship == wikilink::RELATIONSHIP {
            "a wikilink is made by writing [[Target]] into the body"
        } else {
            return Ok(self);
        };
        let (target, relationship) = (self.target, self.relationship);
        Err(VaultError::Invalid(format!(
            "invalid link to {target:?} ({relationship:?}): {wrong}; nothing was written"
        )))
    }
}

/// Which links of a note to take away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OldLink {
    /// Id or path of the target.
    pub target: String,
    /// `None`: whatever it means.
    pub relationship: Option<String>,
}

/// A link between two notes that are there.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// Where it begins.
    pub source: NoteId,
    /// Path of the source.
    pub source_path: Option<String>,
    /// Where it leads.
    pub target: NoteId,
    /// Path of the target.
    pub target_path: Option<String>,
    /// What it means.
    pub relationship: String,
    /// Free JSON object; empty for a wikilink.
    pub metadata: Metadata,
    /// The target as the body of the source names it, normalised like a path; `None` when it does not stand in the body.
    pub name: Option<String>,
    /// When the source got it.
    pub created_at: Timestamp,
}

/// A wikilink that leads nowhere yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    /// The note with the link in its body.
    pub source: NoteId,
    /// Path of that note.
    pub source_path: Option<String>,
    /// What the link names, normalised like a path.
    pub name: String,
}

/// A note that is some links away from another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// The note.
    pub note: NoteId,
    /// Path of the note.
    pub path: Option<String>,
    /// Fewest links between the two; 0 for the note itself.
    pub depth: u32,
}

/// A way from note to note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// From the first to the last.
    pub notes: Vec<NoteId>,
    /// Of the links between them: one less.
    pub relationships: Vec<String>,
}

/// Listings by what is near a note. Links are followed in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near {
    /// The note in the middle; it is part of the listing.
    pub note: Key,
    /// Most links away.
    pub depth: u32,
    /// Only links with this relationship; all when absent.
    pub relationship: Option<String>,
    /// Only by way of notes that this scope sees. `None`: no bounds.
    pub scope: Option<TagScope>,
}

/// The links of a vault. They are written with the notes: [`NewNote::links`](crate::NewNote), [`Patch::add_links`](crate::Patch).
#[async_trait]
pub trait Links: Send + Sync {
    /// Links from and to a note, those from it first. A body that names one note in several ways has as many links to it.
    ///
    /// # Errors
    /// [`VaultError::NotFound`], [`VaultError::Unavailable`].
    async fn links_of(&self, note: &Key) -> Result<Vec<Link>, VaultError>;

    /// Wikilinks that lead nowhere, by source.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn unresolved_links(&self) -> Result<Vec<Unresolved>, VaultError>;

    /// The note itself and those near it, the nearest first.
    ///
    /// # Errors
    /// [`VaultError::NotFound`], [`VaultError::Unavailable`].
    async fn neighbours(&self, near: &Near) -> Result<Vec<Neighbour>, VaultError>;

    /// A shortest way between two notes along links in either direction; `None` when there is none of at most `max_depth`
    /// links.
    ///
    /// # Errors
    /// [`VaultError::NotFound`], [`VaultError::Unavailable`].
    async fn find_path(&self, source: &Key, target: &Key, max_depth: u32) -> Result<Option<Trail>, VaultError>;
}
