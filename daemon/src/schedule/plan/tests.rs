use pretty_assertions::assert_eq;
use reveille_vault::agent::tag;
use reveille_vault::{Note, NoteId};
use serde_json::{Value, json};

use super::*;

fn at(text: &str) -> Timestamp {
    let full = match text.len() {
        5 => format!("2026-06-15T{text}:00Z"),
        8 => format!("2026-06-15T{text}Z"),
        16 => format!("{text}:00Z"),
        _ => text.to_owned(),
    };
    full.parse().unwrap()
}

fn job(extra: Value) -> Job {
    let (Value::Object(mut metadata), Value::Object(extra)) =
        (json!({"jobId": "j", "agent": "eng", "tz": "UTC"}), extra)
    else {
        unreachable!()
    };
    metadata.extend(extra);
    let written = at("2026-01-01T00:00");
    let note = Note {
        id: NoteId::new("n").unwrap(),
        path: None,
        content: "go".into(),
        tags: vec![tag::JOB.into()],
        metadata,
        created_at: written,
        updated_at: written,
    };
    Job::parse(&note, &TimeZone::UTC).unwrap()
}

/// A job with what is known of it.
struct Case {
    job: Option<Job>,
    changed_at: Timestamp,
    horizon: Option<Horizon>,
    fired: BTreeSet<Timestamp>,
    unsure: bool,
    served_since: Timestamp,
    trouble: Option<&'static str>,
}

impl Case {
    /// Seen for the first time at 09:30, long after it was written.
    fn new(extra: Value) -> Self {
        let mut case = Self {
            job: Some(job(extra)),
            changed_at: at("2026-01-01T00:00"),
            horizon: None,
            fired: BTreeSet::new(),
            unsure: false,
            served_since: at("2026-01-01T00:00"),
            trouble: None,
        };
        assert_eq!(case.at("09:30").1, Step::Rest);
        case
    }

    /// What is decided, and what follows.
    fn at(&mut self, now: &str) -> (Vec<String>, Step) {
        let known = Known {
            host: &TimeZone::UTC,
            fired: &self.fired,
            unsure: self.unsure,
            served_since: self.served_since,
            trouble: self.trouble,
        };
        let spec = Spec {
            job: self.job.as_ref(),
            changed_at: self.changed_at,
        };
        let quiet = self
            .horizon
            .as_ref()
            .is_some_and(|stored| is_quiet(stored, &spec, at(now)));
        let plan = plan(self.horizon.as_ref(), &spec, at(now), &known);
        let nothing = plan.horizon == self.horizon && plan.runs.is_empty() && plan.step == Step::Rest;
        assert!(!quiet || nothing, "quiet, but: {plan:?}");
        self.horizon = plan.horizon;
        let runs = plan.runs.iter().map(|run| {
            let until = run.until_at.unwrap_or(run.occurrence_at);
            let code = run.code.map_or("", Code::as_str);
            format!("{} {code} {}..{until}", run.count, run.occurrence_at)
        });
        (runs.collect(), plan.step)
    }

    /// It has run, and that is written down.
    fn ran(&mut self, occurrence: &str) {
        self.fired.insert(at(occurrence));
        let next = self.job.as_ref().unwrap().schedule.next(at(occurrence));
        self.horizon.as_mut().unwrap().next = next;
    }

    fn edit(&mut self, now: &str, extra: Value) {
        self.job = Some(job(extra));
        self.changed_at = at(now);
    }

    fn next(&self) -> Option<Timestamp> {
        self.horizon.as_ref().and_then(|horizon| horizon.next)
    }
}

fn skipped(count: u32, code: &str, first: &str, last: &str) -> Vec<String> {
    vec![format!("{count} {code} {}..{}", at(first), at(last))]
}

fn fire(occurrence: &str, kind: RunKind) -> Step {
    Step::Fire(at(occurrence), kind)
}

const HOURLY: &str = "0 * * * *";

#[test]
fn ac_189_the_first_sight_fires_nothing_and_each_slot_fires_once() {
    let mut case = Case::new(json!({"cron": HOURLY}));
    assert_eq!(case.next(), Some(at("10:00")));
    assert_eq!(case.at("09:59:59"), (vec![], Step::Rest));
    assert_eq!(case.at("10:00:20"), (vec![], fire("10:00", RunKind::Scheduled)));
    case.ran("10:00");
    assert_eq!(case.at("10:00:21"), (vec![], Step::Rest));
    assert_eq!(case.at("10:59"), (vec![], Step::Rest));
    assert_eq!(case.at("11:00"), (vec![], fire("11:00", RunKind::Scheduled)));

    let mut case = Case::new(json!({"cron": HOURLY, "enabled": "false"}));
    assert_eq!(case.at("12:00"), (vec![], Step::Rest));
}

