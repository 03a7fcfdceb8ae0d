//! What nobody should send, at each door of definitions, jobs and connections: refused with words, or taken as it is, and
//! nothing of the daemon falls over.

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, State};
use serde_json::{Value, json};

use super::agent_defs::defs;
use super::held::Held;
use super::jobs::{JOB, JOBS, all, job, saved};
use super::{asked, define, defined, delete, each, get, meta, notes, patch, post, refused, stamped, text, with_eng};

/// An answer that says what was wrong, and not that the daemon failed.
fn told(status: u16, what: &str) -> Result<()> {
    ensure!((400..500).contains(&status), "{what}: {status}");
    Ok(())
}

/// The daemon works as before.
async fn works(daemon: &Daemon) -> Result<()> {
    assert_eq!(asked(daemon, "eng", "[[reply still here]]").await?, "still here");
    let log = daemon.log()?;
    ensure!(!log.contains("panicked"), "{log}");
    Ok(())
}

/// Lists in lists, so many deep.
fn deep(levels: usize) -> String {
    "[".repeat(levels) + &"]".repeat(levels)
}

#[tokio::test]
async fn bodies_that_are_no_request_are_refused_at_every_door() -> Result<()> {
    let daemon = with_eng().await?;
    saved(&daemon, &job("nightly", &json!({}))).await?;
    let note = daemon.agents().await?[0]["note_id"]
        .as_str()
        .context("a note")?
        .to_owned();
    let long = format!("{{\"name\": \"{}\"}}", "x".repeat(9_000_000));
    let deep = deep(100_000);
    let deeper = format!("{{\"metadata\": {deep}}}");
    for (method, target) in [
        ("POST", "/api/jobs".to_owned()),
        ("PATCH", "/api/jobs/nightly".to_owned()),
        ("POST", "/api/agent-defs".to_owned()),
        ("PATCH", format!("/api/agent-defs/{note}")),
        ("POST", "/api/connections/approve".to_owned()),
        ("POST", "/api/connections/revoke".to_owned()),
    ] {
        for body in [
            "",
            "{",
            "null",
            "7",
            "\"x\"",
            "{}",
            "[[[]]]",
            "{\"a\":1}\u{0}",
            "{\"name\":\"\\ud800\"}",
            &deep,
            &deeper,
            &long,
        ] {
            let answer = daemon.ask_in(method, &target, body.as_bytes()).await?;
            let what = format!("{method} {target} {}", body.get(..40).unwrap_or(body));
            told(answer.status, &what)?;
            answer.refusal().context(what)?;
        }
        let answer = daemon.ask_in(method, &target, b"{\"id\": \"\xff\xfe\"}").await?;
        told(answer.status, &target)?;
    }
    assert_eq!((notes(&daemon, JOB).await?.len(), defs(&daemon).await?.len()), (1, 1));
    works(&daemon).await
}

#[tokio::test]
async fn addresses_that_name_nothing_are_not_found() -> Result<()> {
    let daemon = with_eng().await?;
    for key in [
        "..",
        "../../etc/passwd",
        "a/b",
        "\u{0}",
        "\u{1f984}",
        " ",
        "%",
        "'; DROP TABLE notes; --",
        &"x".repeat(5000),
    ] {
        let key: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for (method, target) in [
            ("GET", format!("/api/jobs/{key}")),
            ("PATCH", format!("/api/jobs/{key}")),
            ("POST", format!("/api/jobs/{key}/run")),
            ("GET", format!("/api/jobs/{key}/runs")),
            ("GET", format!("/api/agent-defs/{key}")),
            ("PATCH", format!("/api/agent-defs/{key}")),
            ("DELETE", format!("/api/agent-defs/{key}")),
            ("GET", format!("/api/agents/{key}")),
        ] {
            let body: &[u8] = if method == "GET" {
                b""
            } else {
                b"{\"message\": \"x\", \"systemPrompt\": \"x\"}"
            };
            let answer = daemon.ask_in(method, &target, body).await?;
            told(answer.status, &format!("{method} {target}"))?;
        }
        let removed = daemon.ask_in("DELETE", &format!("/api/jobs/{key}"), b"").await?;
        ensure!(removed.status < 500, "{key:?}: {removed:?}");
        ensure!(
            removed.status >= 400 || removed.json()?["removed"] == json!(false),
            "{key:?}: {removed:?}"
        );
    }
    assert_eq!(defs(&daemon).await?.len(), 1);
    works(&daemon).await
}

