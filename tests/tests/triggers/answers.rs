//! What the answers of receivers come to.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::{Receiver, ReceiverAnswer as Answer};
use serde_json::{Value, json};

use super::{ask, gist, nobody, register, show, wait_states, wait_told, with_short_pauses};

fn error(delivery: &Value) -> &str {
    delivery["error"].as_str().unwrap_or("-")
}

#[tokio::test]
async fn a_redirect_is_not_followed() -> Result<()> {
    let daemon = with_short_pauses().start().await?;
    let receiver = Receiver::start().await?;
    receiver.script("/hook", [Answer::With(302, "location", receiver.url("/elsewhere"))]);
    register(&daemon, "t", &["created"], &receiver.url("/hook")).await?;
    daemon.note_put("a", "x", &[], &json!({})).await?;
    let dead = wait_states(&daemon, "t", &["dead"]).await?;
    assert_eq!((&dead[0]["attempts"], &dead[0]["status"]), (&json!(9), &json!(302)));
    assert!(
        error(&dead[0]).contains("a redirect, which is not followed"),
        "{dead:?}"
    );
    assert_eq!(receiver.told_at("/elsewhere").len(), 0);
    Ok(())
}

#[tokio::test]
async fn something_else_than_an_object_is_a_failure_that_ends_soon() -> Result<()> {
    let daemon = with_short_pauses().start().await?;
    let receiver = Receiver::start().await?;
    for (path, answer) in [
        ("/text", Answer::Text("thank you".into())),
        ("/null", Answer::Json(Value::Null)),
        ("/large", Answer::Text("x".repeat(2 << 20))),
    ] {
        receiver.script(path, [answer]);
        register(&daemon, &path[1..], &["created"], &receiver.url(path)).await?;
    }
    daemon.note_put("a", "x", &[], &json!({})).await?;
    for (name, says) in [
        ("text", "nothing or a JSON object: thank you"),
        ("null", "nothing or a JSON object: null"),
        ("large", "more than 1048576 bytes"),
    ] {
        let dead = wait_states(&daemon, name, &["dead"]).await?;
        assert_eq!((&dead[0]["attempts"], &dead[0]["status"]), (&json!(3), &json!(200)));
        assert!(error(&dead[0]).contains(says), "{dead:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_says_nothing_is_given_up() -> Result<()> {
    let daemon = with_short_pauses()
        .env("REVEILLE_TRIGGERS__RETRY_PAUSES", "20ms")
        .start()
        .await?;
    let receiver = Receiver::start().await?;
    receiver.script("/hook", [Answer::Hang]);
    let new = json!({"name": "t", "action": {"webhook": receiver.url("/hook"), "timeout": 100}});
    ask(&daemon, Method::POST, &[], Some(&new)).await?;
    daemon.note_put("a", "x", &[], &json!({})).await?;
    let dead = wait_states(&daemon, "t", &["dead"]).await?;
    assert_eq!(
        (&dead[0]["attempts"], error(&dead[0])),
        (&json!(2), "it did not answer within 100ms")
    );
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_told_nothing_more() -> Result<()> {
    let daemon = with_short_pauses()
        .env("REVEILLE_TRIGGERS__AT_ONCE", "1")
        .start()
        .await?;
    let receiver = Receiver::start().await?;
    receiver.script("/hook", [Answer::Status(410), Answer::Status(200)]);
    register(&daemon, "t", &["created", "updated"], &receiver.url("/hook")).await?;
    for text in ["1", "2", "3"] {
        daemon.note_put("a", text, &[], &json!({})).await?;
        if text == "1" {
            wait_states(&daemon, "t", &["dead"]).await?;
        }
    }
    let seen = show(&daemon, "t").await?;
    assert_eq!(
        (&seen["state"], &seen["enabled"], &seen["dead"]),
        (&json!("gone"), &json!(false), &json!(1))
    );
    assert_eq!(receiver.told().len(), 1);
    // The receiver is back, and somebody says so.
    ask(&daemon, Method::PATCH, &["t"], Some(&json!({"enabled": true}))).await?;
    ask(&daemon, Method::POST, &["t", "redrive"], None).await?;
    wait_states(&daemon, "t", &["delivered"]).await?;
    daemon.note_put("a", "4", &[], &json!({})).await?;
    wait_states(&daemon, "t", &["delivered", "delivered"]).await?;
    let told: Vec<String> = receiver.told().iter().map(gist).collect();
    assert_eq!(told, ["created a 1", "created a 1", "updated a 4"]);
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_asks_for_patience_gets_it() -> Result<()> {
    let daemon = with_short_pauses().start().await?;
    let receiver = Receiver::start().await?;
    receiver.script(
        "/hook",
        [Answer::With(503, "retry-after", "3600".into()), Answer::Status(200)],
    );
    register(&daemon, "t", &["created"], &receiver.url("/hook")).await?;
    daemon.note_put("a", "x", &[], &json!({})).await?;
    let waiting = reveille_tests::eventually("it was tried", reveille_tests::daemon::LIMIT, async || {
        let one = super::deliveries(&daemon, "t").await?.remove(0);
        Ok((one["attempts"] == 1).then_some(one))
    })
    .await?;
    let (since, next) = (waiting["createdAt"].as_str(), waiting["nextAt"].as_str());
    let time = |text: Option<&str>| text.map(|text| text[..13].to_owned());
    assert_ne!(time(since), time(next), "an hour later is another hour: {waiting}");
    // A person need not wait for it.
    let ran = daemon.run(&["trigger", "redrive", "t"]).await?;
    assert_eq!(
        (ran.code, &*ran.stdout),
        (0, "delivered again now: 1; see `reveille trigger deliveries t`\n")
    );
    wait_states(&daemon, "t", &["delivered"]).await?;
    Ok(())
}

#[tokio::test]
async fn what_a_receiver_answers_is_written_and_told_to_nobody() -> Result<()> {
    let daemon = with_short_pauses().start().await?;
    let receiver = Receiver::start().await?;
    let answer = json!({"content": "rendered", "metadata": {"by": "it", "n": 2}});
    receiver.script(
        "/hook",
        [
            Answer::Json(answer),
            Answer::Json(json!({"skipped_reason": "not mine"})),
        ],
    );
    register(&daemon, "t", &["created", "updated"], &receiver.url("/hook")).await?;
    daemon.note_put("a", "raw", &[], &json!({"n": 1, "mine": true})).await?;
    wait_states(&daemon, "t", &["delivered"]).await?;
    let note = daemon.note("a").await?.context("the note")?;
    let expected = json!({"by": "it", "n": 2, "mine": true});
    assert_eq!((&note["content"], &note["metadata"]), (&json!("rendered"), &expected));
    daemon.note_put("a", "edited", &[], &json!({})).await?;
    let both = wait_states(&daemon, "t", &["delivered", "delivered"]).await?;
    assert_eq!(both[1]["remark"], "skipped: not mine");
    // An edit that changes nothing is none.
    daemon.note_put("a", "edited", &[], &json!({"n": 2})).await?;
    daemon.note_put("b", "last", &[], &json!({})).await?;
    wait_told(&receiver, "/hook", 3).await?;
    let told: Vec<String> = receiver.told().iter().map(gist).collect();
    assert_eq!(told, ["created a raw", "updated a edited", "created b last"]);
    let note = daemon.note("a").await?.context("the note")?;
    assert_eq!((&note["content"], &note["metadata"]), (&json!("edited"), &expected));
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_cannot_be_reached_says_why() -> Result<()> {
    let daemon = with_short_pauses()
        .env("REVEILLE_TRIGGERS__RETRY_PAUSES", "20ms")
        .start()
        .await?;
    let receiver = Receiver::start().await?;
    let (_kept, closed) = nobody()?;
    for (name, webhook) in [
        ("closed", format!("http://{closed}/hook?key=SECRET")),
        // It does not speak TLS.
        ("secure", format!("https://{}/hook?key=SECRET", receiver.address())),
        ("nameless", "http://no-such-host.invalid/hook?key=SECRET".to_owned()),
        ("named", format!("http://localhost:{}/named", receiver.address().port())),
    ] {
        register(&daemon, name, &["created"], &webhook).await?;
    }
    daemon.note_put("a", "x", &[], &json!({})).await?;
    wait_states(&daemon, "named", &["delivered"]).await?;
    for name in ["closed", "secure", "nameless"] {
        let dead = wait_states(&daemon, name, &["dead"]).await?;
        assert_eq!((&dead[0]["attempts"], &dead[0]["status"]), (&json!(2), &Value::Null));
        assert!(error(&dead[0]).starts_with("it cannot be reached: "), "{dead:?}");
        assert!(!format!("{dead:?}").contains("SECRET"), "{dead:?}");
    }
    assert_eq!(receiver.told().len(), 1);
    assert!(!daemon.log()?.contains("SECRET"));
    Ok(())
}
