//! Definitions by the API of older clients: `/api/agent-defs`.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT};
use reveille_tests::eventually;
use reveille_tests::parachute::{Parachute, Version};
use serde_json::{Value, json};

use super::held::Held;
use super::{
    asked, daemon, defined, delete, each, get, list, listed, meta, notes, patch, post, refused, stamped, text,
};

const DEFS: [&str; 2] = ["api", "agent-defs"];

/// All definitions that are listed.
pub(crate) async fn defs(daemon: &Daemon) -> Result<Vec<Value>> {
    let told: Value = get(daemon, &DEFS).await?.ok()?;
    Ok(list(&told, "defs")?.clone())
}

/// One of them.
pub(crate) async fn def(daemon: &Daemon, name: &str) -> Result<Value> {
    let defs = defs(daemon).await?;
    let found = defs.iter().find(|def| def["name"] == name);
    found.cloned().with_context(|| format!("{name} in {defs:?}"))
}

async fn create(daemon: &Daemon, body: &Value) -> Result<Value> {
    let reply = post(daemon, &DEFS, body).await?;
    assert_eq!((reply.status, &reply.body["ok"]), (201, &json!(true)), "{}", reply.body);
    Ok(reply.body["def"].clone())
}

#[tokio::test]
async fn ac_148_149_176_177_a_definition_is_listed_and_shown_whole() -> Result<()> {
    let daemon = daemon().await?;
    assert_eq!(defs(&daemon).await?, Vec::<Value>::new());
    let long = "x".repeat(499) + "!";
    let note = defined(
        &daemon,
        "writer",
        &long,
        &json!({ "mode": "multi-threaded", "model": "sonnet" }),
        "enabled",
    )
    .await?;
    defined(&daemon, "adder", "You add.", &json!({}), "enabled").await?;
    let all = defs(&daemon).await?;
    assert_eq!(each(&all, "name"), ["adder", "writer"]);
    let writer = &all[1];
    for (key, value) in [
        ("noteId", note["id"].clone()),
        ("backend", json!("programmatic")),
        ("mode", json!("multi-threaded")),
        ("vault", json!("default")),
        ("status", json!("enabled")),
        ("pending", json!([])),
        ("wants", json!([])),
        ("connections", json!([])),
        ("model", json!("sonnet")),
        ("channel", json!("writer")),
        ("source", json!("def")),
    ] {
        assert_eq!(writer[key], value, "{key} of {writer}");
    }
    let preview = text(writer, "systemPromptPreview").trim_end_matches('…');
    assert!(
        (199..=200).contains(&preview.len()) && long.starts_with(preview),
        "{preview}"
    );
    assert!(!format!("{all:?}").contains(daemon.token()));

    let shown: Value = get(&daemon, &["api", "agent-defs", text(&note, "id")]).await?.ok()?;
    let shown = &shown["def"];
    assert_eq!(
        json!([
            shown["systemPrompt"],
            shown["mode"],
            shown["backend"],
            shown["wants"],
            shown["name"]
        ]),
        json!([long, "multi-threaded", "programmatic", [], "writer"])
    );
    refused(
        &get(&daemon, &["api", "agent-defs", "nothing"]).await?,
        404,
        &["nothing"],
    )?;
    // A note that is no definition is none here either.
    let other = daemon.note_put("Notes/other", "x", &[], &json!({})).await?;
    refused(
        &get(&daemon, &["api", "agent-defs", text(&other, "id")]).await?,
        404,
        &[],
    )?;
    Ok(())
}

