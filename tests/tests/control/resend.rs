//! A message that is sent once more.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Sent, State, Turn};
use serde_json::{Value, json};

use super::{Gate, empty, note, post, refusal, turn_of, with_eng};

#[tokio::test]
async fn a_failed_message_is_sent_once_more() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("boss", "You decide.").await?;
    let body = json!({
        "text": "[[error too-long]]", "sender": "ann", "subject": "launch", "reply_to": "boss", "correlation_id": "c-1",
    });
    let sent = daemon.send_with("eng", &body).await?;
    let failed = daemon.wait_turn("eng", &sent).await?;
    assert_eq!(failed.state, State::Error);

    let again: Sent = post(&daemon, &["turns", &failed.turn, "resend"], empty()).await?.ok()?;
    assert!(again.id != sent.id && again.turn.as_ref() != Some(&failed.turn));
    let (first, second) = (note(&daemon, &sent.id).await?, note(&daemon, &again.id).await?);
    assert_eq!(second["content"], first["content"]);
    for key in ["agent", "sender", "subject", "reply_to", "correlation_id"] {
        assert_eq!(second["metadata"][key], first["metadata"][key], "{key}");
    }
    assert_eq!(second["metadata"]["resend_of"], json!(sent.id));
    let ended = daemon.wait_turn("eng", &again).await?;
    assert_eq!(
        (ended.state, &ended.more["thread"]),
        (State::Error, &failed.more["thread"])
    );

    // With another text, and with a key under which it may be asked for twice.
    let target = format!("/api/turns/{}/resend", ended.turn);
    let (name, token) = daemon.bearer();
    let headers = [(name, token.as_str()), ("idempotency-key", "k-1")];
    let text = json!({"text": "[[reply done]]"}).to_string();
    let mended = daemon.ask("POST", &target, &headers, text.as_bytes()).await?.json()?;
    let twice = daemon.ask("POST", &target, &headers, text.as_bytes()).await?.json()?;
    assert_eq!(twice, mended);
    let mended: Sent = serde_json::from_value(mended)?;
    assert_eq!(daemon.wait_turn("eng", &mended).await?.reply.as_deref(), Some("done"));
    assert_eq!(
        note(&daemon, &mended.id).await?["metadata"]["resend_of"],
        json!(again.id)
    );
    let other = json!({"text": "something else"}).to_string();
    let refused = daemon
        .ask("POST", &target, &headers, other.as_bytes())
        .await?
        .refusal()?;
    assert_eq!(refused, (409, "idempotency_key_reused".into()));
    let blank = post(&daemon, &["turns", &failed.turn, "resend"], json!({"text": " "})).await?;
    assert_eq!(refusal(&blank), (400, "blank_text"));
    Ok(())
}

#[tokio::test]
async fn only_what_has_ended_is_sent_once_more() -> Result<()> {
    let daemon = with_eng().await?;
    let gate = Gate::close(&daemon, "eng", empty()).await?;
    let sent = daemon.send("eng", "[[reply one]]").await?;
    for turn in [turn_of(&gate.sent)?, turn_of(&sent)?] {
        let reply = post(&daemon, &["turns", turn, "resend"], empty()).await?;
        assert_eq!(refusal(&reply), (409, "not_settled"));
    }
    gate.open()?;
    let turn = daemon.wait_turn("eng", &sent).await?.turn;
    let path = ["api", "turns", &turn, "resend"];
    let again: Sent = daemon.request(Method::POST, &path, None).await?.ok()?;
    assert_eq!(daemon.wait_turn("eng", &again).await?.reply.as_deref(), Some("one"));
    let unknown = uuid::Uuid::from_u128(7).to_string();
    let reply = post(&daemon, &["turns", &unknown, "resend"], empty()).await?;
    assert_eq!(refusal(&reply), (404, "unknown_turn"));
    Ok(())
}

#[tokio::test]
async fn its_files_go_with_it() -> Result<()> {
    let daemon = with_eng().await?;
    let file = daemon.scratch().join("plan.txt");
    std::fs::write(&file, "Ship on Friday.")?;
    let file = file.to_str().context("a path")?;
    let text = "[[exec cat ../attachments/*/plan.txt]]";
    let sent = daemon
        .run(["send", "eng", text, "--attach", file, "--wait", "--json"])
        .await?;
    let sent: Turn = serde_json::from_str(&sent.stdout).context(sent.stderr)?;
    let again: Sent = post(&daemon, &["turns", &sent.turn, "resend"], empty()).await?.ok()?;
    let reply = daemon.wait_turn("eng", &again).await?.reply;
    assert!(
        reply.as_deref().is_some_and(|reply| reply.contains("Ship on Friday.")),
        "{reply:?}"
    );
    let files = async |note: &str| -> Result<Value> {
        let path = ["vault", "default", "api", "notes", note, "attachments"];
        let mut files: Value = daemon.request(Method::GET, &path, None).await?.ok()?;
        for file in files.as_array_mut().into_iter().flatten() {
            // What is of the one note alone.
            for key in ["id", "noteId", "createdAt"] {
                file.as_object_mut().and_then(|file| file.remove(key));
            }
        }
        Ok(files)
    };
    assert_eq!(files(&again.id).await?, files(&sent.message).await?);
    Ok(())
}
