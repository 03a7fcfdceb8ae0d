//! The agents: what the definitions in the vaults amount to. Follows the notes; never writes one.
//!
//! A definition that an edit has broken keeps its agent as it was: a slip of the pen takes nobody down. What such an edit
//! takes away counts at once all the same.

mod connection;
mod less;
mod list;
mod names;
mod notes;
mod places;
mod stamp;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use jiff::Timestamp;
use reveille_vault::agent::{BackendKind, Definition, Problem, defined_by_thread, tag};
use reveille_vault::{Note, NoteId, Vault};
use serde::Deserialize;
use tokio::sync::Notify;

pub(crate) use self::connection::Connection;
use self::less::without_what_was_taken;
pub(crate) use self::list::Listed;
use self::notes::{NoteKey, Notes};
use self::stamp::Said;
pub(crate) use self::stamp::{KEYS as STAMPED, Stamp};
use crate::live::Hub;
use crate::sandboxing::{self, Lowered, Sandboxing};

/// Which notes define agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Discovery {
    /// Definitions.
    #[default]
    Definitions,
    /// Definitions, and threads whose agent has none.
    Both,
    /// Threads. Definitions are not looked at.
    Threads,
}

impl Discovery {
    /// The tags of the notes.
    #[must_use]
    pub(crate) fn tags(self) -> &'static [&'static str] {
        match self {
            Self::Definitions => &[tag::DEFINITION],
            Self::Both => &[tag::DEFINITION, tag::THREAD],
            Self::Threads => &[tag::THREAD],
        }
    }

    /// What a note defines, and whether it is a thread that does so.
    fn parse(self, note: &Note) -> Option<(Result<Definition, Vec<Problem>>, bool)> {
        if self != Self::Threads && note.has_tag(tag::DEFINITION) {
            return Some((sandboxing::parse(note), false));
        }
        if self == Self::Definitions {
            return None;
        }
        Some((sandboxing::checked(defined_by_thread(note)?), true))
    }
}

/// An agent that can be woken.
#[derive(Clone)]
pub(crate) struct Agent {
    /// Its settings.
    pub(crate) definition: Arc<Definition>,
    /// Where its notes live.
    pub(crate) vault: Arc<dyn Vault>,
}

impl Agent {
    /// Whether the daemon runs its turns. The messages of the others wait for a session that takes them.
    #[must_use]
    pub(crate) fn is_served(&self) -> bool {
        self.definition.backend == BackendKind::Programmatic
    }
}

/// A word that a note does not say yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    /// Metadata.
    pub(crate) news: Vec<(&'static str, String)>,
    /// The state of the note for which this holds.
    pub(crate) updated_at: Timestamp,
}

struct Known {
    created_at: Timestamp,
    /// What a note calls itself that defines nobody.
    called: Option<Box<str>>,
    /// The note when it last held together.
    good: Option<Arc<Definition>>,
    /// What counts.
    definition: Option<Arc<Definition>>,
    problems: Vec<Problem>,
    /// What the definition that counts asks for and does not get.
    lowered: Vec<Lowered>,
    vault: Arc<dyn Vault>,
    said: Said,
    /// It is a thread. Nothing is written on it.
    is_thread: bool,
}

/// A note that claims a name. The first in this order holds it: a definition before a thread, what a person wrote before what
/// an agent wrote, of the vault that comes first in the configuration, and there the oldest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    is_thread: bool,
    by_agent: bool,
    rank: usize,
    created_at: Timestamp,
    key: NoteKey,
}

#[derive(Default)]
struct Inner {
    notes: Notes,
    /// Name to the notes that claim it, in order.
    names: HashMap<Box<str>, Vec<Claim>>,
    /// What the agents want, by name.
    connections: HashMap<String, Vec<Connection>>,
    /// Names of agents of vaults that have not been read yet, with those vaults: nobody else gets them meanwhile.
    reserved: HashMap<String, String>,
    /// What was given to names and is not meant for who has them now, besides grants.
    withheld: HashMap<String, Vec<String>>,
}

/// Notes of one vault that may not say what they should.
#[derive(Default)]
struct Stale {
    notes: BTreeSet<NoteId>,
    bell: Arc<Notify>,
}

/// All definitions. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Registry {
    inner: Arc<RwLock<Inner>>,
    /// Places of the vaults: in the order of the configuration, behind them those that were added.
    ranks: Arc<RwLock<HashMap<String, usize>>>,
    discovery: Discovery,
    /// Knows what agents get of what they ask for.
    sandboxing: Option<Sandboxing>,
    stale: Arc<Mutex<HashMap<String, Stale>>>,
    /// Who watches.
    live: Hub,
}

