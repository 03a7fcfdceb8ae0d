//! Jobs that the compiled daemon runs. What fires when is shown by the simulation in the daemon's own tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

mod crashes;
mod doors;
mod notes;

use anyhow::{Context as _, Result};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use reveille_tests::daemon::{Daemon, LIMIT, Reply};
use reveille_tests::eventually;
use serde_json::{Value, json};

async fn with_eng() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    Ok(daemon)
}

async fn ask(daemon: &Daemon, method: Method, path: &[&str], body: &Value) -> Result<Reply> {
    let path = [&["api", "jobs"], path].concat();
    daemon
        .request(method, &path, Some(body).filter(|body| !body.is_null()))
        .await
}

async fn post(daemon: &Daemon, path: &[&str], body: Value) -> Result<Value> {
    ask(daemon, Method::POST, path, &body).await?.ok()
}

/// Makes a job for `eng` that is due at the end of time, unless `more` says otherwise.
async fn add(daemon: &Daemon, id: &str, more: Value) -> Result<Value> {
    let mut body = json!({
        "id": id, "channel": "eng", "message": "[[reply woken]]", "schedule": {"at": "2099-01-01T00:00:00Z"},
    });
    for (key, value) in more.as_object().context("an object")? {
        body[key] = value.clone();
    }
    Ok(post(daemon, &[], body).await?["job"].take())
}

/// In so many seconds.
fn soon(seconds: i64) -> Value {
    let at = Timestamp::now() + SignedDuration::from_secs(seconds);
    json!({"schedule": {"at": at.to_string()}})
}

async fn job(daemon: &Daemon, id: &str) -> Result<Value> {
    ask(daemon, Method::GET, &[id], &Value::Null).await?.ok()
}

async fn runs(daemon: &Daemon, id: &str) -> Result<Vec<Value>> {
    let told: Value = ask(daemon, Method::GET, &[id, "runs"], &Value::Null).await?.ok()?;
    Ok(told["runs"].as_array().context("runs")?.clone())
}

/// Waits for a history that fits.
async fn runs_until(daemon: &Daemon, id: &str, fits: impl Fn(&[Value]) -> bool) -> Result<Vec<Value>> {
    eventually(&format!("the history of {id} fits"), LIMIT, async || {
        let runs = runs(daemon, id).await?;
        Ok(fits(&runs).then_some(runs))
    })
    .await
}

/// The messages that a job has sent.
async fn sent(daemon: &Daemon) -> Result<Vec<Value>> {
    let target = "/vault/default/api/notes?tag=agent/message/inbound&include_content=true";
    let notes = daemon.ask_in("GET", target, b"").await?.json()?;
    let notes = notes.as_array().context("notes")?.clone();
    Ok(notes
        .into_iter()
        .filter(|note| note["metadata"]["job"].is_string())
        .collect())
}

/// Waits until a note says something.
async fn note_until(daemon: &Daemon, key: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
    eventually(&format!("the note {key} fits"), LIMIT, async || {
        Ok(daemon.note(key).await?.filter(&fits))
    })
    .await
}
