//! Zones by name, and single times on their clocks.

use jiff::tz::TimeZone;
use pretty_assertions::assert_eq;
use reveille_vault::agent::{Schedule, When};

use crate::{instant, zone};

fn host() -> TimeZone {
    zone("Europe/Berlin")
}

fn at(text: &str, tz: Option<&str>) -> Schedule {
    Schedule::parse(None, Some(text), tz, &host()).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

fn keys(cron: Option<&str>, at: Option<&str>, tz: Option<&str>) -> Vec<String> {
    let problems = Schedule::parse(cron, at, tz, &host()).unwrap_err();
    problems.iter().map(|problem| problem.key.to_string()).collect()
}

#[test]
fn zones_are_found_by_any_of_their_names_and_never_made_up() {
    let hourly = Some("@hourly");
    for (tz, expected) in [
        ("Europe/Berlin", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        (" AMERICA/NEW_YORK ", "America/New_York"),
        ("US/Pacific", "US/Pacific"),
        ("utc", "UTC"),
    ] {
        let schedule = Schedule::parse(hourly, None, Some(tz), &host()).unwrap();
        assert_eq!(
            (schedule.zone_name.as_str(), schedule.zone_given),
            (expected, true),
            "{tz}"
        );
    }
    let schedule = Schedule::parse(hourly, None, None, &host()).unwrap();
    assert_eq!(
        (schedule.zone_name.as_str(), schedule.zone_given),
        ("Europe/Berlin", false)
    );
    for tz in [
        "",
        "  ",
        "+05:30",
        "-08:00",
        "Mars/Olympus",
        "Europe",
        "Etc/Unknown",
        "../etc/passwd",
        "UTC+3",
        "CET-1CEST",
    ] {
        let problems = Schedule::parse(hourly, None, Some(tz), &host()).unwrap_err();
        assert_eq!(problems.len(), 1, "{tz}");
        assert_eq!(problems[0].key, "tz");
        assert!(problems[0].message.contains("Europe/Berlin"), "{}", problems[0]);
    }
}

#[test]
fn a_time_has_an_offset_or_is_taken_in_the_zone() {
    for (text, tz, expected) in [
        ("2026-07-02T09:00:00+02:00", None, "2026-07-02T07:00:00Z"),
        ("2026-07-02T09:00:00Z", Some("Asia/Tokyo"), "2026-07-02T09:00:00Z"),
        ("2026-07-02T09:00:00.123456Z", None, "2026-07-02T09:00:00.123Z"),
        ("2026-07-02T09:00", None, "2026-07-02T07:00:00Z"),
        (" 2026-07-02 09:00 ", Some("Asia/Tokyo"), "2026-07-02T00:00:00Z"),
        ("2026-07-02T09:00:30", Some("America/New_York"), "2026-07-02T13:00:30Z"),
    ] {
        let schedule = at(text, tz);
        assert_eq!(schedule.when, When::At(instant(expected)), "{text} in {tz:?}");
        assert_eq!(schedule.warnings, [], "{text}");
    }
    for text in [
        "",
        "  ",
        "tomorrow",
        "09:00",
        "2026-07-02",
        "2026-02-30T09:00",
        "2026-07-02T25:00",
        "1782975600",
        "2026-07-02T09:00[Asia/Tokyo]",
    ] {
        assert_eq!(keys(None, Some(text), None), ["at"], "{text}");
    }
}

#[test]
fn a_time_that_the_clock_jumps_over_or_shows_twice_is_taken_and_said() {
    let gap = at("2026-03-29T02:30", None);
    assert_eq!(gap.when, When::At(instant("2026-03-29T01:30:00Z")));
    assert!(
        gap.warnings[0].message.contains("taken as 2026-03-29T03:30:00"),
        "{:?}",
        gap.warnings
    );
    let fold = at("2026-10-25T02:30", None);
    assert_eq!(fold.when, When::At(instant("2026-10-25T00:30:00Z")));
    assert!(
        fold.warnings[0].message.contains("the first time"),
        "{:?}",
        fold.warnings
    );
}

#[test]
fn a_single_time_is_due_once() {
    let schedule = at("2026-07-02T09:00:00Z", None);
    let due = Some(instant("2026-07-02T09:00:00Z"));
    assert_eq!(schedule.next(instant("2026-07-02T08:59:59Z")), due);
    assert_eq!(schedule.next(instant("2026-07-02T09:00:00Z")), None);
    assert_eq!(schedule.next(instant("2027-07-02T09:00:00Z")), None);
}

#[test]
fn a_schedule_is_an_expression_or_a_time_and_all_that_is_wrong_is_said() {
    assert_eq!(keys(None, None, None), ["cron"]);
    assert_eq!(keys(Some("@daily"), Some("2026-07-02T09:00Z"), None), ["at"]);
    assert_eq!(keys(Some(" "), None, None), ["cron"]);
    assert_eq!(keys(Some("0 0 31 2 *"), None, Some("Mars")), ["tz", "cron"]);
    assert_eq!(keys(None, Some("soon"), Some("")), ["tz", "at"]);
}

#[test]
fn the_fingerprint_is_that_of_the_times_which_are_meant() {
    let cron = |text: &str, tz: Option<&str>| Schedule::parse(Some(text), None, tz, &host()).unwrap().fingerprint();
    assert_eq!(cron("0 0 * * *", None), cron("@daily", Some("europe/berlin")));
    assert_ne!(cron("@daily", None), cron("@daily", Some("Europe/Paris")));
    assert_ne!(cron("0 0 1 * *", None), cron("0 0 1 * 0-6", None));
    assert_eq!(
        at("2026-07-02T09:00", None).fingerprint(),
        at("2026-07-02T16:00", Some("Asia/Tokyo")).fingerprint()
    );
}
