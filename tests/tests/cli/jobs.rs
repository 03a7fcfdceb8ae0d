//! `job`.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::{LIMIT, run};
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::{json_out, out, told, with_eng};

/// The same as [`out`], by the clock of a zone.
async fn out_in(daemon: &Daemon, zone: &str, args: &[&str]) -> Result<String> {
    let mut command = daemon.cli(args).await?;
    command.env("TZ", zone);
    let ran = run(command, "").await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{args:?}");
    Ok(ran.stdout)
}

/// Words of the line that begins with `name`.
fn line<'a>(text: &'a str, name: &str) -> Result<Vec<&'a str>> {
    let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .find(|words| words.first() == Some(&name))
        .with_context(|| format!("{name} in {text}"))
}

/// The job `launch` of `eng`, due in a far future.
async fn add_launch(daemon: &Daemon) -> Result<String> {
    let when = ["--at", "2099-07-02T09:00", "--tz", "Europe/Berlin"];
    let add = ["job", "add", "launch", "--agent", "eng", "--message", "Launch it."];
    out(daemon, &[&add[..], &when[..]].concat()).await
}

async fn job(daemon: &Daemon, id: &str) -> Result<Value> {
    json_out(daemon, &["job", "show", id, "--json"]).await
}

/// What a job has of this, in this order.
fn fields(job: &Value, keys: &[&str]) -> Value {
    keys.iter().map(|key| job[key].clone()).collect()
}

