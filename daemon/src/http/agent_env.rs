//! `GET /api/agents/NAME/env`: which variables the turns of an agent get, and where each comes from. Names only; nobody is
//! asked for anything.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use reveille_vault::agent::{Want, is_reserved_env};
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::error::{ApiError, Segment};
use crate::credentials::{CREDENTIALS, Layer};
use crate::grants::{GrantStatus, askpass};
use crate::sandboxing::API;
use crate::sandboxing::shield::HEADERS;

/// A variable of an agent's turns.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct EnvEntry {
    name: String,
    /// `channel`: stored for this agent; `default`: stored for all; `configuration`: `[claude.env]`; `grant:NAME`: an approved
    /// connection; `daemon`: passed on from the daemon; `shield`: the daemon's own address, behind which it adds the credential.
    source: String,
    /// The daemon adds it to the requests, and the turn has a placeholder instead, or nothing: `[sandbox] shield`.
    #[serde(skip_serializing_if = "is_false")]
    #[schema(required = false)]
    shielded: bool,
    /// Another entry counts instead.
    #[serde(skip_serializing_if = "is_false")]
    #[schema(required = false)]
    overridden: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The variables of an agent's turns.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EffectiveEnv {
    /// By name; of one name what counts stands first.
    env: Vec<EnvEntry>,
    /// Names in the file of credentials that no turn gets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    refused: Vec<String>,
    /// What a person should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Where a variable comes from; the first one counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Shield,
    Stored(std::cmp::Reverse<Layer>),
    Configuration,
    Grant(String),
    Daemon,
}

impl Source {
    fn text(&self) -> String {
        match self {
            Self::Shield => "shield".to_owned(),
            Self::Stored(std::cmp::Reverse(layer)) => layer.as_str().to_owned(),
            Self::Configuration => "configuration".to_owned(),
            Self::Grant(target) => format!("grant:{target}"),
            Self::Daemon => "daemon".to_owned(),
        }
    }
}

/// What the turns of an agent have in their environment besides what the daemon tells every one of them. Names only.
#[utoipa::path(
    get, path = "/api/agents/{name}/env", operation_id = "getAgentEnv", tag = "credentials",
    params(("name" = String, Path, description = "The agent. One that is not there has what is stored for its name.")),
    responses((status = 200, description = "The names, with their sources.", body = EffectiveEnv)),
)]
pub(super) async fn show(State(api): State<Api>, Segment(name): Segment) -> Result<Json<EffectiveEnv>, ApiError> {
    let contents = api.credentials.read()?;
    let agent = api.registry.get(&name);
    let trust = &api.workers.context().trust;
    let trusted = agent.is_none_or(|agent| trust.covers(agent.vault.name(), &agent.definition));
    let variables = match trusted {
        true => contents.variables(&name),
        false => contents.variables_of_all(),
    };
    let stored = |layer| Source::Stored(std::cmp::Reverse(layer));
    let mut all: Vec<(String, Source)> = Vec::new();
    all.extend(
        variables
            .set
            .iter()
            .map(|(name, (layer, _))| (name.clone(), stored(*layer))),
    );
    let below = variables.overridden.iter();
    all.extend(below.map(|name| (name.clone(), stored(Layer::Default))));
    if trusted {
        all.extend(granted(&api, &name));
    }
    let is_plain = |name: &str| !CREDENTIALS.contains(&name);
    let configured = api.claude.config().env.keys();
    all.extend(
        configured
            .filter(|name| is_plain(name))
            .map(|name| (name.clone(), Source::Configuration)),
    );
    all.extend(api.claude.passed_on().into_iter().map(|name| (name, Source::Daemon)));
    let shielded = api.sandboxing.shields(&name, trusted);
    if shielded {
        all.push((API.to_owned(), Source::Shield));
    }
    let mut env = ranked(all);
    for one in env.iter_mut().filter(|one| one.name == HEADERS) {
        one.shielded = shielded;
    }

    let own = contents
        .claude_of(Some(&name))
        .filter(|_| trusted)
        .into_iter()
        .chain(contents.claude_of(None));
    let mut credentials: Vec<_> = own.map(|one| (one.variable.to_owned(), stored(one.layer))).collect();
    let (configured, passed) = api.claude.signing_in();
    credentials.extend(
        configured
            .into_iter()
            .map(|name| (name.to_owned(), Source::Configuration)),
    );
    credentials.extend(passed.map(|name| (name.to_owned(), Source::Daemon)));
    let credentials = of_one_source(credentials).into_iter();
    env.extend(credentials.map(|one| EnvEntry { shielded, ..one }));
    env.sort_by(|one, other| one.name.cmp(&other.name));

    let is_there = api.registry.named(&name).is_some();
    Ok(Json(EffectiveEnv {
        env,
        refused: variables.refused.into_iter().collect(),
        note: (!is_there).then(|| format!("There is no agent {name:?}; this is what one of that name would have.")),
    }))
}

/// What approved connections bring. What roles of the agent bring is known only when a turn has read them.
fn granted(api: &Api, agent: &str) -> Vec<(String, Source)> {
    let mut found = Vec::new();
    for (_, _, known) in api
        .grants
        .all()
        .into_iter()
        .filter(|(holder, of_agent, _)| *of_agent && holder == agent)
    {
        for one in known.iter().filter(|one| one.status == GrantStatus::Approved) {
            let source = Source::Grant(one.want.target().to_owned());
            if let Want::Surface { .. } = one.want {
                found.extend(askpass::VARIABLES.map(|name| (name.to_owned(), source.clone())));
                found.extend(one.want.env_name().map(|name| (name, source)));
            } else {
                let name = one.want.env_name().filter(|name| !is_reserved_env(name));
                found.extend(name.map(|name| (name, source)));
            }
        }
    }
    found
}

/// Sorted by name, and of one name by rank; the first of a name counts.
fn ranked(mut all: Vec<(String, Source)>) -> Vec<EnvEntry> {
    all.sort();
    all.dedup();
    let mut seen = BTreeSet::new();
    let entry = |(name, source): (String, Source)| EnvEntry {
        overridden: !seen.insert(name.clone()),
        source: source.text(),
        shielded: false,
        name,
    };
    all.into_iter().map(entry).collect()
}

/// Credentials, of which those of the first source count alone, whatever their names are.
fn of_one_source(mut all: Vec<(String, Source)>) -> Vec<EnvEntry> {
    all.sort_by(|(_, one), (_, other)| one.cmp(other));
    let first = all.first().map(|(_, source)| source.clone());
    let entry = |(name, source): (String, Source)| EnvEntry {
        overridden: Some(&source) != first.as_ref(),
        source: source.text(),
        shielded: false,
        name,
    };
    all.into_iter().map(entry).collect()
}