#[tokio::test]
async fn values_that_nobody_means_are_told_on_the_definition() -> Result<()> {
    let daemon = with_eng().await?;
    let huge = "x".repeat(200_000);
    let nested: Value = serde_json::from_str(&deep(60))?;
    for (at, (key, value)) in [
        ("name", json!(huge)),
        ("name", json!("nul\u{0}")),
        ("name", json!("\u{202e}eng")),
        ("name", json!(["eng"])),
        ("name", json!({ "eng": 1 })),
        ("name", nested.clone()),
        ("mode", nested.clone()),
        ("mode", json!(huge)),
        ("model", json!("sonnet\u{0}")),
        ("model", json!("sonnet --dangerous")),
        ("workspace", json!("../../etc")),
        ("wants", json!("vault:a:read\nenv:")),
        ("wants", json!(["env:github", ["env:x"]])),
        ("wants", json!({ "env": "github" })),
        ("wants", json!("env:github ".repeat(20_000) + "garbage")),
        ("max_turns", json!("99999999999999999999999")),
        ("max_turns", json!(-1)),
        ("max_turns", json!(1.5)),
        ("timeout_idle", json!("999999999999999999999h")),
        ("timeout_wall", json!("-5m")),
        ("budget_turn_usd", json!("NaN")),
        ("budget_day_usd", json!("inf")),
        ("budget_day_usd", json!("-1")),
        ("network", json!(true)),
        ("filesystem", json!(["full", "workspace"])),
        ("systemPromptMode", json!(7)),
        ("on_interrupt", json!(nested)),
        ("message_mode", json!("followup\u{0}")),
        ("paused", json!("perhaps")),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("Agents/hostile-{at}");
        let mut metadata = json!({ "name": format!("hostile-{at}") });
        metadata[key] = value.clone();
        define(&daemon, &path, "You try.", &metadata).await?;
        let what = format!("{key}: {}", value.to_string().chars().take(60).collect::<String>());
        let note = stamped(&daemon, &path, "error").await.with_context(|| what.clone())?;
        let detail = meta(&note, "status_detail");
        ensure!(detail.contains(key), "{what}: {detail:.200}");
    }
    works(&daemon).await
}

#[tokio::test]
async fn odd_texts_are_texts() -> Result<()> {
    let daemon = with_eng().await?;
    // A role is whatever it is; so are unknown keys.
    let body = "\u{0}\u{202e}\u{1f984}\r\n---\nname: other\n---\n[[reply no]]";
    let odd = json!({ "\u{1f984}": "x", "": "empty", "a\nb": 1, "__proto__": {}, "deep": serde_json::from_str::<Value>(&deep(60))? });
    let note = defined(&daemon, "odd", body, &odd, "enabled").await?;
    assert_eq!(text(&note, "content"), body);
    assert_eq!(asked(&daemon, "odd", "[[reply fine]]").await?, "fine");
    let whole: Value = get(&daemon, &["api", "agent-defs", text(&note, "id")]).await?.ok()?;
    assert_eq!(text(&whole["def"], "systemPrompt"), body);
    // A message of a job likewise.
    let words = "\u{1f984} \u{0} [[reply odd]] \u{202e}\r\n";
    let made = saved(
        &daemon,
        &job("odd", &json!({ "message": words, "subject": "\u{1f984}/../\u{0}" })),
    )
    .await?;
    assert_eq!(text(&made, "message"), words.trim());
    let run: Value = post(&daemon, &["api", "jobs", "odd", "run"], &json!({})).await?.ok()?;
    let sent = reveille_tests::daemon::Sent {
        id: text(&run, "message_id").to_owned(),
        turn: None,
    };
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!((turn.state, turn.reply.as_deref()), (State::Ok, Some("odd")));
    works(&daemon).await
}