#[test]
fn a_note_that_has_just_been_written_counts_from_then() {
    for (written, expected) in [("09:59:30", "10:00"), ("09:30", "11:00"), ("10:05", "11:00")] {
        let mut case = Case::new(json!({"cron": HOURLY}));
        (case.horizon, case.changed_at) = (None, at(written));
        case.at("10:00:10");
        assert_eq!(case.next(), Some(at(expected)), "{written}");
    }
}

#[test]
fn ac_190_of_several_missed_slots_the_last_one_runs_if_it_is_not_too_old() {
    let mut case = Case::new(json!({"cron": HOURLY}));
    let (runs, step) = case.at("14:20");
    assert_eq!(
        (runs, step),
        (skipped(4, "missed", "10:00", "13:00"), fire("14:00", RunKind::CatchUp))
    );
    assert_eq!(case.next(), Some(at("14:00")));
    case.ran("14:00");
    assert_eq!(case.next(), Some(at("15:00")));
    // Half an hour is half the period.
    assert_eq!(case.at("15:30").1, fire("15:00", RunKind::CatchUp));
    let mut case = Case::new(json!({"cron": HOURLY}));
    assert_eq!(
        case.at("14:30:01"),
        (skipped(5, "missed", "10:00", "14:00"), Step::Rest)
    );
    assert_eq!(case.next(), Some(at("15:00")));
}

#[test]
fn the_window_has_bounds() {
    for (cron, now, expected) in [
        ("0 8 * * *", "2026-06-16T10:00", Some("2026-06-16T08:00")),
        ("0 8 * * *", "2026-06-16T10:01", None),
        ("*/2 * * * *", "10:01:59", Some("10:00")),
        ("* * * * *", "10:00:59", Some("10:00")),
        ("0 8 1 * *", "2026-07-01T10:00", Some("2026-07-01T08:00")),
    ] {
        let mut case = Case::new(json!({"cron": cron}));
        let step = case.at(now).1;
        match expected {
            Some(expected) => assert!(
                matches!(step, Step::Fire(slot, _) if slot == at(expected)),
                "{cron}: {step:?}"
            ),
            None => assert_eq!(step, Step::Rest, "{cron}"),
        }
    }
}

#[test]
fn who_asks_to_skip_gets_only_what_is_on_time() {
    let mut case = Case::new(json!({"cron": HOURLY, "catch_up": "skip"}));
    assert_eq!(
        case.at("12:01"),
        (
            skipped(2, "missed", "10:00", "11:00"),
            fire("12:00", RunKind::Scheduled)
        )
    );
    case.ran("12:00");
    assert_eq!(
        case.at("13:01:01"),
        (skipped(1, "missed", "13:00", "13:00"), Step::Rest)
    );
}

#[test]
fn what_was_due_before_the_start_is_late_however_little() {
    for (policy, expected) in [
        ("once", (vec![], fire("12:00", RunKind::CatchUp))),
        ("skip", (skipped(1, "missed", "12:00", "12:00"), Step::Rest)),
    ] {
        let mut case = Case::new(json!({"cron": "0 12 * * *", "catch_up": policy}));
        case.served_since = at("12:00:01");
        assert_eq!(case.at("12:00:02"), expected, "{policy}");
    }
}

#[test]
fn ac_198_an_edited_schedule_does_not_fire_at_the_old_slot() {
    let mut case = Case::new(json!({"cron": HOURLY}));
    case.edit("09:50", json!({"cron": "30 * * * *"}));
    assert_eq!(case.at("09:50"), (vec![], Step::Rest));
    assert_eq!(case.at("10:00"), (vec![], Step::Rest));
    assert_eq!(case.at("10:30"), (vec![], fire("10:30", RunKind::Scheduled)));
    // What was missed before the edit is told, and what was missed after it.
    let mut case = Case::new(json!({"cron": HOURLY}));
    case.edit("12:10", json!({"cron": "30 * * * *"}));
    let (mut expected, step) = case.at("14:00");
    assert_eq!(step, fire("13:30", RunKind::CatchUp));
    assert_eq!(expected.pop(), skipped(1, "missed", "12:30", "12:30").pop());
    assert_eq!(expected, skipped(3, "edited", "10:00", "12:00"));
    // Another text of the same schedule is no edit.
    let mut case = Case::new(json!({"cron": HOURLY}));
    case.edit("09:59", json!({"cron": "@hourly", "subject": "other"}));
    assert_eq!(case.at("10:00"), (vec![], fire("10:00", RunKind::Scheduled)));
    // An older copy that was put back says nothing of when.
    let mut case = Case::new(json!({"cron": HOURLY}));
    case.edit("2025-01-01T00:00", json!({"cron": "30 * * * *"}));
    assert_eq!(case.at("09:50"), (vec![], Step::Rest));
    assert_eq!(case.next(), Some(at("10:30")));
}

