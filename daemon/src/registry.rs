//! The agents: what the definitions in the vaults amount to. Follows the notes; never writes one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jiff::Timestamp;
use reveille_vault::agent::{Definition, tag};
use reveille_vault::{Note, NoteId, Vault};
use tokio::sync::Notify;

/// An agent that can be woken.
#[derive(Clone)]
pub(crate) struct Agent {
    /// Its settings.
    pub(crate) definition: Arc<Definition>,
    /// Where its notes live.
    pub(crate) vault: Arc<dyn Vault>,
}

/// What the daemon made of a definition, to be shown on the note and in lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// `enabled` or `error`.
    pub(crate) status: &'static str,
    /// Empty, or what is wrong and what to do.
    pub(crate) detail: String,
}

/// One definition note as the registry sees it.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// The note.
    pub(crate) note: NoteId,
    /// The vault.
    pub(crate) vault: String,
    /// The agent's name, or what the note calls itself when that is no valid name.
    pub(crate) name: String,
    /// The definition, when it holds together.
    pub(crate) definition: Option<Arc<Definition>>,
    /// What to show.
    pub(crate) stamp: Stamp,
}

struct Known {
    created_at: Timestamp,
    called: String,
    parsed: Result<Arc<Definition>, String>,
    vault: Arc<dyn Vault>,
}

type NoteKey = (String, NoteId);

/// A note that claims a name. The first in this order holds it: what a person wrote before what an agent wrote, of the vault
/// that comes first in the configuration, and there the oldest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    by_agent: bool,
    rank: usize,
    created_at: Timestamp,
    key: NoteKey,
}

#[derive(Default)]
struct Inner {
    notes: HashMap<NoteKey, Known>,
    /// Name to the notes that claim it, in order.
    names: BTreeMap<String, Vec<Claim>>,
}

/// What happens in one vault and changes what the notes of another should say.
#[derive(Default)]
struct Elsewhere {
    stale: Vec<NoteId>,
    told: Arc<Notify>,
}

/// All definitions. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Registry {
    inner: Arc<RwLock<Inner>>,
    /// Names of the vaults, in the order of the configuration.
    vaults: Arc<[String]>,
    elsewhere: Arc<Mutex<HashMap<String, Elsewhere>>>,
}

/// What a changed note did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    /// Agents that were added, changed or now hold their name; their lanes may run.
    pub(crate) woken: Vec<String>,
    /// Notes whose stamp may be out of date.
    pub(crate) restamp: Vec<NoteId>,
    /// The note defines nothing any more.
    pub(crate) gone: bool,
}

impl Inner {
    fn forget(&mut self, key: &NoteKey) -> Option<Known> {
        let known = self.notes.remove(key)?;
        if let Ok(definition) = &known.parsed
            && let Some(claims) = self.names.get_mut(&definition.name)
        {
            claims.retain(|claim| claim.key != *key);
            if claims.is_empty() {
                self.names.remove(&definition.name);
            }
        }
        Some(known)
    }

    fn stamp(&self, key: &NoteKey, known: &Known) -> Stamp {
        let error = |detail: String| Stamp {
            status: "error",
            detail,
        };
        match &known.parsed {
            Err(problems) => error(problems.clone()),
            Ok(definition) => match self.names.get(&definition.name).and_then(|claims| claims.first()) {
                Some(Claim {
                    key: holder,
                    by_agent: false,
                    ..
                }) if holder != key && definition.defined_by.is_some() => error(format!(
                    "name: {} is taken by the definition {} in vault {}, which no agent wrote; rename one of them",
                    definition.name, holder.1, holder.0
                )),
                Some(Claim { key: holder, .. }) if holder != key => error(match holder.0 == key.0 {
                    true => format!(
                        "name: {} is taken by the older definition {} in vault {}; rename one of them",
                        definition.name, holder.1, holder.0
                    ),
                    false => format!(
                        "name: {} is taken by the definition {} in vault {}, which comes first in the configuration; rename \
                         one of them",
                        definition.name, holder.1, holder.0
                    ),
                }),
                _ => Stamp {
                    status: "enabled",
                    detail: String::new(),
                },
            },
        }
    }
}

impl Registry {
    /// Without agents. `vaults`: in the order of the configuration.
    #[must_use]
    pub(crate) fn new(vaults: &[String]) -> Self {
        Self {
            inner: Arc::default(),
            vaults: vaults.into(),
            elsewhere: Arc::default(),
        }
    }

    fn rank(&self, vault: &str) -> usize {
        let found = self.vaults.iter().position(|name| name == vault);
        found.unwrap_or(self.vaults.len())
    }

    /// Notes of this vault whose stamp may be out of date because of what happened in another one. Each is told once.
    #[must_use]
    pub(crate) fn take_stale(&self, vault: &str) -> Vec<NoteId> {
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        elsewhere
            .get_mut(vault)
            .map(|one| std::mem::take(&mut one.stale))
            .unwrap_or_default()
    }

