//! Files, and the door that is in the configuration of a child.

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::ToolAnswer;
use serde_json::{Value, json};

use super::{Agent, each, enc, message, text};

/// Stores a file; answers its path.
async fn upload(agent: &Agent, name: &str, kind: &str, bytes: &[u8]) -> Result<Value> {
    let head = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {kind}\r\n\r\n"
    );
    let form = [head.as_bytes(), bytes, b"\r\n--edge--\r\n"].concat();
    let bearer = format!("Bearer {}", agent.token);
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "multipart/form-data; boundary=edge"),
    ];
    let target = "/vault/default/api/storage/upload";
    let answer = agent.daemon.ask("POST", target, &headers, &form).await?;
    ensure!(answer.status == 201, "{}", answer.json()?);
    answer.json()
}

#[tokio::test]
async fn row_13_attachments_of_a_message_are_listed() -> Result<()> {
    let agent = Agent::start().await?;
    let made = agent.post(&message(1, "outbound")).await?;
    let target = format!("/notes/{}/attachments", text(&made, "id"));
    assert_eq!(agent.get(&target).await?, (200, json!([])));
    let file = upload(&agent, "cat.png", "image/png", b"\x89PNG\r\n\x1a\n..").await?;
    let (status, told) = agent.call("POST", &target, &json!({ "path": file["path"] })).await?;
    assert_eq!((status, told["error"].is_string()), (400, true), "{told}");
    let (status, row) = agent
        .call(
            "POST",
            &target,
            &json!({ "path": file["path"], "mimeType": "image/png" }),
        )
        .await?;
    assert_eq!(status, 201, "{row}");
    for (key, expected) in [
        ("noteId", &made["id"]),
        ("path", &file["path"]),
        ("mimeType", &json!("image/png")),
    ] {
        assert_eq!(&row[key], expected, "{row}");
    }
    assert_eq!(agent.get(&target).await?, (200, json!([row])));
    // By its path as well; and the note is as it was.
    let by_path = format!("/notes/{}/attachments", enc(text(&made, "path")));
    assert_eq!(agent.get(&by_path).await?, (200, json!([row])));
    assert_eq!(agent.note(text(&made, "id")).await?["updatedAt"], made["updatedAt"]);
    assert_eq!(agent.get("/notes/no%2Fsuch/attachments").await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn row_14_a_file_comes_with_a_raw_slash_and_an_encoded_one() -> Result<()> {
    let agent = Agent::start().await?;
    let bytes = b"\x89PNG\r\n\x1a\n\0\xff--edge-- no end";
    let file = upload(&agent, "cat.png", "image/png", bytes).await?;
    let path = text(&file, "path");
    assert_eq!(
        (path.matches('/').count(), &file["size"], text(&file, "mimeType")),
        (1, &json!(bytes.len()), "image/png")
    );
    for target in [format!("/storage/{path}"), format!("/storage/{}", enc(path))] {
        let answer = agent.fetch(&agent.token, "GET", &target, b"").await?;
        assert_eq!(
            (answer.status, answer.body.as_slice(), answer.header("content-type")),
            (200, bytes.as_slice(), Some("image/png")),
            "{target}"
        );
    }
    for target in ["/storage/2026-01-01%2Fno.png", "/storage/2026-01-01/no.png"] {
        assert_eq!(agent.fetch(&agent.token, "GET", target, b"").await?.status, 404);
    }
    // What people send to agents is not only pictures.
    let csv = upload(&agent, "numbers.csv", "text/csv", b"a,b\n1,2\n").await?;
    let target = format!("/storage/{}", enc(text(&csv, "path")));
    let answer = agent.fetch(&agent.token, "GET", &target, b"").await?;
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"a,b\n1,2\n"[..]));
    Ok(())
}

/// The tools of one who writes. To remove a tag from all notes is for admins.
const TOOLS: [&str; 9] = [
    "create-note",
    "delete-note",
    "find-path",
    "list-tags",
    "query-notes",
    "synthesize-notes",
    "update-note",
    "update-tag",
    "vault-info",
];

#[tokio::test]
async fn row_16_a_child_works_on_the_same_notes_by_its_tools() -> Result<()> {
    let agent = Agent::start().await?;
    let (daemon, token) = (&agent.daemon, agent.token.as_str());
    let hello = json!({
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "claude-code", "version": "2" },
    });
    let told = daemon.mcp_call(token, "initialize", &hello).await?;
    assert!(told["result"]["capabilities"]["tools"].is_object(), "{told}");
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let answer = daemon.mcp(token, &ready).await?;
    assert_eq!((answer.status, answer.body.len()), (202, 0));
    let told = daemon.mcp_call(token, "tools/list", &json!({})).await?;
    let tools = told["result"]["tools"].as_array().context("tools")?;
    let mut names = each(tools, "name");
    names.sort_unstable();
    assert_eq!(names, TOOLS);

    // What a tool writes is what the other door reads, and the other way round.
    let made = daemon.tool(token, "create-note", &message(1, "outbound")).await?;
    assert!(!made.failed, "{made:?}");
    let id = text(&made.value, "id").to_owned();
    let note = agent.note(&id).await?;
    assert_eq!(
        (&note["content"], &note["metadata"]),
        (&json!("outbound 1"), &message(1, "outbound")["metadata"])
    );
    agent.post(&message(2, "outbound")).await?;
    let asked = json!({ "tag": "agent/message/outbound", "sort": "desc", "include_content": true, "limit": 800 });
    let ToolAnswer { value: found, .. } = daemon.tool(token, "query-notes", &asked).await?;
    assert_eq!(
        each(found.as_array().context("a list")?, "content"),
        ["outbound 2", "outbound 1"]
    );
    let update = |at: Value| {
        let change = json!({ "id": id, "metadata": { "status": "handled" }, "if_updated_at": at });
        json!({ "name": "update-note", "arguments": change })
    };
    let ToolAnswer { failed, value, .. } = daemon
        .tool(token, "update-note", &update(note["updatedAt"].clone())["arguments"])
        .await?;
    assert_eq!((failed, text(&value["metadata"], "status")), (false, "handled"));
    let told = daemon
        .mcp_call(token, "tools/call", &update(note["updatedAt"].clone()))
        .await?;
    let error = &told["error"];
    assert_eq!(
        (&error["code"], &error["data"]["error_type"], &error["data"]["note_id"]),
        (&json!(-32600), &json!("conflict"), &json!(id)),
        "{told}"
    );
    assert_eq!(error["data"]["current_updated_at"], agent.note(&id).await?["updatedAt"]);
    let bare = json!({ "name": "update-note", "arguments": { "id": id, "content": "x" } });
    let told = daemon.mcp_call(token, "tools/call", &bare).await?;
    assert_eq!(
        (&told["error"]["code"], &told["error"]["data"]["error_type"]),
        (&json!(-32602), &json!("precondition_required")),
        "{told}"
    );
    let gone = daemon.tool(token, "delete-note", &json!({ "id": id })).await?;
    assert!(!gone.failed, "{gone:?}");
    let asked = daemon.tool(token, "query-notes", &json!({ "id": id })).await?;
    assert_eq!(
        (asked.failed, text(&asked.value, "error"), &asked.value["id"]),
        (false, "Note not found", &json!(id))
    );
    assert_eq!(agent.get(&format!("/notes/{id}")).await?.0, 404);
    Ok(())
}
