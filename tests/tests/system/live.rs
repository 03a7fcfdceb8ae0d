//! What is told of the daemon and its jobs on the stream of everything.

use anyhow::Result;
use pretty_assertions::assert_eq;
use serde_json::json;

use super::{post, with_eng};

#[tokio::test]
async fn a_change_of_jobs_is_told() -> Result<()> {
    let daemon = with_eng().await?;
    let mut all = daemon.stream("/api/events", None, daemon.token()).await?;
    let mut some = daemon.stream("/api/events?channels=eng", None, daemon.token()).await?;
    let job =
        json!({"id": "daily", "channel": "eng", "message": "[[reply x]]", "schedule": {"at": "2099-01-01T00:00:00Z"}});
    assert_eq!(post(&daemon, "/api/jobs", &job).await?.status, 200);
    let told = all.until(|event| event.event == "jobs").await?;
    let told = told.last().unwrap();
    assert_eq!(
        (&told.data["kind"], &told.data["id"]),
        (&json!("jobs"), &json!("daily"))
    );
    assert!(told.data["seq"].is_u64() && told.data["at"].is_string(), "{told:?}");
    // A run is one, and so is the end.
    assert_eq!(post(&daemon, "/api/jobs/daily/run", &json!({})).await?.status, 200);
    all.until(|event| event.event == "jobs").await?;
    assert_eq!(daemon.ask_in("DELETE", "/api/jobs/daily", b"").await?.status, 200);
    all.until(|event| event.event == "jobs").await?;
    // Who watches some agents is told of these alone.
    let sent = daemon.send("eng", "[[reply y]]").await?;
    let turn = daemon.wait_turn("eng", &sent).await?.turn;
    let seen = some.until_end(&turn).await?;
    assert!(seen.iter().all(|event| event.event != "jobs"), "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn a_change_of_health_is_told() -> Result<()> {
    let daemon = with_eng().await?;
    let mut all = daemon.stream("/api/events", None, daemon.token()).await?;
    let file = daemon.state_dir().join("credentials.json");
    std::fs::write(&file, "no JSON")?;
    let told = all.until(|event| event.event == "health").await?;
    let told = told.last().unwrap();
    assert_eq!(
        (&told.data["kind"], &told.data["status"]),
        (&json!("health"), &json!("degraded"))
    );
    std::fs::remove_file(&file)?;
    let told = all.until(|event| event.event == "health").await?;
    assert_eq!(told.last().unwrap().data["status"], "ok");
    Ok(())
}
