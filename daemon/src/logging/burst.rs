//! How often a place in the code may say something.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::callsite::Identifier;
use tracing::{Level, Metadata};

use super::line::Origin;

/// A place in the code. There are as many as the program has lines that tell something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// Of the daemon and of what tells its news as it does.
    Here(Identifier, Option<&'static str>, Option<u32>),
    /// Of a library that uses the crate `log`.
    Elsewhere(String, u64),
}

impl Place {
    pub(super) fn of(metadata: &Metadata<'static>) -> Self {
        Self::Here(metadata.callsite(), metadata.file(), metadata.line())
    }

    pub(super) fn of_log(origin: &Origin) -> Self {
        Self::Elsewhere(origin.target.clone(), origin.line)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(_, file, line) => write!(f, "{}:{}", file.unwrap_or("?"), line.unwrap_or_default()),
            Self::Elsewhere(target, line) => write!(f, "{target}:{line}"),
        }
    }
}

/// What a place wanted to say and did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) place: Place,
    pub(super) level: Level,
    pub(super) target: String,
    pub(super) count: u64,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is written.
    Write,
    /// It is written, behind what says how many were not.
    WriteBehind(LeftOut),
    /// It is not.
    LeaveOut {
        /// None was before it.
        first: bool,
    },
}

struct Window {
    begun: Instant,
    lines: u64,
    left_out: u64,
    level: Level,
    target: String,
}

#[derive(Default)]
struct State {
    windows: HashMap<Place, Window>,
    /// Something was left out, since the process began.
    quiet: bool,
}

/// All places that have said something.
pub(super) struct Places {
    burst: u64,
    window: Duration,
    state: Mutex<State>,
    /// Something is left out where nothing was.
    news: Condvar,
}

impl Places {
    pub(super) fn new(burst: u64, window: Duration) -> Self {
        Self {
            burst,
            window,
            state: Mutex::default(),
            news: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place says something.
    pub(super) fn answer(&self, place: Place, level: Level, target: &str) -> Answer {
        let now = Instant::now();
        let mut state = self.lock();
        let window = state.windows.entry(place.clone()).or_insert_with(|| Window {
            begun: now,
            lines: 0,
            left_out: 0,
            level,
            target: target.to_owned(),
        });
        let mut before = None;
        if now.saturating_duration_since(window.begun) >= self.window {
            before = window.close(place);
            (window.begun, window.lines) = (now, 0);
        }
        window.lines += 1;
        if window.lines <= self.burst {
            return before.map_or(Answer::Write, Answer::WriteBehind);
        }
        window.left_out += 1;
        if window.left_out == 1 {
            self.news.notify_one();
        }
        let first = !std::mem::replace(&mut state.quiet, true);
        Answer::LeaveOut { first }
    }

    /// Waits until something was left out whose time is over, and takes it.
    pub(super) fn wait_for_the_next(&self) -> Vec<LeftOut> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let due = state.take(|window| now.saturating_duration_since(window.begun) >= self.window);
            if !due.is_empty() {
                return due;
            }
            let open = state.windows.values().filter(|window| window.left_out > 0);
            let next = open.map(|window| self.window.saturating_sub(now.saturating_duration_since(window.begun)));
            state = match next.min() {
                Some(pause) => {
                    let waited = self.news.wait_timeout(state, pause);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.news.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Takes everything that was left out and not told.
    pub(super) fn all_left_out(&self) -> Vec<LeftOut> {
        self.lock().take(|_| true)
    }
}

impl State {
    fn take(&mut self, wanted: impl Fn(&Window) -> bool) -> Vec<LeftOut> {
        let windows = self.windows.iter_mut().filter(|(_, window)| wanted(window));
        windows
            .filter_map(|(place, window)| window.close(place.clone()))
            .collect()
    }
}

impl Window {
    fn close(&mut self, place: Place) -> Option<LeftOut> {
        let count = std::mem::take(&mut self.left_out);
        (count > 0).then(|| LeftOut {
            place,
            level: self.level,
            target: self.target.clone(),
            count,
        })
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn place(line: u64) -> Place {
        Place::Elsewhere("x".into(), line)
    }

    fn say(places: &Places, line: u64) -> Answer {
        places.answer(place(line), Level::WARN, "t")
    }

    fn left(line: u64, count: u64) -> LeftOut {
        LeftOut {
            place: place(line),
            level: Level::WARN,
            target: "t".into(),
            count,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_says_so_much_in_a_window_and_then_how_much_it_did_not() {
        let places = Places::new(2, Duration::from_secs(10));
        let first = [say(&places, 1), say(&places, 1), say(&places, 1), say(&places, 1)];
        let out = |first| Answer::LeaveOut { first };
        assert_eq!(first, [Answer::Write, Answer::Write, out(true), out(false)]);
        assert_eq!(say(&places, 2), Answer::Write, "another place has its own count");
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(say(&places, 1), out(false));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(say(&places, 1), Answer::WriteBehind(left(1, 3)));
        assert_eq!(say(&places, 1), Answer::Write, "that began anew");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_left_out_is_told_when_the_place_falls_silent() {
        let places = Places::new(1, Duration::from_secs(10));
        for line in [1, 2, 1, 1] {
            say(&places, line);
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(places.wait_for_the_next(), [left(1, 2)]);
        assert_eq!(say(&places, 1), Answer::Write);
        assert_eq!(say(&places, 1), Answer::LeaveOut { first: false });
        assert_eq!(places.all_left_out(), [left(1, 1)]);
        assert_eq!(places.all_left_out(), []);
    }
}
