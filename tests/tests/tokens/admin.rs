//! `/vault/{name}/tokens`: making, listing and revoking.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use serde_json::{Value, json};

use super::{Holder, NOTES, TOKENS, coded, note, started};

async fn make(daemon: &Daemon, asked: &Value) -> Result<(u16, Value)> {
    let answer = daemon.ask_in("POST", TOKENS, asked.to_string().as_bytes()).await?;
    Ok((answer.status, answer.json()?))
}

#[tokio::test]
async fn a_token_is_made_as_asked_and_its_text_is_told_once() -> Result<()> {
    let daemon = started().await?;
    note(&daemon, "n", &["work", "home/garden"]).await?;
    let full = json!(["vault:read", "vault:write", "vault:admin"]);
    let far = "2199-01-01T00:00:00.000Z";
    for (asked, label, permission, scopes, tags, ends) in [
        (json!({}), Value::Null, "full", full.clone(), Value::Null, Value::Null),
        (
            json!({ "label": " laptop ", "scopes": ["vault:read"] }),
            json!("laptop"),
            "read",
            json!(["vault:read"]),
            Value::Null,
            Value::Null,
        ),
        (
            json!({ "scope": "vault:write vault:default:read", "expires_at": "2199-01-01T00:00:00Z" }),
            Value::Null,
            "full",
            json!(["vault:read", "vault:write"]),
            Value::Null,
            json!(far),
        ),
        (
            json!({ "scopes": ["vault:read", "vault:read"], "tags": ["#work", "home", "work"], "label": null }),
            Value::Null,
            "read",
            json!(["vault:read"]),
            json!(["home", "work"]),
            Value::Null,
        ),
    ] {
        let (status, mut made) = make(&daemon, &asked).await?;
        let holder = Holder::of(&made).with_context(|| made.to_string())?;
        let created = made["created_at"].clone();
        assert!(created.as_str().is_some_and(|text| text.ends_with('Z')), "{made}");
        let listed = json!({
            "id": holder.id, "label": label, "permission": permission, "scopes": scopes, "scoped_tags": tags,
            "expires_at": ends, "created_at": created, "last_used_at": null,
        });
        for once in ["token", "notice"] {
            made.as_object_mut().map(|made| made.remove(once));
        }
        assert_eq!((status, &made), (201, &listed), "{asked}");
        let list = daemon.ask_in("GET", TOKENS, b"").await?.json()?;
        let last = list["tokens"].as_array().and_then(|tokens| tokens.last());
        assert_eq!(last, Some(&listed));
        assert!(!list.to_string().contains("pvt_"), "{list}");
        assert_eq!(holder.get(&daemon, NOTES).await?.status, 200);
        let list = daemon.ask_in("GET", TOKENS, b"").await?.json()?;
        let last = list["tokens"]
            .as_array()
            .and_then(|tokens| tokens.last())
            .context("a token")?;
        assert!(last["last_used_at"].is_string(), "{last}");
    }
    // Without a body too; then, and only then, it says that this is a good deal.
    let whole = daemon.ask_in("POST", TOKENS, b"").await?;
    assert_eq!(whole.status, 201);
    for (made, expected) in [
        (whole.json()?, true),
        (make(&daemon, &json!({ "label": "x" })).await?.1, true),
        (make(&daemon, &json!({ "scopes": ["vault:read"] })).await?.1, false),
        (make(&daemon, &json!({ "scope": "vault:admin" })).await?.1, false),
    ] {
        let notice = made["notice"]
            .as_str()
            .is_some_and(|notice| notice.contains("Name `scopes`"));
        assert_eq!(notice, expected, "{made}");
    }
    Ok(())
}