#[tokio::test]
async fn ac_176_177_178_179_180_182_without_a_token_nobody_gets_in_and_a_turn_only_reads() -> Result<()> {
    let daemon = daemon().await?;
    let note = defined(&daemon, "eng", "You are an engineer.", &json!({}), "enabled").await?;
    let one = format!("/api/agent-defs/{}", text(&note, "id"));
    let doors = [
        ("GET", "/api/agent-defs", json!(null)),
        ("GET", &one, json!(null)),
        (
            "POST",
            "/api/agent-defs",
            json!({ "vault": "default", "name": "other" }),
        ),
        ("PATCH", &one, json!({ "systemPrompt": "x" })),
        ("DELETE", &one, json!(null)),
        ("GET", "/api/agents", json!(null)),
    ];
    let held = Held::new(&daemon, "eng").await?;
    for (method, target, body) in &doors {
        let without = daemon.ask(method, target, &[], body.to_string().as_bytes()).await?;
        assert_eq!(without.status, 401, "{method} {target}");
        if *method != "GET" {
            let answer = held.ask(&daemon, method, target, body).await?;
            assert_eq!(answer.status, 403, "{method} {target}");
        }
    }
    held.let_go()?;
    daemon.wait_turn("eng", &held.sent).await?;
    assert_eq!(each(&defs(&daemon).await?, "name"), ["eng"]);
    assert_eq!(
        text(&daemon.note("Agents/eng").await?.context("the note")?, "content"),
        "You are an engineer."
    );
    Ok(())
}

#[tokio::test]
async fn ac_178_a_definition_is_made_and_its_agent_is_there() -> Result<()> {
    let daemon = daemon().await?;
    let body = json!({
        "vault": "default", "name": "writer", "systemPrompt": "You write.", "wants": "service:none",
        "metadata": { "mode": "multi-threaded", "max_turns": 5, "paused": false, "nothing": null, "name": "other", "wants": "x" },
    });
    // What stands in the bag under a name of its own gives way; what is wrong is told before anything is written.
    let told = post(&daemon, &DEFS, &body).await?;
    refused(&told, 400, &["wants"])?;
    assert_eq!(notes(&daemon, "agent/definition").await?, Vec::<Value>::new());

    let body = json!({
        "vault": "default", "name": "writer", "systemPrompt": "You write.", "wants": "env:github",
        "metadata": { "mode": "multi-threaded", "max_turns": 5, "paused": false, "nothing": null, "name": "other", "wants": "x" },
    });
    let made = create(&daemon, &body).await?;
    assert_eq!(
        json!([made["name"], made["mode"], made["status"]]),
        json!(["writer", "multi-threaded", "pending"])
    );
    assert_eq!(each(&defs(&daemon).await?, "name"), ["writer"]);
    let note = daemon.note("Agents/writer").await?.context("the note")?;
    assert_eq!((&note["content"], &note["id"]), (&json!("You write."), &made["noteId"]));
    let said = ["name", "wants", "mode", "max_turns", "paused"].map(|key| meta(&note, key));
    assert_eq!(said, ["writer", "env:github", "multi-threaded", "5", "false"]);
    assert_eq!(note["metadata"].get("nothing"), None);
    assert_eq!(asked(&daemon, "writer", "[[reply here]]").await?, "here");

    let again = json!({ "vault": "default", "name": "writer", "systemPrompt": "Another." });
    refused(&post(&daemon, &DEFS, &again).await?, 409, &["writer"])?;
    for (body, words) in [
        (json!({ "name": "x" }), &["vault"][..]),
        (json!({ "vault": "", "name": "x" }), &["vault"]),
        (json!({ "vault": "nowhere", "name": "x" }), &["nowhere"]),
        (json!({ "vault": "default" }), &["name"]),
        (json!({ "vault": "default", "name": "" }), &["name"]),
        (json!({ "vault": "default", "name": "two words" }), &["name"]),
        (json!({ "vault": "default", "name": "../up" }), &["name"]),
        (json!({ "vault": "default", "name": 7 }), &[]),
        (
            json!({ "vault": "default", "name": "x", "backend": "magic" }),
            &["backend"],
        ),
        (json!({ "vault": "default", "name": "x", "backend": 1 }), &[]),
        (json!({ "vault": "default", "name": "x", "systemPrompt": 7 }), &[]),
        (json!({ "vault": "default", "name": "x", "wants": 7 }), &[]),
        (
            json!({ "vault": "default", "name": "x", "wants": "vault:other" }),
            &["wants"],
        ),
        (json!({ "vault": "default", "name": "x", "metadata": [] }), &[]),
        (json!({ "vault": "default", "name": "x", "metadata": "mode" }), &[]),
        (
            json!({ "vault": "default", "name": "x", "metadata": { "mode": "chaos" } }),
            &["mode"],
        ),
        (json!([]), &[]),
        (json!("x"), &[]),
    ] {
        refused(&post(&daemon, &DEFS, &body).await?, 400, words).with_context(|| body.to_string())?;
    }
    assert_eq!(
        notes(&daemon, "agent/definition").await?,
        [daemon.note("Agents/writer").await?.unwrap()]
    );
    Ok(())
}

