//! What is to be done about a job now. Pure: the same question has the same answer.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use reveille_vault::agent::{CatchUp, Job, Schedule, When};

use super::model::{Code, Horizon, Run, RunKind, Spec, Standing, Written};

/// Lateness that counts as on time, as long as the daemon serves. A note that is not older than this when it is first seen has just been written: its
/// occurrences count from then on.
pub(super) const ON_TIME: SignedDuration = SignedDuration::from_secs(60);
/// An occurrence is made up for within half the time to the next one, but not less and not more than this.
const WINDOW: (SignedDuration, SignedDuration) = (SignedDuration::from_mins(2), SignedDuration::from_hours(2));
/// Skipped occurrences that are counted one by one: 69 days of a job of every minute.
const COUNTED_MAX: u32 = 100_000;

/// What else is known.
pub(super) struct Known<'a> {
    /// Whose clock counts where a schedule names no zone.
    pub(super) host: &'a TimeZone,
    /// Occurrences that have run, as far back as they are kept.
    pub(super) fired: &'a BTreeSet<Timestamp>,
    /// The first occurrence may have run without anybody having written it down: before the start, or in an attempt whose
    /// outcome is not known.
    pub(super) unsure: bool,
    /// Since when the daemon serves: what was due before that is late, however little.
    pub(super) served_since: Timestamp,
    /// Why the last attempt failed.
    pub(super) trouble: Option<&'a str>,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing, until the horizon.
    Rest,
    /// Find out whether this occurrence has run.
    Check(Timestamp),
    /// Run this occurrence.
    Fire(Timestamp, RunKind),
}

/// The answer: first `horizon` and `runs` are written down together, then comes the step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// `None`: nothing is known of the job, and nothing needs to be.
    pub(super) horizon: Option<Horizon>,
    /// What has been decided.
    pub(super) runs: Vec<Run>,
    /// What follows.
    pub(super) step: Step,
}

/// Whether nothing has to be done or written: the usual case, found out without looking at anything else.
pub(super) fn is_quiet(stored: &Horizon, spec: &Spec<'_>, now: Timestamp) -> bool {
    let Some(job) = spec.job else {
        return stored.standing == Standing::Broken;
    };
    let asked = asked(job);
    if stored.standing != asked || stored.schedule.fingerprint != job.schedule.fingerprint() {
        return false;
    }
    asked != Standing::Active
        || match (stored.next, job.schedule.next(now)) {
            (Some(next), natural) => next > now && natural.is_none_or(|natural| natural >= next),
            (None, natural) => natural.is_none(),
        }
}

/// What is to be done about a job.
pub(super) fn plan(stored: Option<&Horizon>, spec: &Spec<'_>, now: Timestamp, known: &Known<'_>) -> Plan {
    let mut plan = Plan {
        horizon: stored.cloned(),
        runs: Vec::new(),
        step: Step::Rest,
    };
    let fresh = stored.is_none();
    let mut horizon = match (stored, spec.job) {
        (Some(stored), _) => stored.clone(),
        (None, Some(job)) => first_sight(job, spec.changed_at, now),
        (None, None) => return plan,
    };
    if known.unsure
        && let Some(next) = horizon.next.filter(|next| *next <= now && !known.fired.contains(next))
    {
        plan.horizon = Some(horizon);
        plan.step = Step::Check(next);
        return plan;
    }
    match spec.job {
        None => horizon.standing = Standing::Broken,
        Some(job) => {
            // When the note became what it is now. An older copy that was put back says nothing of that.
            let since = match spec.changed_at < horizon.changed_at {
                true => now,
                false => spec.changed_at.min(now),
            };
            plan.runs.extend(follow_edit(&mut horizon, job, since, now, known));
            horizon.standing = asked(job);
            if horizon.standing == Standing::Active {
                plan.step = due(&mut horizon, job, now, known, &mut plan.runs);
            }
        }
    }
    let changed = fresh || stored.is_some_and(|stored| *stored != horizon);
    if changed {
        horizon.changed_at = spec.changed_at;
    }
    plan.horizon = Some(horizon);
    plan
}

fn asked(job: &Job) -> Standing {
    match job.enabled {
        true => Standing::Active,
        false => Standing::Paused,
    }
}

/// The first occurrence of a schedule that begins to count. A single time is owed also when it has passed.
fn begin(schedule: &Schedule, since: Timestamp) -> Option<Timestamp> {
    match schedule.when {
        When::At(at) => Some(at),
        When::Cron(_) => schedule.next(since),
    }
}

fn first_sight(job: &Job, changed_at: Timestamp, now: Timestamp) -> Horizon {
    let just_written = now.duration_since(changed_at) <= ON_TIME;
    let since = if just_written { changed_at.min(now) } else { now };
    Horizon {
        schedule: Written::of(&job.schedule),
        standing: asked(job),
        next: begin(&job.schedule, since),
        changed_at,
    }
}

