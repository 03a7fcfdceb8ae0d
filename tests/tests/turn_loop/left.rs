//! What the tools of a turn leave behind ends with it, and nothing of it stays in the list of processes.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, State};
use reveille_tests::eventually;
use serde_json::json;

use super::{agent, with_eng};

/// Arguments of the program `sleep` that nobody else uses.
fn seconds(number: u32) -> String {
    (1_000_000 + std::process::id() * 10 + number).to_string()
}

/// Processes that were started like that and have not been collected.
fn sleepers(seconds: &str) -> Result<BTreeSet<u32>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if command
            .split(|byte| *byte == 0)
            .any(|argument| argument == seconds.as_bytes())
        {
            found.insert(pid);
        }
    }
    Ok(found)
}

/// Children of the daemon that have ended and that it has not collected.
fn ended_children(daemon: &Daemon) -> Result<Vec<String>> {
    let mut ended = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{}/task", daemon.pid()))? {
        let children = std::fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            if stat.contains(") Z ") {
                ended.push(stat);
            }
        }
    }
    Ok(ended)
}

#[tokio::test]
async fn what_has_ended_by_itself_is_collected() -> Result<()> {
    let daemon = with_eng().await?;
    let leave = "(setsid sh -c 'sleep 0.05; exit 3' >/dev/null 2>&1 &) ; (sleep 0.05 &) ; sleep 0.3; echo left";
    for _ in 0..2 {
        let sent = daemon.send("eng", &format!("[[exec {leave}]]")).await?;
        assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Ok);
    }
    let none = eventually("everything is collected", LIMIT, async || {
        Ok(ended_children(&daemon)?.is_empty().then_some(()))
    });
    none.await
}

#[tokio::test]
async fn what_lives_on_ends_with_its_turn_and_not_with_another() -> Result<()> {
    let daemon = with_eng().await?;
    agent(&daemon, "ops", &json!({})).await?;
    let [first, second] = [seconds(1), seconds(2)];
    let leave = |seconds: &str| format!("(setsid sleep {seconds} >/dev/null 2>&1 &)");
    // Its orphan lives while the turn does.
    let held = format!("[[exec {} ; echo left]] [[hang]]", leave(&first));
    let long = daemon.send("ops", &held).await?;
    let alive = eventually("the first is there", LIMIT, async || {
        let found = sleepers(&first)?;
        Ok((!found.is_empty()).then_some(found))
    });
    let alive = alive.await?;
    let short = daemon
        .send("eng", &format!("[[exec {} ; echo left]]", leave(&second)))
        .await?;
    assert_eq!(daemon.wait_turn("eng", &short).await?.state, State::Ok);
    assert_eq!(sleepers(&second)?, BTreeSet::new());
    assert_eq!(sleepers(&first)?, alive);
    let stop = daemon
        .request(
            Method::POST,
            &["api", "turns", long.turn.as_deref().context("a turn")?, "stop"],
            None,
        )
        .await?;
    assert!((200..300).contains(&stop.status), "{}", stop.body);
    daemon.wait_turn("ops", &long).await?;
    assert_eq!(sleepers(&first)?, BTreeSet::new());
    Ok(())
}
