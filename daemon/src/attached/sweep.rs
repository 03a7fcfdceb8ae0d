//! Claims whose time is over: their messages go back in line.

use std::time::Duration;

use jiff::Timestamp;
use reveille_queue::{QueueError, Turn};
use tokio_util::sync::CancellationToken;

use super::Desk;
use crate::live::Milestone;
use crate::turn::Run;

/// Shortest and longest time from one look to the next.
const LOOK: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(30));

impl Desk {
    /// Shows what was taken before the start, then puts back whatever is kept beyond its time, until `drain`.
    pub(crate) async fn run(self, drain: CancellationToken) {
        if let Err(error) = self.show_taken().await {
            tracing::warn!(%error, "it is not shown which messages sessions have taken");
        }
        let pause = (self.inner.ttl / 30).clamp(LOOK.0, LOOK.1);
        loop {
            tokio::select! {
                () = drain.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            match self.queue().lapse(Timestamp::now()).await {
                Ok(back) => {
                    for turn in back {
                        self.lapsed(&turn).await;
                    }
                }
                Err(error) => tracing::error!(%error, "claims of sessions that are over still hold"),
            }
        }
    }

    async fn show_taken(&self) -> Result<(), QueueError> {
        for turn in self.queue().taken().await? {
            let Some(held) = self.queue().held(turn.id).await? else {
                continue;
            };
            // Its thread says it from before; with the agent comes what it needs to say it again.
            let Some(agent) = self.inner.inbox.registry.get(turn.message.lane.channel.as_str()) else {
                continue;
            };
            let run = Run::new(self.context(), &agent, &held.claim);
            self.inner.marks.show(self.context(), &run);
            run.tell(&Milestone::Started {
                attempt: held.claim.interruptions + 1,
                by: Some(held.owner.clone()),
                ends_at: Some(held.until),
            });
        }
        Ok(())
    }

    async fn lapsed(&self, turn: &Turn) {
        tracing::warn!(turn = %turn.id, channel = %turn.message.lane.channel, "a session kept a message beyond its time; it is back in line");
        let words = "Whoever had taken the message has not answered in time; it waits again.";
        self.is_back(turn.id, "claim_over", words).await;
    }
}
