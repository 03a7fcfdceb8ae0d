//! Processes that are started for a turn that may come. One has a seat like any other from before its start, so that the
//! conversation never has two; it is told nothing, and what it was given works only once a turn has taken it. Nothing depends on
//! the turn to come: where it does not, the process has been started in vain, and that is all.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use reveille_queue::Lane;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Owner, Parked, Sitter, Warm};
use crate::gate::Gate;
use crate::metrics::{Ahead, WarmFigures};

/// Longest start.
const START: Duration = Duration::from_secs(10);
/// How long a turn that has come waits for the rest of the start (measured: 0.4 s for all of it).
const PATIENCE: Duration = Duration::from_secs(1);
/// First and longest pause of a conversation for which it was in vain.
const PAUSES: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(60 * 60));
/// Conversations that are remembered so.
const VAIN_MAX: usize = 1000;

/// Counts what becomes of a process that was started ahead. Dropped, it was in vain.
pub(crate) struct Guess {
    figures: WarmFigures,
    used: bool,
}

impl Guess {
    fn new(figures: &WarmFigures) -> Self {
        figures.ahead(Ahead::Started);
        Self {
            figures: figures.clone(),
            used: false,
        }
    }

    /// A turn has run in it.
    pub(crate) fn used(mut self) {
        self.used = true;
    }
}

impl Drop for Guess {
    fn drop(&mut self) {
        self.figures.ahead(if self.used { Ahead::Used } else { Ahead::Wasted });
    }
}

/// When it is tried again, and the pause after that.
pub(super) struct Vain {
    until: Instant,
    pause: Duration,
}

/// A turn of a conversation may have a process. Dropped, it has none.
pub(crate) struct Here {
    warm: Warm,
    conversation: Uuid,
    /// When the turn began to be given things.
    pub(crate) since: u64,
}

impl Drop for Here {
    fn drop(&mut self) {
        self.warm.running().remove(&self.conversation);
    }
}

impl Warm {
    /// Learns who waits for a place among the turns.
    pub(crate) fn watch(&self, gate: &Gate) {
        // silent-ok: it is told once.
        let _ = self.0.gate.set(gate.clone());
    }

    /// How many may be started ahead at most; 0: none.
    #[must_use]
    pub(crate) fn guesses_max(&self) -> usize {
        match self.ttl() {
            Some(_) if self.0.prewarm => self.0.most,
            _ => 0,
        }
    }

    fn running(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on a turn of the conversation writes files for a process and may have one; nothing is done ahead for it. One that
    /// was started before has its seat.
    pub(crate) async fn enter(&self, conversation: Uuid) -> Here {
        self.running().insert(conversation);
        let here = Here {
            warm: self.clone(),
            conversation,
            since: self.now(),
        };
        drop(self.0.writing.lock().await);
        here
    }

    /// Files may be written for a process that is started ahead, until the answer is dropped. `None`: a turn of the conversation
    /// writes them.
    pub(crate) async fn writes_ahead(&self, conversation: Uuid) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let writing = self.0.writing.lock().await;
        let free = !self.running().contains(&conversation);
        free.then_some(writing)
    }

    fn vain(&self) -> MutexGuard<'_, HashMap<Uuid, Vain>> {
        self.0.vain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It was in vain for a conversation: nothing is started ahead for it for a while, and for longer the next time.
    pub(crate) fn was_vain(&self, conversation: Uuid) {
        let mut vain = self.vain();
        let now = Instant::now();
        if vain.len() >= VAIN_MAX {
            vain.retain(|_, one| one.until > now);
            if vain.len() >= VAIN_MAX {
                vain.clear();
            }
        }
        let pause = vain.get(&conversation).map_or(PAUSES.0, |one| one.pause);
        let next = Vain {
            until: now + pause,
            pause: (pause * 2).min(PAUSES.1),
        };
        vain.insert(conversation, next);
    }

    /// Whether one may be started for a conversation now: it has no process and runs no turn, nothing else is being started, and
    /// those that others wait for leave room for it.
    #[must_use]
    pub(crate) fn has_room_ahead(&self, conversation: Uuid) -> bool {
        let is_vain = self
            .vain()
            .get(&conversation)
            .is_some_and(|one| one.until > Instant::now());
        let places = self.places();
        let running = self.running();
        let gate = self.0.gate.get();
        let kept = places
            .values()
            .filter(|place| gate.is_some_and(|gate| gate.waits(&place.lane)));
        let (count, bytes) = kept.fold((0, 0_u64), |(count, bytes), place| {
            (count + 1, bytes.saturating_add(place.bytes))
        });
        !is_vain
            && count < self.guesses_max()
            && bytes < self.0.memory
            && !running.contains(&conversation)
            && !places.contains_key(&conversation)
            && !places.values().any(|place| place.starting)
    }

