//! Cron expressions at the door of jobs: what is refused, and when the others are due, against a slow and plain evaluation.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::jobs::{JOB, JOBS, all, job, saved};
use super::{notes, post, refused, text, with_eng};

/// The values of a field that is well formed.
fn field(text: &str, (least, most): (i8, i8)) -> Result<BTreeSet<i8>> {
    let mut values = BTreeSet::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<usize>()?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (from.parse()?, to.parse()?),
            None if range == "*" => (least, most),
            None if step.is_some() => (range.parse()?, most),
            None => (range.parse()?, range.parse()?),
        };
        values.extend((from..=to).step_by(step.unwrap_or(1)));
    }
    Ok(values)
}

/// The first minute after a time whose wall clock fits, by looking at each one. A wall time that comes twice counts once.
fn next(expression: &str, zone: &TimeZone, after: Timestamp) -> Result<Option<Timestamp>> {
    let spelt = match expression.trim() {
        "@hourly" => "0 * * * *",
        "@daily" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        other => other,
    };
    let parts: Vec<&str> = spelt.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = parts[..] else {
        anyhow::bail!("five fields: {expression}")
    };
    let (minutes, hours) = (field(minute, (0, 59))?, field(hour, (0, 23))?);
    let (days, months, weekdays) = (field(day, (1, 31))?, field(month, (1, 12))?, field(weekday, (0, 6))?);
    let mut at = Timestamp::from_second(after.as_second().div_euclid(60) * 60)?;
    for _ in 0..400 * 24 * 60 {
        at += SignedDuration::from_mins(1);
        let wall = zone.to_datetime(at);
        let on_day = days.contains(&wall.day());
        let on_weekday = weekdays.contains(&wall.weekday().to_sunday_zero_offset());
        let fits_day = match (day == "*", weekday == "*") {
            (false, false) => on_day || on_weekday,
            _ => on_day && on_weekday,
        };
        let fits = minutes.contains(&wall.minute()) && hours.contains(&wall.hour()) && months.contains(&wall.month());
        if fits && fits_day && zone.to_ambiguous_zoned(wall).earlier()?.timestamp() == at {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

#[test]
fn the_slow_evaluation_is_right_where_the_answer_is_known() -> Result<()> {
    for (expression, zone, after, expected) in [
        (
            "53 7 * * *",
            "America/Los_Angeles",
            "2026-06-17T13:00:00Z",
            "2026-06-17T14:53:00Z",
        ),
        (
            "53 7 * * *",
            "America/Los_Angeles",
            "2026-06-17T15:00:00Z",
            "2026-06-18T14:53:00Z",
        ),
        ("0 0 13 * 5", "UTC", "2026-02-01T00:00:00Z", "2026-02-06T00:00:00Z"),
        (
            "30 2 * * *",
            "America/Los_Angeles",
            "2026-03-08T08:00:00Z",
            "2026-03-09T09:30:00Z",
        ),
        (
            "30 1 * * *",
            "America/Los_Angeles",
            "2026-11-01T08:30:00Z",
            "2026-11-02T09:30:00Z",
        ),
        (
            "30 0 * * 1",
            "America/Los_Angeles",
            "2026-03-02T08:30:00Z",
            "2026-03-09T07:30:00Z",
        ),
        (
            "15 0 * * 1",
            "Europe/London",
            "2026-03-23T00:15:00Z",
            "2026-03-29T23:15:00Z",
        ),
    ] {
        let found = next(expression, &TimeZone::get(zone)?, after.parse()?)?;
        ensure!(found == Some(expected.parse()?), "{expression} in {zone}: {found:?}");
    }
    Ok(())
}

#[tokio::test]
async fn ac_200_expressions_are_due_when_their_wall_clock_says() -> Result<()> {
    let daemon = with_eng().await?;
    let zones = [
        "UTC",
        "America/Los_Angeles",
        "Asia/Kolkata",
        "Australia/Lord_Howe",
        "europe/berlin",
        "US/Pacific",
    ];
    for (at, expression) in [
        "*/15 * * * *",
        "1-5 * * * *",
        "0,30 * * * *",
        "0-30/10 * * * *",
        "0 5/2 * * *",
        "1-10/3,50 * * * *",
        "*/90 * * * *",
        "007 09 * * *",
        "53 7 * * *",
        "0 9 * * 1-5",
        "0 0 1 * *",
        "0 0 1 1 *",
        "0 0 13 * 5",
        "0 0 1-31 * 1",
        "0 0 */2 * 1",
        "0 0 *,* * 1",
        "30 2 * * *",
        "0 6 15 * *",
        "  5\t4 *  * 0 ",
        "59 23 31 12 *",
        "@hourly",
        "@daily",
        "@weekly",
        "@monthly",
    ]
    .into_iter()
    .enumerate()
    {
        for (zone_at, zone) in zones.iter().enumerate() {
            let body = job(
                &format!("job-{at}-{zone_at}"),
                &json!({ "schedule": { "cron": expression, "tz": zone } }),
            );
            let before = Timestamp::now();
            let told = saved(&daemon, &body).await?;
            let due: Timestamp = text(&told, "nextRunAt").parse().with_context(|| told.to_string())?;
            let tz = TimeZone::get(zone)?;
            // It may have become later than that minute in between.
            let expected = [next(expression, &tz, before)?, next(expression, &tz, Timestamp::now())?];
            ensure!(
                expected.contains(&Some(due)),
                "{expression} in {zone}: {due}, not {expected:?}"
            );
        }
    }
    ensure!(all(&daemon).await?.len() == 24 * zones.len());
    Ok(())
}

#[tokio::test]
async fn ac_200_what_is_no_expression_names_the_field() -> Result<()> {
    let daemon = with_eng().await?;
    for (expression, word) in [
        ("* * * *", "five"),
        ("* * * * * *", "five"),
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day"),
        ("* * 32 * *", "day"),
        ("* * * 13 *", "month"),
        ("* * * 0 *", "month"),
        ("* * * * 7", "weekday"),
        ("* * * * MON", "weekday"),
        ("* * * JAN *", "month"),
        ("9-5 * * * *", "minute"),
        ("*/0 * * * *", "minute"),
        (", * * * *", "minute"),
        ("1,,2 * * * *", "minute"),
        ("-5 * * * *", "minute"),
        ("1--5 * * * *", "minute"),
        ("*/2/3 * * * *", "minute"),
        ("+5 * * * *", "minute"),
        ("1.5 * * * *", "minute"),
        ("* * L * *", "day"),
        ("? * * * *", "minute"),
        ("* * * * 5#1", "weekday"),
        ("* * 15W * *", "day"),
        ("\u{661} * * * *", "minute"),
        ("4294967297 * * * *", "minute"),
        ("@reboot", "@"),
        ("@yearly", "@"),
        ("@every 5m", "@"),
        ("0 0 30 2 *", ""),
        ("0 0 31 2,4,6,9,11 *", ""),
    ] {
        let body = job("nightly", &json!({ "schedule": { "cron": expression, "tz": "UTC" } }));
        let told =
            refused(&post(&daemon, &JOBS, &body).await?, 400, &["cron"]).with_context(|| expression.to_owned())?;
        let spelt = told.to_lowercase();
        let known = match word {
            "weekday" => spelt.contains("week"),
            "five" => spelt.contains("five") || spelt.contains('5'),
            other => spelt.contains(other),
        };
        ensure!(known, "{word} for {expression}: {told}");
    }
    ensure!(notes(&daemon, JOB).await?.is_empty());
    Ok(())
}
