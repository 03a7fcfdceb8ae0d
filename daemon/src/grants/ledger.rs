//! What the service remembers over a restart: which notes wanted something, and what became of it.

use std::collections::{BTreeMap, BTreeSet};

use reveille_vault::NoteId;
use reveille_vault::agent::Want;
use rusqlite::{Connection, Row, params};

use super::GrantStatus;
use super::store::Store;

/// A note that may want something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// A role, else a definition.
    pub(super) role: bool,
    /// Its vault.
    pub(super) vault: String,
    /// The note.
    pub(super) note: NoteId,
}

/// A wish, and what was heard of it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// The wish.
    pub(crate) want: Want,
    /// What became of it.
    pub(crate) status: GrantStatus,
    /// Of the backend, once it has answered.
    pub(crate) grant_id: Option<String>,
    /// Why, for a person.
    pub(crate) reason: Option<String>,
}

impl Known {
    /// A wish that nobody was asked about yet.
    pub(super) fn new(want: Want) -> Self {
        Self {
            want,
            status: GrantStatus::Pending,
            grant_id: None,
            reason: None,
        }
    }
}

/// All that is remembered.
#[derive(Default)]
pub(super) struct Memory {
    /// The notes and their holders.
    pub(super) sources: BTreeMap<Place, String>,
    /// What is known, by holder.
    pub(super) known: BTreeMap<String, Vec<Known>>,
}

/// Reads it. What cannot be read is as if it had never been: it is asked for anew.
///
/// # Errors
/// Those of the file.
pub(super) fn load(store: &Store) -> rusqlite::Result<Memory> {
    store.now(|db| {
        let mut memory = Memory::default();
        let mut statement = db.prepare("SELECT role, vault, note, holder FROM sources")?;
        for row in statement.query_map([], place)? {
            if let Some((place, holder)) = row? {
                memory.sources.insert(place, holder);
            }
        }
        let mut statement =
            db.prepare("SELECT holder, want, status, grant_id, reason FROM known ORDER BY holder, place")?;
        for row in statement.query_map([], known)? {
            if let Some((holder, known)) = row? {
                memory.known.entry(holder).or_default().push(known);
            }
        }
        Ok(memory)
    })
}

fn place(row: &Row<'_>) -> rusqlite::Result<Option<(Place, String)>> {
    let (role, vault, note): (bool, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let Ok(note) = NoteId::new(note) else {
        return Ok(None);
    };
    Ok(Some((Place { role, vault, note }, row.get(3)?)))
}

fn known(row: &Row<'_>) -> rusqlite::Result<Option<(String, Known)>> {
    let want = serde_json::from_str(row.get_ref(1)?.as_str()?).ok(); // silent-ok: it is asked for anew
    let status = GrantStatus::parse(row.get_ref(2)?.as_str()?);
    let (Some(want), Some(status)) = (want.as_ref().and_then(Want::from_spec), status) else {
        return Ok(None);
    };
    let known = Known {
        want,
        status,
        grant_id: row.get(3)?,
        reason: row.get(4)?,
    };
    Ok(Some((row.get(0)?, known)))
}

/// Writes down which notes want something: only what differs from `before`, and nothing when nothing does.
pub(super) fn write_sources(
    db: &mut Connection,
    before: &BTreeMap<Place, String>,
    after: &BTreeMap<Place, String>,
) -> rusqlite::Result<()> {
    let places: BTreeSet<&Place> = before.keys().chain(after.keys()).collect();
    let changed: Vec<&Place> = places
        .into_iter()
        .filter(|place| before.get(place) != after.get(place))
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let transaction = db.transaction()?;
    for place in changed {
        let (role, vault, note) = (place.role, &place.vault, place.note.as_str());
        match after.get(place) {
            Some(holder) => {
                let sql = "INSERT OR REPLACE INTO sources (role, vault, note, holder) VALUES (?1, ?2, ?3, ?4)";
                transaction
                    .prepare_cached(sql)?
                    .execute(params![role, vault, note, holder])?;
            }
            None => {
                let sql = "DELETE FROM sources WHERE role = ?1 AND vault = ?2 AND note = ?3";
                transaction.prepare_cached(sql)?.execute(params![role, vault, note])?;
            }
        }
    }
    transaction.commit()
}

/// Writes down what is known of holders, in place of what was.
pub(super) fn write_known<'a>(
    db: &mut Connection,
    holders: impl Iterator<Item = (&'a String, Vec<Known>)>,
) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    for (holder, known) in holders {
        transaction
            .prepare_cached("DELETE FROM known WHERE holder = ?1")?
            .execute([holder])?;
        for (at, one) in known.iter().enumerate() {
            let sql =
                "INSERT INTO known (holder, place, want, status, grant_id, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let want = one.want.spec_json().to_string();
            let row = params![holder, at, want, one.status.as_str(), one.grant_id, one.reason];
            transaction.prepare_cached(sql)?.execute(row)?;
        }
    }
    transaction.commit()
}
