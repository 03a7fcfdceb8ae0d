//! The first connection to a vault that has a history: which of its messages are old.
//!
//! Messages that were there before, and that somebody has dealt with, must not run again by the hundreds; those that nobody
//! has dealt with wait for exactly this moment.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

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
    /// When this is not the first connection, but the one after the index was lost: since then nobody has looked.
    lost_at: Option<Timestamp>,
}

impl Judge {
    /// Whether a note is an old message.
    pub(super) fn old(&self, note: &Note) -> Option<Old> {
        if !Inbound::wakes(note) {
            return None;
        }
        match self.rule {
            FirstConnect::All => None,
            FirstConnect::None if self.lost_at.is_some_and(|lost| note.created_at >= lost) => None,
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

/// Under it the index keeps when the one before it was written last.
const LOST_AT: &str = "parachute.lost_at";

/// Clocks differ, and the last look before a loss may have missed what was being written.
const LOOK_BACK: SignedDuration = SignedDuration::from_mins(5);

impl Core {
    /// Puts the damaged index aside and begins a new one. Which messages were dealt with is judged as at the first connection;
    /// what is told twice by that is found again by whoever accepted it.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(super) async fn make_index_anew(&self) -> Result<(), VaultError> {
        let _turn = self.mirroring.lock().await;
        let aside = self.index.begin_anew().await?;
        let Some(written_at) = aside.written_at else {
            return Ok(());
        };
        let lost_at = written_at.saturating_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
        self.index.set_memo(LOST_AT, lost_at.to_string()).await
    }

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
        let lost_at = self.index.memo(LOST_AT).await?;
        // silent-ok: only times are kept there
        let lost_at = lost_at.and_then(|text| text.parse().ok());
        Ok(Some(Judge {
            rule,
            answered,
            lost_at,
        }))
    }

    /// The first connection is over.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(super) async fn connected(&self) -> Result<(), VaultError> {
        self.index.set_memo(CONNECTED, "1".into()).await?;
        self.index.is_made();
        tracing::info!(vault = self.name, "the first scan of the vault is done");
        Ok(())
    }
}
