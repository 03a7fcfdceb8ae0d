//! Writes batches, and runs a worker for each subscription.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::batch::Ends;
use super::subscription::Subscription;
use super::worker::Worker;
use super::{OUTBOX_PAUSE, Shared, Webhooks};

/// Sends until it is drained.
pub struct Service {
    pub(super) shared: Arc<Shared>,
}

struct Running {
    /// How often it had been resumed when this began.
    resumed: u64,
    subscription: Subscription,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Ends it with its calls; what they came to is written.
    async fn end(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, webhook = self.subscription.name, "a worker of a webhook failed");
        }
    }
}

impl Service {
    /// Runs. Returns when `drain` is cancelled and what was under way has ended or had its time.
    pub async fn run(self, drain: CancellationToken) {
        let shared = self.shared;
        let webhooks = Webhooks {
            shared: Arc::clone(&shared),
        };
        webhooks.clear_leftovers().await;
        let idle = tokio::spawn(bound_idle(Arc::clone(&shared), drain.clone()));
        let batches = tokio::spawn(write_batches(Arc::clone(&shared), drain.clone()));
        let mut changed = shared.options.subscriptions.watch();
        let mut again = shared.again.subscribe();
        let mut running: HashMap<String, Running> = HashMap::new();
        while !drain.is_cancelled() {
            let all = Arc::clone(&changed.borrow_and_update());
            let resumed = again.borrow_and_update().clone();
            let resumed = |name: &str| resumed.get(name).copied().unwrap_or(0);
            let (stay, go): (HashMap<_, _>, HashMap<_, _>) = running.into_iter().partition(|(name, each)| {
                each.resumed == resumed(name) && all.contains(&each.subscription) && !each.subscription.paused
            });
            running = stay;
            end(go).await;
            for subscription in all.iter().filter(|each| !each.paused) {
                running.entry(subscription.name.clone()).or_insert_with(|| {
                    let stop = drain.child_token();
                    let worker = Worker::new(Arc::clone(&shared), subscription.clone());
                    let task = tokio::spawn(worker.run(stop.clone()));
                    let subscription = subscription.clone();
                    Running {
                        resumed: resumed(&subscription.name),
                        subscription,
                        stop,
                        task,
                    }
                });
            }
            tokio::select! {
                () = drain.cancelled() => {}
                _ = changed.changed() => {}
                _ = again.changed() => {}
            }
        }
        end(running).await;
        if let Err(error) = batches.await {
            tracing::error!(%error, "the batches of webhooks failed");
        }
        if let Err(error) = idle.await {
            tracing::error!(%error, "what waits for webhooks that rest is bounded no longer");
        }
    }
}

/// What waits for those that nothing is sent to has bounds too.
async fn bound_idle(shared: Arc<Shared>, drain: CancellationToken) {
    let options = &shared.options;
    let mut ticks = tokio::time::interval(options.times.idle_look);
    loop {
        tokio::select! {
            () = drain.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let refused = |name: &str| {
            let status = shared.status.lock().unwrap_or_else(PoisonError::into_inner);
            status.get(name).is_some_and(|status| status.refused.is_some())
        };
        let all = options.subscriptions.list();
        for one in all.iter().filter(|one| one.paused || refused(&one.name)) {
            let (live, whole) = (options.live_room, options.idle_room);
            let bridge = one.bridge();
            let fleeting = options
                .outbox
                .shed(&bridge, shared.room(live, options.times.live_patience));
            let rest = options.outbox.bound(&bridge, shared.room(whole, options.times.idle));
            match (fleeting.await, rest.await) {
                (Ok(0), Ok(0)) => {}
                (Ok(fleeting), Ok(rest)) => shared.set(&one.name, |status| status.dropped += fleeting + rest),
                (Err(error), _) | (_, Err(error)) => {
                    tracing::warn!(%error, webhook = one.name, "what waits for a webhook that rests cannot be bounded");
                }
            }
        }
    }
}

async fn end(workers: HashMap<String, Running>) {
    for worker in workers.values() {
        worker.stop.cancel();
    }
    for worker in workers.into_values() {
        worker.end().await;
    }
}

async fn write_batches(shared: Arc<Shared>, drain: CancellationToken) {
    let mut writable = true;
    loop {
        let next = shared.batches.next();
        let due = async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = drain.cancelled() => break,
            () = shared.batches.wake.notified() => {}
            () = due => {}
        }
        let flushed = shared.flush(&Ends::Due).await;
        if let Err(error) = &flushed {
            if writable {
                tracing::warn!(%error, "events of turns cannot be kept for webhooks; it is tried again");
            }
            tokio::select! {
                () = drain.cancelled() => break,
                () = tokio::time::sleep(OUTBOX_PAUSE) => shared.batches.wake.notify_one(),
            }
        }
        writable = flushed.is_ok();
    }
    if let Err(error) = shared.flush(&Ends::All).await {
        tracing::warn!(%error, "the last events of turns are not kept for webhooks");
    }
}
