//! Hooks: signed calls from outside that wake an agent. `[[hook]]` in the configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reveille_transports::hooks::{Condition, Hook, Identity, Missing, Options, Scheme};
use serde::Deserialize;

use super::secrets::{self, Written};
use crate::config::{ConfigError, Secret};

/// What to do about what a body does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Lacking {
    #[default]
    Empty,
    Error,
}

/// `[[hook]]`, as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    name: String,
    agent: String,
    scheme: Scheme,
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
    template: Option<String>,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    missing: Lacking,
    #[serde(default)]
    identity: Option<Identity>,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    when: Vec<Condition>,
}

/// A hook whose secrets are not read yet.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    table: Table,
    secrets: Vec<Secret>,
}

impl Table {
    /// A secret that stands in the file itself is refused when others may read that file.
    ///
    /// # Errors
    /// Names the key and the mend.
    pub(crate) fn check_private(&self, file: &Path) -> Result<(), ConfigError> {
        self.clone().written().check_private("hook", file)
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
        origin: format!("[[hook]] {name:?}"),
        message,
    }
}

/// The hooks of the configuration.
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
        if all.iter().any(|one| one.table.name == name) {
            return Err(wrong(
                &name,
                "there is a hook of this name already; names must differ".into(),
            ));
        }
        let without = "without one anybody could wake the agent";
        let secrets = table.written().resolve(without, environment);
        let secrets = secrets.map_err(|message| wrong(&name, message))?;
        all.push(Settings { table, secrets });
    }
    Ok(all)
}

/// All hooks, by name. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Hooks(Arc<BTreeMap<String, Hook>>);

impl Hooks {
    /// Reads their secrets.
    ///
    /// # Errors
    /// The first that cannot be used, with the mend.
    pub(crate) fn build(settings: &[Settings]) -> Result<Self, ConfigError> {
        let mut all = BTreeMap::new();
        for one in settings {
            let table = one.table.clone();
            let refused = |message: String| wrong(&table.name, message);
            let secrets = secrets::reveal(&one.secrets).map_err(refused)?;
            let mut options = Options::new(&table.name, &table.agent, table.scheme, secrets[0].clone());
            options.secrets = secrets;
            if let Some(template) = table.template.clone() {
                options.template = template;
            }
            options.subject = table.subject.clone();
            options.missing = match table.missing {
                Lacking::Empty => Missing::Empty,
                Lacking::Error => Missing::Error,
            };
            options.identity = table.identity.clone().unwrap_or_default();
            options.events = table.events.clone();
            options.when = table.when.clone();
            let hook = options.build().map_err(refused)?;
            all.insert(table.name.clone(), hook);
        }
        Ok(Self(Arc::new(all)))
    }

    /// The hook of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Hook> {
        self.0.get(name)
    }
}