#[test]
fn ac_198_a_job_that_is_resumed_runs_at_its_next_slot_only() {
    let mut case = Case::new(json!({"cron": HOURLY}));
    case.edit("09:40", json!({"cron": HOURLY, "enabled": "false"}));
    for quiet in ["09:40", "10:00", "12:00"] {
        assert_eq!(case.at(quiet), (vec![], Step::Rest));
    }
    case.edit("12:20", json!({"cron": HOURLY}));
    assert_eq!(case.at("12:20"), (skipped(3, "paused", "10:00", "12:00"), Step::Rest));
    assert_eq!(case.at("13:00"), (vec![], fire("13:00", RunKind::Scheduled)));
    case.ran("13:00");
    // The same for a note that did not hold together.
    case.job = None;
    assert_eq!(case.at("13:10"), (vec![], Step::Rest));
    assert_eq!(case.at("14:10"), (vec![], Step::Rest));
    case.edit("14:20", json!({"cron": HOURLY}));
    assert_eq!(case.at("14:20"), (skipped(1, "broken", "14:00", "14:00"), Step::Rest));
}

#[test]
fn a_clock_that_is_put_back_brings_no_slot_twice() {
    let mut case = Case::new(json!({"cron": HOURLY}));
    for slot in ["10:00", "11:00"] {
        assert_eq!(case.at(slot).1, fire(slot, RunKind::Scheduled));
        case.ran(slot);
    }
    assert_eq!(case.at("09:45"), (vec![], Step::Rest));
    assert_eq!(case.next(), Some(at("12:00")));
    // What was skipped under a clock that was wrong by years gets its chance.
    let (runs, _) = case.at("2027-06-15T10:45");
    assert_eq!(runs.len(), 1);
    assert_eq!(case.at("11:10"), (vec![], Step::Rest));
    assert_eq!(case.next(), Some(at("12:00")));
}

#[test]
fn a_single_time_runs_once_or_is_told_of() {
    let mut case = Case::new(json!({"at": "2026-06-15T10:00:00Z"}));
    assert_eq!(case.at("09:59"), (vec![], Step::Rest));
    assert_eq!(case.at("10:00:01"), (vec![], fire("10:00", RunKind::Scheduled)));
    case.ran("10:00");
    assert_eq!(case.next(), None);
    for later in ["10:00:02", "2027-01-01T00:00", "09:00"] {
        assert_eq!(case.at(later), (vec![], Step::Rest), "{later}");
    }
    case.edit("11:00", json!({"at": "2026-06-15T12:00:00Z"}));
    assert_eq!(case.at("11:00"), (vec![], Step::Rest));
    assert_eq!(case.at("12:00"), (vec![], fire("12:00", RunKind::Scheduled)));

    for (written, expected) in [("08:00", "10:00"), ("07:00", "too late")] {
        let text = at(written).to_string();
        let mut case = Case::new(json!({"cron": HOURLY}));
        (case.horizon, case.job) = (None, Some(job(json!({"at": text}))));
        let answer = case.at("09:59");
        match expected {
            "too late" => assert_eq!(answer, (skipped(1, "missed", written, written), Step::Rest)),
            _ => assert_eq!(answer, (vec![], fire(written, RunKind::CatchUp))),
        }
    }
}

#[test]
fn what_may_have_run_is_asked_for_before_anything_is_decided_about_it() {
    let mut case = Case::new(json!({"cron": HOURLY}));
    case.unsure = true;
    assert_eq!(case.at("09:59"), (vec![], Step::Rest));
    for now in ["10:00", "14:20"] {
        assert_eq!(case.at(now), (vec![], Step::Check(at("10:00"))), "{now}");
    }
    case.edit("14:00", json!({"cron": "30 * * * *"}));
    assert_eq!(case.at("14:20"), (vec![], Step::Check(at("10:00"))));
    case.ran("10:00");
    case.unsure = false;
    // `ran` has moved it on by the new schedule, of which nothing is known yet.
    case.horizon.as_mut().unwrap().next = Some(at("11:00"));
    assert_eq!(case.at("14:20").0[0], skipped(4, "edited", "11:00", "14:00")[0]);
}

#[test]
fn an_outage_is_the_reason_that_is_told() {
    let mut case = Case::new(json!({"cron": HOURLY}));
    case.trouble = Some("the vault is away");
    let (runs, _) = case.at("14:45");
    assert_eq!(runs, skipped(5, "vault_unavailable", "10:00", "14:00"));
}

#[test]
fn a_very_long_absence_is_not_counted_to_its_end() {
    let mut case = Case::new(json!({"cron": "* * * * *"}));
    let (runs, step) = case.at("2027-06-15T10:00");
    assert_eq!(step, fire("2027-06-15T10:00", RunKind::Scheduled));
    assert_eq!(runs.len(), 1);
    assert!(runs[0].starts_with("1001"), "{runs:?}");
}
