//! `[mcp]`

use std::time::Duration;

use serde::Deserialize;

use super::Span;

/// Sessions of MCP clients.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Mcp {
    /// Most sessions at once. Beyond it the one that was idle longest ends.
    pub(crate) sessions: usize,
    /// How long a session holds that nobody uses.
    pub(crate) session_idle: Span,
}

impl Default for Mcp {
    fn default() -> Self {
        Self {
            sessions: 256,
            session_idle: Span(Duration::from_secs(60 * 60)),
        }
    }
}
