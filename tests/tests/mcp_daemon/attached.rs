//! The tools by which a session serves an attached agent, and those of a channel that the daemon serves itself.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::LIMIT;
use serde_json::{Value, json};

use super::house;
use super::official::Official;
use super::token;

/// With the attached agent `scribe`, and `eng`, which the daemon serves.
pub(super) async fn desk() -> Result<Daemon> {
    let daemon = house().await?;
    attach(&daemon).await?;
    Ok(daemon)
}

pub(super) async fn attach(daemon: &Daemon) -> Result<()> {
    let scribe = json!({ "name": "scribe", "prompt": "You keep the minutes.", "metadata": { "backend": "attached" } });
    let made = daemon.request(Method::POST, &["api", "agents"], Some(&scribe)).await?;
    made.ok::<Value>().map(drop)
}

#[tokio::test]
async fn messages_are_taken_one_by_one_and_answered() -> Result<()> {
    let daemon = desk().await?;
    let mut client = Official::http(&daemon, "/mcp/scribe", daemon.token()).await?;
    assert_eq!(client.hello["server"]["name"], "agent-scribe");
    let experimental = &client.hello["capabilities"]["experimental"];
    assert_eq!(
        experimental,
        &json!({ "claude/agent": {}, "claude/agent/permission": {} })
    );
    let words = client.hello["instructions"].as_str().context("instructions")?;
    for word in ["pending", "next-message", "systemPrompt", "reply", "release", "renew"] {
        assert!(words.contains(word), "{words}");
    }
    assert_eq!(
        client.tools().await?,
        ["pending", "next-message", "reply", "release", "renew"]
    );

    assert_eq!(
        client.told("pending", json!({})).await?,
        json!({ "count": 0, "items": [] })
    );
    let nothing = json!({ "message": null, "note": "no pending messages" });
    assert_eq!(client.told("next-message", json!({})).await?, nothing);

    let (one, two) = (
        daemon.send("scribe", "the first").await?,
        daemon.send("scribe", "the second").await?,
    );
    let pending = client.told("pending", json!({})).await?;
    let items = pending["items"].as_array().context("items")?;
    let shown: Vec<_> = items
        .iter()
        .map(|item| (item["id"].as_str(), item["preview"].as_str()))
        .collect();
    let expected = [
        (Some(one.id.as_str()), Some("the first")),
        (Some(two.id.as_str()), Some("the second")),
    ];
    assert_eq!((&pending["count"], &shown[..]), (&json!(2), &expected[..]));

    let taken = client.told("next-message", json!({})).await?;
    assert_eq!((&taken["id"], &taken["inReplyTo"]), (&json!(one.id), &json!(one.id)));
    assert!(
        taken["text"].as_str().is_some_and(|text| text.contains("the first")),
        "{taken}"
    );
    let role = taken["systemPrompt"].as_str().context("a role")?;
    assert!(role.contains("You keep the minutes."), "{role}");
    assert!(taken["ends_at"].is_string() && taken["claim"].is_string(), "{taken}");
    let renewed = client.told("renew", json!({ "id": one.id })).await?;
    assert!(renewed["ends_at"].as_str() >= taken["ends_at"].as_str(), "{renewed}");

    // Given back, it is the oldest one again.
    client.told("release", json!({ "id": one.id })).await?;
    let again = client.told("next-message", json!({})).await?;
    assert_eq!(again["id"], json!(one.id));
    let answer = json!({ "text": "written down", "inReplyTo": one.id });
    let replied = client.told("reply", answer.clone()).await?;
    let repeated = client.told("reply", answer).await?;
    assert_eq!((&repeated["id"], &repeated["repeated"]), (&replied["id"], &json!(true)));
    let turn = daemon.wait_turn("scribe", &one).await?;
    assert_eq!(turn.reply.as_deref(), Some("written down"));
    let other = client.told("next-message", json!({})).await?;
    assert_eq!(other["id"], json!(two.id));
    client
        .told(
            "reply",
            json!({ "text": "that too", "inReplyTo": two.id, "claim": other["claim"] }),
        )
        .await?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.notes.iter().filter(|note| note.is_outbound()).count(), 2);
    assert_eq!(journal.violations(), Vec::<String>::new());
    client.close().await
}

