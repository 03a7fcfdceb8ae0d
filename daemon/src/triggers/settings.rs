//! `[triggers]`

use std::time::Duration;

use serde::Deserialize;

use crate::config::Span;

/// Pauses between attempts: about a day in all, closer in the beginning.
const PAUSES: [u64; 10] = [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 28_800];

/// `[triggers]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Triggers {
    /// Pauses before the second, third, … attempt at a delivery; their number is the number of further attempts. Each is made
    /// up to a fifth longer or shorter, so that what failed together does not come back together.
    pub(crate) retry_pauses: Vec<Span>,
    /// Most requests at once to the receiver of one trigger.
    pub(crate) at_once: usize,
}

impl Default for Triggers {
    fn default() -> Self {
        Self {
            retry_pauses: PAUSES.iter().map(|&pause| Span(Duration::from_secs(pause))).collect(),
            at_once: 4,
        }
    }
}
