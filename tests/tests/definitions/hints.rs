//! `/api/vault/agent-def` and its siblings: somebody says that a note was written.

use anyhow::Result;
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use serde_json::{Value, json};

use super::{DEFINITION, TWO, ask, defs, one, text};

async fn hint(daemon: &Daemon, kind: &str, body: Value) -> Result<(u16, Value)> {
    let reply = ask(daemon, Method::POST, &["api", "vault", kind], Some(body)).await?;
    Ok((reply.status, reply.body))
}

#[tokio::test]
async fn ac_174_a_hint_is_followed_and_says_what_became_of_the_note() -> Result<()> {
    let daemon = one().await?;
    let note = daemon
        .note_put("Agents/eng", "You do.", &[DEFINITION], &json!({"name": "eng"}))
        .await?;
    let id = text(&note["id"])?;
    for body in [
        json!({"event": "created", "note": {"id": id}}),
        json!({"event": "updated", "note": {"id": id}}),
        json!({"event": "whatever", "vault": "default", "note": {"path": "Agents/eng"}}),
    ] {
        let answer = hint(&daemon, "agent-def", body).await?;
        assert_eq!(answer, (200, json!({"ok": true, "reloaded": "instantiated"})));
    }
    assert_eq!(defs(&daemon).await?.len(), 1);
    // The note decides, not the event.
    let answer = hint(&daemon, "agent-def", json!({"event": "deleted", "note": {"id": id}})).await?;
    assert_eq!(answer.1["reloaded"], "instantiated");
    daemon
        .note_put(
            "Agents/eng",
            "You do.",
            &[DEFINITION],
            &json!({"name": "eng", "mode": "odd"}),
        )
        .await?;
    ask(
        &daemon,
        Method::DELETE,
        &["vault", "default", "api", "notes", &id],
        None,
    )
    .await?;
    let answer = hint(&daemon, "agent-def", json!({"note": {"id": id}})).await?;
    assert_eq!(answer, (200, json!({"ok": true, "reloaded": "deregistered"})));
    let elsewhere = hint(&daemon, "agent-def", json!({"vault": "nowhere", "note": {"id": id}})).await?;
    assert_eq!(elsewhere, (200, json!({"ok": true, "reloaded": "skipped"})));
    Ok(())
}

#[tokio::test]
async fn ac_174_ac_175_a_hint_without_a_right_or_a_note_is_refused() -> Result<()> {
    let daemon = one().await?;
    for kind in ["agent-def", "agent-thread", "role"] {
        let target = format!("/api/vault/{kind}");
        let body = json!({"note": {"id": "n"}}).to_string();
        for headers in [
            &[][..],
            &[("authorization", "Bearer wrong")],
            &[("x-channel-webhook-secret", daemon.token())],
        ] {
            let answer = daemon.ask("POST", &target, headers, body.as_bytes()).await?;
            assert_eq!(answer.status, 401, "{kind} {headers:?}");
        }
        for body in [
            json!({}),
            json!({"note": {}}),
            json!({"note": {"id": ""}}),
            json!({"note": {"id": 7}}),
        ] {
            assert_eq!(hint(&daemon, kind, body.clone()).await?.0, 400, "{kind} {body}");
        }
        let broken = daemon.ask_in("POST", &target, b"{").await?;
        assert_eq!(broken.status, 400);
    }
    Ok(())
}

#[tokio::test]
async fn ac_151_ac_174_of_several_vaults_one_has_to_be_named() -> Result<()> {
    let daemon = Daemon::builder().stand_in().config(TWO).start().await?;
    let put = async |vault: &str, name: &str| -> Result<String> {
        let note = daemon
            .note_put_in(
                vault,
                &format!("Agents/{name}"),
                "You do.",
                &[DEFINITION],
                &json!({ "name": name }),
            )
            .await?;
        text(&note["id"])
    };
    let eng = put("second", "eng").await?;
    let named = hint(&daemon, "agent-def", json!({"vault": "second", "note": {"id": eng}})).await?;
    assert_eq!(named, (200, json!({"ok": true, "reloaded": "instantiated"})));
    // Only one of them defines agents.
    let sole = hint(&daemon, "agent-def", json!({"note": {"id": eng}})).await?;
    assert_eq!(sole.1["reloaded"], "instantiated");
    let ops = put("first", "ops").await?;
    let named = hint(&daemon, "agent-def", json!({"vault": "first", "note": {"id": ops}})).await?;
    assert_eq!(named.1["reloaded"], "instantiated");
    let (status, body) = hint(&daemon, "agent-def", json!({"note": {"id": ops}})).await?;
    assert_eq!((status, &body["error"]), (400, &json!("vault_needed")));
    Ok(())
}

#[tokio::test]
async fn ac_169_a_hint_of_a_role_says_what_becomes_of_its_wants() -> Result<()> {
    let daemon = one().await?;
    for (path, metadata, tag, expected) in [
        ("Roles/a", json!({"wants": "env:github"}), "plain", "pruned"),
        ("Roles/b", json!({"wants": "env:github"}), "agent/role", "reconciled"),
        ("Roles/c", json!({"wants": "github"}), "agent/role", "error"),
        ("Roles/d", json!({"wants": ""}), "agent/role", "pruned"),
    ] {
        let note = daemon.note_put(path, "You criticise.", &[tag], &metadata).await?;
        for named in [json!({"id": note["id"]}), json!({ "path": path })] {
            let answer = hint(&daemon, "role", json!({ "note": named })).await?;
            assert_eq!(answer, (200, json!({"ok": true, "reconciled": expected})), "{path}");
        }
    }
    let gone = hint(&daemon, "role", json!({"event": "deleted", "note": {"id": "nowhere"}})).await?;
    assert_eq!(gone, (200, json!({"ok": true, "reconciled": "pruned"})));
    let elsewhere = hint(&daemon, "role", json!({"vault": "nowhere", "note": {"id": "x"}})).await?;
    assert_eq!(elsewhere, (200, json!({"ok": true, "reconciled": "skipped"})));
    // Threads define nothing here.
    let thread = hint(&daemon, "agent-thread", json!({"note": {"id": "x"}})).await?;
    assert_eq!(thread, (200, json!({"ok": true, "reloaded": "skipped"})));
    Ok(())
}