#[tokio::test]
async fn what_was_not_taken_cannot_be_answered() -> Result<()> {
    let daemon = desk().await?;
    let mut client = Official::http(&daemon, "/mcp/scribe", daemon.token()).await?;
    let sent = daemon.send("scribe", "hello").await?;
    for (tool, arguments) in [
        ("reply", json!({ "text": "x", "inReplyTo": sent.id })),
        ("reply", json!({ "text": "x", "inReplyTo": "no-such" })),
        ("reply", json!({ "text": " ", "inReplyTo": sent.id })),
        ("release", json!({ "id": sent.id })),
        ("release", json!({})),
        ("renew", json!({ "id": sent.id })),
        ("delegate", json!({ "agent": "eng", "text": "x" })),
        ("react", json!({ "message_id": "m", "emoji": "👍" })),
    ] {
        let (code, words) = client.refused(tool, arguments.clone()).await?;
        assert!(!code.is_empty() && !words.is_empty(), "{tool} {arguments}");
    }
    assert_eq!(
        daemon.journal()?.notes.iter().filter(|note| note.is_outbound()).count(),
        0
    );
    assert_eq!(client.told("pending", json!({})).await?["count"], 1);
    client.close().await
}

#[tokio::test]
async fn who_may_only_read_takes_and_writes_nothing() -> Result<()> {
    let daemon = desk().await?;
    let sent = daemon.send("scribe", "hello").await?;
    let reader = token(&daemon, &["reveille:read"]).await?;
    let mut client = Official::http(&daemon, "/mcp/scribe", &reader).await?;
    assert_eq!(client.tools().await?, ["pending"]);
    assert_eq!(client.told("pending", json!({})).await?["count"], 1);
    for (tool, arguments) in [
        ("next-message", json!({})),
        ("reply", json!({ "text": "x" })),
        ("reply", json!({ "text": "x", "inReplyTo": sent.id })),
        ("release", json!({ "id": sent.id })),
        ("renew", json!({ "id": sent.id })),
    ] {
        let (code, words) = client.refused(tool, arguments).await?;
        assert!(
            code == "insufficient_scope" && words.contains("reveille:write"),
            "{code} {words}"
        );
    }
    let mut other = Official::http(&daemon, "/mcp/eng", &reader).await?;
    assert_eq!(other.tools().await?, Vec::<String>::new());
    for tool in ["reply", "react", "edit_message", "download_attachment"] {
        let (code, words) = other.refused(tool, json!({ "text": "x" })).await?;
        assert!(
            code == "insufficient_scope" && words.contains("reveille:write"),
            "{tool}: {code} {words}"
        );
    }
    assert_eq!(
        daemon.journal()?.notes.iter().filter(|note| note.is_outbound()).count(),
        0
    );

    let writer = token(&daemon, &["reveille:write"]).await?;
    let mut client = Official::http(&daemon, "/mcp/scribe", &writer).await?;
    assert_eq!(client.told("next-message", json!({})).await?["id"], json!(sent.id));
    client
        .told("reply", json!({ "text": "done", "inReplyTo": sent.id }))
        .await?;
    client.close().await
}

#[tokio::test]
async fn what_one_session_has_taken_another_one_cannot_answer() -> Result<()> {
    let daemon = desk().await?;
    let sent = daemon.send("scribe", "hello").await?;
    let writer = token(&daemon, &["reveille:write"]).await?;
    let mut client = Official::http(&daemon, "/mcp/scribe", daemon.token()).await?;
    let mut other = Official::http(&daemon, "/mcp/scribe", &writer).await?;
    client.told("next-message", json!({})).await?;
    assert_eq!(other.told("next-message", json!({})).await?["message"], Value::Null);
    for (tool, arguments) in [
        ("reply", json!({ "text": "x", "inReplyTo": sent.id })),
        ("release", json!({ "id": sent.id })),
        ("renew", json!({ "id": sent.id })),
    ] {
        assert_eq!(other.refused(tool, arguments).await?.0, "not_yours", "{tool}");
    }
    client
        .told("reply", json!({ "text": "mine", "inReplyTo": sent.id }))
        .await?;
    assert_eq!(daemon.wait_turn("scribe", &sent).await?.reply.as_deref(), Some("mine"));
    client.close().await
}

