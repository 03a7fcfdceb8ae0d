//! When a job is due: a cron expression or one time, on the clock of a zone.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, Zoned};

use super::{Cron, Problem};
use crate::note::millis;

/// What makes a job due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// Again and again.
    Cron(Cron),
    /// Once.
    At(Timestamp),
}

/// When a job is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What makes it due.
    pub when: When,
    /// Whose clock it goes by.
    pub zone: TimeZone,
    /// The name of that zone, as its database has it.
    pub zone_name: String,
    /// Whether the zone was named, and is not just the one of the host.
    pub zone_given: bool,
    /// What a person should know although the schedule stands: a time that the clock jumps over or shows twice.
    pub warnings: Vec<Problem>,
}

/// The zone of a name, and that name as the database has it.
fn named_zone(name: &str) -> Result<(TimeZone, String), Problem> {
    let wrong = |what: &str| {
        let names = "such as Europe/Berlin, America/New_York or UTC";
        Problem::new("tz", format!("{what}; use the name of a zone, {names}"))
    };
    let name = name.trim();
    if name.is_empty() {
        return Err(wrong("is blank"));
    }
    match TimeZone::get(name) {
        // The place-holder of the database counts as UTC, which nobody asked for.
        Ok(zone) if zone.is_unknown() => Err(wrong(&format!("{name:?} names no zone"))),
        Ok(zone) => {
            let found = zone.iana_name().unwrap_or(name).to_owned();
            Ok((zone, found))
        }
        Err(_) => Err(wrong(&format!("{name:?} is not known"))),
    }
}

/// The time that a text names, and what should be said about it.
fn time(text: &str, zone: &TimeZone, zone_name: &str) -> Result<(Timestamp, Option<Problem>), Problem> {
    let wrong = || {
        let like = "2026-07-02T09:00:00+02:00, or 2026-07-02T09:00 for a time in `tz`";
        Problem::new("at", format!("{text:?} is no time; write it like {like}"))
    };
    // A zone in brackets would be dropped without a word, and a day alone would mean its midnight.
    if text.contains('[') || !text.contains([':', 'T', 't']) {
        return Err(wrong());
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok((millis::truncate(at), None));
    }
    let wall: DateTime = text.parse().map_err(|_| wrong())?;
    let place = zone.to_ambiguous_zoned(wall);
    let offset = place.offset();
    let at: Zoned = place.compatible().map_err(|_| wrong())?;
    let remark = match offset {
        AmbiguousOffset::Unambiguous { .. } => None,
        AmbiguousOffset::Gap { .. } => Some(format!(
            "the clock of {zone_name} jumps over {wall}; taken as {}",
            at.datetime()
        )),
        AmbiguousOffset::Fold { .. } => Some(format!(
            "the clock of {zone_name} shows {wall} twice; taken as the first time, {}",
            at.timestamp()
        )),
    };
    let remark = remark.map(|remark| Problem::new("at", remark));
    Ok((millis::truncate(at.timestamp()), remark))
}

impl Schedule {
    /// Reads a schedule: exactly one of `cron` and `at`. Without `tz` it goes by the clock of `host`. A blank text is a wrong
    /// one; leave out what is not there.
    ///
    /// A local `at` that the clock jumps over is taken as much later as the clock jumps; one that it shows twice as the first.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn parse(
        cron: Option<&str>,
        at: Option<&str>,
        tz: Option<&str>,
        host: &TimeZone,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let host_name = || host.iana_name().unwrap_or("the zone of the host").to_owned();
        let zone = match tz.map(named_zone) {
            None => Some((host.clone(), host_name())),
            Some(zone) => zone.map_err(|problem| problems.push(problem)).ok(),
        };
        // What depends on the zone is checked in any, so that one reading names all that is wrong.
        let (zone, zone_name) = zone.unwrap_or((TimeZone::UTC, String::new()));
        let mut warnings = Vec::new();
        let when = match (cron.map(str::trim), at.map(str::trim)) {
            (None, None) => Err(Problem::new(
                "cron",
                "is missing; give it an expression such as `0 9 * * 1-5`, or `at` a time",
            )),
            (Some(_), Some(_)) => Err(Problem::new("at", "stands beside `cron`; a job has one of them")),
            (Some(""), None) => Err(Problem::new(
                "cron",
                "is blank; write an expression such as `0 9 * * 1-5`",
            )),
            (Some(cron), None) => match cron.parse() {
                Ok(cron) => Ok(When::Cron(cron)),
                Err(error) => Err(Problem::new("cron", error.to_string())),
            },
            (None, Some("")) => Err(Problem::new(
                "at",
                "is blank; write a time such as 2026-07-02T09:00:00+02:00",
            )),
            (None, Some(at)) => time(at, &zone, &zone_name).map(|(at, remark)| {
                warnings.extend(remark);
                When::At(at)
            }),
        };
        match when {
            Ok(when) if problems.is_empty() => Ok(Self {
                when,
                zone,
                zone_name,
                zone_given: tz.is_some(),
                warnings,
            }),
            Ok(_) => Err(problems),
            Err(problem) => {
                problems.push(problem);
                Err(problems)
            }
        }
    }

    /// The first time strictly after another at which the job is due; of a single time: that, as long as it is ahead.
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.when {
            When::Cron(cron) => cron.next(&self.zone, after),
            When::At(at) => (*at > after).then_some(*at),
        }
    }

    /// Text that is the same as long as the same times are meant.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        match &self.when {
            When::Cron(cron) => format!("cron {} in {}", cron.lists(), self.zone_name),
            When::At(at) => format!("at {}", millis::format(*at)),
        }
    }
}
