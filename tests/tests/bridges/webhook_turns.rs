//! What webhooks tell of turns: by the supervisor profile, of messages that share a turn, of what a session outside has taken, and
//! to a receiver that wants nothing more.

use anyhow::Result;
use hmac::{Hmac, KeyInit as _, Mac as _};
use pretty_assertions::assert_eq;
use reveille_tests::{Receiver, ReceiverAnswer as Answer, Told, eventually};
use sha2::Sha256;

use super::webhooks::{bridge, kinds, of_turn, until_settled, waits_for};
use super::*;

const TOKEN: &str = "a token of a supervisor";

/// Whether a report is signed as the supervisor profile has it.
fn is_signed(told: &Told) -> bool {
    let header = |name: &str| told.header(name).to_owned();
    let (at, nonce) = (header("x-supervisor-timestamp"), header("x-supervisor-nonce"));
    let mut mac = Hmac::<Sha256>::new_from_slice(TOKEN.as_bytes()).expect("any key");
    mac.update(format!("{at}.{nonce}.{}", told.body).as_bytes());
    let hex: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    header("x-supervisor-signature") == format!("sha256={hex}") && header("authorization") == format!("Bearer {TOKEN}")
}

async fn daemon_with(receiver: &Receiver, more: &str) -> Result<Daemon> {
    let url = receiver.url("/told");
    let table = format!(
        "[[webhook]]\nname = \"told\"\nurl = \"{url}\"\nsecret = \"${{HOOK}}\"\nallow = {{ private = true }}\n{more}\n"
    );
    let secret = if more.contains("supervisor") {
        TOKEN.to_owned()
    } else {
        webhooks::secret()
    };
    let daemon = Daemon::builder()
        .stand_in()
        .env("HOOK", secret)
        .config(&table)
        .start()
        .await?;
    daemon.create_agent("eng", "You build.").await?;
    Ok(daemon)
}

#[tokio::test]
async fn a_supervisor_follows_a_turn_by_reports_and_heartbeats() -> Result<()> {
    let receiver = Receiver::start().await?;
    let daemon = daemon_with(&receiver, "profile = \"supervisor\"\nheartbeat = 1").await?;
    let go = daemon.scratch().join("go");
    let text = format!("Go on. [[slow 60x10ms]] {} [[reply all done]]", waits_for(&go));
    let sent = daemon.send("eng", &text).await?;
    eventually("it lives, which is told again and again", LIMIT, async || {
        let told = receiver.told_at("/told");
        let beats = told.iter().filter(|told| told.json()["kind"] == "heartbeat");
        Ok((beats.count() >= 3).then_some(()))
    })
    .await?;
    std::fs::write(&go, "")?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    let all = eventually("the end is reported", LIMIT, async || {
        let all = receiver.told_at("/told");
        let is_over = all.iter().any(|told| told.json()["kind"] == "prompt_complete");
        Ok(is_over.then_some(all))
    })
    .await?;
    assert!(all.iter().all(is_signed));
    let nonces: std::collections::BTreeSet<&str> = all.iter().map(|told| told.header("x-supervisor-nonce")).collect();
    assert_eq!(nonces.len(), all.len(), "each call has its own");
    let reports: Vec<Value> = all.iter().map(Told::json).collect();
    for report in &reports {
        assert_eq!(
            ["runId", "taskId", "promptId"].map(|key| report[key].as_str().unwrap_or_default()),
            [turn.turn.as_str(), "eng", sent.id.as_str()]
        );
        assert!(report["sandboxId"].as_str().is_some_and(|id| !id.is_empty()));
    }
    let (beats, told): (Vec<&Value>, Vec<&Value>) = reports.iter().partition(|report| report["kind"] == "heartbeat");
    assert!(
        beats.len() >= 3 && beats.iter().all(|beat| beat["sequence"] == 0),
        "{beats:?}"
    );
    let numbers: Vec<u64> = told.iter().filter_map(|report| report["sequence"].as_u64()).collect();
    assert_eq!(numbers, (1..=told.len() as u64).collect::<Vec<_>>());
    let words: String = told
        .iter()
        .flat_map(|report| report["notifications"].as_array().cloned().unwrap_or_default())
        .filter(|one| one["update"]["sessionUpdate"] == "agent_message_chunk")
        .filter_map(|one| one["update"]["content"]["text"].as_str().map(str::to_owned))
        .collect();
    assert!(words.contains("word1 ") && words.contains("word60"), "{words}");
    let end = told.last().context("an end")?;
    assert_eq!(
        (&end["kind"], &end["stopReason"]),
        (&json!("prompt_complete"), &json!("end_turn"))
    );
    assert!(
        end["snapshot"]["text"]
            .as_str()
            .is_some_and(|text| text.contains("word60")),
        "{end}"
    );
    assert!(end["usage"]["input_tokens"].is_u64(), "{end}");

    let sent = daemon.send("eng", "[[error 400]]").await?;
    let failed = daemon.wait_turn("eng", &sent).await?;
    let end = eventually("the failure is reported", LIMIT, async || {
        let all = receiver.told_at("/told").into_iter().map(|told| told.json());
        let mut of = all.filter(|one| one["runId"] == failed.turn.as_str());
        Ok(of.find(|one| one["kind"] == "prompt_failed" || one["kind"] == "prompt_complete"))
    })
    .await?;
    assert_eq!(end["kind"], "prompt_failed");
    assert!(end["error"].as_str().is_some_and(|error| error.len() > 10), "{end}");
    Ok(())
}