/// What a changed note did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    /// Agents that were added, changed or now hold their name; their lanes may run.
    pub(crate) woken: Vec<String>,
    /// The note defines nothing any more.
    pub(crate) gone: bool,
    /// It is to be kept as it is, for the day on which it is broken.
    pub(crate) keep: bool,
}

/// What a note would amount to.
pub(crate) struct Reading {
    /// The definition, or what is wrong with it.
    pub(crate) parsed: Result<Arc<Definition>, Vec<Problem>>,
    /// What it asks for and would not get.
    pub(crate) lowered: Vec<Lowered>,
}

/// What stands in a note.
struct Read {
    parsed: Result<Arc<Definition>, Vec<Problem>>,
    lowered: Vec<Lowered>,
    is_thread: bool,
}

impl Known {
    /// What a note defines. `before` is what it defined until now.
    fn of(read: Read, vault: &Arc<dyn Vault>, note: &Note, before: Option<&Self>) -> Self {
        let Read {
            parsed,
            mut lowered,
            is_thread,
        } = read;
        let (good, definition, problems) = match parsed {
            Ok(definition) => (Some(Arc::clone(&definition)), Some(definition), Vec::new()),
            Err(problems) => {
                let good = before.and_then(|before| before.good.clone());
                let less = good.as_ref().map(|good| without_what_was_taken(good, note));
                lowered = before.map(|before| before.lowered.clone()).unwrap_or_default();
                (good, less, problems)
            }
        };
        let called = definition.is_none().then(|| {
            let called = note.text(if is_thread { "agent" } else { "name" });
            let called = called.or_else(|| note.path.clone());
            called.unwrap_or_else(|| note.id.to_string()).into()
        });
        Self {
            created_at: note.created_at,
            called,
            good,
            definition,
            problems,
            lowered,
            vault: Arc::clone(vault),
            said: Said::by(note),
            is_thread,
        }
    }

    /// The name of the agent, or what the note calls itself.
    fn name(&self) -> &str {
        let named = self.definition.as_ref().map(|definition| definition.name.as_str());
        named.or(self.called.as_deref()).unwrap_or_default()
    }

    fn is_as(&self, other: &Self) -> bool {
        let judged = |one: &Self| (one.created_at, one.is_thread);
        (&self.good, &self.definition, &self.problems) == (&other.good, &other.definition, &other.problems)
            && self.lowered == other.lowered
            && judged(self) == judged(other)
    }
}

impl Inner {
    fn holder(&self, name: &str) -> Option<&Claim> {
        let claims = self.names.get(name)?;
        match self.reserved.get(name) {
            None => claims.first(),
            Some(vault) => claims.iter().find(|claim| *claim.key.0 == **vault),
        }
    }

    /// Whether a note holds the name that it claims.
    fn holds(&self, key: &NoteKey, known: &Known) -> bool {
        let name = known.definition.as_ref().map(|definition| definition.name.as_str());
        let holder = name.and_then(|name| self.holder(name));
        holder.is_some_and(|claim| claim.key == *key)
    }

    /// Whether an agent asks for something.
    fn wants(&self, name: &str) -> bool {
        let holder = self.holder(name).and_then(|claim| self.notes.get(&claim.key));
        let definition = holder.and_then(|known| known.definition.as_ref());
        definition.is_some_and(|definition| !definition.wants.is_empty())
    }

    fn forget(&mut self, key: &NoteKey) {
        let known = self.notes.remove(key);
        let Some(definition) = known.and_then(|known| known.definition) else {
            return;
        };
        let name = definition.name.as_str();
        if let Some(claims) = self.names.get_mut(name) {
            claims.retain(|claim| claim.key != *key);
            if claims.is_empty() {
                self.names.remove(name);
            }
        }
    }

    fn remember(&mut self, key: NoteKey, known: Known, rank: usize) {
        if let Some(definition) = &known.definition {
            let claims = self.names.entry(definition.name.as_str().into()).or_default();
            // Hardly ever more than one.
            claims.reserve_exact(1);
            claims.push(Claim {
                is_thread: known.is_thread,
                by_agent: definition.defined_by.is_some(),
                rank,
                created_at: known.created_at,
                key: key.clone(),
            });
            claims.sort();
        }
        self.notes.insert(key, known);
    }

    /// What a note does not say yet.
    fn due(&self, key: &NoteKey) -> Option<Due> {
        let known = self.notes.get(key)?;
        if known.is_thread || !self.is_settled(known) {
            return None;
        }
        Some(Due {
            news: self.stamp(key, known).news_for(&known.said)?,
            updated_at: known.said.updated_at,
        })
    }
}

