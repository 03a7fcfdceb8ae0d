//! Hooks: signed calls from outside.

use anyhow::Result;
use hmac::{Hmac, KeyInit as _, Mac as _};
use pretty_assertions::assert_eq;
use serde_json::json;
use sha2::Sha256;

use super::*;

const CONFIG: &str = "[[hook]]\nname = \"ci\"\nagent = \"eng\"\nscheme = \"github\"\nsecret = \"${HOOK}\"\n\
    events = [\"push\"]\ntemplate = \"{{ repo }} was pushed\"\n";
const SECRET: &str = "a secret of the hook";

/// What GitHub would sign a body with.
fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key");
    mac.update(body);
    let hex: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256={hex}")
}

#[tokio::test]
async fn a_signed_call_wakes_the_agent_once_and_others_wake_nobody() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("HOOK", SECRET)
        .config(CONFIG)
        .start()
        .await?;
    let call = async |name: &str, signature: &str, event: &str, body: &[u8]| {
        let headers = [
            ("content-type", "application/json"),
            ("x-github-event", event),
            ("x-hub-signature-256", signature),
        ];
        daemon.ask("POST", &format!("/hooks/{name}"), &headers, body).await
    };
    let body = br#"{"repo": "tower"}"#;
    let signed = signature(SECRET, body);
    // Without its agent nothing is stored, and the sender tries again.
    assert_eq!(
        call("ci", &signed, "push", body).await?.refusal()?,
        (503, "hook_unavailable".to_owned())
    );
    daemon.create_agent("eng", "You build.").await?;
    for (name, signed, body, expected) in [
        ("none", signed.as_str(), &body[..], (404, "unknown_hook")),
        (
            "ci",
            signature("another", body).as_str(),
            body,
            (401, "wrong_signature"),
        ),
        ("ci", signed.as_str(), br#"{"repo": "bower"}"#, (401, "wrong_signature")),
        ("ci", signature(SECRET, b"{").as_str(), b"{", (400, "invalid_body")),
    ] {
        let (status, code) = call(name, signed, "push", body).await?.refusal()?;
        assert_eq!((status, code.as_str()), expected);
    }
    let passed_by = call("ci", &signed, "issues", body).await?.json()?;
    assert!(
        passed_by["ok"] == true && passed_by["ignored"].is_string(),
        "{passed_by}"
    );
    let first = call("ci", &signed, "push", body).await?.json()?;
    let again = call("ci", &signed, "push", body).await?.json()?;
    assert_eq!((&first["ok"], &first["id"]), (&json!(true), &again["id"]));
    let journal = daemon.wait_quiet(LIMIT).await?;
    let texts: Vec<&str> = journal.inbound().map(|note| note.content.as_str()).collect();
    assert_eq!(texts, ["tower was pushed"]);
    assert!(!daemon.log()?.contains(SECRET));
    Ok(())
}
