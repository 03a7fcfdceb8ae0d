//! What a note says about its job, and everything that is wrong with it.

use jiff::tz::TimeZone;
use pretty_assertions::assert_eq;
use reveille_vault::agent::{CatchUp, Job, Overlap, Schedule};
use reveille_vault::{Note, NoteId};
use serde_json::{Value, json};

use crate::instant;

fn note(content: &str, metadata: Value) -> Note {
    let at = instant("2026-01-01T00:00:00Z");
    let Value::Object(metadata) = metadata else {
        panic!("metadata is an object")
    };
    Note {
        id: NoteId::new("n1").unwrap(),
        path: Some("Channels/eng/jobs/standup".into()),
        content: content.into(),
        tags: vec!["agent/job".into()],
        metadata,
        created_at: at,
        updated_at: at,
    }
}

/// A job that holds together, with other values in its metadata; `null` takes one away.
fn with(changes: Value) -> Note {
    let mut all = json!({"jobId": "standup", "agent": "eng", "cron": "0 9 * * 1-5"});
    let Value::Object(changes) = changes else {
        panic!("changes are an object")
    };
    for (key, value) in changes {
        all[key] = value;
    }
    let mut note = note("Stand up.", all);
    note.metadata.retain(|_, value| !value.is_null());
    note
}

fn parse(changes: Value) -> Job {
    Job::parse(&with(changes), &TimeZone::UTC).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Key and message of everything that is wrong.
fn wrong(note: &Note) -> Vec<(String, String)> {
    let problems = Job::parse(note, &TimeZone::UTC).unwrap_err();
    problems
        .into_iter()
        .map(|problem| (problem.key.to_string(), problem.message))
        .collect()
}

#[test]
fn ac_183_a_job_that_holds_together() {
    let expected = Job {
        note: NoteId::new("n1").unwrap(),
        path: Some("Channels/eng/jobs/standup".into()),
        id: "standup".into(),
        agent: "eng".into(),
        message: "Stand up.".into(),
        subject: None,
        schedule: Schedule::parse(Some("0 9 * * 1-5"), None, None, &TimeZone::UTC).unwrap(),
        enabled: true,
        pause_reason: None,
        catch_up: CatchUp::Once,
        overlap: Overlap::Queue,
        created_at: None,
        defined_by: None,
        warnings: Vec::new(),
    };
    assert_eq!(Job::parse(&with(json!({})), &TimeZone::UTC), Ok(expected));
}

#[test]
fn ac_183_each_thing_that_can_be_wrong_is_named_with_what_is_accepted() {
    for (changes, key, accepted) in [
        (json!({"jobId": "two words"}), "jobId", "letters, digits, `_` and `-`"),
        (json!({"jobId": "a/b"}), "jobId", "letters, digits, `_` and `-`"),
        (json!({"cron": "nonsense"}), "cron", "five fields"),
        (json!({"cron": "* * * * 7"}), "cron", "day of week: 7 is not in 0-6"),
        (json!({"cron": ""}), "cron", "0 9 * * 1-5"),
        (json!({"cron": 5}), "cron", "write it as text"),
        (json!({"cron": null}), "cron", "is missing"),
        (json!({"cron": null, "at": "soon"}), "at", "2026-07-02T09:00:00+02:00"),
        (json!({"at": "2026-07-02T09:00:00Z"}), "at", "one of them"),
        (json!({"tz": ""}), "tz", "Europe/Berlin"),
        (json!({"tz": "+05:30"}), "tz", "Europe/Berlin"),
        (json!({"tz": "Mars/Olympus"}), "tz", "Europe/Berlin"),
        (json!({"agent": null}), "agent", "name the agent"),
        (json!({"agent": "  "}), "agent", "name the agent"),
        (json!({"agent": "two words"}), "agent", "letters, digits, `_` and `-`"),
        (json!({"catch_up": "all"}), "catch_up", "once, skip"),
        (json!({"overlap": "parallel"}), "overlap", "queue, skip"),
    ] {
        let problems = wrong(&with(changes.clone()));
        assert_eq!(problems.len(), 1, "{changes}: {problems:?}");
        assert_eq!(problems[0].0, key, "{changes}");
        assert!(problems[0].1.contains(accepted), "{changes}: {}", problems[0].1);
    }
    let mut blank = with(json!({}));
    blank.content = " \n".into();
    assert_eq!(wrong(&blank)[0].0, "message");
    let mut letter = with(json!({}));
    letter.tags.push("agent/message/inbound".into());
    assert_eq!(wrong(&letter)[0].0, "tags");
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let metadata = json!({"jobId": "a b", "cron": "61 * * * *", "tz": "Mars", "catch_up": "x", "overlap": "y"});
    let keys: Vec<String> = wrong(&note("", metadata)).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["jobId", "message", "tz", "cron", "agent", "catch_up", "overlap"]);
}

