//! Jobs by the API and by notes: what is taken, what is written, what is told.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, State};
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

use super::{delete, each, get, list, merge, meta, notes, patch, post, refused, text, with_eng};

pub(crate) const JOB: &str = "agent/job";
pub(crate) const JOBS: [&str; 2] = ["api", "jobs"];

/// What makes a job of `eng` that is far from its next time.
pub(crate) fn job(id: &str, more: &Value) -> Value {
    let mut body = json!({
        "id": id, "channel": "eng", "message": "[[reply woken]]", "schedule": { "cron": "0 0 1 1 *", "tz": "UTC" },
    });
    merge(&mut body, more);
    body
}

/// Saves a job by the API and answers what is told of it.
pub(crate) async fn saved(daemon: &Daemon, body: &Value) -> Result<Value> {
    let told: Value = post(daemon, &JOBS, body).await?.ok()?;
    assert_eq!(told["ok"], json!(true), "{told}");
    Ok(told["job"].clone())
}

/// All jobs that are listed.
pub(crate) async fn all(daemon: &Daemon) -> Result<Vec<Value>> {
    let told: Value = get(daemon, &JOBS).await?.ok()?;
    Ok(list(&told, "jobs")?.clone())
}

/// A job that is listed.
pub(crate) async fn one(daemon: &Daemon, id: &str) -> Result<Value> {
    let jobs = all(daemon).await?;
    let found = jobs.iter().find(|job| job["id"] == id || job["noteId"] == id);
    found.cloned().with_context(|| format!("{id} in {jobs:?}"))
}

/// Waits until a job is listed that fits.
pub(crate) async fn until(daemon: &Daemon, id: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
    let mut last = Value::Null;
    let what = format!("the job {id} is as it is to be");
    let found = eventually(&what, LIMIT, async || {
        let jobs = all(daemon).await?;
        let found = jobs.into_iter().find(|job| job["id"] == id || job["noteId"] == id);
        last = found.clone().unwrap_or_default();
        Ok(found.filter(&fits))
    });
    found.await.with_context(|| format!("{last}"))
}

#[tokio::test]
async fn ac_183_184_a_job_that_will_not_do_is_refused_and_nothing_is_written() -> Result<()> {
    let daemon = with_eng().await?;
    let schedule = |cron: &str| json!({ "schedule": { "cron": cron, "tz": "UTC" } });
    let zone = |tz: Value| json!({ "schedule": { "cron": "0 9 * * *", "tz": tz } });
    for (more, words) in [
        (json!({ "id": "two words" }), &["id"][..]),
        (json!({ "id": "a/b" }), &["id"]),
        (json!({ "id": "" }), &["id"]),
        (json!({ "id": 7 }), &["id"]),
        (json!({ "id": null }), &["id"]),
        (json!({ "message": "" }), &["message"]),
        (json!({ "message": " \n\t" }), &["message"]),
        (json!({ "message": 7 }), &["message"]),
        (json!({ "message": ["x"] }), &["message"]),
        (json!({ "schedule": null }), &["schedule"]),
        (json!({ "schedule": "0 9 * * *" }), &["schedule"]),
        (json!({ "schedule": {} }), &["cron"]),
        (schedule(""), &["cron"]),
        (schedule("  "), &["cron"]),
        (schedule("tomorrow"), &["cron"]),
        (schedule("60 * * * *"), &["minute"]),
        (zone(json!("")), &["tz"]),
        (zone(json!("Mars/Base")), &["tz", "Mars/Base"]),
        (zone(json!("+05:30")), &["tz"]),
        (zone(json!("../etc")), &["tz"]),
        (zone(json!(7)), &["tz"]),
        (json!({ "channel": "" }), &[]),
        (json!({ "channel": null }), &[]),
        (json!({ "channel": "nobody" }), &["nobody"]),
        (json!({ "channel": "a/b" }), &[]),
        (
            json!({ "schedule": { "cron": "0 9 * * *", "at": "2099-01-01T00:00:00Z" } }),
            &["cron", "at"],
        ),
        (json!({ "schedule": { "at": "soon" } }), &["at"]),
        (json!({ "overlap": "maybe" }), &["overlap", "queue", "skip"]),
        (json!({ "catch_up": "always" }), &["catch_up", "once", "skip"]),
    ] {
        let told = post(&daemon, &JOBS, &job("nightly", &more)).await?;
        refused(&told, 400, words).with_context(|| more.to_string())?;
    }
    assert_eq!(notes(&daemon, JOB).await?, Vec::<Value>::new());
    // What is wrong first is told, and it is told of the same job when that is mended.
    let told = post(
        &daemon,
        &JOBS,
        &job("two words", &json!({ "message": "", "channel": "nobody" })),
    )
    .await?;
    refused(&told, 400, &["id"])?;
    saved(&daemon, &job("nightly", &json!({}))).await?;
    Ok(())
}

