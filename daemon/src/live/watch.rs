//! One watcher: a place in the line of events. It takes what is new when it can, and holds none of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use uuid::Uuid;

use super::hub::Hub;
use super::line::{About, Frame, Line, after};

/// Bytes that a watcher takes at once; a single event may be larger.
const PART_BYTES: usize = 32 << 10;

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The turns of one channel.
    Turns(String),
    /// Everything of these channels.
    Channels(BTreeSet<String>),
    /// Everything.
    All,
}

impl Scope {
    fn sees(&self, frame: &Frame) -> bool {
        match self {
            Self::Turns(name) => frame.about != About::Agent && *frame.channel == **name,
            Self::Channels(names) => names.contains(&*frame.channel),
            Self::All => true,
        }
    }

    /// The highest number that it would have seen and that is gone.
    fn lost(&self, line: &Line) -> u64 {
        let of = |name: &String| line.channels.get(name);
        match self {
            Self::Turns(name) => of(name).map_or(0, |channel| channel.lost_of_turns),
            Self::Channels(names) => names
                .iter()
                .filter_map(of)
                .map(|channel| channel.lost)
                .max()
                .unwrap_or(0),
            Self::All => line.lost,
        }
    }

    fn channels<'a>(&'a self, line: &'a Line) -> Box<dyn Iterator<Item = &'a super::line::Channel> + 'a> {
        match self {
            Self::Turns(name) => Box::new(line.channels.get(name).into_iter()),
            Self::Channels(names) => Box::new(names.iter().filter_map(|name| line.channels.get(name))),
            Self::All => Box::new(line.channels.values()),
        }
    }
}

/// The running turns that a new watcher gets from their start.
struct Replay {
    turns: Vec<Begun>,
    /// The newest number when it began: what comes after is news.
    until: u64,
    /// It stands for one of which something was gone before it was told.
    again: bool,
}

/// A turn that ran when a watcher came.
struct Begun {
    channel: String,
    turn: Uuid,
    /// The number of the newest of its events that was left out by then.
    lost: u64,
    /// That of the oldest that was there.
    first: u64,
}

/// What a watcher gets.
#[derive(Debug)]
pub(crate) enum Step {
    /// Whole events, the next ones.
    Events(Bytes),
    /// Something of a turn that ran when it came is gone: it must read the state again. It gets the turns that run now from
    /// their start, and goes on.
    Gone,
    /// It was too slow: what comes next for it is gone. The end.
    Lagged,
}

/// A watcher. Dropping it ends the watch.
pub(crate) struct Watch {
    hub: Hub,
    scope: Scope,
    news: watch::Receiver<u64>,
    /// The number of the last event that it got or that was not for it.
    at: u64,
    replay: Option<Replay>,
    /// What it missed before it began is gone; it must read the state again.
    pub(crate) resync: bool,
}

impl Watch {
    /// `seen`: nothing, or the number of the last event that it saw, if that is one of this run.
    pub(super) fn begin(
        hub: Hub,
        line: &Line,
        scope: Scope,
        news: watch::Receiver<u64>,
        seen: Option<Option<u64>>,
    ) -> Self {
        let resumed = seen
            .flatten()
            .filter(|seq| *seq <= line.newest && scope.lost(line) <= *seq);
        let (at, replay) = match resumed {
            Some(seq) => (seq, None),
            None => (0, Some(Replay::of(&scope, line, false))),
        };
        Self {
            resync: seen.is_some() && resumed.is_none(),
            hub,
            scope,
            news,
            at,
            replay,
        }
    }

