//! What fires and what does not, with the real clock. A simulated year is in the daemon's own tests.

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, Sent, State};
use reveille_tests::eventually;
use reveille_tests::parachute::{Parachute, Version};
use serde_json::{Value, json};

use super::held::Held;
use super::jobs::{JOB, all, job, one, saved, until};
use super::{delete, get, list, meta, notes, patch, post, refused, text, with_eng, with_peer};

/// Seconds for what has to be done before the time of a job, also where the machine stands still for some of them.
const AHEAD: i64 = 15;

/// A time so many seconds from now.
fn soon(seconds: i64) -> Timestamp {
    let now = Timestamp::now() + SignedDuration::from_secs(seconds);
    Timestamp::from_second(now.as_second()).unwrap()
}

fn at(time: Timestamp) -> Value {
    json!({ "schedule": { "at": time.to_string() } })
}

fn and(mut left: Value, right: &Value) -> Value {
    super::merge(&mut left, right);
    left
}

/// The history of a job, the newest first.
async fn runs(daemon: &Daemon, id: &str) -> Result<Vec<Value>> {
    let told: Value = get(daemon, &["api", "jobs", id, "runs"]).await?.ok()?;
    Ok(list(&told, "runs")?.clone())
}

/// Waits until a job has a history of that length.
async fn ran(daemon: &Daemon, id: &str, times: usize) -> Result<Vec<Value>> {
    let what = format!("{id} has run {times} times");
    eventually(&what, LIMIT, async || {
        let runs = runs(daemon, id).await?;
        Ok((runs.len() >= times).then_some(runs))
    })
    .await
}

/// Waits until the clock has passed a time.
async fn passed(time: Timestamp) -> Result<()> {
    eventually("the time is past", LIMIT, async || {
        Ok((Timestamp::now() > time).then_some(()))
    })
    .await
}

/// The messages that jobs have written.
async fn fired(daemon: &Daemon) -> Result<Vec<Value>> {
    let messages = notes(daemon, "agent/message/inbound").await?;
    Ok(messages
        .into_iter()
        .filter(|note| !meta(note, "job").is_empty())
        .collect())
}