#[tokio::test]
async fn messages_that_share_a_turn_are_told_of_each() -> Result<()> {
    let receiver = Receiver::start().await?;
    let daemon = daemon_with(&receiver, "").await?;
    let go = daemon.scratch().join("go");
    let first = daemon.send("eng", &format!("one {}", waits_for(&go))).await?;
    eventually("the first runs", LIMIT, async || {
        let told = receiver.told_at("/told");
        Ok(told
            .iter()
            .any(|told| told.json()["type"] == "turn.event")
            .then_some(()))
    })
    .await?;
    let mut later = Vec::new();
    for text in ["two", "three", "four"] {
        later.push(
            daemon
                .send_with("eng", &json!({ "text": text, "mode": "collect" }))
                .await?,
        );
    }
    std::fs::write(&go, "")?;
    daemon.wait_turn("eng", &first).await?;
    let mut turns = Vec::new();
    for sent in &later {
        turns.push(daemon.wait_turn("eng", sent).await?);
    }
    let mut spent = 0;
    for (sent, turn) in later.iter().zip(&turns) {
        let all = until_settled(&receiver, "/told", &turn.turn).await?;
        let told = kinds(&all);
        assert_eq!(told.first(), Some(&"message.received"), "{told:?}");
        assert_eq!(told.last(), Some(&"turn.settled"), "{told:?}");
        assert!(told.contains(&"turn.started"), "{told:?}");
        let end = &all.last().context("an end")?.1["data"];
        assert_eq!(
            (&end["message"], &end["body"]["outcome"]),
            (&json!(sent.id), &json!("done"))
        );
        assert_eq!(
            end["body"]["reply"].as_str(),
            turns[0].reply.as_deref(),
            "one answer for all"
        );
        spent += usize::from(end["body"]["usage"].is_object());
    }
    assert_eq!(spent, 1, "what the turn took is told once");
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_answers_401_is_told_nothing_more_and_everybody_sees_it() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.script("/told", [Answer::Status(401)]);
    let mut daemon = daemon_with(&receiver, "events = [\"turn.settled\"]").await?;
    let sent = daemon.send("eng", "hello").await?;
    let first = daemon.wait_turn("eng", &sent).await?.turn;
    let refused = async |daemon: &Daemon, waiting: u64| {
        eventually("it is refused", LIMIT, async || {
            let one = bridge(daemon, "webhook/told").await?;
            Ok((one["state"] == "refused" && one["waiting"] == waiting).then_some(one))
        })
        .await
    };
    let one = refused(&daemon, 1).await?;
    assert!(
        one["error"].as_str().is_some_and(|error| error.contains("401")),
        "{one}"
    );
    let calls = receiver.told().len();
    let sent = daemon.send("eng", "and again").await?;
    let second = daemon.wait_turn("eng", &sent).await?.turn;
    refused(&daemon, 2).await?;
    // Not after a restart either.
    daemon.kill9().await?;
    daemon.start().await?;
    refused(&daemon, 2).await?;
    assert_eq!(receiver.told().len(), calls, "nothing more is sent");
    let shown: Value = daemon
        .request(Method::GET, &["api", "webhooks", "told"], None)
        .await?
        .ok()?;
    assert_eq!((&shown["state"], &shown["waiting"]), (&json!("refused"), &json!(2)));
    let health: Value = daemon.request(Method::GET, &["health"], None).await?.ok()?;
    assert_eq!(health["status"], "degraded");
    let metrics = daemon.ask_in("GET", "/metrics", b"").await?;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains("webhook/told"), "{metrics}");

    receiver.script("/told", [Answer::Status(200)]);
    let ran = daemon.run(["webhook", "resume", "told"]).await?;
    assert_eq!(ran.code, 0, "{ran:?}");
    for turn in [first, second] {
        until_settled(&receiver, "/told", &turn).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_a_session_outside_has_taken_is_told_from_its_beginning() -> Result<()> {
    let receiver = Receiver::start().await?;
    let mut daemon = daemon_with(&receiver, "").await?;
    let body = json!({ "name": "far", "prompt": "You build.", "metadata": { "backend": "attached" } });
    let made = daemon.request(Method::POST, &["api", "agents"], Some(&body)).await?;
    ensure!(made.status == 201, "{}", made.body);
    daemon.send("far", "Build it.").await?;
    let ask = async |daemon: &Daemon, what: &str, body: &Value| -> Result<Value> {
        post(daemon, &["api", "channels", "far", what], body).await?.ok()
    };
    let taken = ask(&daemon, "next", &json!({ "wait": 60 })).await?;
    let turn = taken["turn"].as_str().context("a turn")?.to_owned();
    let starts = async |count: usize| {
        eventually(&format!("{count} starts are told"), LIMIT, async || {
            let all = of_turn(&receiver, "/told", &turn);
            let starts: Vec<Value> = all
                .into_iter()
                .filter(|(_, said)| said["type"] == "turn.started")
                .map(|(_, said)| said["data"]["body"].clone())
                .collect();
            Ok((starts.len() == count).then_some(starts))
        })
        .await
    };
    let first = starts(1).await?;
    assert_eq!((&first[0]["attempt"], &first[0]["by"]), (&json!(1), &json!("operator")));
    assert_eq!(first[0]["ends_at"], taken["ends_at"]);
    // The same claim is told once, also after a kill; another claim is another start.
    daemon.kill9().await?;
    daemon.start().await?;
    let given = json!({ "id": taken["id"], "claim": taken["claim"] });
    ask(&daemon, "release", &given).await?;
    let taken = ask(&daemon, "next", &json!({})).await?;
    starts(2).await?;
    let reply = json!({ "text": "built", "in_reply_to": taken["id"], "claim": taken["claim"] });
    ask(&daemon, "reply", &reply).await?;
    let all = until_settled(&receiver, "/told", &turn).await?;
    assert_eq!(kinds(&all), ["message.received", "turn.started", "turn.settled"]);
    assert_eq!(all.last().context("an end")?.1["data"]["body"]["reply"], "built");
    Ok(())
}
