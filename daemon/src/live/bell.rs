//! Tells those who wait that there is news. They are woken a few at a time: what one of them does is short, but a crowd at
//! once would keep everything else of the daemon waiting until the last of them was served.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;

/// So many are woken at once.
const CROWD: usize = 16;

#[derive(Default)]
struct Ring {
    /// How often it has rung.
    rung: u64,
    /// Those who listen, each in a place of its own, and what wakes those who wait.
    places: Vec<Option<Waker>>,
    free: Vec<usize>,
}

/// A bell. It is the same for all its clones.
#[derive(Clone, Default)]
pub(super) struct Bell(Arc<Mutex<Ring>>);

impl Bell {
    fn ring_in(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens from now on.
    pub(super) fn listen(&self) -> Ear {
        let mut ring = self.ring_in();
        let place = ring.free.pop().unwrap_or(ring.places.len());
        if place == ring.places.len() {
            ring.places.push(None);
        }
        Ear {
            heard: ring.rung,
            bell: self.clone(),
            place,
        }
    }

    /// How many listen.
    pub(super) fn listeners(&self) -> usize {
        let ring = self.ring_in();
        ring.places.len() - ring.free.len()
    }

    /// Wakes all who wait.
    pub(super) fn ring(&self) {
        let mut waiting: Vec<Waker> = {
            let mut ring = self.ring_in();
            ring.rung += 1;
            ring.places.iter_mut().filter_map(Option::take).collect()
        };
        let runtime = Handle::try_current().ok(); // silent-ok: then nobody else is kept waiting
        let at_once = runtime.as_ref().map_or(waiting.len(), |_| waiting.len().min(CROWD));
        let others = waiting.split_off(at_once);
        waiting.into_iter().for_each(Waker::wake);
        if let Some(runtime) = runtime.filter(|_| !others.is_empty()) {
            runtime.spawn(async move {
                let mut others = others.into_iter();
                while others.len() > 0 {
                    tokio::task::yield_now().await;
                    others.by_ref().take(CROWD).for_each(Waker::wake);
                }
            });
        }
    }
}

/// One who listens.
pub(super) struct Ear {
    bell: Bell,
    place: usize,
    heard: u64,
}

impl Ear {
    /// Whether it has rung since this was asked last; if not, who asks is woken when it does.
    pub(super) fn poll_rung(&mut self, context: &Context<'_>) -> Poll<()> {
        let mut ring = self.bell.ring_in();
        if ring.rung != self.heard {
            self.heard = ring.rung;
            return Poll::Ready(());
        }
        let place = &mut ring.places[self.place];
        let known = place.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        let other = match known {
            true => None,
            false => place.replace(context.waker().clone()),
        };
        drop(ring);
        // It may be the last that holds its task.
        drop(other);
        Poll::Pending
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let mut ring = self.bell.ring_in();
        let waker = ring.places[self.place].take();
        ring.free.push(self.place);
        if ring.free.len() == ring.places.len() {
            // A crowd that has gone leaves nothing behind.
            (ring.places, ring.free) = (Vec::new(), Vec::new());
        }
        drop(ring);
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn who_listens_hears_each_time_and_places_are_used_again() {
        let bell = Bell::default();
        bell.ring();
        let mut first = bell.listen();
        let context = Context::from_waker(Waker::noop());
        assert!(first.poll_rung(&context).is_pending());
        bell.ring();
        bell.ring();
        assert!(first.poll_rung(&context).is_ready());
        assert!(first.poll_rung(&context).is_pending());
        let second = bell.listen();
        assert_eq!(bell.listeners(), 2);
        drop(first);
        let mut third = bell.listen();
        assert_eq!((bell.listeners(), bell.ring_in().places.len()), (2, 2));
        bell.ring();
        assert!(third.poll_rung(&context).is_ready());
        drop((second, third));
        assert_eq!((bell.listeners(), bell.ring_in().places.len()), (0, 0));
    }

    #[tokio::test]
    async fn a_crowd_is_woken_to_the_last_one_and_others_come_between() {
        const MANY: usize = 20 * CROWD + 1;
        let (bell, woken) = (Bell::default(), Arc::new(AtomicUsize::new(0)));
        let mut crowd = Vec::new();
        for _ in 0..MANY {
            let (mut ear, woken) = (bell.listen(), Arc::clone(&woken));
            crowd.push(tokio::spawn(async move {
                std::future::poll_fn(|context| ear.poll_rung(context)).await;
                woken.fetch_add(1, Ordering::Relaxed);
            }));
        }
        tokio::task::yield_now().await;
        bell.ring();
        // Whoever is ready in the meantime does not wait for all of them.
        tokio::task::yield_now().await;
        let first = woken.load(Ordering::Relaxed);
        assert!((1..MANY / 2).contains(&first), "{first}");
        for one in crowd {
            one.await.unwrap();
        }
        assert_eq!(woken.load(Ordering::Relaxed), MANY);
    }
}
