//! `[claude]`: the program that runs turns, and its clocks.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::Span;

/// `[claude]`
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Claude {
    /// Name or path of the CLI, or `stand-in` for the built-in double.
    pub(crate) program: String,
    /// Model for agents that set none; the CLI's own default when absent.
    pub(crate) model: Option<String>,
    /// Longest silence of a turn.
    pub(crate) timeout_idle: Span,
    /// Longest turn.
    pub(crate) timeout_wall: Span,
    /// Longest start of the CLI.
    pub(crate) timeout_start: Span,
    /// Pauses before the second, third, … attempt at a turn that a passing failure of the API has ended; their number is the
    /// number of further attempts.
    pub(crate) retry_pauses: Vec<Span>,
    /// Most processes that wait for the next message of their conversation.
    pub(crate) warm_processes: usize,
    /// How long one waits.
    pub(crate) warm_ttl: Span,
    /// Most bytes of memory that those which wait may have together.
    pub(crate) warm_memory: u64,
    /// Whether the process of the next conversation in line is started while it waits for its place.
    pub(crate) prewarm: bool,
    /// Extra variables for the child; `${NAME}` takes the daemon's.
    pub(crate) env: BTreeMap<String, String>,
}

impl Default for Claude {
    fn default() -> Self {
        Self {
            program: "claude".into(),
            model: None,
            timeout_idle: Span(Duration::from_secs(5 * 60)),
            timeout_wall: Span(Duration::from_secs(60 * 60)),
            timeout_start: Span(Duration::from_secs(30)),
            retry_pauses: vec![Span(Duration::from_secs(2)), Span(Duration::from_secs(5))],
            warm_processes: 2,
            warm_ttl: Span(Duration::from_secs(2 * 60)),
            warm_memory: 1 << 30,
            prewarm: true,
            env: BTreeMap::new(),
        }
    }
}

impl fmt::Debug for Claude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The values of `env` may be credentials.
        f.debug_struct("Claude")
            .field("program", &self.program)
            .field("env", &self.env.keys())
            .finish_non_exhaustive()
    }
}
