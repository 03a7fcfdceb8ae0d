//! How the service learns what notes want. A change is a hint; what counts is read from the registry and from the vaults.

use std::sync::Arc;
use std::time::Duration;

use reveille_vault::agent::tag;
use reveille_vault::{Key, Note, NoteId, Query, Vault, VaultError};
use tokio::time::timeout;

use super::ledger::Place;
use super::role;
use super::service::Grants;
use super::state::Source;
use crate::stamp;

/// Longest answer of a vault.
const CALL: Duration = Duration::from_secs(10);
/// Begins what the daemon writes on a role that will not do.
const WANTS: &str = "wants: ";

impl Grants {
    /// What the definitions want, as the registry has them. One that will not do any more changes nothing.
    pub(super) fn look_at_agents(&self) {
        let outline = self.options().registry.outline();
        let mut state = self.state();
        for one in outline {
            let place = Place {
                role: false,
                vault: one.vault.to_string(),
                note: one.note,
            };
            match one.definition.filter(|_| one.live) {
                // It defines nobody as long as another one has the name.
                None if one.holds_together => drop(state.sources.remove(&place)),
                Some(definition) if one.holds_together => {
                    if !state.concerns(&definition.name, &definition.wants) {
                        state.sources.remove(&place);
                        continue;
                    }
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
    pub(super) async fn look_for_removed(&self) -> bool {
        let vaults = &self.options().vaults;
        // Asked first: what is read then is in the list.
        let read: Vec<Arc<dyn Vault>> = vaults
            .all()
            .into_iter()
            .filter(|vault| self.options().progress.is_read(vault.name()))
            .collect();
        let mut all = true;
        for vault in read {
            let ours: Vec<Place> = {
                let state = self.state();
                let ours = state
                    .sources
                    .keys()
                    .filter(|place| !place.role && place.vault == vault.name());
                ours.cloned().collect()
            };
            let registry = &self.options().registry;
            let missing = ours
                .into_iter()
                .filter(|place| !registry.knows(vault.name(), &place.note));
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
    pub(super) async fn look_at_roles(&self) -> bool {
        let scans = std::mem::take(&mut self.state().scans);
        let mut all = true;
        for name in scans {
            let Some(vault) = self.options().vaults.get(&name) else {
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
            let vault = self.options().vaults.get(&place.vault);
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