/// What an edit does to what was due before it: another schedule, or an end of the pause.
fn follow_edit(horizon: &mut Horizon, job: &Job, since: Timestamp, now: Timestamp, known: &Known<'_>) -> Option<Run> {
    let same = horizon.schedule.fingerprint == job.schedule.fingerprint();
    let resumed = horizon.standing != Standing::Active && job.enabled;
    if same && !resumed {
        return None;
    }
    let (code, reason) = match horizon.standing {
        Standing::Paused => (Code::Paused, "the job was paused"),
        Standing::Broken => (Code::Broken, "the note of the job did not hold together"),
        Standing::Active => (
            Code::Edited,
            "it had not run yet when the schedule was changed, and the old schedule no longer counts",
        ),
    };
    let old = match same {
        true => Some(job.schedule.clone()),
        false => horizon.schedule.read(known.host),
    };
    let owed = Owed::count(horizon.next, old.as_ref(), since, now, known.fired);
    horizon.next = match same {
        true => owed.after,
        false => {
            horizon.schedule = Written::of(&job.schedule);
            begin(&job.schedule, since).filter(|at| !known.fired.contains(at))
        }
    };
    owed.skipped(now, code, reason.to_owned())
}

/// What is due of an active job.
fn due(horizon: &mut Horizon, job: &Job, now: Timestamp, known: &Known<'_>, runs: &mut Vec<Run>) -> Step {
    let schedule = &job.schedule;
    follow_clock_back(horizon, schedule, now, known.fired);
    let mut owed = Owed::count(horizon.next, Some(schedule), now, now, known.fired);
    horizon.next = owed.after;
    let Some(latest) = owed.last else {
        return Step::Rest;
    };
    let late = now.duration_since(latest);
    let window = window(schedule, latest);
    let on_time = late <= ON_TIME && latest >= known.served_since;
    let made_up = on_time || (job.catch_up == CatchUp::Once && late <= window);
    let (code, cause) = match known.trouble {
        Some(trouble) => (Code::Vault, format!("it could not be run in time: {trouble}")),
        None => (
            Code::Missed,
            "the daemon did not run then, the machine slept, or the clock was put forward".to_owned(),
        ),
    };
    let why = match (made_up, job.catch_up) {
        (true, _) => "; of several the last one runs".to_owned(),
        (false, CatchUp::Skip) => "; `catch_up: skip` asks to leave out what is late".to_owned(),
        (false, CatchUp::Once) => format!("; what is later than {window:#} is not made up for"),
    };
    if made_up {
        owed.leave_last();
        horizon.next = Some(latest);
    }
    runs.extend(owed.skipped(now, code, format!("{cause}{why}")));
    match made_up {
        true if on_time => Step::Fire(latest, RunKind::Scheduled),
        true => Step::Fire(latest, RunKind::CatchUp),
        false => Step::Rest,
    }
}

/// How late an occurrence may still run.
fn window(schedule: &Schedule, occurrence: Timestamp) -> SignedDuration {
    let next = schedule.next(occurrence);
    next.map_or(WINDOW.1, |next| {
        (next.duration_since(occurrence) / 2).clamp(WINDOW.0, WINDOW.1)
    })
}

/// A horizon beyond the next occurrence: the clock was put back. What lies between comes again, and runs if it has not.
fn follow_clock_back(horizon: &mut Horizon, schedule: &Schedule, now: Timestamp, fired: &BTreeSet<Timestamp>) {
    let mut natural = schedule.next(now);
    while let Some(at) = natural.filter(|at| horizon.next.is_none_or(|next| *at < next)) {
        if !fired.contains(&at) {
            horizon.next = Some(at);
            return;
        }
        natural = schedule.next(at);
    }
}

/// Occurrences that are due and have not run.
#[derive(Debug, Default)]
struct Owed {
    first: Option<Timestamp>,
    last_but_one: Option<Timestamp>,
    last: Option<Timestamp>,
    count: u32,
    /// There are more than were counted.
    more: bool,
    /// The first one that is not due.
    after: Option<Timestamp>,
}

impl Owed {
    /// From `first` to `until`. Without a schedule: that one alone.
    fn count(
        first: Option<Timestamp>,
        schedule: Option<&Schedule>,
        until: Timestamp,
        now: Timestamp,
        fired: &BTreeSet<Timestamp>,
    ) -> Self {
        let mut owed = Self::default();
        let mut next = first;
        let mut steps = 0;
        while let Some(at) = next.filter(|at| *at <= until) {
            if !fired.contains(&at) {
                owed.push(at);
            }
            next = schedule.and_then(|schedule| schedule.next(at));
            steps += 1;
            if steps == COUNTED_MAX {
                // Only what may still run is of interest.
                let recent = now.checked_sub(WINDOW.1 + ON_TIME).unwrap_or(at);
                if recent > at {
                    next = schedule.and_then(|schedule| schedule.next(recent.min(until)));
                    owed.more = true;
                }
            }
        }
        owed.after = next;
        owed
    }

    fn push(&mut self, at: Timestamp) {
        self.first.get_or_insert(at);
        self.last_but_one = self.last.replace(at);
        self.count = self.count.saturating_add(1);
    }

    /// The last one runs.
    fn leave_last(&mut self) {
        self.last = self.last_but_one;
        self.count -= 1;
    }

    /// All of them as one entry of the history.
    fn skipped(self, now: Timestamp, code: Code, reason: String) -> Option<Run> {
        let first = self.first.filter(|_| self.count > 0)?;
        let more = format!("{reason} (they are more than {COUNTED_MAX}, and were not counted further)");
        Some(Run {
            until_at: self.last.filter(|last| *last > first),
            count: self.count,
            ..Run::skipped(first, now, code, if self.more { more } else { reason })
        })
    }
}

#[cfg(test)]
mod tests;
