//! The MCP tools in the hands of a token: those that it may use, on the notes that it sees.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use serde_json::{Value, json};

use super::{Holder, note, started};

impl Holder {
    /// Names of the tools that it is offered, sorted.
    async fn tools(&self, daemon: &Daemon) -> Result<Vec<String>> {
        let told = daemon.mcp_call(&self.token, "tools/list", &json!({})).await?;
        let tools = told["result"]["tools"].as_array().context("tools")?;
        let names = tools.iter().filter_map(|tool| tool["name"].as_str());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The kind of refusal.
    async fn refused(&self, daemon: &Daemon, tool: &str, arguments: &Value) -> Result<Value> {
        let told = daemon.tool(&self.token, tool, arguments).await?;
        anyhow::ensure!(told.failed, "{tool}: {}", told.value);
        Ok(told.value["error_type"].clone())
    }
}

#[tokio::test]
async fn a_token_is_offered_what_its_scope_allows() -> Result<()> {
    let daemon = started().await?;
    note(&daemon, "kept", &[]).await?;
    let reads = [
        "find-path",
        "list-tags",
        "query-notes",
        "synthesize-notes",
        "vault-info",
    ];
    let writes = ["create-note", "delete-note", "update-note", "update-tag"];
    let reader = Holder::with(&daemon, "read").await?;
    assert_eq!(reader.tools(&daemon).await?, reads);
    for (tool, arguments) in [
        ("create-note", json!({ "content": "x" })),
        ("update-note", json!({ "id": "kept", "append": "x" })),
        ("delete-note", json!({ "id": "kept" })),
        ("update-tag", json!({ "tag": "t" })),
        ("delete-tag", json!({ "tag": "t" })),
        ("vault-info", json!({ "description": "mine" })),
        ("send-message", json!({ "agent": "a", "text": "x" })),
        ("list-agents", json!({})),
    ] {
        assert_eq!(reader.refused(&daemon, tool, &arguments).await?, "forbidden", "{tool}");
    }
    assert_eq!(
        daemon.tool(&reader.token, "query-notes", &json!({})).await?.value[0]["path"],
        "kept"
    );

    let writer = Holder::with(&daemon, "write").await?;
    let mut expected = [&reads[..], &writes[..]].concat();
    expected.sort_unstable();
    assert_eq!(writer.tools(&daemon).await?, expected);
    let gone = daemon
        .tool(&writer.token, "delete-note", &json!({ "id": "kept" }))
        .await?;
    assert!(!gone.failed, "{}", gone.value);
    let admin = Holder::with(&daemon, "admin").await?;
    expected.push("delete-tag");
    expected.sort_unstable();
    assert_eq!(admin.tools(&daemon).await?, expected);
    Ok(())
}

#[tokio::test]
async fn a_token_of_some_tags_works_on_their_notes_only() -> Result<()> {
    let daemon = started().await?;
    for (path, tags) in [("in/a", &["mine"][..]), ("out/b", &["other"]), ("in/c", &["mine"])] {
        note(&daemon, path, tags).await?;
    }
    let asked = json!({ "scopes": ["vault:write"], "tags": ["mine"] });
    let holder = Holder::new(&daemon, asked).await?;
    // What reaches over all notes is not for it.
    let expected = [
        "create-note",
        "delete-note",
        "list-tags",
        "query-notes",
        "synthesize-notes",
        "update-note",
        "vault-info",
    ];
    assert_eq!(holder.tools(&daemon).await?, expected);
    let seen = daemon
        .tool(&holder.token, "query-notes", &json!({ "limit": 2 }))
        .await?;
    let paths: Vec<_> = seen
        .value
        .as_array()
        .context("notes")?
        .iter()
        .map(|note| &note["path"])
        .collect();
    assert_eq!(paths, ["in/a", "in/c"]);
    let hidden = daemon
        .tool(&holder.token, "query-notes", &json!({ "id": "out/b" }))
        .await?;
    assert_eq!(hidden.value, json!({ "error": "Note not found", "id": "out/b" }));
    let hidden = daemon
        .tool(&holder.token, "synthesize-notes", &json!({ "anchor": "out/b" }))
        .await?;
    assert_eq!(hidden.value, json!({ "error": "Note not found", "id": "out/b" }));
    let outside = json!({ "content": "x", "tags": ["other"] });
    assert_eq!(
        holder.refused(&daemon, "create-note", &outside).await?,
        "tag_scope_violation"
    );
    let change = json!({ "id": "out/b", "append": "x" });
    assert_eq!(holder.refused(&daemon, "update-note", &change).await?, "not_found");
    let own = daemon
        .tool(
            &holder.token,
            "create-note",
            &json!({ "content": "x", "tags": ["mine"] }),
        )
        .await?;
    assert!(!own.failed, "{}", own.value);
    Ok(())
}
