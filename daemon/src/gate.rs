//! The global cap of running turns, with a fair order: a free place goes to the channel that has waited longest, however many
//! conversations another one has in line.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use reveille_queue::{ChannelName, Lane};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

struct Line {
    channel: ChannelName,
    waiters: VecDeque<Waiter>,
}

struct Waiter {
    lane: Lane,
    since: Instant,
    tell: oneshot::Sender<Permit>,
}

struct Places {
    free: usize,
    /// Channels with waiters, the next one first. Empty while a place is free.
    lines: VecDeque<Line>,
}

/// Handle. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Gate {
    places: Arc<Mutex<Places>>,
    /// Somebody waits, or somebody waits no longer.
    moved: Arc<Notify>,
}

/// A place. Dropping it lets the next one in.
pub(crate) struct Permit {
    gate: Option<Gate>,
}

impl Gate {
    /// With so many places.
    #[must_use]
    pub(crate) fn new(places: usize) -> Self {
        let places = Places {
            free: places,
            lines: VecDeque::new(),
        };
        Self {
            places: Arc::new(Mutex::new(places)),
            moved: Arc::default(),
        }
    }

    /// Whether a conversation waits for a place.
    #[must_use]
    pub(crate) fn waits(&self, lane: &Lane) -> bool {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let line = places.lines.iter().find(|line| line.channel == lane.channel);
        line.is_some_and(|line| {
            let mut waiters = line.waiters.iter();
            waiters.any(|waiter| waiter.lane == *lane && !waiter.tell.is_closed())
        })
    }

    /// The conversations that get the next `most` places, in that order, with the moment since when each waits.
    #[must_use]
    pub(crate) fn next(&self, most: usize) -> Vec<(Lane, Instant)> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let alive = |line: &'_ Line| -> Vec<(Lane, Instant)> {
            let waiters = line.waiters.iter().filter(|waiter| !waiter.tell.is_closed());
            waiters
                .take(most)
                .map(|waiter| (waiter.lane.clone(), waiter.since))
                .collect()
        };
        // No line gives more than its first before all others have given theirs.
        let mut lines: Vec<_> = places.lines.iter().map(|line| alive(line).into_iter()).collect();
        let mut next = Vec::new();
        while next.len() < most {
            let before = next.len();
            next.extend(lines.iter_mut().filter_map(Iterator::next));
            if next.len() == before {
                break;
            }
        }
        next.truncate(most);
        next
    }

    /// Waits until the order of those who wait may be another one.
    pub(crate) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// Waits for a place. Within a channel it is first come, first served. Dropping the future gives the wait up.
    pub(crate) async fn enter(&self, lane: &Lane) -> Permit {
        let waiter = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            if places.free > 0 {
                places.free -= 1;
                return self.permit();
            }
            let (tell, told) = oneshot::channel();
            let waiter = Waiter {
                lane: lane.clone(),
                since: Instant::now(),
                tell,
            };
            match places.lines.iter_mut().find(|line| line.channel == lane.channel) {
                Some(line) => line.waiters.push_back(waiter),
                None => places.lines.push_back(Line {
                    channel: lane.channel.clone(),
                    waiters: VecDeque::from([waiter]),
                }),
            }
            told
        };
        self.moved.notify_one();
        match waiter.await {
            Ok(permit) => permit,
            // Unreachable: a waiter is only ever taken out of its line to be given a place.
            Err(_) => std::future::pending().await,
        }
    }

    fn permit(&self) -> Permit {
        Permit {
            gate: Some(self.clone()),
        }
    }

    fn leave(&self) {
        loop {
            let next = {
                let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(mut line) = places.lines.pop_front() else {
                    places.free += 1;
                    return;
                };
                let next = line.waiters.pop_front();
                if !line.waiters.is_empty() {
                    places.lines.push_back(line);
                }
                next
            };
            let Some(next) = next else { continue };
            match next.tell.send(self.permit()) {
                Ok(()) => return self.moved.notify_one(),
                // It gave up. Its permit must not come back here: the loop goes on with the same place.
                Err(mut permit) => permit.gate = None,
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use pretty_assertions::assert_eq;

    use reveille_queue::ThreadKey;

    use super::*;

    fn lane(channel: &str, subject: usize) -> Lane {
        Lane {
            channel: channel.parse().unwrap(),
            thread: ThreadKey::Subject(subject.to_string()),
        }
    }

    /// Who gets the one place, in order, when it is given back again and again.
    fn order(waiting: &[&'static str]) -> Vec<&'static str> {
        let gate = Gate::new(1);
        let mut held = gate.enter(&lane("first", 0)).now_or_never();
        assert!(held.is_some());
        let lanes: Vec<Lane> = waiting
            .iter()
            .enumerate()
            .map(|(at, channel)| lane(channel, at + 1))
            .collect();
        let mut waiters: Vec<_> = waiting
            .iter()
            .zip(&lanes)
            .map(|(channel, lane)| (*channel, Box::pin(gate.enter(lane))))
            .collect();
        for (_, waiter) in &mut waiters {
            assert!(waiter.as_mut().now_or_never().is_none());
        }
        let foreseen: Vec<Lane> = gate.next(lanes.len()).into_iter().map(|(lane, _)| lane).collect();
        assert!(lanes.iter().all(|lane| gate.waits(lane)));
        let mut order = Vec::new();
        while !waiters.is_empty() {
            drop(held.take());
            let at = waiters.iter_mut().position(|(_, waiter)| {
                held = waiter.as_mut().now_or_never();
                held.is_some()
            });
            order.push(waiters.remove(at.expect("somebody gets the place")).0);
        }
        let foreseen: Vec<_> = foreseen.iter().map(|lane| lane.channel.to_string()).collect();
        assert_eq!(foreseen, order);
        assert!(gate.next(9).is_empty() && !lanes.iter().any(|lane| gate.waits(lane)));
        order
    }

    #[test]
    fn channels_take_turns() {
        assert_eq!(order(&["a", "a", "a", "b", "c", "b"]), ["a", "b", "c", "a", "b", "a"]);
    }

    #[test]
    fn who_gives_up_costs_no_place() {
        let gate = Gate::new(1);
        let held = gate.enter(&lane("a", 0)).now_or_never();
        let (first, second) = (lane("a", 0), lane("b", 0));
        let mut gone = Box::pin(gate.enter(&first));
        assert!(gone.as_mut().now_or_never().is_none());
        let mut stays = Box::pin(gate.enter(&second));
        assert!(stays.as_mut().now_or_never().is_none());
        drop(gone);
        drop(held);
        let got = stays.as_mut().now_or_never();
        assert!(got.is_some());
        drop(got);
        assert!(gate.enter(&lane("c", 0)).now_or_never().is_some());
    }

    #[test]
    fn a_place_that_was_given_to_one_who_left_goes_on() {
        let gate = Gate::new(1);
        let held = gate.enter(&lane("a", 0)).now_or_never();
        let line = lane("a", 0);
        let mut gone = Box::pin(gate.enter(&line));
        assert!(gone.as_mut().now_or_never().is_none());
        drop(held);
        // It has the place, but was never looked at again.
        drop(gone);
        assert!(gate.enter(&lane("b", 0)).now_or_never().is_some());
    }
}
