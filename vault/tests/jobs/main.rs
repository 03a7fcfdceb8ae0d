//! Jobs as they are written: cron expressions, times on the clocks of zones, and the notes that carry them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "all of this is test code, the helpers too"
)]

mod at;
mod cron;
mod notes;
mod reference;
mod zones;

use jiff::Timestamp;
use jiff::tz::TimeZone;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}