#[tokio::test]
async fn jobs_are_made_listed_and_shown_by_the_local_clock() -> Result<()> {
    let daemon = with_eng().await?;
    let empty = out(&daemon, &["job", "list"]).await?;
    assert!(empty.contains("reveille job add"), "{empty}");
    let made = add_launch(&daemon).await?;
    assert_eq!(made, "launch is made; it runs next on Thu 2099-07-02 07:00\n");
    let mut add = daemon
        .cli([
            "job",
            "add",
            "standup",
            "--agent",
            "eng",
            "--cron",
            "0  9 * * 1-5",
            "--message",
            "-",
        ])
        .await?;
    add.args([
        "--tz",
        "asia/tokyo",
        "--subject",
        "agenda",
        "--catch-up",
        "skip",
        "--overlap",
        "skip",
        "--paused",
    ]);
    let ran = run(add, "Write the agenda.\nBriefly.\n").await?;
    assert_eq!(
        told(&ran),
        (0, "standup is made; it waits until `reveille job resume standup`\n"),
        "{ran:?}"
    );

    let listed = out_in(&daemon, "America/New_York", &["job", "list"]).await?;
    assert_eq!(
        line(&listed, "launch")?,
        [
            "launch",
            "eng",
            "2099-07-02T09:00",
            "Europe/Berlin",
            "enabled",
            "Thu",
            "2099-07-02",
            "03:00",
            "-",
            "-"
        ]
    );
    assert_eq!(
        line(&listed, "standup")?[..8],
        ["standup", "eng", "0", "9", "*", "*", "1-5", "asia/tokyo"]
    );
    assert_eq!(line(&listed, "standup")?[8], "paused");
    out(&daemon, &["agent", "new", "ops", "--prompt", "You run it."]).await?;
    let of_ops = json_out(&daemon, &["job", "list", "--agent", "ops", "--json"]).await?;
    assert_eq!(of_ops, json!({ "jobs": [] }));

    let keys = [
        "channel", "message", "subject", "schedule", "enabled", "status", "catch_up", "overlap",
    ];
    assert_eq!(
        fields(&job(&daemon, "standup").await?, &keys),
        json!(["eng", "Write the agenda.\nBriefly.", "agenda", {"cron": "0  9 * * 1-5", "tz": "asia/tokyo"}, false, "paused",
            "skip", "skip"])
    );
    let shown = out_in(&daemon, "Asia/Tokyo", &["job", "show", "launch"]).await?;
    for part in [
        "eng",
        "enabled",
        "2099-07-02T09:00 Europe/Berlin",
        "Thu 2099-07-02 16:00 (Thu 2099-07-02 09:00 in Europe/Berlin)",
        "\nLaunch it.",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    Ok(())
}

#[tokio::test]
async fn ac_188_a_job_of_the_same_name_is_changed_when_that_is_said() -> Result<()> {
    let daemon = with_eng().await?;
    add_launch(&daemon).await?;
    let before = job(&daemon, "launch").await?;
    let again = [
        "job",
        "add",
        "launch",
        "--agent",
        "eng",
        "--at",
        "2099-07-03T09:00Z",
        "--message",
        "Now.",
    ];
    let ran = daemon.run(&again).await?;
    assert_eq!(told(&ran), (1, ""));
    assert!(
        ran.stderr.contains("reveille job edit launch --agent eng"),
        "{}",
        ran.stderr
    );
    assert_eq!(job(&daemon, "launch").await?, before);
    let changed = out(&daemon, &[&again[..], &["--replace"]].concat()).await?;
    assert_eq!(changed, "launch is changed; it runs next on Fri 2099-07-03 09:00\n");
    let after = job(&daemon, "launch").await?;
    assert_eq!(after["noteId"], before["noteId"]);
    assert_eq!(after["message"], "Now.");

    // Another agent's job of the same name is another job.
    out(&daemon, &["agent", "new", "ops", "--prompt", "You run it."]).await?;
    out(
        &daemon,
        &[
            "job",
            "add",
            "launch",
            "--agent",
            "ops",
            "--cron",
            "@daily",
            "--message",
            "x",
        ],
    )
    .await?;
    let ran = daemon.run(["job", "pause", "launch"]).await?;
    assert_eq!(told(&ran), (4, ""));
    assert!(
        ran.stderr.contains("eng") && ran.stderr.contains("ops"),
        "{}",
        ran.stderr
    );
    let paused = out(&daemon, &["job", "pause", "launch", "--agent", "ops"]).await?;
    assert!(paused.starts_with("launch is paused;"), "{paused}");
    assert!(job(&daemon, "launch").await.is_err());
    let of_eng = json_out(&daemon, &["job", "show", "launch", "--agent", "eng", "--json"]).await?;
    assert_eq!(of_eng["status"], "enabled");
    Ok(())
}

#[tokio::test]
async fn a_job_is_edited_paused_resumed_and_removed() -> Result<()> {
    let daemon = with_eng().await?;
    add_launch(&daemon).await?;
    let keys = ["message", "schedule", "subject", "status"];
    for (args, expected) in [
        (
            &["--message", "Launch both.", "--subject", "rockets"][..],
            json!(["Launch both.", {"at": "2099-07-02T09:00", "tz": "Europe/Berlin"}, "rockets", "enabled"]),
        ),
        // What is not named stays, the zone too.
        (
            &["--cron", "0 9 2 7 *", "--no-subject"],
            json!(["Launch both.", {"cron": "0 9 2 7 *", "tz": "Europe/Berlin"}, null, "enabled"]),
        ),
        (
            &["--tz", "Asia/Tokyo"],
            json!(["Launch both.", {"cron": "0 9 2 7 *", "tz": "Asia/Tokyo"}, null, "enabled"]),
        ),
        (
            &["--no-tz"],
            json!(["Launch both.", {"cron": "0 9 2 7 *"}, null, "enabled"]),
        ),
    ] {
        let changed = out(&daemon, &[&["job", "edit", "launch"], args].concat()).await?;
        assert!(changed.starts_with("launch is changed; it runs next on "), "{changed}");
        assert_eq!(fields(&job(&daemon, "launch").await?, &keys), expected, "{args:?}");
    }
    out(
        &daemon,
        &["job", "pause", "launch", "--reason", "Not before the wind is right."],
    )
    .await?;
    let shown = out(&daemon, &["job", "show", "launch"]).await?;
    assert!(
        shown.contains("paused") && shown.contains("the wind is right"),
        "{shown}"
    );
    let resumed = out(&daemon, &["job", "resume", "launch"]).await?;
    assert!(resumed.starts_with("launch is resumed; it runs next on "), "{resumed}");
    assert_eq!(job(&daemon, "launch").await?["status"], "enabled");
    let removed = out(&daemon, &["job", "rm", "launch"]).await?;
    assert!(removed.starts_with("launch is removed;"), "{removed}");
    let ran = daemon.run(["job", "rm", "launch"]).await?;
    assert_eq!(told(&ran), (1, ""));
    assert!(ran.stderr.contains("reveille job list"), "{}", ran.stderr);
    Ok(())
}

#[tokio::test]
async fn a_job_runs_by_hand_and_its_history_names_the_turn() -> Result<()> {
    let daemon = with_eng().await?;
    out(
        &daemon,
        &[
            "job",
            "add",
            "tell",
            "--agent",
            "eng",
            "--cron",
            "0 0 29 2 *",
            "--message",
            "[[reply told]]",
        ],
    )
    .await?;
    let history = out(&daemon, &["job", "history", "tell"]).await?;
    assert_eq!(history, "it has not run yet\n");
    // Also while it is paused.
    out(&daemon, &["job", "pause", "tell"]).await?;
    let sent = out(&daemon, &["job", "run", "tell"]).await?;
    let turn = sent
        .split_once("turn show ")
        .context("a turn")?
        .1
        .trim_end()
        .trim_end_matches('`');
    let run = eventually("the turn of the run is over", LIMIT, async || {
        let answer = json_out(&daemon, &["job", "history", "tell", "--json"]).await?;
        let run = answer["runs"][0].clone();
        Ok(run["outcome"].is_string().then_some(run))
    })
    .await?;
    assert_eq!(
        fields(&run, &["kind", "state", "outcome"]),
        json!(["manual", "fired", "ok"])
    );
    assert!(
        run["turn"]["id"].as_str().context("a turn")?.ends_with(turn),
        "{turn} of {run}"
    );
    let history = out(&daemon, &["job", "history", "tell"]).await?;
    let words: Vec<_> = history
        .lines()
        .nth(1)
        .context("a run")?
        .split_whitespace()
        .skip(3)
        .collect();
    assert_eq!(words, ["hand", "fired", turn, "ok"]);
    let listed = out(&daemon, &["job", "list"]).await?;
    assert_eq!(line(&listed, "tell")?.last(), Some(&"ok"));
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_is_accepted() -> Result<()> {
    let daemon = with_eng().await?;
    let add = |rest: &[&'static str]| [&["job", "add", "x", "--message", "m", "--agent"][..], rest].concat();
    for (args, code, part) in [
        (add(&["eng", "--cron", "0 9 * * MON"]), 4, "day of week"),
        (add(&["eng", "--cron", "0 0 31 2 *"]), 4, "no year has such a day"),
        (
            add(&["eng", "--cron", "@yearly"]),
            4,
            "@hourly, @daily, @weekly, @monthly",
        ),
        (add(&["eng", "--cron", "@daily", "--tz", "+05:30"]), 4, "Europe/Berlin"),
        (add(&["eng", "--at", "tomorrow"]), 4, "2026-07-02T09:00"),
        (add(&["eng"]), 4, "0 9 * * 1-5"),
        (add(&["nobody", "--cron", "@daily"]), 4, "reveille agent list"),
        (
            add(&["eng", "--cron", "@daily", "--at", "2099-07-02T09:00Z"]),
            2,
            "cannot be used with",
        ),
        (
            add(&["eng", "--cron", "@daily", "--overlap", "parallel"]),
            2,
            "queue, skip",
        ),
        (vec!["job", "edit", "x"], 2, "nothing to change"),
        (vec!["job", "edit", "x", "--message", "m"], 4, "reveille job list"),
        (vec!["job", "show", "x"], 4, "reveille job list"),
        (vec!["job", "run", "x"], 4, "reveille job list"),
        (vec!["job", "history", "x"], 4, "reveille job list"),
    ] {
        let ran = daemon.run(&args).await?;
        assert_eq!(told(&ran), (code, ""), "{args:?} {}", ran.stderr);
        assert!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
    // All of it at once.
    let ran = daemon
        .run(add(&["eng", "--cron", "61 * * * *", "--tz", "Mars"]))
        .await?;
    for part in ["cron: minute: 61 is not in 0-59", "tz: \"Mars\" is not known"] {
        assert!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
    assert_eq!(
        json_out(&daemon, &["job", "list", "--json"]).await?,
        json!({ "jobs": [] })
    );
    Ok(())
}

#[tokio::test]
async fn a_note_with_mistakes_is_listed_with_all_of_them() -> Result<()> {
    let daemon = with_eng().await?;
    out(
        &daemon,
        &[
            "note",
            "put",
            "Jobs/odd",
            "--tag",
            "agent/job",
            "--meta",
            "agent=eng",
            "--meta",
            "jobId=odd",
            "--meta",
            "cron=61 * * * *",
            "--meta",
            "tz=Mars",
            "Do it.",
        ],
    )
    .await?;
    let listed = eventually("the job is listed", LIMIT, async || {
        let listed = out(&daemon, &["job", "list"]).await?;
        Ok(listed.contains("odd").then_some(listed))
    })
    .await?;
    assert!(line(&listed, "odd")?.contains(&"error"), "{listed}");
    for part in ["odd: tz: ", "odd: cron: minute: 61 is not in 0-59"] {
        assert!(listed.contains(part), "{part} in {listed}");
    }
    Ok(())
}

#[tokio::test]
async fn a_key_that_nobody_reads_is_told_in_the_list() -> Result<()> {
    let daemon = with_eng().await?;
    let note = ["note", "put", "Jobs/odd", "--tag", "agent/job", "Do it."];
    let metadata = [
        "--meta",
        "agent=eng",
        "--meta",
        "jobId=odd",
        "--meta",
        "cron=@daily",
        "--meta",
        "catchUp=skip",
    ];
    out(&daemon, &[&note[..], &metadata[..]].concat()).await?;
    eventually("the job is listed with its warning", LIMIT, async || {
        let listed = out(&daemon, &["job", "list"]).await?;
        let told = listed
            .lines()
            .any(|line| line == "odd: catchUp: is not read; did you mean catch_up?");
        Ok((told && line(&listed, "odd")?.contains(&"enabled")).then_some(()))
    })
    .await
}
