//! The tools by way of a client that others wrote.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::{LIMIT, MCP, ToolAnswer};
use rmcp::model::{CallToolRequestParams, ErrorData};
use rmcp::service::{RunningService, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{RoleClient, ServiceExt as _};
use serde_json::{Value, json};

/// A client, and the daemon that it talks to.
pub(super) struct Client {
    pub(super) daemon: Daemon,
    rmcp: RunningService<RoleClient, ()>,
}

impl Client {
    /// With one agent, `eng`.
    pub(super) async fn start() -> Result<Self> {
        let daemon = Daemon::builder().stand_in().start().await?;
        daemon.create_agent("eng", "You are an engineer.").await?;
        let url = daemon.url().join(MCP)?;
        let config = StreamableHttpClientTransportConfig::with_uri(url.to_string()).auth_header(daemon.token());
        let http = reqwest::Client::builder().no_proxy().build()?;
        let rmcp = ().serve(StreamableHttpClientTransport::with_client(http, config)).await?;
        Ok(Self { daemon, rmcp })
    }

    /// Calls a tool; an error of the protocol is the other way to answer.
    async fn call(&self, name: &'static str, arguments: Value) -> Result<Result<ToolAnswer, ErrorData>> {
        let mut params = CallToolRequestParams::new(name);
        params.arguments = arguments.as_object().cloned();
        match self.rmcp.call_tool(params).await {
            Ok(result) => ToolAnswer::of(&serde_json::to_value(result)?).map(Ok),
            Err(ServiceError::McpError(error)) => Ok(Err(error)),
            Err(error) => Err(error.into()),
        }
    }

    /// What a tool tells that works.
    pub(super) async fn told(&self, name: &'static str, arguments: Value) -> Result<Value> {
        let answer = self.call(name, arguments).await?;
        let answer = answer.map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        anyhow::ensure!(!answer.failed, "{name}: {}", answer.value);
        Ok(answer.value)
    }

    /// The kind of a refusal, as the model reads it.
    pub(super) async fn refused(&self, name: &'static str, arguments: Value) -> Result<String> {
        let answer = self.call(name, arguments.clone()).await?;
        let answer = answer.map_err(|error| anyhow::anyhow!("{name} {arguments}: {error}"))?;
        anyhow::ensure!(answer.failed, "{name} {arguments}: {}", answer.value);
        let message = answer.value["message"].as_str().context("a message")?;
        anyhow::ensure!(!message.is_empty(), "{name}");
        let kind = answer.value["error_type"].as_str().or(answer.value["error"].as_str());
        Ok(kind.context("a kind")?.to_owned())
    }
}

pub(super) fn paths(notes: &Value) -> Vec<&str> {
    let notes = notes.as_array().into_iter().flatten();
    notes.filter_map(|note| note["path"].as_str()).collect()
}

#[tokio::test]
async fn the_server_says_what_it_is_and_what_it_has() -> Result<()> {
    let client = Client::start().await?;
    let info = client.rmcp.peer_info().context("an answer to initialize")?;
    let info = serde_json::to_value(&*info)?;
    assert_eq!(info["serverInfo"]["name"], "reveille-vault/default");
    assert_eq!(info["serverInfo"]["version"], client.daemon.version());
    let instructions = info["instructions"].as_str().context("instructions")?;
    for word in [
        "\"default\"",
        "agent/message/inbound",
        "send-message",
        "agent/definition",
    ] {
        assert!(instructions.contains(word), "{instructions}");
    }
    let tools = client.rmcp.list_all_tools().await?;
    let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
    let expected = [
        "query-notes",
        "create-note",
        "update-note",
        "delete-note",
        "list-tags",
        "update-tag",
        "delete-tag",
        "find-path",
        "synthesize-notes",
        "vault-info",
        "send-message",
        "list-agents",
    ];
    assert_eq!(names, expected);
    for tool in &tools {
        assert_eq!(tool.input_schema["type"], "object", "{}", tool.name);
        assert!(tool.input_schema["properties"].is_object(), "{}", tool.name);
        assert!(
            tool.description.as_ref().is_some_and(|text| text.len() > 20),
            "{}",
            tool.name
        );
    }
    let info = client.told("vault-info", json!({})).await?;
    assert_eq!(
        (&info["name"], &info["kind"], &info["state"]),
        (&json!("default"), &json!("embedded"), &json!({"state": "ready"}))
    );
    Ok(())
}

#[tokio::test]
async fn a_note_is_written_read_changed_and_removed() -> Result<()> {
    let client = Client::start().await?;
    let new = json!({ "content": "v1", "path": "Plans/one", "tags": ["plan", "#b"], "metadata": { "n": 1 } });
    let made = client.told("create-note", new).await?;
    let id = made["id"].as_str().context("an id")?;
    let expected = json!({
        "id": id, "path": "Plans/one", "content": "v1", "tags": ["b", "plan"], "metadata": { "n": 1 },
        "createdAt": made["createdAt"], "updatedAt": made["updatedAt"],
    });
    assert_eq!(made, expected);
    for key in [id, "Plans/one"] {
        assert_eq!(
            client.told("query-notes", json!({ "id": key })).await?,
            expected,
            "{key}"
        );
    }

    // The state that a change is based on.
    let stale = json!({ "id": id, "content": "v3", "if_updated_at": made["updatedAt"] });
    let change = json!({
        "id": "Plans/one", "content": "v2", "tags": { "add": ["c"], "remove": ["b"] }, "metadata": { "n": 2 },
        "if_updated_at": made["updatedAt"],
    });
    let second = client.told("update-note", change).await?;
    assert_eq!(
        (&second["content"], &second["tags"]),
        (&json!("v2"), &json!(["c", "plan"]))
    );
    let Err(error) = client.call("update-note", stale).await? else {
        panic!("a stale change was taken")
    };
    let data = error.data.unwrap_or_default();
    assert_eq!(
        (
            error.code.0,
            &data["error_type"],
            &data["current_updated_at"],
            &data["your_updated_at"],
            &data["path"]
        ),
        (
            -32600,
            &json!("conflict"),
            &second["updatedAt"],
            &made["updatedAt"],
            &json!("Plans/one")
        )
    );
    assert_eq!(data["note_id"], id);
    let Err(error) = client.call("update-note", json!({ "id": id, "content": "v3" })).await? else {
        panic!("a change without a precondition was taken")
    };
    let data = error.data.unwrap_or_default();
    assert_eq!(
        (error.code.0, &data["error_type"]),
        (-32602, &json!("precondition_required"))
    );
    assert!(error.message.contains("if_updated_at"), "{}", error.message);
    let third = client
        .told("update-note", json!({ "id": id, "append": "\nmore" }))
        .await?;
    assert_eq!(third["content"], "v2\nmore");

    let gone = client.told("delete-note", json!({ "id": id })).await?;
    assert_eq!(gone, json!({ "deleted": true, "id": id }));
    let told = client.told("query-notes", json!({ "id": id })).await?;
    assert_eq!(told, json!({ "error": "Note not found", "id": id }));
    assert_eq!(client.refused("delete-note", json!({ "id": id })).await?, "not_found");
    Ok(())
}

#[tokio::test]
async fn notes_are_listed_by_what_they_have() -> Result<()> {
    let client = Client::start().await?;
    let note = |path: &str, tags: Value, metadata: Value| json!({ "path": path, "content": path, "tags": tags, "metadata": metadata });
    let notes = json!([
        note("q/1", json!(["x"]), json!({ "state": "open", "n": 1, "done": false })),
        note(
            "q/2",
            json!(["x", "y"]),
            json!({ "state": "closed", "n": 1, "done": true })
        ),
        note("q/3", json!(["y"]), json!({ "state": "open", "n": 2 })),
        note("other", json!(["z"]), json!({})),
    ]);
    let made = client.told("create-note", json!({ "notes": notes })).await?;
    assert_eq!(paths(&made), ["q/1", "q/2", "q/3", "other"]);
    for (arguments, expected) in [
        (json!({ "tag": "x" }), &["q/1", "q/2"][..]),
        (json!({ "tag": ["x", "y"] }), &["q/1", "q/2", "q/3"]),
        (json!({ "tag": ["x", "y"], "tag_match": "all" }), &["q/2"]),
        (json!({ "tag": "y", "exclude_tags": ["x"] }), &["q/3"]),
        (json!({ "tag": "y", "excludeTags": "x" }), &["q/3"]),
        (json!({ "tag": "y", "exclude_tag": "x" }), &["q/3"]),
        (json!({ "path": "Q/1" }), &["q/1"]),
        (
            json!({ "path_prefix": "q/", "sort": "desc", "limit": 2 }),
            &["q/3", "q/2"],
        ),
        (json!({ "path_prefix": "q/", "limit": 1, "offset": 1 }), &["q/2"]),
        (
            json!({ "path_prefix": "q/", "metadata": { "state": "open", "n": 1 } }),
            &["q/1"],
        ),
        (json!({ "path_prefix": "q/", "metadata": { "done": true } }), &["q/2"]),
        (json!({ "tag": "nowhere" }), &[]),
    ] {
        let found = client.told("query-notes", arguments.clone()).await?;
        assert_eq!(paths(&found), expected, "{arguments}");
    }
    // Lists are lean unless asked otherwise.
    let lean = client.told("query-notes", json!({ "path": "q/1" })).await?;
    assert_eq!(
        (&lean[0]["preview"], &lean[0]["content"]),
        (&json!("q/1"), &Value::Null)
    );
    let asked = json!({ "path": "q/1", "include_content": true, "include_metadata": ["state"] });
    let full = client.told("query-notes", asked).await?;
    assert_eq!(
        (&full[0]["content"], &full[0]["metadata"]),
        (&json!("q/1"), &json!({ "state": "open" }))
    );
    // The next page.
    let first = client
        .call("query-notes", json!({ "path_prefix": "q/", "limit": 2 }))
        .await??;
    let more = first.more.context("there is more")?;
    let (_, cursor) = more.split_once("cursor: ").context("a cursor")?;
    let cursor: String = serde_json::from_str(cursor.trim_end_matches('.'))?;
    let next = json!({ "path_prefix": "q/", "limit": 2, "cursor": cursor });
    let next = client.call("query-notes", next).await??;
    assert_eq!((paths(&next.value), next.more), (vec!["q/3"], None));
    Ok(())
}

#[tokio::test]
async fn what_will_not_do_is_told_in_words() -> Result<()> {
    let client = Client::start().await?;
    client
        .told("create-note", json!({ "path": "taken", "content": "a a" }))
        .await?;
    for (tool, arguments, kind) in [
        ("create-note", json!({ "path": "taken" }), "path_conflict"),
        ("create-note", json!({ "content": " " }), "empty_note"),
        ("create-note", json!({ "content": 7 }), "invalid_request"),
        (
            "create-note",
            json!({ "content": "x", "tags": "abc" }),
            "invalid_request",
        ),
        (
            "create-note",
            json!({ "content": "x", "tag": ["abc"] }),
            "invalid_request",
        ),
        (
            "create-note",
            json!({ "content": "x", "metadata": [] }),
            "invalid_request",
        ),
        (
            "create-note",
            json!({ "content": "x", "attachments": ["no/such"] }),
            "unknown_file",
        ),
        (
            "create-note",
            json!({ "notes": [{ "content": "x" }, { "content": "" }] }),
            "empty_note",
        ),
        (
            "create-note",
            json!({ "notes": vec![json!({"content": "x"}); 501] }),
            "batch_too_large",
        ),
        (
            "update-note",
            json!({ "content": "x", "force": true }),
            "invalid_request",
        ),
        (
            "update-note",
            json!({ "id": "nowhere", "content": "x", "force": true }),
            "not_found",
        ),
        (
            "update-note",
            json!({ "id": "taken", "content": "x", "append": "y", "force": true }),
            "mutually_exclusive",
        ),
        (
            "update-note",
            json!({ "id": "taken", "content_edit": { "old_text": "b", "new_text": "" }, "force": true }),
            "unprocessable_content",
        ),
        (
            "update-note",
            json!({ "id": "taken", "content_edit": { "old_text": "a", "new_text": "" }, "force": true }),
            "ambiguous",
        ),
        (
            "update-note",
            json!({ "notes": vec![json!({"id": "taken", "append": "x"}); 501] }),
            "batch_too_large",
        ),
        ("delete-note", json!({}), "invalid_request"),
        ("query-notes", json!({ "sort": "newest" }), "invalid_request"),
        ("query-notes", json!({ "tag_match": "some" }), "invalid_request"),
        ("query-notes", json!({ "limit": "many" }), "invalid_request"),
        ("query-notes", json!({ "tag": ["a,b"] }), "invalid_request"),
        ("query-notes", json!({ "tag": [7] }), "invalid_request"),
        ("query-notes", json!({ "metadata": "state" }), "invalid_request"),
        ("query-notes", json!({ "content_offset": 7 }), "invalid_request"),
        ("query-notes", json!({ "where": "x" }), "invalid_request"),
        ("query-notes", json!({ "cursor": "no cursor" }), "invalid_request"),
        ("send-message", json!({ "agent": "eng" }), "invalid_request"),
        (
            "send-message",
            json!({ "agent": "eng", "text": " " }),
            "invalid_request",
        ),
        (
            "send-message",
            json!({ "agent": "nobody", "text": "hi" }),
            "unknown_agent",
        ),
        (
            "send-message",
            json!({ "agent": "eng", "text": "hi", "mode": "soon" }),
            "invalid_message",
        ),
        (
            "send-message",
            json!({ "agent": "eng", "text": "hi", "reply": true }),
            "invalid_request",
        ),
        (
            "send-message",
            json!({ "agent": "eng", "text": "hi", "reply_to": "nobody" }),
            "unknown_agent",
        ),
    ] {
        assert_eq!(
            client.refused(tool, arguments.clone()).await?,
            kind,
            "{tool} {arguments}"
        );
    }
    // Nothing came of all that.
    let notes = client
        .told(
            "query-notes",
            json!({ "include_content": true, "exclude_tags": "agent/definition" }),
        )
        .await?;
    assert_eq!(paths(&notes), ["taken"], "{notes}");
    assert_eq!(notes[0]["content"], "a a");
    Ok(())
}

#[tokio::test]
async fn several_changes_are_made_up_to_the_first_that_cannot() -> Result<()> {
    let client = Client::start().await?;
    let notes = json!([{ "path": "a" }, { "path": "b" }]);
    client.told("create-note", json!({ "notes": notes })).await?;
    let both =
        json!([{ "id": "a", "append": "1" }, { "id": "c", "content": "new", "if_missing": "create", "force": true }]);
    let changed = client.told("update-note", json!({ "notes": both })).await?;
    assert_eq!(paths(&changed), ["a", "c"]);
    let mixed = json!([{ "id": "a", "append": "2" }, { "id": "b", "content": "x" }, { "id": "c", "append": "2" }]);
    let Err(error) = client.call("update-note", json!({ "notes": mixed })).await? else {
        panic!("a change without a precondition was taken")
    };
    assert_eq!(
        (error.code.0, &error.data.unwrap_or_default()["item_index"]),
        (-32602, &json!(1))
    );
    assert!(
        error.message.contains("The 1 before it were written"),
        "{}",
        error.message
    );
    let notes = client
        .told(
            "query-notes",
            json!({ "exclude_tags": "agent/definition", "include_content": true }),
        )
        .await?;
    let bodies: Vec<_> = notes
        .as_array()
        .context("notes")?
        .iter()
        .map(|note| &note["content"])
        .collect();
    assert_eq!(bodies, ["12", "", "new"]);
    Ok(())
}

#[tokio::test]
async fn an_operator_makes_agents_and_wakes_them() -> Result<()> {
    let client = Client::start().await?;
    let definition = json!({
        "path": "Agents/critic", "content": "You criticise.", "tags": ["agent/definition"], "metadata": { "name": "critic" },
    });
    client.told("create-note", definition).await?;
    reveille_tests::eventually("the agent is there", LIMIT, async || {
        let found = client.told("list-agents", json!({ "search": "CRIT" })).await?;
        Ok((found[0]["status"] == "idle").then_some(()))
    })
    .await?;
    let all = client.told("list-agents", json!({})).await?;
    let names: Vec<_> = all
        .as_array()
        .context("agents")?
        .iter()
        .map(|agent| &agent["name"])
        .collect();
    assert_eq!(names, ["critic", "eng"]);
    assert_eq!(all[0]["prompt_preview"], "You criticise.");
    let message = json!({ "agent": "critic", "text": "[[reply well]]", "subject": "plan", "correlation_id": "c-1" });
    let sent = client.told("send-message", message).await?;
    let journal = client.daemon.wait_quiet(LIMIT).await?;
    let note = journal
        .notes
        .iter()
        .find(|note| Some(note.id.as_str()) == sent["id"].as_str());
    let note = note.context("the message")?;
    assert_eq!(
        ["agent", "subject", "correlation_id", "sender"].map(|key| note.text(key)),
        ["critic", "plan", "c-1", "operator"]
    );
    let turn = client.daemon.turn(sent["turn"].as_str().context("a turn")?).await?;
    assert_eq!(turn.reply.as_deref(), Some("well"));
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}
