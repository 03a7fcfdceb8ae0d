//! What an agent asked for beyond its own tools, and what has become of that.

use serde::Serialize;
use utoipa::ToSchema;

/// The status of a connection that may be used.
const APPROVED: &str = "approved";

/// One entry of what an agent wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Connection {
    /// What tells it from the agent's other ones.
    pub(crate) key: String,
    /// `vault`, `service`, `surface` or `mcp`.
    pub(crate) kind: &'static str,
    /// The vault, service, surface or address.
    pub(crate) target: String,
    /// `approved`, or why not: `pending`, `revoked`, `needs_consent`, `error`.
    pub(crate) status: String,
    /// Where the grant is kept, when somebody else keeps it.
    #[serde(rename = "grantId", skip_serializing_if = "Option::is_none")]
    pub(crate) grant_id: Option<String>,
    /// More on a status that is not `approved`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

impl Connection {
    /// Whether the agent's turns may use it.
    #[must_use]
    pub(crate) fn is_approved(&self) -> bool {
        self.status == APPROVED
    }

    /// The key, with what stands in the way where that is more than a missing word of the operator.
    pub(super) fn words(&self) -> String {
        match (&self.reason, self.status.as_str()) {
            (Some(reason), _) => format!("{} ({reason})", self.key),
            (None, "pending") => self.key.clone(),
            (None, status) => format!("{} ({status})", self.key),
        }
    }
}