#[tokio::test]
async fn ac_189_a_job_fires_once_at_its_time_and_never_before() -> Result<()> {
    let mut daemon = with_eng().await?;
    let (time, later) = (soon(3), soon(3600));
    saved(&daemon, &job("once", &at(time))).await?;
    saved(&daemon, &job("off", &and(at(time), &json!({ "enabled": false })))).await?;
    saved(&daemon, &job("later", &at(later))).await?;
    // Of one that cannot have come to its time by now.
    assert_eq!(
        text(&one(&daemon, "later").await?, "nextRunAt").parse::<Timestamp>()?,
        later
    );
    let runs = ran(&daemon, "once", 1).await?;
    let now = Timestamp::now();
    assert_eq!(
        json!([runs[0]["kind"], runs[0]["state"]]),
        json!(["scheduled", "fired"])
    );
    assert_eq!(text(&runs[0], "occurrence_at").parse::<Timestamp>()?, time);
    let ran_at: Timestamp = text(&runs[0], "at").parse()?;
    assert!(time <= ran_at && ran_at <= now, "{time} {runs:?}");
    let message = Sent {
        id: text(&runs[0], "message_id").to_owned(),
        turn: None,
    };
    let turn = daemon.wait_turn("eng", &message).await?;
    assert_eq!((turn.state, turn.reply.as_deref()), (State::Ok, Some("woken")));
    let after = until(&daemon, "once", |job| {
        job["status"] == "done" && job["lastStatus"] == "ok"
    })
    .await?;
    assert_eq!(after.get("nextRunAt").filter(|at| !at.is_null()), None);
    // It is written on the note a moment later.
    let note = eventually("the note says so", LIMIT, async || {
        let note = daemon.note("Channels/eng/jobs/once").await?.context("the note")?;
        Ok((meta(&note, "lastStatus") == "ok").then_some(note))
    })
    .await?;
    assert!(meta(&note, "lastRunAt").parse::<Timestamp>()? >= time);
    // Neither a restart nor a new look at its note brings it back; and what is off or later has not run.
    daemon.restart().await?;
    daemon
        .note_put(
            "Channels/eng/jobs/once",
            "[[reply woken]]",
            &[],
            &json!({ "colour": "red" }),
        )
        .await?;
    saved(&daemon, &job("witness", &at(soon(2)))).await?;
    ran(&daemon, "witness", 1).await?;
    assert_eq!(self::runs(&daemon, "once").await?.len(), 1);
    for id in ["off", "later"] {
        assert_eq!(self::runs(&daemon, id).await?, Vec::<Value>::new(), "{id}");
    }
    assert_eq!(fired(&daemon).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn ac_190_198_a_time_that_passed_while_nobody_served_is_made_good_or_told() -> Result<()> {
    let mut daemon = with_eng().await?;
    let time = soon(2);
    saved(&daemon, &job("kept", &at(time))).await?;
    saved(&daemon, &job("dropped", &and(at(time), &json!({ "catch_up": "skip" })))).await?;
    daemon.kill9().await?;
    passed(time + SignedDuration::from_secs(1)).await?;
    daemon.start().await?;
    let kept = ran(&daemon, "kept", 1).await?;
    assert_eq!(text(&kept[0], "state"), "fired");
    // A second or two are not late yet; what is skipped says why.
    let dropped = ran(&daemon, "dropped", 1).await?;
    let fires = text(&dropped[0], "state") == "fired";
    assert!(fires || !text(&dropped[0], "reason").is_empty(), "{dropped:?}");
    daemon.restart().await?;
    saved(&daemon, &job("witness", &at(soon(2)))).await?;
    ran(&daemon, "witness", 1).await?;
    assert_eq!(
        (
            runs(&daemon, "kept").await?.len(),
            runs(&daemon, "dropped").await?.len()
        ),
        (1, 1)
    );
    assert_eq!(fired(&daemon).await?.len(), 2 + usize::from(fires));
    Ok(())
}

#[tokio::test]
async fn ac_198_a_new_time_counts_and_the_old_one_no_more() -> Result<()> {
    let daemon = with_eng().await?;
    let time = soon(AHEAD);
    saved(&daemon, &job("moved", &at(time))).await?;
    saved(&daemon, &job("edited", &at(time))).await?;
    saved(&daemon, &job("off", &at(time))).await?;
    let later: Value = patch(&daemon, &["api", "jobs", "moved"], &at(soon(3600))).await?.ok()?;
    assert!(text(&later["job"], "nextRunAt").parse::<Timestamp>()? > time);
    // The same by the note itself.
    let note = daemon.note("Channels/eng/jobs/edited").await?.context("the note")?;
    let metadata = json!({ "at": soon(3600).to_string() });
    daemon
        .note_put(text(&note, "path"), "[[reply woken]]", &[], &metadata)
        .await?;
    post(&daemon, &["api", "jobs", "off", "pause"], &json!({}))
        .await?
        .ok::<Value>()?;
    saved(&daemon, &job("witness", &at(time + SignedDuration::from_secs(1)))).await?;
    ran(&daemon, "witness", 1).await?;
    for id in ["moved", "edited"] {
        assert_eq!(runs(&daemon, id).await?, Vec::<Value>::new(), "{id}");
        assert_eq!(text(&one(&daemon, id).await?, "status"), "enabled", "{id}");
    }
    assert_eq!(fired(&daemon).await?.len(), 1);
    // One that goes on again waits for its next time.
    saved(
        &daemon,
        &job(
            "hourly",
            &json!({ "schedule": { "cron": "@hourly", "tz": "UTC" }, "enabled": false }),
        ),
    )
    .await?;
    let on: Value = post(&daemon, &["api", "jobs", "hourly", "resume"], &json!({}))
        .await?
        .ok()?;
    assert_eq!(on["ok"], json!(true));
    assert!(text(&one(&daemon, "hourly").await?, "nextRunAt").parse::<Timestamp>()? > Timestamp::now());
    assert_eq!(runs(&daemon, "hourly").await?, Vec::<Value>::new());
    Ok(())
}

#[tokio::test]
async fn ac_191_a_job_whose_turn_still_runs_waits_or_is_passed_over() -> Result<()> {
    let daemon = with_eng().await?;
    let (message, gate) = Held::text(&daemon, "overlap");
    saved(
        &daemon,
        &job(
            "over",
            &and(at(soon(3600)), &json!({ "message": message, "overlap": "skip" })),
        ),
    )
    .await?;
    let told: Value = post(&daemon, &["api", "jobs", "over", "run"], &json!({})).await?.ok()?;
    let sent = Sent {
        id: text(&told, "message_id").to_owned(),
        turn: None,
    };
    let held = Held::of(&daemon, "overlap", sent).await?;
    patch(&daemon, &["api", "jobs", "over"], &at(soon(2)))
        .await?
        .ok::<Value>()?;
    let both = ran(&daemon, "over", 2).await?;
    assert_eq!(
        json!([both[0]["kind"], both[0]["state"]]),
        json!(["scheduled", "skipped"])
    );
    assert!(!text(&both[0], "reason").is_empty(), "{both:?}");
    assert_eq!(fired(&daemon).await?.len(), 1);
    // The other way: they run one after the other.
    saved(
        &daemon,
        &job("queue", &and(at(soon(2)), &json!({ "overlap": "queue" }))),
    )
    .await?;
    let queued = ran(&daemon, "queue", 1).await?;
    assert_eq!(text(&queued[0], "state"), "fired");
    std::fs::write(&gate, "")?;
    assert_eq!(daemon.wait_turn("eng", &held.sent).await?.state, State::Ok);
    let second = Sent {
        id: text(&queued[0], "message_id").to_owned(),
        turn: None,
    };
    assert_eq!(daemon.wait_turn("eng", &second).await?.state, State::Ok);
    Ok(())
}

#[tokio::test]
async fn ac_192_193_195_a_job_that_cannot_fire_says_so_and_stops_no_other() -> Result<()> {
    let peer = Parachute::start(Version::July)?;
    let config = format!(
        "[[vault]]\nname = \"near\"\n[[vault]]\nname = \"remote\"\nkind = \"parachute\"\nurl = \"{}\"\nvault = \"default\"\n\
         poll = \"1s\"\ntoken = \"${{PARACHUTE_TOKEN}}\"\n",
        peer.url()
    );
    let token = reveille_tests::parachute::TOKEN;
    let daemon = Daemon::builder()
        .stand_in()
        .env("PARACHUTE_TOKEN", token)
        .config(&config)
        .start()
        .await?;
    super::until_read(&daemon).await?;
    for (vault, name) in [("near", "eng"), ("remote", "far")] {
        let body = json!({ "name": name, "prompt": "You help.", "vault": vault });
        post(&daemon, &["api", "agents"], &body).await?.ok::<Value>()?;
    }
    let time = soon(AHEAD);
    saved(&daemon, &job("bad", &and(at(time), &json!({ "channel": "far" })))).await?;
    saved(&daemon, &job("good", &at(time))).await?;
    peer.set_faults(|faults| faults.status = Some(500));
    let told: Value = post(&daemon, &["api", "jobs", "bad", "run"], &json!({})).await?.ok()?;
    assert!(text(&told, "status").starts_with("error: "), "{told}");
    assert_eq!(json!([told["ok"], told["id"]]), json!([true, "bad"]));
    let good = ran(&daemon, "good", 1).await?;
    assert_eq!(text(&good[0], "state"), "fired");
    // What was known of the vault is listed while it is away.
    assert_eq!(all(&daemon).await?.len(), 2);
    let bad = one(&daemon, "bad").await?;
    assert!(
        format!("{}{}", text(&bad, "lastStatus"), text(&bad, "status_detail")).contains("500"),
        "{bad}"
    );
    peer.set_faults(|faults| faults.status = None);
    // Its own time came in between; what was refused when it was asked for is not done later.
    let bad = ran(&daemon, "bad", 2).await?;
    assert_eq!(
        json!([bad[0]["state"], bad[1]["state"], bad[1]["kind"]]),
        json!(["fired", "failed", "manual"])
    );
    let told: Value = post(&daemon, &["api", "jobs", "bad", "run"], &json!({})).await?.ok()?;
    assert_eq!(text(&told, "status"), "ok");
    let messages = peer
        .notes()
        .iter()
        .filter(|note| note.metadata.contains_key("job"))
        .count();
    assert_eq!(messages, 2);
    let sent = Sent {
        id: text(&told, "message_id").to_owned(),
        turn: None,
    };
    assert_eq!(daemon.wait_turn("far", &sent).await?.state, State::Ok);
    Ok(())
}

#[tokio::test]
async fn ac_194_a_job_whose_note_is_gone_is_gone() -> Result<()> {
    let daemon = with_eng().await?;
    let time = soon(AHEAD);
    saved(&daemon, &job("gone", &at(time))).await?;
    delete(&daemon, &["vault", "default", "api", "notes", "Channels/eng/jobs/gone"])
        .await?
        .ok::<Value>()?;
    saved(&daemon, &job("witness", &at(time + SignedDuration::from_secs(1)))).await?;
    ran(&daemon, "witness", 1).await?;
    assert_eq!(fired(&daemon).await?.len(), 1);
    assert_eq!(all(&daemon).await?.len(), 1);
    refused(
        &post(&daemon, &["api", "jobs", "gone", "run"], &json!({})).await?,
        404,
        &["gone"],
    )?;
    assert_eq!(notes(&daemon, JOB).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn ac_197_a_job_keeps_to_the_mode_of_its_agent() -> Result<()> {
    let daemon = with_eng().await?;
    super::defined(
        &daemon,
        "many",
        "You are many.",
        &json!({ "mode": "multi-threaded" }),
        "enabled",
    )
    .await?;
    for (agent, conversations) in [("eng", 1), ("many", 2)] {
        saved(&daemon, &job(&format!("of-{agent}"), &json!({ "channel": agent }))).await?;
        let mut threads = Vec::new();
        for _ in 0..2 {
            let told: Value = post(&daemon, &["api", "jobs", &format!("of-{agent}"), "run"], &json!({}))
                .await?
                .ok()?;
            let sent = Sent {
                id: text(&told, "message_id").to_owned(),
                turn: None,
            };
            let turn = daemon.wait_turn(agent, &sent).await?;
            let thread = turn.more["thread"].as_str().context("a thread")?;
            threads.push(text(&daemon.note(thread).await?.context("the thread")?, "path").to_owned());
        }
        assert!(threads[0].starts_with(&format!("Threads/{agent}/")), "{threads:?}");
        assert_eq!(threads[0] == threads[1], conversations == 1, "{agent}: {threads:?}");
    }
    Ok(())
}

#[tokio::test]
async fn ac_192_the_jobs_of_a_server_fire_too() -> Result<()> {
    let peer = Parachute::start(Version::May)?;
    let daemon = with_peer(&peer).await?;
    super::until_read(&daemon).await?;
    daemon.create_agent("eng", "You help.").await?;
    saved(&daemon, &job("remote", &at(soon(2)))).await?;
    let runs = ran(&daemon, "remote", 1).await?;
    assert_eq!(text(&runs[0], "state"), "fired");
    let sent = Sent {
        id: text(&runs[0], "message_id").to_owned(),
        turn: None,
    };
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Ok);
    eventually("the note says so", LIMIT, async || {
        let note = peer.note("Channels/eng/jobs/remote");
        Ok(note.filter(|note| note.metadata.get("lastStatus").is_some_and(|status| status == "ok")))
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn runs_that_are_started_at_once_do_not_overlap_where_they_must_not() -> Result<()> {
    let daemon = with_eng().await?;
    // What has begun does not end.
    post(&daemon, &["api", "agents", "eng", "pause"], &json!({}))
        .await?
        .ok::<Value>()?;
    for round in 0..10 {
        let id = format!("r{round}");
        let never = json!({ "schedule": { "cron": "0 0 1 1 *" }, "overlap": "skip" });
        saved(&daemon, &job(&id, &never)).await?;
        let path = ["api", "jobs", &id, "run"];
        let nothing = json!({});
        let run = || post(&daemon, &path, &nothing);
        let told = tokio::try_join!(run(), run(), run(), run())?;
        let told = [told.0, told.1, told.2, told.3];
        let ok = told.iter().filter(|told| told.body["status"] == "ok").count();
        let sent = fired(&daemon).await?.len();
        assert_eq!((ok, sent), (1, round + 1), "{told:?}");
    }
    Ok(())
}
