//! The checks of `reveille doctor`, run by the daemon of itself.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::run;
use serde_json::Value;

use super::{get, status, token, with_eng};

const DOCTOR: &str = "/api/doctor";

fn levels(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let checks = report["checks"].as_array().into_iter().flatten();
    checks
        .map(|check| (text(&check["check"]), text(&check["level"])))
        .collect()
}

#[tokio::test]
async fn the_daemon_finds_what_doctor_finds() -> Result<()> {
    let daemon = with_eng().await?;
    let mut command = daemon.cli(["doctor", "--json"]).await?;
    command.env("REVEILLE_SERVER__BIND", daemon.authority()?);
    let ran = run(command, "").await?;
    let outside: Value = serde_json::from_str(&ran.stdout).context(ran.stderr)?;
    let inside = get(&daemon, DOCTOR).await?;
    assert_eq!(levels(&inside), levels(&outside));
    assert!(levels(&inside).len() > 8, "{inside}");
    inside["ran_at"]
        .as_str()
        .context("a time")?
        .parse::<jiff::Timestamp>()?;
    let address = &inside["checks"][2];
    let detail = address["detail"].as_str().context("a detail")?;
    assert!(detail.contains(&daemon.authority()?), "{address}");
    for check in inside["checks"].as_array().into_iter().flatten() {
        let told = check["level"] == "ok" || check["mend"].as_str().is_some_and(|mend| !mend.is_empty());
        assert!(told, "no mend: {check}");
    }
    let wrong = levels(&outside).iter().any(|(_, level)| level == "error");
    assert_eq!(
        (ran.code, &outside["ok"]),
        (i32::from(wrong), &Value::Bool(!wrong)),
        "{outside}"
    );
    let shown = inside.to_string();
    assert!(!shown.contains(daemon.token()), "{shown}");
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_mend() -> Result<()> {
    let daemon = Daemon::builder()
        .config("[claude]\nprogram = \"/nowhere/claude\"\n")
        .start()
        .await?;
    let report = get(&daemon, DOCTOR).await?;
    let checks = report["checks"].as_array().context("checks")?;
    let claude = checks
        .iter()
        .find(|check| check["check"] == "claude")
        .context("claude")?;
    assert_eq!(claude["level"], "error");
    assert!(
        claude["mend"].as_str().is_some_and(|mend| mend.contains("npm install")),
        "{claude}"
    );
    Ok(())
}

#[tokio::test]
async fn those_who_ask_at_once_share_one_look() -> Result<()> {
    let daemon = with_eng().await?;
    let reports = try_join_all((0..8).map(|_| get(&daemon, DOCTOR))).await?;
    let begun: BTreeSet<String> = reports.iter().map(|report| report["ran_at"].to_string()).collect();
    // How many came before the first look was over is not known; that each had a look of its own is not so.
    assert!(begun.len() < reports.len(), "{begun:?}");
    // One that is over is no answer to who asks later.
    let later = get(&daemon, DOCTOR).await?["ran_at"].to_string();
    assert!(!begun.contains(&later), "{later} in {begun:?}");
    Ok(())
}

#[tokio::test]
async fn the_checks_are_for_admins() -> Result<()> {
    let daemon = with_eng().await?;
    for (verb, expected) in [("read", 403), ("write", 403), ("admin", 200)] {
        let bearer = token(&daemon, verb).await?;
        assert_eq!(status(&daemon, &bearer, "GET", DOCTOR, b"").await?, expected, "{verb}");
    }
    assert_eq!(daemon.ask("GET", DOCTOR, &[], b"").await?.status, 401);
    Ok(())
}