impl Registry {
    /// Without agents. `vaults`: in the order of the configuration.
    #[must_use]
    pub(crate) fn new(vaults: &[String], discovery: Discovery) -> Self {
        let registry = Self {
            inner: Arc::default(),
            ranks: Arc::default(),
            discovery,
            sandboxing: None,
            stale: Arc::default(),
            live: Hub::new(""),
        };
        vaults.iter().for_each(|vault| registry.add_vault(vault));
        registry
    }

    /// Where it is told that agents came, changed or went.
    #[must_use]
    pub(crate) fn telling(self, live: Hub) -> Self {
        Self { live, ..self }
    }

    /// Knows what agents get of what they ask for. Definitions are told.
    #[must_use]
    pub(crate) fn confined_by(self, sandboxing: Sandboxing) -> Self {
        Self {
            sandboxing: Some(sandboxing),
            ..self
        }
    }

    /// Reads a note; `None`: it defines nothing. The disk is looked at: not to be called with anything locked.
    fn look(&self, note: &Note) -> Option<Read> {
        let (mut parsed, is_thread) = self.discovery.parse(note)?;
        let mut lowered = Vec::new();
        if let (Ok(definition), Some(sandboxing)) = (&mut parsed, &self.sandboxing) {
            definition.warnings.extend(sandboxing.warnings(definition));
            lowered = sandboxing.lowered(definition);
        }
        Some(Read {
            parsed: parsed.map(Arc::new),
            lowered,
            is_thread,
        })
    }

    /// What a note would amount to if it stood in a vault. The disk is looked at.
    #[must_use]
    pub(crate) fn reading(&self, note: &Note) -> Reading {
        match self.look(note) {
            Some(Read { parsed, lowered, .. }) => Reading { parsed, lowered },
            None => {
                let message = "the note defines no agent here; see `[definitions] discovery` in the configuration";
                Reading {
                    parsed: Err(vec![Problem::new("tags", message)]),
                    lowered: Vec::new(),
                }
            }
        }
    }

    /// Which notes define agents.
    #[must_use]
    pub(crate) fn discovery(&self) -> Discovery {
        self.discovery
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn stale(&self) -> MutexGuard<'_, HashMap<String, Stale>> {
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes of this vault that may not say what they should. Each is told once.
    #[must_use]
    pub(crate) fn take_stale(&self, vault: &str) -> BTreeSet<NoteId> {
        let mut stale = self.stale();
        stale
            .get_mut(vault)
            .map(|one| std::mem::take(&mut one.notes))
            .unwrap_or_default()
    }

    /// Rings when there is something for [`Registry::take_stale`].
    #[must_use]
    pub(crate) fn stale_bell(&self, vault: &str) -> Arc<Notify> {
        Arc::clone(&self.stale().entry(vault.to_owned()).or_default().bell)
    }

    /// Notes that may not say what they should.
    pub(crate) fn restamp(&self, vault: &str, notes: impl IntoIterator<Item = NoteId>) {
        let mut stale = self.stale();
        let one = stale.entry(vault.to_owned()).or_default();
        one.notes.extend(notes);
        one.bell.notify_one();
    }

    /// What is to be written on a note; `None` when it says that already, or defines nothing.
    #[must_use]
    pub(crate) fn due(&self, vault: &str, note: &NoteId) -> Option<Due> {
        let inner = self.read();
        inner.due(&inner.notes.key(vault, note))
    }

    /// The daemon wrote on a note.
    pub(crate) fn wrote(&self, vault: &str, note: &Note) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = inner.notes.get_mut(vault, &note.id)
            && known.said.updated_at < note.updated_at
        {
            known.said = Said::by(note);
        }
    }

    /// Takes the present state of a note: `None` when it is gone. Nothing happens when nothing changed.
    pub(crate) fn apply(&self, vault: &Arc<dyn Vault>, id: &NoteId, note: Option<&Note>) -> Effect {
        let read = note.and_then(|note| Some((note, self.look(note)?)));
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let key = inner.notes.key(vault.name(), id);
        let before = inner.notes.get(&key);
        let fresh = read.map(|(note, read)| Known::of(read, vault, note, before));
        let (effect, stale) = match (before, fresh) {
            (None, None) => return Effect::default(),
            (Some(old), Some(new)) if old.is_as(&new) => {
                // A person may have edited our word away.
                inner.notes.insert(key.clone(), new);
                (Effect::default(), vec![key])
            }
            (_, fresh) => self.replace(&mut inner, &key, fresh),
        };
        let stale: Vec<NoteKey> = stale.into_iter().filter(|key| inner.due(key).is_some()).collect();
        for name in &effect.woken {
            match inner.holder(name) {
                Some(_) => self.live.agent_changed(name),
                None => self.live.agent_removed(name),
            }
        }
        // Also a note that is broken from the beginning: it is nobody's yet.
        self.live.told().touch();
        drop(inner);
        for (vault, note) in stale {
            self.restamp(&vault, [note]);
        }
        effect
    }

