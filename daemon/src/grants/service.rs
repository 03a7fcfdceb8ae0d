//! The service that asks for what live notes want and keeps what was decided. Feeds and starts never wait for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reveille_vault::agent::{Definition, Want, tag};
use reveille_vault::{Key, Note, NoteId, Query, Vault, VaultError};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::ledger::{self, Known, Place};
use super::state::{Done, Job, Source, State};
use super::{Approval, Grant, GrantBackend, GrantError, Local, LocalError, Store, role, told};
use crate::inbox::Progress;
use crate::registry::Registry;
use crate::stamp;
use crate::tokens::Tokens;
use crate::vaults::Vaults;

/// Longest answer of a backend, and of a vault.
const CALL: Duration = Duration::from_secs(10);
/// Holders that are asked for at the same time.
const AT_ONCE: usize = 4;
/// How often a backend elsewhere is asked whether something was decided.
const POLL: Duration = Duration::from_secs(20);
/// Shortest and longest pause before notes that could not be read are read again.
const AGAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// Begins what the daemon writes on a role that will not do.
const WANTS: &str = "wants: ";

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
        let inner = Inner {
            options,
            state: Mutex::new(State::of(memory)),
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A vault is followed from now on: what its roles want has to be read.
    pub(crate) fn opened(&self, vault: &str) {
        self.state().scans.insert(vault.to_owned());
        self.inner.bell.notify_one();
    }

    /// A note is about to count. What an agent wants that is new is told as such at the same time, and not a moment later.
    pub(crate) fn foresee(&self, vault: &str, note: &Note) {
        let Some(definition) = note.has_tag(tag::DEFINITION).then(|| Definition::parse(note)) else {
            return;
        };
        // What is wrong with it the registry tells.
        let Ok(definition) = definition else { return };
        let registry = &self.inner.options.registry;
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
        self.look_at_agents();
        if let Some(want) = self.wanted(holder, key) {
            // The service may not have come to it yet.
            if let Err(error) = local.register(holder, &want).await {
                return Some(Err(LocalError::Wrong(error.to_string())));
            }
        }
        let decided = local.approve(holder, key, given).await;
        Some(self.decided(decided).await)
    }

    /// Takes it away. `None`: grants are kept elsewhere.
    ///
    /// # Errors
    /// [`LocalError`]; then nothing has changed.
    pub(crate) async fn revoke(&self, holder: &str, key: &str) -> Option<Result<Known, LocalError>> {
        let local = self.inner.options.local.as_ref()?;
        let decided = local.revoke(holder, key).await;
        Some(self.decided(decided).await)
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

    fn wanted(&self, holder: &str, key: &str) -> Option<Want> {
        let state = self.state();
        let mut known = state.known(holder).iter();
        known
            .find(|known| known.want.key() == key)
            .map(|known| known.want.clone())
    }

    /// Tells the registry what agents have.
    fn tell_agents(&self, wanted: impl Fn(&str) -> bool) {
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
            let due = self.state().next_due().filter(|_| jobs.len() < AT_ONCE);
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

    /// What the definitions want, as the registry has them. One that will not do any more changes nothing.
    fn look_at_agents(&self) {
        let listed = self.inner.options.registry.list();
        let mut state = self.state();
        for one in listed {
            let place = Place {
                role: false,
                vault: one.vault,
                note: one.note,
            };
            match one.definition.filter(|_| one.live) {
                // It defines nobody as long as another one has the name.
                None if one.problems.is_empty() => drop(state.sources.remove(&place)),
                Some(definition) if one.problems.is_empty() => {
                    let source = Source {
                        holder: definition.name.clone(),
                        wants: Some(definition.wants.clone()),
                    };
                    state.sources.insert(place, source);
                }
                _ => {
                    if let Some(source) = state.sources.get_mut(&place) {
                        source.wants = None;
                    }
                }
            }
        }
        state.settle();
        let news = state.news.clone();
        drop(state);
        self.tell_agents(|holder| news.contains(holder));
    }

    /// Definitions that are not in the registry any more. Each is looked for in its vault: only a note that is surely gone
    /// loses what it was granted.
    async fn look_for_removed(&self) -> bool {
        let vaults = &self.inner.options.vaults;
        // Asked first: what is read then is in the list.
        let read: Vec<Arc<dyn Vault>> = vaults
            .all()
            .into_iter()
            .filter(|vault| self.inner.options.progress.is_read(vault.name()))
            .collect();
        let mut all = true;
        for vault in read {
            let there = self.inner.options.registry.notes_of(vault.name());
            let missing: Vec<Place> = {
                let state = self.state();
                let ours = state
                    .sources
                    .keys()
                    .filter(|place| !place.role && place.vault == vault.name());
                ours.filter(|place| !there.contains(&place.note)).cloned().collect()
            };
            for place in missing {
                match read_note(&*vault, &place.note).await {
                    Ok(Read::Gone) => drop(self.state().sources.remove(&place)),
                    Ok(Read::There(note)) if !may_define(&note) => drop(self.state().sources.remove(&place)),
                    // The feed has not come to it yet; or it is a thread that rests; or nobody can read it before it is mended.
                    Ok(Read::There(_) | Read::Damaged) => {}
                    Err(error) => {
                        tracing::warn!(error, vault = vault.name(), note = %place.note, "it is not known whether a definition is gone; what it was granted stays");
                        all = false;
                        break;
                    }
                }
            }
        }
        all
    }

    /// Roles that came, changed or went; false when some could not be read.
    async fn look_at_roles(&self) -> bool {
        let scans = std::mem::take(&mut self.state().scans);
        let mut all = true;
        for name in scans {
            let Some(vault) = self.inner.options.vaults.get(&name) else {
                continue;
            };
            if let Err(error) = self.list_roles(&*vault).await {
                tracing::warn!(
                    error,
                    vault = name,
                    "the roles of the vault cannot be read; what they were granted stays"
                );
                self.state().scans.insert(name);
                all = false;
            }
        }
        let unread = std::mem::take(&mut self.state().unread);
        let mut away: Vec<String> = Vec::new();
        for place in unread {
            let vault = self.inner.options.vaults.get(&place.vault);
            let Some(vault) = vault else { continue };
            if !away.contains(&place.vault) {
                match self.read_role(&*vault, &place).await {
                    Ok(()) => continue,
                    Err(error) => {
                        tracing::warn!(error, vault = place.vault, note = %place.note, "a role cannot be read; what it was granted stays");
                        away.push(place.vault.clone());
                    }
                }
            }
            self.state().unread.insert(place);
            all = false;
        }
        all
    }

    async fn list_roles(&self, vault: &dyn Vault) -> Result<(), String> {
        let roles = Query {
            tags: vec![tag::ROLE.into()],
            exact_tags: true,
            ..Query::default()
        };
        let page = within(vault.query(&roles)).await?;
        let mut state = self.state();
        let known = state
            .sources
            .keys()
            .filter(|place| place.role && place.vault == vault.name());
        let known: Vec<Place> = known.cloned().collect();
        let found = page.notes.into_iter().map(|note| Place {
            role: true,
            vault: vault.name().to_owned(),
            note: note.id,
        });
        state.unread.extend(known.into_iter().chain(found));
        Ok(())
    }

    async fn read_role(&self, vault: &dyn Vault, place: &Place) -> Result<(), String> {
        let note = match read_note(vault, &place.note).await? {
            Read::There(note) => Some(note),
            Read::Gone => None,
            Read::Damaged => {
                // The feed tells when it is mended.
                if let Some(source) = self.state().sources.get_mut(place) {
                    source.wants = None;
                }
                return Ok(());
            }
        };
        let Some((note, wants)) = note.and_then(|note| role::wants_of(&note).map(|wants| (note, wants))) else {
            self.state().sources.remove(place);
            return Ok(());
        };
        let holder = role::holder_of(&note, vault.name(), &self.first_vault());
        let told = match &wants {
            Ok(_) => String::new(),
            Err(why) => format!("{WANTS}{why}"),
        };
        {
            let mut state = self.state();
            match (wants, state.sources.get_mut(place)) {
                (Ok(wants), _) => {
                    let wants = Some(wants);
                    state.sources.insert(place.clone(), Source { holder, wants });
                }
                (Err(_), Some(source)) => source.wants = None,
                (Err(_), None) => {
                    let wants = None;
                    state.sources.insert(place.clone(), Source { holder, wants });
                }
            }
        }
        let ours = note
            .text("status_detail")
            .is_some_and(|detail| detail.starts_with(WANTS));
        match (told.is_empty(), ours) {
            (true, false) => Ok(()),
            (true, true) => within(stamp::show_unless_changed(vault, &note, "", "")).await,
            (false, _) => within(stamp::show_unless_changed(vault, &note, "error", &told)).await,
        }
    }
}

/// Whether a note is of a kind that defines agents.
fn may_define(note: &Note) -> bool {
    note.has_tag(tag::DEFINITION) || note.has_tag(tag::THREAD)
}

/// What was found where a note should be.
enum Read {
    There(Note),
    Gone,
    /// It is there, and to ask again does not help.
    Damaged,
}

async fn read_note(vault: &dyn Vault, id: &NoteId) -> Result<Read, String> {
    let key = Key::Id(id.clone());
    let read = async {
        match vault.get(&key).await {
            Ok(note) => Ok(note.map_or(Read::Gone, Read::There)),
            Err(VaultError::Damaged { .. }) => Ok(Read::Damaged),
            Err(error) => Err(error),
        }
    };
    within(read).await
}

async fn within<T, E: ToString>(work: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match timeout(CALL, work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the vault does not answer within {CALL:?}")),
    }
}

/// Asks a backend for one holder. What does not answer is not asked any more this time.
async fn ask(backend: Arc<dyn GrantBackend>, job: Job) -> Done {
    let holder = job.holder.as_str();
    let (mut answers, mut complete) = (Vec::new(), true);
    let mut known = Vec::new();
    if job.only_look {
        match call(backend.list(holder)).await {
            Ok(grants) => known = grants,
            Err(error) => {
                tracing::warn!(%error, holder, "it is not known what became of its wishes; it is asked again");
                let complete = false;
                return Done { job, answers, complete };
            }
        }
    }
    for want in &job.wants {
        let same = known.iter().find(|grant: &&Grant| grant.want.key() == want.key());
        let answer = match same {
            Some(grant) => Ok(grant.clone()),
            None => call(backend.register(holder, want)).await,
        };
        if let Err(error) = &answer {
            tracing::warn!(%error, holder, key = want.key(), "a wish could not be told to who decides; it is tried again");
            complete = false;
        }
        let away = matches!(answer, Err(GrantError::Unavailable(_)));
        answers.push(answer);
        if away {
            return Done { job, answers, complete };
        }
    }
    if !job.only_look {
        match call(backend.reconcile(holder, &job.wants)).await {
            Ok(0) => {}
            Ok(dropped) => tracing::info!(holder, dropped, "grants of wishes that are no more were dropped"),
            Err(error) => {
                tracing::warn!(%error, holder, "grants of wishes that are no more may still be there; it is tried again");
                complete = false;
            }
        }
    }
    Done { job, answers, complete }
}

/// Waits for a backend, but not for ever.
pub(super) async fn call<T>(work: impl Future<Output = Result<T, GrantError>>) -> Result<T, GrantError> {
    timeout(CALL, work)
        .await
        .unwrap_or_else(|_| Err(GrantError::Unavailable(format!("no answer within {CALL:?}"))))
}

#[cfg(test)]
mod tests;
