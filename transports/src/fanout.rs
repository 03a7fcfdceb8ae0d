//! Who listens to a channel, and what they are told. Nothing is kept for those who are not there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::mpsc;

/// Frames that wait for one listener. Who takes them so slowly that they do not fit is dropped, so that nobody else waits.
const ROOM: usize = 256;

/// One event for listeners.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Its name: one word.
    pub event: &'static str,
    /// What it says.
    pub data: Value,
}

impl Frame {
    /// As a server-sent event.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        // JSON on one line: a line end inside is written as `\n`.
        format!("event: {}\ndata: {}\n\n", self.event, self.data).into_bytes()
    }
}

type Listeners = HashMap<String, Vec<(u64, mpsc::Sender<Arc<Frame>>)>>;

#[derive(Default)]
struct Inner {
    listeners: Listeners,
    /// Of the next listener.
    number: u64,
}

/// The listeners of all channels. Cheap to clone.
#[derive(Clone, Default)]
pub struct Fanout(Arc<Mutex<Inner>>);

impl Fanout {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens to a channel, as long as the answer lives.
    #[must_use]
    pub fn listen(&self, channel: &str) -> Listener {
        let (tell, frames) = mpsc::channel(ROOM);
        let mut inner = self.inner();
        inner.number += 1;
        let number = inner.number;
        inner
            .listeners
            .entry(channel.to_owned())
            .or_default()
            .push((number, tell));
        Listener {
            fanout: self.clone(),
            channel: channel.to_owned(),
            number,
            frames,
        }
    }

    /// Tells the listeners of a channel. Answers how many were told; those who are gone or far behind are dropped.
    pub fn push(&self, channel: &str, frame: Frame) -> usize {
        let frame = Arc::new(frame);
        let mut inner = self.inner();
        let Some(listeners) = inner.listeners.get_mut(channel) else {
            return 0;
        };
        listeners.retain(|(_, tell)| tell.try_send(Arc::clone(&frame)).is_ok());
        let told = listeners.len();
        if told == 0 {
            inner.listeners.remove(channel);
        }
        told
    }

    /// Tells the listeners of a channel a last frame, and forgets them.
    pub fn close(&self, channel: &str, last: Frame) {
        self.push(channel, last);
        self.inner().listeners.remove(channel);
    }

    /// How many listen to a channel.
    #[must_use]
    pub fn count(&self, channel: &str) -> usize {
        self.inner().listeners.get(channel).map_or(0, Vec::len)
    }

    /// The channels that somebody listens to, in order.
    #[must_use]
    pub fn channels(&self) -> Vec<String> {
        let mut names: Vec<String> = self.inner().listeners.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    fn forget(&self, channel: &str, number: u64) {
        let mut inner = self.inner();
        if let Some(listeners) = inner.listeners.get_mut(channel) {
            listeners.retain(|(other, _)| *other != number);
            if listeners.is_empty() {
                inner.listeners.remove(channel);
            }
        }
    }
}

/// Somebody who listens to a channel.
pub struct Listener {
    fanout: Fanout,
    channel: String,
    number: u64,
    frames: mpsc::Receiver<Arc<Frame>>,
}

impl Listener {
    /// The next frame; `None` when there will be no more.
    pub async fn next(&mut self) -> Option<Arc<Frame>> {
        self.frames.recv().await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.fanout.forget(&self.channel, self.number);
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn frame(number: usize) -> Frame {
        Frame {
            event: "reply",
            data: json!({ "number": number }),
        }
    }

    #[tokio::test]
    async fn each_channel_has_its_own_listeners() {
        let fanout = Fanout::default();
        assert_eq!(fanout.push("a", frame(0)), 0);
        let (mut first, mut second, mut other) = (fanout.listen("a"), fanout.listen("a"), fanout.listen("b"));
        assert_eq!(fanout.push("a", frame(1)), 2);
        assert_eq!(fanout.push("b", frame(2)), 1);
        assert_eq!((fanout.count("a"), fanout.count("b"), fanout.count("c")), (2, 1, 0));
        assert_eq!(fanout.channels(), ["a", "b"]);
        for (listener, number) in [(&mut first, 1), (&mut second, 1), (&mut other, 2)] {
            assert_eq!(*listener.next().await.unwrap(), frame(number));
        }
        drop(first);
        assert_eq!(fanout.push("a", frame(3)), 1);
        drop((second, other));
        assert!(fanout.channels().is_empty());
    }

    #[tokio::test]
    async fn who_is_far_behind_is_dropped_and_the_others_are_served() {
        let fanout = Fanout::default();
        let (mut slow, mut fast) = (fanout.listen("a"), fanout.listen("a"));
        for number in 0..=ROOM {
            let told = fanout.push("a", frame(number));
            assert_eq!(told, if number < ROOM { 2 } else { 1 }, "{number}");
            assert_eq!(*fast.next().await.unwrap(), frame(number));
        }
        let mut taken = 0;
        while slow.next().await.is_some() {
            taken += 1;
        }
        assert_eq!(taken, ROOM);
    }

    #[tokio::test]
    async fn a_channel_that_closes_says_so_and_forgets_everybody() {
        let fanout = Fanout::default();
        let mut listener = fanout.listen("a");
        fanout.close("a", frame(9));
        assert_eq!(*listener.next().await.unwrap(), frame(9));
        assert_eq!(listener.next().await, None);
        assert_eq!(fanout.push("a", frame(1)), 0);
    }

    #[test]
    fn a_frame_is_one_event_of_exact_bytes() {
        let frame = Frame {
            event: "edit",
            data: json!({ "text": "two\nlines" }),
        };
        assert_eq!(
            String::from_utf8(frame.bytes()).unwrap(),
            "event: edit\ndata: {\"text\":\"two\\nlines\"}\n\n"
        );
    }
}