#[tokio::test]
async fn what_is_handed_on_under_a_claim_belongs_to_its_chain() -> Result<()> {
    let daemon = desk().await?;
    let sent = daemon.send("scribe", "Have it built.").await?;
    let mut scribe = Official::http(&daemon, "/mcp/scribe", daemon.token()).await?;
    let mut whole = Official::http(&daemon, "/mcp", daemon.token()).await?;
    let taken = scribe.told("next-message", json!({})).await?;
    let work = json!({ "agent": "eng", "text": "[[reply built]]", "claim": taken["claim"] });
    assert_eq!(whole.told("delegate", work).await?["reply"], "built");
    let journal = daemon.journal()?;
    let note = journal.notes.iter().find(|note| note.content == "[[reply built]]");
    let marks = ["chain_id", "delegation_depth", "delegated_by", "sender"].map(|key| note.map(|note| note.text(key)));
    let turn = taken["turn"].as_str();
    assert_eq!(marks, [Some(sent.id.as_str()), Some("1"), turn, Some("agent:scribe")]);
    let none = json!({ "agent": "eng", "text": "x", "claim": "x.1" });
    assert_eq!(whole.refused("send", none).await?.0, "unknown_claim");
    scribe
        .told("reply", json!({ "text": "It is built.", "inReplyTo": sent.id }))
        .await?;
    whole.close().await
}

#[tokio::test]
async fn the_tools_follow_the_definition_while_a_session_lasts() -> Result<()> {
    let daemon = desk().await?;
    let mut client = Official::http(&daemon, "/mcp/scribe", daemon.token()).await?;
    client.told("pending", json!({})).await?;
    let served = json!({ "metadata": { "backend": "programmatic" } });
    let switch = daemon
        .request(Method::PATCH, &["api", "agents", "scribe"], Some(&served))
        .await?;
    switch.ok::<Value>()?;
    reveille_tests::eventually("the other tools are there", LIMIT, async || {
        let tools = client.tools().await?;
        Ok((tools == ["reply", "react", "edit_message", "download_attachment"]).then_some(()))
    })
    .await?;
    let (code, words) = client.refused("pending", json!({})).await?;
    assert!(
        code == "unknown_tool" && words.contains("no attached agent"),
        "{code} {words}"
    );
    daemon
        .request(Method::DELETE, &["api", "agents", "scribe"], None)
        .await?
        .ok::<Value>()?;
    let (code, _) = client.refused("reply", json!({ "text": "x" })).await?;
    assert_eq!(code, "unknown_agent");
    client.close().await
}

#[tokio::test]
async fn a_channel_that_the_daemon_serves_can_be_written_to() -> Result<()> {
    let daemon = house().await?;
    let mut client = Official::http(&daemon, "/mcp/eng", daemon.token()).await?;
    assert_eq!(client.hello["server"]["name"], "agent-eng");
    let words = client.hello["instructions"].as_str().context("instructions")?;
    assert!(words.contains("chat_id") && words.contains("reply_to"), "{words}");
    assert_eq!(
        client.tools().await?,
        ["reply", "react", "edit_message", "download_attachment"]
    );
    // What is of the wrong kind and not needed does not count, nor does what is not known.
    let arguments = json!({ "text": "hello, people", "reply_to": 7, "chat_id": "c", "who": "me" });
    let told = client.told("reply", arguments).await?;
    let id = told["ids"][0].as_str().context("an id")?;
    let note = daemon.note(id).await?.context("the note")?;
    assert_eq!(note["content"], "hello, people");
    assert_eq!(note["tags"], json!(["agent/message", "agent/message/outbound"]));
    assert_eq!(
        (
            &note["metadata"]["agent"],
            &note["metadata"]["sender"],
            &note["metadata"]["in_reply_to"]
        ),
        (&json!("eng"), &json!("operator"), &Value::Null)
    );
    let messages = daemon.messages("eng").await?;
    assert!(
        messages.iter().any(|message| message.text == "hello, people"),
        "{messages:?}"
    );
    let told = client.told("reply", json!({ "text": 7, "reply_to": id })).await?;
    let note = daemon
        .note(told["ids"][0].as_str().context("an id")?)
        .await?
        .context("the note")?;
    assert_eq!(
        (&note["content"], &note["metadata"]["in_reply_to"]),
        (&json!("7"), &json!(id))
    );

    for (tool, arguments, code) in [
        ("reply", json!({}), "blank_text"),
        ("reply", json!({ "text": "x", "files": ["/etc/passwd"] }), "unsupported"),
        ("react", json!({ "message_id": "m", "emoji": "👍" }), "unsupported"),
        ("edit_message", json!({ "message_id": "m", "text": "x" }), "unsupported"),
        ("download_attachment", json!({ "file_id": "f" }), "unsupported"),
        ("no-such", json!({}), "unknown_tool"),
        ("pending", json!({}), "unknown_tool"),
    ] {
        let (told, words) = client.refused(tool, arguments).await?;
        assert_eq!(told, code, "{tool}: {words}");
    }
    client.close().await
}