#[test]
fn ac_185_the_keys_of_a_note_are_read() {
    let job = parse(
        json!({"agent": " ops ", "channel": "other", "tz": "Asia/Tokyo", "enabled": "false", "subject": "  blockers ",
        "catch_up": "skip", "overlap": "skip", "createdAt": "2026-01-01T00:00:00.000Z", "defined_by": "agent:boss",
        "pause_reason": "holidays", "lastRunAt": "2026-01-02T00:00:00.000Z", "lastStatus": "ok", "status": "paused"}),
    );
    assert_eq!((job.agent.as_str(), job.enabled), ("ops", false));
    assert_eq!(
        (job.schedule.zone_name.as_str(), job.subject.as_deref()),
        ("Asia/Tokyo", Some("blockers"))
    );
    assert_eq!((job.catch_up, job.overlap), (CatchUp::Skip, Overlap::Skip));
    assert_eq!(job.created_at.as_deref(), Some("2026-01-01T00:00:00.000Z"));
    assert_eq!(job.defined_by.as_deref(), Some("agent:boss"));
    assert_eq!(job.pause_reason.as_deref(), Some("holidays"));
    assert_eq!(job.warnings, []);
    // The older routing key, the id of the note for a name, a subject of blanks.
    let job = parse(json!({"agent": null, "channel": "ops", "jobId": null, "subject": "  "}));
    assert_eq!((job.agent.as_str(), job.id.as_str(), job.subject), ("ops", "n1", None));
}

#[test]
fn ac_185_only_false_disables() {
    for (word, expected, warned) in [
        (json!(null), true, false),
        (json!("true"), true, false),
        (json!(true), true, false),
        (json!("false"), false, false),
        (json!(false), false, false),
        (json!("no"), true, true),
        (json!("False"), true, true),
        (json!(0), true, true),
    ] {
        let job = parse(json!({"enabled": word}));
        assert_eq!((job.enabled, !job.warnings.is_empty()), (expected, warned), "{word}");
    }
}

#[test]
fn keys_that_nobody_reads_are_pointed_out() {
    for (key, advice) in [
        ("catchUp", "did you mean catch_up?"),
        ("corn", "did you mean cron?"),
        ("job_id", "did you mean jobId?"),
        ("overlaps", "did you mean overlap?"),
        ("timezone", "use `tz`"),
        ("paused", "use `enabled: false`"),
        ("message", "the body of the note"),
    ] {
        let job = parse(json!({key: "x"}));
        assert_eq!(job.warnings.len(), 1, "{key}");
        assert_eq!(job.warnings[0].key, key);
        assert!(job.warnings[0].message.contains(advice), "{key}: {}", job.warnings[0]);
    }
    // What somebody else keeps there is theirs.
    assert_eq!(parse(json!({"project": "x", "priority": 3, "order": "b"})).warnings, []);
    let gap = parse(json!({"cron": null, "at": "2026-03-29T02:30", "tz": "Europe/Berlin"}));
    assert_eq!(gap.warnings.len(), 1, "{:?}", gap.warnings);
}

#[test]
fn ac_186_the_path_is_that_of_agent_and_id() {
    assert_eq!(Job::path("eng", "standup"), "Channels/eng/jobs/standup");
    assert_eq!(Job::path("a b", "c.d"), "Channels/a-b/jobs/c-d");
}

#[test]
fn the_fingerprint_changes_with_what_the_job_does_and_with_nothing_else() {
    let of = |changes: Value| parse(changes).fingerprint();
    let plain = of(json!({}));
    assert_eq!(
        of(json!({"cron": "0 9 * * 1,2,3,4,5", "tz": "utc", "enabled": "true"})),
        plain
    );
    assert_eq!(
        of(json!({"lastRunAt": "x", "lastStatus": "ok", "status": "enabled", "status_detail": "y"})),
        plain
    );
    for changes in [
        json!({"cron": "0 8 * * 1-5"}),
        json!({"tz": "Asia/Tokyo"}),
        json!({"enabled": "false"}),
        json!({"agent": "ops"}),
        json!({"subject": "s"}),
        json!({"catch_up": "skip"}),
        json!({"overlap": "skip"}),
        json!({"cron": null, "at": "2026-07-02T09:00:00Z"}),
    ] {
        assert_ne!(of(changes.clone()), plain, "{changes}");
    }
}

#[test]
fn a_definition_with_the_tag_of_a_job_is_no_job() {
    let mut both = with(json!({}));
    assert!(Job::is(&both));
    both.tags.push("#agent/definition".into());
    assert!(!Job::is(&both));
    both.tags = vec!["other".into()];
    assert!(!Job::is(&both));
}
