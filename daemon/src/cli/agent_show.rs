//! `reveille agent list|show`: what the daemon understood of the definitions.

use serde_json::Value;

use super::CliError;
use super::agent_sandbox;
use super::client::{Client, segment};
use super::output::{self, one_line, out, safe, table, text};

/// Characters of a problem in the table of all agents.
const DETAIL_CHARS: usize = 160;

pub(super) fn list_of(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Problems or warnings, one each.
fn told(value: &Value) -> Vec<String> {
    list_of(value)
        .map(|one| format!("{}: {}", text(&one["key"]), text(&one["message"])))
        .collect()
}

/// What the table says of an agent beside its status.
fn detail(agent: &Value) -> String {
    let detail = match agent["status"].as_str() {
        Some("queued") => format!("{} waiting", agent["waiting"]),
        Some("working") => format!("since {}", text(&agent["running"]["since_at"])),
        _ => text(&agent["status_detail"]),
    };
    let warnings = told(&agent["warnings"]);
    let unsaid = warnings.iter().filter(|warning| !detail.contains(warning.as_str()));
    let unsaid = unsaid.map(|warning| format!("warning: {warning}"));
    let parts: Vec<String> = [detail.clone()].into_iter().chain(unsaid).collect();
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    one_line(&parts.join("; "), DETAIL_CHARS)
}

pub(super) async fn list(client: &Client, json: bool) -> Result<(), CliError> {
    let answer = client.get("/api/agents").await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = list_of(&answer["agents"])
        .map(|agent| {
            let last = match agent["last_turn"]["outcome"].as_str() {
                Some(outcome) => format!("{outcome} {}", text(&agent["last_turn"]["ended_at"])),
                None => "-".into(),
            };
            let cost = format!("${:.4}", agent["cost_usd"].as_f64().unwrap_or(0.0));
            vec![text(&agent["name"]), text(&agent["status"]), cost, last, detail(agent)]
        })
        .collect();
    if rows.is_empty() {
        out!("no agents yet; make one: reveille agent new scribe --prompt 'You keep the minutes.'");
    } else {
        table(&["NAME", "STATUS", "COST", "LAST TURN", "DETAIL"], &rows);
    }
    for waiting in list_of(&answer["waiting"]) {
        out!(
            "{} messages wait for {}, which is not defined",
            waiting["messages"],
            text(&waiting["channel"])
        );
    }
    Ok(())
}

/// A value of a setting, on one line.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "(none)".into(),
        Value::String(text) => one_line(text, 500),
        Value::Array(list) if list.is_empty() => "(none)".into(),
        Value::Array(list) if list.iter().all(Value::is_string) => list.iter().map(text).collect::<Vec<_>>().join(", "),
        other => safe(&other.to_string()),
    }
}

pub(super) async fn show(client: &Client, name: &str, json: bool) -> Result<(), CliError> {
    let mut agent = client.get(&format!("/api/agents/{}", segment(name))).await?;
    let counts = agent["settings"]
        .as_object()
        .is_some_and(|settings| !settings.is_empty());
    let sandbox = match counts {
        true => {
            client
                .find_one(&format!("/api/agents/{}/sandbox", segment(name)))
                .await?
        }
        // Its definition never held together: nothing counts for it.
        false => None,
    };
    let jobs = client.find_one(&format!("/api/jobs?agent={}", segment(name))).await?;
    if let Some(jobs) = &jobs {
        agent["jobs"] = jobs["jobs"].clone();
    }
    if let Some(sandbox) = sandbox {
        agent["sandbox"] = sandbox;
    }
    if json {
        output::json(&agent);
        return Ok(());
    }
    for key in [
        "name",
        "status",
        "status_detail",
        "vault",
        "path",
        "note_id",
        "defined_by",
        "turns",
        "waiting",
        "cost_usd",
        "cost_today_usd",
    ] {
        match &agent[key] {
            Value::Null => {}
            value => out!("{key:17} {}", shown(value)),
        }
    }
    for (head, key) in [("problems", "problems"), ("warnings", "warnings")] {
        let all = told(&agent[key]);
        if !all.is_empty() {
            out!("\n{head}");
            all.iter().for_each(|one| out!("  {one}"));
        }
    }
    settings(&agent);
    agent_sandbox::show(&agent["sandbox"]);
    connections(&agent);
    schedule(&agent);
    if let Some(prompt) = agent["prompt"].as_str() {
        out!("\n{}", safe(prompt));
    }
    Ok(())
}

fn settings(agent: &Value) {
    let mut settings = agent["settings"].as_object().into_iter().flatten().peekable();
    if settings.peek().is_some() {
        out!("\nsettings");
    }
    for (key, setting) in settings {
        out!(
            "  {:17} {}  ({})",
            safe(key),
            shown(&setting["value"]),
            text(&setting["from"])
        );
    }
}

fn connections(agent: &Value) {
    let rows: Vec<Vec<String>> = list_of(&agent["connections"])
        .map(|one| vec![text(&one["key"]), text(&one["status"]), text(&one["reason"])])
        .collect();
    if !rows.is_empty() {
        out!("");
        table(&["CONNECTION", "STATUS", "REASON"], &rows);
    }
}

fn schedule(agent: &Value) {
    let rows: Vec<Vec<String>> = list_of(&agent["jobs"])
        .map(|job| {
            let schedule = &job["schedule"];
            let when = [&schedule["cron"], &schedule["at"], &schedule["tz"]];
            let when: Vec<String> = when.into_iter().filter(|value| value.is_string()).map(text).collect();
            let next = job["nextRunAt"].as_str().unwrap_or("-");
            vec![text(&job["id"]), when.join(" "), text(&job["status"]), safe(next)]
        })
        .collect();
    if !rows.is_empty() {
        out!("");
        table(&["JOB", "WHEN", "STATUS", "NEXT"], &rows);
    }
}
