//! The line of all events, and what belongs to each channel in it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::bell::Bell;
use super::chunk::Chunk;
use super::pace::Pace;
use super::story::{Piece, Story};

/// Events that are kept for watchers that come back or are behind, of all channels together.
pub(super) const FRAMES_MAX: usize = 16_384;
/// Their bytes; a single event may be larger.
pub(super) const BYTES_MAX: usize = 32 << 20;
/// Events of a running turn that a late watcher gets; beyond it the oldest are left out.
pub(super) const TURN_FRAMES: usize = 4096;
/// Their bytes.
const TURN_BYTES: usize = 4 << 20;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// A turn.
    Turn(Uuid),
    /// The agent itself; without a channel: the daemon, or its jobs.
    Agent,
}

/// One event, ready to be sent.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Its number, over all channels.
    pub(crate) seq: u64,
    /// The whole SSE frame, ready to be sent.
    pub(crate) chunk: Chunk,
    pub(super) channel: Arc<str>,
    pub(super) about: About,
    /// A piece of a text that comes as a whole later.
    pub(super) delta: bool,
}

/// Frames of one turn, the oldest first, bounded in number and bytes.
#[derive(Default)]
pub(super) struct Running {
    pub(super) frames: VecDeque<Arc<Frame>>,
    bytes: usize,
    /// The number of the newest frame that was left out.
    pub(super) lost: u64,
    /// The same to be kept.
    pub(super) story: Story,
}

impl Running {
    fn push(&mut self, frame: Arc<Frame>) {
        self.bytes += frame.chunk.len();
        self.frames.push_back(frame);
        while self.frames.len() > TURN_FRAMES || (self.bytes > TURN_BYTES && self.frames.len() > 1) {
            if let Some(oldest) = self.frames.pop_front() {
                self.bytes -= oldest.chunk.len();
                self.lost = oldest.seq;
            }
        }
    }

    /// Takes off the pieces of a block that has come as a whole.
    fn drop_deltas(&mut self) {
        self.frames.retain(|frame| !frame.delta);
        self.bytes = self.frames.iter().map(|frame| frame.chunk.len()).sum();
    }
}

/// One channel in the line.
pub(super) struct Channel {
    pub(super) name: Arc<str>,
    /// Its part of the line.
    pub(super) frames: VecDeque<Arc<Frame>>,
    /// The highest number that fell out of the line.
    pub(super) lost: u64,
    /// The same of the turns' events alone.
    pub(super) lost_of_turns: u64,
    /// Frames of turns that have not ended, pieces already completed left out.
    pub(super) running: HashMap<Uuid, Running>,
    /// Rings for each of its events.
    pub(super) news: Bell,
}

impl Channel {
    fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            frames: VecDeque::new(),
            lost: 0,
            lost_of_turns: 0,
            running: HashMap::new(),
            news: Bell::default(),
        }
    }

    /// Nothing was ever told here, and nobody watches.
    fn is_idle(&self) -> bool {
        self.frames.is_empty() && self.lost == 0 && self.running.is_empty() && self.news.listeners() == 0
    }
}

/// How a frame changes what is kept of its running turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    /// Nothing: it is told beside the run.
    Aside,
    /// It belongs to it.
    Part,
    /// The same, and the pieces before it are in it.
    Whole,
    /// The turn ends with it.
    End,
}

/// Events that were taken together.
pub(super) struct Together {
    /// Of whom; `None`: of all.
    pub(super) channel: Option<Arc<str>>,
    /// The number before the first, and that of the last.
    pub(super) span: (u64, u64),
    pub(super) chunk: Chunk,
}

/// All events.
pub(super) struct Line {
    pub(super) all: VecDeque<Arc<Frame>>,
    bytes: usize,
    /// The number of the newest event.
    pub(super) newest: u64,
    /// The highest number that fell out.
    pub(super) lost: u64,
    pub(super) channels: BTreeMap<String, Channel>,
    /// What comes before the line.
    pub(super) pace: Pace,
    /// Several events in one piece, as they were taken last: who is as far as others gets the same bytes.
    pub(super) together: Option<Together>,
    /// Somebody has watched. Until then nobody knows a number from which to go on.
    pub(super) watched: bool,
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            all: VecDeque::new(),
            bytes: 0,
            newest: 0,
            lost: 0,
            channels: BTreeMap::new(),
            pace: Pace::default(),
            together: None,
            watched: false,
        }
    }

    pub(super) fn channel(&mut self, name: &str) -> &mut Channel {
        self.channels
            .entry(name.to_owned())
            .or_insert_with(|| Channel::new(name))
    }

    /// Channels that were only watched leave nothing behind.
    pub(super) fn tidy(&mut self) {
        self.channels.retain(|_, channel| !channel.is_idle());
    }

    /// Appends an event; the oldest ones may fall out. `data`: what it says, as JSON.
    pub(super) fn push(&mut self, channel: &str, about: About, piece: &Piece<'_>, run: Run, chunk: Chunk, data: Bytes) {
        self.newest += 1;
        let seq = self.newest;
        let channel = self.channel(channel);
        let frame = Arc::new(Frame {
            seq,
            channel: Arc::clone(&channel.name),
            about,
            delta: matches!(piece, Piece::Delta(_)),
            chunk,
        });
        if let About::Turn(turn) = about {
            match run {
                Run::Aside => {}
                Run::End => drop(channel.running.remove(&turn)),
                Run::Part | Run::Whole => {
                    let running = channel.running.entry(turn).or_default();
                    if run == Run::Whole {
                        running.drop_deltas();
                    }
                    running.push(Arc::clone(&frame));
                    running.story.add(piece, data);
                }
            }
        }
        channel.frames.push_back(Arc::clone(&frame));
        channel.news.ring();
        self.bytes += frame.chunk.len();
        self.all.push_back(frame);
        while self.all.len() > FRAMES_MAX || (self.bytes > BYTES_MAX && self.all.len() > 1) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.all.pop_front() else { return };
        self.bytes -= oldest.chunk.len();
        self.lost = oldest.seq;
        if let Some(channel) = self.channels.get_mut(&*oldest.channel) {
            // The oldest of all is the oldest of its channel.
            channel.frames.pop_front();
            channel.lost = oldest.seq;
            if oldest.about != About::Agent {
                channel.lost_of_turns = oldest.seq;
            }
        }
    }
}

/// Those of `frames` that come after a number.
pub(super) fn after(frames: &VecDeque<Arc<Frame>>, seq: u64) -> impl Iterator<Item = &Arc<Frame>> {
    frames.range(frames.partition_point(|frame| frame.seq <= seq)..)
}
