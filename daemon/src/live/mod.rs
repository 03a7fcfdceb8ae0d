//! Live events: what happens in the daemon, told to whoever watches, with numbers so that a watcher can come back.
//!
//! All events stand in one line, each serialised once, bounded in number and bytes. A watcher is a place in that line and
//! holds nothing itself: one that reads slowly keeps no memory and holds nobody up. When its place has fallen out of the
//! line, it is told to read the state again.

mod bell;
mod chunk;
mod hub;
mod line;
mod pace;
mod pulse;
mod story;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use chunk::Chunk;
pub(crate) use hub::Hub;
pub(crate) use story::Story;
pub(crate) use watch::{Scope, Step, Watch};

use jiff::Timestamp;
use reveille_backends::{Event, Usage};
use serde::Serialize;
use uuid::Uuid;

use story::Piece;

/// What a turn is about; part of every event.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Subject {
    /// The channel.
    pub(crate) channel: String,
    /// The turn.
    pub(crate) turn: Uuid,
    /// The conversation.
    pub(crate) thread: Uuid,
    /// The inbound note.
    pub(crate) message: String,
}

/// Something to tell.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Happening {
    /// From the running turn.
    Turn(Event),
    /// About the turn.
    About(Milestone),
}

/// Steps of a turn that the daemon itself makes. Exactly one of `done`, `error`, `stopped` ends a turn; `delivered` may follow.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Milestone {
    /// The message has been accepted.
    Queued {
        /// Messages before it in its conversation.
        position: u64,
        /// The message's text, cut at 2 000 characters.
        text: String,
        /// Who wrote it.
        sender: String,
    },
    /// It waits otherwise than before: a person held it back, let it go, moved or edited it, or who had taken it has it no
    /// longer.
    Waiting {
        /// Messages before it in its conversation.
        position: u64,
        /// It is passed by the ones behind it.
        held: bool,
        /// The message's text, cut at 2 000 characters.
        text: String,
        /// Why it is back in line: `released` by who had taken it, or `claim_over`.
        #[serde(skip_serializing_if = "Option::is_none")]
        back: Option<&'static str>,
    },
    /// A worker has taken it, or somebody outside.
    Started {
        /// From 1; more after an interruption.
        attempt: u32,
        /// Who has taken it, when that is somebody outside.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// When that claim ends unless it is renewed.
        #[serde(skip_serializing_if = "Option::is_none")]
        ends_at: Option<Timestamp>,
    },
    /// It ended with an answer.
    Done {
        /// The answer.
        reply: String,
        /// Tokens.
        usage: Usage,
        /// US dollars.
        cost_usd: f64,
        /// The outbound note; absent when the reply is empty or not delivered yet.
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        /// The reply is kept, but the vault has not taken it yet.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        undelivered: bool,
    },
    /// It ended without one.
    Error {
        /// What happened.
        error: String,
        /// Stable code.
        code: String,
        /// What to do.
        next_step: String,
        /// The failure note is kept, but the vault has not taken it yet.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        undelivered: bool,
    },
    /// A person stopped it.
    Stopped {},
    /// What its end had told as undelivered is in the vault now.
    Delivered {
        /// The outbound note; absent when there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
}

impl Milestone {
    /// A worker of ours has taken it.
    pub(crate) fn started(attempt: u32) -> Self {
        let (by, ends_at) = (None, None);
        Self::Started { attempt, by, ends_at }
    }
}

impl Happening {
    /// What it is in the story of its turn.
    fn piece(&self) -> Piece<'_> {
        match self {
            Self::Turn(Event::TextDelta { text }) => Piece::Delta(text),
            Self::Turn(Event::Text { parent: None, .. }) => Piece::Text,
            Self::Turn(Event::Init { .. }) => Piece::Init,
            Self::Turn(Event::Notice { .. }) => Piece::Notice,
            Self::About(Milestone::Started { attempt: 1, .. }) => Piece::Start,
            _ => Piece::Other,
        }
    }

    /// Whether a replay no longer needs the pieces before it.
    fn completes_deltas(&self) -> bool {
        matches!(self, Self::Turn(Event::Text { parent: None, .. }))
    }

    /// Whether it is told beside the turn's run: before its start, or after its end.
    fn is_aside(&self) -> bool {
        matches!(
            self,
            Self::About(Milestone::Queued { .. } | Milestone::Waiting { .. } | Milestone::Delivered { .. })
        )
    }

    fn ends_turn(&self) -> bool {
        matches!(
            self,
            Self::About(Milestone::Done { .. } | Milestone::Error { .. } | Milestone::Stopped {})
        )
    }
}
