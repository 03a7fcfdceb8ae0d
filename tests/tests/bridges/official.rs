//! R-BR with the client that the authors of MCP wrote, over `reveille bridge` and over HTTP.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::eventually;
use serde_json::json;

use super::api::Api;
use super::mcp_client::Official;
use super::stdio::until_heard;
use super::*;

const MESSAGE: &str = "notifications/claude/agent";
const VERDICT: &str = "notifications/claude/agent/permission";
const TOOLS: [&str; 4] = ["reply", "react", "edit_message", "download_attachment"];

/// What Claude Code says of itself when it listens to channels.
fn listens() -> Value {
    json!({ "experimental": { "claude/agent": {}, "claude/agent/permission": {} } })
}

/// What a tool said, and whether it failed.
async fn call(client: &mut Official, name: &str, arguments: Value) -> Result<(String, bool)> {
    let told = client
        .ask("call", json!({ "name": name, "arguments": arguments }))
        .await?;
    let text = told["content"][0]["text"].as_str().with_context(|| told.to_string())?;
    Ok((text.to_owned(), told["isError"] == true))
}

/// A daemon with a channel to a bot that everybody may write to, and no agent.
async fn channel(api: &Api) -> Result<Daemon> {
    let config = format!(
        "[[transport]]\nname = \"tg\"\nkind = \"telegram\"\ntoken = \"${{BOT}}\"\napi_base = \"{}\"\n",
        api.base
    );
    let daemon = Daemon::builder()
        .stand_in()
        .env("BOT", super::api::TOKEN)
        .config(&config)
        .start()
        .await?;
    let access = r#"{"dmPolicy": "allowlist", "allowFrom": ["42"]}"#;
    std::fs::write(daemon.state_dir().join("access.json"), access)?;
    Ok(daemon)
}

#[tokio::test]
async fn r_br_2_3_4_the_official_client_speaks_with_a_chat() -> Result<()> {
    let api = Api::start().await;
    let mut daemon = channel(&api).await?;
    let command = daemon.cli(["bridge", "--channel", "tg"]).await?;
    let mut client = Official::stdio_with(&command, listens()).await?;
    assert_eq!(
        client.hello["server"],
        json!({ "name": "parachute-agent", "version": "0.1.0" })
    );
    let capabilities = json!({ "tools": {}, "experimental": { "claude/agent": {}, "claude/agent/permission": {} } });
    assert_eq!(client.hello["capabilities"], capabilities);
    assert!(
        client.hello["instructions"]
            .as_str()
            .is_some_and(|text| text.contains("reply"))
    );
    assert_eq!(client.tools().await?, TOOLS);

    until_heard(&daemon, "tg").await?;
    api.text(42, 5, "Are you there?");
    let heard = client.hear(|heard| heard["method"] == MESSAGE).await?;
    assert_eq!(heard["params"]["content"], "Are you there?");
    let meta = &heard["params"]["meta"];
    assert_eq!(
        (&meta["chat_id"], &meta["message_id"], &meta["source"]),
        (&json!("42"), &json!("5"), &json!("telegram"))
    );

    let both = call(
        &mut client,
        "reply",
        json!({ "text": "I am.\n".repeat(1000), "chat_id": "42", "reply_to": "5" }),
    )
    .await?;
    assert_eq!(both, ("sent 2 part(s) (ids: 1, 2)".to_owned(), false));
    let reacted = call(
        &mut client,
        "react",
        json!({ "message_id": "5", "emoji": "👀", "chat_id": "42" }),
    )
    .await?;
    assert_eq!(reacted, ("reacted".to_owned(), false));
    let edited = call(
        &mut client,
        "edit_message",
        json!({ "message_id": "1", "text": "I was.", "chat_id": "42" }),
    )
    .await?;
    assert_eq!(edited, ("edited".to_owned(), false));
    api.lock().files.insert("photos/pic.JPG".into(), b"picture".to_vec());
    let (path, failed) = call(&mut client, "download_attachment", json!({ "file_id": "pic" })).await?;
    assert!(!failed && std::fs::read(&path)? == b"picture", "{path}");
    for (tool, arguments, begin) in [
        ("reply", json!({ "text": "to whom?" }), "reply failed: "),
        ("react", json!({ "message_id": "5", "emoji": "x" }), "react failed: "),
        (
            "edit_message",
            json!({ "message_id": "5", "text": "x" }),
            "edit failed: ",
        ),
        ("fly", json!({}), "unknown tool"),
    ] {
        let (said, failed) = call(&mut client, tool, arguments).await?;
        assert!(failed && said.starts_with(begin), "{said}");
    }

    let asks = json!({ "request_id": "abcde", "tool_name": "Bash", "description": "d", "input_preview": "ls" });
    let method = "notifications/claude/agent/permission_request";
    client
        .ask("notify", json!({ "method": method, "params": asks }))
        .await?;
    eventually("the question is in the chat", LIMIT, async || {
        Ok(api.texts().iter().any(|text| text.contains("Bash")).then_some(()))
    })
    .await?;
    api.text(42, 6, "yes abcde");
    let heard = client.hear(|heard| heard["method"] == VERDICT).await?;
    assert_eq!(heard["params"], json!({ "request_id": "abcde", "behavior": "allow" }));

    // A daemon that died is found again, and what it was done with is not told again.
    eventually("the server knows what was taken", LIMIT, async || {
        Ok(api.lock().updates.is_empty().then_some(()))
    })
    .await?;
    daemon.kill9().await?;
    daemon.start().await?;
    until_heard(&daemon, "tg").await?;
    api.text(42, 7, "again");
    client.hear(|heard| heard["params"]["content"] == "again").await?;
    let told = client.heard.iter().filter(|heard| heard["method"] == MESSAGE);
    assert_eq!(told.count(), 2, "{:?}", client.heard);
    client.close().await
}