#[tokio::test]
async fn ac_157_179_an_edit_is_judged_before_it_is_written() -> Result<()> {
    let daemon = daemon().await?;
    let made = create(
        &daemon,
        &json!({ "vault": "default", "name": "writer", "systemPrompt": "You write." }),
    )
    .await?;
    let path = ["api", "agent-defs", text(&made, "noteId")];
    stamped(&daemon, "Agents/writer", "enabled").await?;
    let before = daemon.note("Agents/writer").await?.context("the note")?;
    for (change, words) in [
        (json!({ "systemPrompt": 7 }), &[][..]),
        (json!({ "metadata": 7 }), &[]),
        (json!({ "metadata": { "mode": "chaos" } }), &["mode"]),
        (
            json!({ "metadata": { "model": "two words" }, "systemPrompt": "Not this." }),
            &["model"],
        ),
        (json!({ "metadata": { "name": "" } }), &["name"]),
        (json!({ "metadata": { "name": "a b" } }), &["name"]),
        (json!({ "metadata": { "backend": "interactive" } }), &["interactive"]),
        (json!({ "wants": "surface:desk" }), &["wants"]),
        (json!({}), &[]),
        (json!([]), &[]),
    ] {
        refused(&patch(&daemon, &path, &change).await?, 400, words).with_context(|| change.to_string())?;
        assert_eq!(
            daemon.note("Agents/writer").await?.context("the note")?,
            before,
            "{change}"
        );
    }
    refused(
        &patch(
            &daemon,
            &["api", "agent-defs", "nothing"],
            &json!({ "systemPrompt": "x" }),
        )
        .await?,
        404,
        &["nothing"],
    )?;

    let change = json!({ "systemPrompt": "You write well.", "wants": "env:github", "metadata": { "model": "opus", "timeout_idle": 90 } });
    let reply = patch(&daemon, &path, &change).await?;
    // A number without a unit is no span.
    refused(&reply, 400, &["timeout_idle"])?;
    let change = json!({ "systemPrompt": "You write well.", "wants": "env:github", "metadata": { "model": "opus", "max_turns": 9 } });
    let told: Value = patch(&daemon, &path, &change).await?.ok()?;
    assert_eq!(
        json!([
            told["ok"],
            told["def"]["systemPrompt"],
            told["def"]["model"],
            told["def"]["status"]
        ]),
        json!([true, "You write well.", "opus", "pending"])
    );
    let note = stamped(&daemon, "Agents/writer", "pending").await?;
    assert_eq!(
        [text(&note, "content"), meta(&note, "model"), meta(&note, "max_turns")],
        ["You write well.", "opus", "9"]
    );
    let told: Value = patch(&daemon, &path, &json!({ "wants": "" })).await?.ok()?;
    assert_eq!(
        json!([told["def"]["wants"], told["def"]["status"]]),
        json!([[], "enabled"])
    );
    stamped(&daemon, "Agents/writer", "enabled").await?;
    // A new name is a rename and no second agent.
    let told: Value = patch(&daemon, &path, &json!({ "metadata": { "name": "author" } }))
        .await?
        .ok()?;
    assert_eq!(told["def"]["name"], json!("author"));
    assert_eq!(each(&defs(&daemon).await?, "name"), ["author"]);
    assert_eq!(asked(&daemon, "author", "[[reply here]]").await?, "here");
    Ok(())
}

