//! Random expressions around every change of every clock, compared with the slow evaluator.
//!
//! The short run looks at a part. All of it, in some minutes:
//! `REVEILLE_TEST_CRON=all cargo test --release -p reveille-vault --test jobs zones -- --nocapture`;
//! `REVEILLE_TEST_SEED` repeats a run.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, tz};
use reveille_vault::agent::Cron;

use crate::reference::Stretch;
use crate::{instant, zone};

/// Pseudo-random numbers (splitmix64), the same for a seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    fn within(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.next() % u64::try_from(high - low + 1).unwrap()).unwrap()
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }

    fn entry(&mut self, low: i64, high: i64) -> String {
        let first = self.within(low, high);
        let last = self.within(first, high);
        let step = self.within(1, high + 5);
        match self.next() % 5 {
            0 => format!("*/{step}"),
            1 => format!("{first}-{last}"),
            2 => format!("{first}-{last}/{step}"),
            3 => format!("{first}/{step}"),
            _ => first.to_string(),
        }
    }

    /// A field that often is `*`, often near a number, and sometimes anything.
    fn field(&mut self, low: i64, high: i64, near: i64) -> String {
        match self.next() % 6 {
            0 | 1 => "*".to_owned(),
            2 | 3 => (near + self.within(-1, 1)).clamp(low, high).to_string(),
            4 => self.entry(low, high),
            _ => {
                let entries: Vec<_> = (0..self.within(2, 4)).map(|_| self.entry(low, high)).collect();
                entries.join(",")
            }
        }
    }

    /// An expression that is likely to be due about a day and an hour.
    fn expression(&mut self, day: Date, hour: i64) -> String {
        let minute = if self.one_in(3) {
            self.field(0, 59, 0)
        } else {
            self.entry(0, 59)
        };
        let hour = self.field(0, 23, hour);
        let date = self.field(1, 31, day.day().into());
        let month = if self.one_in(2) {
            "*".to_owned()
        } else {
            self.field(1, 12, day.month().into())
        };
        let weekday = self.field(0, 6, day.weekday().to_sunday_zero_offset().into());
        format!("{minute} {hour} {date} {month} {weekday}")
    }
}

fn seed() -> Random {
    let seed = match std::env::var("REVEILLE_TEST_SEED") {
        Ok(seed) => seed.parse().expect("REVEILLE_TEST_SEED is a number"),
        Err(_) => u64::from(std::process::id()),
    };
    println!("REVEILLE_TEST_SEED={seed}");
    Random(seed)
}

fn all() -> bool {
    std::env::var("REVEILLE_TEST_CRON").is_ok_and(|how| how == "all")
}

/// Every change of every clock in five years, on the whole minute before it.
fn changes() -> Vec<(String, TimeZone, Timestamp)> {
    let (from, to) = (instant("2026-01-01T00:00:00Z"), instant("2031-01-01T00:00:00Z"));
    let mut changes = Vec::new();
    for name in tz::db().available() {
        let zone = zone(name.as_str());
        let in_time = zone
            .following(from)
            .map(|change| change.timestamp())
            .take_while(|at| *at < to);
        let minutes = in_time.map(|at| Timestamp::from_second(at.as_second().div_euclid(60) * 60).unwrap());
        changes.extend(minutes.map(|at| (name.to_string(), zone.clone(), at)));
    }
    changes
}

/// All that follow one upon the other from `after` to `until`, both excluded.
fn chain(cron: &Cron, zone: &TimeZone, after: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let first = cron.next(zone, after);
    let all = std::iter::successors(first, |at| cron.next(zone, *at));
    all.take_while(|at| *at < until).collect()
}

#[test]
fn around_every_change_of_every_clock_the_slow_evaluator_agrees() {
    let mut random = seed();
    let changes = changes();
    // Without a database of zones there would be nothing to see.
    assert!(changes.len() > 1000, "{} changes", changes.len());
    let (looks, expressions) = if all() { (changes.len(), 40) } else { (60, 8) };
    let mut due = 0;
    for number in 0..looks {
        let place = if all() {
            number
        } else {
            usize::try_from(random.next()).unwrap() % changes.len()
        };
        let (name, zone, change) = &changes[place];
        // A day and a half to both sides.
        let start = *change - SignedDuration::from_hours(36);
        let until = start + SignedDuration::from_hours(72);
        let stretch = Stretch::new(zone, start, 72 * 60);
        let wall = zone.to_datetime(*change);
        for _ in 0..expressions {
            let text = random.expression(wall.date(), wall.hour().into());
            let Ok(cron) = text.parse::<Cron>() else {
                // Only for a day that no year has.
                assert!(stretch.occurrences(&text).is_empty(), "{text} was refused");
                continue;
            };
            let expected = stretch.occurrences(&text);
            let found = chain(&cron, zone, start - SignedDuration::from_nanos(1), until);
            assert_eq!(found, expected, "{text} in {name} about {change}");
            // Also from anywhere in between.
            let after = start + SignedDuration::from_secs(random.within(0, 72 * 3600));
            let found = cron.next(zone, after).filter(|at| *at < until);
            let next = expected.iter().find(|at| **at > after).copied();
            assert_eq!(found, next, "{text} in {name} after {after}");
            due += expected.len();
        }
    }
    assert!(due > looks, "too few occurrences to show anything: {due}");
}

#[test]
fn over_weeks_the_slow_evaluator_agrees() {
    let mut random = seed();
    let names: Vec<_> = tz::db().available().collect();
    let mut due = 0;
    for _ in 0..if all() { 5_000 } else { 12 } {
        let name = &names[usize::try_from(random.next()).unwrap() % names.len()];
        let zone = zone(name.as_str());
        let start = instant("2026-01-01T00:00:00Z") + SignedDuration::from_mins(random.within(0, 5 * 365 * 1440));
        let days = 35;
        let until = start + SignedDuration::from_hours(days * 24);
        let stretch = Stretch::new(&zone, start, days * 1440);
        for _ in 0..6 {
            let day = zone.to_datetime(start).date() + SignedDuration::from_hours(24 * random.within(0, days));
            let hour = random.within(0, 23);
            let text = random.expression(day, hour);
            let expected = stretch.occurrences(&text);
            let found = match text.parse::<Cron>() {
                Ok(cron) => chain(&cron, &zone, start - SignedDuration::from_nanos(1), until),
                Err(_) => Vec::new(),
            };
            assert_eq!(found, expected, "{text} in {name} from {start}");
            due += expected.len();
        }
    }
    assert!(due > 100, "too few occurrences to show anything: {due}");
}
