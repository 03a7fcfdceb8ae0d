//! Cron expressions: five fields of numbers, or a macro.
//!
//! The dialect is checked here and given to the crate underneath as plain lists of numbers, so that whatever else that crate
//! would understand can never be written. It searches the calendar only; what a zone makes of a wall time is decided in
//! [`Cron::next`].

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// The macros and what they stand for.
const MACROS: [(&str, &str); 4] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
];

/// One of the five fields.
struct Field {
    name: &'static str,
    min: u32,
    max: u32,
}

const FIELDS: [Field; 5] = [
    Field::new("minute", 0, 59),
    Field::new("hour", 0, 23),
    Field::new("day of month", 1, 31),
    Field::new("month", 1, 12),
    Field::new("day of week", 0, 6),
];

/// Days of each month in the longest year.
const MONTH_DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Why a text is no cron expression, in words that say what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not five fields.
    #[error(
        "an expression has five fields (minute, hour, day of month, month, day of week), this one has {0}; such as `0 9 * * 1-5`"
    )]
    Fields(usize),
    /// A word with `@` that stands for nothing.
    #[error("{0:?} is not known; use @hourly, @daily, @weekly, @monthly or five fields such as `0 9 * * 1-5`")]
    Macro(String),
    /// A field that does not hold together.
    #[error("{field}: {what}")]
    Field {
        /// The name of the field.
        field: &'static str,
        /// What is wrong and what is accepted.
        what: String,
    },
    /// A day that no year has, such as 31 February.
    #[error("no year has such a day: day of month and month never meet")]
    Never,
}

/// A cron expression: wall-clock minutes, in whatever zone it is asked about. Equal are those that mean the same minutes.
#[derive(Clone)]
pub struct Cron {
    /// As given, with single blanks.
    text: Arc<str>,
    /// Every field as `*` or as a list of numbers.
    lists: Arc<str>,
    search: Arc<croner::Cron>,
}

impl Field {
    const fn new(name: &'static str, min: u32, max: u32) -> Self {
        Self { name, min, max }
    }

    fn wrong(&self, what: impl Into<String>) -> CronError {
        CronError::Field {
            field: self.name,
            what: what.into(),
        }
    }

    /// A value of this field.
    fn value(&self, text: &str) -> Result<u32, CronError> {
        let (min, max) = (self.min, self.max);
        match digits(text) {
            Some(value) if (min..=max).contains(&value) => Ok(value),
            Some(_) if self.name == "day of week" => Err(self.wrong(format!("{text} is not in 0-6 (0 is Sunday)"))),
            Some(_) => Err(self.wrong(format!("{text} is not in {min}-{max}"))),
            None => Err(self.wrong(format!(
                "{text:?} is no number; only numbers are known here, {min}-{max}"
            ))),
        }
    }

    /// The numbers that an entry of a list means: `*`, `a`, `a-b`, each with `/n` or without.
    fn entry(&self, entry: &str) -> Result<impl Iterator<Item = u32> + use<>, CronError> {
        if entry.is_empty() {
            return Err(self.wrong("an entry of the list is empty"));
        }
        let (range, step) = match entry.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (entry, None),
        };
        let (first, last) = if range == "*" {
            (self.min, self.max)
        } else if let Some((first, last)) = range.split_once('-') {
            (self.value(first)?, self.value(last)?)
        } else {
            let first = self.value(range)?;
            (first, if step.is_some() { self.max } else { first })
        };
        if first > last {
            return Err(self.wrong(format!("{range} runs backwards; write the lower number first")));
        }
        let step = match step.map(|step| (step, digits(step))) {
            None => 1,
            Some((_, Some(step))) if step > 0 => step,
            Some((step, _)) => return Err(self.wrong(format!("the step {step:?} will not do; a whole number from 1"))),
        };
        Ok((first..=last).step_by(usize::try_from(step).unwrap_or(usize::MAX)))
    }

    /// All numbers of the field, one bit each; `None` for exactly `*`, which asks for nothing.
    fn parse(&self, text: &str) -> Result<Option<u64>, CronError> {
        if text == "*" {
            return Ok(None);
        }
        let mut bits = 0;
        for entry in text.split(',') {
            bits |= self.entry(entry)?.fold(0, |bits, value| bits | 1_u64 << value);
        }
        Ok(Some(bits))
    }
}

