//! What signs agents in, as `/health` tells it: where it comes from, and never what it is.

use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use crate::claude::SignIn;

/// What signs agents in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CredentialSummary)]
pub(super) struct CredentialHealth {
    /// Of agents that have none of their own.
    source: CredentialSource,
    /// The variable that hands it over.
    #[serde(skip_serializing_if = "Option::is_none")]
    variable: Option<&'static str>,
    /// Agents with a stored one of their own.
    agents: Vec<String>,
    /// Why what is stored cannot be read; then turns fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Where a credential comes from.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum CredentialSource {
    /// It is stored for all agents.
    Stored,
    /// It is under `[claude.env]`.
    Configuration,
    /// It is a variable of the daemon.
    Environment,
    /// The login of the user's own Claude Code.
    Login,
    /// The stand-in needs none.
    NotNeeded,
    /// There is none that the daemon can see.
    None,
}

impl CredentialHealth {
    /// As it is now.
    pub(super) fn of(api: &Api) -> Self {
        let (source, variable) = match api.claude.sign_in(None) {
            SignIn::Stored(_, name) => (CredentialSource::Stored, Some(name)),
            SignIn::Configured(name) => (CredentialSource::Configuration, Some(name)),
            SignIn::Environment(name) => (CredentialSource::Environment, Some(name)),
            SignIn::Login(_) => (CredentialSource::Login, None),
            SignIn::NotNeeded => (CredentialSource::NotNeeded, None),
            SignIn::Unknown | SignIn::Unreadable(_) => (CredentialSource::None, None),
        };
        let (agents, problem) = match api.credentials.read() {
            Ok(contents) => (contents.claude_channels(), None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        Self {
            source,
            variable,
            agents,
            problem,
        }
    }

    /// Whether turns get what is stored for them.
    pub(super) fn is_well(&self) -> bool {
        self.problem.is_none()
    }
}
