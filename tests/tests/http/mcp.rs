//! `/mcp` and `/mcp/{channel}`, message by message: sessions that are somebody's, and what nobody should send.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::LIMIT;
use serde_json::{Value, json};

use super::{text, token_of_vault, with_eng, works};

/// An answer of the door.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

impl Told {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The JSON-RPC messages: that of the body, or those of its events.
    pub(crate) fn messages(&self) -> Result<Vec<Value>> {
        let lines = self.body.lines().filter_map(|line| line.strip_prefix("data:"));
        let told: Vec<&str> = if self.header("content-type").starts_with("text/event-stream") {
            lines.map(str::trim).filter(|data| !data.is_empty()).collect()
        } else {
            vec![self.body.as_str()]
        };
        told.into_iter()
            .map(|data| serde_json::from_str(data).with_context(|| data.to_owned()))
            .collect()
    }

    /// The only message.
    pub(crate) fn message(&self) -> Result<Value> {
        let mut messages = self.messages()?;
        ensure!(messages.len() == 1, "{} {}", self.status, self.body);
        messages.pop().context("one")
    }

    /// Status and JSON-RPC code of an error.
    fn code(&self) -> Result<(u16, i64)> {
        let message = self.message()?;
        let said = message["error"]["message"].as_str().unwrap_or_default();
        ensure!(said.len() > 10, "{message} says nothing");
        Ok((self.status, message["error"]["code"].as_i64().context("a code")?))
    }
}

/// Who asks, where.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: url::Url,
    token: Option<String>,
}

impl Client {
    pub(crate) fn new(daemon: &Daemon, path: &str, token: Option<&str>) -> Result<Self> {
        Ok(Self {
            // The daemon closes what was idle for 15 s: a request that is sent in that moment would fail.
            http: reqwest::Client::builder()
                .no_proxy()
                .pool_idle_timeout(Duration::from_secs(10))
                .build()?,
            url: daemon.url().join(path)?,
            token: token.map(str::to_owned),
        })
    }

    pub(crate) async fn send(&self, method: &str, headers: &[(&str, &str)], body: &str) -> Result<Told> {
        let mut request = self.http.request(method.parse()?, self.url.clone());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let said = |name: &str| headers.iter().any(|(key, _)| *key == name);
        if !said("accept") {
            request = request.header("accept", "application/json, text/event-stream");
        }
        if !said("content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let answer = request.body(body.to_owned()).timeout(LIMIT).send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok(Told {
            status,
            headers,
            body: answer.text().await?,
        })
    }

    /// Begins a session.
    pub(crate) async fn open(&self) -> Result<Session> {
        let told = self.send("POST", &[], &initialize().to_string()).await?;
        ensure!(told.status == 200, "{} {}", told.status, told.body);
        let id = told.header("mcp-session-id").to_owned();
        ensure!(
            uuid::Uuid::parse_str(&id).is_ok_and(|id| id.get_version_num() == 4),
            "{id:?}"
        );
        let session = Session {
            client: self.clone(),
            id,
            info: told.message()?["result"].clone(),
        };
        let begun = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let told = session.say(&begun).await?;
        ensure!((told.status, told.body.as_str()) == (202, ""), "{told:?}");
        Ok(session)
    }
}

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    pub(crate) id: String,
    /// What the server said of itself.
    info: Value,
}

impl Session {
    async fn send(&self, method: &str, headers: &[(&str, &str)], body: &str) -> Result<Told> {
        let own = [("mcp-session-id", self.id.as_str())];
        self.client.send(method, &[&own, headers].concat(), body).await
    }

    pub(crate) async fn say(&self, message: &Value) -> Result<Told> {
        self.send("POST", &[], &message.to_string()).await
    }

    pub(crate) async fn ping(&self) -> Result<u16> {
        Ok(self.say(&ping()).await?.status)
    }

