//! Processes that wait are counted.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT};
use reveille_tests::eventually;
use serde_json::json;

use crate::{builder, define, done, house, left, process, well};

/// Hits, then misses: none waited, changed, unfit; then those that wait, those that run, and further attempts.
async fn figures(daemon: &Daemon) -> Result<[u64; 7]> {
    let request = reqwest::Client::builder()
        .no_proxy()
        .build()?
        .get(daemon.url().join("/metrics")?);
    let text = request.bearer_auth(daemon.token()).send().await?.text().await?;
    let get = |row: &str| -> Result<u64> {
        let found = text.lines().find_map(|line| line.strip_prefix(row)?.strip_prefix(' '));
        Ok(found.with_context(|| format!("no {row}: {text}"))?.trim().parse()?)
    };
    Ok([
        get("reveille_warm_hits_total")?,
        get("reveille_warm_misses_total{reason=\"none\"}")?,
        get("reveille_warm_misses_total{reason=\"changed\"}")?,
        get("reveille_warm_misses_total{reason=\"unfit\"}")?,
        get("reveille_warm_processes")?,
        get("reveille_children")?,
        get("reveille_retries_total")?,
    ])
}

#[tokio::test]
async fn hits_misses_and_those_that_wait() -> Result<()> {
    let daemon = house(builder()).await?;
    assert_eq!(figures(&daemon).await?, [0; 7]);
    process(&daemon, "eng").await?;
    assert_eq!(figures(&daemon).await?, [0, 1, 0, 0, 1, 0, 0]);
    process(&daemon, "eng").await?;
    well(&daemon, "eng", "[[then die-asked]] hi").await?;
    assert_eq!(figures(&daemon).await?, [2, 1, 0, 0, 1, 0, 0]);
    // Each message counts once.
    process(&daemon, "eng").await?;
    assert_eq!(figures(&daemon).await?, [2, 1, 0, 1, 1, 0, 0]);
    // What must have a process of its own is in neither.
    define(&daemon, "never", json!({"keep_warm": "false"})).await?;
    well(&daemon, "never", "hi").await?;
    assert_eq!(figures(&daemon).await?, [2, 1, 0, 1, 1, 0, 0]);
    done(&daemon, Method::POST, &["api", "agents", "eng", "reset"], &json!({})).await?;
    left(&daemon, 0).await?;
    eventually("none waits", LIMIT, async || {
        Ok((figures(&daemon).await? == [2, 1, 0, 1, 0, 0, 0]).then_some(()))
    })
    .await
}
