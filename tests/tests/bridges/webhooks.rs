//! Webhooks: what programs outside are told, over a real socket.

use std::collections::BTreeMap;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use pretty_assertions::assert_eq;
use reveille_tests::{Receiver, ReceiverAnswer as Answer, Told, eventually};
use sha2::Sha256;

use super::*;

const KEY: [u8; 32] = [7; 32];

pub(super) fn secret() -> String {
    format!("whsec_{}", STANDARD.encode(KEY))
}

/// A webhook of everything, at `/all`, and one of the ends of turns alone, at `/ends`.
fn config(receiver: &Receiver) -> String {
    let table = |name: &str, more: &str| {
        let url = receiver.url(&format!("/{name}"));
        format!(
            "[[webhook]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret = \"${{HOOK}}\"\nallow = {{ private = true }}\n{more}\n"
        )
    };
    table("all", "") + &table("ends", "events = [\"turn.settled\"]\nagents = [\"eng\"]")
}

async fn daemon_for(receiver: &Receiver) -> Result<Daemon> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("HOOK", secret())
        .config(&config(receiver))
        .start()
        .await?;
    daemon.create_agent("eng", "You build.").await?;
    Ok(daemon)
}

/// Whether a call is signed as Standard Webhooks has it.
pub(super) fn is_ours(told: &Told) -> bool {
    let (id, at) = (told.header("webhook-id"), told.header("webhook-timestamp"));
    let mut mac = Hmac::<Sha256>::new_from_slice(&KEY).expect("any key");
    mac.update(format!("{id}.{at}.{}", told.body).as_bytes());
    told.header("webhook-signature") == format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// What was told of a turn, in order, each event once: by their ids. Every one is signed.
pub(super) fn of_turn(receiver: &Receiver, path: &str, turn: &str) -> Vec<(String, Value)> {
    let mut all: Vec<(String, Value)> = Vec::new();
    for told in receiver.told_at(path) {
        assert!(is_ours(&told), "{told:?}");
        let (id, said) = (told.header("webhook-id").to_owned(), told.json());
        if said["data"]["turn"] != turn || all.iter().any(|(known, _)| *known == id) {
            continue;
        }
        all.push((id, said));
    }
    all
}

/// Waits until the end of a turn was told.
pub(super) async fn until_settled(receiver: &Receiver, path: &str, turn: &str) -> Result<Vec<(String, Value)>> {
    let settled = format!("settled_{turn}");
    eventually(&format!("{path} is told of the end"), LIMIT, async || {
        let all = of_turn(receiver, path, turn);
        Ok(all.iter().any(|(id, _)| *id == settled).then_some(all))
    })
    .await
}

pub(super) fn kinds(all: &[(String, Value)]) -> Vec<&str> {
    let mut kinds: Vec<&str> = all
        .iter()
        .map(|(_, said)| said["type"].as_str().unwrap_or_default())
        .collect();
    // As many batches as time made of them.
    kinds.dedup();
    kinds
}

/// Keeps a turn from going on until that file is there.
pub(super) fn waits_for(file: &std::path::Path) -> String {
    format!("[[exec until test -e {}; do sleep 0.05; done]]", file.display())
}

pub(super) async fn bridge(daemon: &Daemon, name: &str) -> Result<Value> {
    let listed: Value = daemon.request(Method::GET, &["api", "bridges"], None).await?.ok()?;
    let all = listed["bridges"].as_array().context("a list")?;
    let found = all.iter().find(|one| one["name"] == name);
    found.cloned().with_context(|| format!("no {name} in {listed}"))
}

#[tokio::test]
async fn a_program_is_told_of_a_turn_from_its_message_to_its_end() -> Result<()> {
    let receiver = Receiver::start().await?;
    let daemon = daemon_for(&receiver).await?;
    let go = daemon.scratch().join("go");
    let text = format!("Go on. [[slow 40x10ms]] {} [[reply all done]]", waits_for(&go));
    let sent = daemon.send("eng", &text).await?;
    // While the turn goes on.
    eventually("what it says is told", LIMIT, async || {
        let told = receiver.told_at("/all");
        let is_told = told.iter().any(|told| told.json()["type"] == "turn.event");
        Ok(is_told.then_some(()))
    })
    .await?;
    std::fs::write(&go, "")?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    let id = turn.turn.clone();
    let all = until_settled(&receiver, "/all", &id).await?;
    assert_eq!(
        kinds(&all),
        ["message.received", "turn.started", "turn.event", "turn.settled"]
    );
    let sequences: Vec<u64> = all
        .iter()
        .filter_map(|(_, said)| said["data"]["sequence"].as_u64())
        .collect();
    // The message itself came before the turn.
    assert_eq!(sequences, (1..all.len() as u64).collect::<Vec<_>>());
    // What was told while it went on and what came after that are more than one batch.
    assert!(all.len() > 4, "{all:?}");
    let bodies: BTreeMap<&str, &Value> = all
        .iter()
        .map(|(_, said)| (said["type"].as_str().unwrap_or_default(), &said["data"]))
        .collect();
    assert!(all.iter().all(|(_, said)| said["data"]["agent"] == "eng"));
    let text = bodies["message.received"]["body"]["text"].as_str().unwrap_or_default();
    assert!(text.starts_with("Go on."), "{text}");
    assert_eq!(bodies["turn.started"]["body"], json!({ "attempt": 1 }));
    let words: String = all
        .iter()
        .flat_map(|(_, said)| said["data"]["events"].as_array().cloned().unwrap_or_default())
        .filter(|event| event["kind"] == "text_delta")
        .filter_map(|event| event["text"].as_str().map(str::to_owned))
        .collect();
    for number in 1..=40 {
        assert!(words.contains(&format!("word{number} ")), "{words}");
    }
    let end = bodies["turn.settled"];
    assert_eq!(end["body"]["outcome"], "done");
    assert_eq!(end["body"]["reply"].as_str(), turn.reply.as_deref());
    assert!(
        end["body"]["usage"]["input_tokens"].is_u64() && end["body"]["cost_usd"].is_f64(),
        "{end}"
    );
    assert!(
        end["snapshot"]["text"]
            .as_str()
            .is_some_and(|text| text.contains("word40")),
        "{end}"
    );

    assert_eq!(kinds(&until_settled(&receiver, "/ends", &id).await?), ["turn.settled"]);
    let up = eventually("nothing waits", LIMIT, async || {
        let one = bridge(&daemon, "webhook/all").await?;
        Ok((one["waiting"] == 0).then_some(one))
    })
    .await?;
    assert_eq!((&up["kind"], &up["state"]), (&json!("webhook"), &json!("up")));
    assert!(!daemon.log()?.contains(&secret()) && !up.to_string().contains("whsec"));
    Ok(())
}

#[tokio::test]
async fn the_end_of_a_turn_is_told_although_the_daemon_is_killed_and_the_receiver_away() -> Result<()> {
    let receiver = Receiver::start().await?;
    for path in ["/all", "/ends"] {
        receiver.script(path, [Answer::Status(503)]);
    }
    let mut daemon = daemon_for(&receiver).await?;
    daemon.stop().await?;
    // As soon as the end of the turn is on disk.
    daemon.start_doomed("turn.settled", 1).await?;
    let body = json!({ "text": "hello" });
    let sent = daemon.send_keyed("eng", "key", &body).await?;
    daemon.wait_killed().await?;
    let settled = |told: &Told| told.header("webhook-id").starts_with("settled_");
    daemon.start().await?;
    // The turn may have been over before its message was answered.
    let sent = match sent {
        Some(sent) => sent,
        None => daemon.send_keyed("eng", "key", &body).await?.context("an answer")?,
    };
    let turn = daemon.wait_turn("eng", &sent).await?;
    let (id, address) = (turn.turn.clone(), receiver.address());
    let tried = eventually("the end is tried", LIMIT, async || {
        let told = receiver.told_at("/ends");
        Ok(told.into_iter().find(settled))
    })
    .await?;
    assert_eq!(tried.header("webhook-id"), format!("settled_{id}"));
    // Nobody listens at all for a while, during which it is killed once more.
    drop(receiver);
    daemon.kill9().await?;
    daemon.start().await?;
    let receiver = eventually("the address is free", LIMIT, async || {
        Ok(Receiver::start_at(address).await.ok()) // silent-ok: the last connection may not be over
    })
    .await?;
    let ends = until_settled(&receiver, "/ends", &id).await?;
    assert_eq!(ends[0].1["data"]["body"]["reply"].as_str(), turn.reply.as_deref());
    let all = until_settled(&receiver, "/all", &id).await?;
    let told = kinds(&all);
    assert_eq!(
        (told.first(), told.last()),
        (Some(&"message.received"), Some(&"turn.settled"))
    );
    assert!(told.contains(&"turn.started"), "{told:?}");

    // What comes later is told too, and nothing of this again.
    let next = daemon.send("eng", "and again").await?;
    let next = daemon.wait_turn("eng", &next).await?;
    until_settled(&receiver, "/ends", &next.turn).await?;
    let ids: Vec<String> = receiver
        .told_at("/ends")
        .iter()
        .map(|told| told.header("webhook-id").to_owned())
        .collect();
    assert_eq!(ids, [format!("settled_{id}"), format!("settled_{}", next.turn)]);
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_refuses_is_told_of_and_gets_everything_once_it_is_resumed() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.script("/ends", [Answer::Status(410)]);
    let daemon = daemon_for(&receiver).await?;
    let sent = daemon.send("eng", "hello").await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    let id = turn.turn.clone();
    // The other one is not held up.
    until_settled(&receiver, "/all", &id).await?;
    eventually("it is refused", LIMIT, async || {
        let one = bridge(&daemon, "webhook/ends").await?;
        Ok((one["state"] == "refused" && one["waiting"] == 1).then_some(()))
    })
    .await?;
    let health: Value = daemon.request(Method::GET, &["health"], None).await?.ok()?;
    assert_eq!(health["status"], "degraded");
    let page = ["api", "bridges", "webhook/ends", "undelivered"];
    let listed: Value = daemon.request(Method::GET, &page, None).await?.ok()?;
    assert_eq!(listed["messages"], json!([]), "it waits, and is not given up");

    receiver.script("/ends", [Answer::Status(200)]);
    let before = receiver.told_at("/ends").len();
    let retried = daemon
        .cli(["undelivered", "retry", "--bridge", "webhook/ends"])
        .await?
        .output()
        .await?;
    assert!(retried.status.success(), "{retried:?}");
    eventually("it is up", LIMIT, async || {
        let one = bridge(&daemon, "webhook/ends").await?;
        Ok((one["state"] == "up" && one["waiting"] == 0).then_some(()))
    })
    .await?;
    let told = receiver.told_at("/ends");
    assert_eq!(told[before..].iter().filter(|told| is_ours(told)).count(), 1);
    let none = post(&daemon, &["api", "bridges", "webhook/none", "redrive"], &json!({})).await?;
    assert_eq!(refused(&none), (404, "unknown_bridge"));
    Ok(())
}

#[tokio::test]
async fn a_webhook_that_cannot_be_used_ends_the_start_and_is_named() -> Result<()> {
    for (keys, says) in [
        ("url = \"http://127.0.0.1:1/\"", "address cannot be used"),
        (
            "url = \"https://example.com/\"\nprofile = \"supervisor\"\nevents = [\"message.received\"]",
            "supervisor profile",
        ),
        ("url = \"https://example.com/\"\nheartbeat = 301", "300"),
    ] {
        let config = format!("[[webhook]]\nname = \"ci\"\nsecret = \"${{HOOK}}\"\n{keys}\n");
        let started = Daemon::builder()
            .stand_in()
            .env("HOOK", secret())
            .config(&config)
            .start()
            .await;
        let error = format!("{:#}", started.err().context("it starts")?);
        assert!(error.contains("[[webhook]] \"ci\"") && error.contains(says), "{error}");
        assert!(!error.contains(&secret()), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn without_a_webhook_there_is_nothing_of_them() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You build.").await?;
    let sent = daemon.send("eng", "hello").await?;
    daemon.wait_turn("eng", &sent).await?;
    for file in ["bridges.sqlite", "webhooks.json"] {
        assert!(!daemon.state_dir().join(file).exists(), "{file}");
    }
    Ok(())
}
