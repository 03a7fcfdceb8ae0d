//! What confinement adds to a turn.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::time::Instant;

use crate::daemon::{Daemon, start};
use crate::figure::{Figure, ms};
use crate::{PATIENCE, floor};

/// Agents by the network that they ask for.
const AGENTS: [&str; 2] = ["open", "restricted"];
/// Turns that are not counted: files and caches of the machine are warm afterwards.
const WARM_UP: usize = 3;

async fn define(daemon: &Daemon, http: &reqwest::Client) -> Result<()> {
    for name in AGENTS {
        let note = json!({ "path": format!("Agents/{name}"), "content": "You answer.", "tags": ["agent/definition"],
                           "metadata": { "name": name, "network": name } });
        daemon.post(http, "/vault/default/api/notes", &note).await?;
    }
    let begin = Instant::now();
    loop {
        let listed = daemon.get(http, "/api/agents").await?;
        if listed["agents"]
            .as_array()
            .is_some_and(|list| list.len() == AGENTS.len())
        {
            return Ok(());
        }
        ensure!(begin.elapsed() < PATIENCE, "the definitions are not taken");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// One turn by the stand-in, from the request until it is settled.
async fn turn(daemon: &Daemon, http: &reqwest::Client, agent: &str) -> Result<f64> {
    let begin = Instant::now();
    let body = json!({ "text": "[[reply done]]" });
    let sent = daemon.post(http, &format!("/api/channels/{agent}/send"), &body).await?;
    let id = sent["turn"].as_str().context("no turn")?.to_owned();
    loop {
        let view = daemon.get(http, &format!("/api/turns/{id}")).await?;
        if view["settled_at"].is_string() {
            ensure!(view["state"] == "ok", "a turn ended as {view}");
            return Ok(ms(begin.elapsed()));
        }
        ensure!(begin.elapsed() < PATIENCE, "the turn does not end");
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

/// Turns without and with a sandbox, one after the other, so that a noisy machine makes all of them slow.
pub(crate) async fn measure(turns: usize) -> Result<Vec<Figure>> {
    let (bare_dir, dir) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let http = reqwest::Client::builder().no_proxy().build()?;
    // A child that waited for its turn was confined before.
    let settings = |mode| {
        [
            ("REVEILLE_SANDBOX__MODE", mode),
            ("REVEILLE_CLAUDE__WARM_PROCESSES", "0"),
        ]
    };
    let (bare, _) = start(bare_dir.path(), &settings("none")).await?;
    let (confined, _) = start(dir.path(), &settings("auto")).await?;
    define(&bare, &http).await?;
    define(&confined, &http).await?;
    let mut child = floor::Child::stand_in()?;
    let [
        mut alone,
        mut without,
        mut open,
        mut restricted,
        mut adds_open,
        mut adds_restricted,
    ] = [const { Vec::new() }; 6];
    for run in 0..turns + WARM_UP {
        let zero = child.run().await?;
        let none = turn(&bare, &http, "open").await?;
        let one = turn(&confined, &http, "open").await?;
        let two = turn(&confined, &http, "restricted").await?;
        if run < WARM_UP {
            continue;
        }
        alone.push(zero);
        without.push(none);
        open.push(one);
        restricted.push(two);
        adds_open.push(one - none);
        adds_restricted.push(two - none);
    }
    let figure = |name: &'static str, values| Figure::new(name, "ms", values);
    Ok(vec![
        figure("floor: the stand-in alone, spawned, told and waited for", alone),
        figure("turn, not confined", without),
        figure("turn, confined, network open", open),
        figure("turn, confined, network restricted", restricted),
        figure("a sandbox adds, network open", adds_open),
        figure("a sandbox adds, network restricted", adds_restricted),
    ])
}
