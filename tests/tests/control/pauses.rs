//! Pauses of an agent.

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, State};
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

use super::{Gate, empty, get, hand, let_others_pass, note, patch, post, refusal, turn_of, with_eng};

async fn agent(daemon: &Daemon, name: &str) -> Result<Value> {
    let listed = daemon.agents().await?.into_iter().find(|agent| agent["name"] == name);
    let shown = get(daemon, &["agents", name]).await?;
    let listed = listed.with_context(|| format!("{name} is listed"))?;
    for key in ["status", "status_detail", "pause", "waiting", "running"] {
        ensure!(listed.get(key) == shown.get(key), "{key}: {listed} and {shown}");
    }
    Ok(listed)
}

/// The list and the agent are two looks: they are compared when it stands.
async fn wait_for_status(daemon: &Daemon, status: &str) -> Result<Value> {
    eventually(&format!("eng is {status}"), LIMIT, async || {
        let eng = get(daemon, &["agents", "eng"]).await?;
        Ok((eng["status"] == status).then_some(()))
    })
    .await?;
    agent(daemon, "eng").await
}

/// Waits until no turn of `eng` runs: one that has ended does so until its reply is delivered.
async fn until_it_rests(daemon: &Daemon) -> Result<()> {
    eventually("eng rests", LIMIT, async || {
        let eng = get(daemon, &["agents", "eng"]).await?;
        Ok(eng["running"].is_null().then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_paused_agent_takes_messages_and_answers_them_later() -> Result<()> {
    let mut daemon = with_eng().await?;
    let path = "Agents/eng";
    let gate = Gate::close(&daemon, "eng", empty()).await?;
    let reason = json!({"reason": " Until Friday. "});
    let paused: Value = post(&daemon, &["agents", "eng", "pause"], reason).await?.ok()?;
    let detail = "paused by a person: Until Friday.";
    assert_eq!(
        (&paused["status"], &paused["status_detail"]),
        (&json!("paused"), &json!(detail))
    );
    assert_eq!(paused["pause"], json!({"code": "person", "reason": "Until Friday."}));
    assert!(paused["running"].is_object(), "a turn that runs goes on: {paused}");
    // Its status is written beside everything else.
    let definition = eventually("the definition says that it counts", LIMIT, async || {
        let definition = note(&daemon, path).await?;
        Ok((definition["metadata"]["status"] == "enabled").then_some(definition))
    })
    .await?;
    assert_eq!(definition["metadata"]["paused"], json!(true));
    gate.open()?;
    assert_eq!(daemon.wait_turn("eng", &gate.sent).await?.state, State::Ok);
    until_it_rests(&daemon).await?;

    let sent = daemon.send("eng", "[[reply at last]]").await?;
    for restarted in [false, true] {
        if restarted {
            daemon.restart().await?;
        }
        let_others_pass(&daemon).await?;
        let eng = agent(&daemon, "eng").await?;
        assert_eq!(
            (&eng["status"], &eng["status_detail"], &eng["waiting"], &eng["running"]),
            (&json!("paused"), &json!(detail), &json!(1), &Value::Null)
        );
        let queue = get(&daemon, &["channels", "eng", "queue"]).await?;
        assert_eq!(queue["pause"], eng["pause"]);
        assert_eq!(queue["turns"][0]["state"], "waiting");
    }
    let resumed: Value = post(&daemon, &["agents", "eng", "resume"], empty()).await?.ok()?;
    assert!(
        resumed["status"] != "paused" && resumed.get("pause").is_none(),
        "{resumed}"
    );
    assert_eq!(daemon.wait_turn("eng", &sent).await?.reply.as_deref(), Some("at last"));
    let metadata = &note(&daemon, path).await?["metadata"];
    assert_eq!((metadata.get("paused"), metadata.get("pause_reason")), (None, None));
    // Resuming one that works is no mistake.
    post(&daemon, &["agents", "eng", "resume"], empty())
        .await?
        .ok::<Value>()?;
    for what in ["pause", "resume", "reset"] {
        let reply = post(&daemon, &["agents", "nobody", what], empty()).await?;
        assert_eq!(refusal(&reply), (404, "unknown_agent"), "{what}");
    }
    Ok(())
}

#[tokio::test]
async fn a_pause_may_be_written_on_the_definition() -> Result<()> {
    let daemon = with_eng().await?;
    let write = async |paused: Value| {
        let prompt = "You are an engineer.";
        daemon
            .note_put("Agents/eng", prompt, &[], &json!({"paused": paused}))
            .await
    };
    write(json!("true")).await?;
    let eng = wait_for_status(&daemon, "paused").await?;
    assert_eq!(eng["status_detail"], "paused by a person");
    let sent = daemon.send("eng", "[[reply now]]").await?;
    let_others_pass(&daemon).await?;
    assert_eq!(agent(&daemon, "eng").await?["waiting"], 1);
    write(json!(false)).await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.reply.as_deref(), Some("now"));
    Ok(())
}

#[tokio::test]
async fn a_pause_of_the_daemon_says_why_and_a_person_ends_it() -> Result<()> {
    let daemon = with_eng().await?;
    let failed = daemon.send("eng", "[[error 401]]").await?;
    assert_eq!(daemon.wait_turn("eng", &failed).await?.state, State::Error);
    until_it_rests(&daemon).await?;
    let sent = daemon.send("eng", "[[reply signed in]]").await?;
    let_others_pass(&daemon).await?;
    let eng = agent(&daemon, "eng").await?;
    assert_eq!((&eng["status"], &eng["waiting"]), (&json!("paused"), &json!(1)));
    let pause = &eng["pause"];
    assert_eq!(pause["code"], "authentication");
    let (reason, since) = (pause["reason"].as_str(), pause["since_at"].as_str());
    let (reason, since) = (reason.context("a reason")?, since.context("a time")?);
    let detail = eng["status_detail"].as_str().context("a detail")?;
    // To the second: the time itself has more digits.
    assert!(
        detail.starts_with(&format!("authentication since {}", &since[..19])),
        "{detail}"
    );
    assert!(!reason.is_empty() && detail.ends_with(reason), "{detail}");
    // A person's pause beside it goes first, and resuming ends both.
    post(&daemon, &["agents", "eng", "pause"], empty())
        .await?
        .ok::<Value>()?;
    assert_eq!(agent(&daemon, "eng").await?["pause"]["code"], "person");
    post(&daemon, &["agents", "eng", "resume"], empty())
        .await?
        .ok::<Value>()?;
    assert_eq!(
        daemon.wait_turn("eng", &sent).await?.reply.as_deref(),
        Some("signed in")
    );
    Ok(())
}

#[tokio::test]
async fn an_interrupting_message_that_is_taken_back_stops_nothing() -> Result<()> {
    let daemon = with_eng().await?;
    post(&daemon, &["agents", "eng", "pause"], empty())
        .await?
        .ok::<Value>()?;
    let first = daemon.send("eng", "[[reply first]]").await?;
    let urgent = json!({ "text": "[[reply now]]", "mode": "interrupt" });
    let urgent = daemon.send_with("eng", &urgent).await?;
    hand(&daemon, turn_of(&urgent)?, "cancel", empty()).await?;
    post(&daemon, &["agents", "eng", "resume"], empty())
        .await?
        .ok::<Value>()?;
    let turn = daemon.wait_turn("eng", &first).await?;
    assert_eq!((turn.state, turn.reply.as_deref()), (State::Ok, Some("first")));
    Ok(())
}

#[tokio::test]
async fn a_budget_that_is_raised_while_a_turn_runs_makes_nobody_wait() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    let agent = json!({ "name": "eng", "prompt": "p", "metadata": { "budget_day_usd": "0.30" } });
    post(&daemon, &["agents"], agent).await?.ok::<Value>()?;
    let first = daemon.send("eng", "[[cost 0.2]] [[reply one]]").await?;
    assert_eq!(daemon.wait_turn("eng", &first).await?.state, State::Ok);
    let gate = daemon.scratch().join("gate");
    let text = format!(
        "[[exec while ! test -e {}; do sleep 0.02; done]] [[cost 0.2]] [[reply two]]",
        gate.display()
    );
    let mut events = daemon.events("eng").await?;
    let second = daemon.send("eng", &text).await?;
    events.until(|event| event.kind() == "tool").await?;
    let more = json!({ "metadata": { "budget_day_usd": "5" } });
    patch(&daemon, &["agents", "eng"], more).await?.ok::<Value>()?;
    std::fs::write(gate, "")?;
    // It is measured by what it began with.
    let second = daemon.wait_turn("eng", &second).await?;
    assert_eq!(second.error.context("an error")?["code"], "day_budget");
    let third = daemon.send("eng", "[[reply three]]").await?;
    assert_eq!(daemon.wait_turn("eng", &third).await?.reply.as_deref(), Some("three"));
    Ok(())
}
