//! Messages that cannot be taken, and strange ones that can.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, State};
use serde_json::{Value, json};

use super::{queue_count, vault_count, with_eng};

/// Only what a message leaves: the daemon may still be writing what came before.
const INBOUND: &str = "SELECT count(*) FROM note_tags WHERE tag = 'agent/message/inbound'";
const TURNS: &str = "SELECT count(*) FROM turns";

/// Asserts that sending `body` is refused so, with words for a person, and that nothing is stored.
async fn refused(daemon: &Daemon, agent: &str, body: &[u8], status: u16, code: &str) -> Result<Value> {
    let before = (vault_count(daemon, INBOUND)?, queue_count(daemon, TURNS)?);
    let target = format!("/api/channels/{agent}/send");
    let answer = daemon.ask_in("POST", &target, body).await?;
    let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
    assert_eq!(
        answer.refusal()?,
        (status, code.to_owned()),
        "{shown:?} to {agent}: {}",
        answer.json()?
    );
    let told = answer.json()?;
    assert!(
        told["next_step"].as_str().is_some_and(|step| !step.is_empty()),
        "{shown:?}: {told}"
    );
    let after = (vault_count(daemon, INBOUND)?, queue_count(daemon, TURNS)?);
    assert_eq!(after, before, "{shown:?} left something behind");
    Ok(told)
}

