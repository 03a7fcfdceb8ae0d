//! Threads, jobs and definitions.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::LIMIT;
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::{Agent, each, enc, text};

const THREAD: &str = "Threads/uni/uni--launch-blockers";

/// What a turn writes into the record of its thread.
fn record(status: &str, turns: &str) -> Value {
    json!({
        "path": THREAD, "tags": ["agent/thread"],
        "metadata": {
            "agent": "uni", "mode": "single-threaded", "status": status, "started_at": "2026-07-02T10:00:00.000Z",
            "turn_count": turns, "session": "8d7f0c66-6f0e-4f0e-9a1e-2b1f6a3c9d10", "total_cost_usd": "0.012345678",
        },
        "if_missing": "create", "force": true,
    })
}

#[tokio::test]
async fn row_07_a_thread_is_read_by_its_path() -> Result<()> {
    let agent = Agent::start().await?;
    let target = format!("/notes/{}", enc(THREAD));
    assert!(target.ends_with("/Threads%2Funi%2Funi--launch-blockers"), "{target}");
    let (status, told) = agent.get(&target).await?;
    assert_eq!((status, told["error"].is_string()), (404, true), "{told}");
    let thread = json!({
        "path": THREAD, "content": "Be brief.", "tags": ["agent/thread"],
        "metadata": { "agent": "uni", "model": "opus", "roles": ["Roles/a", "Roles/b"], "loadout": ["Docs/x"] },
    });
    let made = agent.post(&thread).await?;
    assert_eq!(agent.get(&target).await?, (200, made.clone()));
    for (key, value) in thread.as_object().unwrap() {
        assert_eq!(&made[key], value, "{key}");
    }
    // A path is what was written, no more and no less.
    for other in ["threads/uni/uni--launch-blockers", "Threads/uni/uni", "Threads/uni"] {
        assert_eq!(agent.get(&format!("/notes/{}", enc(other))).await?.0, 404, "{other}");
    }
    Ok(())
}

#[tokio::test]
async fn row_08_the_record_of_a_thread_is_made_once_and_then_changed() -> Result<()> {
    let agent = Agent::start().await?;
    // Without the word that makes it, there is nothing to change.
    let mut no_word = record("working", "1");
    for key in ["if_missing", "tags"] {
        no_word.as_object_mut().unwrap().remove(key);
    }
    assert_eq!(agent.patch(THREAD, &no_word).await?.0, 404);

    let (status, made) = agent.patch(THREAD, &record("working", "1")).await?;
    assert!([200, 201].contains(&status), "{status} {made}");
    let expected = json!({
        "id": made["id"], "path": THREAD, "content": "", "tags": ["agent/thread"],
        "metadata": record("working", "1")["metadata"], "createdAt": made["createdAt"], "updatedAt": made["createdAt"],
    });
    assert_eq!(made, expected);

    // A person writes its standing context and tags it; the next turns leave both alone.
    let written = json!({
        "content": "Ship on Friday.", "metadata": { "model": "opus" }, "tags": { "add": ["pinned"] },
        "if_updated_at": made["updatedAt"],
    });
    assert_eq!(agent.patch(THREAD, &written).await?.0, 200);
    for (status, turns) in [("ok", "1"), ("working", "2"), ("ok", "2")] {
        let mut change = record(status, turns);
        change["tags"] = json!(["agent/thread", "agent/message"]);
        let (code, note) = agent.patch(THREAD, &change).await?;
        let mut metadata = change["metadata"].clone();
        metadata["model"] = json!("opus");
        assert_eq!(
            (code, &note["id"], &note["path"], &note["content"]),
            (200, &made["id"], &json!(THREAD), &json!("Ship on Friday."))
        );
        assert_eq!(
            (&note["tags"], &note["metadata"]),
            (&json!(["agent/thread", "pinned"]), &metadata)
        );
        assert_eq!(note["createdAt"], made["createdAt"]);
    }
    let threads = agent.list("?tag=agent%2Fthread&limit=500").await?;
    assert_eq!((threads.len(), &threads[0]["content"]), (1, &Value::Null));
    assert_eq!(text(&threads[0]["metadata"], "turn_count"), "2");
    // A vault that knows no upsert is written by a ladder, whose steps hold here as well.
    assert_eq!(agent.call("POST", "/notes", &record("ok", "2")).await?.0, 409);
    Ok(())
}

#[tokio::test]
async fn row_09_a_conversation_begins_anew() -> Result<()> {
    let agent = Agent::start().await?;
    let clear = json!({ "path": THREAD, "metadata": { "session": "" }, "force": true });
    assert_eq!(agent.patch(THREAD, &clear).await?.0, 404);
    agent.patch(THREAD, &record("ok", "3")).await?;
    let mut metadata = record("ok", "3")["metadata"].clone();
    metadata["session"] = json!("");
    let clear = json!({ "metadata": { "session": "" }, "force": true });
    for _ in 0..2 {
        let (status, note) = agent.patch(THREAD, &clear).await?;
        assert_eq!((status, &note["metadata"]), (200, &metadata));
    }
    assert_eq!(agent.note(THREAD).await?["metadata"], metadata);
    Ok(())
}