/// A number of digits alone; what is too large for a `u32` becomes the largest.
fn digits(text: &str) -> Option<u32> {
    let all = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    all.then(|| text.parse().unwrap_or(u32::MAX))
}

/// The numbers of a field.
fn values(bits: u64) -> impl Iterator<Item = u32> {
    (0..u64::BITS).filter(move |value| bits & 1 << value != 0)
}

/// Whether some year has one of these days in one of these months.
fn meet(days: Option<u64>, months: Option<u64>) -> bool {
    let first_day = days.map_or(1, u64::trailing_zeros);
    let mut all = (1..).zip(MONTH_DAYS);
    all.any(|(month, length)| months.is_none_or(|months| months & 1_u64 << month != 0) && first_day <= length)
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let trimmed = text.trim();
        let plain = match MACROS.iter().find(|(word, _)| *word == trimmed) {
            Some((_, plain)) => plain,
            None if trimmed.starts_with('@') => return Err(CronError::Macro(trimmed.chars().take(40).collect())),
            None => trimmed,
        };
        let given: Vec<&str> = plain.split_whitespace().collect();
        let Ok(given) = <[&str; 5]>::try_from(given.as_slice()) else {
            return Err(CronError::Fields(given.len()));
        };
        let mut fields = [None; 5];
        for ((field, text), place) in FIELDS.iter().zip(given).zip(&mut fields) {
            *place = field.parse(text)?;
        }
        let [_, _, days, months, weekdays] = fields;
        // With both kinds of days given, either will do, and every week has its days.
        if weekdays.is_none() && !meet(days, months) {
            return Err(CronError::Never);
        }
        let lists = fields.map(|bits| match bits {
            None => "*".to_owned(),
            Some(bits) => values(bits)
                .map(|value| value.to_string())
                .collect::<Vec<_>>()
                .join(","),
        });
        let lists = lists.join(" ");
        let search = lists
            .parse()
            .map_err(|error: croner::errors::CronError| CronError::Field {
                field: "expression",
                what: error.to_string(),
            })?;
        let text = match plain == trimmed {
            true => given.join(" "),
            false => trimmed.to_owned(),
        };
        Ok(Self {
            text: text.into(),
            lists: lists.into(),
            search: Arc::new(search),
        })
    }
}

impl Cron {
    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it means, with every range, step and macro written out as a list: the same for two texts that mean the same.
    #[must_use]
    pub fn lists(&self) -> &str {
        &self.lists
    }

    /// The first occurrence strictly after a time; `None` only at the end of the calendar.
    ///
    /// An occurrence is a minute on the clock of the zone. One that the clock jumps over (in spring) does not happen that
    /// day. One that the clock shows twice (in autumn) happens once, the first time; so `*/10` is silent during the hour that
    /// is repeated. In `UTC` there is neither.
    #[must_use]
    pub fn next(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        let mut wall = whole_minute(zone.to_datetime(after))?;
        loop {
            // silent-ok: its only error for such lists is that the calendar ends
            wall = self.search.find_next_occurrence(&wall, false).ok()?;
            let place = zone.to_ambiguous_timestamp(wall);
            if matches!(place.offset(), AmbiguousOffset::Gap { .. }) {
                continue;
            }
            // silent-ok: its only error is that the time is beyond the calendar
            let at = place.earlier().ok()?;
            // In the repeated hour the minutes ahead on the clock have been already.
            if at > after {
                return Some(at);
            }
        }
    }
}

/// The minute on the clock at a time.
fn whole_minute(at: DateTime) -> Option<DateTime> {
    // silent-ok: zero seconds exist in every minute
    at.with().second(0).subsec_nanosecond(0).build().ok()
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.lists == other.lists
    }
}

impl Eq for Cron {}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({})", self.text)
    }
}
