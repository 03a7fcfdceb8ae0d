//! What the command line prints. A reader that went away ends the command quietly.

use std::io::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Prints a line on stdout.
macro_rules! out {
    ($($text:tt)*) => { $crate::cli::output::line(&format!($($text)*)) };
}
pub(crate) use out;

/// Prints a line on stdout.
pub(crate) fn line(text: &str) {
    let mut stdout = std::io::stdout().lock();
    if writeln!(stdout, "{text}").and_then(|()| stdout.flush()).is_err() {
        // `reveille … | head`: nobody reads any more.
        std::process::exit(0);
    }
}

/// Prints a line on stderr.
pub(crate) fn note(text: &str) {
    // silent-ok: without stderr there is nobody to tell.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints text on stderr as it comes, without a line end.
pub(crate) fn piece(text: &str) {
    let mut stderr = std::io::stderr().lock();
    // silent-ok: without stderr there is nobody to tell.
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}

/// Says why the command failed.
pub(crate) fn complain(text: &str) {
    note(&format!("reveille: {text}"));
}

/// Columns, each as wide as its widest cell.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let print = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        line(padded.join("  ").trim_end());
    };
    print(&head.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>());
    rows.iter().for_each(|row| print(row));
}

/// The same with control characters made harmless: notes and errors may hold terminal escapes.
pub(crate) fn safe(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// One line of it.
pub(crate) fn one_line(text: &str, chars: usize) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    safe(&crate::inbox::shown(&flat, chars))
}

/// A text of the daemon's, harmless.
pub(crate) fn text(value: &serde_json::Value) -> String {
    safe(value.as_str().unwrap_or_default())
}

/// The end of an identity: identities are made in order of time, so their beginnings look alike.
pub(crate) fn short(id: &serde_json::Value) -> String {
    let id = text(id);
    id.get(id.len().saturating_sub(8)..).unwrap_or(&id).to_owned()
}

/// A time of the daemon's by the local clock, to the minute; nothing for none.
pub(crate) fn local(at: &serde_json::Value) -> String {
    by_clock(at, TimeZone::system())
}

/// The same by the clock of a zone.
pub(crate) fn by_clock(at: &serde_json::Value, zone: TimeZone) -> String {
    match at.as_str().map(str::parse::<Timestamp>) {
        Some(Ok(at)) => at.to_zoned(zone).strftime("%a %Y-%m-%d %H:%M").to_string(),
        _ => text(at),
    }
}

/// Pretty JSON.
pub(crate) fn json(value: &serde_json::Value) {
    line(&format!("{value:#}"));
}
