//! The daemon's own process, under the names that such figures have everywhere. What a system does not tell is left out.

use std::fs;

use jiff::Timestamp;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use rustix::process::{Resource, getrlimit};

/// The kernel tells programs times in hundredths of a second (`USER_HZ`), on every architecture that we are built for.
const TICKS: f64 = 100.0;

/// Seconds of processor time.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?; // silent-ok: another system
    // The name of the program stands in brackets, and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok(); // silent-ok: another system
    Some((ticks()? + ticks()?) / TICKS)
}

/// Bytes in memory.
fn resident() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?; // silent-ok: another system
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().trim_end_matches("kB").trim().parse().ok()?; // silent-ok: another system
    kib.checked_mul(1024)
}

/// Open file descriptors, the one that this takes left out.
fn descriptors() -> Option<i64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count(); // silent-ok: another system
    i64::try_from(open).ok()?.checked_sub(1)
}

/// What is known now.
pub(super) fn registry(started_at: Timestamp) -> Registry {
    let mut all = Registry::with_prefix("process");
    if let Some(seconds) = cpu_seconds() {
        all.register(
            "cpu_seconds",
            "Processor time of the daemon, without its children",
            ConstCounter::new(seconds),
        );
    }
    if let Some(bytes) = resident() {
        all.register(
            "resident_memory_bytes",
            "Memory of the daemon, without its children",
            ConstGauge::new(bytes),
        );
    }
    if let Some(open) = descriptors() {
        all.register("open_fds", "Open file descriptors", ConstGauge::new(open));
    }
    if let Some(most) = getrlimit(Resource::Nofile)
        .current
        .and_then(|most| i64::try_from(most).ok())
    {
        all.register(
            "max_fds",
            "Most file descriptors that can be open",
            ConstGauge::new(most),
        );
    }
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^53")]
    let seconds = started_at.as_millisecond() as f64 / 1000.0;
    all.register(
        "start_time_seconds",
        "When the daemon started, in seconds since 1970",
        ConstGauge::new(seconds),
    );
    all
}
