//! How a client of an MCP endpoint finds the hub.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::StrippingProxy;
use reveille_tests::hub::HubDouble;
use serde_json::{Value, json};

use crate::with_hub;

#[tokio::test]
async fn the_documents_are_open_in_both_forms_for_every_name() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).start().await?;
    daemon.create_agent("eng", "You do as you are told.").await?;
    let origin = format!("http://{}", daemon.authority()?);
    for resource in ["/mcp", "/mcp/eng", "/mcp/nobody", "/mcp/a%20b"] {
        for path in [
            format!("/.well-known/oauth-protected-resource{resource}"),
            format!("{resource}/.well-known/oauth-protected-resource"),
        ] {
            let answer = daemon.ask("GET", &path, &[], b"").await?;
            assert_eq!(
                (answer.status, answer.header("access-control-allow-origin")),
                (200, Some("*")),
                "{path}"
            );
            let expected = json!({
                "resource": format!("{origin}{resource}"),
                "authorization_servers": [hub.url()],
                "scopes_supported": ["reveille:read", "reveille:send", "reveille:write"],
                "bearer_methods_supported": ["header"],
            });
            assert_eq!(answer.json()?, expected, "{path}");
        }
        for path in [
            format!("/.well-known/oauth-authorization-server{resource}"),
            format!("{resource}/.well-known/oauth-authorization-server"),
        ] {
            let document = daemon.ask("GET", &path, &[], b"").await?.json()?;
            assert_eq!(document["issuer"], hub.url(), "{path}");
            for (key, at) in [
                ("authorization_endpoint", "/oauth/authorize"),
                ("token_endpoint", "/oauth/token"),
                ("registration_endpoint", "/oauth/register"),
                ("jwks_uri", "/.well-known/jwks.json"),
            ] {
                assert_eq!(document[key], format!("{}{at}", hub.url()), "{path}");
            }
            assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
            assert_eq!(
                document["scopes_supported"],
                json!(["reveille:read", "reveille:send", "reveille:write"])
            );
        }
    }
    assert_eq!(hub.take_log(), [], "no hub is needed for that");
    Ok(())
}

#[tokio::test]
async fn a_client_that_is_not_let_in_is_led_to_the_hub() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub)
        .env("REVEILLE_SERVER__MOUNT", "/reveille")
        .start()
        .await?;
    daemon.create_agent("eng", "You do as you are told.").await?;
    let proxy = StrippingProxy::start("/reveille", daemon.url()).await?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let initialize = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": { "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } },
    });
    let post = async |at: String, token: Option<String>| {
        let request = http
            .post(at)
            .header("accept", "application/json, text/event-stream")
            .json(&initialize);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        request.send().await
    };
    // The same for a channel that is there and for one that is not.
    for path in ["/mcp", "/mcp/eng", "/mcp/nobody"] {
        for at in [daemon.url().join(path)?.to_string(), proxy.url(path)] {
            let answer = post(at.clone(), None).await?;
            assert_eq!(answer.status(), 401, "{at}");
            let challenge = answer.headers()["www-authenticate"].to_str()?.to_owned();
            let metadata = challenge
                .strip_prefix("Bearer resource_metadata=\"")
                .and_then(|rest| rest.strip_suffix('"'))
                .context(challenge.clone())?;
            let document: Value = http.get(metadata).send().await?.error_for_status()?.json().await?;
            assert_eq!(document["resource"], at);
            assert_eq!(document["authorization_servers"], json!([hub.url()]));
        }
    }
    // With a token of the hub it is let in, and what it lacks is no question of who it is.
    let served = post(proxy.url("/mcp"), Some(hub.token("reveille:read")?)).await?;
    assert_eq!(served.status(), 200);
    let refused = post(proxy.url("/mcp/eng"), Some(hub.token("")?)).await?;
    assert_eq!(
        (refused.status().as_u16(), refused.headers().get("www-authenticate")),
        (403, None)
    );
    // No other address leads there.
    let other = daemon.ask("GET", "/api/agents", &[], b"").await?;
    assert_eq!((other.status, other.header("www-authenticate")), (401, Some("Bearer")));
    Ok(())
}