#[tokio::test]
async fn r_br_7_the_official_client_has_the_same_tools_over_http() -> Result<()> {
    let api = Api::start().await;
    let daemon = channel(&api).await?;
    let mut client = Official::http(&daemon, "/mcp/tg", daemon.token()).await?;
    assert_eq!(client.tools().await?, TOOLS);
    until_heard(&daemon, "tg").await?;
    api.text(42, 5, "Are you there?");
    let heard = client.hear(|heard| heard["method"] == MESSAGE).await?;
    assert_eq!(
        (&heard["params"]["content"], &heard["params"]["meta"]["chat_id"]),
        (&json!("Are you there?"), &json!("42"))
    );
    for (tool, arguments) in [
        ("reply", json!({ "text": "By MCP.", "chat_id": "42" })),
        ("react", json!({ "message_id": "5", "emoji": "👀", "chat_id": "42" })),
        (
            "edit_message",
            json!({ "message_id": "1", "text": "Changed.", "chat_id": "42" }),
        ),
    ] {
        let (said, failed) = call(&mut client, tool, arguments).await?;
        assert!(!failed, "{tool}: {said}");
    }
    assert_eq!(api.texts(), ["By MCP."]);
    assert_eq!(api.calls("editMessageText")[0]["text"], "Changed.");
    let (said, failed) = call(&mut client, "reply", json!({ "text": "to whom?" })).await?;
    assert!(failed && said.contains("chat_id"), "{said}");
    client.close().await?;
    // A file that is fetched is kept here, so that needs the right to write too, as at the other door.
    let reads = token(&daemon, &["reveille:read"]).await?;
    let mut reader = Official::http(&daemon, "/mcp/tg", &reads).await?;
    for tool in TOOLS {
        let arguments = json!({ "text": "x", "message_id": "5", "emoji": "x", "chat_id": "42", "file_id": "pic" });
        let refused = call(&mut reader, tool, arguments).await;
        assert!(
            refused.as_ref().map_or(true, |(_, failed)| *failed),
            "{tool}: {refused:?}"
        );
    }
    assert_eq!(api.texts(), ["By MCP."]);
    reader.close().await
}