#[tokio::test]
async fn ac_186_199_a_job_is_a_note_like_this() -> Result<()> {
    let daemon = with_eng().await?;
    let body = job(
        "nightly-1",
        &json!({ "message": "  check the build \n", "subject": " builds " }),
    );
    let told = saved(&daemon, &body).await?;
    let note = daemon
        .note("Channels/eng/jobs/nightly-1")
        .await?
        .context("the note of the job")?;
    assert_eq!(
        (&note["tags"], &note["content"]),
        (&json!([JOB]), &json!("check the build"))
    );
    let said = [
        "jobId",
        "agent",
        "cron",
        "tz",
        "enabled",
        "subject",
        "channel",
        "nextRunAt",
    ]
    .map(|key| meta(&note, key));
    assert_eq!(said, ["nightly-1", "eng", "0 0 1 1 *", "UTC", "true", "builds", "", ""]);
    assert!(meta(&note, "createdAt").parse::<jiff::Timestamp>().is_ok(), "{note}");
    assert!(
        note["metadata"].as_object().unwrap().values().all(Value::is_string),
        "{note}"
    );
    assert_eq!(
        json!([
            told["id"],
            told["noteId"],
            told["channel"],
            told["message"],
            told["subject"],
            told["enabled"],
            told["status"]
        ]),
        json!([
            "nightly-1",
            note["id"],
            "eng",
            "check the build",
            "builds",
            true,
            "enabled"
        ])
    );
    assert_eq!(told["schedule"], json!({ "cron": "0 0 1 1 *", "tz": "UTC" }));
    assert!(text(&told, "nextRunAt").contains("-01-01T00:00:00"), "{told}");
    assert_eq!(one(&daemon, "nightly-1").await?, told);
    // What is not said is not written.
    let bare =
        json!({ "id": "bare", "channel": "eng", "message": "x", "schedule": { "cron": "0 0 1 1 *" }, "subject": "  " });
    saved(&daemon, &bare).await?;
    let note = daemon
        .note("Channels/eng/jobs/bare")
        .await?
        .context("the note of the job")?;
    for absent in ["tz", "subject", "lastRunAt", "lastStatus", "at"] {
        assert_eq!(note["metadata"].get(absent), None, "{absent}");
    }
    Ok(())
}

#[tokio::test]
async fn ac_188_a_job_that_is_saved_again_is_changed() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("ops", "You run things.").await?;
    let first = saved(&daemon, &job("nightly", &json!({}))).await?;
    let again = job(
        "nightly",
        &json!({ "message": "another", "schedule": { "cron": "0 0 2 2 *", "tz": "UTC" } }),
    );
    let second = saved(&daemon, &again).await?;
    assert_eq!(
        (&first["noteId"], &second["message"]),
        (&second["noteId"], &json!("another"))
    );
    assert!(text(&second, "nextRunAt").contains("-02-02T00:00:00"), "{second}");
    assert_eq!(notes(&daemon, JOB).await?.len(), 1);
    // The same id of another agent is another job, which a mere id does not tell apart.
    saved(&daemon, &job("nightly", &json!({ "channel": "ops" }))).await?;
    assert_eq!(notes(&daemon, JOB).await?.len(), 2);
    let told = post(&daemon, &["api", "jobs", "nightly", "run"], &json!({})).await?;
    refused(&told, 409, &["eng", "ops"])?;
    let removed = daemon.ask_in("DELETE", "/api/jobs/nightly?channel=ops", b"").await?;
    assert_eq!((removed.status, &removed.json()?["removed"]), (200, &json!(true)));
    assert_eq!(all(&daemon).await?, [second]);
    Ok(())
}

