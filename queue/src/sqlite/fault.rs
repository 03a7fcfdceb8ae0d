//! How the storage fails, and what the queue says about it.

use uuid::Uuid;

use crate::model::State;
use crate::queue::{ControlError, LeaseError, QueueError};

/// How a job of the storage went wrong.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Fault {
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Corrupt(String),
    #[error("the claim on turn {0} is no longer held")]
    Stale(Uuid),
    #[error("there is no turn {0}")]
    Unknown(Uuid),
    #[error("the turn {0} does not wait in line")]
    NotWaiting(Uuid, State),
    #[error("the turn {1} does not wait in the line of turn {0}")]
    OtherLine(Uuid, Uuid),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let mend = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => "the disk is full; free some space, nothing else is needed",
            // A quota says EFBIG or EDQUOT, which SQLite calls an I/O error.
            Some(ErrorCode::SystemIoFailure) => "the disk refused; check its health, its free space and the quotas",
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                "queue.db cannot be written; check the permissions of the state directory"
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another process holds queue.db",
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                return Self::Corrupt(format!("queue.db is damaged ({error}); restore it from a backup"));
            }
            Some(ErrorCode::TooBig) => return Self::Refused(error.to_string()),
            _ => return Self::Unavailable(error.to_string()),
        };
        Self::Unavailable(format!("{mend} ({error})"))
    }
}

impl From<Fault> for QueueError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unavailable(reason) => Self::Unavailable { reason },
            Fault::Refused(reason) => Self::Refused { reason },
            Fault::Corrupt(reason) => Self::Corrupt { reason },
            Fault::Stale(_) | Fault::Unknown(_) | Fault::NotWaiting(..) | Fault::OtherLine(..) => Self::Corrupt {
                reason: fault.to_string(),
            },
        }
    }
}

impl From<Fault> for ControlError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unknown(turn) => Self::Unknown { turn },
            Fault::NotWaiting(turn, state) => Self::NotWaiting { turn, state },
            Fault::OtherLine(turn, other) => Self::OtherLine { turn, other },
            other => Self::Queue(other.into()),
        }
    }
}

impl From<Fault> for LeaseError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Stale(turn) => Self::Stale { turn },
            other => Self::Queue(other.into()),
        }
    }
}
