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
    let (_, seal) = cookie.split_once('=').context("a session")?;
    for secret in ["hunter", "7531", "8642", token, seal, daemon.token(), "#sign-in"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    Ok(())
}

/// What the audit says of tools: action, tool, outcome, subject, path.
fn tools(daemon: &Daemon) -> Result<Vec<[String; 5]>> {
    let mut found = Vec::new();
    for line in daemon.log()?.lines().filter(|line| line.contains("\"tool\"")) {
        let line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        assert_eq!(
            (&line["target"], &line["peer"]),
            (&json!("audit"), &json!("127.0.0.1")),
            "{line}"
        );
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        found.push(["action", "tool", "outcome", "subject", "path"].map(text));
    }
    Ok(found)
}

/// Calls tools of the whole daemon.
async fn call_all(daemon: &Daemon, bearer: &str, calls: &[(&str, Value)]) -> Result<()> {
    let (accept, kind) = (
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
    );
    let who = ("authorization", bearer);
    let client = json!({ "name": "t", "version": "1" });
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": { "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client } });
    let answer = daemon
        .ask("POST", "/mcp", &[who, accept, kind], hello.to_string().as_bytes())
        .await?;
    let session = answer.header("mcp-session-id").context("a session")?.to_owned();
    for (tool, arguments) in calls {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": tool, "arguments": arguments } });
        let headers = [who, accept, kind, ("mcp-session-id", session.as_str())];
        let answer = daemon
            .ask("POST", "/mcp", &headers, call.to_string().as_bytes())
            .await?;
        assert_eq!(answer.status, 200, "{tool}");
    }
    Ok(())
}

#[tokio::test]
async fn tools_that_change_something_are_written_down_as_routes_are() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_LOG__FORMAT", "json")
        .env("REVEILLE_LOG__LEVEL", "warn")
        .start()
        .await?;
    daemon.create_agent("eng", "You build.").await?;
    let holder = Holder::with(&daemon, &["reveille:write", "vault:default:write"]).await?;
    let token = holder.bearer.strip_prefix("Bearer ").context("a token")?;
    let nobody = "00000000-0000-0000-0000-000000000000";
    let calls = [
        ("list_agents", json!({})),
        (
            "send",
            json!({ "agent": "eng", "text": "hunter1 [[env REVEILLE_TOKEN]]" }),
        ),
        ("stop", json!({ "turn": nobody })),
        ("create-note", json!({ "path": "hunter2", "content": "hunter3" })),
        ("query-notes", json!({})),
        ("no-such-tool", json!({})),
    ];
    call_all(&daemon, &holder.bearer, &calls).await?;
    // The door of a vault.
    for (tool, arguments) in [
        ("query-notes", json!({})),
        ("vault-info", json!({})),
        ("delete-note", json!({ "id": "hunter2" })),
        ("delete-tag", json!({ "tag": "hunter4" })),
        ("vault-info", json!({ "description": "hunter5" })),
    ] {
        daemon.tool(token, tool, &arguments).await?;
    }
    let subject = format!("token:{}", holder.id);
    let line = |action: &str, tool: &str, outcome: &str, path: &str| {
        [action, tool, outcome, &subject, path].map(str::to_owned)
    };
    let vault = "/vault/default/mcp";
    assert_eq!(
        tools(&daemon)?,
        [
            line("tool.called", "send", "done", "/mcp"),
            line("turn.stopped", "stop", "refused", "/mcp"),
            line("tool.called", "create-note", "done", "/mcp"),
            line("tool.called", "delete-note", "done", vault),
            line("tool.called", "delete-tag", "refused", vault),
            line("tool.called", "vault-info", "done", vault),
        ]
    );
    let log = daemon.log()?;
    for secret in ["hunter", token] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    Ok(())
}
