//! Notes that the peer lists and cannot give, such as one that is too large: those behind them must not wait for ever.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::note::NoteId;

/// So many scans end at such a note: what fails once may be the moment, and then the order is kept.
const FAILURES: u32 = 3;
/// How long it is passed by at first, and at most.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60 * 60);

#[derive(Debug, Default)]
struct Failing {
    /// In a row.
    failures: u32,
    /// It is not asked for until then.
    until: Option<Instant>,
}

/// Those notes, by identity.
#[derive(Debug, Default)]
pub(super) struct Unread {
    notes: Mutex<HashMap<NoteId, Failing>>,
}

impl Unread {
    fn lock(&self) -> MutexGuard<'_, HashMap<NoteId, Failing>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a scan goes on without it.
    pub(super) fn is_passed_by(&self, note: &NoteId) -> bool {
        let until = self.lock().get(note).and_then(|failing| failing.until);
        until.is_some_and(|until| until > Instant::now())
    }

    /// The peer did not give it, while it gives others. Answers whether scans go on without it from now on.
    pub(super) fn failed(&self, note: &NoteId) -> bool {
        let mut notes = self.lock();
        let failing = notes.entry(note.clone()).or_default();
        failing.failures = failing.failures.saturating_add(1);
        let Some(times) = failing.failures.checked_sub(FAILURES) else {
            return false;
        };
        let pause = FIRST.saturating_mul(1 << times.min(20)).min(LONGEST);
        failing.until = Some(Instant::now() + pause);
        true
    }

    /// The peer gave it, or it is gone.
    pub(super) fn read(&self, note: &NoteId) {
        self.lock().remove(note);
    }
}
