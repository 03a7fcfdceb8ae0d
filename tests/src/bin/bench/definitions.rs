//! Many definitions that change at once.

use anyhow::{Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::PATIENCE;
use crate::daemon::{Daemon, NO_SETTINGS, start};
use crate::figure::{Figure, ms};

/// Runs, each with a vault of its own.
const RUNS: usize = 5;
/// Requests at once, as from a program that edits.
const AT_ONCE: usize = 32;

/// Asks until so many notes or agents satisfy a condition.
async fn until(
    daemon: &Daemon,
    http: &reqwest::Client,
    path: &str,
    count: usize,
    is: impl Fn(&Value) -> bool,
) -> Result<()> {
    let begin = Instant::now();
    loop {
        let answer = daemon.get(http, path).await?;
        let list = answer["agents"].as_array().or(answer.as_array());
        let there = list.into_iter().flatten().filter(|one| is(one)).count();
        if there == count {
            return Ok(());
        }
        ensure!(begin.elapsed() < PATIENCE, "{there} of {count} after {PATIENCE:?}");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

/// How long it takes until all are live, and until each note says so.
pub(crate) async fn measure(count: usize) -> Result<Vec<Figure>> {
    const NOTES: &str = "/vault/default/api/notes?tag=agent/definition&limit=100000&include_metadata=true";
    let http = reqwest::Client::builder().no_proxy().build()?;
    let (mut written, mut live, mut told) = (Vec::new(), Vec::new(), Vec::new());
    let (mut edited, mut counts, mut unneeded) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let dir = tempfile::tempdir()?;
        let (daemon, _) = start(dir.path(), NO_SETTINGS).await?;
        let notes: Vec<Value> = (0..count)
            .map(|n| {
                json!({"path": format!("Agents/a{n}"), "content": format!("You are agent {n}."), "tags": ["agent/definition"],
                       "metadata": {"name": format!("a{n}")}})
            })
            .collect();
        let begin = Instant::now();
        for part in notes.chunks(500) {
            let body = json!({ "notes": part });
            daemon.post(&http, "/vault/default/api/notes", &body).await?;
        }
        written.push(ms(begin.elapsed()));
        until(&daemon, &http, "/api/agents", count, |_| true).await?;
        live.push(ms(begin.elapsed()));
        until(&daemon, &http, NOTES, count, |note| {
            note["metadata"]["status"] == "enabled"
        })
        .await?;
        told.push(ms(begin.elapsed()));

        let begin = Instant::now();
        let edits = stream::iter(0..count).map(|n| {
            let (daemon, http) = (&daemon, &http);
            async move {
                let patch = json!({ "metadata": { "model": "opus" }, "force": true });
                daemon
                    .patch(http, &format!("/vault/default/api/notes/Agents%2Fa{n}"), &patch)
                    .await
            }
        });
        let notes: Vec<Value> = edits.buffer_unordered(AT_ONCE).try_collect().await?;
        edited.push(ms(begin.elapsed()));
        until(&daemon, &http, "/api/agents", count, |agent| agent["model"] == "opus").await?;
        counts.push(ms(begin.elapsed()));
        // Nothing more is written, neither now nor by a start.
        drop(daemon);
        let (daemon, _) = start(dir.path(), NO_SETTINGS).await?;
        let now = daemon.get(&http, NOTES).await?;
        let as_edited = |note: &&Value| {
            notes
                .iter()
                .any(|edited| edited["id"] == note["id"] && edited["updatedAt"] == note["updatedAt"])
        };
        let same = now.as_array().into_iter().flatten().filter(as_edited).count();
        unneeded.push(f64::from(u32::try_from(count - same)?));
    }
    let figure = |name: &'static str, unit, values| Figure::new(name, unit, values);
    Ok(vec![
        figure("written in requests of 500", "ms", written),
        figure("… until all are live", "ms", live),
        figure("… until each note says so", "ms", told),
        figure("edited one by one, 32 requests at once", "ms", edited),
        figure("… until all count", "ms", counts),
        figure("notes written afterwards, a start included", "", unneeded),
    ])
}
