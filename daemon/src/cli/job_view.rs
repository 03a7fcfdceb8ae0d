//! Jobs on a terminal.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::output::{by_clock, local, one_line, out, safe, short, table, text};

/// Characters of an outcome that a line shows.
const OUTCOME_CHARS: usize = 60;

fn each<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

/// The expression or the time, and the zone if one is named.
fn schedule(job: &Value) -> String {
    let schedule = &job["schedule"];
    let when = schedule["cron"].as_str().or(schedule["at"].as_str()).unwrap_or("-");
    let zone = schedule["tz"].as_str().map_or_else(String::new, |tz| format!(" {tz}"));
    one_line(&format!("{when}{zone}"), 60)
}

/// When it is due next, as the end of a sentence.
pub(super) fn when_next(job: &Value) -> String {
    let id = text(&job["id"]);
    match (job["status"].as_str(), job["nextRunAt"].is_string()) {
        (Some("paused"), _) => format!("it waits until `reveille job resume {id}`"),
        (Some("done"), _) => "its time has passed, and it runs no more".into(),
        (Some("error"), _) => format!("something is wrong with it, see `reveille job show {id}`"),
        (_, true) => format!("it runs next on {}", local(&job["nextRunAt"])),
        (_, false) => "it has no next time".into(),
    }
}

/// The same by the clock that the job goes by, when it names one that shows something else.
fn in_its_zone(job: &Value) -> String {
    let (next, tz) = (&job["nextRunAt"], job["schedule"]["tz"].as_str());
    // silent-ok: a zone that is not known here is one that only the daemon knows, and the local time stands there already.
    let zone = tz.and_then(|tz| TimeZone::get(tz).ok());
    let theirs = zone.map_or_else(String::new, |zone| by_clock(next, zone));
    match tz {
        Some(tz) if theirs != local(next) => format!(" ({theirs} in {})", safe(tz)),
        _ => String::new(),
    }
}

pub(super) fn print_list(answer: &Value) {
    let rows: Vec<Vec<String>> = each(answer, "jobs")
        .map(|job| {
            vec![
                text(&job["id"]),
                text(&job["channel"]),
                schedule(job),
                text(&job["status"]),
                or_dash(local(&job["nextRunAt"])),
                or_dash(local(&job["lastRunAt"])),
                one_line(job["lastStatus"].as_str().unwrap_or("-"), OUTCOME_CHARS),
            ]
        })
        .collect();
    if rows.is_empty() {
        out!("no jobs; make one with `reveille job add ID --agent NAME --cron '0 9 * * 1-5' --message 'What to do'`");
        return;
    }
    table(
        &[
            "JOB",
            "AGENT",
            "SCHEDULE",
            "STATUS",
            "NEXT RUN",
            "LAST RUN",
            "LAST STATUS",
        ],
        &rows,
    );
    for job in each(answer, "jobs") {
        for problem in each(job, "problems").chain(each(job, "warnings")) {
            out!("{}: {}", text(&job["id"]), told(problem));
        }
    }
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".into() } else { text }
}

fn told(problem: &Value) -> String {
    let message = one_line(problem["message"].as_str().unwrap_or_default(), 300);
    format!("{}: {message}", text(&problem["key"]))
}

pub(super) fn print(job: &Value) {
    let line = |name: &str, value: String| {
        if !value.is_empty() {
            out!("{name:<12}{value}");
        }
    };
    line("job", text(&job["id"]));
    line("agent", text(&job["channel"]));
    line(
        "note",
        format!("{} in vault {}", text(&job["noteId"]), text(&job["vault"])),
    );
    line("status", text(&job["status"]));
    // Of what is wrong each thing has a line of its own, below.
    if each(job, "problems").next().is_none() {
        line("", one_line(job["status_detail"].as_str().unwrap_or_default(), 300));
    }
    line("schedule", schedule(job));
    line("next run", format!("{}{}", local(&job["nextRunAt"]), in_its_zone(job)));
    line("last run", local(&job["lastRunAt"]));
    line(
        "last status",
        one_line(job["lastStatus"].as_str().unwrap_or_default(), 300),
    );
    line("subject", one_line(job["subject"].as_str().unwrap_or_default(), 120));
    line("catch up", text(&job["catch_up"]));
    line("overlap", text(&job["overlap"]));
    line("made", local(&job["createdAt"]));
    line("made by", text(&job["defined_by"]));
    for problem in each(job, "problems") {
        line("wrong", told(problem));
    }
    for warning in each(job, "warnings") {
        line("odd", told(warning));
    }
    out!("\n{}", safe(job["message"].as_str().unwrap_or_default()));
}

pub(super) fn print_history(answer: &Value) {
    let rows: Vec<Vec<String>> = each(answer, "runs").map(run).collect();
    if rows.is_empty() {
        out!("it has not run yet");
        return;
    }
    table(&["DUE", "BY", "STATE", "TURN", "OUTCOME"], &rows);
}

fn run(run: &Value) -> Vec<String> {
    let until = match run["until_at"].is_string() {
        true => format!(" to {}", local(&run["until_at"])),
        false => String::new(),
    };
    let by = match run["kind"].as_str() {
        Some("scheduled") => "the clock".into(),
        Some("catch_up") => format!("the clock, late on {}", local(&run["at"])),
        Some("manual") => "hand".into(),
        _ => text(&run["kind"]),
    };
    let times = match run["count"].as_u64() {
        None | Some(0 | 1) => String::new(),
        Some(count) => format!(" {count} times"),
    };
    let turn = match &run["turn"]["id"] {
        Value::Null => "-".into(),
        id => short(id),
    };
    // What is said of the run, then of its turn, then how the turn stands.
    let outcome = ["reason", "outcome"].iter().find_map(|key| run[key].as_str());
    let outcome = outcome.or(run["turn"]["state"].as_str()).unwrap_or("-");
    vec![
        format!("{}{until}", local(&run["occurrence_at"])),
        by,
        format!("{}{times}", text(&run["state"])),
        turn,
        one_line(outcome, OUTCOME_CHARS * 2),
    ]
}
