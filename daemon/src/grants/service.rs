//! The service that asks for what live notes want and keeps what was decided. Feeds and starts never wait for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reveille_vault::agent::{Definition, WANTS, Want, tag};
use reveille_vault::{Note, NoteId};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ask::ask;
use super::ledger::{self, Known, Place};
use super::state::{Done, State};
use super::{Approval, Grant, GrantBackend, Local, LocalError, Store, told};
use crate::inbox::Progress;
use crate::registry::Registry;
use crate::tokens::Tokens;
use crate::vaults::Vaults;

/// Holders that are asked for at the same time.
const AT_ONCE: usize = 4;
/// How often a backend elsewhere is asked whether something was decided.
const POLL: Duration = Duration::from_secs(20);
/// Shortest and longest pause before notes that could not be read are read again.
const AGAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// What the service works with.
pub(crate) struct Options {
    /// Who keeps the grants.
    pub(crate) backend: Arc<dyn GrantBackend>,
    /// The same, when the operator of this machine decides.
    pub(crate) local: Option<Local>,
    /// What is remembered.
    pub(crate) store: Store,
    /// Who there is.
    pub(crate) registry: Registry,
    /// Where notes live.
    pub(crate) vaults: Vaults,
    /// Which vaults have been read.
    pub(crate) progress: Progress,
    /// Lends tokens of vaults of this daemon.
    pub(crate) tokens: Tokens,
}

/// Handle. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Grants {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    state: Mutex<State>,
    /// What the ledger says, as it was written last.
    written: Mutex<BTreeMap<Place, String>>,
    bell: Notify,
}

