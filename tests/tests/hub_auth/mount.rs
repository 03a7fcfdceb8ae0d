//! The daemon below a mount, with and without a proxy that takes it off.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::LIMIT;
use reveille_tests::{Daemon, StrippingProxy, eventually};
use serde_json::{Value, json};

const MOUNT: (&str, &str) = ("REVEILLE_SERVER__MOUNT", "/reveille");

#[tokio::test]
async fn everything_is_at_its_own_address_and_below_the_mount() -> Result<()> {
    let daemon = Daemon::builder().stand_in().env(MOUNT.0, MOUNT.1).start().await?;
    daemon.create_agent("eng", "You do as you are told.").await?;
    eventually("the definition is as it stays", LIMIT, async || {
        let note = daemon.note("Agents/eng").await?.context("the definition")?;
        Ok((note["metadata"]["status"] == "enabled").then_some(()))
    })
    .await?;
    for path in [
        "/api/agents",
        "/api/agents/eng",
        "/vault/default/api/notes",
        "/health",
        "/api/nothing",
        "/api/turns?limit=1",
    ] {
        let own = daemon.ask_in("GET", path, b"").await?;
        let below = daemon.ask_in("GET", &format!("/reveille{path}"), b"").await?;
        assert_eq!(own.status, below.status, "{path}");
        assert_eq!(own.json()?, below.json()?, "{path}");
    }
    let strangers = daemon.ask("GET", "/reveille/api/agents", &[], b"").await?;
    assert_eq!(strangers.refusal()?, (401, "unauthorized".to_owned()));
    let to = daemon.ask("GET", "/reveille", &[], b"").await?;
    assert_eq!((to.status, to.header("location")), (302, Some("reveille/")));
    assert_eq!(daemon.ask_in("GET", "/reveillex/api/agents", b"").await?.status, 404);
    assert_eq!(
        daemon.ask_in("GET", "/reveille/reveille/api/agents", b"").await?.status,
        404
    );
    Ok(())
}

#[tokio::test]
async fn scopes_hold_below_the_mount() -> Result<()> {
    let daemon = Daemon::builder().stand_in().env(MOUNT.0, MOUNT.1).start().await?;
    let made = daemon
        .ask_in(
            "POST",
            "/reveille/vault/default/tokens",
            br#"{"label": "a", "scopes": ["vault:read"]}"#,
        )
        .await?
        .json()?;
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap_or_default());
    let headers = [("authorization", bearer.as_str())];
    let get = daemon
        .ask("GET", "/reveille/vault/default/api/notes", &headers, b"")
        .await?;
    let post = daemon
        .ask("POST", "/reveille/vault/default/api/notes", &headers, b"{}")
        .await?;
    let agents = daemon.ask("GET", "/reveille/api/agents", &headers, b"").await?;
    assert_eq!((get.status, post.status, agents.status), (200, 403, 403));
    Ok(())
}

#[tokio::test]
async fn a_proxy_that_takes_the_mount_off_shows_the_same() -> Result<()> {
    let daemon = Daemon::builder().stand_in().env(MOUNT.0, MOUNT.1).start().await?;
    let proxy = StrippingProxy::start("/reveille", daemon.url()).await?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let get = async |path: &str| http.get(proxy.url(path)).bearer_auth(daemon.token()).send().await;
    let agents: Value = get("/api/agents").await?.error_for_status()?.json().await?;
    assert_eq!(agents["agents"], json!([]));
    let document: Value = get("/.well-known/oauth-protected-resource/mcp/eng")
        .await?
        .json()
        .await?;
    assert_eq!(document["resource"], proxy.url("/mcp/eng"));
    // A browser that signs in there keeps its cookie below the mount, where no other module of the hub gets it.
    let link: Value = http
        .post(proxy.url("/api/sign-in-links"))
        .bearer_auth(daemon.token())
        .send()
        .await?
        .json()
        .await?;
    let code = link["url"]
        .as_str()
        .and_then(|url| url.split_once("#sign-in="))
        .map_or("", |(_, code)| code);
    let answer = http
        .post(proxy.url("/api/session"))
        .json(&json!({ "code": code }))
        .send()
        .await?;
    let cookie = answer.headers()["set-cookie"].to_str()?.to_owned();
    assert!(
        cookie.contains("; Path=/reveille/;") && cookie.contains("HttpOnly"),
        "{cookie}"
    );
    let pair = cookie.split(';').next().unwrap_or_default();
    let origin = proxy.origin();
    for (from, expected) in [(origin.as_str(), 200), ("http://evil.example", 403)] {
        let ended = http
            .delete(proxy.url("/api/session"))
            .header("cookie", pair)
            .header("origin", from);
        assert_eq!(ended.send().await?.status(), expected, "{from}");
    }
    Ok(())
}

#[tokio::test]
async fn what_a_peer_says_of_the_way_opens_nothing() -> Result<()> {
    let daemon = Daemon::builder().stand_in().env(MOUNT.0, MOUNT.1).start().await?;
    let own = daemon.authority()?;
    // A page whose name leads to loopback may send any header.
    for forwarded in [own.as_str(), "localhost", "127.0.0.1"] {
        let headers = [("host", "evil.example"), ("x-forwarded-host", forwarded)];
        for path in [
            "/health",
            "/reveille/health",
            "/.well-known/oauth-protected-resource/mcp/x",
        ] {
            let answer = daemon.ask("GET", path, &headers, b"").await?;
            assert_eq!(answer.refusal()?, (421, "unknown_host".to_owned()), "{path}");
        }
    }
    let resource = async |daemon: &Daemon| -> Result<String> {
        let headers = [("x-forwarded-host", "hub.example"), ("x-forwarded-proto", "https")];
        let answer = daemon
            .ask("GET", "/.well-known/oauth-protected-resource/mcp/x", &headers, b"")
            .await?;
        Ok(answer.json()?["resource"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(resource(&daemon).await?, "https://hub.example/reveille/mcp/x");
    // Nobody is believed where nothing stands before the daemon, nor where the operator says so.
    let alone = Daemon::builder().stand_in().start().await?;
    assert_eq!(resource(&alone).await?, format!("http://{}/mcp/x", alone.authority()?));
    let strict = Daemon::builder()
        .stand_in()
        .env(MOUNT.0, MOUNT.1)
        .env("REVEILLE_SERVER__TRUSTED_PROXIES", "192.0.2.1")
        .start()
        .await?;
    assert_eq!(
        resource(&strict).await?,
        format!("http://{}/mcp/x", strict.authority()?)
    );
    Ok(())
}
