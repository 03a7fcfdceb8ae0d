//! `[[webhook]]` in the configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reveille_transports::net_guard::Allow;
use reveille_transports::webhooks::{Kind, Profile, Subscription};
use serde::Deserialize;

use super::super::secrets::{self, Written};
use crate::config::{ConfigError, Secret};

/// What is told.
const FED: [(Kind, &str); 7] = [
    (Kind::MessageReceived, "message.received"),
    (Kind::TurnStarted, "turn.started"),
    (Kind::TurnEvent, "turn.event"),
    (Kind::TurnSettled, "turn.settled"),
    (Kind::AgentChanged, "agent.changed"),
    (Kind::BudgetReached, "budget.reached"),
    (Kind::HealthChanged, "health.changed"),
];

/// The word of a kind.
pub(crate) fn word(kind: Kind) -> &'static str {
    let found = FED.iter().find(|(known, _)| *known == kind);
    found.map_or("webhook.test", |(_, word)| word)
}

/// `[[webhook]]`, as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    name: String,
    url: String,
    #[serde(default)]
    secret: Option<String>,
    #[serde(default)]
    secret_file: Option<PathBuf>,
    /// A second one, while one replaces another.
    #[serde(default)]
    old_secret: Option<String>,
    #[serde(default)]
    old_secret_file: Option<PathBuf>,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    agents: Vec<String>,
    #[serde(default)]
    profile: Profile,
    #[serde(default)]
    allow: Allow,
    #[serde(default)]
    heartbeat: Option<u32>,
}

/// A webhook whose secrets are not read yet.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    table: Table,
    events: Vec<Kind>,
    secrets: Vec<Secret>,
}

impl Table {
    /// A secret that stands in the file itself is refused when others may read that file.
    ///
    /// # Errors
    /// Names the key and the mend.
    pub(crate) fn check_private(&self, file: &Path) -> Result<(), ConfigError> {
        self.clone().written().check_private("webhook", file)
    }

    fn written(&mut self) -> Written {
        Written {
            secret: self.secret.take(),
            secret_file: self.secret_file.take(),
            old_secret: self.old_secret.take(),
            old_secret_file: self.old_secret_file.take(),
        }
    }
}

fn wrong(name: &str, message: String) -> ConfigError {
    ConfigError::Wrong {
        origin: format!("[[webhook]] {name:?}"),
        message,
    }
}

/// What is told, by its words.
///
/// # Errors
/// The first word that is none, with all that are.
pub(crate) fn kinds(words: &[String]) -> Result<Vec<Kind>, String> {
    let known = |word: &String| {
        let found = FED.iter().find(|(_, known)| known == word);
        found.map(|(kind, _)| *kind).ok_or_else(|| {
            let all = FED.map(|(_, known)| known).join(", ");
            format!("`events` has {word:?}, which is not told; there are: {all}")
        })
    };
    words.iter().map(known).collect()
}

/// The webhooks of the configuration.
///
/// # Errors
/// The first that cannot be used, with the mend.
pub(crate) fn resolve(
    tables: Vec<Table>,
    environment: &BTreeMap<String, String>,
) -> Result<Vec<Settings>, ConfigError> {
    let mut all: Vec<Settings> = Vec::with_capacity(tables.len());
    for mut table in tables {
        let name = table.name.clone();
        let refused = |message: String| wrong(&name, message);
        if all.iter().any(|one| one.table.name == name) {
            let message = "there is a webhook of this name already; names must differ";
            return Err(refused(message.into()));
        }
        let events = kinds(&table.events).map_err(refused)?;
        let without = "without one nobody could tell our calls from others";
        let secrets = table.written().resolve(without, environment).map_err(refused)?;
        all.push(Settings { table, events, secrets });
    }
    Ok(all)
}

impl Settings {
    pub(super) fn subscription(&self) -> Result<Subscription, ConfigError> {
        let table = self.table.clone();
        let refused = |message: String| wrong(&table.name, message);
        let secrets = secrets::reveal(&self.secrets).map_err(refused)?;
        let subscription = Subscription {
            name: table.name.clone(),
            url: table.url.clone(),
            secrets,
            events: self.events.clone(),
            agents: table.agents.clone(),
            profile: table.profile,
            allow: table.allow.clone(),
            heartbeat: table.heartbeat,
            paused: false,
        };
        subscription.check().map_err(refused)?;
        Ok(subscription)
    }
}
