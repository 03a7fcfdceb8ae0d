//! The layout of the state directory over versions.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::{LIMIT, run};
use serde_json::{Value, json};

fn file(daemon: &Daemon) -> PathBuf {
    daemon.state_dir().join("layout.json")
}

fn layout(daemon: &Daemon) -> Result<Value> {
    let text = std::fs::read(file(daemon)).context("layout.json")?;
    Ok(serde_json::from_slice::<Value>(&text)?["layout"].clone())
}

/// Everything below a directory, with what the files hold.
fn contents(dir: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let (mut found, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                found.push((path.clone(), Vec::new()));
                dirs.push(path);
            } else {
                found.push((path.clone(), std::fs::read(path)?));
            }
        }
    }
    found.sort();
    Ok(found)
}

async fn with_work() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let sent = daemon.send("eng", "[[reply before]]").await?;
    daemon.wait_turn("eng", &sent).await?;
    daemon.wait_quiet(LIMIT).await?;
    Ok(daemon)
}

async fn goes_on(daemon: &Daemon) -> Result<()> {
    let sent = daemon.send("eng", "[[reply after]]").await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.reply.as_deref(), Some("after"));
    daemon.wait_quiet(LIMIT).await?;
    assert_eq!(daemon.messages("eng").await?.len(), 4);
    Ok(())
}

#[tokio::test]
async fn what_a_version_without_a_layout_has_left_is_taken_over_whenever_it_dies() -> Result<()> {
    for point in [None, Some("layout.taken"), Some("layout.written")] {
        let mut daemon = with_work().await?;
        assert_eq!(layout(&daemon)?, 1);
        let token = daemon.token().to_owned();
        daemon.stop().await?;
        std::fs::remove_file(file(&daemon))?;
        if let Some(point) = point {
            daemon.start_doomed(point, 1).await?;
            daemon.wait_killed().await?;
            assert_eq!(file(&daemon).exists(), point == "layout.written", "{point}");
        }
        daemon.start().await?;
        assert_eq!((layout(&daemon)?, daemon.token()), (json!(1), token.as_str()));
        goes_on(&daemon).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_newer_layout_is_refused_by_everything_and_left_as_it_is() -> Result<()> {
    let mut daemon = with_work().await?;
    daemon.stop().await?;
    let known = std::fs::read(file(&daemon))?;
    std::fs::write(file(&daemon), r#"{"layout":2,"version":"9.9.9","more":[]}"#)?;
    let before = contents(&daemon.state_dir())?;
    let status = daemon.launch(None).await?.context("it does not start")?;
    assert_eq!(status.code(), Some(1));
    daemon.wait_exit(LIMIT).await?;
    let log = daemon.log()?;
    for said in [
        "newer Reveille (9.9.9, layout 2;",
        "Nothing in it was changed",
        "--state-dir",
    ] {
        assert!(log.contains(said), "{said}: {log}");
    }
    let secret = run(daemon.cli(["secret", "set", "GH_TOKEN"]).await?, "hidden\n").await?;
    assert!(
        secret.code == 1 && secret.stderr.contains("newer Reveille"),
        "{secret:?}"
    );
    let doctor = daemon.run(["doctor", "--json"]).await?;
    let report: Value = serde_json::from_str(&doctor.stdout)?;
    let state = &report["checks"][1];
    assert_eq!((doctor.code, &state["level"]), (1, &json!("error")), "{report}");
    assert!(state["mend"].is_string(), "{state}");
    assert_eq!(contents(&daemon.state_dir())?, before);
    std::fs::write(file(&daemon), known)?;
    daemon.start().await?;
    goes_on(&daemon).await
}

#[tokio::test]
async fn databases_of_a_newer_version_are_refused_in_the_same_way() -> Result<()> {
    let mut daemon = with_work().await?;
    daemon.stop().await?;
    for name in ["queue.db", "tokens.db", "grants.db", "schedule.db"] {
        let db = rusqlite::Connection::open(daemon.state_dir().join(name))?;
        let known: u32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        db.pragma_update(None, "user_version", 999)?;
        let told = daemon.log()?.len();
        assert!(daemon.launch(None).await?.is_some(), "{name}");
        daemon.wait_exit(LIMIT).await?;
        let log = daemon.log()?.split_off(told);
        for said in [
            "newer version of Reveille",
            name,
            "layout 999",
            "start that version again",
        ] {
            assert!(log.contains(said), "{name}: {said}: {log}");
        }
        let there: u32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        assert_eq!(there, 999, "{name}");
        db.pragma_update(None, "user_version", known)?;
    }
    daemon.start().await?;
    goes_on(&daemon).await
}

#[tokio::test]
async fn doctor_knows_of_a_newer_database_what_a_start_says() -> Result<()> {
    let mut daemon = with_work().await?;
    daemon.stop().await?;
    for name in ["queue.db", "tokens.db", "grants.db", "schedule.db", "vaults/default.db"] {
        let file = daemon.state_dir().join(name);
        let db = rusqlite::Connection::open(&file)?;
        let known: u32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        db.pragma_update(None, "user_version", 99)?;
        // As a daemon that has stopped leaves it.
        db.close().map_err(|(_, error)| error)?;
        // Without a vault a daemon serves, and says so.
        if !name.starts_with("vaults/") {
            let refused = daemon.launch(None).await?;
            assert_eq!(refused.and_then(|status| status.code()), Some(1), "{name}");
            daemon.wait_exit(LIMIT).await?;
        }
        let ran = run(daemon.cli(["doctor", "--json"]).await?, "").await?;
        assert_eq!(ran.code, 1, "{name}: {}", ran.stdout);
        let told: Value = serde_json::from_str(&ran.stdout)?;
        let checks = told["checks"].as_array().context("checks")?;
        let wrong: Vec<&Value> = checks.iter().filter(|one| one["level"] == "error").collect();
        assert_eq!(wrong.len(), 1, "{name}: {wrong:?}");
        let said = wrong[0]["detail"].as_str().unwrap_or_default();
        assert!(said.contains("newer version") && said.contains(name), "{said}");
        let db = rusqlite::Connection::open(&file)?;
        db.pragma_update(None, "user_version", known)?;
        db.close().map_err(|(_, error)| error)?;
    }
    daemon.start().await?;
    goes_on(&daemon).await
}
