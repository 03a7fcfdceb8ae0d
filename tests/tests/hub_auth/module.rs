//! The daemon as a module of a hub: what it says of itself, and the row that it writes.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Builder, LIMIT};
use reveille_tests::hub::HubDouble;
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

use crate::{status, with_hub};

fn registering() -> Builder {
    Daemon::builder().stand_in().env("REVEILLE_HUB__REGISTER", "true")
}

fn services(daemon: &Daemon) -> PathBuf {
    daemon.scratch().join(".parachute/services.json")
}

/// The rows, as soon as ours is the one of the daemon that runs.
async fn rows(daemon: &Daemon) -> Result<Vec<Value>> {
    eventually("the row is written", LIMIT, async || {
        let Ok(text) = fs::read(services(daemon)) else {
            return Ok(None);
        };
        let file: Value = serde_json::from_slice(&text).context("the file is written whole or not at all")?;
        let rows = file["services"].as_array().cloned().unwrap_or_default();
        let there = rows
            .iter()
            .any(|row| row["name"] == "reveille" && row["version"] == daemon.version());
        Ok(there.then_some(rows))
    })
    .await
}

#[tokio::test]
async fn a_row_leads_the_hub_to_the_daemon_and_its_manifest() -> Result<()> {
    let daemon = registering().start().await?;
    let rows = rows(&daemon).await?;
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!(row["port"], daemon.url().port().unwrap_or_default());
    assert_eq!(
        (&row["paths"], &row["health"], &row["stripPrefix"]),
        (&json!(["/reveille"]), &json!("/health"), &json!(true))
    );
    assert_eq!(row["uiUrl"], "/reveille/");
    assert_eq!(
        (&row["uis"]["agents"]["path"], &row["uis"]["agents"]["audience"]),
        (&json!("/reveille/"), &json!("surface"))
    );
    let dir = PathBuf::from(row["installDir"].as_str().unwrap_or_default());
    let manifest: Value = serde_json::from_slice(&fs::read(dir.join(".parachute/module.json"))?)?;
    assert_eq!(
        (&manifest["name"], &manifest["manifestName"]),
        (&row["name"], &row["name"])
    );
    assert_eq!(
        (&manifest["startCmd"], &manifest["paths"]),
        (&row["startCmd"], &row["paths"])
    );
    let package: Value = serde_json::from_slice(&fs::read(dir.join("package.json"))?)?;
    assert_eq!(package["name"], "reveille");
    // It would be started again as it was.
    let start: Vec<&str> = row["startCmd"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let state = daemon.state_dir().display().to_string();
    assert_eq!(start[1..], ["serve", "--state-dir", state.as_str()]);
    assert!(fs::metadata(start[0])?.is_file());
    // The mount of the row is served.
    let health = daemon.ask("GET", "/reveille/health", &[], b"").await?;
    assert_eq!(health.status, 200);
    Ok(())
}

#[tokio::test]
async fn what_others_have_written_stays() -> Result<()> {
    let mut daemon = registering().start().await?;
    rows(&daemon).await?;
    let status = daemon.stop().await?;
    assert!(status.success());
    let others = json!({ "services": [
        { "name": "vault", "port": 1940, "paths": ["/vault/default"], "more": { "a": 1 } },
        { "name": "reveille", "port": 4123, "publicExposure": "loopback", "version": "0" },
    ], "stamp": 7 });
    fs::write(services(&daemon), others.to_string())?;
    daemon.start().await?;
    let rows = rows(&daemon).await?;
    assert_eq!(rows[0], others["services"][0]);
    assert_eq!(
        (&rows[1]["port"], &rows[1]["publicExposure"]),
        (&json!(4123), &json!("loopback"))
    );
    assert_eq!(rows.len(), 2);
    let file: Value = serde_json::from_slice(&fs::read(services(&daemon))?)?;
    assert_eq!(file["stamp"], 7);
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_no_list_is_left_alone_and_the_daemon_serves() -> Result<()> {
    let mut daemon = registering().start().await?;
    rows(&daemon).await?;
    daemon.stop().await?;
    fs::write(services(&daemon), "{\"services\": 7}")?;
    daemon.start().await?;
    eventually("the log says so", LIMIT, async || {
        Ok(daemon.log()?.contains("is no list of services").then_some(()))
    })
    .await?;
    assert_eq!(fs::read_to_string(services(&daemon))?, "{\"services\": 7}");
    assert_eq!(daemon.ask("GET", "/health", &[], b"").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_daemon_that_no_hub_has_started_is_told_to_nobody() -> Result<()> {
    let hub = HubDouble::start()?;
    // The hub of the machine is known, and that is all.
    let mut daemon = Daemon::builder()
        .stand_in()
        .env("PARACHUTE_HUB_ORIGIN", hub.url())
        .start()
        .await?;
    assert_eq!(status(&daemon, &hub.token("reveille:admin")?).await?, 401);
    // The row is written before the end.
    daemon.stop().await?;
    assert!(!services(&daemon).exists());
    Ok(())
}

#[tokio::test]
async fn a_daemon_that_a_hub_has_started_is_its_module() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = Daemon::builder()
        .stand_in()
        .env("PARACHUTE_HUB_ORIGIN", hub.url())
        .env("PORT", "4123")
        .start()
        .await?;
    rows(&daemon).await?;
    assert_eq!(status(&daemon, &hub.token("reveille:admin")?).await?, 200);
    assert_eq!(daemon.ask("GET", "/reveille/health", &[], b"").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn what_a_module_says_is_open_but_for_names() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).start().await?;
    daemon.create_agent("whisper", "You do as you are told.").await?;
    let get = async |path: &str, token: Option<&str>| {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        daemon.ask("GET", path, &headers, b"").await
    };
    let info = get("/.parachute/info", None).await?;
    assert_eq!(
        (info.status, info.header("access-control-allow-origin")),
        (200, Some("*"))
    );
    let said = info.json()?;
    assert_eq!(
        (&said["name"], &said["version"]),
        (&json!("reveille"), &json!(daemon.version()))
    );
    let schema = get("/.parachute/config/schema", None).await?.json()?;
    assert_eq!(
        schema["properties"]["channels"]["items"]["required"],
        json!(["name", "transport"])
    );
    let icon = get("/.parachute/icon.svg", None).await?;
    assert!(
        icon.status == 200 || icon.status == 404,
        "a build without the page has no icon"
    );
    for (token, expected) in [(None, 401), (Some(hub.token("reveille:write")?), 403)] {
        let answer = get("/.parachute/config", token.as_deref()).await?;
        assert_eq!(answer.status, expected);
        assert!(!String::from_utf8_lossy(&answer.body).contains("whisper"));
    }
    let config = get("/.parachute/config", Some(&hub.token("reveille:admin")?))
        .await?
        .json()?;
    assert_eq!(config["channels"], json!([{ "name": "whisper", "transport": "vault" }]));
    let template = &config["triggerTemplate"];
    assert_eq!(template["name"], "channel_inbound_<channel>");
    assert_eq!(
        template["action"],
        json!({ "webhook": "<hub-origin>/api/vault/inbound", "send": "json" })
    );
    assert_eq!(template["when"]["has_metadata"], json!(["agent"]));
    Ok(())
}

#[tokio::test]
async fn a_token_that_the_hub_gave_a_vault_is_good_for_hints() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).start().await?;
    let hint = br#"{"event": "created", "note": {"id": "n1"}}"#;
    for path in ["/api/vault/inbound", "/api/vault/agent-def"] {
        for (scope, expected) in [("reveille:send", 200), ("channel:send", 200), ("reveille:read", 401)] {
            let bearer = format!("Bearer {}", hub.token(scope)?);
            let answer = daemon.ask("POST", path, &[("authorization", &bearer)], hint).await?;
            assert_eq!(answer.status, expected, "{path} {scope}");
        }
        assert_eq!(daemon.ask("POST", path, &[], hint).await?.status, 401, "{path}");
        let rubbish = daemon
            .ask("POST", path, &[("authorization", "Bearer eyJ.eyJ.x")], hint)
            .await?;
        assert_eq!(rubbish.json()?["error"], json!("unauthorized"), "{path}");
    }
    Ok(())
}