#[tokio::test]
async fn ac_185_jobs_are_listed_out_of_their_notes() -> Result<()> {
    let daemon = with_eng().await?;
    let base = json!({ "agent": "eng", "cron": "0 0 1 1 *", "tz": "UTC" });
    let write = async |path: &str, more: Value| -> Result<String> {
        let mut metadata = base.clone();
        merge(&mut metadata, &more);
        let note = daemon.note_put(path, "wake", &[JOB], &metadata).await?;
        Ok(text(&note, "id").to_owned())
    };
    let old = write("Jobs/by hand", json!({})).await?;
    write("Jobs/off", json!({ "jobId": "off", "enabled": "false" })).await?;
    write(
        "Jobs/on",
        json!({ "jobId": "on", "enabled": "no", "subject": " s ", "createdAt": "2026-01-01T00:00:00Z" }),
    )
    .await?;
    write("Jobs/real", json!({ "jobId": "real", "enabled": false })).await?;
    write("Jobs/never", json!({ "jobId": "never", "cron": "" })).await?;
    write(
        "Jobs/legacy",
        json!({ "jobId": "legacy", "agent": "", "channel": "eng" }),
    )
    .await?;
    write("Jobs/lost", json!({ "jobId": "lost", "agent": "nobody" })).await?;
    let jobs = eventually("all are listed", LIMIT, async || {
        let jobs = all(&daemon).await?;
        Ok((jobs.len() == 7).then_some(jobs))
    })
    .await?;
    let mut ids = each(&jobs, "id");
    ids.sort_unstable();
    let mut expected = vec![old.as_str(), "legacy", "lost", "never", "off", "on", "real"];
    expected.sort_unstable();
    assert_eq!(ids, expected);
    let of = |id: &str| jobs.iter().find(|job| job["id"] == id).unwrap();
    assert_eq!(of(&old)["noteId"], json!(old));
    for (id, enabled, status) in [
        ("off", false, "paused"),
        ("real", false, "paused"),
        ("on", true, "enabled"),
        ("legacy", true, "enabled"),
    ] {
        assert_eq!(
            (&of(id)["enabled"], text(of(id), "status")),
            (&json!(enabled), status),
            "{id}"
        );
        assert_eq!(of(id).get("nextRunAt").is_some_and(|at| !at.is_null()), enabled, "{id}");
    }
    assert_eq!(
        (text(of("on"), "subject"), text(of("on"), "createdAt")),
        ("s", "2026-01-01T00:00:00Z")
    );
    // One that can never run is shown, with what is wrong, and not passed over.
    assert_eq!(text(of("never"), "status"), "error");
    assert_eq!(each(list(of("never"), "problems")?, "key"), ["cron"]);
    let note = super::stamped(&daemon, "Jobs/never", "error").await?;
    assert!(meta(&note, "status_detail").contains("cron"), "{note}");
    let narrowed = daemon.ask_in("GET", "/api/jobs?agent=nobody", b"").await?.json()?;
    assert_eq!(each(list(&narrowed, "jobs")?, "id"), ["lost"]);
    Ok(())
}

