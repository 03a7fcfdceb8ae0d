//! What grows with the number of agents, of messages in line and of turns that have ended: of each figure a value at every
//! size with the machine's own beside it, how many times more the largest size costs than the smallest, and the slope.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::daemon::{Daemon, start};
use crate::figure::{Figure, ms};
use crate::turns::{Stages, ready, settings, single};
use crate::{floor, history};

/// Agents, of which one is sent to.
const AGENTS: [u32; 4] = [1, 100, 1_000, 10_000];
/// Turns that have ended.
const HISTORY: [u32; 4] = [0, 10_000, 100_000, 1_000_000];
/// Messages that wait for another agent.
const LINE: [u32; 3] = [0, 1_000, 10_000];
/// How long an idle daemon is looked at, once it has settled.
const IDLE: Duration = Duration::from_secs(10);
const SETTLED: Duration = Duration::from_secs(3);
/// Of each page and of the floor.
const RUNS: usize = 15;

/// The figures of one size.
struct Point {
    size: u32,
    figures: Vec<(&'static str, &'static str, Vec<f64>)>,
}

impl Point {
    async fn new(size: u32, daemon: &Daemon, http: &reqwest::Client, turns: usize) -> Result<Self> {
        let mut figures = vec![
            ("floor: 4 KiB write and fdatasync", "ms", floor::synced(RUNS)?),
            ("floor: a request over loopback", "ms", floor::loopback(RUNS).await?),
            (
                "floor: the child alone",
                "ms",
                floor::Child::smallest()?.runs(RUNS).await?,
            ),
        ];
        let before = daemon.cpu()?;
        let Stages {
            accept,
            start,
            deliver,
            whole,
        } = single(daemon, http, turns).await?;
        #[expect(clippy::cast_precision_loss, reason = "few")]
        let ran = (turns + crate::turns::WARM_UP) as f64;
        let spent = (daemon.cpu()? - before) / ran;
        figures.extend([
            ("accepted durably", "ms", accept),
            ("claimed, to the child's start", "ms", start),
            ("result to reply note", "ms", deliver),
            ("whole turn", "ms", whole),
            ("processor of the daemon a turn", "ms", vec![spent]),
        ]);
        Ok(Self { size, figures })
    }

    fn and(&mut self, name: &'static str, unit: &'static str, value: f64) {
        self.figures.push((name, unit, vec![value]));
    }

    /// How long an answer takes, again and again. The first time the machine reads its disk.
    async fn page(&mut self, name: &'static str, daemon: &Daemon, http: &reqwest::Client, path: &str) -> Result<()> {
        daemon.answers(http, path).await?;
        let mut took = Vec::with_capacity(RUNS);
        for _ in 0..RUNS {
            took.push(daemon.answers(http, path).await?);
        }
        self.figures.push((name, "ms", took));
        Ok(())
    }

    /// Memory and processor time while nothing is to be done.
    async fn idle(&mut self, daemon: &Daemon) -> Result<()> {
        tokio::time::sleep(SETTLED).await;
        let before = daemon.cpu()?;
        tokio::time::sleep(IDLE).await;
        self.and(
            "processor, idle",
            "% of a core",
            100.0 * (daemon.cpu()? - before) / ms(IDLE),
        );
        self.and("memory, idle", "MiB", daemon.rss()?);
        self.and("of that its own", "MiB", daemon.own_memory()?);
        Ok(())
    }
}

/// By how much one more costs, by least squares over all sizes.
fn slope(values: &[(f64, f64)]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "few")]
    let count = values.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| values.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|value| value.0), mean(|value| value.1));
    let both: f64 = values.iter().map(|value| (value.0 - x) * (value.1 - y)).sum();
    both / values.iter().map(|value| (value.0 - x).powi(2)).sum::<f64>()
}

/// A row for every size; then what the last one costs in the first one's measure, and what a thousand more would add.
fn rows(over: &str, points: &[Point]) -> Vec<Figure> {
    let mut figures = Vec::new();
    // Some are measured where there is something to show only.
    let Some(last) = points.last() else {
        return figures;
    };
    for (name, unit, _) in &last.figures {
        let mut line = Vec::new();
        for point in points {
            let Some((_, _, values)) = point.figures.iter().find(|(known, ..)| known == name) else {
                continue;
            };
            let figure = Figure::new(format!("{} {over}: {name}", point.size), unit, values.clone());
            line.push((f64::from(point.size), figure.at(0.5)));
            figures.push(figure);
        }
        let ends = line.first().zip(line.last());
        let factor = ends.map_or(f64::NAN, |(first, last)| last.1 / first.1);
        figures.push(Figure::new(format!("factor over {over}: {name}"), "x", vec![factor]));
        let name = format!("slope over {over}, a thousand more: {name}");
        figures.push(Figure::new(name, unit, vec![slope(&line) * 1e3]));
    }
    figures
}

