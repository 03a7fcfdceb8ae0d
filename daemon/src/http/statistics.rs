//! `GET /api/statistics`: what the turns of the last days took, day by day on the clock of a zone, from what is on disk.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use http::StatusCode;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use reveille_queue::{ChannelName, Period, Spread, Tally};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::error::ApiError;
use super::turns::usd;

/// Days that are told unless asked otherwise.
const DAYS: u16 = 14;
/// Most days that are told.
const DAYS_MAX: u16 = 92;

/// Which days, and of whom.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// How many days, the present one included; 14 when absent.
    #[param(minimum = 1, maximum = 92)]
    days: Option<u16>,
    /// Name of the zone on whose clock days begin; that of the daemon, when absent.
    zone: Option<String>,
    /// An agent; all, when absent.
    agent: Option<String>,
}

/// How turns ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TurnCounts)]
pub(super) struct Counts {
    ok: u64,
    error: u64,
    cancelled: u64,
    interrupted: u64,
}

/// Milliseconds that half of them took at most, and nineteen of twenty.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quantiles)]
pub(super) struct Millis {
    p50: u64,
    p95: u64,
}

impl From<Spread> for Millis {
    fn from(spread: Spread) -> Self {
        let whole = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self {
            p50: whole(spread.p50),
            p95: whole(spread.p95),
        }
    }
}

/// The turns that ended on a day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DayStatistics)]
pub(super) struct Day {
    /// Such as 2026-11-26.
    day: String,
    turns: Counts,
    /// Those that ended with an error or were cut off for good.
    failures: u64,
    /// From their last start to their end; null when none ended.
    #[schema(required)]
    duration_ms: Option<Millis>,
    /// From the acceptance of their message to that start.
    #[schema(required)]
    wait_ms: Option<Millis>,
    cost_usd: f64,
    /// The prompt cache is not counted.
    input_tokens: u64,
    output_tokens: u64,
}

/// The turns of an agent that ended on these days.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentStatistics)]
pub(super) struct OfAgent {
    agent: String,
    turns: u64,
    failures: u64,
    cost_usd: f64,
}

/// What the turns of the last days took. Messages that were withdrawn in line are no turns.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Statistics {
    zone: String,
    /// The oldest first, also those without any turn.
    days: Vec<Day>,
    /// Those that had any, by name; also those that are no more.
    agents: Vec<OfAgent>,
}

impl Day {
    fn of(day: Date, period: &Period) -> Self {
        let tallies = period.channels.iter().map(|(_, tally)| *tally);
        let all = tallies.fold(Tally::default(), Tally::plus);
        Self {
            day: day.to_string(),
            turns: Counts {
                ok: all.ok,
                error: all.error,
                cancelled: all.cancelled,
                interrupted: all.interrupted,
            },
            failures: all.failures(),
            duration_ms: period.duration.map(Millis::from),
            wait_ms: period.wait.map(Millis::from),
            cost_usd: usd(all.nano_usd),
            input_tokens: all.input_tokens,
            output_tokens: all.output_tokens,
        }
    }
}

fn refused(message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", message.into())
        .then("Ask like ?days=14&zone=Europe/Berlin, or leave both out.")
}

/// The zone of a name, and what it is called.
fn zone_of(name: Option<&str>, own: &TimeZone) -> Result<(TimeZone, String), ApiError> {
    let Some(name) = name.map(str::trim) else {
        return Ok((own.clone(), own.iana_name().unwrap_or("UTC").to_owned()));
    };
    match TimeZone::get(name) {
        Ok(zone) if !zone.is_unknown() => {
            let name = zone.iana_name().unwrap_or(name).to_owned();
            Ok((zone, name))
        }
        _ => Err(refused(
            "`zone` is not the name of a zone, such as Europe/Berlin or UTC.",
        )),
    }
}