#[tokio::test]
async fn schedules_that_nobody_means_are_refused_soon() -> Result<()> {
    let daemon = with_eng().await?;
    let cron = |text: String| json!({ "schedule": { "cron": text, "tz": "UTC" } });
    let zone = |tz: Value| json!({ "schedule": { "cron": "0 9 * * *", "tz": tz } });
    let at = |at: Value| json!({ "schedule": { "at": at } });
    for more in [
        cron("*".repeat(10_000)),
        cron("0,".repeat(5_000) + " * * * *"),
        cron(" ".repeat(10_000)),
        cron("* ".repeat(10_000)),
        cron("*/1/".repeat(3_000) + "1 * * * *"),
        cron("0 0 * * *\u{0}".to_owned()),
        cron("\u{ff10} * * * *".to_owned()),
        json!({ "schedule": { "cron": ["0", "0", "*", "*", "*"] } }),
        json!({ "schedule": { "cron": { "minute": 0 } } }),
        json!({ "schedule": [] }),
        zone(json!("../etc/passwd")),
        zone(json!("/etc/localtime")),
        zone(json!("UTC\u{0}")),
        zone(json!("posix/../UTC")),
        zone(json!("TZ=UTC")),
        zone(json!("UTC0")),
        zone(json!("x".repeat(100_000))),
        zone(json!(["UTC"])),
        at(json!("")),
        at(json!(0)),
        at(json!("2026-13-01T00:00:00Z")),
        at(json!("9999999-01-01T00:00:00Z")),
        at(json!("2026-02-30T00:00:00Z")),
        at(json!("now")),
        json!({ "enabled": "yes please" }),
        json!({ "enabled": [] }),
        json!({ "subject": 7 }),
        json!({ "id": "x".repeat(10_000) }),
        json!({ "id": "\u{1f984}" }),
        json!({ "id": ".." }),
        json!({ "id": "nul\u{0}" }),
        json!({ "message": { "text": "x" } }),
        json!({ "channel": ["eng"] }),
        json!({ "channel": "../eng" }),
    ] {
        let reply = post(&daemon, &JOBS, &job("nightly", &more)).await?;
        let what = more.to_string().chars().take(100).collect::<String>();
        refused(&reply, 400, &[]).with_context(|| what)?;
    }
    assert_eq!(notes(&daemon, JOB).await?, Vec::<Value>::new());
    works(&daemon).await
}

#[tokio::test]
async fn job_notes_that_nobody_means_say_so_and_hold_nothing_up() -> Result<()> {
    let daemon = with_eng().await?;
    let nested: Value = serde_json::from_str(&deep(60))?;
    let cases = [
        json!({ "agent": "eng", "cron": "*".repeat(10_000) }),
        json!({ "agent": "eng", "cron": ["0 0 * * *"] }),
        json!({ "agent": "eng", "cron": "0 0 * * *", "tz": "../etc" }),
        json!({ "agent": "eng", "cron": "0 0 * * *", "tz": nested }),
        json!({ "agent": "a/b", "cron": "0 0 * * *" }),
        json!({ "agent": ["eng"], "cron": "0 0 * * *" }),
        json!({ "cron": "0 0 * * *" }),
        json!({ "agent": "eng" }),
        json!({ "agent": "eng", "cron": "0 0 * * *", "at": "2099-01-01T00:00:00Z" }),
        json!({ "agent": "eng", "cron": "0 0 30 2 *" }),
        json!({ "agent": "eng", "at": "\u{0}" }),
        json!({ "agent": "eng", "cron": "0 0 * * *", "overlap": "x".repeat(100_000) }),
    ];
    for (at, metadata) in cases.iter().enumerate() {
        let path = format!("Jobs/hostile-{at}");
        daemon.note_put(&path, "wake", &[JOB], metadata).await?;
        let what = metadata.to_string().chars().take(80).collect::<String>();
        let note = stamped(&daemon, &path, "error").await.with_context(|| what.clone())?;
        let detail = meta(&note, "status_detail");
        ensure!(!detail.is_empty(), "{what}: {note}");
    }
    saved(&daemon, &job("good", &json!({}))).await?;
    let jobs = all(&daemon).await?;
    assert_eq!(jobs.iter().filter(|job| job["status"] == "enabled").count(), 1);
    assert_eq!(jobs.len(), cases.len() + 1);
    works(&daemon).await
}

