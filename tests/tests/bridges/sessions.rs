//! R-BR-6, R-HTTP-94 and R-HTTP-101: sessions listen to the channels that no agent takes.

use anyhow::Result;
use pretty_assertions::assert_eq;
use serde_json::json;

use super::*;

#[tokio::test]
async fn r_http_94_without_an_agent_the_sessions_of_the_channel_get_the_message() -> Result<()> {
    let daemon = stand_in().start().await?;
    daemon.create_agent("eng", "You build.").await?;
    let path = ["api", "channels", "ui1", "send"];
    let nobody: Value = post(&daemon, &path, &json!({ "text": "hello" })).await?.ok()?;
    assert_eq!((&nobody["ok"], &nobody["told"]), (&json!(true), &json!(0)));

    let (mut own, mut other) = (session(&daemon, "ui1").await?, session(&daemon, "eng").await?);
    let told: Value = post(&daemon, &path, &json!({ "text": "hello" })).await?.ok()?;
    assert_eq!(told["told"], 1);
    let (event, data) = own.next().await?;
    assert_eq!(
        (event.as_str(), &data["content"], &data["source"]),
        ("message", &json!("hello"), &json!("http-ui"))
    );
    assert_eq!(data["meta"]["source"], "http-ui");
    assert!(data["meta"]["ts"].is_string(), "{data}");

    // An agent takes its messages itself.
    let sent = daemon.send("eng", "for the agent").await?;
    daemon.wait_turn("eng", &sent).await?;
    drop(daemon);
    assert_eq!(other.next_or_end().await.unwrap_or(None), None);
    Ok(())
}

#[tokio::test]
async fn r_br_6_a_session_listens_with_the_right_to_read() -> Result<()> {
    let daemon = stand_in().start().await?;
    assert_eq!(open(&daemon, "/events?channel=ui1", None).await?.err(), Some(401));
    let sends = token(&daemon, &["reveille:send"]).await?;
    assert_eq!(
        open(&daemon, "/events?channel=ui1", Some(&sends)).await?.err(),
        Some(403)
    );
    let reads = token(&daemon, &["reveille:read"]).await?;
    assert!(open(&daemon, "/events?channel=ui1", Some(&reads)).await?.is_ok());
    // Older clients name none.
    assert!(open(&daemon, "/events", Some(&reads)).await?.is_ok());
    assert!(
        daemon.log()?.contains("names no channel"),
        "the log says that it is deprecated"
    );
    Ok(())
}

#[tokio::test]
async fn r_br_7_a_client_of_mcp_has_the_same_four_tools() -> Result<()> {
    let daemon = stand_in().start().await?;
    let bearer = format!("Bearer {}", daemon.token());
    let ask = async |session: Option<&str>, message: Value| -> Result<(Option<String>, Value)> {
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        headers.extend(session.map(|session| ("mcp-session-id", session)));
        let answer = daemon
            .ask("POST", "/mcp/ui1", &headers, message.to_string().as_bytes())
            .await?;
        let text = String::from_utf8(answer.body.clone())?;
        let data = text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .find(|data| data.starts_with('{'));
        let told = serde_json::from_str(data.unwrap_or(&text)).unwrap_or_default();
        Ok((answer.header("mcp-session-id").map(str::to_owned), told))
    };
    let hello =
        json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let (session, _) = ask(
        None,
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello }),
    )
    .await?;
    let session = session.context("a session")?;
    ask(
        Some(&session),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
    )
    .await?;
    let mut page = page(&daemon, "ui1").await?;
    let mut id = 1;
    let mut call = async |tool: &str, arguments: Value| -> Result<Value> {
        id += 1;
        let params = json!({ "name": tool, "arguments": arguments });
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
        Ok(ask(Some(&session), message).await?.1["result"].clone())
    };
    let sent = call("reply", json!({ "text": "By MCP." })).await?;
    assert!(sent["isError"] != true, "{sent}");
    let (_, data) = page.next().await?;
    assert_eq!(data["text"], "By MCP.");
    let edited = call("edit_message", json!({ "message_id": data["id"], "text": "Changed." })).await?;
    assert!(edited["isError"] != true, "{edited}");
    assert_eq!(page.next().await?.1["text"], "Changed.");
    for (tool, arguments) in [
        ("react", json!({ "message_id": "m", "emoji": "x" })),
        ("download_attachment", json!({ "file_id": "f" })),
    ] {
        let refused = call(tool, arguments).await?;
        assert!(
            refused["isError"] == true && refused.to_string().contains("http-ui"),
            "{refused}"
        );
    }
    Ok(())
}
