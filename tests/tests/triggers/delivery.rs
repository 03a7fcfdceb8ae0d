//! How events get to receivers that answer, are slow, fail or are away.

use std::time::Duration;

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::{Daemon, Receiver, ReceiverAnswer as Answer};
use serde_json::{Value, json};

use super::{ask, gist, is_signed, nobody, register, show, wait_states, wait_told, with_short_pauses};

/// Stores a file; answers its path.
async fn upload(daemon: &Daemon, name: &str, text: &str) -> Result<String> {
    let form = format!(
        "--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{text}\r\n--edge--\r\n"
    );
    let (key, value) = daemon.bearer();
    let headers = [
        (key, value.as_str()),
        ("content-type", "multipart/form-data; boundary=edge"),
    ];
    let target = "/vault/default/api/storage/upload";
    let stored = daemon.ask("POST", target, &headers, form.as_bytes()).await?.json()?;
    Ok(stored["path"].as_str().context("a path")?.to_owned())
}

#[tokio::test]
async fn an_event_is_told_as_the_contract_has_it_and_signed() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    let receiver = Receiver::start().await?;
    let new = json!({
        "name": "channel_inbound", "events": ["created"],
        "when": {"tags": ["agent/message/inbound"], "has_metadata": ["agent"],
            "missing_metadata": ["channel_inbound_rendered_at"]},
        "action": {"webhook": receiver.url("/hook?secret=SHARED"), "send": "json", "timeout": 60_000,
            "auth": {"bearer": "TOKEN-OF-THE-DAEMON"}},
    });
    let (_, made) = ask(&daemon, Method::POST, &[], Some(&new)).await?;
    let secret = made["secret"].as_str().context("a secret")?;
    let file = &upload(&daemon, "a.txt", "attached").await?;
    let note = json!({
        "path": "channel/uni/m1", "content": "hello agent", "tags": ["agent/message", "agent/message/inbound"],
        "metadata": {"agent": "uni"}, "attachments": [file],
    });
    let notes = ["vault", "default", "api", "notes"];
    let written: Value = daemon.request(Method::POST, &notes, Some(&note)).await?.ok()?;
    // One that the trigger does not ask for.
    daemon
        .note_put("other", "x", &["agent/message/inbound"], &json!({}))
        .await?;
    daemon
        .note_put("channel/uni/m1", "hello again", &[], &json!({}))
        .await?;

    let told = &wait_told(&receiver, "/hook", 1).await?[0];
    let mut body = told.json();
    let attachments = body["note"]["attachments"].take();
    assert_eq!(
        (&attachments[0]["path"], &attachments[0]["filename"]),
        (&json!(file), &json!("a.txt"))
    );
    let expected = json!({
        "trigger": "channel_inbound", "event": "created",
        "note": {"id": written["id"], "content": "hello agent", "path": "channel/uni/m1",
            "tags": ["agent/message", "agent/message/inbound"], "metadata": {"agent": "uni"}, "attachments": null,
            "createdAt": written["createdAt"], "updatedAt": written["updatedAt"]},
    });
    assert_eq!(body, expected);
    assert_eq!(told.target, "/hook?secret=SHARED");
    let headers = ["content-type", "authorization", "reveille-vault", "reveille-attempt"].map(|name| told.header(name));
    assert_eq!(
        headers,
        ["application/json", "Bearer TOKEN-OF-THE-DAEMON", "default", "1"]
    );
    assert!(is_signed(told, secret)? && !is_signed(told, "whsec_AAAA")?);

    let done = wait_states(&daemon, "channel_inbound", &["delivered"]).await?;
    assert_eq!(
        (&done[0]["id"], &done[0]["status"]),
        (&json!(told.header("webhook-id")), &json!(200))
    );
    assert_eq!(receiver.told().len(), 1);
    // Nothing of the engine's stands on the note, and no secret where somebody looks.
    let after = daemon.note("channel/uni/m1").await?.context("the note")?;
    let metadata = after["metadata"].as_object().context("metadata")?;
    assert!(
        !metadata.keys().any(|key| key.starts_with("channel_inbound")),
        "{after}"
    );
    let seen = format!(
        "{}{}{:?}",
        daemon.log()?,
        ask(&daemon, Method::GET, &[], None).await?.1,
        done
    );
    for hidden in [secret, "SHARED", "TOKEN-OF-THE-DAEMON"] {
        assert!(!seen.contains(hidden), "{hidden} in {seen}");
    }
    Ok(())
}