impl Grants {
    /// Begins with what an earlier run knew, so that agents do not seem to lose what they have at each start.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn new(options: Options) -> anyhow::Result<Self> {
        let memory = ledger::load(&options.store)?;
        let written = memory.sources.clone();
        let mut state = State::of(memory);
        state.kept = options.local.as_ref().map(Local::holders).transpose()?;
        let inner = Inner {
            options,
            state: Mutex::new(state),
            written: Mutex::new(written),
            bell: Notify::new(),
        };
        let grants = Self { inner: Arc::new(inner) };
        grants.tell_agents(|_| true);
        Ok(grants)
    }

    /// Who keeps the grants.
    pub(crate) fn backend(&self) -> &dyn GrantBackend {
        &*self.inner.options.backend
    }

    /// Lends tokens of vaults of this daemon.
    pub(crate) fn tokens(&self) -> &Tokens {
        &self.inner.options.tokens
    }

    /// The vault that counts where none is named.
    pub(crate) fn first_vault(&self) -> String {
        self.inner.options.vaults.default().name().to_owned()
    }

    pub(super) fn options(&self) -> &Options {
        &self.inner.options
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A vault is followed from now on: what its roles want has to be read.
    pub(crate) fn opened(&self, vault: &str) {
        self.state().scans.insert(vault.to_owned());
        self.inner.bell.notify_one();
    }

    /// A note is about to count. What an agent wants that is new is told as such at the same time, and not a moment later.
    pub(crate) fn foresee(&self, vault: &str, note: &Note) {
        let registry = &self.inner.options.registry;
        let wants = note.metadata.contains_key(WANTS);
        // The usual case, and to read each note twice would be a good part of a start.
        if !wants && !note.text("name").is_some_and(|name| registry.is_connected(&name)) {
            return;
        }
        let Some(definition) = note.has_tag(tag::DEFINITION).then(|| Definition::parse(note)) else {
            return;
        };
        // What is wrong with it the registry tells.
        let Ok(definition) = definition else { return };
        let holds = registry
            .get(&definition.name)
            .is_none_or(|agent| agent.definition.note == note.id && agent.vault.name() == vault);
        if holds {
            let state = self.state();
            let known = state.known_of(&definition.name, &definition.wants);
            told::tell(registry, &definition.name, &known);
        }
    }

    /// A note has changed. Tells only that there is something to look at.
    pub(crate) fn see(&self, vault: &str, id: &NoteId, note: Option<&Note>) {
        let place = |role| Place {
            role,
            vault: vault.to_owned(),
            note: id.clone(),
        };
        let has = |tag| note.is_some_and(|note| note.has_tag(tag));
        let mut state = self.state();
        let role = place(true);
        let role_changed = has(tag::ROLE) || state.sources.contains_key(&role);
        let defines = self.inner.options.registry.knows(vault, id);
        let agent_changed = defines || state.sources.contains_key(&place(false));
        if role_changed {
            state.unread.insert(role);
        }
        if role_changed || agent_changed {
            self.inner.bell.notify_one();
        }
    }

    /// What each holder wants, and what became of it; and whether the holder is an agent.
    pub(crate) fn all(&self) -> Vec<(String, bool, Vec<Known>)> {
        self.look_at_agents();
        let state = self.state();
        let all = state.all();
        all.map(|(holder, known)| (holder.to_owned(), state.is_agent(holder), known.to_vec()))
            .collect()
    }

    /// Whether a holder is an agent.
    pub(crate) fn is_agent(&self, holder: &str) -> bool {
        self.state().is_agent(holder)
    }

    /// Lets a holder have something. `None`: grants are kept elsewhere.
    ///
    /// # Errors
    /// [`LocalError`]; then nothing has changed.
    pub(crate) async fn approve(&self, holder: &str, key: &str, given: Approval) -> Option<Result<Known, LocalError>> {
        let local = self.inner.options.local.as_ref()?;
        let decided = match self.enter(local, holder, key).await {
            Ok(()) => local.approve(holder, key, given).await,
            Err(error) => Err(error),
        };
        Some(self.decided(decided).await)
    }

    /// Takes it away. `None`: grants are kept elsewhere.
    ///
    /// # Errors
    /// [`LocalError`]; then nothing has changed.
    pub(crate) async fn revoke(&self, holder: &str, key: &str) -> Option<Result<Known, LocalError>> {
        let local = self.inner.options.local.as_ref()?;
        let decided = match self.enter(local, holder, key).await {
            Ok(()) => local.revoke(holder, key).await,
            Err(error) => Err(error),
        };
        Some(self.decided(decided).await)
    }

    /// Enters a wish that the service may not have come to yet.
    async fn enter(&self, local: &Local, holder: &str, key: &str) -> Result<(), LocalError> {
        self.look_at_agents();
        let wants: Vec<Want> = {
            let state = self.state();
            let known = state.known(holder).iter();
            known.map(|known| known.want.clone()).collect()
        };
        let Some(want) = wants.iter().find(|want| want.key() == key) else {
            return Err(LocalError::Unknown {
                holder: holder.to_owned(),
                key: key.to_owned(),
                keys: wants.iter().map(Want::key).collect(),
            });
        };
        let entered = local.register(holder, want).await;
        entered.map(drop).map_err(|error| LocalError::Wrong(error.to_string()))
    }

    async fn decided(&self, decided: Result<Grant, LocalError>) -> Result<Known, LocalError> {
        let grant = decided?;
        self.hear(&grant.holder, std::slice::from_ref(&grant)).await;
        Ok(Known {
            want: grant.want,
            status: grant.status,
            grant_id: Some(grant.id),
            reason: grant.reason,
        })
    }

    /// Takes what was heard of grants of a holder.
    pub(crate) async fn hear(&self, holder: &str, grants: &[Grant]) {
        self.state().hear(holder, grants);
        self.publish().await;
    }

    /// Tells the registry what agents have.
    pub(super) fn tell_agents(&self, wanted: impl Fn(&str) -> bool) {
        let state = self.state();
        let all = state
            .all()
            .filter(|(holder, _)| wanted(holder) && state.is_agent(holder));
        all.for_each(|(holder, known)| told::tell(&self.inner.options.registry, holder, known));
    }

    /// Tells what is news to whoever shows it, and remembers it.
    async fn publish(&self) {
        let news: Vec<String> = {
            let mut state = self.state();
            let news = std::mem::take(&mut state.news);
            let agents = news.iter().filter(|holder| state.is_agent(holder));
            agents.for_each(|holder| told::tell(&self.inner.options.registry, holder, state.known(holder)));
            news.into_iter().collect()
        };
        if news.is_empty() {
            return;
        }
        let grants = self.clone();
        let written = self.inner.options.store.run(move |db| {
            // Looked up here: of two that write, the later one has the newer state.
            let known = news
                .iter()
                .map(|holder| (holder, grants.state().known(holder).to_vec()));
            ledger::write_known(db, known)
        });
        if let Err(error) = written.await {
            tracing::warn!(%error, "what became of some wishes is not written down; the next start asks again");
        }
    }

    /// Asks for what is wanted until `drain`.
    pub(crate) async fn run(self, drain: CancellationToken) {
        let mut jobs: JoinSet<Done> = JoinSet::new();
        let (mut look, mut again, mut pause) = (true, None, Duration::ZERO);
        loop {
            if look {
                let looked = tokio::select! {
                    () = drain.cancelled() => return,
                    all = self.look() => all,
                };
                pause = match looked {
                    true => Duration::ZERO,
                    false => (pause * 2).clamp(AGAIN.0, AGAIN.1),
                };
                again = (!looked).then(|| Instant::now() + pause);
            }
            let free = AT_ONCE.saturating_sub(jobs.len());
            for job in self.state().begin(Instant::now(), free) {
                let backend = Arc::clone(&self.inner.options.backend);
                jobs.spawn(ask(backend, job));
            }
            let due = match jobs.len() < AT_ONCE {
                true => self.state().next_due(),
                false => None,
            };
            let wake = async {
                match [due, again].into_iter().flatten().min() {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            look = tokio::select! {
                () = drain.cancelled() => return,
                () = self.inner.bell.notified() => true,
                () = wake => again.is_some_and(|at| at <= Instant::now()),
                Some(done) = jobs.join_next() => {
                    self.finish(done).await;
                    false
                }
            };
        }
    }

    async fn finish(&self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(done) => {
                let poll = (self.backend().kind() != "local").then_some(POLL);
                let over = self.state().finish(done, Instant::now(), poll);
                self.publish().await;
                if over {
                    self.remember().await;
                }
            }
            Err(error) => {
                tracing::error!(%error, "what somebody wants could not be asked for; a restart asks again");
            }
        }
    }

    /// Looks at all that may have changed; false when some of it could not be read.
    async fn look(&self) -> bool {
        let roles = self.look_at_roles().await;
        self.look_at_agents();
        let removed = self.look_for_removed().await;
        self.state().settle();
        self.remember().await;
        self.publish().await;
        roles && removed
    }

    async fn remember(&self) {
        let grants = self.clone();
        let written = self.inner.options.store.run(move |db| {
            let mut written = grants.inner.written.lock().unwrap_or_else(PoisonError::into_inner);
            let memory = grants.state().memory(&written);
            ledger::write_sources(db, &written, &memory)?;
            *written = memory;
            Ok(())
        });
        if let Err(error) = written.await {
            tracing::warn!(%error, "which notes want something is not written down; it is tried again");
        }
    }
}

#[cfg(test)]
mod tests;
