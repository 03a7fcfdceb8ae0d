//! Live events: what happens in a channel, told to whoever watches, with numbers so that a watcher can come back.
//!
//! A frame is serialised once and shared by all watchers. A slow watcher never holds anybody up: it is told to reload.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use reveille_backends::{Event, Usage};
use serde::Serialize;
use tokio::sync::broadcast;
use uuid::Uuid;

/// Settled frames that a channel keeps for watchers that come back.
const RING_FRAMES: usize = 512;
/// Frames of a running turn that a late watcher gets; beyond it the oldest are left out.
const TURN_FRAMES: usize = 4096;
/// Bytes of either; a single frame may be larger.
const BYTES_MAX: usize = 4 << 20;
/// Frames that a watcher may lag behind before it has to reload.
const LAG_FRAMES: usize = 1024;

/// What a turn is about; part of every event.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Subject {
    /// The channel.
    pub(crate) channel: String,
    /// The turn.
    pub(crate) turn: Uuid,
    /// The conversation.
    pub(crate) thread: Uuid,
    /// The inbound note.
    pub(crate) message: String,
}

/// Something to tell.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Happening {
    /// From the running turn.
    Turn(Event),
    /// About the turn.
    About(Milestone),
}

/// Steps of a turn that the daemon itself makes. Exactly one of `done`, `error`, `stopped` ends a turn; `delivered` may follow.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Milestone {
    /// The message has been accepted.
    Queued {
        /// Messages before it in its conversation.
        position: u64,
        /// The message's text, cut at 2 000 characters.
        text: String,
        /// Who wrote it.
        sender: String,
    },
    /// It waits otherwise than before: a person held it back, let it go, moved or edited it, or who had taken it has it no
    /// longer.
    Waiting {
        /// Messages before it in its conversation.
        position: u64,
        /// It is passed by the ones behind it.
        held: bool,
        /// The message's text, cut at 2 000 characters.
        text: String,
        /// Why it is back in line: `released` by who had taken it, or `claim_over`.
        #[serde(skip_serializing_if = "Option::is_none")]
        back: Option<&'static str>,
    },
    /// A worker has taken it, or somebody outside.
    Started {
        /// From 1; more after an interruption.
        attempt: u32,
        /// Who has taken it, when that is somebody outside.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// When that claim ends unless it is renewed.
        #[serde(skip_serializing_if = "Option::is_none")]
        ends_at: Option<Timestamp>,
    },
    /// It ended with an answer.
    Done {
        /// The answer.
        reply: String,
        /// Tokens.
        usage: Usage,
        /// US dollars.
        cost_usd: f64,
        /// The outbound note; absent when the reply is empty or not delivered yet.
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        /// The reply is kept, but the vault has not taken it yet.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        undelivered: bool,
    },
    /// It ended without one.
    Error {
        /// What happened.
        error: String,
        /// Stable code.
        code: String,
        /// What to do.
        next_step: String,
        /// The failure note is kept, but the vault has not taken it yet.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        undelivered: bool,
    },
    /// A person stopped it.
    Stopped {},
    /// What its end had told as undelivered is in the vault now.
    Delivered {
        /// The outbound note; absent when there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
}

impl Milestone {
    /// A worker of ours has taken it.
    pub(crate) fn started(attempt: u32) -> Self {
        let (by, ends_at) = (None, None);
        Self::Started { attempt, by, ends_at }
    }
}

impl Happening {
    fn is_delta(&self) -> bool {
        matches!(self, Self::Turn(Event::TextDelta { .. }))
    }

    /// Whether a replay no longer needs the pieces before it.
    fn completes_deltas(&self) -> bool {
        matches!(self, Self::Turn(Event::Text { parent: None, .. }))
    }

    /// Whether it is told beside the turn's run: before its start, or after its end.
    fn is_aside(&self) -> bool {
        matches!(
            self,
            Self::About(Milestone::Queued { .. } | Milestone::Waiting { .. } | Milestone::Delivered { .. })
        )
    }

    fn ends_turn(&self) -> bool {
        matches!(
            self,
            Self::About(Milestone::Done { .. } | Milestone::Error { .. } | Milestone::Stopped {})
        )
    }
}

/// One event, ready to be sent.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Its number in the channel.
    pub(crate) seq: u64,
    /// The whole SSE frame.
    pub(crate) bytes: Bytes,
    delta: bool,
}

