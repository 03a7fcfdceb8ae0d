//! The agents: what the definitions in the vaults amount to. Follows the notes; never writes one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use reveille_vault::agent::{Definition, tag};
use reveille_vault::{Note, NoteId, Vault};

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

#[derive(Default)]
struct Inner {
    notes: HashMap<NoteKey, Known>,
    /// Name to the notes that claim it, the oldest first: that one holds it.
    names: BTreeMap<String, Vec<(Timestamp, NoteKey)>>,
}

/// All definitions. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    inner: Arc<RwLock<Inner>>,
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
            claims.retain(|(_, claim)| claim != key);
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
                Some((_, holder)) if holder != key => error(format!(
                    "name: {} is taken by the older definition {} in vault {}; rename one of them",
                    definition.name, holder.1, holder.0
                )),
                _ => Stamp {
                    status: "enabled",
                    detail: String::new(),
                },
            },
        }
    }
}

impl Registry {
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
                claims.push((known.created_at, key.clone()));
                claims.sort();
                touched.push(definition.name.clone());
            }
            inner.notes.insert(key.clone(), known);
        }
        let mut restamp: Vec<NoteId> = touched
            .iter()
            .filter_map(|name| inner.names.get(name))
            .flatten()
            .filter(|(_, claim)| claim.0 == key.0)
            .map(|(_, claim)| claim.1.clone())
            .collect();
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
        let (_, key) = inner.names.get(name)?.first()?;
        let known = inner.notes.get(key)?;
        let definition = known.parsed.as_ref().ok()?; // silent-ok: only parsed notes are in `names`
        Some(Agent {
            definition: Arc::clone(definition),
            vault: Arc::clone(&known.vault),
        })
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