/// The last days, the oldest first, each with its beginning and that of the next one.
fn days(count: u16, zone: &TimeZone, now: Timestamp) -> Result<Vec<(Date, Timestamp, Timestamp)>, jiff::Error> {
    let today = now.to_zoned(zone.clone()).date();
    let begin = |date: Date| Ok::<_, jiff::Error>(date.to_zoned(zone.clone())?.start_of_day()?.timestamp());
    let back = (0..count).rev().map(|back| {
        let date = today.checked_sub(i64::from(back).days())?;
        Ok((date, begin(date)?, begin(date.tomorrow()?)?))
    });
    back.collect()
}

/// What the turns of the last days took, day by day.
#[utoipa::path(
    get, path = "/api/statistics", operation_id = "getStatistics", tag = "turns", params(Which),
    responses((status = 200, description = "Every day that was asked for, and who had turns.", body = Statistics)),
)]
pub(super) async fn show(
    State(api): State<Api>,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Json<Statistics>, ApiError> {
    let Query(which) = which.map_err(|error| refused(format!("{}.", error.body_text())))?;
    let count = which.days.unwrap_or(DAYS);
    if !(1..=DAYS_MAX).contains(&count) {
        return Err(refused(format!("`days` is {count}; it can be 1 to {DAYS_MAX}.")));
    }
    let channel: Option<ChannelName> = match &which.agent {
        None => None,
        Some(name) => Some(
            name.parse()
                .map_err(|_| refused("`agent` is not the name of an agent."))?,
        ),
    };
    let (zone, name) = zone_of(which.zone.as_deref(), api.inbox.jobs.zone())?;
    let asked = days(count, &zone, Timestamp::now())
        .map_err(|error| refused(format!("The days cannot be counted in that zone: {error}.")))?;
    let mut told = Vec::with_capacity(asked.len());
    let mut agents = BTreeMap::<ChannelName, Tally>::new();
    // One after the other: what else is read of the queue comes between.
    for (day, from, until) in asked {
        let period = api.queue.period(from, until, channel.as_ref()).await?;
        for (channel, tally) in &period.channels {
            let sum = agents.entry(channel.clone()).or_default();
            *sum = sum.plus(*tally);
        }
        told.push(Day::of(day, &period));
    }
    let agents = agents.into_iter().map(|(channel, tally)| OfAgent {
        agent: channel.to_string(),
        turns: tally.turns(),
        failures: tally.failures(),
        cost_usd: usd(tally.nano_usd),
    });
    Ok(Json(Statistics {
        zone: name,
        days: told,
        agents: agents.collect(),
    }))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn told(count: u16, zone: &str, now: &str) -> Vec<String> {
        let zone = TimeZone::get(zone).unwrap();
        let days = days(count, &zone, now.parse().unwrap()).unwrap();
        let one = |(day, from, until): (Date, Timestamp, Timestamp)| format!("{day} {from} {until}");
        days.into_iter().map(one).collect()
    }

    #[test]
    fn days_begin_on_the_clock_of_the_zone() {
        let utc = told(2, "UTC", "2026-11-26T23:30:00Z");
        assert_eq!(
            utc,
            [
                "2026-11-25 2026-11-25T00:00:00Z 2026-11-26T00:00:00Z",
                "2026-11-26 2026-11-26T00:00:00Z 2026-11-27T00:00:00Z"
            ]
        );
        let berlin = told(1, "Europe/Berlin", "2026-11-26T23:30:00Z");
        assert_eq!(berlin, ["2026-11-27 2026-11-26T23:00:00Z 2026-11-27T23:00:00Z"]);
        // Days of 23 and of 25 hours, and one that has no midnight.
        let spring = told(2, "Europe/Berlin", "2026-03-30T12:00:00Z");
        assert_eq!(spring[0], "2026-03-29 2026-03-28T23:00:00Z 2026-03-29T22:00:00Z");
        let autumn = told(1, "Europe/Berlin", "2026-10-25T12:00:00Z");
        assert_eq!(autumn, ["2026-10-25 2026-10-24T22:00:00Z 2026-10-25T23:00:00Z"]);
        let none = told(1, "America/Sao_Paulo", "2018-11-04T12:00:00Z");
        assert_eq!(none, ["2018-11-04 2018-11-04T03:00:00Z 2018-11-05T02:00:00Z"]);
    }
}
