//! Which notes we write ourselves just now: what a listing says of them may be older than what we know.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::note::NoteId;

/// How long an own write is remembered; longer than any listing takes.
const MEMORY: Duration = Duration::from_secs(10 * 60);

#[derive(Debug, Default)]
struct Touch {
    under_way: u32,
    ended: Option<Instant>,
}

/// Own writes, by note.
#[derive(Debug, Default)]
pub(super) struct Touched {
    notes: Mutex<HashMap<NoteId, Touch>>,
}

impl Touched {
    fn lock(&self) -> MutexGuard<'_, HashMap<NoteId, Touch>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write begins; it ends when the answer is dropped.
    pub(super) fn begin(&self, note: &NoteId) -> Touching<'_> {
        self.lock().entry(note.clone()).or_default().under_way += 1;
        Touching {
            all: self,
            note: note.clone(),
        }
    }

    /// Whether a write was under way at `moment` or since: what was read of the note then may be outdated.
    pub(super) fn since(&self, note: &NoteId, moment: Instant) -> bool {
        let notes = self.lock();
        let touch = notes.get(note);
        touch.is_some_and(|touch| touch.under_way > 0 || touch.ended.is_some_and(|ended| ended >= moment))
    }

    /// Forgets writes of long ago.
    pub(super) fn tidy(&self) {
        let now = Instant::now();
        self.lock()
            .retain(|_, touch| touch.under_way > 0 || touch.ended.is_some_and(|ended| now - ended < MEMORY));
    }
}

/// A write under way.
pub(super) struct Touching<'a> {
    all: &'a Touched,
    note: NoteId,
}

impl Drop for Touching<'_> {
    fn drop(&mut self) {
        if let Some(touch) = self.all.lock().get_mut(&self.note) {
            touch.under_way = touch.under_way.saturating_sub(1);
            touch.ended = Some(Instant::now());
        }
    }
}
