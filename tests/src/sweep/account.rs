//! What the stand-in reported of its turns, by its own account, beside what the daemon has recorded.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::check::Ends;
use crate::daemon::{Journal, Spend};

/// Input tokens, output tokens, billionths of a US dollar.
type Amount = [u64; 3];

/// Reports that may have been lost, of one turn: more of them are not tried in all combinations.
const LOST_MAX: usize = 12;

/// A line that the stand-in writes.
#[derive(Deserialize)]
struct Line {
    turn: String,
    process: u32,
    /// Of the process, until then.
    spent: Spent,
}

#[derive(Deserialize)]
struct Spent {
    input: u64,
    output: u64,
    usd: f64,
}

/// The last report of each process, by turn and run of the daemon.
#[derive(Debug, Default)]
pub(super) struct Account {
    reports: BTreeMap<String, BTreeMap<(u32, u32), Amount>>,
}

/// How the two compare.
#[derive(Debug, Default)]
pub(super) struct Balance {
    /// Sentences. Each is a bug.
    pub(super) violations: Vec<String>,
    /// Billionths of a US dollar.
    pub(super) recorded: u64,
    /// Billionths of a US dollar, reported to a daemon that died before it wrote them down.
    pub(super) lost: u64,
}

impl Account {
    /// Reads the files of a directory, one for each run of the daemon and named by its number.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let mut account = Self::default();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let run: u32 = entry.file_name().to_string_lossy().parse().context("a ledger's name")?;
            for line in std::fs::read_to_string(entry.path())?.lines() {
                let line: Line = serde_json::from_str(line).with_context(|| line.to_owned())?;
                let amount = [line.spent.input, line.spent.output, nano(line.spent.usd)];
                account
                    .reports
                    .entry(line.turn)
                    .or_default()
                    .insert((run, line.process), amount);
            }
        }
        Ok(account)
    }

    /// Each settled turn has recorded all that was reported to the run of the daemon that settled it. What was reported to one
    /// that died may be recorded too, or be lost with it; nothing else is recorded, and nothing twice.
    pub(super) fn balance(&self, journal: &Journal, ends: &Ends) -> Balance {
        let mut balance = Balance::default();
        for turn in journal.turns.iter().filter(|turn| turn.is_settled()) {
            let recorded = amount(turn.spend);
            balance.recorded += recorded[2];
            let (mut sure, mut perhaps) = (Amount::default(), Vec::new());
            for ((run, _), reported) in self.reports.get(&turn.id.to_string()).into_iter().flatten() {
                if Some(run) == ends.run_of(turn.id) {
                    sure = plus(sure, *reported);
                } else {
                    perhaps.push(*reported);
                }
            }
            let all = perhaps.iter().fold(sure, |sum, part| plus(sum, *part));
            balance.lost += all[2].saturating_sub(recorded[2]);
            if !explains(sure, &perhaps, recorded) {
                balance.violations.push(format!(
                    "turn {} ({}) has recorded {recorded:?}; {sure:?} was reported to the daemon that settled it, and to \
                     earlier ones {perhaps:?}",
                    turn.id, turn.state
                ));
            }
        }
        balance
    }

    /// All that was reported of turns that are not there.
    pub(super) fn unknown(&self, journal: &Journal) -> Vec<String> {
        let known: std::collections::BTreeSet<String> = journal.turns.iter().map(|turn| turn.id.to_string()).collect();
        let unknown = self.reports.keys().filter(|turn| !known.contains(*turn));
        unknown
            .map(|turn| format!("a child reported for {turn:?}, which is no turn"))
            .collect()
    }
}

fn amount(spend: Spend) -> Amount {
    [spend[0], spend[1], spend[4]]
}

fn plus(one: Amount, other: Amount) -> Amount {
    [one[0] + other[0], one[1] + other[1], one[2] + other[2]]
}

/// Whether `recorded` is `sure` and some of `perhaps`.
fn explains(sure: Amount, perhaps: &[Amount], recorded: Amount) -> bool {
    let perhaps = &perhaps[..perhaps.len().min(LOST_MAX)];
    (0..1_u32 << perhaps.len()).any(|chosen| {
        let parts = perhaps.iter().enumerate().filter(|(place, _)| chosen >> place & 1 == 1);
        parts.fold(sure, |sum, (_, part)| plus(sum, *part)) == recorded
    })
}

fn nano(usd: f64) -> u64 {
    let nano = (usd * 1e9).round();
    if !(0.0..9e15).contains(&nano) {
        return 0;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded above")]
    let whole = nano as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_made_of_reports() {
        let (a, b, c) = ([1, 2, 3], [10, 20, 30], [100, 200, 300]);
        for (recorded, fits) in [
            ([1, 2, 3], true),
            ([11, 22, 33], true),
            ([101, 202, 303], true),
            ([111, 222, 333], true),
            ([10, 20, 30], false),
            ([0, 0, 0], false),
            ([21, 42, 63], false),
            ([11, 22, 303], false),
        ] {
            assert_eq!(explains(a, &[b, c], recorded), fits, "{recorded:?}");
        }
    }
}
