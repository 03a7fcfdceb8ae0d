//! The global cap of running turns, with a fair order: a free place goes to the channel that has waited longest, however many
//! conversations another one has in line.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

struct Line {
    channel: String,
    waiters: VecDeque<oneshot::Sender<Permit>>,
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
        }
    }

    /// Waits for a place. Within a channel it is first come, first served. Dropping the future gives the wait up.
    pub(crate) async fn enter(&self, channel: &str) -> Permit {
        let waiter = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            if places.free > 0 {
                places.free -= 1;
                return self.permit();
            }
            let (tell, told) = oneshot::channel();
            match places.lines.iter_mut().find(|line| line.channel == channel) {
                Some(line) => line.waiters.push_back(tell),
                None => places.lines.push_back(Line {
                    channel: channel.to_owned(),
                    waiters: VecDeque::from([tell]),
                }),
            }
            told
        };
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
            match next.send(self.permit()) {
                Ok(()) => return,
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

    use super::*;

    /// Who gets the one place, in order, when it is given back again and again.
    fn order(waiting: &[&'static str]) -> Vec<&'static str> {
        let gate = Gate::new(1);
        let mut held = gate.enter("first").now_or_never();
        assert!(held.is_some());
        let mut waiters: Vec<_> = waiting
            .iter()
            .map(|channel| (*channel, Box::pin(gate.enter(channel))))
            .collect();
        for (_, waiter) in &mut waiters {
            assert!(waiter.as_mut().now_or_never().is_none());
        }
        let mut order = Vec::new();
        while !waiters.is_empty() {
            drop(held.take());
            let at = waiters.iter_mut().position(|(_, waiter)| {
                held = waiter.as_mut().now_or_never();
                held.is_some()
            });
            order.push(waiters.remove(at.expect("somebody gets the place")).0);
        }
        order
    }

    #[test]
    fn channels_take_turns() {
        assert_eq!(order(&["a", "a", "a", "b", "c", "b"]), ["a", "b", "c", "a", "b", "a"]);
    }

    #[test]
    fn who_gives_up_costs_no_place() {
        let gate = Gate::new(1);
        let held = gate.enter("a").now_or_never();
        let mut gone = Box::pin(gate.enter("a"));
        assert!(gone.as_mut().now_or_never().is_none());
        let mut stays = Box::pin(gate.enter("b"));
        assert!(stays.as_mut().now_or_never().is_none());
        drop(gone);
        drop(held);
        let got = stays.as_mut().now_or_never();
        assert!(got.is_some());
        drop(got);
        assert!(gate.enter("c").now_or_never().is_some());
    }

    #[test]
    fn a_place_that_was_given_to_one_who_left_goes_on() {
        let gate = Gate::new(1);
        let held = gate.enter("a").now_or_never();
        let mut gone = Box::pin(gate.enter("a"));
        assert!(gone.as_mut().now_or_never().is_none());
        drop(held);
        // It has the place, but was never looked at again.
        drop(gone);
        assert!(gate.enter("b").now_or_never().is_some());
    }
}
