//! What the log says of those who were let in and of what they changed.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::run;
use serde_json::{Value, json};

use super::{Holder, TOKENS, signed_in};

/// The lines of the audit: action, outcome, subject.
fn lines(daemon: &Daemon) -> Result<Vec<(String, String, String)>> {
    let mut found = Vec::new();
    for line in daemon.log()?.lines().filter(|line| line.starts_with('{')) {
        let line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        if line["target"] != "audit" {
            continue;
        }
        assert_eq!(line["peer"], "127.0.0.1", "{line}");
        assert!(line["timestamp"].is_string() && line["path"].is_string(), "{line}");
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        found.push((text("action"), text("outcome"), text("subject")));
    }
    Ok(found)
}

fn line(action: &str, outcome: &str, subject: &str) -> (String, String, String) {
    (action.to_owned(), outcome.to_owned(), subject.to_owned())
}

#[tokio::test]
async fn changes_and_failures_are_written_down_without_secrets() -> Result<()> {
    // Whatever else of the log is wanted.
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_LOG__FORMAT", "json")
        .env("REVEILLE_LOG__LEVEL", "warn")
        .start()
        .await?;
    let cookie = signed_in(&daemon).await?;
    daemon
        .ask("POST", "/api/session", &[], br#"{"code":"hunter2"}"#)
        .await?;
    daemon
        .ask(
            "GET",
            "/api/agents?x=hunter3",
            &[("authorization", "Bearer hunter4")],
            b"",
        )
        .await?;
    let admin = Holder::with(&daemon, &["reveille:admin"]).await?;
    let made = json!({ "name": "eng", "prompt": "hunter5" });
    admin.ask(&daemon, "POST", "/api/agents", made).await?;
    admin.ask(&daemon, "POST", "/api/agents/eng/pause", json!({})).await?;
    run(daemon.cli(["pin", "set"]).await?, "7531\n").await?;
    admin
        .ask(&daemon, "POST", "/api/step-up", json!({ "pin": "8642" }))
        .await?;
    let approve = json!({ "holder": "eng", "key": "x", "token": "hunter6" });
    admin.ask(&daemon, "POST", "/api/connections/approve", approve).await?;
    let id = &admin.id;
    daemon.ask_in("DELETE", &format!("{TOKENS}/{id}"), b"").await?;
    let of_admin = format!("token:{id}");
    assert_eq!(
        lines(&daemon)?,
        [
            line("sign_in_link.made", "done", "operator"),
            line("sign_in", "done", "nobody"),
            line("sign_in", "refused", "nobody"),
            line("let_in", "refused", "nobody"),
            line("token.made", "done", "operator"),
            line("agent.defined", "done", &of_admin),
            line("agent.paused", "done", &of_admin),
            line("pin.set", "done", "operator"),
            line("pin.shown", "refused", &of_admin),
            line("connection.approved", "refused", &of_admin),
            line("token.revoked", "done", "operator"),
        ]
    );
    let log = daemon.log()?;
    let token = admin.bearer.strip_prefix("Bearer ").context("a token")?;
    let seal = cookie.split('.').nth(1).context("a seal")?;
    for secret in ["hunter", "7531", "8642", token, seal, daemon.token(), "#sign-in"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    Ok(())
}