#[tokio::test]
async fn whatever_many_do_at_once_is_done_once() -> Result<()> {
    let daemon = with_eng().await?;
    // One job, however often it is saved at once.
    let body = job("nightly", &json!({}));
    let path = ["api", "jobs"];
    let replies = try_join_all((0..10).map(|_| post(&daemon, &path, &body))).await?;
    for reply in &replies {
        ensure!([200, 409].contains(&reply.status), "{reply:?}");
    }
    assert_eq!(notes(&daemon, JOB).await?.len(), 1);
    // Changes of different keys that meet: each that is answered 200 is there.
    let changes = [
        json!({ "message": "[[reply one]]" }),
        json!({ "subject": "two" }),
        json!({ "overlap": "skip" }),
        json!({ "catch_up": "skip" }),
        json!({ "schedule": { "cron": "0 0 2 2 *", "tz": "UTC" } }),
    ];
    let one = ["api", "jobs", "nightly"];
    let replies = try_join_all(changes.iter().map(|change| patch(&daemon, &one, change))).await?;
    let after = super::jobs::one(&daemon, "nightly").await?;
    for (change, reply) in changes.iter().zip(&replies) {
        ensure!([200, 409].contains(&reply.status), "{reply:?}");
        for (key, value) in change.as_object().into_iter().flatten() {
            ensure!(reply.status != 200 || after[key] == *value, "{key}: {value} in {after}");
        }
    }
    // The same of a definition.
    let note = daemon.agents().await?[0]["note_id"]
        .as_str()
        .context("a note")?
        .to_owned();
    let changes = [
        json!({ "mode": "multi-threaded" }),
        json!({ "model": "opus" }),
        json!({ "max_turns": "7" }),
        json!({ "network": "restricted" }),
    ];
    let bodies: Vec<Value> = changes.iter().map(|change| json!({ "metadata": change })).collect();
    let one = ["api", "agent-defs", note.as_str()];
    let replies = try_join_all(bodies.iter().map(|body| patch(&daemon, &one, body))).await?;
    let after = daemon.note(&note).await?.context("the note")?;
    for (change, reply) in changes.iter().zip(&replies) {
        ensure!([200, 409].contains(&reply.status), "{reply:?}");
        for (key, value) in change.as_object().into_iter().flatten() {
            ensure!(
                reply.status != 200 || after["metadata"][key] == *value,
                "{key}: {value} in {after}"
            );
        }
    }
    // Removed by many: it is gone, and that is what they are told.
    let made = defined(&daemon, "gone", "You go.", &json!({}), "enabled").await?;
    let one = ["api", "agent-defs", text(&made, "id")];
    let replies = try_join_all((0..6).map(|_| delete(&daemon, &one))).await?;
    ensure!(replies.iter().any(|reply| reply.status == 200), "{replies:?}");
    ensure!(
        replies.iter().all(|reply| [200, 404].contains(&reply.status)),
        "{replies:?}"
    );
    works(&daemon).await
}

#[tokio::test]
async fn runs_that_are_asked_for_at_once_are_each_told() -> Result<()> {
    let daemon = with_eng().await?;
    saved(&daemon, &job("nightly", &json!({}))).await?;
    let (path, empty) = (["api", "jobs", "nightly", "run"], json!({}));
    let replies = try_join_all((0..5).map(|_| post(&daemon, &path, &empty))).await?;
    let mut written = Vec::new();
    for reply in replies {
        let told: Value = reply.ok()?;
        if told["status"] == "ok" {
            written.push(text(&told, "message_id").to_owned());
        }
    }
    written.sort();
    let mut messages: Vec<String> = notes(&daemon, "agent/message/inbound")
        .await?
        .iter()
        .map(|note| text(note, "id").to_owned())
        .collect();
    messages.sort();
    assert_eq!(written, messages);
    ensure!(!written.is_empty(), "one ran");
    let runs: Value = get(&daemon, &["api", "jobs", "nightly", "runs"]).await?.ok()?;
    let fired = super::list(&runs, "runs")?
        .iter()
        .filter(|run| run["state"] == "fired")
        .count();
    assert_eq!(fired, written.len());
    Ok(())
}

#[tokio::test]
async fn an_agent_that_is_removed_in_the_middle_of_its_turn_ends_it() -> Result<()> {
    let daemon = with_eng().await?;
    let made = defined(&daemon, "gone", "You go.", &json!({}), "enabled").await?;
    saved(&daemon, &job("of-gone", &json!({ "channel": "gone" }))).await?;
    let held = Held::new(&daemon, "gone").await?;
    let removed = delete(&daemon, &["api", "agent-defs", text(&made, "id")]).await?;
    assert_eq!(removed.status, 200, "{removed:?}");
    assert_eq!(each(&defs(&daemon).await?, "name"), ["eng"]);
    // Its job is there, waits for it, and says so when it is to run.
    let run = post(&daemon, &["api", "jobs", "of-gone", "run"], &json!({})).await?;
    ensure!(run.status < 500, "{run:?}");
    held.let_go()?;
    let turn = daemon.wait_turn("gone", &held.sent).await?;
    assert_eq!(turn.state, State::Ok, "{turn:?}");
    works(&daemon).await
}
