//! Bridges that are added and removed while the daemon runs. What is so is in `channels.json`; what the configuration has is
//! changed there alone.

use std::sync::Arc;

use reveille_transports::outbox::{Count, Outbox, OutboxError};
use serde_json::{Map, Value, json};

use super::entry::Entry;
use super::file::{self, File, VAULT};
use super::{Bridges, holder, store, unreadable};
use crate::config::ConfigError;

/// Where a wrong entry stands.
const PLACE: &str = "the request";

/// A channel to add.
#[derive(Clone)]
pub(crate) struct NewChannel {
    /// Its name.
    pub(crate) name: String,
    /// Its kind, in the words of `channels.json`.
    pub(crate) transport: String,
    /// The agent that its messages are for; the one of its name when nothing is said.
    pub(crate) agent: Option<String>,
    /// What its kind needs, perhaps a token.
    pub(crate) config: Option<Map<String, Value>>,
}

/// It is there, and is being started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Added {
    /// The agent that its messages are for.
    pub(crate) agent: String,
    /// It took the place of another one.
    pub(crate) replaced: bool,
}

/// It is not there any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Removed {
    /// It ran.
    pub(crate) removed: bool,
    /// What it has not sent and is kept; `None` when that cannot be counted.
    pub(crate) kept: Option<Count>,
    /// How much of it was thrown away, delivered or not.
    pub(crate) discarded: u64,
}

/// Why the bridges are as they were.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// It cannot be made so.
    #[error("{0}")]
    Invalid(String),
    /// It is in the configuration.
    #[error("the bridge {0:?} is in the configuration, as [[transport]]")]
    Configured(String),
    /// Both would ask for its messages, and each would get what the other does not.
    #[error("the bridge {name:?} has this bot already, and two of them would take its messages from each other")]
    BotInUse {
        /// Who has it.
        name: String,
    },
    /// The channels of this kind are not made here.
    #[error("a channel of the kind vault is no bridge: it is there with its agent, whose messages are notes")]
    Vault,
    /// The files cannot be used.
    #[error("{0}")]
    File(#[from] ConfigError),
    /// What was to be sent is there still.
    #[error("{0}")]
    Outbox(#[from] OutboxError),
    /// It is the end, or the beginning.
    #[error("the daemon is starting or ending")]
    NotNow,
    /// The work on it has crashed.
    #[error("the change broke off: {0}")]
    Crashed(String),
}

impl Bridges {
    /// Adds a bridge, or puts it in the place of the one of its name, which is ended first. It is written down when this
    /// returns. Goes on also when nobody waits for it any more.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing has changed.
    pub(crate) async fn add(&self, channel: NewChannel) -> Result<Added, ChangeError> {
        let bridges = self.clone();
        let work = tokio::spawn(async move { bridges.add_now(channel).await });
        work.await.map_err(|error| ChangeError::Crashed(error.to_string()))?
    }

    /// Ends a bridge and takes it out of the file. What it has not sent stays in the outbox, for when it is added again, unless
    /// it is to be thrown away.
    ///
    /// # Errors
    /// [`ChangeError`]; except for [`ChangeError::Outbox`] nothing has changed then.
    pub(crate) async fn remove(&self, name: &str, discard: bool) -> Result<Removed, ChangeError> {
        let (bridges, name) = (self.clone(), name.to_owned());
        let work = tokio::spawn(async move { bridges.remove_now(&name, discard).await });
        work.await.map_err(|error| ChangeError::Crashed(error.to_string()))?
    }

    async fn add_now(&self, channel: NewChannel) -> Result<Added, ChangeError> {
        if channel.transport.trim() == VAULT {
            return Err(ChangeError::Vault);
        }
        let mut entry = json!({ "name": channel.name, "transport": channel.transport });
        if let Some(agent) = channel.agent {
            entry["agent"] = agent.into();
        }
        if let Some(config) = channel.config {
            entry["config"] = config.into();
        }
        let invalid = |error: ConfigError| ChangeError::Invalid(error.to_string());
        let settings = file::read(&entry, PLACE, 1)
            .map_err(invalid)?
            .ok_or(ChangeError::Vault)?;
        let _alone = self.0.changing.lock().await;
        let running = self.running().await.ok_or(ChangeError::NotNow)?;
        let old = self.changeable(&settings.name)?;
        let outbox = match settings.keeps() {
            true => Some(self.opened().await?),
            false => None,
        };
        let state = self.0.state.clone();
        let mut others = self.entries().clone();
        others.remove(&settings.name);
        let built = tokio::task::spawn_blocking(move || -> Result<Entry, ChangeError> {
            let built = Entry::build(&settings, &state, outbox.as_ref()).map_err(invalid)?;
            if let Some(name) = built.bot.as_ref().and_then(|bot| holder(&others, bot)) {
                return Err(ChangeError::BotInUse { name });
            }
            File::in_dir(&state).put(entry)?;
            Ok(built)
        });
        let new = built.await.map_err(|error| ChangeError::Crashed(error.to_string()))??;
        let (new, name) = (Arc::new(new), channel.name);
        let agent = new.bridge.agent().to_owned();
        // From here on the new one gets what is handed over, also before it runs.
        self.entries().insert(name.clone(), Arc::clone(&new));
        new.begin(&running, &self.0.sessions, old.clone());
        let replaced = old.is_some();
        if let Some(old) = old {
            old.end().await;
        }
        tracing::info!(bridge = name, agent, replaced, "a bridge was added");
        Ok(Added { agent, replaced })
    }

    async fn remove_now(&self, name: &str, discard: bool) -> Result<Removed, ChangeError> {
        let _alone = self.0.changing.lock().await;
        let old = self.changeable(name)?;
        let (file, row) = (File::in_dir(&self.0.state), name.to_owned());
        let written = tokio::task::spawn_blocking(move || file.remove(&row)).await;
        written.map_err(|error| ChangeError::Crashed(error.to_string()))??;
        let removed = old.is_some();
        if let Some(old) = old {
            self.entries().remove(name);
            old.end().await;
            tracing::info!(bridge = name, "a bridge was removed");
        }
        let mut discarded = 0;
        // Of the one kind that keeps anything.
        let lane = reveille_transports::telegram::outbox_name(name);
        if let (true, Some(outbox)) = (discard, self.outbox()) {
            discarded = outbox.remove(&lane).await?;
        }
        let none = Count {
            bridge: lane.clone(),
            waiting: 0,
            delivered: 0,
            undelivered: 0,
            oldest_at: None,
        };
        let kept = match self.outbox() {
            None => Some(none),
            Some(_) => {
                let counts = self.counts().await;
                counts.map(|all| all.into_iter().find(|count| count.bridge == lane).unwrap_or(none))
            }
        };
        Ok(Removed {
            removed,
            kept,
            discarded,
        })
    }

    /// The bridge of that name, if there is one.
    ///
    /// # Errors
    /// It is in the configuration.
    fn changeable(&self, name: &str) -> Result<Option<Arc<Entry>>, ChangeError> {
        match self.entry(name) {
            Some(entry) if !entry.added => Err(ChangeError::Configured(name.to_owned())),
            other => Ok(other),
        }
    }

    /// What bridges have to send, opened if it was not.
    async fn opened(&self) -> Result<Outbox, ChangeError> {
        let store = self.0.store.clone();
        let opened = tokio::task::spawn_blocking(move || store.open().cloned()).await;
        let opened = opened.map_err(|error| ChangeError::Crashed(error.to_string()))?;
        opened.map_err(|error| unreadable(&self.0.state.join(store::FILE), &error).into())
    }
}
