//! The token of an added vault, which may be replaced while everything runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reveille_vault::parachute;
use tokio::sync::Notify;

#[derive(Default)]
struct Held {
    text: Option<String>,
    /// It was shown to the vault.
    shown: bool,
    /// It was shown, and asked for once more: the vault does not take it.
    refused: bool,
}

/// A token. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(super) struct Token {
    held: Arc<Mutex<Held>>,
    bell: Arc<Notify>,
}

impl Token {
    /// With that text; `None`: nothing is shown.
    pub(super) fn new(text: Option<String>) -> Self {
        let token = Self::default();
        token.set(text);
        token
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces it.
    pub(super) fn set(&self, text: Option<String>) {
        *self.held() = Held {
            text,
            ..Held::default()
        };
    }

    /// The vault takes it after all.
    pub(super) fn is_good(&self) {
        self.held().refused = false;
    }

    /// Whether the vault did not take it.
    pub(super) fn is_refused(&self) -> bool {
        self.held().refused
    }

    /// Resolves when the vault did not take it.
    pub(super) async fn refused(&self) {
        while !self.is_refused() {
            self.bell.notified().await;
        }
    }

    /// How the vault's client reads it: before the first request, and again when it was refused.
    pub(super) fn reader(&self) -> parachute::Token {
        let token = self.clone();
        parachute::Token::read_by(move || {
            let mut held = token.held();
            if held.shown && !held.refused {
                held.refused = true;
                token.bell.notify_one();
            }
            held.shown = true;
            Ok(held.text.clone())
        })
    }
}
