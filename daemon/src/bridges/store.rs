//! What bridges have to send: one file, which is there from the first one on that needs it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reveille_transports::outbox::{self, Outbox, OutboxError, Retention};
use tokio_util::sync::CancellationToken;

/// In the state directory.
pub(super) const FILE: &str = "bridges.sqlite";
/// How often what is old there is removed.
const TIDY: Duration = Duration::from_secs(60 * 60);
/// How long it remembers what it has delivered, what it gave up, and the numbers of conversations.
const KEPT: [SignedDuration; 3] = [
    SignedDuration::from_hours(7 * 24),
    SignedDuration::from_hours(30 * 24),
    SignedDuration::from_hours(365 * 24),
];

/// The outbox of all bridges. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Store(Arc<Inner>);

#[derive(Default)]
struct Inner {
    file: PathBuf,
    outbox: OnceLock<Outbox>,
    /// Held while it is opened.
    opening: Mutex<()>,
}

impl Store {
    /// At that place. Nothing is opened.
    pub(super) fn new(file: PathBuf) -> Self {
        let inner = Inner {
            file,
            ..Inner::default()
        };
        Self(Arc::new(inner))
    }

    /// If it is open.
    pub(super) fn get(&self) -> Option<&Outbox> {
        self.0.outbox.get()
    }

    /// Opens it, if it is not. Waits for the disk.
    ///
    /// # Errors
    /// The file cannot be used.
    pub(super) fn open(&self) -> Result<&Outbox, OutboxError> {
        let _opening = self.0.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outbox) = self.0.outbox.get() {
            return Ok(outbox);
        }
        let outbox = outbox::Options::new(&self.0.file).open()?;
        Ok(self.0.outbox.get_or_init(|| outbox))
    }

    /// Forgets what is old, until `drain`.
    pub(super) async fn tidy(self, drain: CancellationToken) {
        let mut ticks = tokio::time::interval(TIDY);
        loop {
            tokio::select! {
                () = drain.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Some(outbox) = self.get() {
                tidy(outbox).await;
            }
        }
    }
}

async fn tidy(outbox: &Outbox) {
    let [delivered_before, undelivered_before, lanes_before] =
        KEPT.map(|kept| Timestamp::now().saturating_sub(kept).unwrap_or(Timestamp::MIN));
    let until = Retention {
        delivered_before,
        undelivered_before,
        lanes_before,
    };
    if let Err(error) = outbox.sweep(until).await {
        tracing::warn!(%error, "what bridges have sent long ago is not forgotten yet");
    }
}
