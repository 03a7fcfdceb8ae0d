//! `[retention]`

use std::time::Duration;

use serde::Deserialize;

use super::Span;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `[retention]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Retention {
    /// How long the files that a turn was given stay with its conversation after the turn has ended.
    pub(crate) attachments: Span,
    /// How long what a turn did is kept after it has ended.
    pub(crate) steps: Span,
    /// How long transcripts stay of sessions that no conversation goes on with.
    pub(crate) transcripts: Span,
    /// How long the journal keeps what was said in a turn after it has ended.
    pub(crate) journal: Keep,
    /// How long the private directory of a conversation stays after its last turn.
    pub(crate) scratch: Keep,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            attachments: Span(30 * DAY),
            steps: Span(30 * DAY),
            transcripts: Span(30 * DAY),
            // It is found there where a note has been deleted by mistake.
            journal: Keep::Forever,
            // The work of an agent, and what it remembers of the conversation, are in it.
            scratch: Keep::Forever,
        }
    }
}

/// How long something is kept that may be kept for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// For good.
    Forever,
    /// That long.
    For(Duration),
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::{Error as _, IntoDeserializer as _};
        let text = String::deserialize(deserializer)?;
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let span = Span::deserialize(text.as_str().into_deserializer());
        span.map(|span| Self::For(span.0))
            .map_err(|error: serde::de::value::Error| D::Error::custom(format!("{error}, or \"forever\"")))
    }
}
