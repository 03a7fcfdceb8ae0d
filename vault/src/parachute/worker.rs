//! The task that scans: at intervals, and when somebody asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Core;
use super::scan::Depth;
use crate::store::{Vault as _, VaultError};

/// A full scan takes at most this share of the time.
const FULL_SHARE: u32 = 20;
/// How long somebody waits for a scan.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks are numbered; a scan serves those that were there when it began.
#[derive(Default)]
struct Asks {
    newest: AtomicU64,
    wake: Notify,
    /// Scans that have begun.
    begun: AtomicU64,
}

/// How the last scan ended.
#[derive(Debug, Clone, Default)]
struct Scanned {
    /// The newest ask that it served.
    ask: u64,
    failure: Option<String>,
    /// The last one that came to its end, counted as they begin.
    good: u64,
}

/// Handle of the task. It ends when this is dropped.
pub(super) struct Worker {
    vault: String,
    asks: Arc<Asks>,
    scanned: watch::Receiver<Scanned>,
    task: Mutex<Option<JoinHandle<()>>>,
    stop: CancellationToken,
    _stop_at_end: DropGuard,
}

impl Worker {
    /// Starts to scan.
    pub(super) fn start(core: Arc<Core>, poll: Duration, full_scan: Duration) -> Self {
        let (sender, scanned) = watch::channel(Scanned::default());
        let asks = Arc::new(Asks::default());
        let stop = CancellationToken::new();
        let vault = core.name.clone();
        let rounds = Rounds {
            core,
            poll,
            full_scan,
            asks: Arc::clone(&asks),
            sender,
            last: None,
            next_full: Instant::now(),
        };
        let task = tokio::spawn({
            let stop = stop.clone();
            async move {
                // A round that is cut off has taken over what it has taken over.
                stop.run_until_cancelled(rounds.run()).await;
            }
        });
        Self {
            vault,
            asks,
            scanned,
            task: Mutex::new(Some(task)),
            _stop_at_end: stop.clone().drop_guard(),
            stop,
        }
    }

    /// Waits for a scan that begins from now on.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: it failed, or takes long.
    pub(super) async fn scan_now(&self) -> Result<(), VaultError> {
        let ask = self.asks.newest.fetch_add(1, Ordering::SeqCst) + 1;
        self.asks.wake.notify_one();
        let mut scanned = self.scanned.clone();
        let served = tokio::time::timeout(PATIENCE, scanned.wait_for(|scanned| scanned.ask >= ask));
        let failure = match served.await {
            Ok(Ok(scanned)) => scanned.failure.clone(),
            Ok(Err(_)) => Some("it has been closed; start the daemon again".into()),
            Err(_) => Some(format!("the scan takes longer than {PATIENCE:?}; it goes on")),
        };
        match failure {
            None => Ok(()),
            Some(reason) => Err(VaultError::Unavailable {
                vault: self.vault.clone(),
                reason,
            }),
        }
    }

    /// Waits for a scan that begins from now on and comes to its end. Nothing is asked for it. Never returns once the task has
    /// ended.
    pub(super) async fn next_scan(&self) {
        let begun = self.asks.begun.load(Ordering::SeqCst);
        let mut scanned = self.scanned.clone();
        if scanned.wait_for(|scanned| scanned.good > begun).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Ends the task.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        if let Some(task) = self.task.lock().await.take()
            && let Err(error) = task.await
        {
            tracing::error!(%error, vault = self.vault, "the scan of the vault had failed");
        }
    }
}

/// The task itself.
struct Rounds {
    core: Arc<Core>,
    poll: Duration,
    full_scan: Duration,
    asks: Arc<Asks>,
    sender: watch::Sender<Scanned>,
    /// When the last good round began, by the peer's clock.
    last: Option<Timestamp>,
    next_full: Instant,
}

impl Rounds {
    async fn run(mut self) {
        loop {
            let ask = self.asks.newest.load(Ordering::SeqCst);
            let number = self.asks.begun.fetch_add(1, Ordering::SeqCst) + 1;
            let outcome = self.round().await;
            let pause = match &outcome {
                Ok(()) => self.poll,
                Err(_) => self.poll.min(Duration::from_secs(1)).max(self.core.client.rest()),
            };
            if outcome.is_err() || self.core.index.is_damaged() {
                self.mend_index().await;
            }
            let failure = outcome.err().map(|error| match error {
                VaultError::Unavailable { reason, .. } => reason,
                other => other.to_string(),
            });
            if let Some(reason) = &failure {
                tracing::debug!(
                    vault = self.core.name,
                    reason,
                    "the scan failed; the next one finds the rest"
                );
            }
            let good = match failure {
                None => number,
                Some(_) => self.sender.borrow().good,
            };
            self.sender.send_replace(Scanned { ask, failure, good });
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.asks.wake.notified() => {}
            }
        }
    }

    /// The index may be what failed: it is opened again, or tried out.
    async fn mend_index(&self) {
        if let Err(error) = self.core.index.look(None).await {
            tracing::debug!(%error, vault = self.core.name, "the index of the vault does not work yet");
        }
        if self.core.index.is_damaged()
            && let Err(error) = self.core.make_index_anew().await
        {
            tracing::error!(%error, vault = self.core.name, "the damaged index of the vault could not be made anew");
        }
    }

    async fn round(&mut self) -> Result<(), VaultError> {
        let (began, now) = (Instant::now(), Timestamp::now());
        let depth = match self.last {
            Some(last) if began < self.next_full => Depth::Since(last),
            _ => Depth::Full,
        };
        self.core.round(depth).await?;
        self.last = Some(self.core.client.peer_time(now));
        if depth == Depth::Full {
            let pause = self.full_scan.max(began.elapsed() * FULL_SHARE);
            self.next_full = Instant::now() + pause;
        }
        Ok(())
    }
}