/// What a new watcher gets.
pub(crate) struct Watch {
    /// To be sent first.
    pub(crate) replay: Vec<Arc<Frame>>,
    /// What the watcher missed is gone; it must reload the messages.
    pub(crate) resync: bool,
    /// Everything after.
    pub(crate) receiver: broadcast::Receiver<Arc<Frame>>,
}

#[derive(Serialize)]
struct Body<'a> {
    seq: u64,
    #[serde(flatten)]
    subject: &'a Subject,
    at: Timestamp,
    #[serde(flatten)]
    happening: &'a Happening,
}

/// Frames, the oldest first, bounded in number and bytes.
struct Frames {
    frames: VecDeque<Arc<Frame>>,
    bytes: usize,
    most: usize,
}

impl Frames {
    fn new(most: usize) -> Self {
        Self {
            frames: VecDeque::new(),
            bytes: 0,
            most,
        }
    }

    fn push(&mut self, frame: Arc<Frame>) {
        self.bytes += frame.bytes.len();
        self.frames.push_back(frame);
        while self.frames.len() > self.most || (self.bytes > BYTES_MAX && self.frames.len() > 1) {
            self.bytes -= self.frames.pop_front().map_or(0, |oldest| oldest.bytes.len());
        }
    }

    /// Takes off the pieces of a block that has come as a whole.
    fn drop_deltas(&mut self) {
        self.frames.retain(|frame| !frame.delta);
        self.bytes = self.frames.iter().map(|frame| frame.bytes.len()).sum();
    }
}

struct Channel {
    next_seq: u64,
    /// The newest frames of ended turns and of the running ones.
    ring: Frames,
    /// Frames of turns that have not ended, pieces already completed left out.
    running: HashMap<Uuid, Frames>,
    sender: broadcast::Sender<Arc<Frame>>,
}

impl Channel {
    fn new() -> Self {
        Self {
            next_seq: 1,
            ring: Frames::new(RING_FRAMES),
            running: HashMap::new(),
            sender: broadcast::channel(LAG_FRAMES).0,
        }
    }
}

/// All channels. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hub {
    boot: Arc<str>,
    channels: Arc<Mutex<HashMap<String, Channel>>>,
}

impl Hub {
    /// `boot` names this run of the daemon: numbers of an earlier one mean nothing.
    #[must_use]
    pub(crate) fn new(boot: &str) -> Self {
        Self {
            boot: boot.into(),
            channels: Arc::default(),
        }
    }

    /// Tells it to all watchers of the channel.
    pub(crate) fn tell(&self, subject: &Subject, happening: &Happening) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = channels.entry(subject.channel.clone()).or_insert_with(Channel::new);
        let seq = channel.next_seq;
        let body = Body {
            seq,
            subject,
            at: Timestamp::now(),
            happening,
        };
        let text = match serde_json::to_string(&body) {
            Ok(text) => text,
            Err(error) => {
                tracing::error!(%error, "a live event could not be serialised");
                return;
            }
        };
        channel.next_seq += 1;
        let bytes = Bytes::from(format!("id: {}-{seq}\nevent: turn\ndata: {text}\n\n", self.boot));
        let frame = Arc::new(Frame {
            seq,
            bytes,
            delta: happening.is_delta(),
        });
        channel.ring.push(Arc::clone(&frame));
        if happening.ends_turn() {
            channel.running.remove(&subject.turn);
        } else if !happening.is_aside() {
            let frames = channel
                .running
                .entry(subject.turn)
                .or_insert_with(|| Frames::new(TURN_FRAMES));
            if happening.completes_deltas() {
                frames.drop_deltas();
            }
            frames.push(Arc::clone(&frame));
        }
        // silent-ok: nobody watches.
        let _ = channel.sender.send(frame);
    }

    /// Forgets what a turn told that is put back in line: it will start again.
    pub(crate) fn forget(&self, channel: &str, turn: Uuid) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get_mut(channel) {
            channel.running.remove(&turn);
        }
    }

    /// Begins to watch a channel. `last` is the id of the last frame that the watcher saw.
    #[must_use]
    pub(crate) fn watch(&self, channel: &str, last: Option<&str>) -> Watch {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        // Channels that were only watched leave nothing behind.
        channels.retain(|_, channel| channel.next_seq > 1 || channel.sender.receiver_count() > 0);
        let channel = channels.entry(channel.to_owned()).or_insert_with(Channel::new);
        let receiver = channel.sender.subscribe();
        let seen = last.map(|id| id.rsplit_once('-').filter(|(boot, _)| *boot == &*self.boot));
        match seen {
            // A new watcher sees the running turns from their start.
            None => Watch {
                replay: running(channel, 0),
                resync: false,
                receiver,
            },
            // It saw another run of the daemon.
            Some(None) => Watch {
                replay: running(channel, 0),
                resync: true,
                receiver,
            },
            Some(Some((_, seq))) => {
                let seq: u64 = seq.parse().unwrap_or(0);
                let oldest = channel.ring.frames.front().map_or(channel.next_seq, |frame| frame.seq);
                if seq + 1 >= oldest && seq < channel.next_seq {
                    let replay = channel
                        .ring
                        .frames
                        .iter()
                        .filter(|frame| frame.seq > seq)
                        .cloned()
                        .collect();
                    Watch {
                        replay,
                        resync: false,
                        receiver,
                    }
                } else {
                    Watch {
                        replay: running(channel, 0),
                        resync: true,
                        receiver,
                    }
                }
            }
        }
    }
}

