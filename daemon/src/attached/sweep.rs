//! Claims whose time is over: their messages go back in line.

use std::time::Duration;

use jiff::Timestamp;
use reveille_queue::{QueueError, State, Turn};
use tokio_util::sync::CancellationToken;

use super::{Desk, tell_taken};
use crate::turn::Run;

/// Shortest and longest time from one look to the next.
const LOOK: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(30));

/// What a thread says then.
const LATE: &str = "Whoever had taken the message has not answered in time; it waits again.";
/// The same while threads are to be told of agents that are not known yet.
const LOOK_SOON: Duration = Duration::from_secs(1);

impl Desk {
    /// Puts back whatever is kept beyond its time, until `drain`; first what ran out while the daemon was away. Then it shows
    /// what was taken before the start.
    pub(crate) async fn run(self, drain: CancellationToken) {
        let pause = (self.inner.ttl / 30).clamp(LOOK.0, LOOK.1);
        let mut untold = self.put_back_late().await;
        if let Err(error) = self.show_taken().await {
            tracing::warn!(%error, "it is not shown which messages sessions have taken");
        }
        loop {
            let pause = match untold.is_empty() {
                true => pause,
                false => pause.min(LOOK_SOON),
            };
            tokio::select! {
                () = drain.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let mut left = Vec::new();
            for turn in untold {
                if !self.is_told(&turn).await {
                    left.push(turn);
                }
            }
            left.extend(self.put_back_late().await);
            untold = left;
        }
    }

    /// Answers those whose threads do not say it yet.
    async fn put_back_late(&self) -> Vec<Turn> {
        let back = match self.queue().lapse(Timestamp::now()).await {
            Ok(back) => back,
            Err(error) => {
                tracing::error!(%error, "claims of sessions that are over still hold");
                return Vec::new();
            }
        };
        let mut untold = Vec::new();
        for turn in back {
            tracing::warn!(turn = %turn.id, channel = %turn.message.lane.channel, "a session kept a message beyond its time; it is back in line");
            let _alone = self.alone(turn.conversation).await;
            if !self
                .is_back((turn.id, &turn.message.lane.channel), "claim_over", LATE)
                .await
            {
                untold.push(turn);
            }
        }
        untold
    }

    /// Whether the thread says that its message waits again, or nobody has to say so any more.
    async fn is_told(&self, turn: &Turn) -> bool {
        let _alone = self.alone(turn.conversation).await;
        match self.queue().turn(turn.id).await {
            Ok(Some(now)) if now.state == State::Waiting => {
                let is_read = self.inner.inbox.progress.is_read(&now.message.vault);
                self.inner.marks.end(self.context(), &now, LATE).await || is_read
            }
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(%error, turn = %turn.id, channel = %turn.message.lane.channel, "the thread may still say that the message is worked on");
                false
            }
        }
    }

    async fn show_taken(&self) -> Result<(), QueueError> {
        for turn in self.queue().taken().await? {
            let _alone = self.alone(turn.conversation).await;
            let Some(held) = self.queue().held(turn.id).await? else {
                continue;
            };
            if self.inner.marks.shows(held.claim.lease) {
                continue;
            }
            // Its thread says it from before; with the agent comes what it needs to say it again.
            let Some(agent) = self.inner.inbox.registry.get(turn.message.lane.channel.as_str()) else {
                continue;
            };
            let run = Run::new(self.context(), &agent, &held.claim);
            self.inner.marks.show(self.context(), &run);
            tell_taken(&run, &held).await;
        }
        Ok(())
    }
}
