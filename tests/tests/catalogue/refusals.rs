//! Refusals are short, and what is no object is refused.

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::jobs::{JOB, JOBS, job, one, saved};
use super::{define, get, meta, patch, post, refused, stamped, text, with_eng};

/// More than anybody has to be told about one value.
const LONG: usize = 2000;

#[tokio::test]
async fn what_is_refused_is_not_repeated_at_length() -> Result<()> {
    let daemon = with_eng().await?;
    let huge = "x".repeat(100_000);
    for key in [
        "name",
        "mode",
        "model",
        "backend",
        "network",
        "filesystem",
        "workspace",
        "systemPromptMode",
        "message_mode",
        "on_interrupt",
        "timeout_idle",
        "max_turns",
        "budget_day_usd",
        "paused",
        "wants",
    ] {
        let mut metadata = json!({ "name": format!("long-{}", key.to_lowercase()) });
        metadata[key] = json!(format!("no {huge}"));
        let path = format!("Agents/{key}");
        define(&daemon, &path, "You try.", &metadata).await?;
        let note = stamped(&daemon, &path, "error").await.with_context(|| key.to_owned())?;
        let detail = meta(&note, "status_detail").len();
        ensure!(detail < LONG, "{key}: {detail} bytes are written on the definition");
    }
    for (key, value) in [
        ("cron", huge.clone()),
        ("cron", "*/1/".repeat(20_000) + " * * * *"),
        ("tz", huge.clone()),
        ("overlap", huge.clone()),
        ("catch_up", huge.clone()),
        ("agent", huge.clone()),
    ] {
        let mut metadata = json!({ "agent": "eng", "cron": "0 0 * * *" });
        metadata[key] = json!(value);
        let path = format!("Jobs/{key}-{}", value.len());
        daemon.note_put(&path, "wake", &[JOB], &metadata).await?;
        let note = stamped(&daemon, &path, "error").await.with_context(|| key.to_owned())?;
        let detail = meta(&note, "status_detail").len();
        ensure!(detail < LONG, "{key}: {detail} bytes are written on the job");
    }
    for more in [
        json!({ "id": huge }),
        json!({ "channel": huge }),
        json!({ "overlap": huge }),
        json!({ "schedule": { "cron": huge } }),
        json!({ "schedule": { "cron": "0 0 * * *", "tz": huge } }),
        json!({ "schedule": { "at": huge } }),
    ] {
        let reply = post(&daemon, &JOBS, &job("nightly", &more)).await?;
        ensure!(reply.status == 400, "{}", reply.status);
        let length = reply.body.to_string().len();
        ensure!(length < LONG, "{length} bytes for {:.60}", more.to_string());
    }
    Ok(())
}

#[tokio::test]
async fn a_list_is_no_object() -> Result<()> {
    let daemon = with_eng().await?;
    let made = saved(&daemon, &job("nightly", &json!({}))).await?;
    let definition = text(&daemon.agents().await?[0], "note_id").to_owned();
    let before = daemon.note(&definition).await?;
    for body in [
        json!([]),
        json!(["another text"]),
        json!(["x", "y", "z", "u", "v", "w"]),
    ] {
        for (reply, what) in [
            (
                patch(&daemon, &["api", "jobs", "nightly"], &body).await?,
                "a job is changed",
            ),
            (post(&daemon, &JOBS, &body).await?, "a job is saved"),
            (
                patch(&daemon, &["api", "agent-defs", &definition], &body).await?,
                "a definition is changed",
            ),
            (
                post(&daemon, &["api", "agent-defs"], &body).await?,
                "a definition is made",
            ),
            (
                post(&daemon, &["api", "connections", "approve"], &body).await?,
                "a connection is approved",
            ),
            (
                post(&daemon, &["api", "connections", "revoke"], &body).await?,
                "a connection is revoked",
            ),
        ] {
            refused(&reply, 400, &[]).with_context(|| format!("{what} by {body}"))?;
        }
    }
    assert_eq!(one(&daemon, "nightly").await?, made);
    assert_eq!(daemon.note(&definition).await?, before);
    let defs: Value = get(&daemon, &["api", "agent-defs"]).await?.ok()?;
    assert_eq!(super::list(&defs, "defs")?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_directory_that_cannot_be_one_is_told_on_the_definition() -> Result<()> {
    let daemon = with_eng().await?;
    for (at, workspace) in ["/tmp/\u{0}", "/tmp\u{0}/x", "/tmp/\nline"].into_iter().enumerate() {
        let path = format!("Agents/odd-{at}");
        let metadata = json!({ "name": format!("odd-{at}"), "workspace": workspace });
        define(&daemon, &path, "You try.", &metadata).await?;
        let note = stamped(&daemon, &path, "error")
            .await
            .with_context(|| format!("{workspace:?}"))?;
        ensure!(meta(&note, "status_detail").contains("workspace"), "{note}");
    }
    Ok(())
}

#[tokio::test]
async fn an_address_is_not_repeated_at_length() -> Result<()> {
    let daemon = with_eng().await?;
    let key = "x".repeat(5000);
    for path in [
        ["api", "jobs", key.as_str()],
        ["api", "agent-defs", &key],
        ["api", "agents", &key],
    ] {
        let reply = get(&daemon, &path).await?;
        let length = reply.body.to_string().len();
        ensure!(
            reply.status == 404 && length < LONG,
            "{}: {} with {length} bytes",
            path[1],
            reply.status
        );
    }
    Ok(())
}
