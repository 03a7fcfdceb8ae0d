//! Bridges: what is configured, how each does, and the hand-over of what goes out. A bridge that fails stops no agent: what it
//! brings are notes like all others, and what it gets is an effect of a turn, which is kept until the bridge has it.

mod change;
mod entry;
mod file;
pub(crate) mod hooks;
mod host;
mod seal;
mod secrets;
mod settings;
mod store;
pub(crate) mod webhooks;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reveille_transports::fanout::Fanout;
use reveille_transports::http_ui::HttpUi;
use reveille_transports::outbox::{Count, Outbox, OutboxError};
use reveille_transports::telegram::Token;
use reveille_transports::{Bridge, Outgoing, State};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) use self::change::{ChangeError, NewChannel};
use self::entry::Entry;
pub(crate) use self::host::{Parts, pushed};
pub(crate) use self::seal::Seals;
pub(crate) use self::settings::{Settings, Table, resolve};
use self::store::Store;
pub(crate) use self::webhooks::Told;
use crate::config::ConfigError;
use crate::worker::Workers;

/// How long a change of bridges waits for a daemon that is starting.
const START_PATIENCE: Duration = Duration::from_secs(5);
/// In the origin of a message: the bridge that brought it.
pub(crate) const BRIDGE: &str = "bridge";

fn unreadable(file: &Path, error: &OutboxError) -> ConfigError {
    ConfigError::Wrong {
        origin: file.display().to_string(),
        message: format!("what bridges have to send cannot be read: {error}"),
    }
}

/// The bridge that takes the messages of that bot.
fn holder(entries: &BTreeMap<String, Arc<Entry>>, bot: &Token) -> Option<String> {
    let (name, _) = entries.iter().find(|(_, entry)| entry.has(bot))?;
    Some(name.clone())
}

/// Why a bridge has not got what is for it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandOver {
    /// There is none of that name.
    #[error(
        "no bridge {bridge:?} is configured; configure it again and retry, or leave it: the note itself is in the vault"
    )]
    Unknown {
        /// The name.
        bridge: String,
    },
    /// Later again.
    #[error("the bridge {bridge:?} did not take it: {reason}")]
    Later {
        /// The name.
        bridge: String,
        /// What it said.
        reason: String,
    },
}

impl HandOver {
    /// It did not answer in time.
    pub(crate) fn late(bridge: &str, patience: Duration) -> Self {
        Self::Later {
            bridge: bridge.to_owned(),
            reason: format!("it did not answer within {patience:?}"),
        }
    }
}

/// How a bridge does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct View {
    /// Its name.
    pub(crate) name: String,
    /// What it bridges to.
    pub(crate) kind: &'static str,
    /// The agent that its messages are for.
    pub(crate) agent: String,
    /// How it does.
    pub(crate) state: State,
    /// The name under which what it sends stands in the outbox; `None`: it keeps nothing.
    pub(crate) outbox: Option<String>,
    /// It may be removed while the daemon runs.
    pub(crate) added: bool,
}

impl View {
    /// Whether nobody has to look: it works, or is about to.
    pub(crate) fn is_well(&self) -> bool {
        matches!(self.state, State::Up | State::Starting | State::Stopped)
    }
}

/// What bridges need while the daemon works.
#[derive(Clone)]
struct Running {
    parts: Parts,
    workers: Workers,
    drain: CancellationToken,
}

#[derive(Default)]
struct Inner {
    entries: Mutex<BTreeMap<String, Arc<Entry>>>,
    /// Sessions that listen to channels, for what no agent takes.
    sessions: Fanout,
    /// What is to be sent.
    store: Store,
    /// Who has a webhook.
    told: Told,
    /// The state directory.
    state: PathBuf,
    /// From the start to the end of the daemon's work.
    running: watch::Sender<Option<Running>>,
    /// Held while bridges are added or removed.
    changing: tokio::sync::Mutex<()>,
}

/// All bridges. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Bridges(Arc<Inner>);

