//! What the tools of a turn leave behind ends with it, and nothing of it stays in the list of processes.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, State};
use reveille_tests::eventually;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{agent, stand_in, with_eng};

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

/// Ends what a test has left that failed.
struct Ended<'a>(&'a str);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        for pid in sleepers(self.0).unwrap_or_default() {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            // silent-ok: it has ended by itself.
            let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
        }
    }
}

/// Leaves a program that nothing tells whose it is: it has neither the marker nor its parent. Its turn goes on when that is so:
/// before that it would be ended by its marker.
fn stray(seconds: &str) -> String {
    format!(
        "[[exec rm -f there; (env -i setsid sh -c ': > there; exec sleep {seconds}' >/dev/null 2>&1 &) ; \
         until test -e there; do sleep 0.02; done; echo left]]"
    )
}

async fn until_there(seconds: &str) -> Result<BTreeSet<u32>> {
    eventually("it is there", LIMIT, async || {
        let found = sleepers(seconds)?;
        Ok((!found.is_empty()).then_some(found))
    })
    .await
}

async fn until_gone(seconds: &str) -> Result<()> {
    eventually("it is gone", LIMIT, async || {
        Ok(sleepers(seconds)?.is_empty().then_some(()))
    })
    .await
}

async fn well(daemon: &Daemon, agent: &str, text: &str) -> Result<()> {
    let sent = daemon.send(agent, text).await?;
    assert_eq!(daemon.wait_turn(agent, &sent).await?.state, State::Ok);
    Ok(())
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
    let alive = until_there(&first).await?;
    let short = daemon
        .send("eng", &format!("[[exec {} ; echo left]]", leave(&second)))
        .await?;
    assert_eq!(daemon.wait_turn("eng", &short).await?.state, State::Ok);
    assert_eq!(sleepers(&second)?, BTreeSet::new());
    assert_eq!(sleepers(&first)?, alive);
    daemon.stop_turn(long.turn.as_deref().context("a turn")?).await?;
    daemon.wait_turn("ops", &long).await?;
    assert_eq!(sleepers(&first)?, BTreeSet::new());
    Ok(())
}

#[tokio::test]
async fn what_has_put_away_its_marker_ends_with_its_turn() -> Result<()> {
    let daemon = with_eng().await?;
    let left = seconds(3);
    let _end = Ended(&left);
    for _ in 0..2 {
        well(&daemon, "eng", &stray(&left)).await?;
        assert_eq!(sleepers(&left)?, BTreeSet::new());
    }
    // With all that it has started.
    let whole = format!("[[exec (env -i setsid sh -c 'sleep {left} & wait' >/dev/null 2>&1 &) ; echo left]]");
    well(&daemon, "eng", &whole).await?;
    assert_eq!(sleepers(&left)?, BTreeSet::new());
    Ok(())
}

#[tokio::test]
async fn it_lives_while_a_turn_does_that_may_have_left_it() -> Result<()> {
    let daemon = with_eng().await?;
    agent(&daemon, "ops", &json!({})).await?;
    let [first, second] = [seconds(4), seconds(5)];
    let (_end, _too) = (Ended(&first), Ended(&second));
    let long = daemon.send("ops", &format!("{} [[hang]]", stray(&first))).await?;
    let alive = until_there(&first).await?;
    // Nobody can tell which of the two turns has left this one.
    well(&daemon, "eng", &stray(&second)).await?;
    let both = until_there(&second).await?;
    well(&daemon, "eng", "hello").await?;
    assert_eq!((sleepers(&first)?, sleepers(&second)?), (alive, both));
    // A turn that came later cannot have left them, and they are not kept for it.
    let later = daemon.send("eng", "[[hang]]").await?;
    let turn = later.turn.as_deref().context("a turn")?;
    let works = async || Ok((daemon.turn(turn).await?.state == State::Working).then_some(()));
    eventually("it works", LIMIT, works).await?;
    daemon.stop_turn(long.turn.as_deref().context("a turn")?).await?;
    daemon.wait_turn("ops", &long).await?;
    until_gone(&first).await?;
    until_gone(&second).await?;
    assert_eq!(daemon.turn(turn).await?.state, State::Working);
    daemon.stop_turn(turn).await?;
    daemon.wait_turn("eng", &later).await?;
    Ok(())
}

#[tokio::test]
async fn it_lives_while_the_process_of_its_conversation_waits() -> Result<()> {
    let daemon = stand_in().warm().start().await?;
    agent(&daemon, "eng", &json!({})).await?;
    agent(&daemon, "ops", &json!({ "keep_warm": false })).await?;
    let left = seconds(6);
    let _end = Ended(&left);
    well(&daemon, "eng", &stray(&left)).await?;
    let alive = until_there(&left).await?;
    for _ in 0..2 {
        well(&daemon, "ops", "hello").await?;
        well(&daemon, "eng", "hello").await?;
    }
    assert_eq!(sleepers(&left)?, alive);
    // Another definition is another process.
    daemon
        .request(
            Method::PATCH,
            &["api", "agents", "eng"],
            Some(&json!({ "prompt": "You help well." })),
        )
        .await?
        .ok::<Value>()?;
    until_gone(&left).await
}

#[tokio::test]
async fn what_was_there_before_the_daemon_is_not_ended() -> Result<()> {
    let [before, left] = [seconds(7), seconds(8)];
    let (_end, _too) = (Ended(&before), Ended(&left));
    // It has the same parent as the daemon would give it, since the shell becomes the daemon.
    let daemon = stand_in()
        .mounts(&format!("env -i setsid sleep {before} >/dev/null 2>&1 &"))
        .start()
        .await?;
    let alive = until_there(&before).await?;
    agent(&daemon, "eng", &json!({})).await?;
    well(&daemon, "eng", &stray(&left)).await?;
    well(&daemon, "eng", "hello").await?;
    assert_eq!(sleepers(&before)?, alive);
    Ok(())
}