    /// Starts one for a turn that may come. `start` is told to end by its token, and answers when nothing is alive if it has none.
    /// To be called by one task alone.
    pub(crate) fn start_ahead<F>(&self, owner: Owner, start: impl FnOnce(CancellationToken) -> F + Send + 'static)
    where
        F: Future<Output = Option<Parked>> + Send + 'static,
    {
        let (conversation, since) = (owner.conversation, owner.since);
        if !self.has_room_ahead(conversation) {
            return;
        }
        let (mut place, sitter) = self.seat(owner);
        (place.guess, place.starting) = (true, true);
        let gone = (place.gone.clone().drop_guard(), self.figures().waits());
        {
            let mut places = self.places();
            // A turn that has begun since then goes before, and so does what it has left.
            if self.running().contains(&conversation) || places.contains_key(&conversation) {
                return;
            }
            places.insert(conversation, place);
        }
        if self.is_over(since) {
            sitter.end.cancel();
        }
        // The newest one is the last to go.
        let room = self.make_room();
        let warm = self.clone();
        self.0.tasks.spawn(async move {
            for one in room {
                one.cancelled().await;
            }
            warm.bring_up(sitter, start).await;
            drop(gone);
        });
    }

    async fn bring_up<F>(&self, sitter: Sitter, start: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = Option<Parked>>,
    {
        let (conversation, serial) = (sitter.conversation, sitter.serial);
        let halt = CancellationToken::new();
        let parked = {
            let mut started = pin!(start(halt.clone()));
            let mut late = pin!(async {
                sitter.take.cancelled().await;
                sleep(PATIENCE).await;
            });
            let mut over = pin!(sleep(START));
            loop {
                let waits = !halt.is_cancelled();
                tokio::select! {
                    biased;
                    parked = &mut started => break parked,
                    () = sitter.end.cancelled(), if waits => halt.cancel(),
                    () = &mut late, if waits => halt.cancel(),
                    () = &mut over, if waits => halt.cancel(),
                }
            }
        };
        let Some(mut parked) = parked else {
            if !sitter.end.is_cancelled() {
                if halt.is_cancelled() {
                    tracing::info!(
                        %conversation,
                        "a process that was started ahead did not come up in time"
                    );
                }
                self.figures().ahead(Ahead::Failed);
                self.was_vain(conversation);
            }
            self.forget(conversation, serial);
            // With the sitter goes what a turn may wait for.
            return;
        };
        parked.guess = Some(Guess::new(self.figures()));
        if let Some(place) = self
            .places()
            .get_mut(&conversation)
            .filter(|place| place.serial == serial)
        {
            (place.starting, place.bytes) = (false, parked.resident.bytes());
        }
        drop(self.make_room());
        self.sit(sitter, parked).await;
    }

    /// Where those wait that were started ahead.
    #[must_use]
    pub(crate) fn guesses(&self) -> Vec<Lane> {
        let places = self.places();
        let guesses = places.values().filter(|place| place.guess && !place.end.is_cancelled());
        guesses.map(|place| place.lane.clone()).collect()
    }

    /// Ends the one that was started ahead for a conversation, and returns when it is gone.
    pub(crate) async fn end_guess(&self, lane: &Lane) {
        self.end(|_, place| place.guess && place.lane == *lane).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::metrics::Metrics;

    #[tokio::test(start_paused = true)]
    async fn who_was_in_vain_waits_longer_each_time_and_no_more_than_an_hour() {
        let warm = Warm::new(&config::Claude::default(), &Metrics::new());
        let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
        assert!(warm.has_room_ahead(one));
        for pause in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600] {
            warm.was_vain(one);
            tokio::time::advance(Duration::from_secs(pause) - Duration::from_millis(1)).await;
            assert_eq!(
                (warm.has_room_ahead(one), warm.has_room_ahead(other)),
                (false, true),
                "{pause}"
            );
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(warm.has_room_ahead(one), "{pause}");
        }
    }
}
