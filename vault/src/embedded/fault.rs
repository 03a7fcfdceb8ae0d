//! From what SQLite says to what a person can act on.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::health::Health;
use crate::store::VaultError;

/// Why a piece of work inside the vault failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The request breaks a rule; the vault is fine.
    Refused(VaultError),
    /// SQLite could not do it.
    Storage(rusqlite::Error),
    /// The file cannot be used as it is; says why.
    Unusable(String),
    /// It holds what this program never writes; says what.
    Corrupt(String),
    /// One note cannot be read; the others can.
    Damaged {
        /// Its identity.
        note: String,
        /// What is wrong with its row.
        reason: String,
    },
}

impl From<VaultError> for Fault {
    fn from(error: VaultError) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Storage(error)
    }
}

impl Fault {
    /// A row holds what this program never writes.
    pub(super) fn damaged(what: &str, error: impl std::fmt::Display) -> Self {
        Self::Corrupt(format!(
            "a stored {what} cannot be read ({error}); the file is damaged, restore it from a backup"
        ))
    }
}

/// Which vault and which file an error is about, and how it stands.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) vault: String,
    pub(super) file: PathBuf,
    pub(super) health: Health,
}

impl Place {
    pub(super) fn new(vault: &str, file: &Path) -> Self {
        Self {
            vault: vault.to_owned(),
            file: file.to_owned(),
            health: Health::default(),
        }
    }

    /// The error of a read, which counts for how the vault stands.
    pub(super) fn read_error(&self, fault: Fault) -> VaultError {
        self.judge(&fault, Health::read_failed);
        self.error(fault)
    }

    /// The error of a write, which counts for how the vault stands.
    pub(super) fn write_error(&self, fault: Fault) -> VaultError {
        self.judge(&fault, |health, reason| {
            if health.write_failed(reason) {
                tracing::error!(
                    vault = self.vault,
                    reason,
                    "the vault cannot write; what waits for it is kept"
                );
            }
        });
        self.error(fault)
    }

    /// The error of an opening.
    pub(super) fn open_error(&self, fault: Fault) -> VaultError {
        self.judge(&fault, |_, _| {});
        self.error(fault)
    }

    fn judge(&self, fault: &Fault, failed: impl FnOnce(&Health, &str)) {
        match fault {
            Fault::Storage(error) if error.sqlite_error_code() == Some(ErrorCode::TooBig) => {}
            Fault::Storage(error) => {
                let reason = self.explain(error);
                if let Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) = error.sqlite_error_code() {
                    self.health.damaged(&reason);
                }
                failed(&self.health, &reason);
            }
            Fault::Damaged { note, reason } => {
                if self.health.unreadable(note) {
                    tracing::error!(vault = self.vault, note, reason, "a note cannot be read");
                }
            }
            Fault::Corrupt(reason) => self.health.damaged(reason),
            Fault::Refused(_) | Fault::Unusable(_) => {}
        }
    }

    /// Notes that were left out.
    pub(super) fn left_out(&self, notes: &[String]) {
        for note in notes {
            if self.health.unreadable(note) {
                tracing::error!(vault = self.vault, note, "a note cannot be read and is left out");
            }
        }
    }

    /// The error that callers see.
    pub(super) fn error(&self, fault: Fault) -> VaultError {
        match fault {
            Fault::Refused(error) => error,
            // Asking again does not help.
            Fault::Storage(error) if error.sqlite_error_code() == Some(ErrorCode::TooBig) => {
                VaultError::Invalid("the note is too large to be stored (1 GB); nothing was written".into())
            }
            Fault::Storage(error) => self.unavailable(self.explain(&error)),
            Fault::Unusable(reason) | Fault::Corrupt(reason) => self.unavailable(reason),
            Fault::Damaged { note, reason } => VaultError::Damaged { note, reason },
        }
    }

    /// [`VaultError::Unavailable`] of this vault.
    pub(super) fn unavailable(&self, reason: impl Into<String>) -> VaultError {
        VaultError::Unavailable {
            vault: self.vault.clone(),
            reason: reason.into(),
        }
    }

    /// The vault is not open, has been closed, or its writer is gone.
    pub(super) fn closed(&self) -> VaultError {
        match self.health.why_shut() {
            Some(reason) => self.unavailable(reason),
            None => self.unavailable("it has been closed; start the daemon again"),
        }
    }

    fn explain(&self, error: &rusqlite::Error) -> String {
        let file = self.file.display();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => {
                format!(
                    "the disk is full or {file} has reached its size limit; nothing was written: free some space and try again"
                )
            }
            Some(ErrorCode::SystemIoFailure) => {
                format!("{file} could not be read or written ({error}); check the disk and try again")
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                format!("{file} cannot be written ({error}); check the permissions of the file and of its directory")
            }
            Some(ErrorCode::CannotOpen) => {
                format!("{file} cannot be opened ({error}); check that its directory exists and may be written")
            }
            Some(ErrorCode::NotADatabase) => {
                format!("{file} is no vault; it was left as it is: move it away or restore it from a backup")
            }
            Some(ErrorCode::DatabaseCorrupt) => {
                format!("{file} is damaged ({error}); it was left as it is: restore it from a backup")
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
                format!("{file} is locked by another process; end that process and try again")
            }
            Some(ErrorCode::OutOfMemory) => "the system is out of memory; nothing was written".to_owned(),
            _ => format!("{file}: {error}"),
        }
    }
}
