//! Which tokens let somebody in, and how far.

use anyhow::Result;
use hmac::{Hmac, KeyInit as _, Mac as _};
use pretty_assertions::assert_eq;
use reveille_tests::hub::HubDouble;
use reveille_tests::hub::keys::{Key, encoded};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{ask, reasons, status, with_hub};

/// The claims with some of them replaced; null takes one away.
fn but(mut claims: Value, changes: &Value) -> Value {
    for (key, value) in changes.as_object().into_iter().flatten() {
        match value {
            Value::Null => claims.as_object_mut().and_then(|all| all.remove(key)).map(drop),
            value => claims
                .as_object_mut()
                .and_then(|all| all.insert(key.clone(), value.clone()))
                .map(drop),
        };
    }
    claims
}

#[tokio::test]
async fn a_token_that_the_hub_has_signed_for_us_lets_in() -> Result<()> {
    let hub = HubDouble::start()?;
    let second = "https://hub.example";
    let daemon = with_hub(&hub)
        .env("PARACHUTE_HUB_ORIGINS", format!(" {second}/ ,, "))
        .start()
        .await?;
    hub.add_key(Key::ec("curve")?);
    let elliptic = hub.token("reveille:read")?;
    assert_eq!(status(&daemon, &elliptic).await?, 200, "ES256");
    hub.rotate(Key::rsa("first", 0)?);
    for changes in [
        json!({}),
        json!({ "aud": ["somebody", "reveille"] }),
        json!({ "aud": "agent", "scope": "agent:read" }),
        json!({ "aud": ["channel"], "scope": "channel:read other:admin" }),
        json!({ "iss": second }),
        json!({ "scope": "reveille:admin" }),
        json!({ "nbf": 1 }),
    ] {
        let claims = but(hub.claims("reveille:read"), &changes);
        assert_eq!(status(&daemon, &hub.key().token(&claims)?).await?, 200, "{changes}");
    }
    // The daemon's own tokens hold beside them.
    assert_eq!(status(&daemon, daemon.token()).await?, 200);
    Ok(())
}

#[tokio::test]
async fn scopes_reach_as_far_as_those_of_our_own_tokens() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).start().await?;
    daemon.create_agent("eng", "You do as you are told.").await?;
    let send = br#"{"text": "ok"}"#;
    for (scope, reads, sends, asks_as_admin) in [
        ("reveille:admin", 200, 202, 200),
        ("agent:admin", 200, 202, 200),
        ("reveille:write", 200, 202, 403),
        ("reveille:read", 200, 403, 403),
        ("channel:send", 403, 202, 403),
        ("reveille:read reveille:send", 200, 202, 403),
        ("", 403, 403, 403),
        ("vault:default:admin reveille reveille:all admin", 403, 403, 403),
    ] {
        let bearer = format!("Bearer {}", hub.token(scope)?);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let read = daemon.ask("GET", "/api/agents", &headers, b"").await?;
        let sent = daemon.ask("POST", "/api/channels/eng/send", &headers, send).await?;
        let config = daemon.ask("GET", "/.parachute/config", &headers, b"").await?;
        let sent = if (200..300).contains(&sent.status) {
            202
        } else {
            sent.status
        };
        assert_eq!(
            (read.status, sent, config.status),
            (reads, sends, asks_as_admin),
            "{scope:?}"
        );
        if reads == 403 {
            let refusal = read.json()?;
            assert_eq!(
                (&refusal["error"], &refusal["error_type"]),
                (&json!("insufficient_scope"), &json!("insufficient_scope"))
            );
            assert_eq!(refusal["required_scope"], "reveille:read");
            assert_eq!(refusal["granted"], refusal["granted_scopes"]);
        }
    }
    // It reaches into no vault, whatever it says of them.
    let bearer = format!("Bearer {}", hub.token("vault:default:admin reveille:admin")?);
    let notes = daemon
        .ask("GET", "/vault/default/api/notes", &[("authorization", &bearer)], b"")
        .await?;
    assert_eq!(notes.status, 403);
    Ok(())
}

