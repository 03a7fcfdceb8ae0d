//! `/api/agent-defs`.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, Reply};
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::{TWO, ask, define, defs, get, keys, made, make, one, refusal, text, until_enabled};

async fn edit(daemon: &Daemon, id: &str, body: Value) -> Result<Reply> {
    ask(daemon, Method::PATCH, &["api", "agent-defs", id], Some(body)).await
}

async fn remove(daemon: &Daemon, id: &str) -> Result<Reply> {
    ask(daemon, Method::DELETE, &["api", "agent-defs", id], None).await
}

/// A request with another token than the admin's.
async fn as_stranger(daemon: &Daemon, method: &str, path: &str, token: Option<&str>) -> Result<u16> {
    let bearer = token.map(|token| ("authorization", format!("Bearer {token}")));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Ok(daemon.ask(method, path, &headers, b"{}").await?.status)
}

#[tokio::test]
async fn ac_176_definitions_are_listed_by_name_without_secrets() -> Result<()> {
    let daemon = one().await?;
    assert_eq!(defs(&daemon).await?, Vec::<Value>::new());
    let long = "You do. ".repeat(50);
    let body = json!({"vault": "default", "name": "zeta", "systemPrompt": long, "metadata": {"model": "opus", "token": "hunter-2"}});
    make(&daemon, body).await?.ok::<Value>()?;
    made(&daemon, "alpha").await?;
    let listed = defs(&daemon).await?;
    let names: Vec<&Value> = listed.iter().map(|def| &def["name"]).collect();
    assert_eq!(names, ["alpha", "zeta"]);
    let zeta = &listed[1];
    let preview = text(&zeta["systemPromptPreview"])?;
    assert_eq!(preview, format!("{}…", &long[..200]));
    let mut expected = json!({
        "noteId": zeta["noteId"], "name": "zeta", "channel": "zeta", "vault": "default", "backend": "programmatic",
        "mode": "single-threaded", "status": "enabled", "pending": [], "problems": [], "wants": [], "connections": [],
        "model": "opus", "source": "def", "systemPromptPreview": preview,
    });
    for key in ["status_detail", "warnings"] {
        expected[key] = zeta[key].clone();
    }
    assert_eq!(*zeta, expected);
    assert_eq!(keys(&zeta["warnings"]), ["token"]);
    assert!(!json!(listed).to_string().contains("hunter"), "{listed:?}");
    Ok(())
}

