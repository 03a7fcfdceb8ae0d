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

/// A session of MCP at the door of a channel.
struct Mcp<'a> {
    daemon: &'a Daemon,
    door: String,
    bearer: String,
    id: String,
    calls: u32,
}

impl<'a> Mcp<'a> {
    async fn open(daemon: &'a Daemon, channel: &str, token: &str) -> Result<Self> {
        let mut session = Self {
            daemon,
            door: format!("/mcp/{channel}"),
            bearer: format!("Bearer {token}"),
            id: String::new(),
            calls: 0,
        };
        let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
        let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello });
        let (id, _) = session.ask(&hello).await?;
        session.id = id.context("a session")?;
        session.notify("notifications/initialized", &json!({})).await?;
        Ok(session)
    }

    async fn ask(&self, message: &Value) -> Result<(Option<String>, Value)> {
        let mut headers = vec![
            ("authorization", self.bearer.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        if !self.id.is_empty() {
            headers.push(("mcp-session-id", &self.id));
        }
        let answer = self
            .daemon
            .ask("POST", &self.door, &headers, message.to_string().as_bytes())
            .await?;
        let text = String::from_utf8(answer.body.clone())?;
        let data = text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .find(|data| data.starts_with('{'));
        let told = serde_json::from_str(data.unwrap_or(&text)).unwrap_or_default();
        Ok((answer.header("mcp-session-id").map(str::to_owned), told))
    }

    async fn notify(&self, method: &str, params: &Value) -> Result<()> {
        let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        self.ask(&message).await.map(drop)
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Result<Value> {
        self.calls += 1;
        let params = json!({ "name": tool, "arguments": arguments });
        let message = json!({ "jsonrpc": "2.0", "id": self.calls, "method": "tools/call", "params": params });
        Ok(self.ask(&message).await?.1["result"].clone())
    }

    /// Opens the stream for what is said unasked.
    async fn listen(&self) -> Result<Frames> {
        let request = reqwest::Client::new()
            .get(self.daemon.url().join(&self.door)?)
            .header("authorization", &self.bearer)
            .header("mcp-session-id", &self.id)
            .header("accept", "text/event-stream");
        let response = request.send().await?.error_for_status()?;
        Ok(Frames {
            body: response.bytes_stream().boxed(),
            text: String::new(),
        })
    }
}

/// The next notification of such a stream.
async fn told(stream: &mut Frames) -> Result<Value> {
    loop {
        let block = stream.block().await?.context("the stream has ended")?;
        let data = block.lines().find_map(|line| line.strip_prefix("data: "));
        if let Some(data) = data.filter(|data| data.starts_with('{')) {
            return Ok(serde_json::from_str(data)?);
        }
    }
}

async fn listening(daemon: &Daemon, sessions: u64) -> Result<()> {
    reveille_tests::eventually(&format!("{sessions} listen to ui1"), LIMIT, async || {
        let listed: Value = daemon.request(Method::GET, &["api", "bridges"], None).await?.ok()?;
        let all = listed["bridges"].as_array().into_iter().flatten();
        let found = all
            .filter(|one| one["name"] == "ui1")
            .any(|one| one["sessions"] == sessions);
        Ok(found.then_some(()))
    })
    .await
}

#[tokio::test]
async fn r_mcp_9_messages_are_pushed_to_the_sessions_of_the_channel_that_have_a_stream() -> Result<()> {
    let daemon = stand_in().start().await?;
    daemon.create_agent("eng", "You build.").await?;
    let path = ["api", "channels", "ui1", "send"];
    let (first, second) = (
        Mcp::open(&daemon, "ui1", daemon.token()).await?,
        Mcp::open(&daemon, "ui1", daemon.token()).await?,
    );
    // Registered, without a stream: nothing is attempted.
    let nobody: Value = post(&daemon, &path, &json!({ "text": "early" })).await?.ok()?;
    assert_eq!(nobody["told"], 0);
    let mut stream = first.listen().await?;
    listening(&daemon, 1).await?;
    let one: Value = post(&daemon, &path, &json!({ "text": "hello" })).await?.ok()?;
    assert_eq!(one["told"], 1);
    let heard = told(&mut stream).await?;
    assert_eq!(
        (
            &heard["jsonrpc"],
            &heard["method"],
            &heard["params"]["content"],
            &heard["params"]["meta"]["source"]
        ),
        (
            &json!("2.0"),
            &json!("notifications/claude/agent"),
            &json!("hello"),
            &json!("http-ui")
        )
    );
    // Both, and a listener of the bridge too; nobody of another channel.
    let (mut other, mut events) = (second.listen().await?, session(&daemon, "ui1").await?);
    listening(&daemon, 3).await?;
    let all: Value = post(&daemon, &path, &json!({ "text": "to all" })).await?.ok()?;
    assert_eq!(all["told"], 3);
    for stream in [&mut stream, &mut other] {
        assert_eq!(told(stream).await?["params"]["content"], "to all");
    }
    assert_eq!(events.next().await?.1["content"], "to all");
    let sent = daemon.send("eng", "for the agent").await?;
    daemon.wait_turn("eng", &sent).await?;
    let third: Value = post(&daemon, &path, &json!({ "text": "after that" })).await?.ok()?;
    assert_eq!(third["told"], 3);
    assert_eq!(told(&mut stream).await?["params"]["content"], "after that");

    // What the session asks for comes to the people there, if its token may write.
    until_up(&daemon, "ui1").await?;
    let mut page = page(&daemon, "ui1").await?;
    let request = json!({ "request_id": "abcde", "tool_name": "Bash", "description": "d", "input_preview": "ls" });
    let reads = Mcp::open(&daemon, "ui1", &token(&daemon, &["reveille:read"]).await?).await?;
    let asks = "notifications/claude/agent/permission_request";
    let mut refused = request.clone();
    refused["request_id"] = json!("fghij");
    reads.notify(asks, &refused).await?;
    first.notify(asks, &request).await?;
    assert_eq!(page.next().await?, ("permission".into(), request));

    // One that has gone is not told.
    drop((other, events));
    listening(&daemon, 1).await?;
    let last: Value = post(&daemon, &path, &json!({ "text": "the last" })).await?.ok()?;
    assert_eq!(last["told"], 1);
    Ok(())
}

#[tokio::test]
async fn r_mcp_9_a_decision_is_pushed_to_the_session_that_asked() -> Result<()> {
    let api = super::api::Api::start().await;
    let daemon = stand_in().start().await?;
    std::fs::write(
        daemon.state_dir().join("access.json"),
        r#"{"dmPolicy": "allowlist", "allowFrom": ["42"]}"#,
    )?;
    let config = json!({ "token": super::api::TOKEN, "apiBase": api.base });
    let bot = json!({ "name": "tg", "transport": "telegram", "config": config });
    post(&daemon, &["api", "channels"], &bot).await?.ok::<Value>()?;
    let session = Mcp::open(&daemon, "tg", daemon.token()).await?;
    let mut stream = session.listen().await?;
    let params = json!({ "request_id": "abcde", "tool_name": "Bash", "description": "d", "input_preview": "ls" });
    session
        .notify("notifications/claude/agent/permission_request", &params)
        .await?;
    reveille_tests::eventually("the question", LIMIT, async || {
        Ok((api.texts().len() == 1).then_some(()))
    })
    .await?;
    api.text(42, 5, "y abcde");
    let heard = told(&mut stream).await?;
    assert_eq!(
        (&heard["method"], &heard["params"]),
        (
            &json!("notifications/claude/agent/permission"),
            &json!({ "request_id": "abcde", "behavior": "allow" })
        )
    );
    // Without an agent its messages are for the session too, with where they came from.
    api.text(42, 6, "hello");
    let heard = told(&mut stream).await?;
    assert_eq!(
        (&heard["params"]["content"], &heard["params"]["meta"]["chat_id"]),
        (&json!("hello"), &json!("42"))
    );
    Ok(())
}

#[tokio::test]
async fn r_br_7_a_client_of_mcp_has_the_same_four_tools() -> Result<()> {
    let daemon = stand_in().start().await?;
    until_up(&daemon, "ui1").await?;
    let mut session = Mcp::open(&daemon, "ui1", daemon.token()).await?;
    let mut page = page(&daemon, "ui1").await?;
    let sent = session.call("reply", json!({ "text": "By MCP." })).await?;
    assert!(sent["isError"] != true, "{sent}");
    let (_, data) = page.next().await?;
    assert_eq!(data["text"], "By MCP.");
    let edited = session
        .call("edit_message", json!({ "message_id": data["id"], "text": "Changed." }))
        .await?;
    assert!(edited["isError"] != true, "{edited}");
    assert_eq!(page.next().await?.1["text"], "Changed.");
    for (tool, arguments) in [
        ("react", json!({ "message_id": "m", "emoji": "x" })),
        ("download_attachment", json!({ "file_id": "f" })),
    ] {
        let refused = session.call(tool, arguments).await?;
        assert!(
            refused["isError"] == true && refused.to_string().contains("http-ui"),
            "{refused}"
        );
    }
    Ok(())
}