/// Two sessions of one channel, one of another, and one without a stream.
#[tokio::test]
async fn r_mcp_9_who_has_a_standing_stream_is_told_what_comes_on_its_channel() -> Result<()> {
    let api = Api::start().await;
    let config = format!(
        "[[transport]]\nname = \"tg\"\nkind = \"telegram\"\ntoken = \"${{BOT}}\"\napi_base = \"{}\"\n\
         [[transport]]\nname = \"ui1\"\nkind = \"http-ui\"\n",
        api.base
    );
    let builder = Daemon::builder()
        .stand_in()
        .env("BOT", super::api::TOKEN)
        .config(&config);
    let daemon = builder.start().await?;
    let access = r#"{"dmPolicy": "allowlist", "allowFrom": ["42"]}"#;
    std::fs::write(daemon.state_dir().join("access.json"), access)?;
    // A session that never opens its stream is not counted.
    let bearer = format!("Bearer {}", daemon.token());
    let hello =
        json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello });
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ];
    let quiet = daemon
        .ask("POST", "/mcp/ui1", &headers, hello.to_string().as_bytes())
        .await?;
    assert!(quiet.header("mcp-session-id").is_some());
    let send = ["api", "channels", "ui1", "send"];
    let nobody: Value = post(&daemon, &send, &json!({ "text": "x" })).await?.ok()?;
    assert_eq!(nobody["told"], 0);

    let mut first = Official::http(&daemon, "/mcp/ui1", daemon.token()).await?;
    until_heard(&daemon, "ui1").await?;
    let mut second = Official::http(&daemon, "/mcp/ui1", daemon.token()).await?;
    let mut other = Official::http(&daemon, "/mcp/tg", daemon.token()).await?;
    until_heard(&daemon, "tg").await?;
    let told = eventually("both streams are open", LIMIT, async || {
        let told: Value = post(&daemon, &send, &json!({ "text": "are both there" })).await?.ok()?;
        Ok((told["told"] == 2).then_some(told))
    });
    told.await?;
    post(&daemon, &send, &json!({ "text": "for ui1\n" }))
        .await?
        .ok::<Value>()?;
    for client in [&mut first, &mut second] {
        let heard = client.hear(|heard| heard["params"]["content"] == "for ui1\n").await?;
        assert_eq!(
            (&heard["method"], &heard["params"]["meta"]["source"]),
            (&json!(MESSAGE), &json!("http-ui"))
        );
    }
    let asks = json!({ "channel": "tg", "request_id": "abcde", "tool_name": "Bash", "description": "d", "input_preview": "ls" });
    post(&daemon, &["api", "permission"], &asks).await?.ok::<Value>()?;
    api.text(42, 6, "n abcde");
    let heard = other.hear(|heard| heard["method"] == VERDICT).await?;
    assert_eq!(heard["params"], json!({ "request_id": "abcde", "behavior": "deny" }));
    // Calls are answered as before, and nothing of one channel came to the other.
    assert_eq!(other.tools().await?, TOOLS);
    assert!(
        other.heard.iter().all(|heard| heard["method"] == VERDICT),
        "{:?}",
        other.heard
    );
    assert!(
        first.heard.iter().all(|heard| heard["method"] == MESSAGE),
        "{:?}",
        first.heard
    );
    other.close().await?;
    eventually("nobody listens any more", LIMIT, async || {
        let listed: Value = daemon.request(Method::GET, &["api", "bridges"], None).await?.ok()?;
        let mut all = listed["bridges"].as_array().into_iter().flatten();
        Ok(all.any(|one| one["name"] == "tg" && one["sessions"] == 0).then_some(()))
    })
    .await?;
    first.close().await?;
    second.close().await
}
