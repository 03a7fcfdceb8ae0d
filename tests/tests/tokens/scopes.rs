//! What the verbs of a token open, and what those get who have none.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::LIMIT;
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

use super::{Holder, NOTES, TOKENS, coded, note, started};

fn insufficient(class: &str, needed: &str, granted: &[&str]) -> (u16, Value) {
    let body = json!({
        "error": class, "error_type": "insufficient_scope", "required_scope": needed, "granted_scopes": granted,
        "granted": granted,
    });
    (403, body)
}

#[tokio::test]
async fn a_verb_includes_the_lower_ones() -> Result<()> {
    let daemon = started().await?;
    note(&daemon, "a", &[]).await?;
    let [read, write, admin] = [
        Holder::with(&daemon, "read").await?,
        Holder::with(&daemon, "default:write").await?,
        Holder::with(&daemon, "admin").await?,
    ];
    let one = format!("{NOTES}/a");
    let (new, patch) = (json!({ "content": "x" }), json!({ "append": "x" }));
    let null = Value::Null;
    // What the three get, in their order.
    for (method, target, body, needed, expected) in [
        ("GET", NOTES, &null, "", [200, 200, 200]),
        ("HEAD", NOTES, &null, "", [200, 200, 200]),
        ("GET", &one, &null, "", [200, 200, 200]),
        ("GET", "/vault/default", &null, "", [200, 200, 200]),
        ("GET", "/vault/default/api/health", &null, "", [200, 200, 200]),
        ("GET", "/vault/default/api/nothing", &null, "", [404, 404, 404]),
        ("POST", NOTES, &new, "write", [403, 201, 201]),
        ("PATCH", &one, &patch, "write", [403, 200, 200]),
        (
            "POST",
            "/vault/default/api/storage/upload",
            &null,
            "write",
            [403, 400, 400],
        ),
        ("PUT", NOTES, &null, "write", [403, 405, 405]),
        ("DELETE", &format!("{NOTES}/nothing"), &null, "write", [403, 404, 404]),
        ("GET", "/vault/default/api/tags", &null, "", [200, 200, 200]),
        ("PUT", "/vault/default/api/tags/t", &json!({}), "write", [403, 200, 200]),
        ("DELETE", "/vault/default/api/tags/t", &null, "admin", [403, 403, 200]),
        (
            "PATCH",
            "/vault/default/api/vault",
            &json!({}),
            "write",
            [403, 200, 200],
        ),
        ("GET", "/vault/default/api/triggers", &null, "admin", [403, 403, 200]),
        ("GET", TOKENS, &null, "admin", [403, 403, 200]),
        ("POST", TOKENS, &json!({}), "admin", [403, 403, 201]),
        ("DELETE", &format!("{TOKENS}/t_0"), &null, "admin", [403, 403, 200]),
    ] {
        let holders = [(&read, "read"), (&write, "write"), (&admin, "admin")];
        for ((holder, verb), expected) in holders.into_iter().zip(expected) {
            let answer = holder.ask(&daemon, method, target, body).await?;
            assert_eq!(answer.status, expected, "{method} {target} with {verb}");
            if answer.status == 403 {
                let granted = format!("vault:{verb}");
                let told = insufficient("Forbidden", &format!("vault:{needed}"), &[granted.as_str()]);
                assert_eq!(coded(&answer)?, told, "{method} {target} with {verb}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn without_a_token_nobody_learns_which_vaults_there_are() -> Result<()> {
    let daemon = started().await?;
    let read = Holder::with(&daemon, "read").await?;
    let nobody = json!({ "error": "Unauthorized", "error_type": "unauthorized", "message": "API key required" });
    let wrong = json!({ "error": "Unauthorized", "error_type": "unauthorized", "message": "Invalid API key" });
    let made_up = format!("Bearer pvt_{}", "A".repeat(32));
    for name in ["default", "elsewhere", "..", "%2e%2e"] {
        let target = format!("/vault/{name}/api/notes");
        for (headers, expected) in [(&[][..], &nobody), (&[("authorization", made_up.as_str())][..], &wrong)] {
            let answer = daemon.ask("GET", &target, headers, b"").await?;
            let mut body = answer.json()?;
            assert!(body["next_step"].is_string(), "{body}");
            body.as_object_mut().map(|body| body.remove("next_step"));
            assert_eq!((answer.status, &body), (401, expected), "{target}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{target}");
        }
    }
    // One for another vault learns no more, and the operator is told.
    let answer = read.get(&daemon, "/vault/elsewhere/api/notes").await?;
    let told = insufficient("Forbidden", "vault:read", &["vault:default:read"]);
    assert_eq!(coded(&answer)?, told);
    let answer = daemon.ask_in("GET", "/vault/elsewhere/api/notes", b"").await?;
    let told = json!({ "error": "Vault not found", "error_type": "vault_not_found", "vault": "elsewhere" });
    assert_eq!(coded(&answer)?, (404, told));

    let seen = json!({ "vaults": ["default"] });
    assert_eq!(daemon.ask("GET", "/vaults/list", &[], b"").await?.status, 401);
    assert_eq!(daemon.ask("GET", "/vaults", &[], b"").await?.status, 401);
    assert_eq!(read.get(&daemon, "/vaults/list").await?.json()?, seen);
    assert_eq!(daemon.ask_in("GET", "/vaults/list", b"").await?.json()?, seen);
    let shown = json!({ "vaults": [{ "name": "default", "kind": "embedded" }] });
    assert_eq!(read.get(&daemon, "/vaults").await?.json()?, shown);
    let status = daemon.ask("GET", "/auth/status", &[], b"").await?.json()?;
    assert_eq!((&status["vaults"], &status["initialized"]), (&json!([]), &json!(true)));
    let url = format!("http://{}/vault/default", daemon.authority()?);
    let status = read.get(&daemon, "/auth/status").await?.json()?;
    assert_eq!(status["vaults"], json!([{ "name": "default", "url": url }]));
    let wrong = daemon
        .ask("GET", "/auth/status", &[("authorization", &made_up)], b"")
        .await?;
    assert_eq!(wrong.status, 401);
    Ok(())
}

#[tokio::test]
async fn a_token_is_sent_in_a_header_and_never_in_the_url() -> Result<()> {
    let daemon = started().await?;
    let read = Holder::with(&daemon, "read").await?;
    let bearer = format!("Bearer {}", read.token);
    let token = read.token.as_str();
    for (headers, status) in [
        (&[("authorization", bearer.as_str())][..], 200),
        (&[("x-api-key", token)][..], 200),
        (&[("x-api-key", daemon.token())][..], 200),
        // The first that is there decides.
        (
            &[("authorization", bearer.as_str()), ("x-api-key", "pvt_wrong")][..],
            200,
        ),
        (&[("authorization", "Bearer pvt_wrong"), ("x-api-key", token)][..], 401),
        (&[("authorization", token)][..], 401),
        (&[("x-api-key", "")][..], 401),
        (&[("x-api-key", bearer.as_str())][..], 401),
    ] {
        let answer = daemon.ask("GET", NOTES, headers, b"").await?;
        assert_eq!(answer.status, status, "{headers:?}");
    }
    for query in [format!("key={token}"), format!("limit=1&key={}", daemon.token())] {
        let answer = daemon.ask("GET", &format!("{NOTES}?{query}"), &[], b"").await?;
        let told = json!({ "error": "Unauthorized", "error_type": "key_in_url" });
        assert_eq!(coded(&answer)?, (401, told));
    }
    assert!(!daemon.log()?.contains(token));
    Ok(())
}

#[tokio::test]
async fn the_daemon_itself_is_closed_to_tokens_of_a_vault() -> Result<()> {
    let daemon = started().await?;
    daemon.create_agent("eng", "You build.").await?;
    let admin = Holder::with(&daemon, "admin").await?;
    let send = json!({ "text": "hello" });
    for (method, target, needed) in [
        ("GET", "/api/agents", "reveille:read"),
        ("POST", "/api/agents", "reveille:admin"),
        ("DELETE", "/api/agents/eng", "reveille:admin"),
        ("POST", "/api/channels/eng/send", "reveille:send"),
        ("GET", "/api/channels/eng/messages", "reveille:read"),
        ("GET", "/api/channels/eng/turn-events", "reveille:read"),
        ("GET", "/api/undelivered", "reveille:read"),
        ("POST", "/api/sign-in-links", "reveille:admin"),
        ("GET", "/api/session", "reveille:read"),
        ("DELETE", "/api/session", "reveille:admin"),
    ] {
        let answer = admin.ask(&daemon, method, target, &send).await?;
        let told = insufficient("insufficient_scope", needed, &["vault:default:admin"]);
        assert_eq!(coded(&answer)?, told, "{method} {target}");
    }
    assert_eq!(daemon.messages("eng").await?.len(), 0);
    assert_eq!(daemon.agents().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_message_that_a_token_writes_wakes_an_agent() -> Result<()> {
    let daemon = started().await?;
    daemon.create_agent("eng", "You build.").await?;
    let write = Holder::with(&daemon, "write").await?;
    let message = json!({
        "content": "[[reply built]]", "tags": ["agent/message", "agent/message/inbound"], "metadata": { "agent": "eng" },
    });
    let made = write.ask(&daemon, "POST", NOTES, &message).await?;
    assert_eq!(made.status, 201);
    let listing = format!("{NOTES}?tag=agent/message/outbound&include_content=true");
    let reply = eventually("the reply is a note", LIMIT, async || {
        let found = write.get(&daemon, &listing).await?.json()?;
        Ok(found.as_array().and_then(|found| found.first()).cloned())
    })
    .await?;
    assert_eq!(reply["content"], "built");
    Ok(())
}

#[tokio::test]
async fn a_token_is_of_one_vault_and_no_other() -> Result<()> {
    let two = "[[vault]]\nname = \"first\"\n[[vault]]\nname = \"second\"\n";
    let daemon = Daemon::builder().stand_in().config(two).start().await?;
    let mut made = Vec::new();
    for name in ["first", "second"] {
        let answer = daemon.ask_in("POST", &format!("/vault/{name}/tokens"), b"{}").await?;
        made.push((name, Holder::of(&answer.json()?)?));
    }
    for (name, holder) in &made {
        assert_eq!(
            holder.get(&daemon, "/vaults/list").await?.json()?,
            json!({ "vaults": [name] })
        );
        for asked in ["first", "second", "elsewhere"] {
            let answer = holder.get(&daemon, &format!("/vault/{asked}/api/notes")).await?;
            if asked == *name {
                assert_eq!(answer.status, 200, "{name} at {asked}");
                continue;
            }
            // The same, whether or not there is one.
            let own = format!("vault:{name}:");
            let granted = ["read", "write", "admin"].map(|verb| format!("{own}{verb}"));
            let granted: Vec<&str> = granted.iter().map(String::as_str).collect();
            assert_eq!(
                coded(&answer)?,
                insufficient("Forbidden", "vault:read", &granted),
                "{name} at {asked}"
            );
        }
        let list = daemon
            .ask_in("GET", &format!("/vault/{name}/tokens"), b"")
            .await?
            .json()?;
        assert_eq!(list["tokens"].as_array().map(Vec::len), Some(1));
    }
    // An admin of one vault takes away no token of another one.
    let target = format!("/vault/first/tokens/{}", made[1].1.id);
    let answer = made[0].1.ask(&daemon, "DELETE", &target, &Value::Null).await?;
    assert_eq!((answer.status, &answer.json()?["known"]), (200, &json!(false)));
    assert_eq!(made[1].1.get(&daemon, "/vault/second/api/notes").await?.status, 200);
    Ok(())
}
