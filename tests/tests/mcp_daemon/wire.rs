//! Message by message: what MCP says about HTTP, and what no well-behaved client sends.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reqwest::{Method, Response};
use reveille_tests::Daemon;
use reveille_tests::daemon::ACCEPT;
use serde_json::{Value, json};

use super::house;

/// Someone who speaks HTTP, with a token.
pub(super) struct Wire {
    http: reqwest::Client,
    pub(super) url: String,
    pub(super) token: String,
}

/// An answer, read to its end.
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) kind: String,
    pub(super) session: Option<String>,
    pub(super) text: String,
}

impl Said {
    async fn of(response: Response) -> Result<Self> {
        let header = |name: &str| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.map(str::to_owned)
        };
        Ok(Self {
            status: response.status().as_u16(),
            kind: header("content-type").unwrap_or_default(),
            session: header("mcp-session-id"),
            text: response.text().await?,
        })
    }

    /// The messages of a stream.
    pub(super) fn messages(&self) -> Result<Vec<Value>> {
        let data = self.text.lines().filter_map(|line| line.strip_prefix("data:"));
        data.map(|data| Ok(serde_json::from_str(data)?)).collect()
    }

    /// Status, code of JSON-RPC, and the message that it belongs to.
    pub(super) fn refusal(&self) -> Result<(u16, i64, Value)> {
        let body: Value = serde_json::from_str(&self.text).with_context(|| self.text.clone())?;
        anyhow::ensure!(
            body["error"]["message"].as_str().is_some_and(|text| !text.is_empty()),
            "{body}"
        );
        Ok((
            self.status,
            body["error"]["code"].as_i64().context("a code")?,
            body["id"].clone(),
        ))
    }
}

impl Wire {
    pub(super) fn new(daemon: &Daemon, path: &str, token: &str) -> Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().build()?,
            url: daemon.url().join(path)?.to_string(),
            token: token.to_owned(),
        })
    }

    pub(super) async fn ask(&self, method: Method, headers: &[(&str, &str)], body: &str) -> Result<Response> {
        let mut request = self.http.request(method, &self.url).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Ok(request.body(body.to_owned()).send().await?)
    }

    /// A well-behaved message.
    pub(super) async fn post(&self, session: Option<&str>, message: &Value) -> Result<Said> {
        let mut headers = vec![ACCEPT, ("content-type", "application/json")];
        headers.extend(session.map(|session| ("mcp-session-id", session)));
        Said::of(self.ask(Method::POST, &headers, &message.to_string()).await?).await
    }

    /// The name of a new session.
    pub(super) async fn open(&self) -> Result<String> {
        let said = self.post(None, &hello("2025-11-25")).await?;
        anyhow::ensure!(said.status == 200, "{} {}", said.status, said.text);
        said.session.context("a session")
    }

    /// The standing stream, open.
    pub(super) async fn stand(&self, session: &str) -> Result<Response> {
        let headers = [("accept", "text/event-stream"), ("mcp-session-id", session)];
        self.ask(Method::GET, &headers, "").await
    }

    pub(super) async fn end(&self, session: &str) -> Result<u16> {
        let headers = [("mcp-session-id", session)];
        Ok(self.ask(Method::DELETE, &headers, "").await?.status().as_u16())
    }
}

pub(super) fn hello(version: &str) -> Value {
    let client = json!({ "name": "t", "version": "1" });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": { "protocolVersion": version, "capabilities": {}, "clientInfo": client } })
}

pub(super) fn call(id: u64, method: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": {} })
}

