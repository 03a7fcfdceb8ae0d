//! A folder of Markdown files as the vault: start, how soon a change is seen, what it costs to wait.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::Instant;

use crate::daemon::{Daemon, start};
use crate::figure::{Figure, ms};
use crate::{PATIENCE, RUNS};

/// How long the daemon is watched while nothing happens.
const IDLE: Duration = Duration::from_secs(10);

fn file(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("d{}/n{number}.md", number % 100))
}

fn write(folder: &Path, number: usize, text: &str) -> Result<()> {
    std::fs::create_dir_all(folder.join(format!("d{}", number % 100)))?;
    let body = format!("---\ntags: [note]\nnumber: {number}\n---\n# Note {number}\n\n{text}\n");
    Ok(std::fs::write(file(folder, number), body)?)
}

/// All files, and nothing made of them.
fn read(folder: &Path, files: usize) -> Result<f64> {
    let begin = Instant::now();
    for number in 0..files {
        std::fs::read(file(folder, number))?;
    }
    Ok(ms(begin.elapsed()))
}

/// Waits until the note of a file says `text`; answers how long it took.
async fn seen(daemon: &Daemon, http: &reqwest::Client, number: usize, text: &str) -> Result<f64> {
    let begin = Instant::now();
    let path = format!(
        "/vault/default/api/notes?path=d{}/n{number}&include_content=true",
        number % 100
    );
    loop {
        let (found, _) = daemon.timed(http, &path).await?;
        if found[0]["content"]
            .as_str()
            .is_some_and(|content| content.contains(text))
        {
            return Ok(ms(begin.elapsed()));
        }
        ensure!(begin.elapsed() < PATIENCE, "the change of note {number} is not seen");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// All figures of the folder kind.
pub(crate) async fn measure(files: usize) -> Result<Vec<Figure>> {
    let dir = tempfile::tempdir()?;
    let (state, folder) = (dir.path().join("state"), dir.path().join("notes"));
    for number in 0..files {
        write(&folder, number, "As it was.")?;
    }
    let bare = read(&folder, files)?;
    let config = dir.path().join("reveille.toml");
    std::fs::write(
        &config,
        format!("[[vault]]\nname = \"default\"\nkind = \"folder\"\npath = {folder:?}\n"),
    )?;
    let config = config.to_string_lossy();
    let settings = [("REVEILLE_CONFIG", &*config)];
    let http = reqwest::Client::builder().no_proxy().build()?;
    let begin = Instant::now();
    let (daemon, healthy) = start(&state, &settings).await?;
    seen(&daemon, &http, files - 1, "As it was.").await?;
    let first = ms(begin.elapsed());
    let first_memory = daemon.rss()?;
    drop(daemon);
    let (mut health, mut ready) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        // Changed while nobody looks: the start has to find it.
        let text = format!("Changed before start {run}.");
        write(&folder, run, &text)?;
        let begin = Instant::now();
        let (daemon, took) = start(&state, &settings).await?;
        health.push(ms(took));
        seen(&daemon, &http, run, &text).await?;
        ready.push(ms(begin.elapsed()));
    }
    let (daemon, _) = start(&state, &settings).await?;
    let mut changed = Vec::new();
    for run in 0..RUNS * 2 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let text = format!("Changed in run {run}.");
        write(&folder, run * 3 % files, &text)?;
        changed.push(seen(&daemon, &http, run * 3 % files, &text).await?);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = daemon.cpu()?;
    tokio::time::sleep(IDLE).await;
    let idle = daemon.cpu()? - before;
    Ok(vec![
        Figure::new("floor: every file read", "ms", vec![bare]),
        Figure {
            name: "first start: every file read".into(),
            unit: "ms",
            values: vec![first],
        },
        Figure {
            name: "first start to /health".into(),
            unit: "ms",
            values: vec![ms(healthy)],
        },
        Figure {
            name: "first start: memory".into(),
            unit: "MiB",
            values: vec![first_memory],
        },
        Figure {
            name: "start to /health".into(),
            unit: "ms",
            values: health,
        },
        Figure {
            name: "start until a file changed meanwhile is seen".into(),
            unit: "ms",
            values: ready,
        },
        Figure {
            name: "a changed file is seen after".into(),
            unit: "ms",
            values: changed,
        },
        Figure {
            name: "processor time in 10 s of waiting".into(),
            unit: "ms",
            values: vec![idle],
        },
        Figure {
            name: "memory".into(),
            unit: "MiB",
            values: vec![daemon.rss()?],
        },
    ])
}
