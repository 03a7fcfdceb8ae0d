//! What turns took, by chain, day and span of time.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ChannelName;

/// What a chain of hand-overs has taken so far, the claimed message included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainTotals {
    /// Accepted messages.
    pub messages: u64,
    /// Settled turns. One that messages shared counts in the chain of its first.
    pub turns: u64,
    /// Billionths of a US dollar.
    pub nano_usd: u64,
    /// Messages that were accepted before this one.
    pub before: u64,
}

/// What the turns of a channel took on one day (UTC).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayTotals {
    /// Settled turns, without those that were cancelled in line.
    pub turns: u64,
    /// Billionths of a US dollar, attempts of turns that go on included.
    pub nano_usd: u64,
}

/// How many turns ended, and what they took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that ended with an answer.
    pub ok: u64,
    /// Those that ended without one.
    pub error: u64,
    /// Those that a person ended.
    pub cancelled: u64,
    /// Those that were cut off for good.
    pub interrupted: u64,
    /// Input tokens, cache not counted.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Billionths of a US dollar.
    pub nano_usd: u64,
}

impl Tally {
    /// All of them.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.ok + self.failures() + self.cancelled
    }

    /// Those that nobody wanted to end so.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.error + self.interrupted
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            ok: self.ok + other.ok,
            error: self.error + other.error,
            cancelled: self.cancelled + other.cancelled,
            interrupted: self.interrupted + other.interrupted,
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            nano_usd: self.nano_usd.saturating_add(other.nano_usd),
        }
    }
}

/// How long something took: of so many, half and nineteen of twenty took no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Half took no longer.
    pub p50: Duration,
    /// Nineteen of twenty took no longer.
    pub p95: Duration,
}

/// The turns that ended in a span of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Period {
    /// From the last claim to the end; `None` when no turn ended.
    pub duration: Option<Spread>,
    /// From the acceptance to the last claim.
    pub wait: Option<Spread>,
    /// By channel, in the order of their names; those without any are left out.
    pub channels: Vec<(ChannelName, Tally)>,
}

/// What is open now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Load {
    /// When the oldest waiting turn was accepted.
    pub oldest_waiting: Option<Timestamp>,
    /// Effects that are not delivered, counted up to 100 000.
    pub effects: u64,
    /// When the turn of the oldest of them ended.
    pub oldest_effect: Option<Timestamp>,
}