#[tokio::test]
async fn a_failing_receiver_is_told_again_under_the_same_id() -> Result<()> {
    let daemon = with_short_pauses().start().await?;
    let receiver = Receiver::start().await?;
    receiver.script(
        "/hook",
        [
            Answer::Status(500),
            Answer::Status(404),
            Answer::Status(503),
            Answer::Status(204),
        ],
    );
    let secret = register(&daemon, "t", &["created"], &receiver.url("/hook")).await?;
    daemon.note_put("a", "x", &[], &json!({})).await?;
    let done = wait_states(&daemon, "t", &["delivered"]).await?;
    assert_eq!((&done[0]["attempts"], &done[0]["status"]), (&json!(4), &json!(204)));
    let told = receiver.told();
    let attempts: Vec<&str> = told.iter().map(|told| told.header("reveille-attempt")).collect();
    assert_eq!(attempts, ["1", "2", "3", "4"]);
    for one in &told {
        assert_eq!(
            (one.header("webhook-id"), &one.body),
            (told[0].header("webhook-id"), &told[0].body)
        );
        assert!(is_signed(one, &secret)?);
    }
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_was_away_gets_everything_when_it_is_back() -> Result<()> {
    let pauses = vec!["50ms"; 1000].join(",");
    let mut daemon = with_short_pauses()
        .env("REVEILLE_TRIGGERS__RETRY_PAUSES", pauses)
        .start()
        .await?;
    let (kept, address) = nobody()?;
    register(&daemon, "t", &["created", "updated"], &format!("http://{address}/hook")).await?;
    for number in 0..5 {
        daemon.note_put("a", &number.to_string(), &[], &json!({})).await?;
        daemon.note_put(&format!("b{number}"), "x", &[], &json!({})).await?;
    }
    reveille_tests::eventually("it was tried", reveille_tests::daemon::LIMIT, async || {
        let all = super::deliveries(&daemon, "t").await?;
        Ok((all[0]["attempts"].as_u64() > Some(1)).then_some(()))
    })
    .await?;
    // Neither an end of the daemon nor its new start changes that.
    daemon.kill9().await?;
    daemon.start().await?;
    let seen = show(&daemon, "t").await?;
    assert_eq!((&seen["waiting"], &seen["dead"]), (&json!(10), &json!(0)));
    drop(kept);
    let receiver = Receiver::start_at(address).await?;
    wait_states(&daemon, "t", &["delivered"; 10]).await?;
    let told: Vec<String> = receiver.told().iter().map(gist).collect();
    let of_a: Vec<&String> = told.iter().filter(|gist| gist.contains(" a ")).collect();
    assert_eq!(
        of_a,
        [
            "created a 0",
            "updated a 1",
            "updated a 2",
            "updated a 3",
            "updated a 4"
        ]
    );
    assert_eq!(told.len(), 10);
    Ok(())
}

#[tokio::test]
async fn a_slow_receiver_holds_no_other_one_up() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    let receiver = Receiver::start().await?;
    receiver.script("/slow", [Answer::Hang]);
    register(&daemon, "slow", &["created"], &receiver.url("/slow")).await?;
    register(&daemon, "fast", &["created"], &receiver.url("/fast")).await?;
    for number in 0..30 {
        daemon.note_put(&format!("n{number}"), "x", &[], &json!({})).await?;
    }
    wait_states(&daemon, "fast", &["delivered"; 30]).await?;
    // As many as it has lanes, and it has answered none of them.
    assert_eq!(wait_told(&receiver, "/slow", 4).await?.len(), 4);
    let slow = show(&daemon, "slow").await?;
    assert_eq!((&slow["waiting"], &slow["dead"]), (&json!(30), &json!(0)));
    Ok(())
}

#[tokio::test]
async fn what_is_told_of_a_note_comes_in_order_and_others_do_not_wait() -> Result<()> {
    let daemon = with_short_pauses()
        .env("REVEILLE_TRIGGERS__AT_ONCE", "2")
        .start()
        .await?;
    let receiver = Receiver::start().await?;
    let late = |status| Answer::Late(Duration::from_millis(30), Box::new(Answer::Status(status)));
    receiver.script("/hook", [late(500), late(200), late(500), late(500), late(200)]);
    register(&daemon, "t", &["created", "updated"], &receiver.url("/hook")).await?;
    for number in 0..4 {
        for path in ["a", "b", "c"] {
            daemon.note_put(path, &number.to_string(), &[], &json!({})).await?;
        }
    }
    wait_states(&daemon, "t", &["delivered"; 12]).await?;
    let told = receiver.told();
    for path in ["a", "b", "c"] {
        let mut of_note: Vec<String> = told
            .iter()
            .map(gist)
            .filter(|gist| gist.contains(&format!(" {path} ")))
            .collect();
        // Attempts at one delivery follow each other.
        of_note.dedup();
        let expected = [
            format!("created {path} 0"),
            format!("updated {path} 1"),
            format!("updated {path} 2"),
            format!("updated {path} 3"),
        ];
        assert_eq!(of_note, expected);
    }
    assert_eq!(told.len(), 15);
    Ok(())
}
