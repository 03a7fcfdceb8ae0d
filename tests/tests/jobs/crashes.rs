//! A daemon that dies while a job is due: the occurrence has one message all the same.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, Sent, State};
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

use super::{add, job, post, runs, runs_until, sent, soon, with_eng};

/// A daemon that dies at a point of its work on the job `j`, which is due soon; and starts again.
async fn killed_at(point: &str) -> Result<Daemon> {
    let mut daemon = with_eng().await?;
    daemon.stop().await?;
    daemon.start_doomed(point, 1).await?;
    // By the daemon that is to die: it serves when the job is due, however long its start takes.
    let _ = add(&daemon, "j", soon(2)).await; // silent-ok: on a slow machine it dies before it has answered
    daemon.wait_killed().await?;
    daemon.start().await?;
    Ok(daemon)
}

#[tokio::test]
async fn ac_198_an_occurrence_has_one_message_wherever_the_daemon_is_killed() -> Result<()> {
    for (point, kind) in [
        ("job.sending", "catch_up"),
        ("job.sent", "scheduled"),
        ("job.logged", "scheduled"),
    ] {
        let daemon = killed_at(point).await?;
        let runs = runs_until(&daemon, "j", |runs| !runs.is_empty()).await?;
        let message = runs[0]["message_id"].as_str().context("a message")?.to_owned();
        let ended = Sent {
            id: message.clone(),
            turn: None,
        };
        assert_eq!(daemon.wait_turn("eng", &ended).await?.state, State::Ok, "{point}");
        let told = super::runs(&daemon, "j").await?;
        assert_eq!(told.len(), 1, "{point}: {told:?}");
        assert_eq!(
            json!([
                told[0]["state"],
                told[0]["kind"],
                told[0]["count"],
                told[0]["turn"]["state"]
            ]),
            json!(["fired", kind, 1, "ok"]),
            "{point}"
        );
        let sent = sent(&daemon).await?;
        assert_eq!(sent.len(), 1, "{point}: {sent:?}");
        assert_eq!(
            (&sent[0]["id"], &sent[0]["metadata"]["occurrence_at"]),
            (&json!(message), &told[0]["occurrence_at"]),
            "{point}"
        );
        assert_eq!(job(&daemon, "j").await?["status"], "done", "{point}");
    }
    Ok(())
}

#[tokio::test]
async fn ac_195_a_run_by_hand_is_found_again_after_a_kill() -> Result<()> {
    for (point, state, messages) in [("job.sending", "failed", 0), ("job.sent", "fired", 1)] {
        let mut daemon = with_eng().await?;
        add(&daemon, "j", json!({})).await?;
        daemon.stop().await?;
        daemon.start_doomed(point, 1).await?;
        assert!(post(&daemon, &["j", "run"], json!({})).await.is_err(), "{point}");
        daemon.wait_killed().await?;
        daemon.start().await?;
        let runs = runs_until(&daemon, "j", |runs| !runs.is_empty()).await?;
        assert_eq!(
            json!([runs[0]["state"], runs[0]["kind"]]),
            json!([state, "manual"]),
            "{point}"
        );
        assert_eq!(sent(&daemon).await?.len(), messages, "{point}");
    }
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_made_while_the_daemon_dies_is_there_and_is_made_once() -> Result<()> {
    let mut daemon = with_eng().await?;
    daemon.stop().await?;
    daemon.start_doomed("job.created", 1).await?;
    assert!(add(&daemon, "j", json!({})).await.is_err());
    daemon.wait_killed().await?;
    daemon.start().await?;
    let before = job(&daemon, "j").await?;
    let again = add(&daemon, "j", json!({"message": "other"})).await?;
    assert_eq!(
        (&again["noteId"], &again["message"]),
        (&before["noteId"], &json!("other"))
    );
    Ok(())
}

/// The daemon is killed again and again while jobs are due all the time.
#[tokio::test]
async fn ac_198_no_occurrence_is_lost_or_sent_twice_by_kills_at_any_moment() -> Result<()> {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut random = reveille_tests::Random::new(seed);
    let mut daemon = with_eng().await?;
    let names: Vec<String> = (0..40).map(|number| format!("j{number}")).collect();
    for (number, name) in (0..).zip(&names) {
        add(&daemon, name, soon(3 + number / 5)).await?;
    }
    for _ in 0..4 {
        // Not a wait for something: the moment itself is what is tested.
        tokio::time::sleep(random.millis(300..2500)).await;
        daemon.kill9().await?;
        daemon.start().await?;
    }
    eventually("every job has run", LIMIT, async || {
        let told: Value = super::ask(&daemon, http::Method::GET, &[], &Value::Null).await?.ok()?;
        let jobs = told["jobs"].as_array().context("jobs")?;
        Ok(jobs.iter().all(|job| job["status"] == "done").then_some(()))
    })
    .await?;
    for name in &names {
        let runs = runs(&daemon, name).await?;
        assert_eq!(
            (runs.len(), &runs[0]["state"]),
            (1, &json!("fired")),
            "{name}: {runs:?}"
        );
    }
    assert_eq!(sent(&daemon).await?.len(), names.len());
    Ok(())
}
