//! Looks who gets the next places among the turns, and has their processes started while they wait. It only reads: a look takes
//! nothing, and what it has seen may be otherwise a moment later.

use std::sync::PoisonError;
use std::time::Duration;

use reveille_queue::{Claim, Lane};
use tokio::time::{Instant, sleep};

use super::Workers;
use crate::registry::Agent;
use crate::turn;

/// Who has waited that long may wait longer. Starting a program takes as long.
const LINGER: Duration = Duration::from_millis(250);
/// Conversations that are looked at besides: a place may be waited for where nothing is left to do.
const STRAYS: usize = 8;
/// Shortest pause between looks, and the longest while somebody waits or a process does.
const PACE: Duration = Duration::from_millis(100);
const AGAIN: Duration = Duration::from_secs(1);

impl Workers {
    /// Goes on until no more turns begin.
    pub(super) async fn look_ahead(self) {
        let (context, gate) = (&self.shared.context, &self.shared.gate);
        if context.warm.guesses_max() == 0 {
            return;
        }
        let mut again = None;
        loop {
            let timer = async {
                match again {
                    Some(pause) => sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.shared.drain.cancelled() => return,
                () = gate.moved() => {}
                () = timer => {}
            }
            let looked = async {
                for lane in context.warm.guesses() {
                    if !self.is_still_wanted(&lane).await {
                        context.warm.end_guess(&lane).await;
                    }
                }
                let most = context.warm.guesses_max();
                let next = gate.next(most + STRAYS);
                let now = Instant::now();
                let mut seen = 0;
                for (lane, since) in &next {
                    if seen < most && now.duration_since(*since) >= LINGER {
                        seen += usize::from(self.start_ahead(lane).await);
                    }
                }
                let fresh = next.iter().any(|(_, since)| now.duration_since(*since) < LINGER);
                match () {
                    () if fresh => Some(LINGER),
                    () if !next.is_empty() || !context.warm.guesses().is_empty() => Some(AGAIN),
                    () => None,
                }
            };
            tokio::select! {
                biased;
                () = self.shared.drain.cancelled() => return,
                pause = looked => again = pause,
            }
            tokio::select! {
                biased;
                () = self.shared.drain.cancelled() => return,
                () = sleep(PACE) => {}
            }
        }
    }

    /// What a claim would give now, of an agent that may run.
    async fn foresee(&self, lane: &Lane) -> Option<(Agent, Claim)> {
        let context = &self.shared.context;
        let agent = context.registry.get(lane.channel.as_str())?;
        if !self.is_ready(&agent) {
            return None;
        }
        match context.queue.peek(lane).await {
            Ok(claim) => Some((agent, claim?)),
            Err(error) => {
                tracing::debug!(%error, "it is not known who comes next");
                None
            }
        }
    }

    async fn is_still_wanted(&self, lane: &Lane) -> bool {
        if !self.shared.gate.waits(lane) {
            // Its turn is on the way, or over.
            let lanes = self.shared.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            return lanes.contains_key(lane);
        }
        let context = &self.shared.context;
        let next = self.foresee(lane).await;
        next.is_some_and(|(agent, claim)| turn::ahead::owner(context, &agent, &claim).is_some())
            // Its turn may have come meanwhile.
            || !self.shared.gate.waits(lane)
    }

    /// Says whether a turn is to come there.
    async fn start_ahead(&self, lane: &Lane) -> bool {
        let context = &self.shared.context;
        let Some((agent, claim)) = self.foresee(lane).await else {
            return false;
        };
        if !context.warm.has_room_ahead(claim.conversation.id) {
            return true;
        }
        let Some(owner) = turn::ahead::owner(context, &agent, &claim) else {
            return true;
        };
        let workers = self.clone();
        context.warm.start_ahead(owner, move |halt| async move {
            turn::ahead::start(&workers.shared.context, &agent, &claim, halt).await
        });
        true
    }
}
