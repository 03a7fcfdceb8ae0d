//! Limits of all processes of a turn together, where the daemon has a control group to divide; elsewhere that it has none is
//! said.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Builder, Daemon, LIMIT, State};
use reveille_tests::eventually;
use reveille_tests::ground::Person;
use serde_json::json;

use crate::floods::{BOMB, begin, confined, define, sandbox_of, shared, turn_of};

/// Three times as much as the turn may have.
const HOG: &str = "
import os
pid = os.fork()
if pid == 0:
    held = []
    for _ in range(96):
        held.append(b'x' * (16 << 20))
    print('had it all')
    os._exit(0)
print('ended by', os.waitpid(pid, 0)[1])
";

fn limited() -> Builder {
    confined(Person::default())
        .env("REVEILLE_SANDBOX__LIMITS__MEMORY", "512MiB")
        .env("REVEILLE_SANDBOX__LIMITS__PROCESSES", "100")
        .env("REVEILLE_SANDBOX__LIMITS__CPU_WEIGHT", "20")
}

/// Groups of turns.
fn groups(place: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(place)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("reveille-") && name != "reveille-daemon" {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// How often turns were kept from something of this kind.
async fn denials(daemon: &Daemon, kind: &str) -> Result<f64> {
    let answer = daemon.ask_in("GET", "/metrics", b"").await?;
    let text = String::from_utf8(answer.body)?;
    let row = format!("reveille_sandbox_denials_total{{kind=\"{kind}\"}}");
    let value = text.lines().find_map(|line| line.strip_prefix(&row));
    Ok(value.with_context(|| text.clone())?.trim().parse()?)
}

async fn no_group_is_left(place: &Path) -> Result<()> {
    eventually("no group is left", LIMIT, async || {
        Ok(groups(place)?.is_empty().then_some(()))
    })
    .await
}

/// Where groups are. `None`: there are none, and everybody who asks is told so.
async fn place(daemon: &Daemon) -> Result<Option<PathBuf>> {
    let limits = sandbox_of(daemon, "eng").await?["limits"].clone();
    let health = daemon.request(Method::GET, &["health"], None).await?;
    assert_eq!(health.body["sandbox"]["limits"], limits);
    let doctor = daemon.run(["doctor", "--json"]).await?;
    let doctor: serde_json::Value = serde_json::from_str(&doctor.stdout)?;
    let checks = doctor["checks"].as_array().context("checks")?;
    let told = checks
        .iter()
        .find(|check| check["check"] == "limits")
        .context("limits")?;
    let Some(group) = limits["group"].as_str() else {
        ensure!(limits["memory"].is_null() && limits["cpu_weight"].is_null(), "{limits}");
        let missing = limits["missing"].as_str().context("why")?;
        ensure!(
            missing.contains("memory") && missing.contains("Delegate=yes"),
            "{missing}"
        );
        ensure!(
            told["level"] == "warning" && told["detail"].to_string().contains("nothing limits the memory"),
            "{told}"
        );
        ensure!(daemon.log()?.contains("nothing limits the memory"));
        return Ok(None);
    };
    assert_eq!(
        (
            &limits["memory"],
            &limits["processes"],
            &limits["cpu_weight"],
            &limits["missing"]
        ),
        (&json!(512 << 20), &json!(100), &json!(20), &json!(null))
    );
    ensure!(told["level"] == "ok", "{told}");
    Ok(Some(group.into()))
}

#[tokio::test]
async fn w_18_memory_and_processes_of_a_turn_have_a_limit_together_or_it_is_said_that_they_have_none() -> Result<()> {
    let daemon = limited().start().await?;
    define(&daemon, "eng", &shared(&daemon, &json!({}))).await?;
    let Some(place) = place(&daemon).await? else {
        return Ok(());
    };
    let script =
        "cat /proc/self/cgroup; cat /sys/fs/cgroup/memory.max; echo 0 > /sys/fs/cgroup/cgroup.procs || echo held";
    let sent = begin(&daemon, "eng", "look", script).await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    // It sees neither the others nor its limits.
    let reply = turn.reply.context("a reply")?;
    ensure!(reply.contains("0::/\n") && reply.contains("held"), "{reply}");
    no_group_is_left(&place).await?;

    let sent = begin(&daemon, "eng", "hog.py", HOG).await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    let reply = turn.reply.clone().context("a reply")?;
    ensure!(
        turn.state == State::Ok && reply.contains("ended by 9") && !reply.contains("had it all"),
        "{turn:?}"
    );
    let notices = turn.more["notices"].to_string();
    ensure!(
        notices.contains("more memory than it may") && notices.contains("[sandbox.limits]"),
        "{notices}"
    );
    ensure!(denials(&daemon, "memory").await? >= 1.0);
    no_group_is_left(&place).await?;

    let sent = begin(&daemon, "eng", "bomb.py", BOMB).await?;
    let out = daemon.shared().join("bomb.out");
    // silent-ok: it is not there yet
    let born = eventually("the bomb has gone off", LIMIT, async || {
        Ok(std::fs::read_to_string(&out).ok())
    })
    .await?;
    ensure!((30..100).contains(&born.trim().parse::<u32>()?), "{born}");
    let made = groups(&place)?;
    ensure!(made.len() == 1, "{made:?}");
    let read = |file: &str| std::fs::read_to_string(made[0].join(file));
    assert_eq!((read("pids.max")?.trim(), read("cpu.weight")?.trim()), ("100", "20"));
    daemon.stop_turn(&turn_of(&daemon, "eng", &sent).await?).await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!(turn.state, State::Cancelled);
    ensure!(denials(&daemon, "processes").await? > 0.0);
    no_group_is_left(&place).await
}

#[tokio::test]
async fn w_18_the_groups_of_a_killed_daemon_go_with_the_next_start() -> Result<()> {
    let mut daemon = limited().start().await?;
    define(&daemon, "eng", &shared(&daemon, &json!({}))).await?;
    let Some(place) = place(&daemon).await? else {
        return Ok(());
    };
    let begun = daemon.shared().join("begun");
    begin(&daemon, "eng", "stay", &format!("touch {}; sleep 600", begun.display())).await?;
    eventually("the tool runs", LIMIT, async || Ok(begun.exists().then_some(()))).await?;
    assert_eq!(groups(&place)?.len(), 1);
    daemon.kill9().await?;
    let before = groups(&place)?;
    assert_eq!(before.len(), 1);
    daemon.start().await?;
    // The turn is taken up again, in a group of its own.
    eventually("the old one is gone", LIMIT, async || {
        Ok((!before[0].exists()).then_some(()))
    })
    .await?;
    daemon.stop().await?;
    no_group_is_left(&place).await
}
