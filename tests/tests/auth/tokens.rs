//! Tokens of the daemon.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::LIMIT;
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::{Holder, TOKENS, code, started};

/// A time so many milliseconds from now.
fn in_millis(millis: u64) -> Result<String> {
    let since = (SystemTime::now() + Duration::from_millis(millis)).duration_since(UNIX_EPOCH)?;
    let at = jiff::Timestamp::from_millisecond(i64::try_from(since.as_millis())?)?;
    Ok(format!("{at:.3}"))
}

#[tokio::test]
async fn a_scope_opens_what_it_says_and_what_it_includes() -> Result<()> {
    let daemon = started().await?;
    daemon.create_agent("eng", "You build.").await?;
    let send = json!({ "text": "hello" });
    let define = json!({ "name": "other", "prompt": "You wait." });
    let edit = json!({ "prompt": "You build on." });
    // What each of them may: read, send, write, administer (four times).
    for (scope, [reads, sends, writes, administers]) in [
        ("reveille:read", [true, false, false, false]),
        ("reveille:send", [false, true, false, false]),
        ("reveille:write", [true, true, true, false]),
        ("reveille:admin", [true, true, true, true]),
    ] {
        let expected = [
            reads,
            sends,
            writes,
            writes,
            administers,
            administers,
            administers,
            administers,
        ];
        let holder = Holder::with(&daemon, &[scope]).await?;
        let mut allowed = Vec::new();
        for (method, target, body, verb) in [
            ("GET", "/api/agents", Value::Null, "read"),
            ("POST", "/api/channels/eng/send", send.clone(), "send"),
            ("POST", "/api/agents/eng/pause", json!({}), "write"),
            ("POST", "/api/agents/eng/resume", json!({}), "write"),
            ("POST", "/api/agents", define.clone(), "admin"),
            ("PATCH", "/api/agents/eng", edit.clone(), "admin"),
            ("DELETE", "/api/agents/other", Value::Null, "admin"),
            ("GET", TOKENS, Value::Null, "admin"),
        ] {
            let answer = holder.ask(&daemon, method, target, body).await?;
            allowed.push(answer.status < 300);
            if answer.status >= 300 {
                let mut told = answer.json()?;
                let object = told.as_object_mut().context("an object")?;
                object.remove("message").context("a message")?;
                object.remove("next_step").context("a next step")?;
                let needed = format!("reveille:{verb}");
                let expected = json!({ "error": "insufficient_scope", "error_type": "insufficient_scope",
                    "required_scope": needed, "granted_scopes": [scope], "granted": [scope] });
                assert_eq!((answer.status, told), (403, expected), "{scope} {method} {target}");
            }
        }
        assert_eq!(allowed, expected, "{scope}");
        // The notes of a vault are another matter.
        let notes = holder.refused(&daemon, "GET", "/vault/default/api/notes", Value::Null);
        assert_eq!(notes.await?, code(403, "Forbidden"), "{scope}");
    }
    Ok(())
}

