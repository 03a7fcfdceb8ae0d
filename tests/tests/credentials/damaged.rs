//! A file that cannot be used: nothing of it is lost, and everybody is told which one it is.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::State;
use serde_json::{Value, json};

use super::{CLAUDE, ENV, OAUTH, ask, command, done, env_of, file, started};

const DAMAGED: &str = "{\"claude\": {\"default\": \"sk-ant-oat01-hunter2hunter2\"";

#[tokio::test]
async fn a_damaged_file_is_kept_and_named_wherever_it_is_needed() -> Result<()> {
    let mut daemon = started().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    std::fs::write(file(&daemon), DAMAGED)?;
    for (method, target, body) in [
        ("GET", CLAUDE, Value::Null),
        ("GET", ENV, Value::Null),
        ("GET", "/api/agents/eng/env", Value::Null),
        ("POST", CLAUDE, json!({ "token": OAUTH })),
        ("DELETE", CLAUDE, Value::Null),
        ("POST", ENV, json!({ "name": "A", "value": "x" })),
        ("DELETE", ENV, json!({ "name": "A" })),
    ] {
        let answer = ask(&daemon, method, target, &body).await?;
        let said = String::from_utf8(answer.body.clone())?;
        assert_eq!(
            answer.refusal()?,
            (500, "credentials_damaged".to_owned()),
            "{method} {target}"
        );
        assert!(said.contains("credentials.json") && !said.contains("hunter"), "{said}");
    }
    let sent = daemon.send("eng", "[[reply hello]]").await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!(turn.state, State::Error);
    let told = serde_json::to_string(&turn.error)?;
    assert!(told.contains("storage") && told.contains("reveille doctor"), "{told}");
    let health = done(&daemon, "GET", "/health", &Value::Null).await?;
    assert_eq!(health["status"], "degraded");
    assert!(
        health["credential"]["problem"]
            .as_str()
            .context("a problem")?
            .contains("credentials.json"),
        "{health}"
    );
    for args in [&["doctor"][..], &["secret", "list"]] {
        let ran = command(&daemon, args, "").await?;
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(
            ran.code != 0 && said.contains("credentials.json") && !said.contains("hunter"),
            "{ran:?}"
        );
    }
    daemon.restart().await?;
    assert_eq!(std::fs::read_to_string(file(&daemon))?, DAMAGED);
    assert!(!daemon.log()?.contains("hunter"));

    std::fs::write(file(&daemon), format!("{DAMAGED}}}}}"))?;
    let env = env_of(&daemon, "eng").await?;
    assert_eq!(env.get("CLAUDE_CODE_OAUTH_TOKEN").map(String::as_str), Some(OAUTH));
    let health = done(&daemon, "GET", "/health", &Value::Null).await?;
    assert_eq!(
        (&health["status"], health["credential"].get("problem")),
        (&json!("ok"), None)
    );
    Ok(())
}
