//! What signs a turn in, for a turn that must not have it.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use reveille_backends::{Failure, FailureCode, Remedy};

use super::{Claude, SignIn};
use crate::credentials::{CREDENTIALS, unusable};
use crate::sandboxing::shield;

/// Send the CLI to other services than Anthropic's API, with other credentials.
const ELSEWHERE: [&str; 6] = [
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_MANTLE",
    "CLAUDE_CODE_USE_ANTHROPIC_AWS",
    "CLAUDE_CODE_USE_GATEWAY",
];

fn is_on(value: &str) -> bool {
    let off = ["", "0", "false", "no", "off"];
    !off.iter().any(|word| value.trim().eq_ignore_ascii_case(word))
}

fn refusal(code: FailureCode, what: &str, next_step: &str) -> Failure {
    Failure {
        code,
        message: format!("The turn was not started: its credential is to stay outside ([sandbox] shield), and {what}."),
        next_step: next_step.to_owned(),
        remedy: Remedy::Operator,
        detail: String::new(),
    }
}

const STORE: &str = "Store a token (`claude setup-token`, then `reveille secret set --claude`) or a key, or turn the shield off for \
                     this agent; then send the message again.";

impl Claude {
    /// What signs a turn in that has these variables, each with its own variable. The stand-in may have none.
    ///
    /// # Errors
    /// It is nothing that can stay outside.
    pub(crate) fn keys(&self, env: &BTreeMap<String, String>) -> Result<Vec<(&'static str, String)>, Failure> {
        let on = |name: &&&str| env.get(**name).is_some_and(|value| is_on(value));
        if let Some(name) = ELSEWHERE.iter().find(on) {
            let what = format!("{name} sends Claude Code to another service than Anthropic's API");
            let next = "Turn the shield off for this agent (`[sandbox.agents.NAME] shield = false`), or take that variable out of \
                        [claude.env].";
            return Err(refusal(FailureCode::Sandbox, &what, next));
        }
        let set = |name: &&'static str| Some((*name, env.get(*name).filter(|value| !value.is_empty())?.clone()));
        let own: Vec<_> = CREDENTIALS.iter().filter_map(set).collect();
        if !own.is_empty() {
            return Ok(own);
        }
        match self.sign_in_unstored() {
            SignIn::NotNeeded => Ok(Vec::new()),
            SignIn::Environment(name) => {
                let value = self.environment.get(OsStr::new(name)).and_then(|value| value.to_str());
                let what = format!("{name} of the daemon is no text");
                let none = || refusal(FailureCode::Authentication, &what, STORE);
                Ok(vec![(name, value.ok_or_else(none)?.to_owned())])
            }
            SignIn::Login(_) => {
                let what = "the login of Claude Code's own files cannot: Claude Code itself has to read it";
                Err(refusal(FailureCode::Authentication, what, STORE))
            }
            _ => Err(refusal(FailureCode::Authentication, "there is none", STORE)),
        }
    }

    /// Why the turns of an agent could not be kept from their credential now.
    #[must_use]
    pub(crate) fn shield_problem(&self, agent: &str) -> Option<Failure> {
        let mut env = self.config.env.clone();
        match self.stored(Some(agent)) {
            Err(error) => return Some(unusable(&error)),
            Ok(None) => {}
            Ok(Some(stored)) => {
                env.retain(|name, _| !CREDENTIALS.contains(&name.as_str()));
                env.insert(stored.variable.to_owned(), stored.token);
            }
        }
        let planned = self.keys(&env).and_then(|keys| shield::Plan::of(&mut env, &keys));
        planned.err()
    }
}