/// A word that counts for nothing would hold the token back from nothing.
#[tokio::test]
async fn a_misspelt_limit_makes_no_token() -> Result<()> {
    let daemon = started().await?;
    for (asked, field) in [
        (json!({ "scpoes": ["vault:read"] }), "scpoes"),
        (json!({ "Scopes": ["vault:read"] }), "Scopes"),
        (json!({ "scopes": ["vault:read"], "tag": ["work"] }), "tag"),
        (json!({ "permission": "read" }), "permission"),
        (
            json!({ "scopes": ["vault:read"], "expiresAt": "2199-01-01T00:00:00Z" }),
            "expiresAt",
        ),
    ] {
        let answer = daemon.ask_in("POST", TOKENS, asked.to_string().as_bytes()).await?;
        let told = json!({ "error": "Bad Request", "error_type": "bad_request", "field": field });
        assert_eq!(coded(&answer)?, (400, told), "{asked}");
    }
    let list = daemon.ask_in("GET", TOKENS, b"").await?.json()?;
    assert_eq!(list, json!({ "tokens": [] }));
    // Nor a trigger that tells of every note.
    let when = json!({ "tags": ["work"] });
    let action = json!({ "webhook": "http://127.0.0.1:9/x" });
    for trigger in [
        json!({ "name": "t", "whn": when, "action": action }),
        json!({ "name": "t", "when": when, "action": { "webhook": "http://127.0.0.1:9/x", "atuh": { "bearer": "x" } } }),
    ] {
        let answer = daemon
            .ask_in("POST", "/vault/default/api/triggers", trigger.to_string().as_bytes())
            .await?;
        assert_eq!(answer.status, 400, "{trigger}");
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_named() -> Result<()> {
    let daemon = started().await?;
    note(&daemon, "n", &["work"]).await?;
    for (asked, more) in [
        (
            json!({ "expires_at": "2020-01-01T00:00:00Z" }),
            json!({ "field": "expires_at" }),
        ),
        (
            json!({ "tags": ["work", "nothing", "else"] }),
            json!({ "unknown_tags": ["else", "nothing"] }),
        ),
        (json!({ "tags": ["work/plans"] }), json!({ "field": "tags" })),
        (json!({ "tags": ["#"] }), json!({ "field": "tags" })),
        (json!({ "scopes": [] }), json!({ "field": "scopes" })),
        (json!({ "scope": " " }), json!({ "field": "scopes" })),
    ] {
        let answer = daemon.ask_in("POST", TOKENS, asked.to_string().as_bytes()).await?;
        let mut body = json!({ "error": "Bad Request", "error_type": "bad_request" });
        body.as_object_mut()
            .context("an object")?
            .extend(more.as_object().context("an object")?.clone());
        assert_eq!(coded(&answer)?, (400, body), "{asked}");
    }
    let foreign = [
        "vault:elsewhere:read",
        "agent:send",
        "reveille:admin",
        "vault:send",
        "vault:read ",
    ];
    let (status, told) = make(&daemon, &json!({ "scopes": ["vault:read", foreign[0], foreign[1]] })).await?;
    let rejected = told["rejected"].as_array().context("a list")?;
    let named: Vec<_> = rejected.iter().filter_map(|one| one["scope"].as_str()).collect();
    assert_eq!((status, named), (400, vec![foreign[0], foreign[1]]));
    assert!(rejected.iter().all(|one| one["reason"].is_string()), "{told}");
    for scope in foreign {
        assert_eq!(make(&daemon, &json!({ "scopes": [scope] })).await?.0, 400, "{scope}");
    }
    for asked in [
        json!({ "scopes": "vault:read" }),
        json!({ "scope": ["vault:read"] }),
        json!({ "label": 7 }),
        json!({ "label": "x".repeat(201) }),
        json!({ "tags": "work" }),
        json!({ "expires_at": "tomorrow" }),
        json!([]),
    ] {
        assert_eq!(make(&daemon, &asked).await?.0, 400, "{asked}");
    }
    let list = daemon.ask_in("GET", TOKENS, b"").await?.json()?;
    assert_eq!(list, json!({ "tokens": [] }));
    let unknown = daemon.ask_in("POST", "/vault/elsewhere/tokens", b"{}").await?;
    assert_eq!(unknown.status, 404);
    assert_eq!(daemon.ask_in("PATCH", TOKENS, b"{}").await?.status, 405);
    Ok(())
}

#[tokio::test]
async fn a_revoked_token_ends_at_once_and_stays_ended() -> Result<()> {
    let mut daemon = started().await?;
    let admin = Holder::with(&daemon, "admin").await?;
    let (lost, kept) = (
        Holder::with(&daemon, "read").await?,
        Holder::with(&daemon, "read").await?,
    );
    assert_eq!(lost.get(&daemon, NOTES).await?.status, 200);
    let target = format!("{TOKENS}/{}", lost.id);
    let gone = admin.ask(&daemon, "DELETE", &target, &Value::Null).await?;
    assert_eq!(
        (gone.status, gone.json()?),
        (200, json!({ "revoked": true, "id": lost.id, "known": true }))
    );
    let told = json!({ "error": "Unauthorized", "error_type": "unauthorized" });
    assert_eq!(coded(&lost.get(&daemon, NOTES).await?)?, (401, told.clone()));
    // It is gone, whether or not it was there.
    for target in [target, format!("{TOKENS}/t_000000000000"), format!("{TOKENS}/nothing")] {
        let again = admin.ask(&daemon, "DELETE", &target, &Value::Null).await?.json()?;
        assert_eq!(
            (&again["revoked"], &again["known"]),
            (&json!(true), &json!(false)),
            "{target}"
        );
    }
    daemon.kill9().await?;
    daemon.start().await?;
    assert_eq!(coded(&lost.get(&daemon, NOTES).await?)?, (401, told));
    assert_eq!(kept.get(&daemon, NOTES).await?.status, 200);
    // An admin may take its own away.
    let own = format!("{TOKENS}/{}", admin.id);
    assert_eq!(admin.ask(&daemon, "DELETE", &own, &Value::Null).await?.status, 200);
    assert_eq!(admin.get(&daemon, TOKENS).await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn a_token_makes_none_that_outlives_it() -> Result<()> {
    let daemon = started().await?;
    let ends = "2199-01-01T00:00:00.000Z";
    let admin = Holder::new(&daemon, json!({ "expires_at": ends })).await?;
    for (asked, expected) in [
        (json!({}), ends),
        (json!({ "expires_at": "2299-01-01T00:00:00Z" }), ends),
        (
            json!({ "expires_at": "2198-01-01T00:00:00Z" }),
            "2198-01-01T00:00:00.000Z",
        ),
    ] {
        let made = admin.ask(&daemon, "POST", TOKENS, &asked).await?.json()?;
        assert_eq!(made["expires_at"], expected, "{asked}");
    }
    Ok(())
}
