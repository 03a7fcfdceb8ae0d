//! Times of jobs.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use reveille_vault::agent::{Cron, Schedule};

use super::is_short;

/// Whole minutes that are looked at one by one for an occurrence that was passed over.
const MINUTES: i32 = 400;

/// An expression, a zone and seconds since 1970, each on a line of its own.
///
/// # Panics
/// When something does not hold.
pub fn cron(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.lines();
    let (expression, zone) = (lines.next().unwrap_or_default(), lines.next());
    schedule(Some(expression), None, zone);
    schedule(None, Some(expression), zone);
    let Ok(cron) = expression.parse::<Cron>() else { return };
    let again: Cron = cron.as_str().parse().expect("what was read reads again");
    assert_eq!((&again, again.as_str()), (&cron, cron.as_str()));
    let lists: Cron = cron.lists().parse().expect("its lists are an expression");
    assert_eq!(lists, cron);
    // Only whole minutes of zones as they have been since then.
    let year_1973 = 94_694_400;
    let seconds = lines.next().and_then(|line| line.parse::<i64>().ok());
    let seconds = year_1973 + seconds.unwrap_or(1_700_000_000).rem_euclid(10_000_000_000);
    let after = Timestamp::from_second(seconds).expect("before the year 2300");
    let zone = zone.and_then(|zone| TimeZone::get(zone).ok()).unwrap_or(TimeZone::UTC);
    occurrences(&cron, &zone, after);
}

fn schedule(cron: Option<&str>, at: Option<&str>, zone: Option<&str>) {
    match Schedule::parse(cron, at, zone, &TimeZone::UTC) {
        Ok(schedule) => {
            assert!(!schedule.fingerprint().is_empty());
            schedule
                .warnings
                .iter()
                .for_each(|warning| is_short(&warning.to_string()));
            assert!(schedule.next(Timestamp::UNIX_EPOCH) > Some(Timestamp::UNIX_EPOCH) || at.is_some());
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            problems.iter().for_each(|problem| is_short(&problem.to_string()));
        }
    }
}

fn occurrences(cron: &Cron, zone: &TimeZone, after: Timestamp) {
    let first = cron.next(zone, after).expect("the calendar goes on");
    let minute = SignedDuration::from_mins(1);
    let mut passed = whole_minute(after) + minute;
    for _ in 0..MINUTES {
        if passed >= first {
            break;
        }
        let wall = zone.to_datetime(passed);
        let earlier = zone.to_ambiguous_timestamp(wall).earlier();
        let is_first = earlier.expect("an offset of that time") == passed;
        assert!(
            !(is_first && matches(cron, wall)),
            "{wall} in {zone:?} was passed over by {cron} after {after}"
        );
        passed += minute;
    }
    let mut last = after;
    for _ in 0..3 {
        let next = cron.next(zone, last).expect("the calendar goes on");
        assert!(next > last, "{next} is not after {last}");
        let wall = zone.to_datetime(next);
        assert!(wall.second() == 0 && wall.subsec_nanosecond() == 0, "{wall}");
        assert!(matches(cron, wall), "{wall} is no time of {cron}");
        last = next;
    }
}

fn whole_minute(at: Timestamp) -> Timestamp {
    at - (at.as_second().rem_euclid(60)).seconds()
}

/// Whether an expression means that minute.
fn matches(cron: &Cron, wall: DateTime) -> bool {
    let lists: Vec<&str> = cron.lists().split(' ').collect();
    let has = |field: usize, value: i8| {
        let list = lists.get(field).expect("five fields");
        *list == "*" || list.split(',').any(|item| item == value.to_string())
    };
    let both = lists.get(2) != Some(&"*") && lists.get(4) != Some(&"*");
    let (day, weekday) = (has(2, wall.day()), has(4, wall.weekday().to_sunday_zero_offset()));
    let days = if both { day || weekday } else { day && weekday };
    has(0, wall.minute()) && has(1, wall.hour()) && days && has(3, wall.month())
}
