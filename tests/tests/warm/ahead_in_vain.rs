//! Processes that are started ahead and do not come up, and those that nobody wants to be started.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use http::Method;
use jiff::Timestamp;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT};
use reveille_tests::eventually;
use serde_json::json;

use crate::ahead::{House, counted};
use crate::{WHO, builder, define, done, well};

/// Whoever takes the word from the file `next` does what it says, and tells its number.
const PROGRAM: &str = r#"#!/bin/sh
case " $* " in *" --version "* | *" --help "*) exec REVEILLE stand-in "$@" ;; esac
if mv SCRATCH/next SCRATCH/taken.$$ 2>/dev/null; then
    read -r word <SCRATCH/taken.$$
    echo $$ >SCRATCH/pid.new && mv SCRATCH/pid.new SCRATCH/pid
    case "$word" in
    dies) exit 1 ;;
    hangs) exec sleep 600 ;;
    esac
fi
exec REVEILLE stand-in "$@"
"#;

/// What the log says of each that failed.
const VAIN: &str = "a process that was started ahead did not come up";

/// One whose turn runs, and others whose program may have trouble with its start.
async fn troubled(agents: &[&str]) -> Result<House> {
    let daemon = Daemon::builder()
        .warm()
        .config("[claude]\nprogram = \"SCRATCH/claude\"\nwarm_processes = 3\n")
        .env("REVEILLE_LIMITS__LIVE_TURNS", "1")
        .start()
        .await?;
    let own = std::fs::read_link(format!("/proc/{}/exe", daemon.pid()))?;
    let program = PROGRAM
        .replace("REVEILLE", &own.display().to_string())
        .replace("SCRATCH", &daemon.scratch().display().to_string());
    let path = daemon.scratch().join("claude");
    std::fs::write(&path, program)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    for agent in agents {
        define(&daemon, agent, json!({})).await?;
    }
    House::busy(daemon, "[[reply begun]][[hang]]").await
}

/// The next one that is started has that trouble.
fn next(daemon: &Daemon, word: &str) -> Result<()> {
    Ok(std::fs::write(daemon.scratch().join("next"), format!("{word}\n"))?)
}

/// The number of the one that had it.
async fn had(daemon: &Daemon) -> Result<u32> {
    let text = eventually("a process is started ahead", LIMIT, async || {
        Ok(std::fs::read_to_string(daemon.scratch().join("pid")).ok()) // silent-ok: not there yet
    });
    let text = text.await.with_context(|| format!("{:?}", daemon.log()))?;
    Ok(text.trim().parse()?)
}

#[tokio::test]
async fn one_that_does_not_come_up_costs_no_message() -> Result<()> {
    for trouble in ["dies", "hangs"] {
        let house = troubled(&["eng"]).await?;
        let daemon = &house.daemon;
        next(daemon, trouble)?;
        let sent = daemon.send("eng", WHO).await?;
        let started = had(daemon).await?;
        house.over().await?;
        let ran = house.ran("eng", &sent).await?;
        assert_ne!(ran, started, "{trouble}");
        assert!(!daemon.children()?.contains(&started), "{trouble}");
        counted(daemon, [0, 1, 0, 0]).await.context(trouble)?;
        assert_eq!(daemon.log()?.matches(VAIN).count(), 1, "{trouble}");
        // The conversation knows the message, and that one alone.
        let after = well(daemon, "eng", "hi").await?;
        assert!(after.reply.unwrap_or_default().contains("message 2 "), "{trouble}");
        house.sound().await.context(trouble)?;
    }
    Ok(())
}

#[tokio::test]
async fn one_that_nobody_waits_for_any_more_has_not_failed() -> Result<()> {
    let house = troubled(&["eng"]).await?;
    let daemon = &house.daemon;
    next(daemon, "hangs")?;
    let sent = daemon.send("eng", WHO).await?;
    let started = had(daemon).await?;
    let turn = sent.turn.as_deref().context("a turn")?;
    done(daemon, Method::POST, &["api", "turns", turn, "cancel"], &json!({})).await?;
    eventually("it is gone", LIMIT, async || {
        Ok((!daemon.children()?.contains(&started)).then_some(()))
    })
    .await?;
    house.over().await?;
    house.sound().await?;
    counted(daemon, [0, 0, 0, 0]).await?;
    assert_eq!(daemon.log()?.matches(VAIN).count(), 0);
    Ok(())
}

#[tokio::test]
async fn after_one_that_failed_none_is_started_for_that_conversation_and_others_have_theirs() -> Result<()> {
    let house = troubled(&["eng", "aux"]).await?;
    let daemon = &house.daemon;
    next(daemon, "dies")?;
    let eng = daemon.send("eng", WHO).await?;
    had(daemon).await?;
    counted(daemon, [0, 1, 0, 0]).await?;
    // It stands behind the other one, for which one would be started first.
    let aux = daemon.send("aux", WHO).await?;
    let started = house.started(&[]).await?;
    counted(daemon, [1, 1, 0, 0]).await?;
    house.over().await?;
    assert_ne!(house.ran("eng", &eng).await?, started);
    assert_eq!(house.ran("aux", &aux).await?, started);
    counted(daemon, [1, 1, 1, 0]).await?;
    house.sound().await
}

#[tokio::test]
async fn none_is_started_ahead_where_that_is_not_wanted() -> Result<()> {
    let daemon = builder()
        .env("REVEILLE_LIMITS__LIVE_TURNS", "1")
        .env("REVEILLE_CLAUDE__PREWARM", "false")
        .start()
        .await?;
    define(&daemon, "eng", json!({})).await?;
    let house = House::busy(daemon, "[[reply begun]][[hang]]").await?;
    let daemon = &house.daemon;
    let sent = daemon.send("eng", WHO).await?;
    // For as long as ten starts take.
    tokio::time::sleep(Duration::from_secs(3)).await;
    house.over().await?;
    house.ran("eng", &sent).await?;
    counted(daemon, [0, 0, 0, 0]).await?;
    let turn = sent.turn.as_deref().context("a turn")?;
    let view = daemon.request(Method::GET, &["api", "turns", turn], None).await?.body;
    let time = |name: &str| -> Result<Timestamp> { Ok(view[name].as_str().context(name.to_owned())?.parse()?) };
    let waited = time("claimed_at")?.duration_since(time("accepted_at")?);
    assert!(waited.as_secs() >= 2, "it had no time to be started ahead: {view}");
    // A process that has run a turn waits all the same.
    let first = crate::process(daemon, "eng").await?;
    assert_eq!(crate::process(daemon, "eng").await?, first);
    house.sound().await
}
