//! How many wait, and for how long.

use anyhow::Result;
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::{builder, define, house, left, process, well};

#[tokio::test]
async fn those_that_have_waited_longest_make_room() -> Result<()> {
    let daemon = builder().start().await?;
    for agent in ["a", "b", "c"] {
        define(&daemon, agent, json!({})).await?;
    }
    let a = process(&daemon, "a").await?;
    let b = process(&daemon, "b").await?;
    // It waits from now on, so `b` has waited longest.
    assert_eq!(process(&daemon, "a").await?, a);
    let c = process(&daemon, "c").await?;
    let mut expected = [a, c];
    expected.sort_unstable();
    assert_eq!(left(&daemon, 2).await?, expected);
    assert_eq!(process(&daemon, "a").await?, a);
    assert_ne!(process(&daemon, "b").await?, b);
    Ok(())
}

#[tokio::test]
async fn the_time_is_that_of_the_configuration_or_of_the_definition() -> Result<()> {
    let daemon = builder().env("REVEILLE_CLAUDE__WARM_TTL", "300ms").start().await?;
    define(&daemon, "short", json!({})).await?;
    define(&daemon, "long", json!({"keep_warm": "10m"})).await?;
    let long = process(&daemon, "long").await?;
    process(&daemon, "short").await?;
    assert_eq!(left(&daemon, 1).await?, [long]);
    assert_eq!(process(&daemon, "long").await?, long);
    Ok(())
}

#[tokio::test]
async fn there_may_be_none_and_too_large_ones_do_not_wait() -> Result<()> {
    for (name, value) in [("PROCESSES", "0"), ("MEMORY", "1000")] {
        let daemon = house(builder().env(&format!("REVEILLE_CLAUDE__WARM_{name}"), value)).await?;
        let first = process(&daemon, "eng").await?;
        left(&daemon, 0).await?;
        assert_ne!(process(&daemon, "eng").await?, first);
    }
    Ok(())
}

#[tokio::test]
async fn together_they_have_no_more_memory_than_is_left_to_them() -> Result<()> {
    let daemon = house(builder()).await?;
    let one = process(&daemon, "eng").await?;
    let status = std::fs::read_to_string(format!("/proc/{one}/status"))?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = kib.unwrap_or_default().trim().trim_end_matches(" kB").parse()?;
    drop(daemon);
    // Room for one and a half.
    let daemon = builder()
        .env("REVEILLE_CLAUDE__WARM_MEMORY", (kib * 1024 * 3 / 2).to_string())
        .env("REVEILLE_CLAUDE__WARM_PROCESSES", "8")
        .start()
        .await?;
    for agent in ["a", "b", "c"] {
        define(&daemon, agent, json!({})).await?;
        let last = process(&daemon, agent).await?;
        assert_eq!(left(&daemon, 1).await?, [last]);
    }
    Ok(())
}

#[tokio::test]
async fn as_many_conversations_as_messages_run_beside_those_that_wait() -> Result<()> {
    const AGENTS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    let daemon = builder().env("REVEILLE_LIMITS__LIVE_TURNS", "2").start().await?;
    for agent in AGENTS {
        define(&daemon, agent, json!({})).await?;
    }
    let mut sent = Vec::new();
    for _ in 0..5 {
        for agent in AGENTS {
            sent.push((agent, daemon.send(agent, "hi").await?));
        }
    }
    for (agent, sent) in &sent {
        let turn = daemon.wait_turn(agent, sent).await?;
        assert_eq!(turn.state, reveille_tests::daemon::State::Ok, "{turn:?}");
    }
    left(&daemon, 2).await?;
    for agent in AGENTS {
        let last = well(&daemon, agent, "hi").await?;
        assert!(last.reply.unwrap_or_default().contains("message 6"));
    }
    let journal = daemon.wait_quiet(reveille_tests::daemon::LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}