async fn over_agents(http: &reqwest::Client, turns: usize) -> Result<Vec<Figure>> {
    let mut points = Vec::new();
    for agents in AGENTS {
        let dir = tempfile::tempdir()?;
        let count = usize::try_from(agents)?;
        ready(dir.path(), http, count).await?.stop().await?;
        // One start to write down what was learned, then the one that is measured.
        let (daemon, _) = start(dir.path(), &settings()?).await?;
        daemon.live(http, count).await?;
        daemon.stop().await?;
        let (daemon, healthy) = start(dir.path(), &settings()?).await?;
        let live = daemon.live(http, count).await?;
        let mut point = Point::new(agents, &daemon, http, turns).await?;
        point.idle(&daemon).await?;
        point.and("start to /health", "ms", ms(healthy));
        point.and("start to all agents", "ms", ms(healthy) + live);
        point.page("GET an agent", &daemon, http, "/api/agents/a0").await?;
        point
            .page("GET messages, 50", &daemon, http, "/api/channels/a0/messages?limit=50")
            .await?;
        point
            .page("GET threads, 50", &daemon, http, "/api/threads?limit=50")
            .await?;
        point.page("GET metrics", &daemon, http, "/metrics").await?;
        points.push(point);
        daemon.stop().await?;
    }
    Ok(rows("agents", &points))
}

/// What lists and searches answer where there is a past.
const PAGES: [(&str, &str); 14] = [
    ("GET messages, 50", "/api/channels/a0/messages?limit=50"),
    ("GET turns, 50", "/api/turns?channel=a0&limit=50"),
    ("GET threads, 50", "/api/threads?limit=50"),
    ("GET threads of an agent, 50", "/api/threads?limit=50&channel=a0"),
    ("GET threads that work", "/api/threads?limit=50&state=working"),
    ("GET threads put away", "/api/threads?limit=50&archived=true"),
    ("GET threads that failed", "/api/threads?limit=50&state=error"),
    ("GET threads of a channel, 5", "/api/channels/a0/threads?limit=5"),
    (
        "GET notes by tag, 50",
        "/vault/default/api/notes?tag=agent/message/inbound&limit=50",
    ),
    (
        "search of notes: a word of one",
        "/vault/default/api/notes?search=number999&limit=50",
    ),
    (
        "search of notes: a word of every second",
        "/vault/default/api/notes?search=answer&limit=50",
    ),
    ("search of threads: a word of one", "/api/threads?q=number999&limit=50"),
    ("GET tags", "/vault/default/api/tags"),
    ("GET statistics of 14 days", "/api/statistics?days=14"),
];

async fn over_history(http: &reqwest::Client, turns: usize) -> Result<Vec<Figure>> {
    let mut points = Vec::new();
    for past in HISTORY {
        let dir = tempfile::tempdir()?;
        let daemon = ready(dir.path(), http, 1).await?;
        single(&daemon, http, 1).await?;
        daemon.stop().await?;
        let state = dir.path().to_owned();
        tokio::task::spawn_blocking(move || history::add(&state, past)).await??;
        let (daemon, healthy) = start(dir.path(), &settings()?).await?;
        history::check(&daemon, http, dir.path(), past).await?;
        let mut point = Point::new(past, &daemon, http, turns).await?;
        point.and("start to /health", "ms", ms(healthy));
        point.idle(&daemon).await?;
        point.page("GET health", &daemon, http, "/health").await?;
        point.page("GET agents", &daemon, http, "/api/agents").await?;
        if past > 0 {
            for (name, path) in PAGES {
                point.page(name, &daemon, http, path).await?;
            }
        }
        points.push(point);
        daemon.stop().await?;
    }
    Ok(rows("ended turns", &points))
}

async fn fill(daemon: &Daemon, http: &reqwest::Client, line: usize) -> Result<()> {
    daemon
        .post(http, "/api/agents/a1/pause", &json!({ "reason": "measured" }))
        .await?;
    let notes: Vec<_> = (0..line)
        .map(|n| {
            json!({ "path": format!("Inbox/{n}"), "content": "wait", "tags": ["agent/message/inbound"],
                    "metadata": { "agent": "a1", "sender": "bench" } })
        })
        .collect();
    for part in notes.chunks(500) {
        daemon
            .post(http, "/vault/default/api/notes", &json!({ "notes": part }))
            .await?;
    }
    daemon.waiting(http, "a1", line).await
}

async fn over_line(http: &reqwest::Client, turns: usize) -> Result<Vec<Figure>> {
    let mut points = Vec::new();
    for line in LINE {
        let dir = tempfile::tempdir()?;
        let daemon = ready(dir.path(), http, 2).await?;
        fill(&daemon, http, usize::try_from(line)?)
            .await
            .context("filling the line")?;
        let mut point = Point::new(line, &daemon, http, turns).await?;
        let mut behind = Vec::with_capacity(RUNS);
        for _ in 0..RUNS {
            let begin = tokio::time::Instant::now();
            daemon
                .post(http, "/api/channels/a1/send", &json!({ "text": "wait" }))
                .await?;
            behind.push(ms(begin.elapsed()));
        }
        point.figures.push(("accepted durably behind that line", "ms", behind));
        point.and("memory", "MiB", daemon.rss()?);
        point
            .page("GET queue, 50", &daemon, http, "/api/channels/a1/queue?limit=50")
            .await?;
        point.page("GET health", &daemon, http, "/health").await?;
        points.push(point);
        daemon.stop().await?;
    }
    Ok(rows("messages in another agent's line", &points))
}

/// Each figure at every size.
pub(crate) async fn measure(turns: usize) -> Result<Vec<Figure>> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut figures = over_agents(&http, turns).await?;
    figures.extend(over_history(&http, turns).await?);
    figures.extend(over_line(&http, turns).await?);
    Ok(figures)
}
