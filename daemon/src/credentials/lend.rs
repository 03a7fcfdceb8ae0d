//! What a turn gets out of the store.

use std::collections::BTreeMap;

use reveille_backends::{Failure, FailureCode, Remedy, TurnRequest};

use super::{CREDENTIALS, Contents, Credentials, CredentialsError};

impl Credentials {
    /// Gives a turn of an agent, or with `None` of any, its credential and its variables, over those that the configuration has for all, and answers what
    /// people should know about it. Nothing that it gives is shown in an error of the turn.
    ///
    /// # Errors
    /// The file cannot be used. A turn without what was stored for it would do its work as somebody else.
    pub(crate) fn lend(&self, agent: Option<&str>, request: &mut TurnRequest) -> Result<Vec<String>, Failure> {
        let contents = self.read().map_err(|error| unusable(&error))?;
        Ok(give(&contents, agent, &mut request.env, &mut request.secrets))
    }
}

pub(super) fn give(
    contents: &Contents,
    agent: Option<&str>,
    env: &mut BTreeMap<String, String>,
    secrets: &mut Vec<String>,
) -> Vec<String> {
    let own = agent.and_then(|agent| contents.claude_of(Some(agent)));
    if let Some(stored) = own.or_else(|| contents.claude_of(None)) {
        // The CLI would take another one before it.
        env.retain(|name, _| !CREDENTIALS.contains(&name.as_str()));
        secrets.push(stored.token.clone());
        env.insert(stored.variable.to_owned(), stored.token);
    }
    let variables = agent.map_or_else(|| contents.variables_of_all(), |agent| contents.variables(agent));
    for (name, (_, value)) in variables.set {
        secrets.push(value.clone());
        env.insert(name, value);
    }
    let refused: Vec<String> = variables.refused.into_iter().collect();
    if refused.is_empty() {
        return Vec::new();
    }
    tracing::warn!(agent, names = ?refused, "variables of credentials.json are not given to the turn");
    vec![format!(
        "What credentials.json has for {} is not given to the turn: a turn never gets such variables out of it. `reveille secret \
         list` shows what is there.",
        refused.join(", ")
    )]
}

/// A turn without what was stored for it.
pub(crate) fn unusable(error: &CredentialsError) -> Failure {
    Failure {
        code: FailureCode::Storage,
        message: "The turn could not start: the credentials that are stored for agents cannot be read.".into(),
        next_step: "Nothing of them is lost. Ask the operator to run `reveille doctor`, then send again.".into(),
        remedy: Remedy::Operator,
        detail: error.to_string(),
    }
}