#[tokio::test]
async fn ac_187_a_job_is_changed_in_part_and_removed() -> Result<()> {
    let daemon = with_eng().await?;
    let made = saved(&daemon, &job("nightly", &json!({ "subject": "s" }))).await?;
    let before = daemon.note("Channels/eng/jobs/nightly").await?.context("the note")?;
    let path = ["api", "jobs", "nightly"];
    for (change, key, value) in [
        (json!({ "message": " other " }), "message", json!("other")),
        (
            json!({ "schedule": { "cron": "@daily", "tz": "Asia/Tokyo" } }),
            "schedule",
            json!({ "cron": "@daily", "tz": "Asia/Tokyo" }),
        ),
        (json!({ "enabled": false }), "status", json!("paused")),
        (json!({ "enabled": true }), "status", json!("enabled")),
        (json!({ "overlap": "skip" }), "overlap", json!("skip")),
        (json!({ "catch_up": "skip" }), "catch_up", json!("skip")),
        (json!({ "subject": "t" }), "subject", json!("t")),
        (json!({ "subject": null }), "subject", Value::Null),
    ] {
        let told: Value = patch(&daemon, &path, &change).await?.ok()?;
        assert_eq!(
            (&told["ok"], &told["job"][key]),
            (&json!(true), &value),
            "{change}: {told}"
        );
        assert_eq!(told["job"]["noteId"], made["noteId"]);
    }
    let after = daemon.note("Channels/eng/jobs/nightly").await?.context("the note")?;
    for key in ["jobId", "agent", "createdAt"] {
        assert_eq!(meta(&after, key), meta(&before, key), "{key}");
    }
    // A change that will not do changes nothing.
    for change in [
        json!({ "schedule": { "cron": "61 * * * *" } }),
        json!({ "schedule": { "cron": "@daily", "tz": "Nowhere/At-all" } }),
        json!({ "message": " " }),
        json!({ "enabled": "perhaps" }),
        json!({ "overlap": "skip", "catch_up": "sometimes" }),
        json!({}),
        json!({ "messsage": "x" }),
    ] {
        refused(&patch(&daemon, &path, &change).await?, 400, &[]).with_context(|| change.to_string())?;
    }
    assert_eq!(
        daemon.note("Channels/eng/jobs/nightly").await?.context("the note")?["metadata"],
        after["metadata"]
    );
    refused(
        &patch(&daemon, &["api", "jobs", "nothing"], &json!({ "message": "x" })).await?,
        404,
        &["nothing"],
    )?;

    let by_note = ["api", "jobs", text(&made, "noteId")];
    let removed: Value = delete(&daemon, &by_note).await?.ok()?;
    assert_eq!((&removed["ok"], &removed["removed"]), (&json!(true), &json!(true)));
    assert_eq!(daemon.note("Channels/eng/jobs/nightly").await?, None);
    let removed: Value = delete(&daemon, &by_note).await?.ok()?;
    assert_eq!(removed["removed"], json!(false));
    assert_eq!(all(&daemon).await?, Vec::<Value>::new());
    Ok(())
}

#[tokio::test]
async fn ac_199_the_doors_of_jobs() -> Result<()> {
    let daemon = with_eng().await?;
    saved(&daemon, &job("nightly", &json!({}))).await?;
    for (method, target) in [
        ("GET", "/api/jobs"),
        ("POST", "/api/jobs"),
        ("GET", "/api/jobs/nightly"),
        ("PATCH", "/api/jobs/nightly"),
        ("DELETE", "/api/jobs/nightly"),
        ("POST", "/api/jobs/nightly/run"),
        ("POST", "/api/jobs/nightly/pause"),
        ("POST", "/api/jobs/nightly/resume"),
        ("GET", "/api/jobs/nightly/runs"),
    ] {
        assert_eq!(
            daemon.ask(method, target, &[], b"{}").await?.status,
            401,
            "{method} {target}"
        );
    }
    for action in ["run", "pause", "resume"] {
        let told = post(&daemon, &["api", "jobs", "nothing", action], &json!({})).await?;
        refused(&told, 404, &["nothing"])?;
    }
    refused(
        &get(&daemon, &["api", "jobs", "nothing", "runs"]).await?,
        404,
        &["nothing"],
    )?;
    let removed: Value = delete(&daemon, &["api", "jobs", "nothing"]).await?.ok()?;
    assert_eq!(removed["removed"], json!(false));
    assert_eq!(all(&daemon).await?.len(), 1);
    let paused: Value = post(&daemon, &["api", "jobs", "nightly", "pause"], &json!({}))
        .await?
        .ok()?;
    assert_eq!(paused["ok"], json!(true));
    let note = daemon.note("Channels/eng/jobs/nightly").await?.context("the note")?;
    assert_eq!(
        [meta(&note, "enabled"), text(&one(&daemon, "nightly").await?, "status")],
        ["false", "paused"]
    );
    let resumed: Value = post(&daemon, &["api", "jobs", "nightly", "resume"], &json!({}))
        .await?
        .ok()?;
    assert_eq!(resumed["ok"], json!(true));
    assert_eq!(text(&one(&daemon, "nightly").await?, "status"), "enabled");
    Ok(())
}

