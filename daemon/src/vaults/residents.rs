//! What works for each vault as long as it is there: its feed, the deliveries of its triggers, the description of its tags.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reveille_vault::Vault;
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::follow::Follower;
use crate::inbox::Inbox;
use crate::tag_schema;
use crate::triggers::{Deliverers, Settings};

/// How long what works for a vault may take to end when the vault is removed. What is cut off there is as after a crash: the
/// stored cursor and the stored deliveries say where to go on.
const PATIENCE: Duration = Duration::from_secs(3);

/// Tells when a feed has ended although nobody wanted that.
pub(crate) struct Sudden(mpsc::UnboundedReceiver<Result<(), JoinError>>);

impl Sudden {
    /// How a feed ended.
    pub(crate) async fn end(&mut self) -> Result<(), JoinError> {
        match self.0.recv().await {
            Some(ended) => ended,
            // Whoever could tell is gone, and then nobody asks.
            None => std::future::pending().await,
        }
    }

    /// The same, of those that ended in a panic until now.
    pub(crate) fn panic(&mut self) -> Result<(), JoinError> {
        while let Ok(ended) = self.0.try_recv() {
            ended?;
        }
        Ok(())
    }
}

/// All of them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Residents {
    shared: Arc<Shared>,
}

struct Shared {
    inbox: Inbox,
    deliverers: Deliverers,
    drain: CancellationToken,
    sudden: mpsc::UnboundedSender<Result<(), JoinError>>,
    feeds: TaskTracker,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What an earlier run has left is dealt with.
    open: bool,
    /// Wait for that.
    waiting: Vec<Follower>,
    at_work: HashMap<String, Resident>,
}

struct Resident {
    /// It ends when it has finished what it does.
    stop: CancellationToken,
    /// It ends.
    abort: CancellationToken,
    work: TaskTracker,
}

impl Residents {
    /// Nothing works before [`Residents::open`]. All ends with `drain`.
    #[must_use]
    pub(crate) fn new(inbox: Inbox, triggers: &Settings, drain: CancellationToken) -> (Self, Sudden) {
        let (sudden, told) = mpsc::unbounded_channel();
        let shared = Shared {
            inbox,
            deliverers: Deliverers::new(triggers),
            drain,
            sudden,
            feeds: TaskTracker::new(),
            state: Mutex::default(),
        };
        let residents = Self {
            shared: Arc::new(shared),
        };
        (residents, Sudden(told))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the agents of a vault, as far as that is quick, and works for it from then on.
    pub(crate) async fn add(&self, vault: Arc<dyn Vault>) {
        let follower = Follower::start(vault, self.shared.inbox.clone()).await;
        let mut state = self.state();
        if state.open {
            self.begin(&mut state, follower);
        } else {
            state.waiting.push(follower);
        }
    }

    /// Begins to work. To be called once, when what an earlier run has left is dealt with.
    pub(crate) fn open(&self) {
        let mut state = self.state();
        state.open = true;
        for follower in std::mem::take(&mut state.waiting) {
            self.begin(&mut state, follower);
        }
    }

    fn begin(&self, state: &mut State, follower: Follower) {
        let vault = Arc::clone(follower.vault());
        let stop = self.shared.drain.child_token();
        let resident = Resident {
            stop: stop.clone(),
            abort: CancellationToken::new(),
            work: TaskTracker::new(),
        };
        self.follow(&resident, follower);
        if let Some(deliverer) = self.shared.deliverers.of(&vault) {
            self.beside(&resident, deliverer.run(stop.clone()));
        }
        self.beside(&resident, tag_schema::declare(Arc::clone(&vault), stop));
        state.at_work.insert(vault.name().to_owned(), resident);
    }

    fn follow(&self, resident: &Resident, follower: Follower) {
        let (stop, abort) = (resident.stop.clone(), resident.abort.clone());
        let feed = tokio::spawn({
            let stop = stop.clone();
            async move {
                let _cut_off = abort.run_until_cancelled(follower.run(stop)).await;
            }
        });
        let (sudden, at_work) = (self.shared.sudden.clone(), resident.work.token());
        self.shared.feeds.spawn(async move {
            let ended = feed.await;
            if (ended.is_err() || !stop.is_cancelled()) && sudden.send(ended).is_err() {
                tracing::error!("a feed ended, and nobody hears of it");
            }
            drop(at_work);
        });
    }

    /// Something beside the feed; a stop waits for it as for turns.
    fn beside(&self, resident: &Resident, work: impl Future<Output = ()> + Send + 'static) {
        let (abort, at_work) = (resident.abort.clone(), resident.work.token());
        self.shared.inbox.workers.spawn(async move {
            let _cut_off = abort.run_until_cancelled(work).await;
            drop(at_work);
        });
    }

    /// Ends what works for a vault. Nothing of it is left when this returns.
    pub(super) async fn remove(&self, vault: &str) {
        let resident = {
            let mut state = self.state();
            state.waiting.retain(|follower| follower.vault().name() != vault);
            state.at_work.remove(vault)
        };
        let Some(resident) = resident else { return };
        resident.stop.cancel();
        resident.work.close();
        if tokio::time::timeout(PATIENCE, resident.work.wait()).await.is_err() {
            resident.abort.cancel();
            resident.work.wait().await;
        }
    }

    /// Waits for the feeds to end. To be called after `drain` was cancelled.
    pub(crate) async fn finish(&self) {
        self.shared.feeds.close();
        self.shared.feeds.wait().await;
    }
}
