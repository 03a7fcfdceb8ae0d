//! What a vault says of itself as a whole.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::note::NoteId;
use crate::store::VaultError;

/// Tags that [`Stats::top_tags`] names.
pub(crate) const TOP_TAGS: u32 = 20;

/// Numbers about a vault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Notes.
    pub notes: u64,
    /// The note with the earliest time of creation, and that time.
    pub earliest: Option<(NoteId, Timestamp)>,
    /// The note with the latest time of creation, and that time.
    pub latest: Option<(NoteId, Timestamp)>,
    /// Notes by the month of their creation (UTC), such as `2026-07`; months without notes are left out.
    pub by_month: Vec<(String, u64)>,
    /// The most used tags with their number of notes.
    pub top_tags: Vec<(String, u64)>,
    /// Tags that notes carry.
    pub tags: u64,
    /// Links between notes that are there.
    pub links: u64,
}

/// The vault as a whole.
#[async_trait]
pub trait Profile: Send + Sync {
    /// What it is for, in the words of its owner.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn description(&self) -> Result<Option<String>, VaultError>;

    /// Says what it is for; a blank text takes that away.
    ///
    /// # Errors
    /// [`VaultError::Invalid`] for more than 64 KiB, [`VaultError::Unavailable`].
    async fn describe(&self, description: &str) -> Result<(), VaultError>;

    /// When it was made.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn made_at(&self) -> Result<Timestamp, VaultError>;

    /// Numbers about it.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn stats(&self) -> Result<Stats, VaultError>;
}
