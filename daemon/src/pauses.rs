//! Agents that wait because of a limit, or of something that an operator must mend. The queue keeps the pause; this ends the
//! ones that end by themselves.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reveille_queue::{ChannelName, Pause, Queue, QueueError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::worker::Workers;

/// Pauses that a start ends: whoever started the daemon again may well have mended the cause, and the next turn tells.
const MENDED_BY_A_START: [&str; 2] = ["authentication", "billing"];
/// How often the clock is looked at while a pause has an end: timers do not count the time that a machine sleeps.
const LOOK: Duration = Duration::from_secs(60);
/// Pause after the queue could not be read.
const AGAIN: Duration = Duration::from_secs(5);

/// Handle. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pauses {
    queue: Arc<dyn Queue>,
    changed: Arc<Notify>,
}

impl Pauses {
    /// Over a queue.
    #[must_use]
    pub(crate) fn new(queue: Arc<dyn Queue>) -> Self {
        Self {
            queue,
            changed: Arc::default(),
        }
    }

    /// Makes an agent wait. When that cannot be written down, its next turn meets the same limit again.
    pub(crate) async fn begin(&self, channel: &ChannelName, pause: Pause) {
        tracing::warn!(%channel, code = pause.code, reason = pause.reason, until = ?pause.until, "the agent waits");
        if let Err(error) = self.queue.pause(channel, pause).await {
            tracing::error!(%error, %channel, "the pause is not on disk");
        }
        self.changed.notify_one();
    }

    /// Ends what a start mends, then each pause when its time has come, until `drain`.
    pub(crate) async fn run(self, workers: Workers, drain: CancellationToken) {
        match self.mend().await {
            Ok(mended) => workers.wake_channels(&mended),
            Err(error) => {
                tracing::error!(%error, "agents that wait for a sign-in go on waiting; resume them by hand");
            }
        }
        let mut known = Vec::new();
        loop {
            let pause = match self.queue.pauses().await {
                Ok(now) => {
                    let over: Vec<String> = over(&known, &now).map(ToString::to_string).collect();
                    workers.wake_channels(&over);
                    known = now;
                    next_look(&known)
                }
                Err(error) => {
                    tracing::error!(%error, "the pauses cannot be read");
                    Some(AGAIN)
                }
            };
            let timer = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = drain.cancelled() => return,
                () = self.changed.notified() => {}
                () = timer => {}
            }
        }
    }

    /// The channels that wait no more.
    async fn mend(&self) -> Result<Vec<String>, QueueError> {
        let mut mended = Vec::new();
        for (channel, _) in self.queue.pauses().await? {
            if self.queue.resume(&channel, &MENDED_BY_A_START).await? {
                mended.push(channel.to_string());
            }
        }
        Ok(mended)
    }
}

/// Channels that were paused and are no longer.
fn over<'a>(before: &'a [(ChannelName, Pause)], now: &[(ChannelName, Pause)]) -> impl Iterator<Item = &'a ChannelName> {
    before
        .iter()
        .map(|(channel, _)| channel)
        .filter(|channel| now.iter().all(|(still, _)| still != *channel))
}

/// `None`: no pause ends by itself.
fn next_look(pauses: &[(ChannelName, Pause)]) -> Option<Duration> {
    let until = pauses.iter().filter_map(|(_, pause)| pause.until).min()?;
    let left = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default(); // silent-ok: it is over
    Some(left.clamp(Duration::from_millis(10), LOOK))
}
