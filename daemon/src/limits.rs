//! What a turn may cost, and whether it may run at all: budgets of the turn, of its agent's day, and of the chain of
//! hand-overs that it belongs to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use reveille_backends::Remedy;
use reveille_queue::{Claim, Pause};
use reveille_vault::agent::Definition;

use crate::config::Limits;
use crate::ending::nano_usd;
use crate::record::FailureRecord;

/// Hand-overs in a row after which a message is no longer worked on.
pub(crate) const DEPTH_MAX: u32 = 8;
/// Code of a pause, and of a failure, by the day's budget.
pub(crate) const DAY_BUDGET: &str = "day_budget";
/// Code of a refusal by a chain's budget.
pub(crate) const CHAIN_BUDGET: &str = "chain_budget";
/// Code of a refusal by the depth of a hand-over.
pub(crate) const TOO_DEEP: &str = "delegation_too_deep";
/// With less than this left (a cent, in billionths of a dollar) no turn of a chain is begun: it could not make one request.
const CRUMBS: u64 = 10_000_000;

/// Which budget an allowance comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The definition's own for one turn.
    Turn,
    /// What the agent has left of its day.
    Day,
    /// What the chain has left.
    Chain,
}

/// What a turn may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Billionths of a US dollar.
    pub(crate) nano_usd: u64,
    /// Whose limit it is.
    pub(crate) source: Source,
}

impl Allowance {
    /// US dollars, as the CLI takes them.
    #[expect(clippy::cast_precision_loss, reason = "a limit; the sums are kept in billionths")]
    pub(crate) fn usd(self) -> f64 {
        self.nano_usd as f64 / 1e9
    }
}

/// What the limits say to a turn before it begins.
#[derive(Debug, PartialEq)]
pub(crate) enum Check {
    /// It may run.
    Run(Option<Allowance>),
    /// It ends here.
    Refuse(FailureRecord),
    /// It waits, and so does its agent.
    Wait(Pause),
}

/// What running turns of each chain may still cost: turns that run at the same time must not spend the same money. Cheap to
/// clone.
#[derive(Clone, Default)]
pub(crate) struct Reservations {
    chains: Arc<Mutex<HashMap<String, u64>>>,
}

/// A part of a chain's budget. Dropping it gives it back.
pub(crate) struct Reserved {
    of: Reservations,
    chain: String,
    nano_usd: u64,
}

impl Reservations {
    /// Takes half of what is left of `left`: a turn that waits for one that it has started must not have everything. `None`:
    /// only crumbs are left.
    fn take(&self, chain: &str, left: u64) -> Option<Reserved> {
        let mut chains = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
        let reserved = chains.entry(chain.to_owned()).or_default();
        let share = left.saturating_sub(*reserved) / 2;
        if share < CRUMBS / 2 {
            if *reserved == 0 {
                chains.remove(chain);
            }
            return None;
        }
        *reserved += share;
        Some(Reserved {
            of: self.clone(),
            chain: chain.to_owned(),
            nano_usd: share,
        })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut chains = self.of.chains.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reserved) = chains.get_mut(&self.chain) {
            *reserved = reserved.saturating_sub(self.nano_usd);
            if *reserved == 0 {
                chains.remove(&self.chain);
            }
        }
    }
}