/// An agent for the jobs: the daemon writes on a job that has none.
async fn with_uni() -> Result<Agent> {
    let agent = Agent::start().await?;
    let uni = json!({ "content": "You plan.", "tags": ["agent/definition"], "metadata": { "name": "uni" } });
    agent.post(&uni).await?;
    eventually("the agent is there", LIMIT, async || {
        Ok(agent
            .daemon
            .agents()
            .await?
            .iter()
            .any(|agent| agent["name"] == "uni")
            .then_some(()))
    })
    .await?;
    Ok(agent)
}

fn job(message: &str) -> Value {
    json!({
        "content": message, "path": "Channels/uni/jobs/nightly", "tags": ["agent/job"],
        "metadata": {
            "jobId": "nightly", "agent": "uni", "cron": "0 3 * * *", "tz": "Europe/Berlin", "enabled": "true",
            "createdAt": "2026-07-02T10:00:00.000Z",
        },
    })
}

#[tokio::test]
async fn row_10_a_job_is_not_overwritten_by_a_second_post() -> Result<()> {
    let agent = with_uni().await?;
    let made = agent.post(&job("check the build")).await?;
    let (status, told) = agent.call("POST", "/notes", &job("something else")).await?;
    assert_eq!(
        (
            status,
            text(&told, "error"),
            text(&told, "error_type"),
            text(&told, "path")
        ),
        (409, "path_conflict", "path_conflict", "Channels/uni/jobs/nightly")
    );
    let jobs = agent.list("?tag=agent%2Fjob&include_content=true&limit=500").await?;
    assert_eq!(jobs, [made]);
    Ok(())
}

#[tokio::test]
async fn row_11_jobs_are_listed_changed_and_removed() -> Result<()> {
    let agent = with_uni().await?;
    let made = agent.post(&job("check the build")).await?;
    let id = text(&made, "id");
    let mut metadata = made["metadata"].clone();
    for change in [
        json!({ "lastRunAt": "2026-07-03T01:00:00.000Z", "lastStatus": "ok" }),
        json!({ "enabled": "false" }),
        json!({ "lastStatus": "error: no such channel" }),
    ] {
        for (key, value) in change.as_object().unwrap() {
            metadata[key] = value.clone();
        }
        let (status, note) = agent.patch(id, &json!({ "metadata": change, "force": true })).await?;
        assert_eq!((status, &note["metadata"]), (200, &metadata));
    }
    let query = "?tag=agent%2Fjob&include_content=true&limit=500";
    let jobs = agent.list(query).await?;
    assert_eq!((jobs.len(), &jobs[0]["metadata"]), (1, &metadata));
    let target = format!("/notes/{}", enc(id));
    assert_eq!(
        agent.delete(&target).await?,
        (200, json!({ "deleted": true, "id": id }))
    );
    assert_eq!(agent.delete(&target).await?.0, 404);
    assert_eq!(agent.list(query).await?, Vec::<Value>::new());
    // Its path is free again.
    assert_ne!(agent.post(&job("again")).await?["id"], made["id"]);
    Ok(())
}

#[tokio::test]
async fn row_12_definitions_are_written_read_changed_and_removed() -> Result<()> {
    let agent = Agent::start().await?;
    let prose = "You look after the unicorn.\n\n- be brief\n- say \u{1f984}\n";
    let new = json!({
        "content": prose, "path": "Agents/uni", "tags": ["agent/definition"], "metadata": { "name": "uni" },
    });
    let made = agent.post(&new).await?;
    let (id, target) = (
        text(&made, "id"),
        format!("/notes/{}?include_content=true", text(&made, "id")),
    );
    let found = agent
        .list("?tag=agent%2Fdefinition&include_content=true&limit=500")
        .await?;
    assert_eq!((each(&found, "id"), each(&found, "content")), (vec![id], vec![prose]));
    // This daemon says on the note that it has taken the agent up; the older one would write the same key.
    let status = eventually("the definition is taken up", LIMIT, async || {
        let (_, note) = agent.get(&target).await?;
        Ok(note["metadata"]["status"].as_str().map(str::to_owned))
    })
    .await?;
    let (_, note) = agent
        .patch(
            id,
            &json!({ "metadata": { "status": status, "wants": "vault:read" }, "force": true }),
        )
        .await?;
    assert_eq!((text(&note, "content"), &note["tags"]), (prose, &new["tags"]));
    let (code, note) = agent
        .patch(id, &json!({ "content": "You are replaced.", "force": true }))
        .await?;
    assert_eq!(
        (code, text(&note["metadata"], "name"), text(&note["metadata"], "wants")),
        (200, "uni", "vault:read")
    );
    assert_eq!(text(&agent.get(&target).await?.1, "content"), "You are replaced.");
    let threads = agent.list("?tag=agent%2Fthread&limit=500").await?;
    assert_eq!(threads, Vec::<Value>::new());
    assert_eq!(agent.delete(&format!("/notes/{id}")).await?.0, 200);
    let (status, told) = agent.delete(&format!("/notes/{id}")).await?;
    assert_eq!((status, told["error"].is_string()), (404, true));
    eventually("its agent is gone", LIMIT, async || {
        let agents = agent.daemon.ask_in("GET", "/api/agents", b"").await?.json()?;
        let agents = agents.as_array().or(agents["agents"].as_array()).context("agents")?;
        Ok(agents.is_empty().then_some(()))
    })
    .await
}