#[tokio::test]
async fn ac_179_a_name_that_another_one_has_is_not_taken_by_an_edit() -> Result<()> {
    let daemon = daemon().await?;
    create(&daemon, &json!({ "vault": "default", "name": "first" })).await?;
    let second = create(&daemon, &json!({ "vault": "default", "name": "second" })).await?;
    let path = ["api", "agent-defs", text(&second, "noteId")];
    refused(
        &patch(&daemon, &path, &json!({ "metadata": { "name": "first" } })).await?,
        409,
        &["first"],
    )?;
    assert_eq!(each(&defs(&daemon).await?, "name"), ["first", "second"]);
    Ok(())
}

#[tokio::test]
async fn ac_154_180_a_definition_is_removed_with_its_agent() -> Result<()> {
    let daemon = daemon().await?;
    let made = create(
        &daemon,
        &json!({ "vault": "default", "name": "writer", "wants": "env:github" }),
    )
    .await?;
    let path = ["api", "agent-defs", text(&made, "noteId")];
    let told: Value = delete(&daemon, &path).await?.ok()?;
    assert_eq!(
        told,
        json!({ "ok": true, "vault": "default", "name": "writer", "grantsReconciled": true, "removed": true })
    );
    assert_eq!(
        (daemon.note("Agents/writer").await?, listed(&daemon, "writer").await?),
        (None, None)
    );
    refused(&delete(&daemon, &path).await?, 404, &[])?;
    let connections: Value = get(&daemon, &["api", "connections"]).await?.ok()?;
    assert_eq!(connections["connections"], json!([]));
    Ok(())
}

#[tokio::test]
async fn ac_154_177_178_179_180_a_vault_that_fails_is_a_bad_gateway() -> Result<()> {
    let peer = Parachute::start(Version::July)?;
    let daemon = super::with_peer(&peer).await?;
    super::until_read(&daemon).await?;
    let made = create(
        &daemon,
        &json!({ "vault": "default", "name": "writer", "systemPrompt": "You write." }),
    )
    .await?;
    let path = ["api", "agent-defs", text(&made, "noteId")];
    peer.set_faults(|faults| faults.status = Some(500));
    refused(&delete(&daemon, &path).await?, 502, &[])?;
    refused(
        &patch(&daemon, &path, &json!({ "systemPrompt": "Other." })).await?,
        502,
        &[],
    )?;
    refused(
        &post(&daemon, &DEFS, &json!({ "vault": "default", "name": "other" })).await?,
        502,
        &[],
    )?;
    peer.set_faults(|faults| faults.status = None);
    assert_eq!(each(&defs(&daemon).await?, "name"), ["writer"]);
    eventually("it can be changed again", LIMIT, async || {
        let reply = patch(&daemon, &path, &json!({ "systemPrompt": "Other." })).await?;
        Ok((reply.status == 200).then_some(()))
    })
    .await?;
    assert_eq!(asked(&daemon, "writer", "[[reply here]]").await?, "here");
    let told: Value = delete(&daemon, &path).await?.ok()?;
    assert_eq!(told["removed"], json!(true));
    eventually("the agent is gone", LIMIT, async || {
        Ok(listed(&daemon, "writer").await?.is_none().then_some(()))
    })
    .await
}

#[tokio::test]
async fn ac_178_of_many_that_make_one_name_one_does() -> Result<()> {
    let daemon = daemon().await?;
    let body = json!({ "vault": "default", "name": "writer", "systemPrompt": "You write." });
    let one = async || post(&daemon, &DEFS, &body).await;
    let replies = futures_util::future::try_join_all((0..12).map(|_| one())).await?;
    let mut statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    let mut expected = vec![409; 12];
    expected[0] = 201;
    assert_eq!(statuses, expected);
    assert_eq!(notes(&daemon, "agent/definition").await?.len(), 1);
    Ok(())
}