#[tokio::test]
async fn what_the_hub_has_not_signed_for_us_and_now_is_refused_without_a_reason() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).start().await?;
    let key = hub.key();
    assert_eq!(status(&daemon, &hub.token("reveille:admin")?).await?, 200);
    let now = jiff::Timestamp::now().as_second();
    let stranger = ask(&daemon, "no-token-at-all").await?;
    for (changes, code) in [
        (json!({ "aud": "vault.default" }), "audience"),
        (json!({ "aud": [] }), "audience"),
        (json!({ "aud": null }), "shape"),
        (json!({ "iss": "https://evil.example" }), "issuer"),
        (json!({ "iss": [hub.url()] }), "shape"),
        (json!({ "exp": now - 1 }), "expired"),
        (json!({ "exp": null }), "shape"),
        (json!({ "exp": "tomorrow" }), "shape"),
        (json!({ "nbf": now + 300 }), "not_yet_valid"),
        (json!({ "nbf": "tomorrow" }), "shape"),
        (json!({ "sub": "" }), "shape"),
        (json!({ "sub": null }), "shape"),
        (json!({ "jti": " " }), "shape"),
        (json!({ "jti": null }), "shape"),
        (json!({ "scope": 7 }), "shape"),
    ] {
        let token = key.token(&but(hub.claims("reveille:admin"), &changes))?;
        let answer = ask(&daemon, &token).await?;
        assert_eq!((answer.status, &answer.body), (401, &stranger.body), "{changes}");
        assert!(
            reasons(&daemon)?.contains(&code.to_owned()),
            "{changes}: {:?}",
            reasons(&daemon)?
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_signature_that_is_none_is_refused() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).start().await?;
    let (key, claims) = (hub.key(), hub.claims("reveille:admin"));
    let good = key.token(&claims)?;
    assert_eq!(status(&daemon, &good).await?, 200);
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (head, payload, signature) = (&parts(&good)[0], &parts(&good)[1], &parts(&good)[2]);
    let head_of = |alg: &str| {
        encoded(
            json!({ "alg": alg, "typ": "JWT", "kid": key.id })
                .to_string()
                .as_bytes(),
        )
    };
    // The public key as the secret of a symmetric algorithm.
    let symmetric = |secret: &[u8]| -> Result<String> {
        let text = format!("{}.{payload}", head_of("HS256"));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret)?;
        mac.update(text.as_bytes());
        Ok(format!("{text}.{}", encoded(&mac.finalize().into_bytes())))
    };
    let jwk = key.jwk();
    let other = Key::rsa(&key.id, 1)?;
    let changed = encoded(but(claims.clone(), &json!({ "sub": "root" })).to_string().as_bytes());
    let own_key = json!({ "alg": "RS256", "kid": key.id, "jwk": other.jwk(), "jku": "https://evil.example" });
    let curve = Key::ec(&key.id)?;
    for (name, token) in [
        ("none", format!("{}.{payload}.", head_of("none"))),
        ("None", format!("{}.{payload}.{signature}", head_of("None"))),
        (
            "HS256, modulus",
            symmetric(jwk["n"].as_str().unwrap_or_default().as_bytes())?,
        ),
        ("HS256, key", symmetric(&key.public_bytes())?),
        ("HS256, the secret of the set", symmetric(b"secret")?),
        (
            "RS512 with the same signature",
            format!("{}.{payload}.{signature}", head_of("RS512")),
        ),
        (
            "PS256 with the same signature",
            format!("{}.{payload}.{signature}", head_of("PS256")),
        ),
        ("another key of the same name", other.token(&claims)?),
        ("a curve under the name of a number", curve.token(&claims)?),
        ("the key in the head", other.sign(&own_key, &claims)?),
        ("changed claims", format!("{head}.{changed}.{signature}")),
        ("no signature", format!("{head}.{payload}.")),
        (
            "half a signature",
            format!("{head}.{payload}.{}", &signature[..signature.len() / 2]),
        ),
        ("no name of a key", key.sign(&json!({ "alg": "RS256" }), &claims)?),
        (
            "an extension",
            key.sign(
                &json!({ "alg": "RS256", "kid": key.id, "crit": ["b64"], "b64": false }),
                &claims,
            )?,
        ),
        ("five parts", format!("{good}.a.b")),
        ("two parts", format!("{head}.{payload}")),
    ] {
        let answer = ask(&daemon, &token).await?;
        assert_eq!(answer.refusal()?, (401, "unauthorized".to_owned()), "{name}");
    }
    assert_eq!(status(&daemon, &good).await?, 200, "the good one still lets in");
    Ok(())
}

