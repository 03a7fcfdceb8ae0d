//! What `/api/agents` and `reveille agent show|list` tell of a definition.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{define, get, keys, one};

#[tokio::test]
async fn every_setting_is_shown_with_its_source() -> Result<()> {
    let daemon = one().await?;
    let metadata = json!({"timeout_wall": "10m", "keep_warm": false, "filesystem": "full", "budget_day_usd": "2.5"});
    define(&daemon, "default", "eng", &metadata).await?;
    let shown = get(&daemon, &["api", "agents", "eng"]).await?;
    let settings = &shown["settings"];
    for (key, expected) in [
        (
            "timeout_wall",
            json!({"value": "10m", "seconds": 600, "from": "definition"}),
        ),
        (
            "timeout_idle",
            json!({"value": "5m", "seconds": 300, "from": "configuration"}),
        ),
        ("keep_warm", json!({"value": false, "from": "definition"})),
        ("filesystem", json!({"value": "full", "from": "definition"})),
        ("network", json!({"value": "open", "from": "default"})),
        ("budget_day_usd", json!({"value": 2.5, "from": "definition"})),
        ("vault_tools", json!({"value": true, "from": "default"})),
        ("wants", json!({"value": [], "from": "default"})),
    ] {
        assert_eq!(settings[key], expected, "{key}");
    }
    assert_eq!((&shown["problems"], &shown["warnings"]), (&json!([]), &json!([])));
    let ran = daemon.run(["agent", "show", "eng"]).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    for line in [
        "timeout_wall      10m  (definition)",
        "timeout_idle      5m  (configuration)",
        "keep_warm         false  (definition)",
        "wants             (none)  (default)",
    ] {
        assert!(ran.stdout.contains(line), "{line}\n{}", ran.stdout);
    }
    Ok(())
}

#[tokio::test]
async fn everything_that_is_wrong_is_shown_at_once() -> Result<()> {
    let daemon = one().await?;
    define(
        &daemon,
        "default",
        "eng",
        &json!({"mode": "odd", "timeout_wall": "soon", "model": "a b"}),
    )
    .await?;
    let shown = get(&daemon, &["api", "agents", "eng"]).await?;
    assert_eq!(
        (&shown["status"], keys(&shown["problems"])),
        (&json!("error"), vec!["mode", "model", "timeout_wall"])
    );
    let listed = daemon.agents().await?;
    assert_eq!(listed[0]["problems"], shown["problems"]);
    let ran = daemon.run(["agent", "show", "eng"]).await?;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for part in [
        "problems",
        "mode: \"odd\" is not known",
        "timeout_wall: \"soon\"",
        "write it like 90s",
    ] {
        assert!(ran.stdout.contains(part), "{part}\n{}", ran.stdout);
    }
    let ran = daemon.run(["agent", "list"]).await?;
    assert!(
        ran.stdout.contains("error") && ran.stdout.contains("mode: \"odd\""),
        "{}",
        ran.stdout
    );
    Ok(())
}

#[tokio::test]
async fn what_looks_wrong_is_shown_and_the_agent_works() -> Result<()> {
    let daemon = one().await?;
    let metadata = json!({"modell": "opus", "api_key": "hunter-2", "uses": [{"oops": 1}]});
    define(&daemon, "default", "eng", &metadata).await?;
    let shown = get(&daemon, &["api", "agents", "eng"]).await?;
    assert_eq!(shown["status"], "idle");
    let warned = keys(&shown["warnings"]);
    for key in ["modell", "api_key", "uses"] {
        assert!(warned.contains(&key), "{key}: {warned:?}");
    }
    assert!(!shown.to_string().contains("hunter"), "{shown}");
    // The table has room for the first of them.
    for (args, told) in [
        (
            &["agent", "show", "eng"][..],
            "modell: is not read; did you mean model?",
        ),
        (&["agent", "list"], "uses: entry 1 is left out"),
    ] {
        let ran = daemon.run(args).await?;
        assert!(ran.stdout.contains(told), "{}", ran.stdout);
        assert!(!ran.stdout.contains("hunter"), "{}", ran.stdout);
    }
    let sent = daemon.send("eng", "[[reply here]]").await?;
    daemon.wait_turn("eng", &sent).await?;
    Ok(())
}

/// This version confines nobody, so whoever asks for it is told.
#[tokio::test]
async fn confinement_that_is_not_there_is_told() -> Result<()> {
    let daemon = one().await?;
    let asks = json!({"filesystem": "workspace", "network": "restricted", "egress": "example.com",
        "mounts": [{"hostPath": "/a", "mountPath": "/b", "mode": "ro"}]});
    define(&daemon, "default", "asks", &asks).await?;
    define(
        &daemon,
        "default",
        "open",
        &json!({"filesystem": "full", "network": "open"}),
    )
    .await?;
    let warnings =
        async |name: &str| -> Result<Value> { Ok(get(&daemon, &["api", "agents", name]).await?["warnings"].clone()) };
    let told = warnings("asks").await?;
    assert_eq!(keys(&told), ["filesystem", "network", "egress", "mounts"]);
    for one in told.as_array().context("a list")? {
        assert!(
            one["message"].as_str().unwrap_or_default().contains("not confined"),
            "{one}"
        );
    }
    assert_eq!(warnings("open").await?, json!([]));
    Ok(())
}