#[tokio::test]
async fn tc_reg_4_an_unknown_agent_is_answered_with_those_that_exist() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("ops", "You operate.").await?;
    let told = refused(&daemon, "engg", br#"{"text":"hello"}"#, 404, "unknown_agent").await?;
    let message = told["message"].as_str().unwrap_or_default();
    for name in ["engg", "eng", "ops"] {
        assert!(message.contains(name), "{name} in {message}");
    }

    let ran = daemon.run(["send", "engg", "hello"]).await?;
    assert_eq!((ran.code, ran.stdout.as_str()), (4, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("eng, ops"), "{}", ran.stderr);
    let waited = daemon.run(["send", "engg", "hello", "--wait"]).await?;
    assert_eq!((waited.code, waited.stdout.as_str()), (4, ""), "{}", waited.stderr);

    // Neither is one that an agent should report to.
    let body = br#"{"text":"hello","reply_to":"boss"}"#;
    let told = refused(&daemon, "eng", body, 404, "unknown_agent").await?;
    assert!(
        told["message"].as_str().is_some_and(|text| text.contains("boss")),
        "{told}"
    );
    Ok(())
}

#[tokio::test]
async fn names_that_no_agent_can_have_are_unknown() -> Result<()> {
    let daemon = with_eng().await?;
    let long = "a".repeat(5000);
    for name in [
        "..%2F..%2Fetc%2Fpasswd",
        "%00",
        "eng%20",
        "%E2%9C%93",
        "ENG",
        long.as_str(),
    ] {
        refused(&daemon, name, br#"{"text":"hello"}"#, 404, "unknown_agent").await?;
        for target in [
            format!("/api/channels/{name}/messages"),
            format!("/api/channels/{name}/threads"),
            format!("/api/agents/{name}"),
        ] {
            let answer = daemon.ask_in("GET", &target, b"").await?;
            assert_eq!(answer.refusal()?, (404, "unknown_agent".into()), "{target}");
        }
    }
    // Bytes that are no text at all.
    let answer = daemon.ask_in("GET", "/api/agents/%FF", b"").await?;
    assert_eq!(answer.refusal()?.0, 400);
    Ok(())
}

#[tokio::test]
async fn a_message_without_text_is_refused() -> Result<()> {
    let daemon = with_eng().await?;
    for text in ["", " ", "\n\t \u{a0}\u{2003}"] {
        let body = json!({ "text": text }).to_string();
        refused(&daemon, "eng", body.as_bytes(), 400, "blank_text").await?;
    }
    // The command line reads the text from stdin when none is given.
    let ran = daemon.run(["send", "eng"]).await?;
    assert_eq!((ran.code, ran.stdout.as_str()), (4, ""), "{}", ran.stderr);
    Ok(())
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused() -> Result<()> {
    let daemon = with_eng().await?;
    let broken: [&[u8]; 5] = [b"", b"{\"text\":", b"hello", b"{\"text\":\"\xff\"}", b"{'text':1}"];
    for body in broken {
        refused(&daemon, "eng", body, 400, "invalid_json").await?;
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let wrong: [&[u8]; 7] = [
        deep.as_bytes(),
        b"{}",
        b"null",
        b"\"hello\"",
        b"{\"text\":5}",
        b"{\"text\":null}",
        b"{\"text\":\"hello\",\"sender\":{\"name\":\"ann\"}}",
    ];
    for body in wrong {
        refused(&daemon, "eng", body, 400, "invalid_body").await?;
    }
    for (target, body, code) in [
        ("/api/agents", "{", "invalid_json"),
        ("/api/agents", "{\"name\":7}", "invalid_body"),
        ("/api/agents", "{\"name\":\"x\",\"propmt\":\"typo\"}", "invalid_body"),
        ("/api/agents", "{\"name\":\"x y\"}", "invalid_definition"),
        ("/vault/default/api/notes", "{", "invalid_request"),
        ("/vault/default/api/notes", "{\"content\":5}", "invalid_request"),
    ] {
        let answer = daemon.ask_in("POST", target, body.as_bytes()).await?;
        assert_eq!(answer.refusal()?, (400, code.into()), "{target} {body}");
    }
    let answer = daemon
        .ask_in("GET", "/api/channels/eng/messages?limit=many", b"")
        .await?;
    assert_eq!(answer.refusal()?, (400, "invalid_parameter".into()));
    Ok(())
}

#[tokio::test]
async fn ten_megabytes_are_refused_and_not_stored() -> Result<()> {
    let daemon = with_eng().await?;
    let text = "x".repeat(10 << 20);
    let body = json!({ "text": text }).to_string();
    let before = (vault_count(&daemon, INBOUND)?, queue_count(&daemon, TURNS)?);
    refused(&daemon, "eng", body.as_bytes(), 413, "too_large").await?;
    // A client that sends all of it before it reads still gets the answer, also when it sends more than the system's
    // buffers hold after the refusal.
    let more = json!({ "text": "x".repeat(24 << 20) }).to_string();
    refused(&daemon, "eng", more.as_bytes(), 413, "too_large").await?;
    let note = json!({ "content": text }).to_string();
    let answer = daemon
        .ask_in("POST", "/vault/default/api/notes", note.as_bytes())
        .await?;
    assert_eq!(answer.refusal()?, (413, "too_large".into()));
    // So does one that reads while it sends, and the command line.
    let http = reqwest::Client::builder().no_proxy().build()?;
    let url = daemon.url().join("/api/channels/eng/send")?;
    let sent = http.post(url).bearer_auth(daemon.token()).body(body).send().await?;
    assert_eq!(sent.status(), 413);
    let ran = reveille_tests::daemon::run(daemon.cli(["send", "eng", "-"]).await?, &text).await?;
    assert_eq!((ran.code, ran.stdout.as_str()), (4, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("max_body"), "{}", ran.stderr);
    assert_eq!((vault_count(&daemon, INBOUND)?, queue_count(&daemon, TURNS)?), before);
    let sent = daemon.send("eng", "[[reply well]]").await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Ok);
    Ok(())
}

#[tokio::test]
async fn strange_texts_are_messages_like_any_other() -> Result<()> {
    let daemon = with_eng().await?;
    let long = "long ".repeat(200_000);
    let texts = [
        "nul \u{0} in the middle",
        "\u{202e}right to left \u{1f469}\u{200d}\u{1f680} e\u{301}",
        "\u{1b}[31mred\u{1b}[0m\r\nlines\u{2028}more",
        "'; DROP TABLE turns; -- \" ` $(touch /tmp/x) ${HOME} %s",
        "--resume --model x",
        long.as_str(),
    ];
    for text in texts {
        let sent = daemon.send("eng", text).await?;
        let turn = daemon.wait_turn("eng", &sent).await?;
        let start: String = text.chars().take(40).collect();
        assert_eq!(turn.state, State::Ok, "{start:?}: {:?}", turn.error);
    }
    let said: Vec<String> = daemon
        .messages("eng")
        .await?
        .into_iter()
        .filter(|message| message.direction == "inbound")
        .map(|message| message.text)
        .collect();
    assert_eq!(said, texts);
    Ok(())
}

#[tokio::test]
async fn a_turn_that_is_not_there_cannot_be_stopped() -> Result<()> {
    let daemon = with_eng().await?;
    let sent = daemon.send("eng", "[[reply done]]").await?;
    let ended = daemon.wait_turn("eng", &sent).await?;
    let stop = async |turn: &str| {
        let answer = daemon.ask_in("POST", &format!("/api/turns/{turn}/stop"), b"").await?;
        answer.refusal()
    };
    assert_eq!(stop(&ended.turn).await?, (409, "not_running".into()));
    for turn in ["nonsense", "00000000-0000-0000-0000-000000000000", "..%2F.."] {
        assert_eq!(stop(turn).await?, (404, "unknown_turn".into()), "{turn}");
        let shown = daemon.ask_in("GET", &format!("/api/turns/{turn}"), b"").await?;
        assert_eq!(shown.refusal()?, (404, "unknown_turn".into()), "{turn}");
    }
    Ok(())
}