fn refused(code: &str, message: String, next_step: &str) -> Check {
    Check::Refuse(FailureRecord {
        code: code.into(),
        message,
        next_step: next_step.into(),
        remedy: Remedy::Permanent,
    })
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn dollars(nano_usd: u64) -> String {
    format!("${:.2}", nano_usd as f64 / 1e9)
}

/// The next midnight, UTC.
pub(crate) fn tomorrow(now: Timestamp) -> Timestamp {
    let midnight = now
        .to_zoned(TimeZone::UTC)
        .start_of_day()
        .and_then(|today| today.checked_add(1.day()));
    // Only at the end of time there is no tomorrow.
    midnight.map_or(Timestamp::MAX, |midnight| midnight.timestamp())
}

const LOOP_HINT: &str = "Look whether agents hand work to each other in a circle. To allow more, raise the limit under [limits], \
                         then send the message again.";

/// Whether a claimed turn may run, and what it may cost.
pub(crate) fn check(
    limits: &Limits,
    definition: &Definition,
    claim: &Claim,
    depth: u32,
    reservations: &Reservations,
    now: Timestamp,
) -> (Check, Option<Reserved>) {
    let chain = claim.chain;
    if depth > DEPTH_MAX {
        let message = format!("The message was handed on {depth} times in a row; the limit is {DEPTH_MAX}.");
        return (refused(TOO_DEEP, message, LOOP_HINT), None);
    }
    if chain.before >= limits.chain_messages || chain.turns >= limits.chain_turns {
        let message = format!(
            "The chain of messages that this one belongs to has reached its limit: {} messages and {} turns so far, {} and {} \
             are allowed.",
            chain.before, chain.turns, limits.chain_messages, limits.chain_turns
        );
        return (refused(CHAIN_BUDGET, message, LOOP_HINT), None);
    }
    let day = definition.budget_day_usd.or(limits.budget_day_usd).map(nano_usd);
    if let Some(day) = day.filter(|day| claim.today.nano_usd >= *day) {
        return (Check::Wait(day_is_over(day, now)), None);
    }
    let mut allowed = vec![];
    allowed.extend(definition.budget_turn_usd.map(|usd| (nano_usd(usd), Source::Turn)));
    allowed.extend(day.map(|day| (day - claim.today.nano_usd, Source::Day)));
    let mut reserved = None;
    if let Some(most) = limits.chain_usd.map(nano_usd) {
        reserved = reservations.take(&claim.message.chain, most.saturating_sub(chain.nano_usd));
        let Some(share) = &reserved else {
            let message = format!(
                "The chain of messages that this one belongs to has used its budget: {} of {}.",
                dollars(chain.nano_usd),
                dollars(most)
            );
            return (refused(CHAIN_BUDGET, message, LOOP_HINT), None);
        };
        allowed.push((share.nano_usd, Source::Chain));
    }
    let least = allowed.into_iter().min_by_key(|(nano_usd, _)| *nano_usd);
    let allowance = least.map(|(nano_usd, source)| Allowance { nano_usd, source });
    (Check::Run(allowance), reserved)
}

fn day_is_over(budget: u64, now: Timestamp) -> Pause {
    Pause {
        code: DAY_BUDGET.into(),
        reason: format!(
            "The agent has used its budget of {} for today. It goes on at midnight UTC; to go on now, raise budget_day_usd and \
             resume the agent.",
            dollars(budget)
        ),
        since: now,
        until: Some(tomorrow(now)),
    }
}

/// A turn that the CLI ended because of its budget, in the words of the limit that it came from.
pub(crate) fn explain(failure: &mut FailureRecord, allowance: Option<Allowance>) {
    match allowance.filter(|_| failure.code == "budget").map(|a| a.source) {
        Some(Source::Day) => {
            failure.code = DAY_BUDGET.into();
            failure.message =
                "The agent has used its budget for today. What it did so far is kept in the conversation.".into();
            failure.next_step =
                "Send a message such as “go on” tomorrow (UTC), or raise `budget_day_usd` in the agent's definition."
                    .into();
        }
        Some(Source::Chain) => {
            failure.code = CHAIN_BUDGET.into();
            failure.message =
                "The turn has used its share of the budget of the chain of messages that it belongs to. What it did \
                               so far is kept in the conversation."
                    .into();
            failure.next_step = LOOP_HINT.into();
        }
        Some(Source::Turn) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_day_ends_at_midnight() {
        for (now, expected) in [
            ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
            ("2026-12-31T23:59:59.999Z", "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(tomorrow(now.parse().unwrap()), expected.parse().unwrap());
        }
    }

    #[test]
    fn turns_of_a_chain_that_run_together_never_have_more_than_is_left() {
        let reservations = Reservations::default();
        let left = 1_000_000_000;
        let taken: Vec<Reserved> = std::iter::from_fn(|| reservations.take("c", left)).collect();
        let sum: u64 = taken.iter().map(|part| part.nano_usd).sum();
        assert!(
            taken.len() > 3 && sum <= left,
            "{sum} of {left} in {} parts",
            taken.len()
        );
        assert!(reservations.take("other", left).is_some());
        drop(taken);
        assert_eq!(reservations.take("c", left).map(|part| part.nano_usd), Some(left / 2));
        assert_eq!(reservations.chains.lock().unwrap().len(), 0);
    }
}