#[tokio::test]
async fn a_token_reaches_over_several_areas_and_survives_a_restart() -> Result<()> {
    let mut daemon = started().await?;
    let asked = json!({ "scopes": ["reveille:read", "vault:default:write"], "label": " laptop " });
    let made = daemon.ask_in("POST", TOKENS, asked.to_string().as_bytes()).await?;
    let view = made.json()?;
    assert_eq!(
        (made.status, &view["label"], &view["scopes"]),
        (201, &json!("laptop"), &asked["scopes"])
    );
    assert_eq!(
        (&view["made_by"], &view["expires_at"], &view["scoped_tags"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    let holder = Holder::of(&view)?;
    for _ in 0..2 {
        let agents = holder.ask(&daemon, "GET", "/api/agents", Value::Null).await?;
        let note = json!({ "content": "x" });
        let note = holder.ask(&daemon, "POST", "/vault/default/api/notes", note).await?;
        assert_eq!((agents.status, note.status), (200, 201));
        daemon.restart().await?;
    }
    let listed = daemon.ask_in("GET", TOKENS, b"").await?.json()?;
    let listed = &listed["tokens"][0];
    assert_eq!(listed["id"], holder.id.as_str());
    assert!(
        listed["last_used_at"].is_string() && listed.get("token").is_none(),
        "{listed}"
    );
    let gone = daemon.ask_in("DELETE", &format!("{TOKENS}/{}", holder.id), b"").await?;
    assert_eq!(gone.json()?, json!({ "revoked": true, "id": holder.id }));
    assert_eq!(
        holder.ask(&daemon, "GET", "/api/agents", Value::Null).await?.status,
        401
    );
    let again = daemon.ask_in("DELETE", &format!("{TOKENS}/{}", holder.id), b"").await?;
    assert_eq!(again.refusal()?, code(404, "unknown_token"));
    Ok(())
}

#[tokio::test]
async fn no_token_makes_one_that_reaches_further() -> Result<()> {
    let daemon = started().await?;
    let admin = Holder::with(&daemon, &["reveille:admin"]).await?;
    for scopes in [
        json!(["vault:default:read"]),
        json!(["reveille:read", "vault:default:admin"]),
        json!(["vault:elsewhere:read"]),
    ] {
        let answer = admin.refused(&daemon, "POST", TOKENS, json!({ "scopes": scopes }));
        assert_eq!(answer.await?, code(403, "insufficient_scope"), "{scopes}");
    }
    // A browser that signs in may do everything.
    let link = admin.refused(&daemon, "POST", "/api/sign-in-links", json!({}));
    assert_eq!(link.await?, code(403, "operator_only"));
    for scope in ["reveille:read", "reveille:send", "reveille:write"] {
        let holder = Holder::with(&daemon, &[scope, "vault:default:admin"]).await?;
        let answer = holder.refused(&daemon, "POST", TOKENS, json!({ "scopes": ["reveille:read"] }));
        assert_eq!(answer.await?, code(403, "insufficient_scope"), "{scope}");
    }
    Ok(())
}

#[tokio::test]
async fn no_token_makes_one_that_lives_longer() -> Result<()> {
    let daemon = started().await?;
    let end = in_millis(3_600_000)?;
    let admin = Holder::new(&daemon, json!({ "scopes": ["reveille:admin"], "expires_at": end })).await?;
    let mut made = Vec::new();
    for (expires_at, expected) in [
        (Value::Null, end.as_str()),
        (json!("2999-01-01T00:00:00Z"), end.as_str()),
        (json!(in_millis(60_000)?), ""),
    ] {
        let asked = json!({ "scopes": ["reveille:admin"], "expires_at": expires_at });
        let view = admin.ask(&daemon, "POST", TOKENS, asked).await?.json()?;
        let expected = match expected {
            "" => expires_at,
            end => json!(end),
        };
        assert_eq!((&view["expires_at"], &view["made_by"]), (&expected, &json!(admin.id)));
        made.push(Holder::of(&view)?);
    }
    // What it made, and what that made, goes with it.
    let asked = json!({ "scopes": ["reveille:read"] });
    let grandchild = Holder::of(&made[0].ask(&daemon, "POST", TOKENS, asked).await?.json()?)?;
    assert_eq!(
        grandchild.ask(&daemon, "GET", "/api/agents", Value::Null).await?.status,
        200
    );
    let other = Holder::with(&daemon, &["reveille:read"]).await?;
    let gone = daemon.ask_in("DELETE", &format!("{TOKENS}/{}", admin.id), b"").await?;
    assert_eq!(gone.status, 200);
    for holder in made.iter().chain([&grandchild, &admin]) {
        let answer = holder.ask(&daemon, "GET", "/api/agents", Value::Null).await?;
        assert_eq!(answer.status, 401, "{}", holder.id);
    }
    assert_eq!(other.ask(&daemon, "GET", "/api/agents", Value::Null).await?.status, 200);
    let left = daemon.ask_in("GET", TOKENS, b"").await?.json()?;
    assert_eq!(left["tokens"].as_array().map(Vec::len), Some(1));
    Ok(())
}

#[tokio::test]
async fn who_reaches_less_far_is_shown_no_token_that_reaches_further() -> Result<()> {
    let daemon = started().await?;
    let admin = Holder::with(&daemon, &["reveille:admin"]).await?;
    let hidden = Holder::with(&daemon, &["reveille:read", "vault:default:read"]).await?;
    let seen = Holder::with(&daemon, &["reveille:send"]).await?;
    let listed = admin.ask(&daemon, "GET", TOKENS, Value::Null).await?.json()?;
    let ids = listed["tokens"].as_array().context("a list")?.iter();
    let ids: Vec<_> = ids.map(|token| token["id"].as_str().unwrap_or_default()).collect();
    assert_eq!(ids, [admin.id.as_str(), &seen.id]);
    for id in [hidden.id.as_str(), "t_000000000000"] {
        let target = format!("{TOKENS}/{id}");
        let answer = admin.refused(&daemon, "DELETE", &target, Value::Null);
        assert_eq!(answer.await?, code(404, "unknown_token"), "{id}");
    }
    assert_eq!(
        hidden.ask(&daemon, "GET", "/api/agents", Value::Null).await?.status,
        200
    );
    let target = format!("{TOKENS}/{}", seen.id);
    let revoked = admin.ask(&daemon, "DELETE", &target, Value::Null);
    assert_eq!(revoked.await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_nothing_is_made() -> Result<()> {
    let daemon = started().await?;
    for asked in [
        json!({}),
        json!({ "scopes": [] }),
        json!({ "scopes": ["reveille:x"] }),
        json!({ "scopes": ["agent:read"] }),
        json!({ "scopes": ["vault:read"] }),
        json!({ "scopes": ["reveille:read", ""] }),
        json!({ "scopes": ["reveille:read"], "tags": ["work"] }),
        json!({ "scopes": ["vault:default:read"], "tags": ["work/deep"] }),
        json!({ "scopes": ["reveille:read"], "expires_at": "2001-01-01T00:00:00Z" }),
        json!({ "scopes": ["reveille:read"], "expires_at": "soon" }),
        json!({ "scopes": ["reveille:read"], "label": "x".repeat(201) }),
        json!({ "scopes": ["reveille:read"], "admin": true }),
    ] {
        let answer = daemon.ask_in("POST", TOKENS, asked.to_string().as_bytes()).await?;
        assert_eq!(answer.refusal()?, code(400, "invalid_body"), "{asked}");
    }
    assert_eq!(
        daemon.ask_in("GET", TOKENS, b"").await?.json()?,
        json!({ "tokens": [] })
    );
    Ok(())
}

#[tokio::test]
async fn a_token_of_the_daemon_ends_by_itself() -> Result<()> {
    let daemon = started().await?;
    let asked = json!({ "scopes": ["reveille:read"], "expires_at": in_millis(15_000)? });
    let short = Holder::new(&daemon, asked).await?;
    let told = eventually("it has ended", LIMIT, async || {
        let answer = short.ask(&daemon, "GET", "/api/agents", Value::Null).await?;
        ensure!([200, 401].contains(&answer.status), "{}", answer.status);
        Ok((answer.status == 401).then_some(answer))
    })
    .await?;
    assert_eq!(told.refusal()?, code(401, "token_expired"));
    Ok(())
}

#[tokio::test]
async fn the_command_line_makes_lists_and_revokes_them() -> Result<()> {
    let daemon = started().await?;
    let ran = daemon
        .run([
            "token",
            "create",
            "--scope",
            "reveille:send",
            "--scope",
            "vault:default:read",
            "--label",
            "phone",
        ])
        .await?;
    assert!(
        ran.code == 0 && ran.stderr.contains("reveille:send vault:default:read"),
        "{ran:?}"
    );
    let id = ran.stderr.split(':').next().context("an id")?;
    let bearer = format!("Bearer {}", ran.stdout.trim());
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(daemon.ask("GET", "/vaults", &headers, b"").await?.status, 200);
    let of_daemon = Holder::with(&daemon, &["reveille:read"]).await?;

    let all = daemon.run(["token", "list", "--all"]).await?.stdout;
    assert!(
        all.contains(id) && all.contains("phone") && all.contains(&of_daemon.id),
        "{all}"
    );
    let of_vault = daemon.run(["token", "list"]).await?.stdout;
    assert!(of_vault.contains(id) && !of_vault.contains(&of_daemon.id), "{of_vault}");
    for id in [id, &of_daemon.id] {
        let ran = daemon.run(["token", "revoke", id]).await?;
        assert_eq!((ran.code, ran.stdout), (0, format!("revoked {id}\n")), "{}", ran.stderr);
    }
    assert_eq!(daemon.ask("GET", "/vaults", &headers, b"").await?.status, 401);
    for (args, exit) in [
        (&["token", "create", "--scope", "reveille:x"][..], 4),
        (&["token", "create", "--scope", "reveille:read", "--read"], 2),
        (&["token", "list", "--all", "--vault", "default"], 2),
        (&["token", "revoke", "t_000000000000"], 4),
    ] {
        let ran = daemon.run(args).await?;
        assert!(ran.code == exit && ran.stdout.is_empty(), "{args:?} {ran:?}");
    }
    Ok(())
}

#[tokio::test]
async fn wrong_codes_are_held_up_and_right_ones_are_not() -> Result<()> {
    let daemon = started().await?;
    let link = daemon.ask_in("POST", "/api/sign-in-links", b"{}").await?.json()?;
    let (_, right) = link["url"]
        .as_str()
        .and_then(|url| url.split_once("#sign-in="))
        .context("a code")?;
    let sign_in = async |daemon: &Daemon, code: &str| {
        let body = json!({ "code": code }).to_string();
        daemon.ask("POST", "/api/session", &[], body.as_bytes()).await
    };
    let mut tries = 0;
    let last = loop {
        let answer = sign_in(&daemon, &format!("guess{tries}")).await?;
        tries += 1;
        ensure!(tries <= 1000, "no end of it");
        if answer.status != 401 {
            break answer;
        }
    };
    assert_eq!((tries, last.refusal()?), (301, code(429, "too_many_wrong_tokens")));
    let wait: u64 = last.header("retry-after").context("when to try again")?.parse()?;
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(sign_in(&daemon, right).await?.status, 200);
    assert_eq!(sign_in(&daemon, right).await?.status, 429);
    Ok(())
}
