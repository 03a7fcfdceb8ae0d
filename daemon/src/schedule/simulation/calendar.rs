//! A second opinion on when jobs are due: goes through every minute of a zone, and knows nothing of the code under test.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::date;
use jiff::tz::TimeZone;

/// Offsets of zones change at whole quarters of an hour.
const QUARTER: i64 = 15;
const DAY: i64 = 24 * 60;

/// A day on the clock of a zone: its minutes, each with the instant at which the clock first shows it.
struct Day {
    month: i8,
    day: i8,
    weekday: i64,
    minutes: Vec<(i64, Timestamp)>,
}

/// The clocks of some zones.
pub(super) struct Calendar {
    zones: HashMap<&'static str, Vec<Day>>,
}

fn days(zone: &TimeZone, from: Timestamp, to: Timestamp) -> Vec<Day> {
    let (from, to) = (from.as_second() / 60, to.as_second() / 60);
    let mut days: Vec<Day> = Vec::new();
    let (mut offset, mut shown, mut current) = (0, i64::MIN, i64::MIN);
    for minute in from..=to {
        let instant = Timestamp::from_second(minute * 60).unwrap();
        if minute == from || minute % QUARTER == 0 {
            offset = i64::from(zone.to_offset(instant).seconds()) / 60;
        }
        let wall = minute + offset;
        // The clock was put back and shows it again.
        if wall <= shown {
            continue;
        }
        shown = wall;
        let day = wall.div_euclid(DAY);
        if day != current {
            current = day;
            let civil = date(1970, 1, 1).checked_add(day.days()).unwrap();
            days.push(Day {
                month: civil.month(),
                day: civil.day(),
                weekday: (day + 4).rem_euclid(7),
                minutes: Vec::new(),
            });
        }
        days.last_mut().unwrap().minutes.push((wall.rem_euclid(DAY), instant));
    }
    days
}

/// The numbers that a field means, of those from `min` to `max`.
fn field(text: &str, min: i64, max: i64) -> BTreeSet<i64> {
    let entry = |entry: &str| {
        let (range, step) = entry.split_once('/').unwrap_or((entry, "1"));
        let (first, last) = match range {
            "*" => (min, max),
            range => {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                (first.parse().unwrap(), last.parse().unwrap())
            }
        };
        (first..=last).step_by(step.parse().unwrap())
    };
    text.split(',').flat_map(entry).collect()
}

impl Calendar {
    pub(super) fn new(zones: &[&'static str], from: Timestamp, to: Timestamp) -> Self {
        let of = |name: &&'static str| (*name, days(&TimeZone::get(name).unwrap(), from, to));
        Self {
            zones: zones.iter().map(of).collect(),
        }
    }

    /// All instants of an expression.
    pub(super) fn of(&self, cron: &str, zone: &str) -> BTreeSet<Timestamp> {
        let fields: Vec<&str> = cron.split(' ').collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            panic!("{cron}")
        };
        let on_day = |day: &Day| {
            let by_day = field(days, 1, 31).contains(&i64::from(day.day));
            let by_weekday = field(weekdays, 0, 6).contains(&day.weekday);
            let either = match (days, weekdays) {
                ("*", _) => by_weekday,
                (_, "*") => by_day,
                _ => by_day || by_weekday,
            };
            either && field(months, 1, 12).contains(&i64::from(day.month))
        };
        let (minutes, hours) = (field(minutes, 0, 59), field(hours, 0, 23));
        let there = self.zones[zone].iter().filter(|day| on_day(day));
        let there = there.flat_map(|day| &day.minutes);
        let fits = |(wall, _): &&(i64, Timestamp)| minutes.contains(&(wall % 60)) && hours.contains(&(wall / 60));
        there.filter(fits).map(|(_, instant)| *instant).collect()
    }
}
