//! Agents that wait because of a limit, or of something that an operator must mend. The queue keeps the pause; this ends the
//! ones that end by themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reveille_queue::{ChannelName, Pause, Queue};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::claude::Claude;
use crate::live::Hub;
use crate::worker::Workers;

/// Pauses that a start ends, or another credential: the cause may well be mended, and the next turn tells.
const MENDED_BY_SIGN_IN: [&str; 2] = ["authentication", "billing"];
/// How often it is looked for another credential while an agent waits for one.
const LOOK_FOR_SIGN_IN: Duration = Duration::from_secs(5);
/// How often the clock is looked at while a pause has an end: timers do not count the time that a machine sleeps.
const LOOK: Duration = Duration::from_secs(60);
/// Pause after the queue could not be read.
const AGAIN: Duration = Duration::from_secs(5);

/// Handle. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pauses {
    queue: Arc<dyn Queue>,
    claude: Arc<Claude>,
    /// Who watches.
    live: Hub,
    /// The credential that was refused last, by channel.
    refused: Arc<Mutex<BTreeMap<ChannelName, String>>>,
    changed: Arc<Notify>,
}

impl Pauses {
    /// Over a queue; `claude` tells which credential there is.
    #[must_use]
    pub(crate) fn new(queue: Arc<dyn Queue>, claude: Arc<Claude>, live: Hub) -> Self {
        Self {
            queue,
            claude,
            live,
            refused: Arc::default(),
            changed: Arc::default(),
        }
    }

    /// Names the credential that the turns of an agent begin with now.
    #[must_use]
    pub(crate) fn credential(&self, channel: &ChannelName) -> String {
        self.claude.credential_mark(channel.as_str())
    }

    /// Makes an agent wait; `credential` names the one that its turn began with. When that cannot be written down, its next turn meets the same limit again.
    pub(crate) async fn begin(&self, channel: &ChannelName, pause: Pause, credential: Option<String>) {
        tracing::warn!(%channel, code = pause.code, reason = pause.reason, until = ?pause.until, "the agent waits");
        if MENDED_BY_SIGN_IN.contains(&pause.code.as_str())
            && let Some(credential) = credential
        {
            self.refused().insert(channel.clone(), credential);
        }
        if let Err(error) = self.queue.pause(channel, pause).await {
            tracing::error!(%error, %channel, "the pause is not on disk");
        }
        self.live.agent_changed(channel.as_str());
        self.changed.notify_one();
    }

    /// Ends what a start mends, then each pause when its time has come, until `drain`.
    pub(crate) async fn run(self, workers: Workers, drain: CancellationToken) {
        let mut unmended = loop {
            match self.queue.pauses().await {
                Ok(all) => break all,
                Err(error) => tracing::error!(%error, "the pauses cannot be read"),
            }
            tokio::select! {
                () = drain.cancelled() => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
        };
        unmended.retain(|(_, pause)| MENDED_BY_SIGN_IN.contains(&pause.code.as_str()));
        let mut known = Vec::new();
        loop {
            let (mended, left) = self.mend(unmended).await;
            unmended = left;
            mended.iter().for_each(|agent| self.live.agent_changed(agent));
            workers.wake_channels(&mended);
            // What waits no more is woken below, as all that was known to wait.
            for channel in self.with_another_login() {
                match self.queue.resume(&channel, &MENDED_BY_SIGN_IN).await {
                    Ok(_) => drop(self.refused().remove(&channel)),
                    Err(error) => tracing::error!(%error, %channel, "the agent waits for a sign-in that there is"),
                }
            }
            let pause = match self.queue.pauses().await {
                Ok(now) => {
                    let over: Vec<String> = over(&known, &now).map(ToString::to_string).collect();
                    over.iter().for_each(|agent| self.live.agent_changed(agent));
                    workers.wake_channels(&over);
                    known = now;
                    next_look(&known)
                }
                Err(error) => {
                    tracing::error!(%error, "the pauses cannot be read");
                    Some(AGAIN)
                }
            };
            let pause = match unmended.is_empty() {
                true => pause,
                false => Some(pause.map_or(AGAIN, |pause| pause.min(AGAIN))),
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

    fn refused(&self) -> MutexGuard<'_, BTreeMap<ChannelName, String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The channels whose credential is another one than the one that was refused.
    fn with_another_login(&self) -> Vec<ChannelName> {
        let refused = self.refused().clone();
        let changed = refused
            .into_iter()
            .filter(|(channel, mark)| *mark != self.credential(channel));
        changed.map(|(channel, _)| channel).collect()
    }

    /// Ends what a start mends. Answers the channels that wait no more, and what has to be tried again.
    async fn mend(&self, paused: Vec<(ChannelName, Pause)>) -> (Vec<String>, Vec<(ChannelName, Pause)>) {
        let (mut mended, mut left) = (Vec::new(), Vec::new());
        for (channel, pause) in paused {
            match self.queue.resume(&channel, &MENDED_BY_SIGN_IN).await {
                Ok(true) => mended.push(channel.to_string()),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, %channel, "the agent goes on waiting for a sign-in; it is tried again");
                    left.push((channel, pause));
                }
            }
        }
        (mended, left)
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
    let signs_in = |(_, pause): &(ChannelName, Pause)| MENDED_BY_SIGN_IN.contains(&pause.code.as_str());
    let sign_in = pauses.iter().any(signs_in).then_some(LOOK_FOR_SIGN_IN);
    let until = pauses.iter().filter_map(|(_, pause)| pause.until).min();
    let end = until.map(|until| {
        let left = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default(); // silent-ok: it is over
        left.clamp(Duration::from_millis(10), LOOK)
    });
    sign_in.into_iter().chain(end).min()
}
