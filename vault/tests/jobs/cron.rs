//! What an expression may be, what it means, and when it is due next.

use pretty_assertions::assert_eq;
use reveille_vault::agent::{Cron, CronError};

use crate::{instant, zone};

fn cron(text: &str) -> Cron {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn next_is(text: &str, in_zone: &str, after: &str, expected: &str) {
    let found = cron(text).next(&zone(in_zone), instant(after));
    assert_eq!(found, Some(instant(expected)), "{text} in {in_zone} after {after}");
}

const LA: &str = "America/Los_Angeles";

#[test]
fn ac_200_what_fields_mean() {
    for (text, lists) in [
        ("* * * * *", "* * * * *"),
        ("*/15 * * * *", "0,15,30,45 * * * *"),
        ("0 9 * * 1-5", "0 9 * * 1,2,3,4,5"),
        ("0,30 * * * *", "0,30 * * * *"),
        ("0-30/10 * * * *", "0,10,20,30 * * * *"),
        ("0 5/2 * * *", "0 5,7,9,11,13,15,17,19,21,23 * * *"),
        ("1-10/3,50 * * * *", "1,4,7,10,50 * * * *"),
        ("*/90 * * * *", "0 * * * *"),
        ("*/99999999999999999999 * * * *", "0 * * * *"),
        ("5/90 * * * *", "5 * * * *"),
        ("007 09 01 06 0", "7 9 1 6 0"),
        (" \t0   9\n* *\t1 ", "0 9 * * 1"),
        ("5,1,5,3-1,2", "error"),
        ("5,1,5,2-3 * * * *", "1,2,3,5 * * * *"),
        // Not exactly `*`: a list of all.
        ("0 0 */2 * 6", "0 0 1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31 * 6"),
        ("0 0 1 * *,*", "0 0 1 * 0,1,2,3,4,5,6"),
        ("0 0 1 1-12 *", "0 0 1 1,2,3,4,5,6,7,8,9,10,11,12 *"),
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        (" @monthly ", "0 0 1 * *"),
    ] {
        let parsed = text.parse::<Cron>();
        let found = parsed.as_ref().map_or("error", Cron::lists);
        assert_eq!(found, lists, "{text:?}");
    }
}

#[test]
fn ac_200_what_is_refused_and_which_field_it_is() {
    for (text, expected) in [
        ("", "five fields"),
        ("* * * *", "this one has 4"),
        ("0 * * * * *", "this one has 6"),
        ("60 * * * *", "minute: 60 is not in 0-59"),
        ("* 24 * * *", "hour: 24 is not in 0-23"),
        ("* * 0 * *", "day of month: 0 is not in 1-31"),
        ("* * 32 * *", "day of month: 32 is not in 1-31"),
        ("* * * 0 *", "month: 0 is not in 1-12"),
        ("* * * 13 *", "month: 13 is not in 1-12"),
        ("* * * * 7", "day of week: 7 is not in 0-6 (0 is Sunday)"),
        ("* * * * 5-7", "day of week: 7 is not in 0-6 (0 is Sunday)"),
        ("* * * * MON", "day of week: \"MON\" is no number"),
        ("* * * JAN *", "month: \"JAN\" is no number"),
        ("9-5 * * * *", "minute: 9-5 runs backwards"),
        ("*/0 * * * *", "minute: the step \"0\""),
        ("*/00 * * * *", "minute: the step \"00\""),
        ("*/ * * * *", "minute: the step \"\""),
        ("*/-2 * * * *", "minute: the step \"-2\""),
        ("*/1.5 * * * *", "minute: the step \"1.5\""),
        (", * * * *", "minute: an entry of the list is empty"),
        ("1,,2 * * * *", "minute: an entry of the list is empty"),
        ("1, * * * *", "minute: an entry of the list is empty"),
        ("-5 * * * *", "minute: \"\" is no number"),
        ("1--5 * * * *", "minute: \"-5\" is no number"),
        ("1-2-3 * * * *", "minute: \"2-3\" is no number"),
        ("*-5 * * * *", "minute: \"*\" is no number"),
        ("*/2/3 * * * *", "minute: the step \"2/3\""),
        ("+5 * * * *", "minute: \"+5\" is no number"),
        ("1.5 * * * *", "minute: \"1.5\" is no number"),
        ("٣ * * * *", "minute: \"٣\" is no number"),
        ("** * * * *", "minute: \"**\" is no number"),
        ("4294967297 * * * *", "minute: 4294967297 is not in 0-59"),
        ("* * ? * *", "day of month: \"?\" is no number"),
        ("* * L * *", "day of month: \"L\" is no number"),
        ("* * 15W * *", "day of month: \"15W\" is no number"),
        ("* * * * 5#2", "day of week: \"5#2\" is no number"),
        ("* * * * +1", "day of week: \"+1\" is no number"),
        ("@yearly", "use @hourly, @daily, @weekly, @monthly"),
        ("@Daily", "use @hourly, @daily, @weekly, @monthly"),
        ("@every 5m", "use @hourly, @daily, @weekly, @monthly"),
        ("@", "use @hourly, @daily, @weekly, @monthly"),
        ("@daily 0 0 * *", "use @hourly, @daily, @weekly, @monthly"),
    ] {
        let Err(error) = text.parse::<Cron>() else {
            panic!("{text:?} was taken")
        };
        assert!(error.to_string().contains(expected), "{text:?}: {error}");
    }
}

#[test]
fn a_day_that_no_year_has_is_refused() {
    for text in ["0 0 31 2 *", "0 0 30,31 2 *", "0 0 31 2,4,6,9,11 *", "* * 30/9 2 *"] {
        assert_eq!(text.parse::<Cron>(), Err(CronError::Never), "{text}");
    }
    for text in ["0 0 29 2 *", "0 0 31 2,3 *", "0 0 30 4 *", "0 0 1,31 2 *", "0 0 31 2 1"] {
        assert!(text.parse::<Cron>().is_ok(), "{text}");
    }
}

#[test]
fn equal_are_those_that_mean_the_same_and_each_is_shown_as_it_was_written() {
    assert_eq!(cron("*/30 * * * *"), cron("0,30  * * * *"));
    assert_eq!(cron("@daily"), cron("0 0 * * *"));
    // Both kinds of days restricted, or one of them only: not the same.
    assert_ne!(cron("0 0 1 * *"), cron("0 0 1 * */1"));
    assert_eq!(cron(" 0   9 * * 1-5 ").to_string(), "0 9 * * 1-5");
    assert_eq!(cron(" @weekly").to_string(), "@weekly");
}

#[test]
fn ac_200_either_kind_of_day_will_do_when_both_are_given() {
    // 6 February 2026 is a Friday.
    next_is("0 0 13 * 5", "UTC", "2026-02-01T00:00:00Z", "2026-02-06T00:00:00Z");
    next_is("0 0 13 * 5", "UTC", "2026-02-06T00:00:00Z", "2026-02-13T00:00:00Z");
    next_is("0 0 15 * 5", "UTC", "2026-02-13T00:00:00Z", "2026-02-15T00:00:00Z");
    // Every day: all days of the month are given, or Mondays.
    next_is("0 0 1-31 * 1", "UTC", "2026-02-03T00:00:00Z", "2026-02-04T00:00:00Z");
    next_is("0 0 */2 * 1", "UTC", "2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z");
    next_is("0 0 */2 * 1", "UTC", "2026-02-03T00:00:00Z", "2026-02-05T00:00:00Z");
    next_is("0 0 20 * *,*", "UTC", "2026-02-03T00:00:00Z", "2026-02-04T00:00:00Z");
    next_is("0 0 20 * *", "UTC", "2026-02-03T00:00:00Z", "2026-02-20T00:00:00Z");
    next_is("0 0 * * 2", "UTC", "2026-02-03T00:00:00Z", "2026-02-10T00:00:00Z");
    next_is("0 0 31 2 1", "UTC", "2026-02-03T00:00:00Z", "2026-02-09T00:00:00Z");
}

#[test]
fn ac_200_the_next_minute_strictly_after() {
    next_is("53 7 * * *", LA, "2026-06-17T13:00:00Z", "2026-06-17T14:53:00Z");
    next_is("53 7 * * *", LA, "2026-06-17T15:00:00Z", "2026-06-18T14:53:00Z");
    next_is("0 * * * *", "UTC", "2026-06-17T10:17:00Z", "2026-06-17T11:00:00Z");
    next_is("* * * * *", "UTC", "2026-06-17T10:17:00Z", "2026-06-17T10:18:00Z");
    next_is("* * * * *", "UTC", "2026-06-17T10:17:59.999Z", "2026-06-17T10:18:00Z");
    next_is(
        "17 10 * * *",
        "UTC",
        "2026-06-17T10:16:59.999999999Z",
        "2026-06-17T10:17:00Z",
    );
    next_is("17 10 * * *", "UTC", "2026-06-17T10:17:00Z", "2026-06-18T10:17:00Z");
    next_is("17 10 * * *", "UTC", "2026-06-17T10:17:00.001Z", "2026-06-18T10:17:00Z");
    next_is("0 9 * * 1-5", "UTC", "2026-06-19T10:00:00Z", "2026-06-22T09:00:00Z");
    next_is("0 9 * * 1-5", LA, "2026-06-20T19:00:00Z", "2026-06-22T16:00:00Z");
    next_is("0 0 1 * *", "UTC", "2026-01-31T12:00:00Z", "2026-02-01T00:00:00Z");
    next_is("0 0 1 1 *", "UTC", "2026-06-17T00:00:00Z", "2027-01-01T00:00:00Z");
    next_is("0 0 29 2 *", "UTC", "2026-06-17T00:00:00Z", "2028-02-29T00:00:00Z");
    next_is("0 6 1 * *", LA, "2026-06-15T19:00:00Z", "2026-07-01T13:00:00Z");
    next_is("30 7 15 * *", LA, "2026-06-20T00:00:00Z", "2026-07-15T14:30:00Z");
    next_is(
        "0 6 15 * *",
        "Asia/Tokyo",
        "2026-06-20T00:00:00Z",
        "2026-07-14T21:00:00Z",
    );
    next_is("59 23 31 12 *", "UTC", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z");
    // Noon here and noon there, seven hours apart.
    next_is("0 12 * * *", "UTC", "2026-06-17T00:00:00Z", "2026-06-17T12:00:00Z");
    next_is("0 12 * * *", LA, "2026-06-17T00:00:00Z", "2026-06-17T19:00:00Z");
    // An expression once read is asked about several zones.
    let noon = cron("0 12 * * *");
    for (name, expected) in [
        ("Asia/Kathmandu", "2026-06-17T06:15:00Z"),
        ("Pacific/Chatham", "2026-06-17T23:15:00Z"),
    ] {
        let found = noon.next(&zone(name), instant("2026-06-17T00:00:00Z"));
        assert_eq!(found, Some(instant(expected)), "{name}");
    }
}

#[test]
fn a_leap_day_is_found_across_a_century_and_nothing_beyond_the_calendar() {
    next_is("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z");
    let beyond = cron("0 0 1 1 *").next(&zone("UTC"), instant("9999-06-01T00:00:00Z"));
    assert_eq!(beyond, None);
}

#[test]
fn ac_200_a_wall_time_that_the_clock_jumps_over_is_left_out_that_day() {
    next_is("30 2 * * *", LA, "2026-03-07T12:00:00Z", "2026-03-09T09:30:00Z");
    // The hour is gone, the minutes around it are not.
    next_is("*/30 * * * *", LA, "2026-03-08T09:30:00Z", "2026-03-08T10:00:00Z");
    next_is("0 3 * * *", LA, "2026-03-08T09:30:00Z", "2026-03-08T10:00:00Z");
    // Half an hour, at midnight's side of the world.
    next_is(
        "15 2 * * *",
        "Australia/Lord_Howe",
        "2026-10-03T12:00:00Z",
        "2026-10-04T15:15:00Z",
    );
}

#[test]
fn ac_200_a_wall_time_that_comes_twice_happens_the_first_time() {
    // 01:30 PDT, and not again at 01:30 PST.
    next_is("30 1 * * *", LA, "2026-11-01T00:00:00Z", "2026-11-01T08:30:00Z");
    next_is("30 1 * * *", LA, "2026-11-01T08:30:00Z", "2026-11-02T09:30:00Z");
    next_is("30 1 * * *", LA, "2026-11-01T09:00:00Z", "2026-11-02T09:30:00Z");
    // Silent while the hour is repeated.
    next_is("*/10 * * * *", LA, "2026-11-01T08:40:00Z", "2026-11-01T08:50:00Z");
    next_is("*/10 * * * *", LA, "2026-11-01T08:50:00Z", "2026-11-01T10:00:00Z");
    next_is("*/10 * * * *", LA, "2026-11-01T09:25:30Z", "2026-11-01T10:00:00Z");
    // Not so where no clock is turned.
    next_is("*/10 * * * *", "UTC", "2026-11-01T08:50:00Z", "2026-11-01T09:00:00Z");
}

#[test]
fn ac_201_midnight_s_hour_of_the_monday_after_the_clock_went_forward_in_los_angeles() {
    next_is("30 0 * * 1", LA, "2026-03-02T08:30:00Z", "2026-03-09T07:30:00Z");
}

#[test]
fn ac_201_midnight_of_a_date_after_the_clock_went_forward_in_los_angeles() {
    next_is("0 0 9 3 *", LA, "2026-03-01T08:00:00Z", "2026-03-09T07:00:00Z");
}

#[test]
fn ac_201_midnight_s_hour_of_the_monday_after_the_clock_went_forward_in_london() {
    next_is(
        "15 0 * * 1",
        "Europe/London",
        "2026-03-23T00:15:00Z",
        "2026-03-29T23:15:00Z",
    );
}