    /// Rings when there is something for [`Registry::take_stale`].
    #[must_use]
    pub(crate) fn stale_bell(&self, vault: &str) -> Arc<Notify> {
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&elsewhere.entry(vault.to_owned()).or_default().told)
    }

    fn tell_elsewhere(&self, keys: impl Iterator<Item = NoteKey>) {
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        for (vault, note) in keys {
            let one = elsewhere.entry(vault).or_default();
            one.stale.push(note);
            one.told.notify_one();
        }
    }

    /// Takes the present state of a note: `None` when it is gone. Nothing happens when nothing changed.
    pub(crate) fn apply(&self, vault: &Arc<dyn Vault>, id: &NoteId, note: Option<&Note>) -> Effect {
        let key = (vault.name().to_owned(), id.clone());
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let fresh = note.filter(|note| note.has_tag(tag::DEFINITION)).map(|note| Known {
            created_at: note.created_at,
            called: note
                .text("name")
                .or_else(|| note.path.clone())
                .unwrap_or_else(|| id.to_string()),
            parsed: Definition::parse(note)
                .map(Arc::new)
                .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
            vault: Arc::clone(vault),
        });
        let unchanged = match (inner.notes.get(&key), &fresh) {
            (None, None) => true,
            (Some(old), Some(new)) => old.parsed == new.parsed && old.created_at == new.created_at,
            _ => false,
        };
        if unchanged {
            // Its own stamp may have been edited away by a person.
            return Effect {
                woken: Vec::new(),
                restamp: fresh.map(|_| id.clone()).into_iter().collect(),
                gone: false,
            };
        }
        let mut touched: Vec<String> = Vec::new();
        if let Some(old) = inner.forget(&key)
            && let Ok(definition) = old.parsed
        {
            touched.push(definition.name.clone());
        }
        if let Some(known) = fresh {
            if let Ok(definition) = &known.parsed {
                let claims = inner.names.entry(definition.name.clone()).or_default();
                claims.push(Claim {
                    by_agent: definition.defined_by.is_some(),
                    rank: self.rank(&key.0),
                    created_at: known.created_at,
                    key: key.clone(),
                });
                claims.sort();
                touched.push(definition.name.clone());
            }
            inner.notes.insert(key.clone(), known);
        }
        let (ours, others): (Vec<NoteKey>, Vec<NoteKey>) = touched
            .iter()
            .filter_map(|name| inner.names.get(name))
            .flatten()
            .map(|claim| claim.key.clone())
            .partition(|claim| claim.0 == key.0);
        self.tell_elsewhere(others.into_iter());
        let mut restamp: Vec<NoteId> = ours.into_iter().map(|claim| claim.1).collect();
        if inner.notes.contains_key(&key) {
            restamp.push(id.clone());
        }
        restamp.sort();
        restamp.dedup();
        touched.sort();
        touched.dedup();
        Effect {
            woken: touched,
            restamp,
            gone: !inner.notes.contains_key(&key),
        }
    }

    /// The agent that holds a name.
    #[must_use]
    pub(crate) fn get(&self, name: &str) -> Option<Agent> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let known = inner.notes.get(&inner.names.get(name)?.first()?.key)?;
        let definition = known.parsed.as_ref().ok()?; // silent-ok: only parsed notes are in `names`
        Some(Agent {
            definition: Arc::clone(definition),
            vault: Arc::clone(&known.vault),
        })
    }

    /// The vault of the agent that holds a name.
    #[must_use]
    pub(crate) fn home(&self, name: &str) -> Option<String> {
        self.get(name).map(|agent| agent.vault.name().to_owned())
    }

    /// Names of all agents that can be woken.
    #[must_use]
    pub(crate) fn names(&self) -> Vec<String> {
        self.inner
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .names
            .keys()
            .cloned()
            .collect()
    }

    /// Number of agents that can be woken.
    #[must_use]
    pub(crate) fn count(&self) -> usize {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).names.len()
    }

    /// The definition notes of a vault, as far as they are known.
    #[must_use]
    pub(crate) fn notes_of(&self, vault: &str) -> HashSet<NoteId> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let ours = inner.notes.keys().filter(|key| key.0 == vault);
        ours.map(|key| key.1.clone()).collect()
    }

    /// What to show on a note.
    #[must_use]
    pub(crate) fn stamp(&self, vault: &str, id: &NoteId) -> Option<Stamp> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let key = (vault.to_owned(), id.clone());
        inner.notes.get(&key).map(|known| inner.stamp(&key, known))
    }

    /// Every definition note, by name.
    #[must_use]
    pub(crate) fn list(&self) -> Vec<Listed> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<Listed> = inner
            .notes
            .iter()
            .map(|(key, known)| Listed {
                note: key.1.clone(),
                vault: key.0.clone(),
                name: known
                    .parsed
                    .as_ref()
                    .map_or_else(|_| known.called.clone(), |d| d.name.clone()),
                definition: known.parsed.as_ref().ok().cloned(), // silent-ok: the stamp says what is wrong
                stamp: inner.stamp(key, known),
            })
            .collect();
        list.sort_by(|a, b| (&a.name, &a.vault, &a.note).cmp(&(&b.name, &b.vault, &b.note)));
        list
    }
}
