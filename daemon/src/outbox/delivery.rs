//! What is to be delivered, and what came of it.

use jiff::Timestamp;
use reveille_queue::Effect as Row;

use super::{Trouble, is_silent, word};
use crate::effects::Effect;
use crate::traces::Try;

/// What a look at the outbox came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// Nothing was due.
    Nothing,
    /// All that was due is delivered.
    All,
    /// There may be more to do.
    More,
}

/// A row, and what it asks for.
pub(super) struct Delivery {
    pub(super) row: Row,
    pub(super) effect: Result<Effect, serde_json::Error>,
}

impl Delivery {
    pub(super) fn of(row: Row) -> Self {
        Self {
            effect: serde_json::from_value(row.body.clone()),
            row,
        }
    }

    pub(super) fn tried(&self, start: Timestamp, error: Option<&Trouble>) -> Try {
        let effect = self.effect.as_ref().ok(); // silent-ok: then it was refused, and that is told
        Try {
            turn: self.row.turn,
            effect: (self.row.id, self.row.attempts),
            kind: effect.map_or("callback", Effect::kind),
            vault: self.vault().unwrap_or_default().to_owned(),
            callback: effect.and_then(Effect::callback_note),
            start,
            error: error.map(word),
        }
    }

    /// Whose turn it is of; `None`: not known to this version.
    pub(super) fn channel(&self) -> Option<&str> {
        self.effect.as_ref().ok().map(Effect::channel) // silent-ok: told when it is tried
    }

    pub(super) fn vault(&self) -> Option<&str> {
        self.effect.as_ref().ok().and_then(Effect::vault) // silent-ok: told when it is tried
    }
}

#[derive(Default)]
pub(super) struct LineEnd {
    pub(super) delivered: Vec<Delivery>,
    /// Refused for good.
    pub(super) parked: Vec<(Delivery, Trouble)>,
    /// To be tried again; what was behind it was not tried.
    pub(super) failed: Option<(Delivery, Trouble)>,
}

impl LineEnd {
    /// Vaults that have answered, whatever they said.
    pub(super) fn answered(&self) -> impl Iterator<Item = &str> {
        let parked = self.parked.iter().map(|(delivery, _)| delivery);
        let failed = self
            .failed
            .iter()
            .filter(|(_, error)| !is_silent(error))
            .map(|(delivery, _)| delivery);
        self.delivered
            .iter()
            .chain(parked)
            .chain(failed)
            .filter_map(Delivery::vault)
    }
}
