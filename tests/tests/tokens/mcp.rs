//! The MCP door in the hands of a token: the tools that it reaches, on the notes that it sees.

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use serde_json::{Value, json};

use super::{Holder, note, started};

/// What a method answers.
async fn rpc(daemon: &Daemon, holder: &Holder, method: &str, params: Value) -> Result<Value> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let bearer = format!("Bearer {}", holder.token);
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ];
    let answer = daemon
        .ask("POST", "/vault/default/mcp", &headers, body.to_string().as_bytes())
        .await?;
    ensure!(answer.status == 200, "{method}: {} {}", answer.status, answer.json()?);
    Ok(answer.json()?["result"].clone())
}

/// Whether a call succeeded, and its JSON.
async fn call(daemon: &Daemon, holder: &Holder, tool: &str, arguments: Value) -> Result<(bool, Value)> {
    let result = rpc(
        daemon,
        holder,
        "tools/call",
        json!({ "name": tool, "arguments": arguments }),
    )
    .await?;
    let text = result["content"][0]["text"].as_str().context("a text")?;
    Ok((
        result["isError"] != true,
        serde_json::from_str(text).context(text.to_owned())?,
    ))
}

#[tokio::test]
async fn tools_above_the_scope_are_hidden_and_refused() -> Result<()> {
    let daemon = started().await?;
    note(&daemon, "a", &[]).await?;
    let reads = ["query-notes", "vault-info"];
    let writes = ["create-note", "delete-note", "query-notes", "update-note", "vault-info"];
    for (verb, expected) in [("read", &reads[..]), ("write", &writes), ("admin", &writes)] {
        let holder = Holder::with(&daemon, verb).await?;
        let listed = rpc(&daemon, &holder, "tools/list", json!({})).await?;
        let tools = listed["tools"].as_array().context("a list")?;
        let mut names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, expected, "{verb}");
        let made = call(&daemon, &holder, "create-note", json!({ "content": verb })).await?;
        assert_eq!(made.0, verb != "read", "{verb}: {}", made.1);
        // The daemon is not the vault.
        for (tool, arguments) in [
            ("list-agents", json!({})),
            ("send-message", json!({ "agent": "a", "text": "b" })),
        ] {
            let (done, told) = call(&daemon, &holder, tool, arguments).await?;
            assert_eq!(
                (done, &told["error_type"]),
                (false, &json!("forbidden")),
                "{verb} {tool}"
            );
        }
    }
    let read = Holder::with(&daemon, "read").await?;
    let notes = call(&daemon, &read, "query-notes", json!({})).await?;
    assert_eq!(notes.1.as_array().map(Vec::len), Some(3));
    Ok(())
}

#[tokio::test]
async fn tools_see_what_the_tags_of_the_token_let_them_see() -> Result<()> {
    let daemon = started().await?;
    note(&daemon, "in", &["work/x"]).await?;
    note(&daemon, "out", &["private"]).await?;
    let holder = Holder::new(&daemon, json!({ "scope": "vault:write", "tags": ["work"] })).await?;
    let (done, notes) = call(&daemon, &holder, "query-notes", json!({})).await?;
    let paths: Vec<_> = notes
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|note| note["path"].as_str())
        .collect();
    assert_eq!((done, paths), (true, vec!["in"]));
    let change = json!({ "id": "out", "append": "x" });
    for (tool, arguments) in [("update-note", change), ("delete-note", json!({ "id": "out" }))] {
        let (done, told) = call(&daemon, &holder, tool, arguments).await?;
        assert_eq!(
            (done, &told["error_type"]),
            (false, &json!("not_found")),
            "{tool} {told}"
        );
    }
    let (done, told) = call(
        &daemon,
        &holder,
        "create-note",
        json!({ "content": "x", "tags": ["private"] }),
    )
    .await?;
    let seen = (done, &told["error_type"], &told["scoped_tags"]);
    assert_eq!(seen, (false, &json!("tag_scope_violation"), &json!(["work"])));
    let (done, _) = call(
        &daemon,
        &holder,
        "create-note",
        json!({ "content": "x", "tags": ["work"] }),
    )
    .await?;
    assert!(done);
    Ok(())
}