#[tokio::test]
async fn a_revoked_token_ends() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).env("REVEILLE_HUB__REVOKED_TTL", "50ms").start().await?;
    let claims = hub.claims("reveille:read");
    let token = hub.key().token(&claims)?;
    let other = hub.token("reveille:read")?;
    assert_eq!(status(&daemon, &token).await?, 200);
    hub.revoke_token(claims["jti"].as_str().unwrap_or_default());
    reveille_tests::eventually(
        "the revoked token is refused",
        reveille_tests::daemon::LIMIT,
        async || Ok((status(&daemon, &token).await? == 401).then_some(())),
    )
    .await?;
    assert!(reasons(&daemon)?.contains(&"revoked".to_owned()));
    assert_eq!(status(&daemon, &other).await?, 200);
    Ok(())
}

/// The first bytes of a stream that has nothing but its ticket and a cookie of somebody else, and the rest of it.
async fn stream(daemon: &reveille_tests::Daemon, ticket: &str) -> Result<(tokio::net::TcpStream, String)> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let authority = daemon.authority()?;
    let mut socket = tokio::net::TcpStream::connect(&authority).await?;
    let head = format!(
        "GET /api/events?ticket={ticket} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\ncookie: a=b\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await?;
    let mut begin = vec![0; 12];
    socket.read_exact(&mut begin).await?;
    Ok((socket, String::from_utf8_lossy(&begin).into_owned()))
}

#[tokio::test]
async fn what_a_ticket_opened_ends_when_the_hub_revokes_who_asked_for_it() -> Result<()> {
    use tokio::io::AsyncReadExt as _;
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).env("REVEILLE_HUB__REVOKED_TTL", "50ms").start().await?;
    let claims = hub.claims("reveille:read");
    let token = hub.key().token(&claims)?;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let mut tickets = Vec::new();
    for _ in 0..2 {
        let made = daemon.ask("POST", "/api/ui/sse-ticket", &headers, b"{}").await?;
        tickets.push(made.json()?["ticket"].as_str().unwrap_or_default().to_owned());
    }
    let (mut open, begin) = stream(&daemon, &tickets[0]).await?;
    assert_eq!(begin, "HTTP/1.1 200");
    hub.revoke_token(claims["jti"].as_str().unwrap_or_default());
    let mut rest = String::new();
    tokio::time::timeout(reveille_tests::daemon::LIMIT, open.read_to_string(&mut rest)).await??;
    assert!(rest.contains("event: unauthorized"), "{rest}");
    // Nor does one open that was asked for before.
    let (_, begin) = stream(&daemon, &tickets[1]).await?;
    assert_eq!(begin, "HTTP/1.1 401");
    Ok(())
}

#[tokio::test]
async fn without_the_switch_no_token_of_a_hub_lets_in_and_the_hub_is_not_asked() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).env("REVEILLE_HUB__AUTH", "false").start().await?;
    assert_eq!(status(&daemon, &hub.token("reveille:admin")?).await?, 401);
    assert_eq!(hub.take_log(), []);
    Ok(())
}
