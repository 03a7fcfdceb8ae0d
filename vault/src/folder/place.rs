//! The folder as a place on the disk: where it is, whether it is the one that was read, and what the system says of it.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::moved::Marks;
use super::paths::Refused;
use super::scan;
use super::state::{Part, State};
use super::watch::Hint;
use crate::store::VaultError;

/// Shared by who reads the folder and who writes it.
pub(super) struct Place {
    pub(super) name: String,
    pub(super) root: PathBuf,
    /// Largest file that is a note.
    pub(super) max_bytes: u64,
    pub(super) state: State,
    pub(super) hints: mpsc::UnboundedSender<Hint>,
    /// Where a batch of new files is noted while it is written.
    pub(super) journal: PathBuf,
    /// Device and inode of the folder that was read last.
    pub(super) identity: Mutex<Option<(u64, u64)>>,
    /// By what files of the index are told again under another name.
    pub(super) marks: Mutex<Marks>,
    /// What the running write has done.
    pub(super) done: Mutex<super::carry::Done>,
}

impl Place {
    pub(super) fn hint(&self, hint: Hint) {
        // silent-ok: the vault has been closed; the next start looks at everything
        let _ = self.hints.send(hint);
    }

    pub(super) fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This is the folder.
    pub(super) fn accept(&self, identity: (u64, u64)) {
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = Some(identity);
    }

    pub(super) fn accepted(&self) -> Option<(u64, u64)> {
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses when the folder is not the one that was read.
    pub(super) fn writable(&self) -> Result<(), VaultError> {
        if let Some(reason) = self.state.trouble(Part::Folder) {
            return Err(self.state.unavailable(reason));
        }
        if scan::is_same(&self.root, self.accepted()) {
            return Ok(());
        }
        self.hint(Hint::Everything);
        let folder = self.root.display();
        let reason = format!("the folder {folder} is not there, or is another one than before; nothing was written");
        Err(self.state.unavailable(reason))
    }

    /// The system has refused a write; when it does so no longer is tried from now on.
    pub(super) fn not_written(&self, error: &io::Error) -> VaultError {
        self.hint(Hint::Trouble);
        self.state.not_written(error)
    }

    /// A file that cannot be written because of its path, or of the system.
    pub(super) fn refused(&self, path: &str, refused: Refused) -> VaultError {
        match refused {
            Refused::Path(reason) => VaultError::Invalid(format!("invalid path {path:?}: {reason}")),
            Refused::Io(error) => self.not_written(&error),
        }
    }
}