#[tokio::test]
async fn a_session_begins_with_initialize_and_speaks_the_revision_that_was_asked_for() -> Result<()> {
    let daemon = house().await?;
    let wire = Wire::new(&daemon, "/mcp", daemon.token())?;
    for (asked, spoken) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2024-11-05"),
        ("2024-10-07", "2024-10-07"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let said = wire.post(None, &hello(asked)).await?;
        assert_eq!(
            (said.status, said.kind.as_str()),
            (200, "text/event-stream"),
            "{}",
            said.text
        );
        let messages = said.messages()?;
        let [told] = &messages[..] else { panic!("{messages:?}") };
        let result = &told["result"];
        assert_eq!((&told["id"], &result["protocolVersion"]), (&json!(1), &json!(spoken)));
        assert_eq!(
            (&result["serverInfo"]["name"], &result["serverInfo"]["version"]),
            (&json!("reveille"), &json!(daemon.version()))
        );
        assert!(result["capabilities"]["tools"].is_object(), "{result}");
        let session = said.session.context("a session")?;
        // What follows names the revision too.
        let headers = [
            ACCEPT,
            ("content-type", "application/json"),
            ("mcp-session-id", &session),
            ("mcp-protocol-version", spoken),
        ];
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string();
        let said = Said::of(wire.ask(Method::POST, &headers, &ready).await?).await?;
        assert_eq!((said.status, said.text.as_str()), (202, ""), "{spoken}");
        let list = call(2, "tools/list").to_string();
        let said = Said::of(wire.ask(Method::POST, &headers, &list).await?).await?;
        assert_eq!(said.messages()?.len(), 1, "{spoken}: {} {}", said.status, said.text);
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_message_is_refused_as_one_may_expect() -> Result<()> {
    let daemon = house().await?;
    let wire = Wire::new(&daemon, "/mcp", daemon.token())?;
    let session = wire.open().await?;
    let list = call(2, "tools/list").to_string();
    let json = ("content-type", "application/json");
    let own = ("mcp-session-id", session.as_str());
    let ask = async |method: Method, headers: &[(&str, &str)], body: &str| {
        Said::of(wire.ask(method, headers, body).await?).await
    };
    for accept in ["application/json", "text/event-stream", "*/*", "text/html"] {
        let said = ask(Method::POST, &[("accept", accept), json, own], &list).await?;
        assert_eq!(said.refusal()?, (406, -32000, json!(2)), "{accept}");
    }
    let said = ask(Method::GET, &[("accept", "application/json"), own], "").await?;
    assert_eq!(said.refusal()?.0, 406);
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let said = ask(Method::POST, &[ACCEPT, ("content-type", kind), own], &list).await?;
        assert_eq!(said.refusal()?, (415, -32000, Value::Null), "{kind}");
    }
    let said = ask(Method::POST, &[ACCEPT, own], &list).await?;
    assert_eq!(said.refusal()?.0, 415);
    let charset = ("content-type", "application/json; charset=utf-8");
    assert_eq!(ask(Method::POST, &[ACCEPT, charset, own], &list).await?.status, 200);
    for version in ["2026-07-28", "1999-01-01", "latest"] {
        let headers = [ACCEPT, json, own, ("mcp-protocol-version", version)];
        let said = ask(Method::POST, &headers, &list).await?;
        assert_eq!(said.refusal()?, (400, -32000, Value::Null), "{version}");
        assert!(said.text.contains("2025-11-25"), "{}", said.text);
    }
    for method in [Method::PUT, Method::PATCH] {
        let response = wire.ask(method.clone(), &[own], "").await?;
        let allow = response.headers().get("allow").and_then(|value| value.to_str().ok());
        assert_eq!(
            (response.status().as_u16(), allow),
            (405, Some("GET, POST, DELETE")),
            "{method}"
        );
    }
    for (body, status, code) in [
        ("{", 400, -32700),
        ("", 400, -32700),
        (&"[".repeat(100_000), 400, -32700),
        ("7", 400, -32600),
        ("[]", 400, -32600),
        ("[7]", 400, -32600),
        ("{}", 400, -32600),
        (r#"{"jsonrpc":"1.0","id":3,"method":"tools/list"}"#, 400, -32600),
        (&hello("2025-11-25").to_string(), 400, -32600),
    ] {
        let said = ask(Method::POST, &[ACCEPT, json, own], body).await?;
        let (told, told_code, _) = said.refusal()?;
        assert_eq!((told, told_code), (status, code), "{}", &body[..body.len().min(100)]);
    }
    let large = json!({ "jsonrpc": "2.0", "id": 3, "method": "ping", "params": { "x": "x".repeat(9 << 20) } });
    let said = wire.post(Some(&session), &large).await?;
    assert_eq!(said.refusal()?, (413, -32000, Value::Null));
    // It still works.
    assert_eq!(wire.post(Some(&session), &call(9, "tools/list")).await?.status, 200);
    Ok(())
}

/// The id of an answer, and the code of its error.
fn brief(message: &Value) -> (Value, Value) {
    (message["id"].clone(), message["error"]["code"].clone())
}

#[tokio::test]
async fn an_id_belongs_to_one_request_at_a_time() -> Result<()> {
    let daemon = house().await?;
    let wire = Wire::new(&daemon, "/mcp", daemon.token())?;
    let session = wire.open().await?;
    // Within one request.
    let said = wire
        .post(Some(&session), &json!([call(5, "ping"), call(5, "tools/list")]))
        .await?;
    let mut told: Vec<_> = said.messages()?.iter().map(brief).collect();
    told.sort_by_key(|(id, _)| id.is_null());
    assert_eq!(told, [(json!(5), json!(null)), (json!(null), json!(-32600))]);
    // While the first one is answered.
    let arguments = json!({ "agent": "eng", "text": "[[hang]]", "wait_seconds": 600 });
    let slow = json!({ "jsonrpc": "2.0", "id": "a", "method": "tools/call",
        "params": { "name": "delegate", "arguments": arguments } });
    let headers = [
        ACCEPT,
        ("content-type", "application/json"),
        ("mcp-session-id", &session),
    ];
    let first = wire.ask(Method::POST, &headers, &slow.to_string()).await?;
    assert_eq!(first.status(), 200);
    let again = json!({ "jsonrpc": "2.0", "id": "a", "method": "ping" });
    let said = wire.post(Some(&session), &again).await?;
    assert_eq!(said.refusal()?, (400, -32600, Value::Null));
    assert!(said.text.contains(r#"\"a\""#), "{}", said.text);
    // Nobody waits for it any more, and it is worked on still.
    drop(first);
    assert_eq!(wire.post(Some(&session), &again).await?.status, 400);
    // An id whose request was answered, and a number that is no text.
    for id in [json!(5), json!("5")] {
        let again = json!({ "jsonrpc": "2.0", "id": id, "method": "ping" });
        assert_eq!(wire.post(Some(&session), &again).await?.status, 200, "{id}");
    }
    Ok(())
}

#[tokio::test]
async fn several_messages_may_come_at_once() -> Result<()> {
    let daemon = house().await?;
    let wire = Wire::new(&daemon, "/mcp", daemon.token())?;
    let session = wire.open().await?;
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let said = wire.post(Some(&session), &json!([ready, ready])).await?;
    assert_eq!((said.status, said.text.as_str()), (202, ""));
    let both = json!([call(5, "ping"), ready, call(6, "tools/list"), call(7, "no/such")]);
    let said = wire.post(Some(&session), &both).await?;
    let mut ids: Vec<_> = said.messages()?.iter().map(|message| message["id"].as_u64()).collect();
    ids.sort_unstable();
    assert_eq!((said.status, ids), (200, vec![Some(5), Some(6), Some(7)]));
    // One that will not do takes nothing from the others.
    let wrong = json!({ "jsonrpc": "1.0", "id": 9, "method": "ping" });
    let said = wire
        .post(Some(&session), &json!([call(8, "ping"), wrong, call(10, "ping")]))
        .await?;
    assert_eq!(said.status, 200, "{}", said.text);
    let mut told: Vec<_> = said.messages()?.iter().map(brief).collect();
    told.sort_by_key(|(id, _)| id.as_u64());
    assert_eq!(
        told,
        [
            (json!(8), json!(null)),
            (json!(9), json!(-32600)),
            (json!(10), json!(null))
        ]
    );
    let said = wire.post(Some(&session), &json!([ready, wrong, wrong])).await?;
    let told: Vec<Value> = serde_json::from_str(&said.text)?;
    let told: Vec<_> = told.iter().map(brief).collect();
    assert_eq!((said.status, told), (400, vec![(json!(9), json!(-32600)); 2]));
    // `initialize` is alone.
    let said = wire
        .post(None, &json!([hello("2025-03-26"), call(2, "tools/list")]))
        .await?;
    assert_eq!(said.refusal()?, (400, -32600, Value::Null));
    Ok(())
}

#[tokio::test]
async fn a_session_is_named_by_every_request_that_belongs_to_it() -> Result<()> {
    let daemon = house().await?;
    let wire = Wire::new(&daemon, "/mcp", daemon.token())?;
    let said = wire.post(None, &call(2, "tools/list")).await?;
    assert_eq!(said.refusal()?, (400, -32000, json!(2)));
    let said = wire.post(Some("no-such"), &call(2, "tools/list")).await?;
    assert_eq!(said.refusal()?, (404, -32001, json!(2)));
    let get = Said::of(wire.ask(Method::GET, &[("accept", "text/event-stream")], "").await?).await?;
    assert_eq!(get.refusal()?, (400, -32000, Value::Null));
    let get = Said::of(wire.stand("no-such").await?).await?;
    assert_eq!(get.refusal()?, (404, -32001, Value::Null));
    assert_eq!(wire.end("no-such").await?, 204);
    assert_eq!(wire.ask(Method::DELETE, &[], "").await?.status().as_u16(), 204);
    // A client that begins anew may still name what is gone.
    let said = wire.post(Some("no-such"), &hello("2025-11-25")).await?;
    let session = said.session.context("a session")?;
    assert_ne!(session, "no-such");
    assert_eq!(wire.end(&session).await?, 200);
    let said = wire.post(Some(&session), &call(2, "tools/list")).await?;
    assert_eq!(said.refusal()?, (404, -32001, json!(2)));
    Ok(())
}

#[tokio::test]
async fn strangers_learn_no_names() -> Result<()> {
    let daemon = house().await?;
    for token in ["", "wrong", "turn.x.y"] {
        for path in ["/mcp", "/mcp/eng", "/mcp/no-such"] {
            let wire = Wire::new(&daemon, path, token)?;
            let headers = [ACCEPT, ("content-type", "application/json")];
            let response = wire
                .ask(Method::POST, &headers, &hello("2025-11-25").to_string())
                .await?;
            let challenge = response
                .headers()
                .get("www-authenticate")
                .and_then(|value| value.to_str().ok());
            let expected = format!(
                "Bearer resource_metadata=\"{}\"",
                daemon
                    .url()
                    .join(&format!("/.well-known/oauth-protected-resource{path}"))?
            );
            assert_eq!(challenge, Some(expected.as_str()));
            let document = reqwest::Client::builder().no_proxy().build()?;
            let document = expected
                .split('"')
                .nth(1)
                .map(|url| document.get(url))
                .context("an address")?;
            assert_eq!(document.send().await?.status(), 200);
            let said = Said::of(response).await?;
            assert_eq!(said.status, 401, "{path} {token:?}");
            assert!(!said.text.contains("eng\""), "{}", said.text);
        }
    }
    // Elsewhere nothing leads to the hub.
    for path in ["/api/agents", "/api/channels/eng/turn-events", "/vault/default/mcp"] {
        let response = Wire::new(&daemon, path, "")?.ask(Method::GET, &[], "").await?;
        let challenge = response
            .headers()
            .get("www-authenticate")
            .and_then(|value| value.to_str().ok());
        assert_eq!((response.status().as_u16(), challenge), (401, Some("Bearer")), "{path}");
    }
    let wire = Wire::new(&daemon, "/mcp/no-such", daemon.token())?;
    let said = wire.post(None, &hello("2025-11-25")).await?;
    let body: Value = serde_json::from_str(&said.text)?;
    assert_eq!((said.status, &body["error"]), (404, &json!("unknown_agent")));
    assert!(!said.text.contains("eng"), "{}", said.text);
    Ok(())
}
