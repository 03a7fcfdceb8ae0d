//! How often the pieces of a text are told. A program writes a few words hundreds of times a second, and each telling is a
//! write for everybody who watches. So the first piece is told at once, and what follows it closely together. Nothing else
//! waits, and nothing is told before the pieces that came before it.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use super::Subject;

/// The shortest time between two pieces that are told of one text: no eye sees more of them.
pub(super) const FRAME: Duration = Duration::from_millis(40);
/// So much longer for each who watches, which is what telling one takes: a crowd gets larger pieces instead of late ones.
const EACH: Duration = Duration::from_micros(8);
/// Longest time.
const LONGEST: Duration = Duration::from_millis(200);
/// Bytes of text that do not wait any longer.
const MOST: usize = 16 << 10;

/// What has come of a text and is not told yet.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) subject: Subject,
    pub(super) text: String,
    /// When the oldest piece in it came.
    pub(super) since: Timestamp,
}

/// A text that is being made.
#[derive(Debug)]
struct Open {
    /// When something of it was told last.
    told: Instant,
    held: Option<Held>,
}

/// What becomes of a piece.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// It is told now.
    Now,
    /// It is told with those that follow.
    Later,
    /// The same, and somebody has to ask for it at that time.
    At(Instant),
}

/// The time between two pieces for so many.
fn frame(watchers: usize) -> Duration {
    let more = EACH.saturating_mul(u32::try_from(watchers).unwrap_or(u32::MAX));
    FRAME.saturating_add(more).min(LONGEST)
}

/// The texts that are being made, by their turns.
#[derive(Debug, Default)]
pub(super) struct Pace {
    open: HashMap<Uuid, Open>,
    /// Somebody will ask what is due.
    asked: bool,
}

impl Pace {
    /// A piece has come, which so many watch. When it is to be told now, what is held goes before it.
    pub(super) fn piece(&mut self, subject: &Subject, text: &str, now: Instant, watchers: usize) -> Piece {
        let Some(open) = self.open.get_mut(&subject.turn) else {
            let open = Open { told: now, held: None };
            self.open.insert(subject.turn, open);
            return Piece::Now;
        };
        let due = open.told + frame(watchers);
        let waits = open.held.as_ref().map_or(0, |held| held.text.len());
        if (waits == 0 && due <= now) || waits + text.len() > MOST {
            open.told = now;
            return Piece::Now;
        }
        match &mut open.held {
            Some(held) => held.text.push_str(text),
            held => {
                *held = Some(Held {
                    subject: subject.clone(),
                    text: text.to_owned(),
                    since: Timestamp::now(),
                });
            }
        }
        match std::mem::replace(&mut self.asked, true) {
            true => Piece::Later,
            false => Piece::At(due),
        }
    }

    /// What is held of a turn: something else of it is told now.
    pub(super) fn take(&mut self, turn: Uuid) -> Option<Held> {
        self.open.get_mut(&turn)?.held.take()
    }

    /// The same, and its text ends: the first piece of the next one does not wait.
    pub(super) fn end(&mut self, turn: Uuid) -> Option<Held> {
        self.open.remove(&turn)?.held
    }

    /// All that is held, whenever it came: who watches several turns is told of them together. Whoever asked asks no more.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Held> {
        self.asked = false;
        let held = self.open.values_mut().filter_map(|open| {
            let held = open.held.take()?;
            open.told = now;
            Some(held)
        });
        held.collect()
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn of(turn: u128) -> Subject {
        Subject {
            channel: "eng".into(),
            turn: Uuid::from_u128(turn),
            thread: Uuid::nil(),
            message: "n".into(),
        }
    }

    fn texts(held: impl IntoIterator<Item = Held>) -> Vec<String> {
        held.into_iter().map(|held| held.text).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_piece_is_told_at_once_and_the_next_ones_together() {
        let mut pace = Pace::default();
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        assert_eq!(pace.piece(&of(1), "a", at(0), 1), Piece::Now);
        assert_eq!(pace.piece(&of(1), "b", at(5), 1), Piece::At(at(0) + frame(1)));
        assert_eq!(pace.piece(&of(1), "c", at(10), 1), Piece::Later);
        // Another turn does not wait for it, and needs nobody else to ask.
        assert_eq!(pace.piece(&of(2), "x", at(11), 1), Piece::Now);
        assert_eq!(pace.piece(&of(2), "y", at(12), 1), Piece::Later);
        let mut due = texts(pace.due(at(40)));
        due.sort();
        assert_eq!(due, ["bc", "y"]);
        assert_eq!(pace.piece(&of(1), "d", at(45), 1), Piece::At(at(40) + frame(1)));
        assert_eq!(texts(pace.due(at(80))), ["d"]);
        // After a rest a piece does not wait.
        assert_eq!(pace.piece(&of(1), "e", at(121), 1), Piece::Now);
    }

    #[test]
    fn a_crowd_is_told_less_often() {
        let times = [0, 500, 4000, 1_000_000, usize::MAX].map(frame);
        assert_eq!(times.map(|time| time.as_millis()), [40, 44, 72, 200, 200]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_goes_before_anything_else_and_is_not_endless() {
        let mut pace = Pace::default();
        let now = Instant::now();
        assert_eq!(pace.piece(&of(1), "a", now, 1), Piece::Now);
        assert_eq!(pace.piece(&of(1), "b", now, 1), Piece::At(now + frame(1)));
        assert_eq!(texts(pace.take(Uuid::from_u128(1))), ["b"]);
        assert_eq!(pace.piece(&of(1), "c", now, 1), Piece::Later);
        assert_eq!(texts(pace.end(Uuid::from_u128(1))), ["c"]);
        assert_eq!(pace.piece(&of(1), "d", now, 1), Piece::Now);
        let long = "x".repeat(MOST);
        assert_eq!(pace.piece(&of(1), &long, now, 1), Piece::Later);
        assert_eq!(pace.piece(&of(1), "y", now, 1), Piece::Now);
        assert_eq!(texts(pace.take(Uuid::from_u128(1))), [long]);
        assert_eq!(texts(pace.due(now)), [""; 0]);
    }
}
