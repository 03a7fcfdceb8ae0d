//! One watcher: a place in the line of events. It takes what is new when it can, and holds none of it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use uuid::Uuid;

use super::bell::Ear;
use super::chunk::Chunk;
use super::line::{About, Frame, Line, Together, after};

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
    Events(Chunk),
    /// Something of a turn that ran when it came is gone: it must read the state again. It gets the turns that run now from
    /// their start, and goes on.
    Gone,
    /// It was too slow: what comes next for it is gone. The end.
    Lagged,
}

/// A watcher. Dropping it ends the watch.
pub(crate) struct Watch {
    line: Arc<Mutex<Line>>,
    scope: Scope,
    news: Ear,
    /// More may be there than it has taken, whether or not it rings.
    behind: bool,
    /// The number of the last event that it got or that was not for it.
    at: u64,
    replay: Option<Replay>,
    /// What it missed before it began is gone; it must read the state again.
    pub(crate) resync: bool,
}

impl Watch {
    /// `seen`: nothing, or the number of the last event that it saw, if that is one of this run.
    pub(super) fn begin(
        shared: Arc<Mutex<Line>>,
        line: &Line,
        scope: Scope,
        news: Ear,
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
            line: shared,
            scope,
            news,
            behind: true,
            at,
            replay,
        }
    }

    /// The next events. Dropping the future loses nothing.
    #[cfg(test)]
    pub(crate) async fn next(&mut self) -> Step {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// The next events.
    pub(crate) fn poll_next(&mut self, context: &Context<'_>) -> Poll<Step> {
        loop {
            if !self.behind {
                ready!(self.news.poll_rung(context));
            }
            if let Some(step) = self.take() {
                return Poll::Ready(step);
            }
        }
    }

    /// The next events that are there.
    pub(crate) fn take(&mut self) -> Option<Step> {
        let Self {
            line,
            scope,
            at,
            replay,
            behind,
            ..
        } = self;
        let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
        *behind = true;
        let missed = match begun(replay, &line, at) {
            Ok(Some(chunk)) => return Some(Step::Events(chunk)),
            Ok(None) if scope.lost(&line) > *at => Missed::News,
            Ok(None) => {
                let news = news(scope, &mut line, at, behind);
                return news.map(Step::Events);
            }
            Err(missed) => missed,
        };
        match missed {
            Missed::Past => {
                *at = 0;
                *replay = Some(Replay::of(scope, &line, true));
                Some(Step::Gone)
            }
            Missed::News => Some(Step::Lagged),
        }
    }
}

/// The next events of the turns that ran when the watcher came.
fn begun(replay: &mut Option<Replay>, line: &Line, at: &mut u64) -> Result<Option<Chunk>, Missed> {
    let Some(begun) = replay else { return Ok(None) };
    let part = begun.part(line, *at)?;
    if let Some(last) = part.last() {
        *at = last.seq;
        return Ok(Some(joined(&part)));
    }
    *at = begun.until;
    *replay = None;
    Ok(None)
}

/// What is new. `behind` says whether there may be more.
fn news(scope: &Scope, line: &mut Line, at: &mut u64, behind: &mut bool) -> Option<Chunk> {
    let (frames, channel) = match scope {
        Scope::Turns(name) => match line.channels.get(name) {
            Some(channel) => (&channel.frames, Some(&channel.name)),
            None => {
                *behind = false;
                return None;
            }
        },
        _ => (&line.all, None),
    };
    if let Some(one) = only(frames, *at)
        && scope.sees(one)
    {
        *at = one.seq;
        *behind = false;
        return Some(one.chunk.clone());
    }
    // Of some channels only they themselves know what they see.
    let shared = !matches!(scope, Scope::Channels(_));
    if let Some(together) = &line.together
        && shared
        && together.span.0 == *at
        && together.channel.as_ref() == channel
    {
        *at = together.span.1;
        return Some(together.chunk.clone());
    }
    let seen = after(frames, *at).filter(|frame| scope.sees(frame));
    let part = first(seen.cloned());
    let Some(last) = part.last() else {
        (*at, *behind) = (line.newest, false);
        return None;
    };
    let span = (*at, last.seq);
    *at = last.seq;
    let chunk = joined(&part);
    if shared && part.len() > 1 {
        line.together = Some(Together {
            channel: channel.cloned(),
            span,
            chunk: chunk.clone(),
        });
    }
    Some(chunk)
}

/// The only one after `at`, when there is one and no more.
fn only(frames: &VecDeque<Arc<Frame>>, at: u64) -> Option<&Arc<Frame>> {
    let mut newest = frames.iter().rev();
    let last = newest.next().filter(|frame| frame.seq > at)?;
    newest.next().is_none_or(|frame| frame.seq <= at).then_some(last)
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
        bytes += frame.chunk.len();
        if bytes > PART_BYTES && !part.is_empty() {
            break;
        }
        part.push(frame);
    }
    part
}

/// One event is shared; several small ones go in one piece, so that a watcher that is behind costs few writes.
fn joined(part: &[Arc<Frame>]) -> Chunk {
    match part {
        [one] => one.chunk.clone(),
        part => Chunk::of(part.iter().map(|frame| frame.chunk.bytes())),
    }
}
