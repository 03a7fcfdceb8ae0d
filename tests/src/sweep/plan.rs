//! What a sweep does, all of it decided by the seed: when and how the daemon dies, what is sent meanwhile, what is stopped.

use std::collections::BTreeSet;
use std::time::Duration;

use uuid::Uuid;

use super::letter::{Kind, Letter};
use crate::Random;

/// Agents that are written to.
pub(super) const CHANNELS: usize = 20;
/// Clients that write, each one letter after the other.
pub(super) const SENDERS: usize = 5;
/// Letters of one round.
const LETTERS: u64 = 13;
/// Letters of a round that wait for each other, when it has some: to one agent, behind one that takes its time.
const GATHERED: u64 = 5;
/// Requests to stop a turn, and edits of a definition, in one round.
const STOPS: u64 = 2;
const EDITS: u64 = 1;
/// Subjects that a letter may have.
const SUBJECTS: [&str; 2] = ["budget", "the launch"];
/// Moments of a kill after the daemon serves, in milliseconds, and after it was started when it may not serve yet.
const LATE: std::ops::Range<u64> = 0..1200;
const EARLY: std::ops::Range<u64> = 5..150;
/// And after it was told to stop.
const STOPPING: std::ops::Range<u64> = 0..400;

/// How a run of the daemon ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Death {
    /// Killed so long after its start, ready or not.
    Early(Duration),
    /// Killed so long after it was ready.
    Late(Duration),
    /// Told to stop so long after it was ready, and killed so long after that if it still runs.
    Stopping(Duration, Duration),
    /// Dies by itself at a point of its work, the n-th time it gets there.
    Point(String, u32),
}

/// One run of the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// How it ends.
    pub death: Death,
    /// What is sent to it, besides what an earlier run has not acknowledged.
    pub letters: Vec<Letter>,
    /// When a turn is stopped, and the number of its channel.
    pub stops: Vec<(Duration, usize)>,
    /// When the definition of a channel is edited, and its number.
    pub edits: Vec<(Duration, usize)>,
    /// Seed of the faults of its vault and its queue.
    pub faults: u64,
}

/// All of a sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// One after the other.
    pub rounds: Vec<Round>,
}

/// The name of a channel.
#[must_use]
pub(super) fn channel(number: usize) -> String {
    format!("c{number:02}")
}

/// What the definition of a channel says besides its name: some hold one conversation for each message, some are not gone on
/// with after a restart.
#[must_use]
pub(super) fn settings(number: usize) -> (&'static str, &'static str) {
    let mode = if number % 5 == 3 {
        "multi-threaded"
    } else {
        "single-threaded"
    };
    let on_interrupt = if number % 7 == 2 { "stop" } else { "continue" };
    (mode, on_interrupt)
}

impl Plan {
    /// The plan of a seed: so many kills, some of them at these points.
    #[must_use]
    pub fn new(seed: u64, kills: u32, points: &BTreeSet<String>) -> Self {
        let mut random = Random::new(seed);
        let points: Vec<_> = points.iter().map(|point| (1, point.clone())).collect();
        let rounds = (0..kills).map(|number| round(number, &points, &mut random)).collect();
        Self { rounds }
    }

    /// A short name of everything that it holds.
    #[must_use]
    pub fn digest(&self) -> String {
        let digest = Uuid::new_v5(&Uuid::nil(), format!("{self:?}").as_bytes());
        digest.simple().to_string()[..12].to_owned()
    }
}

fn round(number: u32, points: &[(u64, String)], random: &mut Random) -> Round {
    let death = match random.within(0..100) {
        0..8 => Death::Early(random.millis(EARLY)),
        8..16 => Death::Stopping(random.millis(LATE), random.millis(STOPPING)),
        16..46 => point(points, random),
        _ => Death::Late(random.millis(LATE)),
    };
    let mut letters: Vec<_> = (0..LETTERS).map(|place| letter(number, place, random)).collect();
    if random.one_of(3) {
        letters.extend(gathering(number, random));
    }
    Round {
        death,
        letters,
        stops: moments(STOPS, random),
        edits: moments(EDITS, random),
        faults: random.number(),
    }
}

