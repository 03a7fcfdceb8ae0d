//! Who waits to hear whether the effects of a turn are delivered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use uuid::Uuid;

/// Turns whose end is not told yet. Whether it is told as delivered or not is decided under one lock, so that nobody is told
/// of a late delivery before having been told that it is missing. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Ends {
    /// `None`: has heard of a failed delivery and has not told it yet.
    waiting: Arc<Mutex<HashMap<Uuid, Option<oneshot::Sender<bool>>>>>,
}

impl Ends {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Option<oneshot::Sender<bool>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves to true when the effects are delivered, to false when that will take longer.
    pub(super) fn expect(&self, turn: Uuid) -> oneshot::Receiver<bool> {
        let (tell, told) = oneshot::channel();
        self.lock().insert(turn, Some(tell));
        told
    }

    /// The turn has not ended after all.
    pub(super) fn forget(&self, turn: Uuid) {
        self.lock().remove(&turn);
    }

    /// It will take longer.
    pub(super) fn missing(&self, turn: Uuid) {
        if let Some(tell) = self.lock().get_mut(&turn).and_then(Option::take) {
            // silent-ok: the worker stopped waiting.
            let _ = tell.send(false);
        }
    }

    /// Nothing is left to deliver. True when the end had been told as undelivered.
    pub(super) fn delivered(&self, turn: Uuid) -> bool {
        match self.lock().remove(&turn) {
            Some(tell) => {
                // silent-ok: whoever stopped waiting has not told yet, and looks again.
                let _ = tell.map(|tell| tell.send(true));
                false
            }
            None => true,
        }
    }

    /// Tells the end of a turn: with true when nothing is left to deliver.
    pub(super) fn tell(&self, turn: Uuid, tell: impl FnOnce(bool)) {
        let mut waiting = self.lock();
        let delivered = waiting.remove(&turn).is_none();
        tell(delivered);
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn an_end_is_told_once_as_what_it_is() {
        let (ends, turn) = (Ends::default(), Uuid::from_u128(1));
        let told = |ends: &Ends| {
            let mut told = None;
            ends.tell(turn, |delivered| told = Some(delivered));
            told
        };

        let mut heard = ends.expect(turn);
        assert!(!ends.delivered(turn));
        assert_eq!((heard.try_recv(), told(&ends)), (Ok(true), Some(true)));

        // The delivery came in the moment between the failed try and the telling.
        let mut heard = ends.expect(turn);
        ends.missing(turn);
        assert!(!ends.delivered(turn));
        assert_eq!((heard.try_recv(), told(&ends)), (Ok(false), Some(true)));

        drop(ends.expect(turn));
        assert_eq!(told(&ends), Some(false));
        assert!(ends.delivered(turn), "it comes after the end was told as undelivered");
    }
}
