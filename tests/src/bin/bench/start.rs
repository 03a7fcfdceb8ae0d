//! Start, memory, and what a turn costs.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::daemon::{Daemon, NO_SETTINGS, start};
use crate::figure::{Figure, ms};
use crate::{PATIENCE, RUNS, floor};

async fn define(daemon: &Daemon, http: &reqwest::Client, agents: usize) -> Result<()> {
    let notes: Vec<Value> = (0..agents)
        .map(|n| {
            json!({"path": format!("Agents/a{n}"), "content": format!("You are agent {n}."), "tags": ["agent/definition"],
                   "metadata": {"name": format!("a{n}")}})
        })
        .collect();
    for part in notes.chunks(500) {
        daemon
            .post(http, "/vault/default/api/notes", &json!({ "notes": part }))
            .await?;
    }
    let begin = Instant::now();
    loop {
        let listed = daemon.get(http, "/api/agents").await?;
        let stamped = daemon
            .get(
                http,
                "/vault/default/api/notes?tag=agent/definition&limit=10000&include_metadata=true",
            )
            .await?;
        let enabled = |note: &&Value| note["metadata"]["status"] == "enabled";
        let done = stamped.as_array().into_iter().flatten().filter(enabled).count();
        if listed["agents"].as_array().is_some_and(|list| list.len() == agents) && done == agents {
            return Ok(());
        }
        ensure!(begin.elapsed() < PATIENCE, "{done} of {agents} definitions were taken");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Start, memory, and the overhead of turns with a child that answers at once.
pub(crate) async fn measure(agents: usize) -> Result<Vec<Figure>> {
    let dir = tempfile::tempdir()?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let (daemon, _) = start(dir.path(), NO_SETTINGS).await?;
    define(&daemon, &http, agents).await?;
    drop(daemon);
    let (mut health, mut memory, mut own) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (daemon, took) = start(dir.path(), NO_SETTINGS).await?;
        health.push(ms(took));
        tokio::time::sleep(Duration::from_secs(1)).await;
        memory.push(daemon.rss()?);
        own.push(daemon.own_memory()?);
    }
    // Each turn starts its child, as its floor does.
    let (daemon, _) = start(dir.path(), &[("REVEILLE_CLAUDE__WARM_PROCESSES", "0")]).await?;
    let mut child = floor::Child::stand_in()?;
    let (mut accept, mut turn, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..RUNS * 4 {
        alone.push(child.run().await?);
        let begin = Instant::now();
        let sent = daemon
            .post(
                &http,
                "/api/channels/a0/send",
                &json!({ "text": format!("[[reply {n}]]") }),
            )
            .await?;
        accept.push(ms(begin.elapsed()));
        let id = sent["turn"].as_str().context("no turn")?.to_owned();
        let state = loop {
            let view = daemon.get(&http, &format!("/api/turns/{id}")).await?;
            if view["settled_at"].is_string() {
                break view["state"].clone();
            }
            ensure!(begin.elapsed() < PATIENCE, "the turn does not end");
            tokio::time::sleep(Duration::from_micros(200)).await;
        };
        ensure!(state == "ok", "a turn ended as {state}");
        turn.push(ms(begin.elapsed()));
    }
    Ok(vec![
        Figure {
            name: "start to /health".into(),
            unit: "ms",
            values: health,
        },
        Figure {
            name: "memory, idle".into(),
            unit: "MiB",
            values: memory,
        },
        Figure {
            name: "of that its own, without its program".into(),
            unit: "MiB",
            values: own,
        },
        Figure {
            name: "send: accepted durably".into(),
            unit: "ms",
            values: accept,
        },
        Figure::new("floor: the stand-in alone, spawned, told and waited for", "ms", alone),
        Figure {
            name: "send to settled, stand-in child".into(),
            unit: "ms",
            values: turn,
        },
    ])
}