/// Moments, and a channel for each.
fn moments(count: u64, random: &mut Random) -> Vec<(Duration, usize)> {
    (0..count)
        .map(|_| (random.millis(LATE), index(random, CHANNELS)))
        .collect()
}

fn point(points: &[(u64, String)], random: &mut Random) -> Death {
    // A first, third, fifth … time takes the dying through the load, not only through its beginning.
    let nth = u32::try_from(random.within(1..6)).unwrap_or(1);
    match random.weighted(points) {
        Some(point) => Death::Point(point.clone(), nth),
        None => Death::Late(random.millis(LATE)),
    }
}

fn gathering(round: u32, random: &mut Random) -> Vec<Letter> {
    // The first agent holds one conversation.
    let to = |place, kind, random: &mut Random| Letter {
        channel: channel(0),
        one_conversation: true,
        subject: None,
        kind,
        ..letter(round, place, random)
    };
    let first = to(LETTERS, Kind::SlowWork, random);
    let others = (0..GATHERED).map(|place| to(LETTERS + 1 + place, Kind::Gathered, random));
    std::iter::once(first).chain(others).collect()
}

fn letter(round: u32, place: u64, random: &mut Random) -> Letter {
    let to = index(random, CHANNELS);
    let kind = random.weighted(Kind::SHARES).copied().unwrap_or(Kind::Quick);
    Letter {
        key: format!("r{round}-{place}"),
        sender: index(random, SENDERS),
        channel: channel(to),
        one_conversation: settings(to).0 == "single-threaded",
        kind,
        as_note: random.one_of(3),
        subject: random.one_of(4).then(|| SUBJECTS[index(random, SUBJECTS.len())]),
        reply_to: random.one_of(5).then(|| channel(index(random, CHANNELS))),
    }
}

fn index(random: &mut Random, count: usize) -> usize {
    let drawn = random.within(0..count.try_into().unwrap_or(u64::MAX));
    drawn.try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_seed_is_a_plan() {
        let points: BTreeSet<String> = ["a.b", "c.d"].map(str::to_owned).into();
        let plan = |seed| Plan::new(seed, 300, &points);
        assert_eq!(plan(7), plan(7));
        assert_eq!(plan(7).digest(), plan(7).digest());
        assert_ne!(plan(7).digest(), plan(8).digest());
    }

    #[test]
    fn a_long_plan_holds_something_of_everything() {
        let points: BTreeSet<String> = ["a.b", "c.d"].map(str::to_owned).into();
        let plan = Plan::new(7, 300, &points);
        let deaths = plan.rounds.iter().map(|round| match &round.death {
            Death::Early(_) => "early".to_owned(),
            Death::Late(_) => "late".to_owned(),
            Death::Stopping(..) => "stopping".to_owned(),
            Death::Point(name, _) => name.clone(),
        });
        let deaths: BTreeSet<String> = deaths.collect();
        assert_eq!(
            deaths,
            ["a.b", "c.d", "early", "late", "stopping"].map(str::to_owned).into()
        );
        let letters: Vec<_> = plan.rounds.iter().flat_map(|round| &round.letters).collect();
        let distinct =
            |of: fn(&Letter) -> String| letters.iter().map(|letter| of(letter)).collect::<BTreeSet<_>>().len();
        assert_eq!(distinct(|letter| letter.key.clone()), letters.len());
        assert_eq!(distinct(|letter| letter.channel.clone()), CHANNELS);
        assert_eq!(distinct(|letter| letter.sender.to_string()), SENDERS);
        assert_eq!(distinct(|letter| format!("{:?}", letter.kind)), Kind::SHARES.len());
        assert_eq!(distinct(|letter| letter.as_note.to_string()), 2);
        assert_eq!(distinct(|letter| format!("{:?}", letter.subject)), SUBJECTS.len() + 1);
    }
}