    /// Puts what a note defines in the place of what it defined. Answers also the notes that may have to say something else.
    fn replace(&self, inner: &mut Inner, key: &NoteKey, fresh: Option<Known>) -> (Effect, Vec<NoteKey>) {
        let name_of = |known: &Known| known.definition.as_ref().map(|definition| definition.name.clone());
        let names = [inner.notes.get(key).and_then(name_of), fresh.as_ref().and_then(name_of)];
        let mut touched: Vec<String> = names.into_iter().flatten().collect();
        touched.sort();
        touched.dedup();
        let holders = |inner: &Inner| -> Vec<Option<NoteKey>> {
            let holders = touched.iter().map(|name| inner.holder(name));
            holders.map(|holder| holder.map(|claim| claim.key.clone())).collect()
        };
        let before = holders(inner);
        inner.forget(key);
        let gone = fresh.is_none();
        let keep = fresh.as_ref().is_some_and(|known| known.problems.is_empty());
        if let Some(known) = fresh {
            inner.remember(key.clone(), known, self.rank(&key.0));
        }
        let after = holders(inner);
        // Who waits for a name says behind whom.
        let moved = touched
            .iter()
            .zip(before.iter().zip(&after))
            .filter(|(_, (was, is))| was != is);
        let claims = moved.filter_map(|(name, _)| inner.names.get(name.as_str())).flatten();
        let stale = claims.map(|claim| claim.key.clone()).chain([key.clone()]).collect();
        let effect = Effect {
            woken: touched,
            gone,
            keep,
        };
        (effect, stale)
    }

    /// What has become of what an agent wants. Its definition says so, and nothing before it is told here.
    pub(crate) fn connect(&self, agent: &str, connections: Vec<Connection>) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let same = match inner.connections.get(agent) {
            Some(known) => *known == connections,
            // Who asks for nothing needs no entry: of thousands most are like that.
            None => connections.is_empty() && !inner.wants(agent),
        };
        if same {
            return;
        }
        inner.connections.insert(agent.to_owned(), connections);
        let holder = inner.holder(agent).map(|claim| claim.key.clone());
        let stale = holder.filter(|holder| inner.due(holder).is_some());
        self.live.agent_changed(agent);
        drop(inner);
        if let Some((vault, note)) = stale {
            self.restamp(&vault, [note]);
        }
    }

    /// Whether something is known of what an agent wants, or wanted.
    #[must_use]
    pub(crate) fn is_connected(&self, agent: &str) -> bool {
        self.read().connections.contains_key(agent)
    }

    /// What an agent wants, as far as it is known what has become of it.
    #[must_use]
    pub(crate) fn connections(&self, agent: &str) -> Vec<Connection> {
        self.read().connections.get(agent).cloned().unwrap_or_default()
    }

    /// The agent that holds a name.
    #[must_use]
    pub(crate) fn get(&self, name: &str) -> Option<Agent> {
        let inner = self.read();
        let known = inner.notes.get(&inner.holder(name)?.key)?;
        Some(Agent {
            definition: Arc::clone(known.definition.as_ref()?),
            vault: Arc::clone(&known.vault),
        })
    }

    /// The vault of the agent that holds a name.
    #[must_use]
    pub(crate) fn home(&self, name: &str) -> Option<String> {
        self.get(name).map(|agent| agent.vault.name().to_owned())
    }

    /// Names of all agents that can be woken, in order.
    #[must_use]
    pub(crate) fn names(&self) -> Vec<String> {
        let inner = self.read();
        let held = inner.names.keys().filter(|name| inner.holder(name).is_some());
        let mut names: Vec<String> = held.map(ToString::to_string).collect();
        names.sort_unstable();
        names
    }

    /// Number of agents that can be woken.
    #[must_use]
    pub(crate) fn count(&self) -> usize {
        let inner = self.read();
        inner.names.keys().filter(|name| inner.holder(name).is_some()).count()
    }

    /// The definition notes of a vault, as far as they are known.
    #[must_use]
    pub(crate) fn notes_of(&self, vault: &str) -> HashSet<NoteId> {
        self.read().notes.of(vault).cloned().collect()
    }

    /// Whether a note defines something, or tries to.
    #[must_use]
    pub(crate) fn knows(&self, vault: &str, id: &NoteId) -> bool {
        self.read().notes.at(vault, id).is_some()
    }
}
