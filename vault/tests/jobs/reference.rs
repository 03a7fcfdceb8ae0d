//! A slow evaluator to compare with: it goes from minute to minute of real time, looks at the clock of the zone, and asks of
//! each field whether the number that it sees is meant. Shares no code with the one that is tested, and never turns a wall
//! time into an instant.

use std::collections::HashSet;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// What a clock shows: minute, hour, day, month, weekday (Sunday 0).
type Wall = [u32; 5];

const LOWEST: [u32; 5] = [0, 0, 1, 1, 0];
const HIGHEST: [u32; 5] = [59, 23, 31, 12, 6];

fn shows(at: Timestamp, zone: &TimeZone) -> (i64, Wall) {
    let offset = i64::from(zone.to_offset(at).seconds());
    let minutes = (at.as_second() + offset).div_euclid(60);
    let (days, minute_of_day) = (minutes.div_euclid(1440), minutes.rem_euclid(1440));
    let (month, day) = date(days);
    // 1 January 1970 was a Thursday.
    let weekday = (days + 4).rem_euclid(7);
    let wall = [minute_of_day % 60, minute_of_day / 60, day, month, weekday];
    (minutes, wall.map(|number| u32::try_from(number).unwrap()))
}

/// Month and day of a number of days since 1970, counted off year by year.
fn date(days: i64) -> (i64, i64) {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (mut left, mut year) = (days, 1970);
    while left >= 365 + i64::from(leap(year)) {
        left -= 365 + i64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (month, left + 1)
}

/// Whether a field means a number. The text is one that holds together.
fn means(field: &str, place: usize, number: u32) -> bool {
    field.split(',').any(|entry| {
        let (range, step) = entry.split_once('/').unwrap_or((entry, ""));
        let bounds: Vec<u32> = range.split('-').filter_map(|bound| bound.parse().ok()).collect();
        let (low, high) = match (bounds.as_slice(), step) {
            ([], _) => (LOWEST[place], HIGHEST[place]),
            ([one], "") => (*one, *one),
            ([one], _) => (*one, HIGHEST[place]),
            ([low, high], _) => (*low, *high),
            _ => panic!("{entry}"),
        };
        let step: u32 = if step.is_empty() { 1 } else { step.parse().unwrap() };
        (low..=high).contains(&number) && (number - low).is_multiple_of(step)
    })
}

fn matches(fields: &[&str], wall: Wall) -> bool {
    let ok = |place: usize| means(fields[place], place, wall[place]);
    let days = match (fields[2], fields[4]) {
        ("*", _) => ok(4),
        (_, "*") => ok(2),
        _ => ok(2) || ok(4),
    };
    days && ok(0) && ok(1) && ok(3)
}

/// Some hours or days of a zone, minute by minute.
pub(crate) struct Stretch {
    /// Instants at which the clock shows a minute for the first time, and what it shows.
    minutes: Vec<(Timestamp, Wall)>,
}

impl Stretch {
    /// From a whole minute on. What the clock showed in the day before is known, so that repeated minutes are.
    pub(crate) fn new(zone: &TimeZone, start: Timestamp, minutes: i64) -> Self {
        let mut seen = HashSet::new();
        let mut stretch = Vec::new();
        for minute in -1440..minutes {
            let at = start + SignedDuration::from_mins(minute);
            let (number, wall) = shows(at, zone);
            if seen.insert(number) && minute >= 0 {
                stretch.push((at, wall));
            }
        }
        Self { minutes: stretch }
    }

    /// All occurrences in it.
    pub(crate) fn occurrences(&self, expression: &str) -> Vec<Timestamp> {
        let fields: Vec<&str> = expression.split_whitespace().collect();
        let due = self.minutes.iter().filter(|(_, wall)| matches(&fields, *wall));
        due.map(|(at, _)| *at).collect()
    }
}
