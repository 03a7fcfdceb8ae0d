//! How a client of an MCP endpoint finds the hub.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::hub::HubDouble;
use serde_json::json;

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
