//! What the notes of jobs say, and what follows from what is written on them.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, Sent, State};
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

use super::{add, ask, job, note_until, post, runs_until, sent, soon, with_eng};

const PATH: &str = "Channels/eng/jobs/j";

fn says<'a>(note: &'a Value, key: &str) -> &'a str {
    note["metadata"][key].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_note_that_will_not_do_says_why_until_it_does() -> Result<()> {
    let daemon = with_eng().await?;
    let wrong = json!({"jobId": "j", "agent": "eng", "cron": "61 * * * *", "overlap": "maybe"});
    daemon.note_put(PATH, "go", &["agent/job"], &wrong).await?;
    let note = note_until(&daemon, PATH, |note| says(note, "status") == "error").await?;
    let detail = says(&note, "status_detail");
    assert!(detail.contains("minute") && detail.contains("overlap"), "{detail}");
    let listed = job(&daemon, "j").await?;
    assert_eq!(
        (&listed["status"], listed["problems"].as_array().map(Vec::len)),
        (&json!("error"), Some(2))
    );
    assert_eq!(listed["schedule"], json!({"cron": "61 * * * *"}));
    let refused = ask(&daemon, Method::POST, &["j", "run"], &json!({})).await?;
    assert_eq!((refused.status, &refused.body["error"]), (409, &json!("invalid_job")));
    let mended = json!({"cron": "0 0 1 1 *", "overlap": "skip"});
    daemon.note_put(PATH, "go", &[], &mended).await?;
    let note = note_until(&daemon, PATH, |note| says(note, "status").is_empty()).await?;
    assert_eq!(says(&note, "status_detail"), "");
    assert_eq!(job(&daemon, "j").await?["status"], "enabled");
    Ok(())
}

#[tokio::test]
async fn a_job_of_an_agent_that_is_not_there_says_so_and_runs_when_it_comes() -> Result<()> {
    let daemon = with_eng().await?;
    let metadata = json!({"jobId": "j", "agent": "ops", "cron": "0 0 1 1 *"});
    daemon
        .note_put(PATH, "[[reply woken]]", &["agent/job"], &metadata)
        .await?;
    let note = note_until(&daemon, PATH, |note| says(note, "status") == "error").await?;
    assert!(says(&note, "status_detail").contains("\"ops\""), "{note}");
    let ran = post(&daemon, &["j", "run"], json!({})).await?;
    assert!(
        ran["status"].as_str().context("a status")?.starts_with("error: "),
        "{ran}"
    );
    let runs = runs_until(&daemon, "j", |runs| !runs.is_empty()).await?;
    assert_eq!(
        json!([runs[0]["state"], runs[0]["code"]]),
        json!(["skipped", "no_agent"])
    );
    daemon.create_agent("ops", "You operate.").await?;
    note_until(&daemon, PATH, |note| says(note, "status").is_empty()).await?;
    let ran = post(&daemon, &["j", "run"], json!({})).await?;
    assert_eq!(ran["status"], "ok");
    daemon
        .request(Method::DELETE, &["api", "agents", "ops"], None)
        .await?
        .ok::<Value>()?;
    note_until(&daemon, PATH, |note| says(note, "status") == "error").await?;
    Ok(())
}

#[tokio::test]
async fn how_a_run_went_is_written_once_and_nothing_else_is() -> Result<()> {
    let daemon = with_eng().await?;
    add(&daemon, "j", json!({"message": "[[error refusal]]"})).await?;
    let quiet = add(&daemon, "quiet", json!({})).await?;
    let before = daemon.note(PATH).await?.context("the note")?;
    let changes = async || -> Result<usize> { Ok(daemon.journal()?.notes.len()) };
    let ran = post(&daemon, &["j", "run"], json!({})).await?;
    let message = Sent {
        id: ran["noteId"].as_str().context("a message")?.to_owned(),
        turn: None,
    };
    assert_eq!(daemon.wait_turn("eng", &message).await?.state, State::Error);
    let note = note_until(&daemon, PATH, |note| !says(note, "lastStatus").is_empty()).await?;
    assert!(says(&note, "lastStatus").starts_with("error: "), "{note}");
    let runs = runs_until(&daemon, "j", |runs| runs[0]["outcome"].is_string()).await?;
    assert_eq!(
        (says(&note, "lastRunAt"), &runs[0]["outcome"]),
        (runs[0]["at"].as_str().unwrap(), &note["metadata"]["lastStatus"])
    );
    let expected = {
        let mut expected = before["metadata"].clone();
        for key in ["lastRunAt", "lastStatus"] {
            expected[key] = note["metadata"][key].clone();
        }
        expected
    };
    assert_eq!(note["metadata"], expected);
    // Neither the note of the other job nor this one is written again.
    let count = changes().await?;
    let ran = post(&daemon, &["quiet", "run"], json!({})).await?;
    assert_eq!(ran["status"], "ok");
    note_until(&daemon, "Channels/eng/jobs/quiet", |note| {
        says(note, "lastStatus") == "ok"
    })
    .await?;
    assert!(changes().await? > count);
    assert_eq!(
        daemon.note(PATH).await?.context("the note")?["updatedAt"],
        note["updatedAt"]
    );
    assert_eq!(job(&daemon, "quiet").await?["createdAt"], quiet["createdAt"]);
    Ok(())
}

#[tokio::test]
async fn a_message_of_a_job_carries_what_its_note_was_marked_with() -> Result<()> {
    let daemon = with_eng().await?;
    let metadata = json!({
        "jobId": "j", "agent": "eng", "at": "2099-01-01T00:00:00Z", "defined_by": "agent:eng", "delegation_depth": "3",
    });
    daemon
        .note_put(PATH, "[[reply woken]]", &["agent/job"], &metadata)
        .await?;
    eventually("the job is there", LIMIT, async || {
        Ok((ask(&daemon, Method::GET, &["j"], &Value::Null).await?.status == 200).then_some(()))
    })
    .await?;
    post(&daemon, &["j", "run"], json!({})).await?;
    let sent = sent(&daemon).await?;
    assert_eq!(
        json!([sent[0]["metadata"]["delegation_depth"], sent[0]["metadata"]["sender"]]),
        json!(["3", "runner:j"])
    );
    Ok(())
}

#[tokio::test]
async fn a_job_wakes_the_agents_of_its_own_vault_only() -> Result<()> {
    let config = "[[vault]]\nname = \"default\"\n[[vault]]\nname = \"other\"\n";
    let daemon = Daemon::builder().stand_in().config(config).start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let metadata = json!({"jobId": "j", "agent": "eng", "cron": "0 0 1 1 *"});
    daemon
        .note_put_in("other", PATH, "go", &["agent/job"], &metadata)
        .await?;
    let note = eventually("the note says so", LIMIT, async || {
        let note = daemon.note_in("other", PATH).await?;
        Ok(note.filter(|note| says(note, "status") == "error"))
    })
    .await?;
    assert!(
        says(&note, "status_detail").contains("lives in the vault \"default\""),
        "{note}"
    );
    // The same name in the agent's own vault is another job.
    add(&daemon, "j", soon(3600)).await?;
    let both = ask(&daemon, Method::POST, &["j", "run"], &json!({})).await?;
    assert_eq!((both.status, &both.body["error"]), (409, &json!("ambiguous_job")));
    let message = both.body["message"].as_str().context("a message")?;
    assert!(
        message.contains("vault default") && message.contains("vault other"),
        "{message}"
    );
    Ok(())
}
