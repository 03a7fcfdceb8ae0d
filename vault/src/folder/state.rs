//! How the folder stands, as a person is told.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::store::{VaultError, VaultState};

/// Files that are named in one reason; of the others the number is told.
const NAMED: usize = 3;

/// What can be wrong, apart from single files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The folder is not there.
    Folder,
    /// The folder cannot be written.
    Writing,
    /// Changes are found by looking only.
    Watching,
    /// The index cannot be used.
    Index,
}

#[derive(Debug, Default)]
struct Troubles {
    parts: BTreeMap<Part, (String, Timestamp)>,
    /// Sources that are not, or not quite, the notes that they should be.
    files: BTreeMap<String, (String, Timestamp)>,
}

/// The state, shared by all who find something out.
pub(super) struct State {
    vault: String,
    root: PathBuf,
    troubles: Mutex<Troubles>,
}

impl State {
    pub(super) fn new(vault: String, root: PathBuf) -> Self {
        Self {
            vault,
            root,
            troubles: Mutex::default(),
        }
    }

    fn troubles(&self) -> MutexGuard<'_, Troubles> {
        // A panic cannot leave the maps half-changed.
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is wrong. It is logged when it is new.
    pub(super) fn set(&self, part: Part, reason: String) {
        let mut troubles = self.troubles();
        let since = troubles
            .parts
            .get(&part)
            .map_or_else(Timestamp::now, |(_, since)| *since);
        let is_new = troubles.parts.get(&part).is_none_or(|(known, _)| *known != reason);
        if is_new {
            tracing::warn!(vault = self.vault, "{reason}");
            troubles.parts.insert(part, (reason, since));
        }
    }

    /// It is right again.
    pub(super) fn clear(&self, part: Part) {
        if let Some((reason, _)) = self.troubles().parts.remove(&part) {
            tracing::info!(vault = self.vault, was = reason, "the folder is better");
        }
    }

    /// Why a part does not work.
    pub(super) fn trouble(&self, part: Part) -> Option<String> {
        self.troubles().parts.get(&part).map(|(reason, _)| reason.clone())
    }

    /// What is the matter with one file; `None`: nothing. It is logged when it is new.
    pub(super) fn file(&self, source: &str, reason: Option<String>) {
        let mut troubles = self.troubles();
        let Some(reason) = reason else {
            troubles.files.remove(source);
            return;
        };
        if troubles.files.get(source).is_none_or(|(known, _)| *known != reason) {
            tracing::warn!(vault = self.vault, file = source, "{reason}");
            troubles.files.insert(source.to_owned(), (reason, Timestamp::now()));
        }
    }

    /// Forgets files that were not seen.
    pub(super) fn retain_files(&self, keep: impl Fn(&str) -> bool) {
        self.troubles().files.retain(|source, _| keep(source));
    }

    /// For [`crate::Vault::state`].
    pub(super) fn get(&self) -> VaultState {
        let troubles = self.troubles();
        if let Some((reason, since)) = troubles.parts.get(&Part::Folder) {
            return VaultState::Unavailable {
                reason: reason.clone(),
                since: *since,
            };
        }
        let mut reasons: Vec<String> = troubles.parts.values().map(|(reason, _)| reason.clone()).collect();
        let named = troubles.files.iter().take(NAMED);
        let mut files: Vec<String> = named.map(|(file, (reason, _))| format!("{file:?}: {reason}")).collect();
        if troubles.files.len() > NAMED {
            files.push(format!("and {} more files", troubles.files.len() - NAMED));
        }
        reasons.extend((!files.is_empty()).then(|| files.join("; ")));
        let times = troubles.parts.values().chain(troubles.files.values());
        match times.map(|(_, since)| *since).min() {
            None => VaultState::Ready,
            Some(since) => VaultState::Degraded {
                reason: reasons.join(" | "),
                since,
            },
        }
    }

    pub(super) fn unavailable(&self, reason: impl Into<String>) -> VaultError {
        VaultError::Unavailable {
            vault: self.vault.clone(),
            reason: reason.into(),
        }
    }

    /// A write that the system has refused. What lasts is kept as the state.
    pub(super) fn not_written(&self, error: &io::Error) -> VaultError {
        let folder = self.root.display();
        let reason = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => format!(
                "{folder} cannot be written ({error}); its notes can be read: make it writable for the user of the daemon"
            ),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                format!("the disk of {folder} is full ({error}); nothing was written: free some space")
            }
            _ => {
                return self.unavailable(format!(
                    "{folder} could not be written ({error}); nothing was written: try again"
                ));
            }
        };
        self.set(Part::Writing, reason.clone());
        self.unavailable(reason)
    }
}