    /// The next events. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Step {
        loop {
            self.news.mark_unchanged();
            if let Some(step) = self.take() {
                return step;
            }
            if self.news.changed().await.is_err() {
                // Unreachable: the hub is held, and so are its channels while they are watched.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The next events that are there.
    pub(crate) fn take(&mut self) -> Option<Step> {
        let hub = self.hub.clone();
        let line = hub.line();
        match self.part(&line) {
            Ok(part) if part.is_empty() => None,
            Ok(part) => {
                drop(line);
                Some(Step::Events(joined(&part)))
            }
            Err(Missed::Past) => {
                self.at = 0;
                self.replay = Some(Replay::of(&self.scope, &line, true));
                Some(Step::Gone)
            }
            Err(Missed::News) => Some(Step::Lagged),
        }
    }

    fn part(&mut self, line: &Line) -> Result<Vec<Arc<Frame>>, Missed> {
        if let Some(replay) = &self.replay {
            let part = replay.part(line, self.at)?;
            if let Some(last) = part.last() {
                self.at = last.seq;
                return Ok(part);
            }
            self.at = replay.until;
            self.replay = None;
        }
        if self.scope.lost(line) > self.at {
            return Err(Missed::News);
        }
        let frames = match &self.scope {
            Scope::Turns(name) => match line.channels.get(name) {
                Some(channel) => &channel.frames,
                None => return Ok(Vec::new()),
            },
            _ => &line.all,
        };
        let seen = after(frames, self.at).filter(|frame| self.scope.sees(frame));
        let part = first(seen.cloned());
        self.at = match part.last() {
            Some(last) => last.seq,
            None => line.newest,
        };
        Ok(part)
    }
}

/// What was gone before a watcher took it.
#[derive(Debug, Clone, Copy)]
enum Missed {
    /// Something of the turns that ran when it came.
    Past,
    /// The same a second time, or something that came later: it does not keep up.
    News,
}

impl Replay {
    /// That of the turns that run now.
    fn of(scope: &Scope, line: &Line, again: bool) -> Self {
        let turns = scope.channels(line).flat_map(|channel| {
            channel.running.iter().map(|(turn, running)| Begun {
                channel: channel.name.to_string(),
                turn: *turn,
                lost: running.lost,
                first: running.frames.front().map_or(line.newest, |frame| frame.seq),
            })
        });
        Self {
            turns: turns.collect(),
            until: line.newest,
            again,
        }
    }

    /// What comes after `at` of the turns that ran at the begin. One that has ended meanwhile is taken from the line.
    fn part(&self, line: &Line, at: u64) -> Result<Vec<Arc<Frame>>, Missed> {
        let missed = match self.again {
            true => Missed::News,
            false => Missed::Past,
        };
        let mut sources = Vec::new();
        for begun in &self.turns {
            let Some(channel) = line.channels.get(&begun.channel) else {
                continue;
            };
            let frames = match channel.running.get(&begun.turn) {
                Some(running) if running.lost > at.max(begun.lost) => return Err(missed),
                Some(running) => &running.frames,
                // What the line lost before the oldest of them was never to be told.
                None if channel.lost_of_turns > at && channel.lost_of_turns >= begun.first => return Err(missed),
                None => &channel.frames,
            };
            let own = after(frames, at)
                .take_while(|frame| frame.seq <= self.until)
                .filter(|frame| frame.about == About::Turn(begun.turn));
            sources.push(own.peekable());
        }
        Ok(first(std::iter::from_fn(|| {
            let heads = sources.iter_mut().filter_map(|source| {
                let seq = source.peek()?.seq;
                Some((seq, source))
            });
            let (_, next) = heads.min_by_key(|(seq, _)| *seq)?;
            next.next().cloned()
        })))
    }
}

/// As many of them as are taken at once.
fn first(frames: impl Iterator<Item = Arc<Frame>>) -> Vec<Arc<Frame>> {
    let mut bytes = 0;
    let mut part = Vec::new();
    for frame in frames {
        bytes += frame.bytes.len();
        if bytes > PART_BYTES && !part.is_empty() {
            break;
        }
        part.push(frame);
    }
    part
}

/// One event is shared; several small ones go in one piece, so that a watcher that is behind costs few writes.
fn joined(part: &[Arc<Frame>]) -> Bytes {
    match part {
        [one] => one.bytes.clone(),
        part => {
            let bytes: Vec<u8> = part.iter().flat_map(|frame| frame.bytes.iter().copied()).collect();
            Bytes::from(bytes)
        }
    }
}