fn running(channel: &Channel, after: u64) -> Vec<Arc<Frame>> {
    let mut frames: Vec<_> = channel
        .running
        .values()
        .flat_map(|frames| &frames.frames)
        .filter(|frame| frame.seq > after)
        .cloned()
        .collect();
    frames.sort_by_key(|frame| frame.seq);
    frames
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn subject(turn: u128) -> Subject {
        Subject {
            channel: "eng".into(),
            turn: Uuid::from_u128(turn),
            thread: Uuid::nil(),
            message: "n".into(),
        }
    }

    fn delta(text: &str) -> Happening {
        Happening::Turn(Event::TextDelta { text: text.into() })
    }

    fn text(text: &str) -> Happening {
        Happening::Turn(Event::Text {
            text: text.into(),
            parent: None,
        })
    }

    fn seqs(frames: &[Arc<Frame>]) -> Vec<u64> {
        frames.iter().map(|frame| frame.seq).collect()
    }

    #[test]
    fn a_frame_names_its_turn_and_number() {
        let hub = Hub::new("b");
        let mut watch = hub.watch("eng", None);
        hub.tell(&subject(7), &text("hi"));
        let frame = watch.receiver.try_recv().unwrap();
        let sent = String::from_utf8(frame.bytes.to_vec()).unwrap();
        let data: serde_json::Value = serde_json::from_str(sent.split("data: ").nth(1).unwrap().trim()).unwrap();
        assert!(
            sent.starts_with("id: b-1\nevent: turn\ndata: {\"seq\":1,\"channel\":\"eng\","),
            "{sent}"
        );
        assert_eq!(
            (&data["kind"], &data["text"], &data["message"]),
            (&"text".into(), &"hi".into(), &"n".into())
        );
    }

    #[test]
    fn a_late_watcher_gets_the_running_turn_without_settled_pieces() {
        let hub = Hub::new("b");
        hub.tell(&subject(1), &text("old"));
        hub.tell(&subject(1), &Happening::About(Milestone::Stopped {}));
        for happening in [delta("a"), delta("b"), text("ab"), delta("c")] {
            hub.tell(&subject(2), &happening);
        }
        let watch = hub.watch("eng", None);
        assert_eq!((seqs(&watch.replay), watch.resync), (vec![5, 6], false));
    }

    #[test]
    fn a_watcher_that_comes_back_gets_exactly_what_it_missed() {
        let hub = Hub::new("b");
        for n in 0..10 {
            hub.tell(&subject(1), &delta(&n.to_string()));
        }
        let watch = hub.watch("eng", Some("b-7"));
        assert_eq!((seqs(&watch.replay), watch.resync), (vec![8, 9, 10], false));
        let watch = hub.watch("eng", Some("b-10"));
        assert_eq!((seqs(&watch.replay), watch.resync), (vec![], false));
    }

    #[test]
    fn a_watcher_that_missed_too_much_is_told_to_reload() {
        let hub = Hub::new("b");
        for n in 0..(RING_FRAMES + 5) {
            hub.tell(&subject(1), &delta(&n.to_string()));
        }
        hub.tell(&subject(1), &Happening::About(Milestone::Stopped {}));
        for last in ["b-2", "other-400", "b-99999", "nonsense"] {
            let watch = hub.watch("eng", Some(last));
            assert_eq!((seqs(&watch.replay), watch.resync), (vec![], true), "{last}");
        }
    }
}
