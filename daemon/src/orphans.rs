//! Messages whose agent nobody has defined. They wait for it, but not for ever: whoever asked gets an answer.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reveille_backends::Remedy;
use reveille_queue::{ChannelName, ControlError, Queue, QueueError, State};
use tokio_util::sync::CancellationToken;

use crate::inbox::Progress;
use crate::live::Hub;
use crate::metrics::Metrics;
use crate::record::FailureRecord;
use crate::registry::Registry;
use crate::traces::Traces;
use crate::vaults::ByName;
use crate::withdraw::{Desk, Withdrawal};

/// Longest and shortest time from one look to the next.
const LOOK: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(60));
/// Waiting messages of one channel that are looked at in one go; the next look takes the others.
const BATCH: u32 = 500;
/// Code of the failure.
const NO_AGENT: &str = "no_agent";

/// What it takes to end them.
pub(crate) struct Orphans {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) registry: Registry,
    pub(crate) hub: Hub,
    pub(crate) vaults: ByName,
    /// Which vaults have been read.
    pub(crate) progress: Progress,
    /// How long a message waits for an agent.
    pub(crate) wait: Duration,
    /// Turns may wake agents of other vaults.
    pub(crate) across_vaults: bool,
    /// Who is told of messages that have ended.
    pub(crate) traces: Traces,
    /// Where they are counted.
    pub(crate) metrics: Metrics,
}

impl Orphans {
    /// Looks until `drain`.
    pub(crate) async fn run(self, drain: CancellationToken) {
        // Since when a channel is seen without an agent. Time before the start does not count: an agent may come with it.
        let mut since: HashMap<ChannelName, Timestamp> = HashMap::new();
        let pause = (self.wait / 10).clamp(LOOK.0, LOOK.1);
        loop {
            tokio::select! {
                () = drain.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            if let Err(error) = self.look(&mut since).await {
                tracing::warn!(%error, "messages without an agent could not be looked at");
            }
        }
    }

    async fn look(&self, since: &mut HashMap<ChannelName, Timestamp>) -> Result<(), QueueError> {
        // One whose definition is broken will be mended, and its messages wait for that.
        let defined: HashSet<String> = self.registry.list().into_iter().map(|listed| listed.name).collect();
        let depths = self.queue.depths().await?;
        let without: HashSet<ChannelName> = depths
            .into_iter()
            .map(|(channel, _)| channel)
            .filter(|channel| !defined.contains(channel.as_str()))
            .collect();
        since.retain(|channel, _| without.contains(channel));
        let now = Timestamp::now();
        for channel in without {
            let seen = *since.entry(channel.clone()).or_insert(now);
            self.end_old(&channel, seen, now).await?;
        }
        Ok(())
    }

    async fn end_old(&self, channel: &ChannelName, seen: Timestamp, now: Timestamp) -> Result<(), QueueError> {
        let has_waited =
            |since: Timestamp| Duration::try_from(now.duration_since(since)).is_ok_and(|for_| for_ >= self.wait);
        if !has_waited(seen) {
            return Ok(());
        }
        for turn in self.queue.open_turns(channel, BATCH).await? {
            // It may have come meanwhile.
            if !self.registry.named(channel.as_str()).is_empty() {
                return Ok(());
            }
            // One that a person holds back is the person's matter.
            if turn.state != State::Waiting || turn.held || !has_waited(turn.accepted_at) {
                continue;
            }
            let Some(vault) = self.vaults.get(&turn.message.vault) else {
                continue;
            };
            // Its agent may be there, and only not be known yet.
            if !self.progress.is_read(vault.name()) {
                continue;
            }
            let desk = Desk {
                queue: &*self.queue,
                registry: &self.registry,
                hub: &self.hub,
                vault: &*vault,
                across_vaults: self.across_vaults,
                traces: &self.traces,
                metrics: &self.metrics,
            };
            let failure = FailureRecord {
                code: NO_AGENT.into(),
                message: format!(
                    "There is no agent {channel:?}, and none came while the message waited.",
                    channel = channel.as_str()
                ),
                next_step: "Define the agent, or correct the name, then send the message again.".into(),
                remedy: Remedy::Operator,
            };
            let how = Withdrawal {
                state: State::Error,
                reason: "The message waited too long for its agent.",
                failure: Some(failure),
                status: "refused",
                by: None,
            };
            match desk.withdraw(&turn, how).await {
                // Somebody else was faster.
                Ok(()) | Err(ControlError::NotWaiting { .. } | ControlError::Unknown { .. }) => {}
                Err(ControlError::Queue(error)) => return Err(error),
                Err(error @ ControlError::OtherLine { .. }) => tracing::error!(%error, "this cannot be"),
            }
        }
        Ok(())
    }
}
