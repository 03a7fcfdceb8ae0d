//! Message by message: what MCP says about HTTP, and what no well-behaved client sends.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::{ACCEPT, Answer, MCP};
use serde_json::{Value, json};

async fn start() -> Result<Daemon> {
    Daemon::builder().stand_in().start().await
}

fn call(method: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": "a", "method": method, "params": {} })
}

/// Status and code of a refusal, and the message that it belongs to.
fn refusal(answer: &Answer) -> Result<(u16, Value, Value)> {
    let body = answer.json()?;
    anyhow::ensure!(
        body["jsonrpc"] == "2.0" && body["error"]["message"].as_str().is_some_and(|text| !text.is_empty()),
        "{body}"
    );
    Ok((answer.status, body["error"]["code"].clone(), body["id"].clone()))
}

#[tokio::test]
async fn every_message_stands_alone() -> Result<()> {
    let daemon = start().await?;
    let answer = daemon.mcp(daemon.token(), &call("tools/list")).await?;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json"))
    );
    assert_eq!(answer.header("mcp-session-id"), None);
    assert!(
        answer.json()?["result"]["tools"]
            .as_array()
            .is_some_and(|tools| tools.len() >= 7)
    );
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let params =
            json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
        let told = daemon.mcp_call(daemon.token(), "initialize", &params).await?;
        assert_eq!(told["result"]["protocolVersion"], version);
        assert_eq!(told["result"]["serverInfo"]["name"], "reveille-vault/default");
    }
    let ping = daemon.mcp_call(daemon.token(), "ping", &json!({})).await?;
    assert_eq!(ping["result"], json!({}));
    for notification in ["notifications/initialized", "notifications/no-such"] {
        let message = json!({ "jsonrpc": "2.0", "method": notification });
        let answer = daemon.mcp(daemon.token(), &message).await?;
        assert_eq!((answer.status, answer.body.len()), (202, 0), "{notification}");
    }
    let told = daemon.ask_in("DELETE", MCP, b"").await?;
    assert_eq!((told.status, told.body.len()), (200, 0));
    for method in ["GET", "PUT", "PATCH"] {
        let told = daemon.ask_in(method, MCP, b"").await?;
        assert_eq!(
            (told.status, told.header("allow")),
            (405, Some("POST, DELETE")),
            "{method}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_message_is_refused_as_one_may_expect() -> Result<()> {
    let daemon = start().await?;
    let (name, bearer) = daemon.bearer();
    let post = async |accept: &[&str], body: &[u8]| {
        let mut headers = vec![(name, bearer.as_str())];
        headers.extend(accept.iter().map(|types| ("accept", *types)));
        daemon.ask("POST", MCP, &headers, body).await
    };
    let list = call("tools/list").to_string();
    for accept in [
        &[][..],
        &["application/json"],
        &["text/event-stream"],
        &["*/*"],
        &["text/html"],
    ] {
        let answer = post(accept, list.as_bytes()).await?;
        assert_eq!(refusal(&answer)?, (406, json!(-32000), json!("a")), "{accept:?}");
    }
    // Whatever the order, in one header or two, and whatever the content type says.
    for accept in [
        &["text/event-stream;q=0.5, application/json"][..],
        &["application/json", "text/event-stream"],
    ] {
        assert_eq!(post(accept, list.as_bytes()).await?.status, 200, "{accept:?}");
    }
    let deep = "[".repeat(100_000);
    for (body, status, code, id) in [
        ("{", 400, -32700, Value::Null),
        ("", 400, -32700, Value::Null),
        (&deep, 400, -32700, Value::Null),
        ("\u{0}", 400, -32700, Value::Null),
        ("7", 400, -32600, Value::Null),
        ("null", 400, -32600, Value::Null),
        ("[]", 400, -32600, Value::Null),
        (&format!("[{list}]"), 400, -32600, Value::Null),
        ("{}", 400, -32600, Value::Null),
        (
            r#"{"jsonrpc":"1.0","id":3,"method":"tools/list"}"#,
            400,
            -32600,
            json!(3),
        ),
        (
            r#"{"jsonrpc":"2.0","id":{},"method":"tools/list"}"#,
            400,
            -32600,
            Value::Null,
        ),
        (r#"{"jsonrpc":"2.0","id":3}"#, 400, -32600, json!(3)),
        (r#"{"jsonrpc":"2.0","id":3,"result":{}}"#, 400, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":3,"method":"no/such"}"#, 200, -32601, json!(3)),
        (
            r#"{"jsonrpc":"2.0","id":3,"method":"tools/call"}"#,
            200,
            -32602,
            json!(3),
        ),
        (
            r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":7}}"#,
            200,
            -32602,
            json!(3),
        ),
        (
            r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"x","arguments":[]}}"#,
            200,
            -32602,
            json!(3),
        ),
        (
            r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"no-such"}}"#,
            200,
            -32602,
            json!(3),
        ),
    ] {
        let answer = post(&[ACCEPT.1], body.as_bytes()).await?;
        let shown = &body[..body.len().min(100)];
        assert_eq!(refusal(&answer)?, (status, json!(code), id), "{shown}");
    }
    // It still works.
    assert_eq!(daemon.mcp(daemon.token(), &call("tools/list")).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn nobody_gets_in_without_a_right() -> Result<()> {
    let daemon = start().await?;
    let list = call("tools/list").to_string();
    for (token, status) in [("", 401), ("wrong", 401), ("turn.x.y", 401)] {
        let bearer = format!("Bearer {token}");
        let answer = daemon
            .ask("POST", MCP, &[("authorization", &bearer), ACCEPT], list.as_bytes())
            .await?;
        assert_eq!(answer.status, status, "{token:?}");
    }
    let (name, bearer) = daemon.bearer();
    let answer = daemon
        .ask("POST", "/vault/other/mcp", &[(name, &bearer), ACCEPT], list.as_bytes())
        .await?;
    assert_eq!(
        (answer.status, &answer.json()?["error"]),
        (404, &json!("Vault not found"))
    );
    let foreign = [(name, bearer.as_str()), ACCEPT, ("host", "evil.example")];
    assert_eq!(daemon.ask("POST", MCP, &foreign, list.as_bytes()).await?.status, 421);
    Ok(())
}