    /// Calls a tool: whether it could not, and what it says.
    pub(crate) async fn tool(&self, name: &str, arguments: &Value) -> Result<(bool, String)> {
        let params = json!({ "name": name, "arguments": arguments });
        let told = self
            .say(&json!({ "jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params }))
            .await?;
        let result = told.message()?["result"].clone();
        let said = result["content"][0]["text"]
            .as_str()
            .with_context(|| told.body.clone())?;
        Ok((result["isError"] == true, said.to_owned()))
    }
}

pub(crate) fn initialize() -> Value {
    let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params })
}

fn ping() -> Value {
    json!({ "jsonrpc": "2.0", "id": 2, "method": "ping" })
}

#[tokio::test]
async fn r_mcp_1_1_4_who_shows_nothing_is_told_where_to_go_and_not_what_there_is() -> Result<()> {
    let daemon = with_eng().await?;
    for (path, document) in [
        ("/mcp", "/mcp"),
        ("/mcp/eng", "/mcp/eng"),
        ("/mcp/nobody", "/mcp/nobody"),
    ] {
        for token in [None, Some("guess"), Some("pvt_00000000000000000000000000000000")] {
            for (method, body) in [
                ("POST", initialize().to_string()),
                ("POST", "{".into()),
                ("GET", String::new()),
                ("DELETE", String::new()),
            ] {
                let told = Client::new(&daemon, path, token)?.send(method, &[], &body).await?;
                let said: Value = serde_json::from_str(&told.body)?;
                assert_eq!(
                    (told.status, text(&said, "error")),
                    (401, "unauthorized"),
                    "{method} {path}"
                );
                ensure!(!told.body.contains("eng"), "{}", told.body);
                let challenge = told.header("www-authenticate");
                let address = challenge
                    .strip_prefix("Bearer resource_metadata=\"")
                    .and_then(|rest| rest.split('"').next());
                let address = address.with_context(|| challenge.to_owned())?;
                let shown = reqwest::Client::builder()
                    .no_proxy()
                    .build()?
                    .get(address)
                    .send()
                    .await?;
                assert_eq!(shown.status().as_u16(), 200, "{address}");
                let about: Value = shown.json().await?;
                ensure!(text(&about, "resource").ends_with(document), "{about}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn r_mcp_1_3_other_doors_send_nobody_to_a_hub() -> Result<()> {
    let daemon = with_eng().await?;
    let reader = token_of_vault(&daemon, "read").await?;
    for target in [
        "/api/agents",
        "/api/channels/eng/turn-events",
        "/vault/default/api/notes",
        "/vault/default/mcp",
        "/mcpx",
        "/nothing",
    ] {
        let answer = daemon.ask("GET", target, &[], b"").await?;
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        ensure!(!challenge.contains("resource_metadata"), "{target}: {challenge}");
    }
    // Who may not is not told to sign in again.
    let told = Client::new(&daemon, "/mcp/eng", Some(&reader))?
        .send("POST", &[], &initialize().to_string())
        .await?;
    assert_eq!((told.status, told.header("www-authenticate")), (403, ""));
    ensure!(!told.body.contains("eng"), "{}", told.body);
    Ok(())
}

/// The sessions of the whole daemon, and those of the channel `eng`.
async fn counted(daemon: &Daemon) -> Result<Value> {
    let health = daemon.ask_in("GET", "/health", b"").await?.json()?;
    let channels = health["channels"].as_array().context("channels")?;
    let eng = channels.iter().find(|channel| channel["name"] == "eng");
    Ok(json!([health["mcp_sessions"], eng.context("eng")?["mcp_sessions"]]))
}

#[tokio::test]
async fn r_mcp_3_1_a_session_is_of_one_holder_and_one_place() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("ops", "You run things.").await?;
    let other = token_of_vault(&daemon, "admin").await?;
    let session = Client::new(&daemon, "/mcp", Some(daemon.token()))?.open().await?;
    let of_channel = Client::new(&daemon, "/mcp/eng", Some(daemon.token()))?.open().await?;
    for (path, token, id) in [
        ("/mcp", other.as_str(), &session.id),
        ("/mcp/eng", daemon.token(), &session.id),
        ("/mcp/ops", daemon.token(), &of_channel.id),
        ("/mcp", daemon.token(), &of_channel.id),
        (
            "/mcp",
            daemon.token(),
            &"00000000-0000-4000-8000-000000000000".to_owned(),
        ),
        ("/mcp", daemon.token(), &"*".to_owned()),
        ("/mcp", daemon.token(), &"x".repeat(5000)),
        ("/mcp", daemon.token(), &format!("{}, {0}", session.id)),
        ("/mcp", daemon.token(), &session.id.to_uppercase()),
    ] {
        let client = Client::new(&daemon, path, Some(token))?;
        let headers = [("mcp-session-id", id.as_str())];
        for (method, body) in [("POST", ping().to_string()), ("GET", String::new())] {
            let told = client.send(method, &headers, &body).await?;
            assert_eq!(told.code()?, (404, -32001), "{method} {path} {id:.40}");
        }
        // A beginning is one, whatever it says it goes on with.
        let begun = client.send("POST", &headers, &initialize().to_string()).await?;
        ensure!(
            begun.status == 404 || begun.header("mcp-session-id") != id,
            "{}",
            begun.body
        );
        if let Ok(new) = begun.header("mcp-session-id").parse::<uuid::Uuid>() {
            let new = new.to_string();
            client.send("DELETE", &[("mcp-session-id", &new)], "").await?;
        }
        // It is nobody else's to end either.
        client.send("DELETE", &headers, "").await?;
    }
    assert_eq!((session.ping().await?, of_channel.ping().await?), (200, 200));
    assert_eq!(counted(&daemon).await?, json!([1, 1]));
    // Who ends it has ended it.
    assert_eq!(session.send("DELETE", &[], "").await?.status, 200);
    assert_eq!((session.ping().await?, of_channel.ping().await?), (404, 200));
    assert_eq!(counted(&daemon).await?, json!([0, 1]));
    works(&daemon).await
}

#[tokio::test]
async fn r_mcp_3_2_a_session_ends_with_its_token_and_with_the_daemon() -> Result<()> {
    let mut daemon = with_eng().await?;
    let asked = json!({ "scopes": ["vault:read"] }).to_string();
    let made = daemon
        .ask_in("POST", "/vault/default/tokens", asked.as_bytes())
        .await?
        .json()?;
    let session = Client::new(&daemon, "/mcp", Some(text(&made, "token")))?.open().await?;
    assert_eq!(session.ping().await?, 200);
    let revoked = daemon
        .ask_in("DELETE", &format!("/vault/default/tokens/{}", text(&made, "id")), b"")
        .await?;
    assert_eq!(revoked.status, 200);
    assert_eq!(session.ping().await?, 401);
    let mine = Client::new(&daemon, "/mcp", Some(daemon.token()))?.open().await?;
    daemon.restart().await?;
    // The client is told to begin anew, not that it did something wrong.
    let client = Client::new(&daemon, "/mcp", Some(daemon.token()))?;
    for (method, body) in [("POST", ping().to_string()), ("GET", String::new())] {
        let told = client.send(method, &[("mcp-session-id", &mine.id)], &body).await?;
        assert_eq!(told.code()?, (404, -32001));
    }
    assert_eq!(client.open().await?.ping().await?, 200);
    Ok(())
}

#[tokio::test]
async fn r_mcp_4_the_rules_of_the_road_are_kept() -> Result<()> {
    let daemon = with_eng().await?;
    let client = Client::new(&daemon, "/mcp", Some(daemon.token()))?;
    let session = client.open().await?;
    let hello = initialize().to_string();
    for (headers, body, expected) in [
        (&[("accept", "application/json")][..], hello.as_str(), (406, -32000)),
        (&[("accept", "text/event-stream")], &hello, (406, -32000)),
        (&[("content-type", "text/plain")], &hello, (415, -32000)),
        (
            &[("content-type", "application/x-www-form-urlencoded")],
            &hello,
            (415, -32000),
        ),
        (&[], "{", (400, -32700)),
        (&[], "\u{feff}{}", (400, -32700)),
        (&[], "[]", (400, -32600)),
        (&[], "7", (400, -32600)),
        (&[], "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", (400, -32000)),
        (&[("mcp-session-id", &session.id)], &hello, (400, -32600)),
        (
            &[("mcp-session-id", &session.id), ("mcp-protocol-version", "1999-01-01")],
            &ping().to_string(),
            (400, -32000),
        ),
        (&[("mcp-session-id", &session.id)], "[1]", (400, -32600)),
    ] {
        assert_eq!(
            client.send("POST", headers, body).await?.code()?,
            expected,
            "{headers:?} {body}"
        );
    }
    // It is alone with itself.
    let two = json!([initialize(), ping()]).to_string();
    let told = client.send("POST", &[], &two).await?;
    assert_eq!((told.status, told.header("mcp-session-id")), (400, ""), "{}", told.body);
    assert_eq!(
        session
            .send("GET", &[("accept", "application/json")], "")
            .await?
            .code()?,
        (406, -32000)
    );
    for method in ["PUT", "PATCH"] {
        let told = client.send(method, &[], "{}").await?;
        assert_eq!(told.status, 405, "{method}");
        ensure!(told.header("allow").contains("POST"), "{}", told.header("allow"));
    }
    for version in [
        "2025-11-25",
        "2025-06-18",
        "2025-03-26",
        "2024-11-05",
        "2024-10-07",
        "2099-01-01",
        "",
    ] {
        let mut hello = initialize();
        hello["params"]["protocolVersion"] = json!(version);
        let told = client.send("POST", &[], &hello.to_string()).await?.message()?;
        let expected = if version.starts_with("2099") || version.is_empty() {
            "2025-11-25"
        } else {
            version
        };
        assert_eq!(told["result"]["protocolVersion"], expected);
    }
    assert_eq!(session.ping().await?, 200);
    works(&daemon).await
}

#[tokio::test]
async fn r_mcp_4_messages_are_answered_each_and_news_by_nothing() -> Result<()> {
    let daemon = with_eng().await?;
    let session = Client::new(&daemon, "/mcp", Some(daemon.token()))?.open().await?;
    let batch = json!([ping(), { "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 99 } },
        { "jsonrpc": "2.0", "id": "a\nb", "method": "tools/list" }, { "jsonrpc": "2.0", "id": 9_007_199_254_740_993_u64, "method": "ping" }]);
    let told = session.say(&batch).await?;
    let mut ids: Vec<String> = told.messages()?.iter().map(|one| one["id"].to_string()).collect();
    ids.sort();
    assert_eq!(ids, ["\"a\\nb\"", "2", "9007199254740993"]);
    for news in [
        json!({ "jsonrpc": "2.0", "method": "nothing" }),
        json!({ "jsonrpc": "2.0", "id": 77, "result": {} }),
        json!({ "jsonrpc": "2.0", "id": 77, "error": { "code": 1, "message": "x" } }),
        json!([{ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": {} } }]),
    ] {
        let told = session.say(&news).await?;
        assert_eq!((told.status, told.body.as_str()), (202, ""), "{news}");
    }
    Ok(())
}

#[tokio::test]
async fn r_mcp_4_what_is_no_message_harms_no_session() -> Result<()> {
    let daemon = with_eng().await?;
    let session = Client::new(&daemon, "/mcp", Some(daemon.token()))?.open().await?;
    let long = "x".repeat(100_000);
    let deep = "[".repeat(100_000);
    for body in [
        json!({ "jsonrpc": "2.0", "id": null, "method": "ping" }).to_string(),
        json!({ "jsonrpc": "2.0", "id": {}, "method": "ping" }).to_string(),
        json!({ "jsonrpc": "1.0", "id": 1, "method": "ping" }).to_string(),
        json!({ "id": 1, "method": "ping" }).to_string(),
        json!({ "jsonrpc": "2.0", "id": 1, "method": 7 }).to_string(),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": 7 }).to_string(),
        json!(vec![ping(); 20_000]).to_string(),
        format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{deep}"),
    ] {
        let told = session.send("POST", &[], &body).await?;
        ensure!(
            (400..500).contains(&told.status) && told.body.len() < 1000,
            "{body:.60}: {}",
            told.status
        );
    }
    for (params, expected) in [
        (json!(null), "error"),
        (json!({}), "error"),
        (json!({ "name": ["x"] }), "error"),
        (json!({ "name": "list_agents", "arguments": [] }), "error"),
        (json!({ "name": "nothing", "arguments": {} }), "result"),
        (json!({ "name": "send", "arguments": {} }), "result"),
        (
            json!({ "name": "send", "arguments": { "agent": 7, "text": [] } }),
            "result",
        ),
        (
            json!({ "name": "send", "arguments": { "agent": long, "text": "x" } }),
            "result",
        ),
        (
            json!({ "name": "turn_status", "arguments": { "turn": long } }),
            "result",
        ),
        (
            json!({ "name": "stop", "arguments": { "turn": "../../etc" } }),
            "result",
        ),
        (
            json!({ "name": "query-notes", "arguments": { "vault": "../default", "limit": -1 } }),
            "result",
        ),
        (
            json!({ "name": "delegate", "arguments": { "agent": "eng", "text": "x", "wait": "for ever" } }),
            "result",
        ),
    ] {
        let told = session
            .say(&json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params }))
            .await?;
        let message = told.message()?;
        ensure!(
            message[expected].is_object(),
            "{:.80}: {:.300}",
            params.to_string(),
            told.body
        );
        ensure!(
            expected == "error" || message["result"]["isError"] == true,
            "{:.80}: {:.300}",
            params.to_string(),
            told.body
        );
        ensure!(
            told.body.len() < 4000,
            "{:.60} is repeated at length: {}",
            params.to_string(),
            told.body.len()
        );
    }
    assert_eq!(session.ping().await?, 200);
    works(&daemon).await
}

#[tokio::test]
async fn r_mcp_5_a_server_says_what_it_is() -> Result<()> {
    let daemon = with_eng().await?;
    let of_channel = Client::new(&daemon, "/mcp/eng", Some(daemon.token()))?.open().await?;
    assert_eq!(text(&of_channel.info["serverInfo"], "name"), "agent-eng");
    let able = &of_channel.info["capabilities"];
    assert_eq!(
        json!([able["tools"], able["experimental"]]),
        json!([{}, { "claude/agent": {}, "claude/agent/permission": {} }])
    );
    ensure!(
        text(&of_channel.info, "instructions").len() > 100,
        "{}",
        of_channel.info
    );
    let whole = Client::new(&daemon, "/mcp", Some(daemon.token()))?.open().await?;
    assert_eq!(
        (
            text(&whole.info["serverInfo"], "name"),
            &whole.info["capabilities"]["tools"]
        ),
        ("reveille", &json!({}))
    );
    Ok(())
}

#[tokio::test]
async fn r_mcp_7_2_a_token_reaches_as_far_by_tools_as_by_doors() -> Result<()> {
    let daemon = with_eng().await?;
    for (verb, may) in [("read", false), ("write", true)] {
        let token = token_of_vault(&daemon, verb).await?;
        let session = Client::new(&daemon, "/mcp", Some(&token))?.open().await?;
        // The notes of its vault, and nothing of the agents.
        let (failed, said) = session.tool("query-notes", &json!({ "path": "Agents/eng" })).await?;
        ensure!(!failed, "{said}");
        let note = json!({ "path": format!("x/{verb}"), "content": "x" });
        assert_eq!(!session.tool("create-note", &note).await?.0, may, "{verb}");
        for (tool, arguments) in [
            ("send", json!({ "agent": "eng", "text": "[[reply x]]" })),
            ("delegate", json!({ "agent": "eng", "text": "[[reply x]]" })),
            ("list_agents", json!({})),
            ("stop", json!({ "turn": "x" })),
            ("turn_status", json!({ "turn": "x" })),
        ] {
            let (failed, said) = session.tool(tool, &arguments).await?;
            ensure!(failed && !said.contains("\"eng\""), "{verb} {tool}: {said}");
        }
    }
    assert_eq!(daemon.messages("eng").await?, []);
    works(&daemon).await
}

/// The places for sessions are many, and no one's alone.
#[tokio::test]
async fn r_mcp_3_who_opens_many_sessions_takes_no_other_one_s_away() -> Result<()> {
    let daemon = with_eng().await?;
    let reader = token_of_vault(&daemon, "read").await?;
    let mine = Client::new(&daemon, "/mcp", Some(daemon.token()))?.open().await?;
    let many = Client::new(&daemon, "/mcp", Some(&reader))?;
    for _ in 0..400 {
        // Refused or at the cost of an own one.
        let told = many.send("POST", &[], &initialize().to_string()).await?;
        ensure!([200, 429, 503].contains(&told.status), "{} {}", told.status, told.body);
    }
    assert_eq!(mine.ping().await?, 200);
    works(&daemon).await
}