#[tokio::test]
async fn ac_19_20_195_199_a_job_is_run_now() -> Result<()> {
    let daemon = with_eng().await?;
    let made = saved(
        &daemon,
        &job("nightly", &json!({ "subject": "builds", "enabled": false })),
    )
    .await?;
    let bare = saved(&daemon, &job("bare", &json!({}))).await?;
    for (job, subject) in [(&made, Some("builds")), (&bare, None)] {
        let id = text(job, "id");
        let told: Value = post(&daemon, &["api", "jobs", text(job, "noteId"), "run"], &json!({}))
            .await?
            .ok()?;
        assert_eq!(json!([told["ok"], told["id"], told["status"]]), json!([true, id, "ok"]));
        let note = daemon.note(text(&told, "message_id")).await?.context("the message")?;
        assert_eq!(note["tags"], json!(["agent/message", "agent/message/inbound"]));
        assert_eq!(note["content"], "[[reply woken]]");
        let said = ["agent", "direction", "sender", "job"].map(|key| meta(&note, key));
        let sender = format!("runner:{id}");
        assert_eq!(said, ["eng", "inbound", sender.as_str(), text(job, "noteId")]);
        assert_eq!(note["metadata"].get("subject").and_then(Value::as_str), subject);
        let sent = reveille_tests::daemon::Sent {
            id: text(&told, "message_id").to_owned(),
            turn: None,
        };
        let turn = daemon.wait_turn("eng", &sent).await?;
        assert_eq!((turn.state, turn.reply.as_deref()), (State::Ok, Some("woken")));
        let runs: Value = get(&daemon, &["api", "jobs", text(job, "noteId"), "runs"])
            .await?
            .ok()?;
        let [run] = &list(&runs, "runs")?[..] else {
            panic!("one run: {runs}")
        };
        assert_eq!(
            json!([run["kind"], run["state"], run["message_id"], run["turn"]]),
            json!(["manual", "fired", told["message_id"], { "id": turn.turn, "state": "ok" }])
        );
        let after = until(&daemon, id, |job| job["lastStatus"] == "ok").await?;
        assert_eq!(after["enabled"], job["enabled"]);
        assert!(text(&after, "lastRunAt").parse::<jiff::Timestamp>().is_ok(), "{after}");
        assert_eq!(after["nextRunAt"], job["nextRunAt"]);
    }
    // The note says it too, a moment later, and asks for nothing because of that.
    eventually("the note says it", LIMIT, async || {
        let note = daemon.note("Channels/eng/jobs/bare").await?.context("the note")?;
        Ok((meta(&note, "lastStatus") == "ok").then_some(()))
    })
    .await?;
    assert_eq!(notes(&daemon, "agent/message/inbound").await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_new_job_takes_no_other_ones_place() -> Result<()> {
    let daemon = with_eng().await?;
    saved(&daemon, &job("daily", &json!({ "message": "Look." }))).await?;
    // A person gives it another id; its note stays where it is.
    let path = ["vault", "default", "api", "notes", "Channels/eng/jobs/daily"];
    let renamed = json!({ "metadata": { "jobId": "nightly" }, "force": true });
    patch(&daemon, &path, &renamed).await?.ok::<Value>()?;
    until(&daemon, "nightly", |_| true).await?;
    let other = job("daily", &json!({ "message": "Another." }));
    let words = refused(&post(&daemon, &JOBS, &other).await?, 409, &["Channels/eng/jobs/daily"])?;
    assert_eq!(text(&one(&daemon, "nightly").await?, "message"), "Look.", "{words}");

    // Of two that are made at once one is the last, and it is whole.
    for round in 0..20 {
        let id = format!("r{round}");
        let cron = job(&id, &json!({}));
        let mut at = job(&id, &json!({}));
        at["schedule"] = json!({ "at": "2200-01-01T00:00:00Z" });
        let told = tokio::try_join!(post(&daemon, &JOBS, &cron), post(&daemon, &JOBS, &at))?;
        assert_eq!((told.0.status, told.1.status), (200, 200), "{told:?}");
        let made = until(&daemon, &id, |_| true).await?;
        let note = daemon.note(text(&made, "noteId")).await?.context("the note")?;
        let has = |key: &str| note["metadata"].get(key).is_some_and(|value| !value.is_null());
        assert!(has("cron") != has("at"), "{note}");
    }
    Ok(())
}