impl Bridges {
    /// Of the configuration, and of `channels.json` in the state directory. Nothing is started. `instance` names this daemon to
    /// those who have a webhook.
    ///
    /// # Errors
    /// The first entry that cannot be used, with the mend.
    pub(crate) fn build(
        (configured, webhooks): (&[Settings], &[webhooks::Settings]),
        state: &Path,
        instance: &str,
    ) -> Result<Self, ConfigError> {
        let all = settings::all(configured, state)?;
        let file = state.join(store::FILE);
        let store = Store::new(file.clone());
        let outbox = match all.iter().any(Settings::keeps) {
            true => Some(store.open().map_err(|error| unreadable(&file, &error))?.clone()),
            false => None,
        };
        let told = Told::build(webhooks, &store, state, instance)?;
        let mut entries = BTreeMap::new();
        for settings in all {
            let entry = Entry::build(&settings, state, outbox.as_ref())?;
            if let Some(name) = entry.bot.as_ref().and_then(|bot| holder(&entries, bot)) {
                let in_use = ChangeError::BotInUse { name };
                let mend = "make another bot with @BotFather, or leave one of the two bridges out";
                return Err(settings::wrong(&settings.place, format!("{in_use}; {mend}")));
            }
            entries.insert(settings.name, Arc::new(entry));
        }
        Ok(Self(Arc::new(Inner {
            entries: Mutex::new(entries),
            store,
            told,
            state: state.to_owned(),
            ..Inner::default()
        })))
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Entry>>> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, name: &str) -> Option<Arc<Entry>> {
        self.entries().get(name).cloned()
    }

    /// What bridges need, once the daemon works; `None` when that takes long, or is over.
    async fn running(&self) -> Option<Running> {
        let mut running = self.0.running.subscribe();
        let there = tokio::time::timeout(START_PATIENCE, running.wait_for(Option::is_some));
        there.await.ok()?.ok()?.clone() // silent-ok: both say that it takes long
    }

    /// Starts them all. They end with `drain`.
    pub(crate) fn start(&self, parts: &Parts, workers: &Workers, drain: &CancellationToken) {
        let running = Running {
            parts: parts.clone(),
            workers: workers.clone(),
            drain: drain.clone(),
        };
        self.0.running.send_replace(Some(running.clone()));
        let (bridges, end) = (self.clone(), drain.clone());
        workers.spawn(async move {
            end.cancelled().await;
            // What it holds is not held for ever.
            bridges.0.running.send_replace(None);
        });
        for entry in self.entries().values() {
            entry.begin(&running, &self.0.sessions, None);
        }
        if let Some(telling) = self.0.told.telling(drain) {
            workers.spawn(telling);
        }
        workers.spawn(self.0.store.clone().tidy(drain.clone()));
    }

    /// What bridges have to send; `None`: none of them keeps anything.
    pub(crate) fn outbox(&self) -> Option<&Outbox> {
        self.0.store.get()
    }

    /// How much that is; `None` when it cannot be counted.
    pub(crate) async fn counts(&self) -> Option<Vec<Count>> {
        match self.outbox()?.counts().await {
            Ok(counts) => Some(counts),
            Err(error) => {
                tracing::warn!(%error, "what bridges have to send cannot be counted");
                None
            }
        }
    }

    /// Who has a webhook.
    pub(crate) fn told(&self) -> &Told {
        &self.0.told
    }

    /// The bridge of that name.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<dyn Bridge>> {
        self.entry(name).map(|entry| Arc::clone(&entry.bridge))
    }

    /// The channel of that name, if it is one for pages.
    pub(crate) fn ui(&self, name: &str) -> Option<HttpUi> {
        self.entry(name)?.ui.clone()
    }

    /// Their names, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.entries().keys().cloned().collect()
    }

    /// How they do, in the order of their names.
    pub(crate) fn views(&self) -> Vec<View> {
        self.entries().values().map(|entry| entry.view()).collect()
    }

    /// Sessions that listen to channels.
    pub(crate) fn sessions(&self) -> &Fanout {
        &self.0.sessions
    }

    /// Gives a note to the bridge that its turn came by. To be repeated until it succeeds: a bridge knows a note that it has.
    ///
    /// # Errors
    /// [`HandOver`]
    pub(crate) async fn hand_over(&self, bridge: &str, note: &Outgoing) -> Result<(), HandOver> {
        let unknown = || HandOver::Unknown {
            bridge: bridge.to_owned(),
        };
        let entry = self.entry(bridge).ok_or_else(unknown)?;
        entry.bridge.hand_over(note).await.map_err(|reason| HandOver::Later {
            bridge: bridge.to_owned(),
            reason,
        })
    }
}