#[tokio::test]
async fn ac_176_ac_180_definitions_are_nothing_for_strangers() -> Result<()> {
    let daemon = one().await?;
    let id = text(&made(&daemon, "eng").await?["noteId"])?;
    let body = json!({"label": "reader", "scopes": ["vault:read"]});
    let token = ask(&daemon, Method::POST, &["vault", "default", "tokens"], Some(body)).await?;
    let reader = text(&token.ok::<Value>()?["token"])?;
    let one = format!("/api/agent-defs/{id}");
    for (method, path) in [
        ("GET", "/api/agent-defs"),
        ("POST", "/api/agent-defs"),
        ("GET", &one),
        ("PATCH", &one),
        ("DELETE", &one),
    ] {
        assert_eq!(as_stranger(&daemon, method, path, None).await?, 401, "{method} {path}");
        assert_eq!(as_stranger(&daemon, method, path, Some("wrong")).await?, 401);
        assert_eq!(as_stranger(&daemon, method, path, Some(&reader)).await?, 403);
    }
    assert_eq!(defs(&daemon).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn ac_149_ac_177_one_definition_is_shown_with_its_whole_role() -> Result<()> {
    let daemon = one().await?;
    let role = "You do. ".repeat(63);
    let wants = "vault:team:read env:github mcp:github";
    let body = json!({"vault": "default", "name": "eng", "systemPrompt": role, "wants": wants,
        "metadata": {"mode": "multi-threaded"}});
    let created: Value = make(&daemon, body).await?.ok()?;
    let id = text(&created["def"]["noteId"])?;
    let shown = get(&daemon, &["api", "agent-defs", &id]).await?["def"].clone();
    assert_eq!(shown["systemPrompt"], role);
    assert_eq!(
        (&shown["mode"], &shown["backend"], &shown["wants"]),
        (
            &json!("multi-threaded"),
            &json!("programmatic"),
            &json!(["vault:team:read", "env:github", "mcp:github"])
        )
    );
    // Read from the note, not from what was made of it.
    for unknown in ["nobody", "a/b", "a%2Fb"] {
        let reply = ask(&daemon, Method::GET, &["api", "agent-defs", unknown], None).await?;
        assert_eq!(refusal(&reply), (404, "unknown_definition"), "{unknown}");
    }
    Ok(())
}

#[tokio::test]
async fn ac_178_a_definition_is_made_at_once_or_not_at_all() -> Result<()> {
    let daemon = one().await?;
    let body = json!({"vault": "default", "name": "eng", "systemPrompt": "You build.", "wants": "env:github",
        "metadata": {"name": "other", "max_turns": 3, "paused": true, "egress": ["a", "b"], "gone": null,
            "mounts": [{"hostPath": "/a", "mountPath": "/b", "mode": "ro"}]}});
    let reply = make(&daemon, body).await?;
    assert_eq!((reply.status, &reply.body["ok"]), (201, &json!(true)));
    let def = &reply.body["def"];
    assert_eq!(
        (&def["name"], &def["systemPrompt"]),
        (&json!("eng"), &json!("You build."))
    );
    assert_eq!(
        (&def["wants"], &def["status"], &def["pending"]),
        (&json!(["env:github"]), &json!("pending"), &json!(["env:github"]))
    );
    assert_eq!(defs(&daemon).await?.len(), 1);
    let note = daemon.note("Agents/eng").await?.context("the note")?;
    assert_eq!(note["content"], "You build.");
    let metadata = &note["metadata"];
    for (key, value) in [
        ("name", "eng"),
        ("backend", "programmatic"),
        ("wants", "env:github"),
        ("max_turns", "3"),
        ("paused", "true"),
        ("egress", "a, b"),
        ("mounts", r#"[{"hostPath":"/a","mode":"ro","mountPath":"/b"}]"#),
    ] {
        assert_eq!(metadata[key], value, "{key}");
    }
    assert!(metadata.get("gone").is_none(), "{metadata}");
    let shown = get(&daemon, &["api", "agents", "eng"]).await?;
    assert_eq!(keys(&shown["warnings"]).iter().filter(|key| **key == "gone").count(), 0);
    assert_eq!(shown["settings"]["egress"]["value"], json!(["a", "b"]));
    assert_eq!(shown["settings"]["mounts"]["value"][0]["hostPath"], "/a");
    Ok(())
}

#[tokio::test]
async fn ac_178_what_cannot_be_made_is_refused_before_anything_is_written() -> Result<()> {
    let daemon = one().await?;
    made(&daemon, "eng").await?;
    for (body, code) in [
        (json!({"name": "a"}), "invalid_body"),
        (json!({"vault": "default"}), "invalid_body"),
        (
            json!({"vault": "default", "name": "a", "systemPrompt": 7}),
            "invalid_body",
        ),
        (
            json!({"vault": "default", "name": "a", "wants": ["env:x"]}),
            "invalid_body",
        ),
        (
            json!({"vault": "default", "name": "a", "metadata": ["x"]}),
            "invalid_body",
        ),
        (json!({"vault": "nowhere", "name": "a"}), "unknown_vault"),
        (json!({"vault": "default", "name": "two words"}), "invalid_definition"),
        (json!({"vault": "default", "name": ""}), "invalid_definition"),
        (
            json!({"vault": "default", "name": "a", "backend": "interactive"}),
            "invalid_definition",
        ),
        (
            json!({"vault": "default", "name": "a", "backend": "cloud"}),
            "invalid_definition",
        ),
        (
            json!({"vault": "default", "name": "a", "wants": "vault:team"}),
            "invalid_definition",
        ),
    ] {
        let reply = make(&daemon, body.clone()).await?;
        assert_eq!(refusal(&reply), (400, code), "{body}");
    }
    let wrong = json!({"vault": "default", "name": "two words", "backend": "cloud", "metadata": {"mode": "odd"}});
    let reply = make(&daemon, wrong).await?;
    assert_eq!(keys(&reply.body["problems"]), ["name", "backend", "mode"]);
    let taken = make(
        &daemon,
        json!({"vault": "default", "name": "eng", "systemPrompt": "Other."}),
    )
    .await?;
    assert_eq!(refusal(&taken), (409, "agent_exists"));
    assert_eq!(defs(&daemon).await?.len(), 1);
    assert_eq!(
        daemon.note("Agents/eng").await?.context("the note")?["content"],
        "You do."
    );
    assert_eq!(daemon.note("Agents/a").await?, None);
    Ok(())
}

#[tokio::test]
async fn ac_178_the_former_word_for_attached_is_stored_as_attached() -> Result<()> {
    let daemon = one().await?;
    let body = json!({"vault": "default", "name": "eng", "backend": "channel"});
    let made: Value = make(&daemon, body).await?.ok()?;
    assert_eq!(made["def"]["backend"], "attached");
    let note = daemon.note("Agents/eng").await?.context("the note")?;
    assert_eq!(note["metadata"]["backend"], "attached");
    Ok(())
}

#[tokio::test]
async fn ac_179_an_edit_counts_at_once() -> Result<()> {
    let daemon = one().await?;
    let id = text(&made(&daemon, "eng").await?["noteId"])?;
    let body =
        json!({"systemPrompt": "You test.", "wants": "env:github", "metadata": {"max_turns": 7, "model": "opus"}});
    let reply = edit(&daemon, &id, body).await?;
    assert_eq!((reply.status, &reply.body["ok"]), (200, &json!(true)));
    assert_eq!(reply.body["def"]["systemPrompt"], "You test.");
    assert_eq!(daemon.agents().await?[0]["prompt_preview"], "You test.");
    let note = daemon.note("Agents/eng").await?.context("the note")?;
    assert_eq!(
        (&note["metadata"]["max_turns"], &note["content"]),
        (&json!("7"), &json!("You test."))
    );
    let reply: Value = edit(&daemon, &id, json!({"wants": "", "metadata": {"model": null}}))
        .await?
        .ok()?;
    assert_eq!((&reply["def"]["wants"], reply["def"].get("model")), (&json!([]), None));
    for (body, code) in [
        (json!({}), "invalid_body"),
        (json!({"metadata": {}}), "invalid_body"),
        (json!({"systemPrompt": 7}), "invalid_body"),
        (json!({"wants": ["env:x"]}), "invalid_body"),
        (json!({"metadata": "x"}), "invalid_body"),
    ] {
        assert_eq!(refusal(&edit(&daemon, &id, body.clone()).await?), (400, code), "{body}");
    }
    let nobody = edit(&daemon, "nobody", json!({"systemPrompt": "x"})).await?;
    assert_eq!(refusal(&nobody), (404, "unknown_definition"));
    Ok(())
}

#[tokio::test]
async fn ac_157_an_edit_that_would_break_it_is_refused_and_the_agent_goes_on_as_it_was() -> Result<()> {
    let daemon = one().await?;
    let id = text(&made(&daemon, "eng").await?["noteId"])?;
    made(&daemon, "ops").await?;
    let before = until_enabled(&daemon, "Agents/eng").await?;
    let wrong =
        json!({"systemPrompt": "Broken.", "wants": "vault:team", "metadata": {"mode": "odd", "timeout_wall": "soon"}});
    let reply = edit(&daemon, &id, wrong).await?;
    assert_eq!(refusal(&reply), (400, "invalid_definition"));
    assert_eq!(keys(&reply.body["problems"]), ["mode", "wants", "timeout_wall"]);
    let taken = edit(&daemon, &id, json!({"metadata": {"name": "ops"}})).await?;
    assert_eq!(refusal(&taken), (409, "agent_exists"));
    assert_eq!(daemon.note("Agents/eng").await?, Some(before));
    let sent = daemon.send("eng", "[[reply still here]]").await?;
    daemon.wait_turn("eng", &sent).await?;
    let shown = get(&daemon, &["api", "agents", "eng"]).await?;
    assert_eq!((&shown["prompt"], &shown["problems"]), (&json!("You do."), &json!([])));
    Ok(())
}

#[tokio::test]
async fn ac_154_ac_180_a_definition_is_removed_note_first() -> Result<()> {
    let daemon = one().await?;
    let body = json!({"vault": "default", "name": "eng", "systemPrompt": "You do.", "wants": "env:github"});
    let created: Value = make(&daemon, body).await?.ok()?;
    let id = text(&created["def"]["noteId"])?;
    let reply: Value = remove(&daemon, &id).await?.ok()?;
    let expected = json!({"ok": true, "vault": "default", "name": "eng", "grantsReconciled": true, "removed": true});
    assert_eq!(reply, expected);
    assert_eq!(daemon.note("Agents/eng").await?, None);
    assert_eq!((daemon.agents().await?, defs(&daemon).await?), (vec![], vec![]));
    assert_eq!(refusal(&remove(&daemon, &id).await?), (404, "unknown_definition"));
    Ok(())
}

#[tokio::test]
async fn ac_147_one_identity_in_two_vaults_means_neither() -> Result<()> {
    let daemon = Daemon::builder().stand_in().config(TWO).start().await?;
    for (vault, name) in [("first", "eng"), ("second", "ops")] {
        let note = json!({"id": "same", "path": "Agents/x", "content": "You do.", "tags": ["agent/definition"],
            "metadata": {"name": name}});
        let reply = ask(&daemon, Method::POST, &["vault", vault, "api", "notes"], Some(note)).await?;
        reply.ok::<Value>()?;
    }
    eventually("both are live", LIMIT, async || {
        Ok((defs(&daemon).await?.len() == 2).then_some(()))
    })
    .await?;
    let path = ["api", "agent-defs", "same"];
    for (method, body) in [
        (Method::GET, None),
        (Method::PATCH, Some(json!({"systemPrompt": "x"}))),
        (Method::DELETE, None),
    ] {
        let reply = ask(&daemon, method.clone(), &path, body).await?;
        assert_eq!(refusal(&reply), (409, "ambiguous"), "{method}");
        assert!(
            reply.body["message"]
                .as_str()
                .unwrap_or_default()
                .contains("first, second")
        );
    }
    let answer = daemon
        .ask_in("GET", "/api/agent-defs/same?vault=second", b"")
        .await?
        .json()?;
    assert_eq!(answer["def"]["name"], "ops");
    let only = define(&daemon, "second", "only", &json!({})).await?;
    assert_eq!(
        get(&daemon, &["api", "agent-defs", &only]).await?["def"]["vault"],
        "second"
    );
    Ok(())
}
