//! For whom what the operator has given a name is meant. An agent's name stands in a note, which anybody who writes there can
//! choose; secrets, grants and the table of a name in the configuration are given to the note that has the name at that time.
//! Another note that takes the name later does not get them before the operator says so.

mod file;
mod guard;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reveille_queue::{Binding, Queue};
use reveille_vault::agent::Definition;
use serde::{Deserialize, Serialize};

pub(crate) use self::guard::Guard;
use crate::config;
use crate::credentials::Credentials;
use crate::grants::Grants;
use crate::registry::Agent;

/// A note, as the one that a name is given to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    vault: Arc<str>,
    note: Arc<str>,
}

impl Owner {
    /// The note of an agent.
    #[must_use]
    pub(crate) fn of(vault: &str, definition: &Definition) -> Self {
        Self {
            vault: vault.into(),
            note: definition.note.as_str().into(),
        }
    }

    fn is(&self, vault: &str, definition: &Definition) -> bool {
        *self.note == *definition.note.as_str() && *self.vault == *vault
    }
}

/// What it works with.
pub(crate) struct Options<'a> {
    /// The state directory.
    pub(crate) state: &'a Path,
    /// What is stored for names.
    pub(crate) credentials: Credentials,
    /// `[sandbox]`
    pub(crate) sandbox: config::Sandbox,
    /// What is granted to names.
    pub(crate) grants: Grants,
    /// Which notes had which names.
    pub(crate) queue: Arc<dyn Queue>,
}

/// Handle. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Trust {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    credentials: Credentials,
    sandbox: config::Sandbox,
    grants: Grants,
    queue: Arc<dyn Queue>,
    state: Mutex<State>,
    /// Tables without an agent were told.
    told: AtomicBool,
}

#[derive(Default)]
struct State {
    /// By name, for whom what was given is meant.
    meant: Meant,
    /// The notes whose names the queue knows.
    settled: HashMap<Arc<str>, Owner>,
}

/// By name. Of thousands of agents the same texts are in memory once.
type Meant = BTreeMap<Arc<str>, Owner>;

impl Trust {
    /// Reads who is trusted. Where nobody was asked yet, those are who have their names now.
    ///
    /// # Errors
    /// The file or the queue cannot be read.
    pub(crate) async fn open(options: Options<'_>) -> anyhow::Result<Self> {
        let path = options.state.join(file::NAME);
        let meant = match file::read(&path)? {
            Some(meant) => meant,
            None => {
                let meant = options.queue.bindings().await?.into_iter().map(meant_for).collect();
                file::write(&path, &meant)?;
                meant
            }
        };
        let state = State {
            meant,
            settled: HashMap::new(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                path,
                credentials: options.credentials,
                sandbox: options.sandbox,
                grants: options.grants,
                queue: options.queue,
                state: Mutex::new(state),
                told: AtomicBool::new(false),
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the queue knows that the name is this note's. Before that its conversations may be those of another one.
    #[must_use]
    pub(crate) fn is_settled(&self, agent: &Agent) -> bool {
        let state = self.state();
        let settled = state.settled.get(agent.definition.name.as_str());
        settled.is_some_and(|owner| owner.is(agent.vault.name(), &agent.definition))
    }

    /// The queue knows these names. `for_good`: no other note can turn up that had one of them before, so what is given to
    /// these names is meant for these notes from now on, where it is meant for nobody yet.
    pub(crate) fn settle(&self, agents: &[Agent], for_good: bool) {
        let mut state = self.state();
        let mut news = false;
        for agent in agents {
            let (vault, definition) = (agent.vault.name(), &agent.definition);
            let name = definition.name.as_str();
            let (name, owner) = match state.meant.get_key_value(name) {
                Some((name, owner)) if owner.is(vault, definition) => (Arc::clone(name), owner.clone()),
                Some((name, _)) => (Arc::clone(name), Owner::of(vault, definition)),
                None => (name.into(), Owner::of(vault, definition)),
            };
            if for_good && definition.defined_by.is_none() && !state.meant.contains_key(&name) {
                state.meant.insert(Arc::clone(&name), owner.clone());
                news = true;
            }
            state.settled.insert(name, owner);
        }
        if news && let Err(error) = file::write(&self.inner.path, &state.meant) {
            tracing::warn!(%error, "for whom secrets and grants are meant is not written down; the next start decides anew");
        }
    }

    /// Whether an agent gets what was given to its name. One that an agent has made gets nothing before the operator says so.
    #[must_use]
    pub(crate) fn covers(&self, vault: &str, definition: &Definition) -> bool {
        match self.state().meant.get(definition.name.as_str()) {
            Some(owner) => owner.is(vault, definition),
            None => definition.defined_by.is_none(),
        }
    }

    /// What is given to the name of this agent is meant for it from now on.
    ///
    /// # Errors
    /// It cannot be written down; then nothing has changed.
    pub(crate) fn give(&self, vault: &str, definition: &Definition) -> std::io::Result<()> {
        let mut state = self.state();
        let mut meant = state.meant.clone();
        meant.insert(definition.name.as_str().into(), Owner::of(vault, definition));
        if meant != state.meant {
            file::write(&self.inner.path, &meant)?;
            state.meant = meant;
        }
        Ok(())
    }

    /// What the operator has given to a name, besides grants; for a person.
    #[must_use]
    pub(crate) fn given(&self, name: &str) -> Vec<String> {
        let mut given = Vec::new();
        match self.inner.credentials.read() {
            Ok(contents) => {
                if contents.claude_of(Some(name)).is_some() {
                    given.push("the credential of Claude Code".to_owned());
                }
                given.extend(contents.env_names(Some(name)));
            }
            // A turn says so itself.
            Err(error) => tracing::warn!(%error, name, "what is stored for a name cannot be read"),
        }
        given.extend(
            self.inner
                .sandbox
                .table_of(name)
                .map(|table| format!("[sandbox.agents.{table}]")),
        );
        given
    }

    /// Tables of the configuration for agents that are not there.
    #[must_use]
    pub(crate) fn idle_tables(&self, names: &[String]) -> Vec<String> {
        self.inner.sandbox.idle_tables(names)
    }

    /// Tells of them, once. To be called when all vaults have been read.
    pub(crate) fn tell_idle_tables(&self, names: &[String]) {
        if self.inner.told.swap(true, Ordering::Relaxed) {
            return;
        }
        for table in self.idle_tables(names) {
            tracing::warn!(
                table,
                "[sandbox.agents.{table}] counts for nobody: there is no agent of that name; correct the name, or remove the table"
            );
        }
    }
}

/// What was given to a name and is not meant for who has it now, for people.
#[must_use]
pub(crate) fn words(name: &str, withheld: &[String]) -> String {
    format!(
        "the agent runs without what was given to the name {name} for another note: {}; let it have that with `reveille agent \
         trust {name}`, or take it away (`reveille secret rm`, `reveille agent connections`, the configuration)",
        withheld.join(", ")
    )
}

fn meant_for(binding: Binding) -> (Arc<str>, Owner) {
    let owner = Owner {
        vault: binding.vault.into(),
        note: binding.note.into(),
    };
    (binding.channel.as_str().into(), owner)
}
