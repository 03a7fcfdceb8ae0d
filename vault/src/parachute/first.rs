//! The first connection to a vault that has a history: which of its messages are old.
//!
//! Messages that were there before, and that somebody has dealt with, must not run again by the hundreds; those that nobody
//! has dealt with wait for exactly this moment.

use std::collections::HashSet;

use crate::agent::Inbound;
use crate::note::{Metadata, Note};
use crate::store::VaultError;

use super::Core;

/// What happens at the first connection to the messages that are there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FirstConnect {
    /// Those run that nobody has dealt with: without an answer (`in_reply_to`), without `status: handled`, and without a
    /// trigger's mark that it was delivered (`*_rendered_at`). One whose delivery has failed (`*_pending_at`) runs.
    #[default]
    Pending,
    /// All of them run.
    All,
    /// None of them runs, whatever becomes of it later.
    None,
}

impl FirstConnect {
    /// The words of the configuration.
    pub const WORDS: [(&str, Self); 3] = [("pending", Self::Pending), ("all", Self::All), ("none", Self::None)];
}

/// Why a message is old: it is in the index, and leaves no row in the change log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Old {
    /// An agent has answered it.
    Answered,
    /// It says itself that it was dealt with. When somebody takes that away, it counts as new.
    Marked,
    /// So it was configured.
    Unwanted,
}

impl Old {
    const WORDS: [(Self, &str); 3] = [
        (Self::Answered, "answered:"),
        (Self::Marked, "marked:"),
        (Self::Unwanted, "unwanted:"),
    ];

    /// What a stamp of the index says, and the rest of it.
    pub(super) fn of(stamp: &str) -> (Option<Self>, &str) {
        for (old, word) in Self::WORDS {
            if let Some(rest) = stamp.strip_prefix(word) {
                return (Some(old), rest);
            }
        }
        (None, stamp)
    }

    /// The stamp that keeps it.
    pub(super) fn stamp(self, stamp: &str) -> String {
        let word = Self::WORDS.iter().find(|(old, _)| *old == self);
        format!("{}{stamp}", word.map_or("", |(_, word)| word))
    }

    /// Whether a note that was old is so still.
    pub(super) fn still(self, note: &Note) -> Option<Self> {
        match self {
            Self::Answered | Self::Unwanted => Some(self),
            Self::Marked => is_marked(&note.metadata).then_some(self),
        }
    }
}

/// Judges the messages that are there at the first connection.
pub(super) struct Judge {
    rule: FirstConnect,
    /// Identities of the answered messages.
    answered: HashSet<String>,
}

impl Judge {
    /// Whether a note is an old message.
    pub(super) fn old(&self, note: &Note) -> Option<Old> {
        if !Inbound::wakes(note) {
            return None;
        }
        match self.rule {
            FirstConnect::All => None,
            FirstConnect::None => Some(Old::Unwanted),
            FirstConnect::Pending if self.answered.contains(note.id.as_str()) => Some(Old::Answered),
            FirstConnect::Pending => is_marked(&note.metadata).then_some(Old::Marked),
        }
    }
}

fn is_marked(metadata: &Metadata) -> bool {
    metadata.iter().any(|(key, value)| match value.as_str() {
        Some(text) => {
            (key.ends_with("_rendered_at") && !text.trim().is_empty()) || (key == "status" && text == "handled")
        }
        None => false,
    })
}

/// Under it the index keeps that the messages of the first connection have been judged.
const CONNECTED: &str = "parachute.connected";

impl Core {
    /// The judge, as long as the first connection is not over.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(super) async fn judge(&self) -> Result<Option<Judge>, VaultError> {
        if self.index.memo(CONNECTED).await?.is_some() {
            return Ok(None);
        }
        let rule = self.first_connect;
        let answered = match rule {
            FirstConnect::Pending => self.answered().await?,
            FirstConnect::All | FirstConnect::None => HashSet::new(),
        };
        Ok(Some(Judge { rule, answered }))
    }

    /// The first connection is over.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(super) async fn connected(&self) -> Result<(), VaultError> {
        self.index.set_memo(CONNECTED, "1".into()).await?;
        tracing::info!(vault = self.name, "the first scan of the vault is done");
        Ok(())
    }
}
