//! A message on its way to who has asked for it.

use reveille_queue::Held;

use super::{Desk, Taken};

/// What was taken, and not yet accepted. Lost on its way, because who asked has gone, it goes back in line: nobody would know
/// of the claim.
pub(super) struct Offer {
    taken: Taken,
    claim: Unheard,
}

impl Offer {
    pub(super) fn new(desk: &Desk, taken: Taken, held: Held) -> Self {
        let (desk, held) = (desk.clone(), Some(held));
        Self {
            taken,
            claim: Unheard { desk, held },
        }
    }

    /// It has arrived.
    pub(super) fn accept(mut self) -> Taken {
        self.claim.held = None;
        self.taken
    }
}

/// A claim that nobody has heard of.
struct Unheard {
    desk: Desk,
    /// `None`: somebody has.
    held: Option<Held>,
}

impl Drop for Unheard {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            let desk = self.desk.clone();
            self.desk
                .inner
                .inbox
                .workers
                .spawn(async move { desk.put_back(&held).await });
        }
    }
}
