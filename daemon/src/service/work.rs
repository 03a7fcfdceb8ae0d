//! The work of the daemon, from what an earlier run has left to the last reply.

use std::time::Duration;

use anyhow::Context as _;
use reveille_backends::sweep;
use reveille_queue::{self as queue, Queue, QueueError};
use tokio_util::sync::CancellationToken;

use crate::attached::Desk;
use crate::crash;
use crate::outbox::Outbox;
use crate::retention::Retention;
use crate::steps::Steps;
use crate::vaults::{Residents, Roster, Sudden};
use crate::worker::Workers;

/// How long a stop waits for the last replies to be delivered.
const OUTBOX_PATIENCE: Duration = Duration::from_secs(2);

/// How long a stop waits for the last spans to be sent.
const TRACES_PATIENCE: Duration = Duration::from_secs(1);

/// Shortest and longest pause between tries to read the queue at the start.
const RECOVERY_PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Everything but the HTTP side.
pub(super) struct Work<'a> {
    pub(super) instance: &'a str,
    pub(super) queue: &'a dyn Queue,
    pub(super) workers: &'a Workers,
    pub(super) residents: &'a Residents,
    pub(super) roster: &'a Roster,
    pub(super) attached: &'a Desk,
    pub(super) steps: &'a Steps,
    /// How long running turns may take to end.
    pub(super) patience: Duration,
    pub(super) drain: CancellationToken,
    pub(super) delivered: CancellationToken,
}

impl Work<'_> {
    pub(super) async fn run(
        self,
        outbox: Outbox,
        mut sudden: Sudden,
        retention: Retention,
        stop: CancellationToken,
        hurry: CancellationToken,
    ) -> anyhow::Result<()> {
        self.recover(&outbox, &stop).await?;
        let last = outbox.clone();
        let mut outbox = tokio::spawn(outbox.run(self.delivered.clone()));
        self.roster.open().await;
        retention.settle().await;
        let retention = tokio::spawn(retention.run(self.drain.clone()));
        self.workers.open().await;
        self.workers.spawn(self.attached.clone().run(self.drain.clone()));

        // Neither ends by itself: without them messages would be accepted and left lying.
        let failed = tokio::select! {
            () = stop.cancelled() => None,
            ended = &mut outbox => Some(("outbox", ended)),
            ended = sudden.end() => Some(("feed", ended)),
        };
        tracing::info!(patience = ?self.patience, "stopping: no new turns; running ones may end");
        self.drain.cancel();
        self.workers.finish(self.patience, hurry).await;
        if let Some((part, ended)) = failed {
            ended.with_context(|| format!("the {part} failed"))?;
            anyhow::bail!("the {part} ended by itself; start the daemon again, nothing is lost");
        }
        // Replies of the last turns still go out.
        last.flush(OUTBOX_PATIENCE).await;
        self.steps.settled().await;
        self.delivered.cancel();
        self.residents.finish().await;
        sudden.panic().context("the feed failed")?;
        outbox.await.context("the outbox failed")?;
        self.workers.context().traces.close(TRACES_PATIENCE).await;
        retention.await.context("the housekeeping failed")
    }

    /// Deals with what an earlier run has left, before anything is claimed again.
    async fn recover(&self, outbox: &Outbox, stop: &CancellationToken) -> anyhow::Result<()> {
        let swept = sweep("REVEILLE_INSTANCE", self.instance).await;
        if let Some(problem) = &swept.problem {
            tracing::error!(
                problem,
                "processes of an earlier run may still be alive; end them by hand if there are any"
            );
        }
        if !swept.killed.is_empty() {
            tracing::warn!(killed = ?swept.killed, "processes of an earlier run were ended");
        }
        anyhow::ensure!(
            swept.left.is_empty(),
            "processes of an earlier run cannot be ended: {:?}; end them by hand, then start again",
            swept.left
        );
        crash::point("recovery.swept");
        let Some(found) = until_it_works(stop, || self.queue.recover()).await else {
            return Ok(());
        };
        crash::point("recovery.requeued");
        if found != queue::Recovery::default() {
            let (requeued, interrupted) = (found.requeued, found.interrupted);
            tracing::info!(requeued, interrupted, "turns of an earlier run are back in line");
        }
        // A person may have mended what kept effects from being delivered.
        until_it_works(stop, || outbox.retry(None)).await;
        Ok(())
    }
}

/// Asks the queue for what must be known before anything is worked on. A storage that fails for a moment does not end the
/// daemon. `None`: it is to stop.
async fn until_it_works<T, A>(stop: &CancellationToken, ask: impl Fn() -> A) -> Option<T>
where
    A: Future<Output = Result<T, QueueError>>,
{
    let mut pause = RECOVERY_PAUSES.0;
    loop {
        match ask().await {
            Ok(answer) => return Some(answer),
            Err(error) => {
                tracing::error!(%error, ?pause, "the queue cannot be read; nothing is lost, it is tried again");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(RECOVERY_PAUSES.1),
        }
    }
}
