//! Which hub is believed: read anew now and then, and told to clients of MCP.

use std::path::Path;

use anyhow::{Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::{Builder, LIMIT};
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::{text, with_eng};

const LOCAL: &str = "http://127.0.0.1:1939";

fn at_home(home: &Path) -> Builder {
    Daemon::builder().stand_in().env("PARACHUTE_HOME", home)
}

/// The hub that a client is sent to.
async fn issuer(daemon: &Daemon) -> Result<String> {
    // The file may be read anew between the two.
    let server = eventually("both documents name one hub", LIMIT, async || {
        let server = daemon
            .ask("GET", "/.well-known/oauth-authorization-server/mcp/eng", &[], b"")
            .await?
            .json()?;
        let resource = daemon
            .ask("GET", "/.well-known/oauth-protected-resource/mcp/eng", &[], b"")
            .await?
            .json()?;
        let agree = resource["authorization_servers"] == json!([server["issuer"]]);
        Ok(agree.then_some(server))
    })
    .await?;
    for (key, path) in [
        ("token_endpoint", "/oauth/token"),
        ("jwks_uri", "/.well-known/jwks.json"),
    ] {
        assert_eq!(text(&server, key), format!("{}{path}", text(&server, "issuer")));
    }
    Ok(text(&server, "issuer").to_owned())
}

#[tokio::test]
async fn r_auth_5_3_4_5_6_the_file_of_the_hub_says_where_it_is() -> Result<()> {
    let home = tempfile::TempDir::new()?;
    let file = home.path().join("expose-state.json");
    let daemon = at_home(home.path()).env("PARACHUTE_HUB_ORIGIN", "").start().await?;
    assert_eq!(issuer(&daemon).await?, LOCAL, "there is no file");
    for (content, expected) in [
        (
            json!({ "hubOrigin": "https://hub.example" }).to_string(),
            "https://hub.example",
        ),
        (
            json!({ "hubOrigin": "https://hub.example/" }).to_string(),
            "https://hub.example",
        ),
        (
            json!({ "canonicalFqdn": "box.tail.example" }).to_string(),
            "https://box.tail.example",
        ),
        (
            json!({ "hubOrigin": "https://hub.example", "canonicalFqdn": "box.tail.example" }).to_string(),
            "https://hub.example",
        ),
        (json!({ "hubOrigin": "http://127.0.0.1:4000" }).to_string(), LOCAL),
        (json!({ "hubOrigin": "http://localhost:4000" }).to_string(), LOCAL),
        (json!({ "hubOrigin": "http://[::1]:4000" }).to_string(), LOCAL),
        (json!({ "hubOrigin": 7 }).to_string(), LOCAL),
        (json!({ "hubOrigin": "" }).to_string(), LOCAL),
        (json!({ "hubOrigin": "javascript:alert(1)" }).to_string(), LOCAL),
        (json!({ "hubOrigin": "not a url" }).to_string(), LOCAL),
        (json!([]).to_string(), LOCAL),
        ("{\"hubOrigin\": \"https://half".to_owned(), LOCAL),
        ("\u{0}".to_owned(), LOCAL),
    ] {
        let new = home.path().join("new");
        std::fs::write(&new, &content)?;
        std::fs::rename(&new, &file)?;
        // It may have been read a moment ago.
        eventually(&format!("{content} leads to {expected}"), LIMIT, async || {
            Ok((issuer(&daemon).await? == expected).then_some(()))
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn r_auth_5_1_2_the_environment_goes_before_the_file() -> Result<()> {
    let home = tempfile::TempDir::new()?;
    let file = json!({ "hubOrigin": "https://other.example" }).to_string();
    std::fs::write(home.path().join("expose-state.json"), file)?;
    for (said, expected) in [
        ("https://hub.example", "https://hub.example"),
        ("https://hub.example/", "https://hub.example"),
        ("http://127.0.0.1:4321", "http://127.0.0.1:4321"),
    ] {
        let daemon = at_home(home.path()).env("PARACHUTE_HUB_ORIGIN", said).start().await?;
        assert_eq!(issuer(&daemon).await?, expected);
    }
    Ok(())
}

#[tokio::test]
async fn r_auth_5_nothing_that_comes_by_request_says_where_the_hub_is() -> Result<()> {
    let daemon = with_eng().await?;
    for (name, value) in [
        ("x-forwarded-host", "evil.example"),
        ("x-parachute-hub-origin", "https://evil.example"),
        ("origin", "https://evil.example"),
        ("referer", "https://evil.example"),
    ] {
        for target in [
            "/.well-known/oauth-authorization-server/mcp/eng",
            "/.well-known/oauth-authorization-server/mcp/eng?issuer=https://evil.example&hubOrigin=https://evil.example",
        ] {
            let told: Value = daemon.ask("GET", target, &[(name, value)], b"").await?.json()?;
            assert_eq!(text(&told, "issuer"), LOCAL);
            ensure!(!told.to_string().contains("evil"), "{told}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn r_http_23_1_the_row_is_written_where_the_hub_is_at_home() -> Result<()> {
    let home = tempfile::TempDir::new()?;
    let daemon = at_home(home.path())
        .env("REVEILLE_HUB__REGISTER", "true")
        .start()
        .await?;
    let row = eventually("the row is written", LIMIT, async || {
        let Ok(content) = std::fs::read(home.path().join("services.json")) else {
            return Ok(None);
        };
        let file: Value = serde_json::from_slice(&content)?;
        let rows = file["services"].as_array().cloned().unwrap_or_default();
        Ok(rows.into_iter().find(|row| row["name"] == "reveille"))
    })
    .await?;
    assert_eq!(row["port"], json!(daemon.url().port()));
    ensure!(!row.to_string().contains(daemon.token()), "{row}");
    assert!(!daemon.scratch().join(".parachute/services.json").exists());
    // Nothing is left of the writing but the file.
    let mut left = Vec::new();
    for entry in std::fs::read_dir(home.path())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.contains("services") && name.contains("tmp") {
            left.push(name);
        }
    }
    assert_eq!(left, Vec::<String>::new());
    Ok(())
}
