//! Jobs that turns write: the clock wakes their own agent, marked as what it is.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::Daemon;
use serde_json::{Value, json};

use super::{Held, with};

const NOTES: &str = "/vault/default/api/notes";

fn job(agent: &str, id: &str, more: &Value) -> Value {
    let mut metadata = json!({ "jobId": id, "agent": agent, "cron": "0 9 * * 1-5" });
    if let (Some(all), Some(more)) = (metadata.as_object_mut(), more.as_object()) {
        all.extend(more.clone());
    }
    json!({ "path": format!("Channels/{agent}/jobs/{id}"), "content": "Look at the inbox.", "tags": ["agent/job"],
            "metadata": metadata })
}

fn at(agent: &str, id: &str) -> String {
    format!("{NOTES}/Channels%2F{agent}%2Fjobs%2F{id}")
}

async fn refused(held: &Held, daemon: &Daemon, method: &str, target: &str, body: &Value) -> Result<String> {
    let answer = held.ask(daemon, method, target, body).await?;
    assert_eq!(answer.refusal()?.0, 403, "{body}");
    Ok(answer.json()?.to_string())
}

#[tokio::test]
async fn a_turn_schedules_its_own_agent() -> Result<()> {
    let daemon = with(&["alpha", "beta"]).await?;
    let held = Held::with(&daemon, "alpha", &json!({"delegation_depth": "2"})).await?;
    let lies = json!({ "defined_by": "the operator", "delegation_depth": "0", "sender": "ann" });
    let made = held
        .write(&daemon, "POST", NOTES, &job("alpha", "daily", &lies))
        .await?;
    assert_eq!(
        made["metadata"],
        json!({ "jobId": "daily", "agent": "alpha", "cron": "0 9 * * 1-5", "defined_by": "agent:alpha",
                "delegation_depth": "3" })
    );
    // By another door, and with another try at the marks.
    let change = json!({ "id": "Channels/alpha/jobs/daily", "force": true,
        "metadata": { "cron": "@hourly", "delegation_depth": "0" } });
    let told = daemon.tool(&held.token, "update-note", &change).await?;
    assert!(!told.failed, "{}", told.value);
    let note = daemon.note("Channels/alpha/jobs/daily").await?.context("the job")?;
    assert_eq!(
        ["cron", "defined_by", "delegation_depth"].map(|key| &note["metadata"][key]),
        [&json!("@hourly"), &json!("agent:alpha"), &json!("3")]
    );
    let said = refused(&held, &daemon, "POST", NOTES, &job("beta", "daily", &json!({}))).await?;
    assert!(
        said.contains("defines_agents: true in the definition of alpha"),
        "{said}"
    );
    assert_eq!(daemon.note("Channels/beta/jobs/daily").await?, None);
    held.let_go()
}

#[tokio::test]
async fn a_turn_does_not_touch_the_job_of_a_person() -> Result<()> {
    let daemon = with(&["alpha"]).await?;
    let of_a_person = daemon
        .note_put(
            "Channels/alpha/jobs/mine",
            "Look.",
            &["agent/job"],
            &json!({ "agent": "alpha", "cron": "@daily" }),
        )
        .await?;
    let held = Held::new(&daemon, "alpha").await?;
    for patch in [
        json!({ "metadata": { "enabled": "false" }, "force": true }),
        json!({ "content": "Do something else.", "force": true }),
        json!({ "tags": { "remove": ["agent/job"] }, "force": true }),
        json!({ "metadata": { "defined_by": "agent:alpha" }, "force": true }),
    ] {
        refused(&held, &daemon, "PATCH", &at("alpha", "mine"), &patch).await?;
    }
    let now = daemon.note("Channels/alpha/jobs/mine").await?.context("the job")?;
    assert_eq!(
        (&now["content"], now["metadata"].get("defined_by")),
        (&of_a_person["content"], None)
    );
    held.let_go()
}

#[tokio::test]
async fn an_agent_makes_fifty_jobs_and_no_more() -> Result<()> {
    let daemon = with(&["alpha"]).await?;
    let held = Held::new(&daemon, "alpha").await?;
    let jobs: Vec<_> = (0..50).map(|n| job("alpha", &format!("j{n}"), &json!({}))).collect();
    let one_more = |jobs: &[Value]| json!({ "notes": jobs });
    held.write(&daemon, "POST", NOTES, &one_more(&jobs[..49])).await?;
    // All or none.
    let both = [jobs[49].clone(), job("alpha", "j50", &json!({}))];
    let said = refused(&held, &daemon, "POST", NOTES, &one_more(&both)).await?;
    assert!(said.contains("49 jobs") && said.contains("50 is the limit"), "{said}");
    held.write(&daemon, "POST", NOTES, &jobs[49]).await?;
    refused(&held, &daemon, "POST", NOTES, &job("alpha", "j50", &json!({}))).await?;
    // One that is stopped makes room, and cannot be started again beyond the limit.
    let stop = json!({ "metadata": { "enabled": "false" }, "force": true });
    held.write(&daemon, "PATCH", &at("alpha", "j0"), &stop).await?;
    held.write(&daemon, "POST", NOTES, &job("alpha", "j50", &json!({})))
        .await?;
    let start = json!({ "metadata": { "enabled": "true" }, "force": true });
    refused(&held, &daemon, "PATCH", &at("alpha", "j0"), &start).await?;
    held.let_go()
}
